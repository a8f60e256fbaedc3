"""A line: everything between onestop and one department, made from one version of its manifest.

Its places, breakers, retry budget and token are its own, so its bad day is too. Calls are callbacks, not tasks: a
fan-out of five costs no task and one timer.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from onestop import clock
from onestop.gateway import facts, lag
from onestop.gateway.adaptive import AdaptiveLimit
from onestop.gateway.admission import LANES, Admission
from onestop.gateway.auth.callbacks import callback_check
from onestop.gateway.auth.door import TokenDoor
from onestop.gateway.auth.kinds import Credentials, Outgoing, TokenRefused, always, credentials
from onestop.gateway.auth.tls import tls_context
from onestop.gateway.call import Call, CallFailed, Done, FailureKind
from onestop.gateway.course import Course
from onestop.gateway.facts import Fact
from onestop.gateway.kept import KeptAnswers, Question
from onestop.gateway.limits import Breaker, Pace, RetryBudget
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.models import Lane
from onestop.gateway.operations import Answer, Prepared, prepare
from onestop.gateway.overrides import Overrides
from onestop.gateway.replicas import Replica, Replicas
from onestop.gateway.where import Where, address, environment
from onestop.outbound.addresses import AllowList
from onestop.outbound.errors import BadMessage, OutboundError
from onestop.outbound.message import build_request, finish_request, start_request
from onestop.outbound.pool import Pool

log = structlog.get_logger(__name__)

__all__ = ("Call", "CallFailed", "FailureKind", "Line", "Where", "environment")


class Line:
    """All calls to one department's system; made and used inside one running loop."""

    def __init__(self, manifest: Manifest, where: Where, allow: AllowList) -> None:
        self.loop = asyncio.get_running_loop()
        self.lag = lag.of(self.loop)
        self.manifest = manifest
        self.operations = prepare(manifest, where.secrets)
        self.breakers = {(name, lane): Breaker() for name in self.operations for lane in LANES}
        self.retries = RetryBudget()
        limits = manifest.limits
        self.pace = Pace(limits.per_second) if limits.per_second else None
        self.paces = {o.id: Pace(o.per_second) for o in manifest.operations if o.per_second}
        self.admission = Admission(
            AdaptiveLimit(limits.concurrency, adaptive=limits.adaptive),
            limits.waiting,
            limits.window_share,
            {o.id: o.concurrency for o in manifest.operations if o.concurrency},
        )
        self.asked: dict[Question, Call] = {}  # questions under way, which others may share
        self.kept = KeptAnswers()
        self.replicas = self._open(manifest, where, allow)
        self._token_door = TokenDoor(where.token_url, manifest.id, allow, self._tls) if where.token_url else None
        first = self.replicas.all[0]
        self.credentials: Credentials = credentials(
            manifest,
            where.secrets,
            self._token_door.exchange if self._token_door else self._exchange,
            config=where.config,
            address=first.origin + first.prefix,
            token_url=where.token_url or "",
        )
        self._always = always(manifest, where.secrets, where.config)
        self.genuine = callback_check(manifest, where.secrets, where.config)
        self._config = where.config
        self.overrides = Overrides()
        self.last_failure: dict[str, str] = {}  # of each operation: the code of its problem
        self._tasks: set[asyncio.Task[None]] = set()
        self.where = where
        self.sample: Callable[[Line, str, Answer], None] | None = None  # hears every answer: who watches for drift

    def _open(self, manifest: Manifest, where: Where, allow: AllowList) -> Replicas:
        """Make a pool for each address.

        Raises:
            BadManifest: one is not an http address.
        """
        urls = (where.url, *where.replicas)
        self._tls = tls_context(manifest, where.secrets) if "https:" in f"{urls} {where.token_url}" else None
        replicas = []
        for told in urls:
            url = address(told)
            if url is None:
                sentence = f"adapter {manifest.id}: its url in the environment file is not an http address"
                raise BadManifest(sentence, rule="ADP-132")
            name = url.hostname or ""
            host = f"{name}:{url.port}" if url.port else name
            pool = Pool(
                name,
                url.port or (443 if url.scheme == "https" else 80),
                allow=allow,
                tls=self._tls if url.scheme == "https" else None,
                max_connections=manifest.limits.concurrency,
                max_waiting=manifest.limits.waiting,
                connect_s=max((o.connect_s for o in manifest.operations), default=0.5),
            )
            replicas.append(Replica(pool, f"{url.scheme}://{host}", host, url.path.rstrip("/")))
        return Replicas(replicas)

    def start(
        self,
        operation: str,
        values: dict[str, Any],
        deadline: float,
        done: Done,
        number: str | None = None,
        *,
        timed: bool = True,
        lane: Lane = "citizen",
        only: Prepared | None = None,
    ) -> Call | CallFailed:
        """Start a call; `done` hears of its end exactly once, never from inside.

        Without `timed` the caller keeps the deadline: it cancels the call, or tells it to keep time itself. `only` is
        one step of the operation.

        Returns the failure at once, without a call, where the breaker is open or too many wait already.
        """
        prepared = only or self.operations[operation]
        if self._config:
            values = {**values, "config": self._config}
        call = Call(self, prepared, values, deadline, done, lane)
        call.number = number
        call.timed = timed
        now = call.started
        forced = self._forced(operation) if self.overrides else None
        if isinstance(forced, CallFailed):
            return forced
        if not call.breaker.allows(now) and not forced:
            return self.paused(call)
        call.may_pass = bool(forced) or call.breaker.state == "half_open"
        if not self.admission.enter(call, now):
            call.breaker.abandoned()
            return self.full(operation)
        if call.waits:
            call.wait()
        return call

    def question(
        self, operation: str, values: dict[str, Any], deadline: float, done: Done, number: str, name: str, lane: Lane
    ) -> Call | CallFailed:
        """Start a query as `start` does, untimed, or listen to the same one about the same person that is under way."""
        question = (operation, number, name)
        under_way = self.asked.get(question)
        if under_way is not None and under_way.may_be_shared():
            under_way.listeners.append(done)
            under_way.extend(deadline)
            return under_way
        call = self.start(operation, values, deadline, done, number, timed=False, lane=lane)
        if isinstance(call, Call):
            call.shared_as = question
            self.asked[question] = call
        return call

    def go(self, call: Call) -> None:
        """Send a call that has its place."""
        self.retries.earned()
        course = call.course
        if course is not None and course.walk is not None and course.walk.at is None and not self._first(call, course):
            return
        spec = call.prepared.spec
        if self.pace is None and not self.paces and (self.credentials.ready or not spec.authenticate):
            self.write(call)
        else:
            self.write_when_ready(call)

    def _first(self, call: Call, course: Course) -> bool:
        """Make a call's first step its request; False: there is none to take, and the call ends."""
        try:
            first = course.first(call.values)
        except MappingFailed as fault:
            self._unwritable(call, fault)
            return False
        if first is None:
            self.loop.call_soon(call.end, course.main.read_or_tell({"steps": {}}, call.number))
            return False
        call.prepared = first
        return True

    def full(self, operation: str = "") -> CallFailed:
        """Return the failure of a call that found no place, with when there may be one."""
        return CallFailed("full", False, retry_after_s=self.admission.drains_in_s(operation), fact=self.why_full())

    def why_full(self) -> Fact:
        """Return the fact of a full line."""
        return facts.fact("line_full", host=self.replicas.all[0].host)

    async def ask(
        self,
        operation: str,
        values: dict[str, Any],
        timeout_s: float,
        number: str | None = None,
        *,
        lane: Lane = "citizen",
        only: Prepared | None = None,
    ) -> Answer:
        """Do one call and wait for its answer.

        Raises:
            CallFailed: there was no answer; `sent` says whether the department may have seen the call.
        """
        future: asyncio.Future[Answer | CallFailed] = self.loop.create_future()

        def done(_: Call, outcome: Answer | CallFailed) -> None:
            if not future.done():
                future.set_result(outcome)

        call = self.start(operation, values, self.loop.time() + timeout_s, done, number, lane=lane, only=only)
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
        """Put a call on the wire; every attempt is signed anew, and a further one goes elsewhere if it can."""
        call.attempts += 1
        now = self.loop.time()
        prepared = call.prepared
        course = call.course
        replica = (course.stay if course is not None else None) or self.replicas.choose(now, call.replica)
        try:
            path, query, headers, body = prepared.request(call.values)
            path = replica.prefix + path
            if course is not None:
                path, query = course.target or (path, query)
                course.asked = f"{path}?{query}" if query else path
            out = Outgoing(
                prepared.spec.method, replica.origin, path, query, headers, body, prepared.spec, call.values
            )  # fmt: skip
            if self._always is not None:
                self._always(out)
            if prepared.spec.authenticate:
                call.mark = self.credentials.mark
                self.credentials.apply(out)
            trace = call.values.get("traceparent")
            if trace is not None:
                headers.append(("traceparent", trace))
            headers.append(("Onestop-Deadline", str(int((time.time() + call.deadline - now) * 1000))))
            message = finish_request(_start(replica, prepared, out), headers, out.body)
        except (BadMessage, UnicodeEncodeError, ValueError, MappingFailed) as fault:
            self._unwritable(call, fault)
            return
        call.replica, call.written = replica, now
        replica.under_way += 1
        call.sending = replica.pool.send(message, call.deadline, call.heard, prepared.limits, timed=call.timed)

    def _unwritable(self, call: Call, fault: Exception) -> None:
        """End a call whose values cannot be written as the manifest says: no word about the department's health."""
        call.judged = True
        call.breaker.abandoned()
        why = facts.fact("request_unwritable", reason=_why_unwritable(fault))
        self.loop.call_soon(call.end, CallFailed("unmappable", False, type(fault).__name__, fact=why))

    def write_when_ready(self, call: Call) -> None:
        """Put a call on the wire as soon as there is a token and the department's pace allows."""
        self._later(self._prepare_and_write(call))

    async def _prepare_and_write(self, call: Call) -> None:
        """The slow way: a token must be fetched, or the department's pace kept."""
        try:
            async with asyncio.timeout_at(call.deadline):
                if call.prepared.spec.authenticate and not self.credentials.ready:
                    await self.credentials.prepare()
                for pace in (self.pace, self.paces.get(call.operation)):
                    if pace is not None:
                        await self._keep_pace(pace, call.deadline)
        except CallFailed as too_many:
            call.breaker.abandoned()
            call.end(too_many)
        except (TokenRefused, TimeoutError, OutboundError) as fault:
            call.overdue()
            call.end(CallFailed("no_token", False, str(fault) or "time ran out", fact=self._no_token(fault, call)))
        except Exception as fault:
            # A defect of ours ends this call: one that never ended would keep its place for ever.
            log.exception("call_not_prepared", adapter=self.manifest.id, operation=call.operation)
            call.breaker.abandoned()
            call.end(CallFailed("unmappable", False, type(fault).__name__))
        else:
            if call.listeners:
                self.write(call)
            else:
                call.end(CallFailed("timeout", False))  # everybody left while it was made ready

    async def _keep_pace(self, pace: Pace, deadline: float) -> None:
        while (wait := pace.wait_s(self.loop.time())) > 0:
            if self.loop.time() + wait >= deadline:
                why = facts.fact("pace", per_second=pace.per_second, wait_s=round(wait, 1))
                raise CallFailed("full", False, "the department's own limit of calls", round(wait, 1), why)
            await asyncio.sleep(wait)

    def _no_token(self, fault: Exception, call: Call) -> Fact:
        if isinstance(fault, OutboundError):
            pool = self.replicas.all[0].pool
            return facts.of_error(fault, call.prepared.spec, pool.host, pool.port, call.took_ms / 1000)
        path = str(getattr(self.manifest.auth, "token_path", "") or getattr(self.manifest.auth, "path", ""))
        return facts.of_token(str(fault) or "time ran out", path)

    def _forced(self, operation: str) -> CallFailed | bool:
        """Return the failure of a call that an operator has stopped, else whether one lets it pass an open breaker."""
        now = clock.real_now()
        found = self.overrides.find(self.manifest.id, operation, now)
        if found is None or found.state == "passing":
            return found is not None
        left_s = max((found.until - now).total_seconds(), 1.0)
        why = facts.fact("stopped", until=found.until.isoformat(timespec="minutes"))
        return CallFailed("stopped", False, retry_after_s=round(left_s, 1), fact=why)

    def paused(self, call: Call) -> CallFailed:
        """Return the failure of a call that an open breaker holds back, with when it may be tried again."""
        now, breaker = self.loop.time(), call.breaker
        why = facts.fact(
            "breaker_open",
            since_s=round(now - breaker.opened_at, 1),
            failed=breaker.failed_in_row,
            why=self.last_failure.get(call.operation, "upstream.down"),
        )
        return CallFailed("paused", False, retry_after_s=max(round(breaker.until - now, 1), 0.1), fact=why)

    async def _exchange(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes) -> tuple[int, bytes]:
        replica = self.replicas.choose(self.loop.time())
        message = build_request(method, replica.prefix + path, replica.host, headers, body)
        reply = await replica.pool.ask(message, self.loop.time() + 3.0)
        return reply.status, reply.body

    def _later(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def breaker(self, operation: str) -> Breaker:
        """Return the breaker that tells most of an operation: the least well of its lanes'."""
        return max((self.breakers[operation, lane] for lane in LANES), key=lambda one: (one.until, one.failed_in_row))

    def health(self) -> dict[str, Any]:
        """Tell how the line is: breakers that are not closed, places, calls under way and waiting, addresses out."""
        now = self.loop.time()
        worst = {name: self.breaker(name) for name in self.operations}
        return {
            "adapter": self.manifest.id,
            "version": self.manifest.version,
            "breakers": {
                name: {"state": b.state, "retry_after_s": max(round(b.until - now, 1), 0.0)}
                for name, b in worst.items()
                if b.state != "closed"
            },
            "connections": sum(one.pool.open for one in self.replicas.all),
            "declared": self.manifest.limits.concurrency,
            "share": self.admission.limit.most,  # of the declared calls at once, this process's part
            "limit": self.admission.limit.limit,
            "under_way": dict(self.admission.under_way),
            "waiting": self.admission.waiting,
            "addresses": len(self.replicas.all),
            "addresses_out": sum(one.out_until > now for one in self.replicas.all),
        }

    async def close(self) -> None:
        """Cut all connections."""
        for task in self._tasks:
            task.cancel()
        self.credentials.close()
        if self._token_door is not None:
            await self._token_door.close()
        for replica in self.replicas.all:
            await replica.pool.close()


def _why_unwritable(fault: Exception) -> str:
    """Say what is wrong with our own request; never with which value."""
    if isinstance(fault, OutboundError):
        return f"{fault.reason} {fault.detail}".strip()
    return str(fault) if isinstance(fault, MappingFailed) else type(fault).__name__


def _start(replica: Replica, prepared: Prepared, out: Outgoing) -> str:
    """Return how a request begins, kept from one to the next where all of an operation begin alike."""
    target, kept = replica.starts.get(prepared, ("", ""))
    if target != out.target:
        kept = start_request(out.method, out.target, replica.host)
        if prepared.fixed_target:
            replica.starts[prepared] = (out.target, kept)
    return kept
