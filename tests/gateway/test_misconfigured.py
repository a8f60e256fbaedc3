"""Seeded misconfigurations over real sockets: the explanation names link, code, who acts and the decisive fact."""

import asyncio
import datetime
import email.utils
import gzip
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from onestop.app import open_portal
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import effects
from onestop.gateway.errors import NoSuchTrace
from onestop.gateway.explain import Link, TraceLog, Viewer, explain
from onestop.gateway.facts import FACTS
from onestop.gateway.fanout import Person, gather
from onestop.gateway.line import Line, Where
from onestop.gateway.manifest import Manifest, parse
from onestop.gateway.models import Ask, NewEffect
from onestop.gateway.service import Gateway, open_line
from onestop.identity.models import Identified
from onestop.ids import new_id
from onestop.outbound.addresses import AllowList
from onestop.settings import Settings
from onestop.texts import LANGUAGES, has
from tests.gateway.department import manifest_text
from tests.gateway.wrong_systems import Authority, deaf, http, system
from tests.ports import free_port

pytestmark = pytest.mark.anyio

REGION = "990100"
ANA, BEN = "990102199203140221", "990102199008210351"
LOCAL = AllowList(["127.0.0.0/8"])
OLD = "2019-05-04T08:00:00+08:00"
SIGNED = 'kind = "signed"\nbase = "{app_key}{timestamp}{body}"\nheaders = { X-Sign = "{signature}" }'
OAUTH = 'kind = "oauth2_client_credentials"'
KEY = 'kind = "api_key"\nplace = "header"\nname = "X-Key"'


def record(number: str = ANA, as_of: Any = "2026-03-02T08:00:00+08:00", answer: Any = "42") -> bytes:
    return json.dumps({"data": {"id_number": number, "as_of": as_of, "answer": answer}}).encode()


