"""An encrypted and signed callback, from a department's own process over a real socket to a decided effect."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager

import msgspec
import pytest
import uvicorn

from onestop.app import open_portal
from onestop.crypto import Keys
from onestop.gateway import effects
from onestop.gateway.manifest import parse
from onestop.gateway.models import NewEffect
from onestop.gateway.service import Gateway
from onestop.ids import new_id
from tests.gateway.keys import ec_key, pem, public_pem
from tests.gateway.work import CODES, HEAD, OPERATION, REGION, SECRET

pytestmark = pytest.mark.anyio

ANA, BEN = "990102199203140221", "990102199008210351"
CALLBACK = """
[callback]
operations = ["permit", "visit"]
told_by = { place = "path", values = { "permit.decided" = "permit", "visit.moved" = "visit" } }
"""
SEALED = """
answer = "callback"
reply.subject = "holder"
reply.protection = { kind = "jose", layers = ["jwe", "jws"] }
"""


@asynccontextmanager
async def portal(settings, folder, source):
    """Serve a whole portal on a port; gives its address."""
    home = folder / "adapters/dep"
    home.mkdir(parents=True)
    (home / "manifest.toml").write_text(source, "utf-8")
    where = folder / "environment.toml"
    keys = f"decrypt_key = '''{pem(ec_key('portal'))}'''\nverify_key = '''{public_pem(ec_key('department'))}'''\n"
    where.write_text(f'[adapters.dep]\nurl = "http://127.0.0.1:9"\ncallback_secret = "{SECRET}"\n{keys}')
    told = msgspec.structs.replace(settings, adapters_dir=home.parent, environment_file=where, profile="sandbox")
    async with open_portal(told) as desk:
        config = uvicorn.Config(desk, host="127.0.0.1", port=0, log_level="critical", access_log=False, lifespan="off")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


async def department(url, calls):
    """Let a department's own process make these calls; return what it heard."""
    order = {
        "url": f"{url}/v1/callbacks/dep", "secret": SECRET, "ours": pem(ec_key("department")),
        "theirs": public_pem(ec_key("portal")), "other": pem(ec_key("other")), "calls": calls,
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.gateway.sealing_department",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await process.communicate(json.dumps(order).encode())
    return [(status, body.get("code", body.get("new"))) for status, body in json.loads(out)]


def says(key, holder, word="ok"):
    return {"key": key, "number": f"N-{key}", "status": word, "holder": holder}


async def test_a_sealed_answer_decides_its_effect_and_neither_a_replay_nor_anothers_answer_does(
    pool, settings, tmp_path
):
    await pool.execute("TRUNCATE effects, callbacks_seen, signing_keys")
    head = HEAD.format(id="dep", code=CODES["dep"], tables=CALLBACK)
    permit = OPERATION.format(id="permit", kind="submit", idempotent="key", more=SEALED)
    visit = OPERATION.format(id="visit", kind="submit", idempotent="key", more='answer = "callback"')
    source = head + permit + visit
    async with portal(settings, tmp_path, source) as url:
        keys = Keys.load(settings.state_dir, settings.crypto_suite)
        rows = [
            NewEffect(
                id=new_id("eff"), case_id="case_x", step="s", adapter="dep", operation="permit", key=key,
                payload={"name": "林", "subject": {"number": number}},
            )
            for key, number in (("anas", ANA), ("bens", BEN))
        ]  # fmt: skip
        async with pool.acquire() as db, db.transaction():
            await effects.intend(db, keys, Gateway({"dep": parse(source.encode())}, {}), REGION, rows)
        event = {"event": "permit.decided"}
        refused = [
            event | {"says": says("anas", ANA), "nonce": "nonce-plain", "plain": True},
            event | {"says": says("anas", ANA), "nonce": "nonce-forged", "forged": True},
            event | {"says": says("anas", BEN), "nonce": "nonce-of-bens-answer"},
            event | {"says": says("bens", ANA), "nonce": "nonce-of-anas-answer"},
            {"event": "visit.moved", "says": says("anas", ANA), "nonce": "nonce-of-a-visit"},
            {"event": "permit.lost", "says": says("anas", ANA), "nonce": "nonce-of-nothing"},
        ]
        taken = [
            event | {"says": says("anas", ANA), "nonce": "nonce-of-the-answer"},
            event | {"says": says("anas", ANA), "nonce": "nonce-of-the-answer"},
            event | {"says": says("anas", ANA), "nonce": "nonce-of-the-replay"},
            event | {"says": says("anas", ANA, "no"), "nonce": "nonce-of-another-word"},
        ]
        heard = await department(url, refused + taken)
    assert heard == [(422, "callback.unreadable")] * len(refused) + [(200, True)] + [(200, False)] * 3
    told = {
        row["key"]: (row["state"], row["answer"], row["outcome"], row["reference"])
        for row in await pool.fetch("SELECT key, state, answer, outcome, reference FROM effects")
    }
    assert told["anas"] == ("done", "received", "completed", "N-anas")
    assert told["bens"] == ("intended", "none", None, None)
