"""A line: everything between onestop and one department, made from one version of its manifest.

One small pool, one breaker an operation, one retry budget, one token cache. Calls are callbacks, not tasks: a fan-out
of five costs no task and one timer.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from onestop.gateway.auth import Credentials, TokenRefused, credentials
from onestop.gateway.limits import Breaker, Pace, RetryBudget
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.operations import Answer, Prepared, prepare
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import BadMessage, ConnectionLost, DeadlinePassed, NotSent, OutboundError, TooManyWaiting
from onestop.outbound.message import build_request
from onestop.outbound.models import Reply
from onestop.outbound.pool import Pool

FailureKind = Literal["paused", "full", "unreachable", "timeout", "cut", "bad_reply", "no_token", "unmappable"]


class CallFailed(Exception):
    """A call that brought no answer; `sent` says whether the department may have seen it."""

    def __init__(self, kind: FailureKind, sent: bool, detail: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FailureKind = kind
        self.sent = sent
        self.retry_after_s = retry_after_s


class Where(msgspec.Struct, frozen=True):
    """Where a department's system is in this environment, and the secrets for it."""

    url: str
    secrets: dict[str, str]
    also: dict[str, tuple[str, ...]] = {}  # other values that are believed of the department, while keys change


class Call:
    """One call under way; `done` hears exactly once."""

    __slots__ = (
        "attempts",
        "breaker",
        "deadline",
        "done",
        "ended_at",
        "judged",
        "line",
        "number",
        "prepared",
        "sending",
        "started",
        "timed",
        "values",
    )

    def __init__(
        self,
        line: "Line",
        prepared: Prepared,
        values: dict[str, Any],
        deadline: float,
        done: Callable[["Call", Answer | CallFailed], None],
    ) -> None:
        self.line = line
        self.prepared = prepared
        self.values = values
        self.number: str | None = None
        self.deadline = deadline  # loop time
        self.done = done
        self.breaker = line.breakers[prepared.spec.id]
        self.attempts = 0
        self.judged = False  # the breaker has heard of this call
        self.sending: Any = None
        self.timed = True  # False: whoever started it keeps its deadline
        self.started = line.loop.time()
        self.ended_at = 0.0

    @property
    def took_ms(self) -> float:
        """Milliseconds from start to end, or until now."""
        return ((self.ended_at or self.line.loop.time()) - self.started) * 1000

    def overdue(self) -> None:
        """Tell the breaker that the caller has stopped waiting; the answer may still come."""
        if not self.judged:
            self.judged = True
            self.breaker.failed(self.line.loop.time())

    def keep_time(self) -> None:
        """Keep the deadline from now on: whoever started the call no longer does."""
        self.timed = True
        if self.sending is not None:
            self.sending.timed = True
            self.sending.end_by(self.deadline)

    def cancel(self) -> None:
        """Give the call up; `done` then hears of it."""
        if self.sending is not None:
            self.sending.cancel()

    def end(self, outcome: Answer | CallFailed) -> None:
        """Hand the outcome to whoever asked."""
        self.ended_at = self.line.loop.time()
        self.done(self, outcome)

    def heard(self, outcome: Reply | OutboundError) -> None:
        """Take what the wire brought."""
        now = self.line.loop.time()
        # Not by `Reply`: asking whether something is a msgspec struct goes through Python's abstract classes.
        if not isinstance(outcome, OutboundError):
            answer = self.prepared.answer(outcome, self.number)
            self._judge(answer.kind not in ("down", "bad_reply"), now)
            if answer.kind == "denied":
                self.line.credentials.spoiled()
            self.end(answer)
            return
        if self._again(outcome, now):
            return
        if isinstance(outcome, TooManyWaiting):
            # Our own bound, not the department's fault; its other callers speak for it.
            if not self.judged:
                self.judged = True
                self.breaker.abandoned()
        else:
            self._judge(False, now)
        self.end(_failure(outcome))

    def _judge(self, good: bool, now: float) -> None:
        if not self.judged:
            self.judged = True
            if good:
                self.breaker.succeeded(now)
            else:
                self.breaker.failed(now)

    def _again(self, error: OutboundError, now: float) -> bool:
        """Repeat once where that is safe: nothing was sent, or the operation may be repeated and the wire broke."""
        if self.attempts > 1 or now >= self.deadline:
            return False
        if isinstance(error, NotSent):
            repeatable = not isinstance(error, (TooManyWaiting, BadMessage))
        else:
            repeatable = self.prepared.spec.idempotent == "safe" and isinstance(error, ConnectionLost)
        if not repeatable or not self.line.retries.spend():
            return False
        self.line.write(self)
        return True


