"""A line: everything between onestop and one department, made from one version of its manifest.

One small pool, one breaker an operation, one retry budget, one token cache. Calls are callbacks, not tasks: a fan-out
of five costs no task and one timer.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from onestop.gateway import facts
from onestop.gateway.auth import Credentials, TokenRefused, credentials
from onestop.gateway.facts import Fact
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

    def __init__(
        self,
        kind: FailureKind,
        sent: bool,
        detail: str = "",
        retry_after_s: float | None = None,
        fact: Fact | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FailureKind = kind
        self.sent = sent
        self.retry_after_s = retry_after_s
        self.fact = fact  # what decided, for whoever asks why


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A part of one call: a step, a page, an attempt that was repeated."""

    kind: str
    name: str
    start_ms: float  # since the call began
    took_ms: float
    outcome: str


class Where(msgspec.Struct, frozen=True):
    """Where a department's system is in this environment, and the secrets for it."""

    url: str
    secrets: dict[str, str]


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
        "pieces",
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
        self.pieces: list[Piece] | None = None  # steps, pages and repetitions, where there were any
        self.judged = False  # the breaker has heard of this call
        self.sending: Any = None
        self.timed = True  # False: whoever started it keeps its deadline
        self.started = line.loop.time()
        self.ended_at = 0.0

    @property
    def took_ms(self) -> float:
        """Milliseconds from start to end, or until now."""
        return ((self.ended_at or self.line.loop.time()) - self.started) * 1000

    def piece(self, kind: str, name: str, began: float, outcome: str) -> None:
        """Note a part of the call that has ended: a step, a page, a repeated attempt; `began` is loop time."""
        told = Piece(
            kind=kind,
            name=name,
            start_ms=round((began - self.started) * 1000, 2),
            took_ms=round((self.line.loop.time() - began) * 1000, 2),
            outcome=outcome,
        )
        self.pieces = [*(self.pieces or []), told]

    def why_late(self) -> Fact:
        """Return what a call that has not ended waits for."""
        waited_s = round(self.took_ms / 1000, 2)
        spec = self.prepared.spec
        if self.sending is not None and self.sending.connection is None:
            host, port = self.line.pool.host, self.line.pool.port
            return facts.fact("connect_timeout", host=host, port=port, limit_s=min(waited_s, spec.connect_s))
        return facts.fact("answer_timeout", waited_s=waited_s, limit_s=spec.total_s)

    def overdue(self) -> None:
        """Tell the breaker that the caller has stopped waiting; the answer may still come."""
        if not self.judged:
            self.judged = True
            self.breaker.failed(self.line.loop.time())
            self.line.last_failure[self.prepared.spec.id] = "upstream.timeout"

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
            good = answer.kind not in ("down", "bad_reply")
            self._judge(good, now)
            if not good:
                self.line.last_failure[self.prepared.spec.id] = f"upstream.{answer.kind}"
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
        failure = _failure(outcome, self)
        self.line.last_failure[self.prepared.spec.id] = f"upstream.{failure.kind}"
        self.end(failure)

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
        self.piece("retry", str(self.attempts), self.started, error.reason)
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
        url = _address(where.url)
        if url is None or url.scheme not in ("http", "https") or not url.hostname:
            raise BadManifest(f"adapter {manifest.id}: {where.url!r} is not an http address", rule="ADP-132")
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
        self.last_failure: dict[str, str] = {}  # of each operation: the code of its problem
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
            wait_s = max(round(call.breaker.until - now, 1), 0.1)
            return CallFailed("paused", False, retry_after_s=wait_s, fact=self._paused(call.breaker, operation))
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
            reason = facts.fact("request_unwritable", reason=_why_unwritable(fault))
            self.loop.call_soon(call.end, CallFailed("unmappable", False, type(fault).__name__, fact=reason))
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
                        pace = self.manifest.limits.per_second or 0.0
                        why = facts.fact("pace", per_second=pace, wait_s=round(wait, 1))
                        raise CallFailed("full", False, "the department's own limit of calls", round(wait, 1), why)
                    await asyncio.sleep(wait)
        except CallFailed as failure:
            call.breaker.abandoned()
            call.end(failure)
        except (TokenRefused, TimeoutError, OutboundError) as fault:
            call.overdue()
            call.end(CallFailed("no_token", False, str(fault) or "time ran out", fact=self._no_token(fault, call)))
        else:
            self.write(call)

    def _no_token(self, fault: Exception, call: Call) -> Fact:
        if isinstance(fault, OutboundError):
            return facts.of_error(fault, call.prepared.spec, self.pool.host, self.pool.port, call.took_ms / 1000)
        path = str(getattr(self.manifest.auth, "token_path", "") or getattr(self.manifest.auth, "path", ""))
        return facts.of_token(str(fault) or "time ran out", path)

    def _paused(self, breaker: Breaker, operation: str) -> Fact:
        since_s = round(self.loop.time() - breaker.opened_at, 1)
        why = self.last_failure.get(operation, "upstream.down")
        return facts.fact("breaker_open", since_s=since_s, failed=breaker.failed_in_row, why=why)

    async def _exchange(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        message = build_request(method, self._prefix + path, self.host, headers, body)
        reply = await self.pool.ask(message, self.loop.time() + 3.0)
        return reply.status, reply.body

    def _later(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

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


def _failure(error: OutboundError, call: Call) -> CallFailed:
    """Return what an error of the wire means for a call, with the fact that decided."""
    pool = call.line.pool
    why = facts.of_error(error, call.prepared.spec, pool.host, pool.port, call.took_ms / 1000)
    if isinstance(error, TooManyWaiting):
        return CallFailed("full", False, retry_after_s=1.0, fact=why)
    if isinstance(error, BadMessage):
        return CallFailed("unmappable", False, error.reason, fact=why)
    if isinstance(error, NotSent):
        return CallFailed("unreachable", False, error.reason, fact=why)
    if isinstance(error, DeadlinePassed):
        return CallFailed("timeout", True, error.reason, fact=why)
    return CallFailed("cut" if isinstance(error, ConnectionLost) else "bad_reply", True, error.reason, fact=why)


def _why_unwritable(fault: Exception) -> str:
    """Say what is wrong with our own request; never with which value."""
    return f"{fault.reason} {fault.detail}".strip() if isinstance(fault, OutboundError) else type(fault).__name__


def _address(text: str) -> SplitResult | None:
    """Take an address apart; None where it is none."""
    try:
        url = urlsplit(text)
        _ = url.port
    except ValueError:
        return None
    return url


def environment(data: Mapping[str, Any]) -> dict[str, Where]:
    """Read the environment file's `[adapters.<id>]` tables: `url`, everything else is a secret."""
    found = {}
    for name, entry in data.get("adapters", {}).items():
        told = {key: str(value) for key, value in entry.items() if key != "url"}
        found[name] = Where(str(entry.get("url", "")), told)
    return found