class Ground:
    """Where one misconfiguration is built, asked and explained."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.pool, self.keys, self.settings, self.folder, self.patch = pool, keys, settings, folder, patch
        self.stack = AsyncExitStack()
        self.traces = TraceLog(pool, REGION)
        self.trace_id = secrets.token_hex(16)
        self.manifests: dict[str, Manifest] = {}

    def manifest(self, *edits: tuple[str, str], auth: str = "", idempotent: str = "key", waiting: int = 64) -> Manifest:
        source = manifest_text("dep", idempotent=idempotent).decode()
        source = source.replace("waiting = 64", f"waiting = {waiting}")
        if auth:
            source = source.replace("[limits]", f"[auth]\n{auth}\n[limits]")
        for before, after in edits:
            assert before in source
            source = source.replace(before, after, 1)
        self.manifests = {"dep": parse(source.encode())}
        return self.manifests["dep"]

    async def line(self, manifest: Manifest, url: str, allow: AllowList = LOCAL, **told: str) -> Line:
        opened = open_line(manifest, Where(url, told), allow, ("extranet",))
        assert isinstance(opened, Line)
        self.stack.push_async_callback(opened.close)
        return opened

    async def ask(
        self, opened: Line | Any, within_s: float = 1.0, trace: str | None = None, name: str = "林晓舟"
    ) -> None:
        """Ask the department about Ana, as my affairs does; another name makes it another question."""
        lines = {"dep": opened} if isinstance(opened, Line) else {}
        closed = {} if isinstance(opened, Line) else {"dep": opened}
        asks = [Ask(want="dep", adapter="dep", operation="query")]
        until = asyncio.get_running_loop().time() + within_s
        gathered = await gather(lines, asks, Person(ANA, name), deadline=until, closed=closed)
        self.traces.note(trace or self.trace_id, "ana", "POST /v1/me/lookups", "partial", 1.0, gathered.records)

    async def served(self, said: Any, *edits: tuple[str, str], within_s: float = 1.0, **more: Any) -> None:
        """Ask a department that answers so."""
        auth, told = more.pop("auth", ""), more.pop("told", {})
        port = await self.stack.enter_async_context(system(said, **more))
        manifest = self.manifest(*edits, auth=auth)
        await self.ask(await self.line(manifest, f"http://127.0.0.1:{port}", **told), within_s)

    async def tls(self, trusted: bool, **certificate: Any) -> None:
        authority = Authority(self.folder)
        if trusted:
            self.patch.setenv("SSL_CERT_FILE", str(authority.file))
        port = await self.stack.enter_async_context(system(http(200, record()), tls=authority.context(**certificate)))
        await self.ask(await self.line(self.manifest(), f"https://127.0.0.1:{port}"))

    async def effect(self, said: Any, idempotent: str) -> None:
        """Let the worker send one effect."""
        port = await self.stack.enter_async_context(system(said))
        manifest = self.manifest(idempotent=idempotent)
        line = await self.line(manifest, f"http://127.0.0.1:{port}")
        gateway = Gateway({"dep": manifest}, {"dep": line})
        done = asyncio.Event()

        async def handler(*_: Any) -> None:
            done.set()

        new = NewEffect(
            id=new_id("eff"), case_id="case_x", step="s", adapter="dep", operation="apply", key=secrets.token_hex(8),
            payload={"name": "林"}, trace_id=self.trace_id,
        )  # fmt: skip
        async with self.pool.acquire() as db, db.transaction():
            await effects.intend(db, self.keys, gateway, REGION, [new])
        worker = effects.Dispatcher(self.pool, self.keys, gateway, REGION, handler, traces=self.traces)
        task = asyncio.create_task(worker.run())
        await asyncio.wait_for(done.wait(), 5)
        worker.stop()
        await task

    async def portal(self, call: Callable[[httpx.AsyncClient, dict[str, str]], Awaitable[httpx.Response]]) -> None:
        """Ask a whole portal in front of a department that answers by callback."""
        folder = self.folder / "adapters/dep"
        folder.mkdir(parents=True)
        tables = '[callback]\noperation = "apply"\n[limits]'
        manifest = self.manifest(("[limits]", tables), ('lookup = "find"', 'answer = "callback"\nreply.key = "key"'))
        source = manifest_text("dep").decode().replace("[limits]", tables)
        folder.joinpath("manifest.toml").write_text(
            source.replace('lookup = "find"', 'answer = "callback"\nreply.key = "key"'), "utf-8"
        )
        environment = self.folder / "environment.toml"
        environment.write_text('[adapters.dep]\nurl = "http://127.0.0.1:9"\ncallback_secret = "shared"\n')
        told = msgspec.structs.replace(
            self.settings, adapters_dir=folder.parent, environment_file=environment, profile="sandbox"
        )
        self.manifests = {"dep": manifest}
        await self.pool.execute("TRUNCATE signing_keys")  # each portal has keys of its own
        desk = await self.stack.enter_async_context(open_portal(told))
        who = Identified(number_type="citizen_id", number=ANA, name="林晓舟")
        bearer = await desk._sessions.issue_bearer(who)  # type: ignore[union-attr]
        headers = {"authorization": f"Bearer {bearer.token}"}
        transport = httpx.ASGITransport(app=desk)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            answer = await call(client, headers)
            assert answer.status_code >= 400, answer.text
            self.trace_id = answer.headers["traceparent"].split("-")[1]
            for _ in range(50):
                try:
                    await explain(
                        self.pool, REGION, self.trace_id, viewer=Viewer(principal=None), lang="zh", manifests={}
                    )  # fmt: skip
                    return
                except NoSuchTrace:
                    await asyncio.sleep(0.05)

    async def told(self, lang: Any, code: str, viewer: Viewer | None = None) -> Link:
        await self.traces.flush()
        found = await explain(
            self.pool, REGION, self.trace_id, viewer=viewer or Viewer(principal=None, curl=True), lang=lang,
            manifests=self.manifests,
        )  # fmt: skip
        links = [link for one in found for link in one.links if link.state in ("failed", "noted")]
        [link] = [link for link in links if link.code == code] or links
        return link


@pytest.fixture
async def ground(pool: Pool, keys: Keys, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ground = Ground(pool, keys, settings, tmp_path, monkeypatch)
    async with ground.stack:
        yield ground


FIELD = 'reply.fields = { answer = "data.answer" }'
SMALL = ("total_s = 2.0", "total_s = 2.0\nmax_reply_bytes = 4096")


async def nobody_listens(g: Ground) -> None:
    await g.ask(await g.line(g.manifest(), f"http://127.0.0.1:{free_port()}"))


async def name_unknown(g: Ground) -> None:
    await g.ask(await g.line(g.manifest(), "http://nobody.invalid"))


async def address_refused(g: Ground) -> None:
    await g.ask(await g.line(g.manifest(), "http://127.0.0.1:9", AllowList(["10.0.0.0/8"])))


async def tls_to_a_plain_port(g: Ground) -> None:
    port = await g.stack.enter_async_context(deaf(b"HTTP/1.1 400 X\r\n\r\n"))
    await g.ask(await g.line(g.manifest(), f"https://127.0.0.1:{port}"))


async def plain_to_a_tls_port(g: Ground) -> None:
    tls = Authority(g.folder).context()
    port = await g.stack.enter_async_context(system(http(200, record()), tls=tls))
    await g.ask(await g.line(g.manifest(), f"http://127.0.0.1:{port}"))


async def connect_too_short(g: Ground) -> None:
    port = await g.stack.enter_async_context(deaf())
    source = ("total_s = 2.0", "total_s = 2.0\nconnect_s = 0.15")
    short = [(f"total_s = {limit}", f"total_s = {limit}\nconnect_s = 0.15") for limit in (0.3, 0.5)]
    manifest = g.manifest(source, *short)
    await g.ask(await g.line(manifest, f"https://127.0.0.1:{port}"))


async def breaker_open(g: Ground) -> None:
    port = await g.stack.enter_async_context(system(http(500)))
    line = await g.line(g.manifest(), f"http://127.0.0.1:{port}")
    for _ in range(12):
        await g.ask(line, trace="0" * 32)
    await g.ask(line)


async def limit_full(g: Ground) -> None:
    port = await g.stack.enter_async_context(system(http(200, record()), after_s=0.4))
    manifest = g.manifest(("concurrency = 16", "concurrency = 1"), waiting=0)
    line = await g.line(manifest, f"http://127.0.0.1:{port}")
    await asyncio.gather(g.ask(line, trace="0" * 32, name="又一问"), g.ask(line))


async def too_fast(g: Ground) -> None:
    port = await g.stack.enter_async_context(system(http(200, record())))
    manifest = g.manifest(("waiting = 64", "waiting = 64\nper_second = 1"))
    line = await g.line(manifest, f"http://127.0.0.1:{port}")
    await g.ask(line, trace="0" * 32)
    await g.ask(line, within_s=0.3)


async def no_environment(g: Ground) -> None:
    await g.ask(open_line(g.manifest(), None, LOCAL, ("extranet",)))


async def no_secret(g: Ground) -> None:
    await g.ask(open_line(g.manifest(auth=SIGNED), Where("http://127.0.0.1:9", {"app_key": "k"}), LOCAL, ("extranet",)))


async def no_address(g: Ground) -> None:
    await g.ask(open_line(g.manifest(), Where("dep.example", {}), LOCAL, ("extranet",)))


async def another_network(g: Ground) -> None:
    manifest = g.manifest(('contact = "x@example.com"', 'contact = "x@example.com"\nnetwork = "private"'))
    await g.ask(open_line(manifest, Where("http://127.0.0.1:9", {}), LOCAL, ("extranet",)))


def serving(said: Any, *edits: tuple[str, str], **more: Any) -> Callable[[Ground], Awaitable[None]]:
    return lambda g: g.served(said, *edits, **more)


def token(answer: bytes) -> Callable[[Ground], Awaitable[None]]:
    return serving(
        {"/oauth/token": answer, "/query": http(200, record())}, auth=OAUTH,
        told={"client_id": "a", "client_secret": "b"},
    )  # fmt: skip


def called_back(secret: str = "shared", *, skew_s: int = 0, body: bytes = b'{"key": "k-9", "status": "ok"}') -> Any:
    async def call(client: httpx.AsyncClient, _: dict[str, str]) -> httpx.Response:
        at, nonce = str(int(time.time()) + skew_s), secrets.token_hex(8)
        signature = hmac.digest(secret.encode(), f"{at}\n{nonce}\n".encode() + body, hashlib.sha256).hex()
        headers = {"x-timestamp": at, "x-nonce": nonce, "x-signature": signature}
        return await client.post("/v1/callbacks/dep", content=body, headers=headers)

    return lambda g: g.portal(call)


def asked(method: str, path: str, *, signed_in: bool = True, **more: Any) -> Callable[[Ground], Awaitable[None]]:
    async def call(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        return await client.request(method, path, headers=headers if signed_in else {}, **more)

    return lambda g: g.portal(call)


def session_ended(g: Ground) -> Awaitable[None]:
    async def call(client: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
        await g.pool.execute(
            "UPDATE sessions SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'"
        )
        return await client.get("/v1/me", headers=headers)

    return g.portal(call)


IN_TEN_MINUTES = email.utils.formatdate(time.time() + 600, usegmt=True)
NO_DATA = json.dumps({"code": 40999, "message": "unknown item code"}).encode()
# name: how it is set up wrongly → link, code, who acts, fact, and what the sentence must name
SEEDED: dict[str, tuple[Callable[[Ground], Awaitable[None]], str, str, str, str | None, str]] = {
    "wrong secret": (
        serving(http(401), auth=KEY, told={"api_key": "x"}),
        "agreement",
        "upstream.denied",
        "operator",
        "status_denied",
        "api_key",
    ),
    "certificate expired": (
        lambda g: g.tls(True, ended=datetime.date(2025, 3, 1)),
        "upstream",
        "upstream.unreachable",
        "department",
        "tls_expired",
        "2025-03-01",
    ),
    "certificate of another host": (
        lambda g: g.tls(True, host="other.example"),
        "upstream",
        "upstream.unreachable",
        "operator",
        "tls_wrong_host",
        "127.0.0.1",
    ),
    "unknown authority": (
        lambda g: g.tls(False),
        "upstream",
        "upstream.unreachable",
        "operator",
        "tls_unknown_authority",
        "issuer",
    ),
    "address not allowed": (
        address_refused,
        "upstream",
        "upstream.unreachable",
        "operator",
        "address_refused",
        "127.0.0.1",
    ),
    "name unknown": (name_unknown, "upstream", "upstream.unreachable", "operator", "name_unknown", "nobody.invalid"),
    "nobody listens": (
        nobody_listens,
        "upstream",
        "upstream.unreachable",
        "department",
        "nobody_listens",
        "127.0.0.1:",
    ),
    "https to a plain port": (
        tls_to_a_plain_port,
        "upstream",
        "upstream.unreachable",
        "operator",
        "tls_not_spoken",
        "https",
    ),
    "http to a tls port": (plain_to_a_tls_port, "upstream", "upstream.cut", "department", "closed_unanswered", "TLS"),
    "path not found": (serving(http(404)), "schema", "upstream.refused", "operator", "status_path", "POST /query"),
    "method not allowed": (serving(http(405)), "schema", "upstream.refused", "operator", "status_method", "405"),
    "wrong content type": (serving(http(415)), "schema", "upstream.refused", "operator", "status_media_type", "415"),
    "xml where json was agreed": (
        serving(http(200, b"<data/>")),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "body_markup",
        "json",
    ),
    "an html page": (
        serving(http(200, b"<!doctype html><p>Sign in")),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "body_markup",
        "HTML",
    ),
    "wrong charset": (
        serving(http(200, '{"data": "林"}'.encode("gb18030"))),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "body_charset",
        "utf-8",
    ),
    "cut json": (
        serving(http(200, record()[:-4])),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "body_unreadable",
        "json_malformed",
    ),
    "gzip bomb": (
        serving(http(200, gzip.compress(b"0" * 400_000), Content_Encoding="gzip"), SMALL),
        "mapping",
        "upstream.bad_reply",
        "department",
        "reply_inflates",
        "4096",
    ),
    "reply too large": (
        serving(http(200, record(answer="x" * 9000)), SMALL),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "reply_too_large",
        "4096",
    ),
    "not http": (
        serving(b"SSH-2.0-OpenSSH_9.6\r\n"),
        "upstream",
        "upstream.bad_reply",
        "department",
        "reply_malformed",
        "malformed",
    ),
    "cut off": (serving(None), "upstream", "upstream.cut", "department", "closed_unanswered", "127.0.0.1"),
    "time limit too short": (
        serving(http(200, record()), after_s=0.8, within_s=0.25),
        "upstream",
        "upstream.timeout",
        "department",
        "answer_timeout",
        "2.0",
    ),
    "connect limit too short": (
        connect_too_short,
        "upstream",
        "upstream.unreachable",
        "department",
        "connect_timeout",
        "0.15",
    ),
    "member missing": (
        serving(http(200, b'{"result": {}}')),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "member_missing",
        "{result}",
    ),
    "unknown code": (
        serving(http(200, NO_DATA)),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "member_missing",
        "{code, message}",
    ),
    "int expected": (
        serving(http(200, record(answer="forty")), (FIELD, 'reply.fields = { answer = "data.answer | int" }')),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "value_shape",
        "data.answer | int",
    ),
    "date expected": (
        serving(http(200, record(answer="1.2.26")), (FIELD, 'reply.fields = { answer = "data.answer | date" }')),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "value_shape",
        "data.answer | date",
    ),
    "instant expected": (
        serving(http(200, record(as_of=7))),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "value_shape",
        "data.as_of | instant",
    ),
    "unknown status value": (
        lambda g: g.effect(http(200, b'{"status": "odd"}'), "none"),
        "mapping",
        "upstream.bad_reply",
        "operator",
        "value_shape",
        "ok, no, fix",
    ),
    "somebody else's record": (
        serving(http(200, record(BEN))),
        "mapping",
        "upstream.bad_reply",
        "department",
        "subject_mismatch",
        "data.id_number",
    ),
    "old record": (
        serving(http(200, record(as_of=OLD)), ("total_s = 2.0", "total_s = 2.0\nfresh_s = 864000")),
        "mapping",
        "upstream.stale",
        "department",
        "old_reply",
        "10",
    ),
    "status not in the error map": (
        serving(http(409)),
        "mapping",
        "upstream.refused",
        "operator",
        "status_unlisted",
        "409",
    ),
    "entry of the error map": (
        serving(
            http(200, NO_DATA),
            ("total_s = 2.0", 'total_s = 2.0\nerrors = [{ path = "code", equals = 40999, outcome = "invalid" }]'),
        ),
        "schema",
        "upstream.refused",
        "department",
        "error_case",
        "code",
    ),
    "system failed": (serving(http(503)), "upstream", "upstream.down", "department", "status_down", "503"),
    "breaker open": (breaker_open, "breaker", "upstream.paused", "department", "breaker_open", "5"),
    "line full": (limit_full, "limit", "upstream.full", "operator", "line_full", "127.0.0.1"),
    "agreed pace": (too_fast, "limit", "upstream.full", "operator", "pace", "1"),
    "quota": (serving(http(429, Retry_After="17")), "quota", "upstream.busy", "department", "status_busy", "17"),
    "clock skew": (
        serving(http(401, Date=IN_TEN_MINUTES), auth=SIGNED, told={"app_key": "a", "app_secret": "b"}),
        "agreement",
        "upstream.denied",
        "operator",
        "clock_skew",
        "",
    ),
    "token endpoint 401": (token(http(401)), "agreement", "upstream.no_token", "operator", "token_status", "401"),
    "token endpoint 404": (
        token(http(404)),
        "agreement",
        "upstream.no_token",
        "operator",
        "token_status",
        "/oauth/token",
    ),
    "token endpoint html": (
        token(http(200, b"<html>")),
        "agreement",
        "upstream.no_token",
        "department",
        "token_unreadable",
        "/oauth/token",
    ),
    "no environment entry": (
        no_environment,
        "upstream",
        "upstream.not_connected",
        "operator",
        "no_environment",
        "[adapters.dep]",
    ),
    "no secret": (no_secret, "upstream", "upstream.not_connected", "operator", "missing_secret", "app_secret"),
    "no address": (no_address, "upstream", "upstream.not_connected", "operator", "not_opened", "environment file"),
    "another network": (
        another_network,
        "upstream",
        "upstream.not_connected",
        "operator",
        "network_refused",
        "private",
    ),
    "step without look-up": (
        lambda g: g.effect(None, "none"),
        "upstream",
        "upstream.unknown_outcome",
        "clerk",
        "step_unknown",
        "",
    ),
    "callback with a wrong secret": (
        called_back("wrong"),
        "identity",
        "callback.not_genuine",
        "department",
        "callback_signature",
        "X-Signature",
    ),
    "callback too old": (
        called_back(skew_s=-4000),
        "identity",
        "callback.not_genuine",
        "department",
        "callback_skew",
        "300",
    ),
    "callback with an unknown key": (called_back(), "schema", "callback.unknown", "department", "callback_key", "key"),
    "callback that is no json": (
        called_back(body=b"<done/>"),
        "schema",
        "callback.unreadable",
        "department",
        "callback_body",
        "markup",
    ),
    "person unknown": (
        asked("POST", "/v1/auth/tokens", signed_in=False, json={"person": "nobody"}),
        "identity",
        "identity.person_unknown",
        "caller",
        None,
        "",
    ),
    "session ended": (session_ended, "identity", "auth.required", "caller", "session_over", ""),
    "nobody signed in": (
        asked("GET", "/v1/me", signed_in=False),
        "identity",
        "auth.required",
        "caller",
        "not_signed_in",
        "",
    ),
    "role not allowed": (
        asked("GET", "/v1/adapters"),
        "mandate",
        "auth.role_not_allowed",
        "caller",
        "request_role",
        "citizen",
    ),
    "unknown want": (
        asked("POST", "/v1/me/lookups", json={"wants": ["horoscope"]}),
        "schema",
        "lookup.unknown_want",
        "caller",
        "request_fields",
        "/wants/0",
    ),
    "body invalid": (
        asked("POST", "/v1/me/lookups", json={"wants": "dep"}),
        "schema",
        "form.invalid",
        "caller",
        "request_fields",
        "/wants type",
    ),
}


@pytest.mark.parametrize("name", SEEDED)
async def test_each_misconfiguration_is_named_with_link_code_actor_and_fact(ground, name):
    seed, link, code, who, decisive, word = SEEDED[name]
    await seed(ground)
    for lang in LANGUAGES:
        told = await ground.told(lang, code)
        sentence = f"{told.says} {told.detail or ''}"
        assert (told.link, told.code, told.who_acts, told.fact) == (link, code, who, decisive), sentence
        assert word in sentence, sentence
        assert told.fix
        assert re.search(r"[\u4e00-\u9fff]", sentence + told.fix) if lang == "zh" else True
        assert ANA not in json.dumps(msgspec.to_builtins(told))


def test_at_least_forty_are_seeded():
    assert len(SEEDED) >= 40


def test_every_fact_has_its_words():
    assert [code for code in FACTS if not (has(f"fact.{code}.says") and has(f"fact.{code}.fix"))] == []