class Line:
    """All calls to one department's system; made and used inside one running loop."""

    def __init__(self, manifest: Manifest, where: Where, allow: AllowList) -> None:
        self.loop = asyncio.get_running_loop()
        self.manifest = manifest
        self.operations = prepare(manifest)
        self.breakers = {name: Breaker() for name in self.operations}
        self.retries = RetryBudget()
        self.pace = Pace(manifest.limits.per_second) if manifest.limits.per_second else None
        url = urlsplit(where.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise BadManifest(f"adapter {manifest.id}: {where.url!r} is not an http address")
        port = url.port or (443 if url.scheme == "https" else 80)
        self.host = f"{url.hostname}:{port}" if url.port else url.hostname
        self._prefix = url.path.rstrip("/")
        self.pool = Pool(
            url.hostname,
            port,
            allow=allow,
            tls=ssl.create_default_context() if url.scheme == "https" else None,
            max_connections=manifest.limits.concurrency,
            max_waiting=manifest.limits.waiting,
            connect_s=max((o.connect_s for o in manifest.operations), default=0.5),
        )
        self.credentials: Credentials = credentials(manifest, where.secrets, self._exchange)
        self.secrets = where.secrets
        self._also = where.also
        self._tasks: set[asyncio.Task[None]] = set()

    def start(
        self,
        operation: str,
        values: dict[str, Any],
        deadline: float,
        done: Callable[[Call, Answer | CallFailed], None],
        number: str | None = None,
        *,
        timed: bool = True,
    ) -> Call | CallFailed:
        """Start a call; `done` hears of its end exactly once, never from inside.

        Without `timed` the caller keeps the deadline: it cancels the call, or tells it to keep time itself.

        Returns the failure at once, without a call, where the breaker is open.
        """
        prepared = self.operations[operation]
        call = Call(self, prepared, values, deadline, done)
        call.number = number
        call.timed = timed
        now = self.loop.time()
        if not call.breaker.allows(now):
            return CallFailed("paused", False, retry_after_s=max(round(call.breaker.until - now, 1), 0.1))
        self.retries.earned()
        if self.credentials.ready and self.pace is None:
            self.write(call)
        else:
            self._later(self._prepare_and_write(call))
        return call

    async def ask(self, operation: str, values: dict[str, Any], timeout_s: float, number: str | None = None) -> Answer:
        """Do one call and wait for its answer.

        Raises:
            CallFailed: there was no answer; `sent` says whether the department may have seen the call.
        """
        future: asyncio.Future[Answer | CallFailed] = self.loop.create_future()

        def done(_: Call, outcome: Answer | CallFailed) -> None:
            if not future.done():
                future.set_result(outcome)

        call = self.start(operation, values, self.loop.time() + timeout_s, done, number)
        if isinstance(call, CallFailed):
            raise call
        try:
            outcome = await future
        except asyncio.CancelledError:
            call.cancel()
            raise
        if isinstance(outcome, CallFailed):
            raise outcome
        return outcome

    def write(self, call: Call) -> None:
        """Put a call on the wire; every attempt is signed anew."""
        call.attempts += 1
        try:
            path, query, headers, body = call.prepared.request(call.values)
            path = self._prefix + path
            extra, query = self.credentials.apply(call.prepared.spec.method, path, query, body)
            headers += extra
            trace = call.values.get("traceparent")
            if trace is not None:
                headers.append(("traceparent", trace))
            left_ms = int((call.deadline - self.loop.time()) * 1000)
            headers.append(("Onestop-Deadline", str(int(time.time() * 1000) + left_ms)))
            target = f"{path}?{query}" if query else path
            message = build_request(call.prepared.spec.method, target, self.host, headers, body)
        except (BadMessage, UnicodeEncodeError, ValueError) as fault:
            # Our own values cannot be written as the manifest says: no word about the department's health.
            call.judged = True
            call.breaker.abandoned()
            self.loop.call_soon(call.end, CallFailed("unmappable", False, type(fault).__name__))
            return
        call.sending = self.pool.send(message, call.deadline, call.heard, call.prepared.limits, timed=call.timed)

    async def _prepare_and_write(self, call: Call) -> None:
        """The slow way: a token must be fetched, or the department's pace kept."""
        try:
            async with asyncio.timeout_at(call.deadline):
                if not self.credentials.ready:
                    await self.credentials.prepare()
                while self.pace is not None and (wait := self.pace.wait_s(self.loop.time())) > 0:
                    if self.loop.time() + wait >= call.deadline:
                        raise CallFailed("full", False, "the department's own limit of calls", round(wait, 1))
                    await asyncio.sleep(wait)
        except CallFailed as failure:
            call.breaker.abandoned()
            call.end(failure)
        except (TokenRefused, TimeoutError, OutboundError) as fault:
            call.overdue()
            call.end(CallFailed("no_token", False, str(fault) or "time ran out"))
        else:
            self.write(call)

    async def _exchange(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        message = build_request(method, self._prefix + path, self.host, headers, body)
        reply = await self.pool.ask(message, self.loop.time() + 3.0)
        return reply.status, reply.body

    def _later(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def accepted(self, name: str) -> tuple[str, ...]:
        """Return every value of a secret that is believed now, the one we use ourselves first."""
        own = self.secrets.get(name, "")
        return (own, *self._also.get(name, ())) if own else self._also.get(name, ())

    def health(self) -> dict[str, Any]:
        """Tell how the line is: breakers that are not closed, connections, calls that wait."""
        now = self.loop.time()
        return {
            "adapter": self.manifest.id,
            "version": self.manifest.version,
            "breakers": {
                name: {"state": b.state, "retry_after_s": max(round(b.until - now, 1), 0.0)}
                for name, b in self.breakers.items()
                if b.state != "closed"
            },
            "connections": self.pool.open,
            "waiting": self.pool.waiting,
        }

    async def close(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        await self.pool.close()


def _failure(error: OutboundError) -> CallFailed:
    if isinstance(error, TooManyWaiting):
        return CallFailed("full", False, retry_after_s=1.0)
    if isinstance(error, BadMessage):
        return CallFailed("unmappable", False, error.reason)
    if isinstance(error, NotSent):
        return CallFailed("unreachable", False, error.reason)
    if isinstance(error, DeadlinePassed):
        return CallFailed("timeout", True, error.reason)
    return CallFailed("cut" if isinstance(error, ConnectionLost) else "bad_reply", True, error.reason)


def environment(data: Mapping[str, Any]) -> dict[str, Where]:
    """Read the environment file's `[adapters.<id>]` tables: `url`, everything else is a secret."""
    found = {}
    for name, entry in data.get("adapters", {}).items():
        told = {key: str(value) for key, value in entry.items() if key != "url"}
        found[name] = Where(str(entry.get("url", "")), told)
    return found
