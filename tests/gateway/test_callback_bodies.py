"""Callbacks are read as the operation they name declares: its codec, its charset, its error cases."""

import json
from types import SimpleNamespace
from unittest.mock import AsyncMock
from urllib.parse import urlencode

import pytest

from onestop.gateway import callbacks
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnreadable
from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.operations import prepare
from onestop.gateway.routes import CallbackController
from tests.gateway.work import OPERATION, REGION, manifest, served, signed_headers, state_of, until

pytestmark = pytest.mark.anyio

_ERRORS = """
[[operations.errors]]
outcome = "declined"
path = "code"
equals = "E7"
reason = "says"
[[operations.errors]]
outcome = "busy"
path = "code"
equals = "E9"
"""


@pytest.fixture(autouse=True)
async def empty(pool):
    await pool.execute("TRUNCATE effects, callbacks_seen")


def _xml(told):
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    return f'<?xml version="1.0" encoding="GB18030"?><told>{inside}</told>'.encode("gb18030")


def _soap(told):
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    namespace = "http://schemas.xmlsoap.org/soap/envelope/"
    return f'<s:Envelope xmlns:s="{namespace}"><s:Body>{inside}</s:Body></s:Envelope>'.encode("gb18030")


WRITERS = {
    "xml": _xml,
    "soap": _soap,
    "form": lambda told: urlencode(told, encoding="gb18030").encode(),
    "json": lambda told: json.dumps(told, ensure_ascii=False).encode("gb18030"),
}


async def _pending(_path, _headers, body):
    return 200, json.dumps({"key": json.loads(body)["key"], "number": "N1", "status": "wait"}).encode()


def _served(pool, keys, monkeypatch, codec):
    reads = f'response_codec = "{codec}"\ncharset = "gb18030"\n{_ERRORS}'
    told = OPERATION.format(id="told", kind="submit", idempotent="key", more=reads)
    return served(pool, keys, _pending, monkeypatch, answer="callback", callback="told", extra=(told,))


async def _sent(work, key):
    await work.intend(key)

    async def awaited():
        return await state_of(work, key) == ("done", "awaited")

    await until(awaited)


@pytest.mark.parametrize("codec", WRITERS)
async def test_a_callback_is_read_by_its_operations_codec_and_a_replay_counts_once(pool, keys, monkeypatch, codec):
    async with _served(pool, keys, monkeypatch, codec) as work_and_department:
        work = work_and_department[0]
        await _sent(work, "c1")
        body = WRITERS[codec]({"key": "c1", "number": "N1", "status": "ok", "says": "已办结"})
        assert await work.call_back(body, nonce="nonce-of-the-first") is True
        assert await work.call_back(body, nonce="nonce-of-the-first") is False
        assert await work.call_back(body) is False
        assert work.of("c1") == ["pending", "completed"]


async def test_an_error_case_of_the_operation_is_the_departments_no(pool, keys, monkeypatch):
    async with _served(pool, keys, monkeypatch, "xml") as (work, _):
        await _sent(work, "c1")
        with pytest.raises(CallbackUnreadable):  # no final word, and never a success
            await work.call_back(_xml({"key": "c1", "code": "E9", "status": "ok"}))
        assert await work.call_back(_xml({"key": "c1", "code": "E7", "says": "材料不符"})) is True
        assert work.of("c1") == ["pending", "declined"]


async def test_a_callback_with_a_wrong_signature_is_refused_before_its_body_is_read(pool, keys, monkeypatch):
    async with _served(pool, keys, monkeypatch, "xml") as (work, _):
        monkeypatch.setattr(callbacks, "_readings", lambda *_: pytest.fail("read before it was known to be genuine"))
        with pytest.raises(CallbackNotGenuine):
            await work.call_back(b"<told>", secret="of-another-department")


async def test_a_callback_without_the_record_it_should_hold_is_no_success():
    told = OPERATION.format(id="told", kind="submit", idempotent="key", more='reply.found = "number"')
    reader = prepare(manifest(answer="callback", callback="told", extra=(told,)))["told"]
    with pytest.raises(MappingFailed):
        reader.called_back(b'{"key": "c1", "number": null, "status": "ok"}')


@pytest.mark.parametrize("nonces", [("nonce-of-both", "nonce-of-both"), ("nonce-of-one", "nonce-of-two")])
async def test_what_the_department_must_hear_is_said_to_the_first_and_to_every_replay(pool, keys, monkeypatch, nonces):
    own = '[callback.reply]\nstatus = 202\nbody = "success"\ncontent_type = "text/plain"'
    async with served(pool, keys, _pending, monkeypatch, answer="callback", reply=own) as (work, _):
        await _sent(work, "c1")
        body = json.dumps({"key": "c1", "number": "N1", "status": "ok"}).encode()
        for nonce in nonces:
            request = SimpleNamespace(
                headers=signed_headers(body, nonce=nonce),
                body=AsyncMock(return_value=body),
                scope={"query_string": b""},
            )
            settings = SimpleNamespace(region=REGION)
            hear = CallbackController.receive.fn
            heard = await hear(None, request, "dep", work.pool, work.keys, work.gateway, settings, work.handler)
            assert (heard.status_code, heard.media_type) == (202, "text/plain")
            assert heard.render(heard.content, heard.media_type) == b"success"
        assert work.of("c1") == ["pending", "completed"]


@pytest.mark.parametrize("wrong", ["status = 204", 'content_type = "text/plain\\r\\nX: y"', 'body = ""'])
async def test_a_reply_that_is_no_acknowledgement_keeps_the_manifest_from_being_used(wrong):
    told = {"body": 'body = "success"', wrong.split(" ")[0]: wrong}
    with pytest.raises(BadManifest):
        manifest(answer="callback", reply="[callback.reply]\n" + "\n".join(told.values()))
