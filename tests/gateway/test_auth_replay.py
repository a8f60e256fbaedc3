"""A callback that came before changes nothing, whichever proof it brings; with the database that remembers it."""

import asyncio
import json
import time
import tomllib

import msgspec
import pytest

from onestop.gateway import callbacks, effects
from onestop.gateway.callback_rules import Envelope
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import Manifest
from onestop.gateway.models import NewEffect
from onestop.gateway.service import Gateway
from onestop.ids import new_id
from tests.gateway.department import manifest_text
from tests.gateway.keys import ec_key, public_pem
from tests.gateway.peer import ALLOW, peer
from tests.gateway.test_auth_callbacks import WEBHOOK_SECRET, message_signed, webhook

pytestmark = pytest.mark.anyio
REGION = "990100"
TOLD = {"callback_secret": WEBHOOK_SECRET, "callback_key": public_pem(ec_key())}


def manifest(kind):
    text = manifest_text("dep").decode().replace('reply.reference = "number"', 'reply.key = "key"', 1)
    text = text.replace('map = { ok = "completed"', 'map = { wait = "pending", ok = "completed"')
    callback = f'[callback]\nkind = "{kind}"\noperation = "apply"\n[[operations]]'
    return msgspec.convert(tomllib.loads(text.replace("[[operations]]", callback, 1)), Manifest)


def proof(kind, body):
    if kind == "standard_webhooks":
        return webhook(body=body, stamp=str(int(time.time())), name=new_id("msg"))
    return message_signed(path="/v1/callbacks/dep", body=body)


@pytest.fixture
def heard():
    return []


@pytest.fixture
async def portal(pool, keys, heard):
    """Return what sends one effect to a department that answers later, and then takes callbacks."""

    sent_on = asyncio.Event()

    async def handler(_db, effect, settled):
        heard.append((effect.key, settled.outcome))
        sent_on.set()

    async def sent(kind, key):
        read = manifest(kind)
        async with peer(lambda _: (200, {"status": "wait"})) as served:
            gateway = Gateway({"dep": read}, {"dep": Line(read, Where(served.url, TOLD), ALLOW)})
            effect = NewEffect(
                id=new_id("eff"), case_id="case_x", step="s", adapter="dep", operation="apply", key=key, payload={}
            )  # fmt: skip
            async with pool.acquire() as db, db.transaction():
                await effects.intend(db, keys, gateway, REGION, [effect])
            dispatcher = effects.Dispatcher(pool, keys, gateway, REGION, handler)
            task = asyncio.create_task(dispatcher.run())
            await asyncio.wait_for(sent_on.wait(), 5)
            dispatcher.stop()
            await task

        async def take(headers, body):
            given = {name.lower(): value for name, value in headers.items()} | {"host": "portal.example"}
            return (await callbacks.receive(pool, keys, gateway, REGION, "dep", Envelope(given), body, handler)).new

        return take

    return sent


@pytest.mark.parametrize("kind", ["standard_webhooks", "http_signature"])
async def test_a_callback_counts_once_however_often_it_comes(portal, heard, kind):
    key = new_id("key")
    take = await portal(kind, key)
    body = json.dumps({"key": key, "status": "ok", "number": "N1"}).encode()
    headers = proof(kind, body)
    for hostile in ({}, proof(kind, body + b" ")):
        with pytest.raises(CallbackNotGenuine):
            await take(hostile, body)
    stranger = json.dumps({"key": "somebody-elses", "status": "ok", "number": "N1"}).encode()
    with pytest.raises(CallbackUnknown):
        await take(proof(kind, stranger), stranger)
    assert heard == [(key, "pending")]
    assert await take(headers, body) is True
    assert await take(headers, body) is False
    assert heard == [(key, "pending"), (key, "completed")]
