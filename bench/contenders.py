"""Who is measured: how each is started, what it is asked and how its answer is read."""

import json
import os
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import machine
from install import HERE, HOME

NOTE = "Please register at the new address."
NEW_CASE = json.dumps({"item": "bench-five", "submit": True, "answers": {"note": NOTE}}, separators=(",", ":"))


@dataclass(frozen=True)
class Given:
    """What a contender is given to work with."""

    dsn: str  # PostgreSQL by socket: postgresql://bench@/name?host=/directory
    departments: list[str]  # origins; GET and POST, any path, answer the same JSON record
    citizens: int
    home: Path  # a directory of its own


@dataclass(frozen=True)
class Ask:
    """One request of a job."""

    method: str
    path: str
    body: str = ""
    bearer: bool = True
    keyed: bool = False  # carries an Idempotency-Key, never used twice


@dataclass(frozen=True)
class Contender:
    """One server under test. `port` is in `argv` or `env` already; `argv` stays in the foreground."""

    name: str
    argv: list[str]
    env: Mapping[str, str]
    port: int
    tokens: Path  # one bearer token a line
    me: Ask = field(default=Ask("GET", "/me"))
    case: Ask = field(default=Ask("POST", "/cases", NEW_CASE, keyed=True))
    one: Ask = field(default=Ask("GET", "/pass", bearer=False))
    events: Ask = field(default=Ask("GET", "/events"))
    event_paths: Path | None = None  # where every citizen has an address of their own: one a line, as `tokens`
    ready: str = "/ready"
    wears_out: bool = False  # too much load does lasting harm, so that every run is on a fresh start
    recovers_within_s: float = 1  # after a department's trouble; one with a breaker may say more
    part_in_order: str = '"state":"ok"'  # stands in an answer once for each department that has answered
    rows: str = "SELECT (SELECT count(*) FROM cases), (SELECT count(*) FROM audit), (SELECT count(*) FROM effects)"
    rows_of_one_case: tuple[int, ...] = (1, 1, 5)
    refused_bodies: tuple[str, ...] = (
        "{",
        "[]",
        '{"item":"bench-five","submit":true}',
        '{"item":"bench-five","submit":true,"answers":{"note":7}}',
    )
    refused_tokens: Mapping[str, str] = field(default_factory=lambda: {"not a token": "x"})

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, ask: Ask, token: str | None = None, body: str | None = None) -> tuple[int, bytes]:
        """Send one request; `token` overrides the first citizen's ("" for none)."""
        headers = {"Accept": "application/json"}
        if ask.body:
            headers["Content-Type"] = "application/json"
        if ask.keyed:
            headers["Idempotency-Key"] = f"bench-{uuid.uuid4()}"
        bearer = self.first_token() if token is None else token
        if ask.bearer and bearer:
            headers["Authorization"] = f"Bearer {bearer}"
        return machine.fetch(self.origin + ask.path, ask.method, ask.body if body is None else body, headers)

    def first_token(self) -> str:
        return self.tokens.read_text().partition("\n")[0]

    def parts_in_order(self, answer: bytes) -> int:
        return answer.count(self.part_in_order.encode())


def peer(name: str, argv: list[str], given: Given, keep_tokens: bool) -> Contender:
    port = machine.free_port()
    env = {
        "PATH": os.environ["PATH"],
        "BENCH_DSN": given.dsn,
        "BENCH_DEPARTMENTS": ",".join(given.departments),
        "BENCH_KEY": str(HOME / "tokens/es256.pem"),
        "BENCH_PORT": str(port),
        "BENCH_NODE_MODULES": str(HOME / "node"),
        "BENCH_KEEP_TOKENS": "1" if keep_tokens else "0",
        "NODE_ENV": "production",
    }
    refused = json.loads((HOME / "tokens/refused.json").read_text())
    filled = [part.replace("{port}", str(port)) for part in argv]
    tokens = HOME / "tokens/tokens"
    return Contender(name, filled, env, port, tokens, refused_tokens=refused, wears_out=name == "fastapi")


# After an overload httpx's pool was seen to give out no connection any more, every call ending in PoolTimeout, as long
# as the process lived (known: encode/httpcore issue 1093). Hence `wears_out`: it is measured at its best.
def fastapi(given: Given, keep_tokens: bool) -> Contender:
    serve = ["-m", "uvicorn", "--app-dir", str(HERE / "peers"), "fastapi_app:app"]
    quiet = ["--no-access-log", "--log-level", "warning", "--host", "127.0.0.1", "--port", "{port}"]
    return peer("fastapi", [str(HOME / "venv/bin/python"), *serve, *quiet], given, keep_tokens)


def fastify(given: Given, keep_tokens: bool) -> Contender:
    return peer("fastify", [shutil.which("node") or "node", str(HERE / "peers/fastify_app.mjs")], given, keep_tokens)


def raw(given: Given, keep_tokens: bool) -> Contender:
    return peer("raw", [str(HOME / "venv/bin/python"), str(HERE / "peers/raw_app.py")], given, keep_tokens)


PEERS: dict[str, Callable[[Given, bool], Contender]] = {"fastapi": fastapi, "fastify": fastify, "raw": raw}
