"""A small app behind the real front desk: notes of two people, for everything the desk does."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Any

import httpx
import msgspec
import pytest
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, URLEncodedBody
from msgspec import Meta

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.errors import Internal, Unauthenticated
from onestop.http import etags, idempotency
from onestop.http.app_parts import build
from onestop.http.desk import FrontDesk
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.settings import Settings

SITE = "http://portal.test"


class Child(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A child."""

    name: Annotated[str, Meta(min_length=1, max_length=20)]
    born_on: date


class Note(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a citizen sends."""

    words: Annotated[str, Meta(max_length=200)]
    count: Annotated[int, Meta(ge=0, le=99)] = 0
    children: Annotated[list[Child], Meta(max_length=3)] = []
    more: Any = None


class Kept(msgspec.Struct, frozen=True):
    """What comes back."""

    id: str
    words: str


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A form of a page."""

    words: str
    count: int = 0


@dataclass
class FakeSession:
    principal: str
    role: str = "citizen"
    kind: str = "bearer"


@dataclass
class FakeSessions:
    """Knows `Bearer ana`, `Bearer ben`, and the cookie `ana`; `Bearer slow-…` has to be asked for."""

    resolved: list[str] = field(default_factory=list)

    def peek(self, authorization: str | None, cookie: str | None) -> FakeSession | None:
        if authorization is not None:
            name = authorization.removeprefix("Bearer ")
            return FakeSession(f"{name}/citizen") if name in ("ana", "ben") else None
        return FakeSession("ana/citizen", kind="cookie") if cookie == "ana" else None

    async def resolve(self, authorization: str | None, cookie: str | None) -> FakeSession | None:
        self.resolved.append(str(authorization or cookie))
        if authorization == "Bearer slow-clerk":
            return FakeSession("clerk/clerk", role="clerk")
        if authorization == "Bearer broken":
            raise ConnectionRefusedError
        if authorization is not None:
            raise Unauthenticated()
        return None


def handlers(keys: Keys, pool: Pool, made: list[str]) -> list[Any]:
    """The routes of the small app."""

    @post("/v1/notes", status_code=201)
    async def write(data: JSONBody[Note]) -> Kept:
        """Keep a note."""
        return Kept("note_1", data.words)

    @post("/v1/small", opt={"max_body": 100})
    async def small(data: JSONBody[Note]) -> Kept:
        """Keep a small note."""
        return Kept("note_1", data.words)

    @post("/v1/optional", status_code=200)
    async def optional(data: JSONBody[Note | None] = None) -> dict[str, bool]:
        """Take a note or none."""
        return {"given": data is not None}

    @post("/v1/empty", status_code=200)
    async def empty() -> dict[str, bool]:
        """Take nothing."""
        return {"ok": True}

    @get("/v1/notes/{note_id:str}", opt={"versioned": True})
    async def read(context: NamedDependency[Context], note_id: FromPath[str]) -> Response[Any]:
        """Read a note."""
        if etags.unchanged(context, 7):
            return etags.not_modified(7)
        return Response(Kept(note_id, "seven"), headers=etags.headers(7))

    @put("/v1/notes/{note_id:str}", opt={"edits": True})
    async def change(context: NamedDependency[Context], note_id: FromPath[str], data: JSONBody[Note]) -> Kept:
        """Change a note."""
        etags.check_match(context, 7)
        return Kept(note_id, data.words)

    @get("/v1/numbers/{number:int}")
    async def number(
        number: FromPath[int], limit: FromQuery[Annotated[int, QueryParameter(ge=1, le=200)]] = 50
    ) -> dict[str, int]:
        """Count."""
        return {"number": number, "limit": limit}

    @get("/v1/open", opt={"public": True})
    async def open_(context: NamedDependency[Context]) -> dict[str, Any]:
        """Tell what the desk found out."""
        return {
            "lang": context.lang,
            "principal": context.principal,
            "budget_ms": context.budget_ms,
            "left": context.remaining_s(),
            "trace_id": context.trace_id,
            "span_id": context.span_id,
        }

    @get("/v1/clerks", opt={"roles": {"clerk"}})
    async def clerks() -> dict[str, bool]:
        """For clerks alone."""
        return {"ok": True}

    @get("/page", opt={"public": True}, media_type="text/html")
    async def page(context: NamedDependency[Context]) -> str:
        return f"<p>{context.lang}"

    @post("/page", opt={"public": True}, media_type="text/html", status_code=200)
    async def form(data: URLEncodedBody[Form]) -> str:
        return f"<p>{data.count}"

    @post("/hook", opt={"public": True, "raw": True}, status_code=200)
    async def hook(request: Request[Any, Any, Any]) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @get("/v1/breaks/{how:str}", opt={"public": True})
    async def breaks(how: FromPath[str]) -> None:
        """Fail in many ways."""
        if how == "database":
            raise ConnectionRefusedError("secret host name")
        if how == "time":
            raise TimeoutError
        if how == "group":
            raise ExceptionGroup("tasks", [Unauthenticated()])
        if how == "internal":
            raise Internal("secret detail")
        if how == "recursion":
            raise RecursionError("secret depth")
        raise RuntimeError("secret 990100199001010011")

    @post("/v1/things", opt={"idempotent": True, "fanout": True}, status_code=201)
    async def make(keyed: NamedDependency[Keyed], data: JSONBody[Note]) -> Response[bytes]:
        """Make a thing, once."""

        async def write(db: Connection) -> Reply:
            made.append(data.words)
            await db.execute(
                "INSERT INTO installation (name, value) VALUES ($1, 'true')", f"{keyed.principal}{len(made)}"
            )
            body = msgspec.json.encode(Kept(f"thing_{len(made)}", data.words))
            return Reply(status=201, body=body, made_id=f"thing_{len(made)}", headers={"location": "/v1/things/1"})

        return (await idempotency.once(pool, keys, keyed, write)).response()

    return [write, small, optional, empty, read, change, number, open_, clerks, page, form, hook, breaks, make]


Client = Callable[..., httpx.AsyncClient]


def client_of(desk: FrontDesk, who: str | None = "ana") -> httpx.AsyncClient:
    """A client that speaks to a desk directly, signed in by bearer token."""
    headers = {} if who is None else {"authorization": f"Bearer {who}"}
    transport = httpx.ASGITransport(app=desk, raise_app_exceptions=False)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url=SITE, headers=headers)


@pytest.fixture
def site_settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, public_url=SITE, admission_limit=4, log_level="warning")


@pytest.fixture
def made() -> list[str]:
    """The words of every thing really made, in order."""
    return []


@pytest.fixture
def desk(pool: Pool, keys: Keys, site_settings: Settings, made: list[str]) -> FrontDesk:
    return build(handlers(keys, pool, made), settings=site_settings, pool=pool, sessions=FakeSessions())


@pytest.fixture
async def ana(desk: FrontDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(desk) as client:
        yield client


@pytest.fixture
async def ben(desk: FrontDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(desk, "ben") as client:
        yield client


@pytest.fixture
async def nobody(desk: FrontDesk) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(desk, None) as client:
        yield client
