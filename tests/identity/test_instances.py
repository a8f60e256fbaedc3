"""Four instances with sockets of their own: what is ended at one is refused at all within five seconds."""

import asyncio
import socket
import time
from contextlib import AsyncExitStack

import httpx
import pytest
import uvicorn

from identity.conftest import CHEN, LIN, FakeProvider, Portal
from onestop.db import open_pool

pytestmark = pytest.mark.anyio
REFUSED_WITHIN_S = 5.0


class Instances:
    """Portals that know each other through the database alone, each behind a socket."""

    def __init__(self) -> None:
        self.portals: list[Portal] = []
        self.clients: list[httpx.AsyncClient] = []

    async def statuses(self, token: str) -> list[int]:
        headers = {"authorization": f"Bearer {token}"}
        return [(await client.get("/v1/me", headers=headers)).status_code for client in self.clients]

    async def refused_everywhere_in_s(self, token: str) -> float:
        began = time.monotonic()
        while set(await self.statuses(token)) != {401}:
            assert time.monotonic() - began < REFUSED_WITHIN_S, "still let in somewhere"
            await asyncio.sleep(0.1)
        return time.monotonic() - began


@pytest.fixture
async def instances(dsn, keys, settings):
    async with AsyncExitStack() as stack:
        found = Instances()
        for n in range(4):
            pool = await open_pool(dsn, size=2, name=f"instance {n}")
            stack.push_async_callback(pool.close)
            portal = Portal(pool, keys, settings, FakeProvider().providers())
            await stack.enter_async_context(portal.sessions)
            await stack.enter_async_context(portal.app.app.lifespan())
            listener = socket.create_server(("127.0.0.1", 0))
            stack.callback(listener.close)
            config = uvicorn.Config(portal.app, lifespan="off", log_config=None, log_level="critical", ws="none")
            server = uvicorn.Server(config)
            running = asyncio.get_running_loop().create_task(server._serve([listener]))

            async def end(server=server, running=running):
                server.should_exit = True
                await running

            stack.push_async_callback(end)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            client = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
            found.portals.append(portal)
            found.clients.append(client)
        yield found


async def test_what_is_ended_or_used_at_one_instance_is_so_at_all_four(instances):
    await one_or_all_others_are_refused_on_every_instance(instances)
    await a_refresh_token_shown_at_four_instances_at_once_has_one_successor(instances)


async def one_or_all_others_are_refused_on_every_instance(instances):
    apps = [portal.apps for portal in instances.portals]
    mine = [await app.open(LIN, provider="demo", device=f"phone {n}") for n, app in enumerate(apps)]
    theirs = await apps[0].open(CHEN, provider="demo")
    tokens = [pair.access_token for pair in mine]
    for token in [*tokens, theirs.access_token]:
        assert await instances.statuses(token) == [200] * 4  # and now remembered by each
    first, last = instances.clients[0], instances.clients[3]
    here = {"authorization": f"Bearer {tokens[0]}"}
    listed = (await first.get("/v1/me/sessions", headers=here)).json()["data"]
    assert [(one["device"], one["current"]) for one in listed[:4]] == [
        ("phone 3", False),
        ("phone 2", False),
        ("phone 1", False),
        ("phone 0", True),
    ]
    assert all(one["seen_at"] >= one["created_at"] for one in listed)
    # One of them, from another instance than the one it was opened at.
    assert (await last.delete(f"/v1/me/sessions/{listed[0]['id']}", headers=here)).status_code == 204
    assert await instances.refused_everywhere_in_s(tokens[3]) < REFUSED_WITHIN_S
    assert await instances.statuses(tokens[1]) == [200] * 4
    # All the others: this one and another person's stay.
    ended = await last.delete("/v1/me/sessions", headers=here)
    assert ended.status_code == 200
    assert ended.json()["ended"] >= 2
    for token in (tokens[1], tokens[2]):
        assert await instances.refused_everywhere_in_s(token) < REFUSED_WITHIN_S
    assert await instances.statuses(tokens[0]) == [200] * 4
    assert await instances.statuses(theirs.access_token) == [200] * 4
    for pair in mine[1:]:
        refused = await first.post("/v1/auth/refreshes", json={"refresh_token": pair.refresh_token})
        assert refused.status_code == 401


async def a_refresh_token_shown_at_four_instances_at_once_has_one_successor(instances):
    told = await instances.portals[0].apps.open(LIN, provider="demo")

    async def refresh(client, token):
        return await client.post("/v1/auth/refreshes", json={"refresh_token": token})

    answers = await asyncio.gather(*(refresh(client, told.refresh_token) for client in instances.clients))
    assert [answer.status_code for answer in answers] == [200] * 4
    [successor] = {answer.json()["refresh_token"] for answer in answers}
    assert (await refresh(instances.clients[1], successor)).status_code == 200
    # The first again, at another instance: it was used, and so was its successor.
    assert (await refresh(instances.clients[2], told.refresh_token)).status_code == 401
    assert await instances.refused_everywhere_in_s(answers[0].json()["access_token"]) < REFUSED_WITHIN_S


def test_a_device_is_told_coarsely():
    from onestop.identity.rules import device_of

    chrome = (
        "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile Safari"
    )
    assert device_of(chrome) == "Chrome · Android"
    assert device_of("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) MicroMessenger/8.0") == "WeChat · iPhone"
    assert device_of(chrome.replace("Safari", "Safari Edg/120.0")) == "Edge · Android"
    assert device_of("") == ""
    assert device_of("x" * 100_000 + "Firefox") == ""
