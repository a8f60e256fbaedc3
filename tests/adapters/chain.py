"""From an imported manifest to a portal that citizens use: what is finished by hand is TOML, laid over the import."""

import asyncio
import json
import secrets
import shutil
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import msgspec

from onestop.app import open_portal
from onestop.gateway.line import Where
from onestop.http.desk import FrontDesk
from onestop.identity.models import Identified
from onestop.identity.service import Sessions
from onestop.settings import Settings
from onestop.worker import work
from tests.adapters.office import DEPARTMENTS, PATIENCE_S
from tests.adapters.servers import LIN

_ENDED = ("decided", "withdrawn")


def finished_by_hand(made: bytes, name: str) -> bytes:
    """Return an imported manifest as TOML, with the department's overlay laid over it; operations are met by id."""
    manifest = tomllib.loads(made.decode())
    overlay = tomllib.loads((DEPARTMENTS / name / "overlay.toml").read_text("utf-8"))
    operations = {one["id"]: one for one in manifest.pop("operations")}
    for id_, changes in overlay.pop("operations", {}).items():
        operations[id_] = _laid_over(operations.get(id_, {"id": id_}), changes)
    whole = _laid_over(manifest, overlay) | {"operations": list(operations.values())}
    return "".join(f"{key} = {_inline(value)}\n" for key, value in whole.items()).encode()


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with another over it; tables are joined, all else is replaced."""
    joined = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(below.get(key), dict)
        joined[key] = _laid_over(below[key], value) if both else value
    return joined


def _inline(value: Any) -> str:
    """Return a value as TOML on one line: JSON's scalars are TOML's."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_inline(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


class Counter:
    """A citizen at the portal, over HTTP alone."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def apply(self, item: str, **answers: Any) -> dict[str, Any]:
        """Hand in an application in one call and wait until it is decided; the case as its applicant sees it."""
        told = {"item": item, "answers": answers, "submit": True}
        reply = await self._client.post("/v1/cases", json=told, headers={"idempotency-key": secrets.token_hex(12)})
        assert reply.status_code in (201, 202), reply.text
        end = asyncio.get_running_loop().time() + PATIENCE_S
        while True:
            shown = await self._client.get(f"/v1/cases/{reply.json()['id']}")
            case: dict[str, Any] = shown.raise_for_status().json()
            if case["state"] in _ENDED:
                return case
            assert asyncio.get_running_loop().time() < end, f"nobody decided: {case['steps']}"
            await asyncio.sleep(0.05)


@asynccontextmanager
async def open_counter(
    settings: Settings, manifests: Mapping[str, bytes], places: Mapping[str, Where]
) -> AsyncIterator[Counter]:
    """Open a portal and its worker over departments that are manifests and items, and nothing else."""
    folder = settings.state_dir
    (folder / "items").mkdir()
    for name, manifest in manifests.items():
        (folder / "adapters" / name).mkdir(parents=True)
        (folder / "adapters" / name / "manifest.toml").write_bytes(manifest)
        shutil.copy(DEPARTMENTS / name / "item.toml", folder / "items" / f"{name}.toml")
    entries = {name: {"url": place.url, **place.secrets} for name, place in places.items()}
    (folder / "environment.toml").write_text(f"adapters = {_inline(entries)}\n", "utf-8")
    told = msgspec.structs.replace(
        settings,
        profile="sandbox",
        adapters_dir=folder / "adapters",
        items_dir=folder / "items",
        environment_file=folder / "environment.toml",
        outbound_allow=("127.0.0.1/32",),
        log_level="error",
    )
    async with AsyncExitStack() as stack:
        desk = await stack.enter_async_context(open_portal(told))
        worker = asyncio.create_task(work(told))
        stack.push_async_callback(_ended, worker)
        yield Counter(await stack.enter_async_context(await _client(desk)))


async def _client(desk: FrontDesk) -> httpx.AsyncClient:
    sessions: Sessions = desk._sessions  # type: ignore[assignment]
    who = Identified(number_type="citizen_id", number=LIN["number"], name=LIN["name"], level=2)  # type: ignore[arg-type]
    headers = {"authorization": f"Bearer {(await sessions.issue_bearer(who)).token}", "accept-language": "en"}
    transport = httpx.ASGITransport(app=desk)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers)


async def _ended(worker: asyncio.Task[None]) -> None:
    worker.cancel()
    await asyncio.gather(worker, return_exceptions=True)
