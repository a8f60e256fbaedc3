"""What the front desk knows of a request and of a route."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, Literal, Protocol, TypeAlias

import msgspec

from onestop.errors import OnestopError, Unauthenticated
from onestop.http.errors import RoleNotAllowed
from onestop.texts import Language

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

Role = Literal["citizen", "clerk", "department", "governance", "operator"]
BodyKind = Literal["json", "form", "multipart", "raw"]

ANONYMOUS = "public"  # the principal of requests to open routes without a session


class Session(Protocol):
    """What the front desk reads of a session; `onestop.identity` makes them."""

    @property
    def principal(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def kind(self) -> str: ...


class Sessions(Protocol):
    """Who turns a credential into a session."""

    def peek(self, authorization: str | None, cookie: str | None) -> Session | None:
        """Return a session known without asking the database; None where it must be asked."""

    async def resolve(self, authorization: str | None, cookie: str | None) -> Session | None:
        """Return the session, or None where the credential stands for none."""


class Context(msgspec.Struct):
    """One request: its names, its language, its time, its session."""

    request_id: str
    trace_id: str  # 32 hex digits
    span_id: str  # 16 hex digits, this request's own
    lang: Language
    budget_ms: int
    deadline: float  # event loop time
    started: float  # `time.perf_counter`
    path: str  # as it came, without the query
    headers: Mapping[bytes, bytes]  # lower-case names; the last of several wins
    session: Any = None  # an `onestop.identity` session; `Any` because this room stands below that one
    status: int = 0  # of the reply; 0 until it begins
    refusal: OnestopError | None = None  # why a credential was not taken; at the end, what the request was refused with

    @property
    def principal(self) -> str:
        """Return whose keys and limits these are."""
        return ANONYMOUS if self.session is None else str(self.session.principal)

    @property
    def traceparent(self) -> str:
        """Return the W3C header for calls made on behalf of this request."""
        return f"00-{self.trace_id}-{self.span_id}-01"

    @property
    def acting(self) -> bool:
        """Tell whether somebody acts for somebody else in this request."""
        return getattr(self.session, "mandate_id", None) is not None

    def remaining_s(self) -> float:
        """Return what is left of the budget in seconds, never below zero."""
        return max(0.0, self.deadline - asyncio.get_running_loop().time())

    def signed_in(self, roles: frozenset[str] | None = None) -> Any:
        """Return the session.

        Raises:
            Unauthenticated: there is none; a refused credential tells why.
            RoleNotAllowed: it is of another role.
        """
        if self.session is None:
            raise self.refusal or Unauthenticated()
        if roles is not None and self.session.role not in roles:
            raise RoleNotAllowed(role=self.session.role)
        return self.session


class RouteFacts(msgspec.Struct, frozen=True):
    """What a handler's `opt` and signature say, worked out once when the app is built."""

    public: bool = False
    roles: frozenset[str] | None = None  # None: anyone who is signed in
    reads: BodyKind | None = None
    kind: Any = None  # the type a JSON body becomes
    body_required: bool = False
    max_body: int = 65_536
    fanout: bool = False
    idempotent: bool = False
    acting: bool = False  # open to somebody who acts for somebody else; the route's room checks the mandate
    absent: bool = False  # answered as if it were not there
