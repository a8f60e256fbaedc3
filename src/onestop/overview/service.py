"""Verbs: ask every department at once; keep what comes late; bring it to whoever holds the handle."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec
import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.basis.service import Basis
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.errors import FieldError
from onestop.gateway.fanout import Gathered, Person, gather
from onestop.gateway.mapping.language import masked
from onestop.gateway.models import Ask, Part
from onestop.gateway.parts import ANSWERED
from onestop.gateway.releases import Releases
from onestop.gateway.service import Gateway
from onestop.http.models import Context
from onestop.http.streams import Event
from onestop.ids import new_id
from onestop.mandates.models import Asked, Matter
from onestop.overview import store
from onestop.overview.errors import NoSuchCompletion, UnknownWant
from onestop.overview.models import Completion, Kept, Lookups
from onestop.texts import Language, text

log = structlog.get_logger(__name__)

_LATE_S = 10.0
_parts_out = msgspec.json.Encoder()
_parts_in = msgspec.json.Decoder(list[Part])
_part_in = msgspec.json.Decoder(Part)


class Overview:
    """My affairs, for one process."""

    def __init__(
        self,
        pool: Pool,
        keys: Keys,
        gateway: Gateway,
        uses: audit.DataUses,
        region: str,
        announce: Callable[[str], None],
        basis: Basis,
    ) -> None:
        self._basis = basis
        self._pool, self._keys, self._gateway, self._region = pool, keys, gateway, region
        self._uses = uses
        self._announce = announce
        self._tasks: set[asyncio.Task[None]] = set()

    async def look_up(
        self,
        wants: Sequence[str],
        subject: str,
        actor: str,
        person: Person,
        *,
        level: int,
        deadline: float,
        budget_ms: int,
        lang: Language,
        trace_id: str,
        traceparent: str,
        mandate: str | None = None,
    ) -> tuple[Lookups, Gathered]:
        """Ask for every want at once; `deadline` is loop time. A want named twice is asked once.

        `level` is how surely the person signed in: what asks for more is `denied`.

        Raises:
            UnknownWant: no department on line answers one of them; every such want is named.
        """
        asks = self._asks(wants, level)
        releases = await Releases.decide(self._gateway, self._basis, "lookups", asks, person)
        late = _Late(self, (subject, actor, trace_id, mandate), releases, lang)
        gathered = await gather(
            self._gateway.lines_for(person.number),
            asks,
            person,
            deadline=deadline,
            lang=lang,
            traceparent=traceparent,
            on_late=late.came,
            closed=self._gateway.closed,
            admit=releases.admit,
        )
        gathered.parts[:] = await releases.still(gathered.parts, lang)
        await self.note_uses(gathered.parts, subject, actor, trace_id, mandate)
        for part in gathered.parts:
            self.mask(part)
        completion = await self._hold(gathered.parts, asks, subject, mandate, late)
        answer = Lookups(
            complete=gathered.complete,
            budget_ms=budget_ms,
            completion=completion,
            parts=gathered.parts,
            trace_id=trace_id,
        )
        return answer, gathered

    def _asks(self, wants: Sequence[str], level: int) -> list[Ask]:
        known = self._gateway.wants
        errors = [
            FieldError(pointer=f"/wants/{i}", code="lookup.unknown_want", params={"want": want})
            for i, want in enumerate(wants)
            if want not in known
        ]
        if errors:
            raise UnknownWant(errors=errors, known=", ".join(sorted(known)))
        asks = [known[want] for want in dict.fromkeys(wants)]
        return asks if level >= 3 else [msgspec.structs.replace(ask, level=level) for ask in asks]

    def asked(self, wants: Sequence[str]) -> list[Asked]:
        """Return what a mandate has to cover for these questions: each department that is asked."""
        known = self._gateway.wants
        adapters = dict.fromkeys(known[want].adapter for want in wants if want in known)
        matters = [Matter(departments=frozenset({adapter})) for adapter in adapters] or [Matter()]
        return [Asked(deed="look_up", matter=matter) for matter in matters]

    def quota_headers(self, wants: Sequence[str]) -> dict[str, str]:
        """Return what is left of the quotas behind these wants, as RateLimit headers; empty where none is agreed."""
        asks = [ask for want in wants if (ask := self._gateway.wants.get(want)) is not None]
        return self._gateway.quotas.headers((ask.consumer, ask.adapter, ask.operation) for ask in asks)

    async def note_uses(
        self, parts: Sequence[Part], subject: str, actor: str, trace_id: str, mandate: str | None
    ) -> None:
        """Write whose data was read; before anybody sees it."""
        uses = [
            self._gateway.uses.read(
                part.want, part.source.adapter, part.source.version, "read" if part.found else "no_record"
            )
            for part in parts
            if part.data is not None or part.found is False
        ]
        await self._uses.note(uses, subject=subject, actor=actor, trace_id=trace_id, mandate=mandate)

    def mask(self, part: Part) -> None:
        """Mask the person numbers in a part: whole numbers are for filling forms, not for showing."""
        names = self._gateway.person_numbers(part.want)
        if names and part.data:
            part.data = masked(part.data, names)

    async def _hold(
        self, parts: list[Part], asks: list[Ask], subject: str, mandate: str | None, late: "_Late"
    ) -> Completion | None:
        """Make a handle for the parts that are pending; None where none is."""
        expected = [part.want for part in parts if part.state == "pending"]
        if not expected:
            return None
        specs = [self._gateway.operation_of(ask) for ask in asks if ask.want in expected]
        longest = max((spec.late_s for spec in specs if spec is not None), default=_LATE_S)
        id_ = new_id("cmp")
        holds_until = clock.real_now() + timedelta(seconds=longest + 5)
        sealed = self._keys.seal(_parts_out.encode(parts), _context(id_))
        await store.insert_completion(self._pool, self._region, id_, subject, sealed, expected, holds_until, mandate)
        late.open(id_)
        return Completion(
            id=id_, href=f"/v1/completions/{id_}", events=f"/v1/completions/{id_}/events", holds_until=holds_until
        )

    def keep(self, id_: str, part: Part, late: "_Late") -> None:
        """Write a late part in the background and wake whoever waits for it."""
        task = asyncio.get_running_loop().create_task(self._keep(id_, part, late))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _keep(self, id_: str, part: Part, late: "_Late") -> None:
        try:
            [part] = await late.releases.still([part], late.lang)
            await self.note_uses([part], *late.whose)
            self.mask(part)
            sealed = self._keys.seal(_parts_out.encode(part), _context(id_))
            if await store.insert_part(self._pool, self._region, id_, part.want, sealed):
                self._announce(topic_of(id_))
        except Exception as fault:
            # The handle says until when it holds; after that the part reads as not having come.
            log.warning("late_part_not_kept", completion=id_, fault=type(fault).__name__)

    async def close(self) -> None:
        """Let what is being written be written."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def kept(self, id_: str, subject: str, lang: Language, mandate: str | None = None) -> Kept:
        """Return a handle's parts, with those that came later in their place.

        Raises:
            NoSuchCompletion: not one of this subject's handles, or asked for under another mandate.
        """
        row = await store.own(self._pool, self._region, id_, subject, mandate)
        if row is None:
            raise NoSuchCompletion(id_)
        parts = _parts_in.decode(self._keys.unseal(row.parts, _context(id_)))
        came = {
            late.want: _part_in.decode(self._keys.unseal(late.part, _context(id_)))
            for late in await store.parts_since(self._pool, self._region, id_, 0)
        }
        over = clock.real_now() > row.holds_until
        parts = [came.get(part.want) or (_did_not_come(part, lang) if over else part) for part in parts]
        complete = all(part.state in ANSWERED for part in parts)
        return Kept(id=id_, complete=complete, holds_until=row.holds_until, parts=parts)

    async def authorise(self, context: Context, parameters: dict[str, str]) -> str:
        """Return the topic of a handle's stream.

        Raises:
            NoSuchCompletion: not one of this subject's handles.
        """
        session = context.session
        if await store.own(self._pool, self._region, parameters["id"], session.subject_id, session.mandate_id) is None:
            raise NoSuchCompletion(parameters["id"])
        return topic_of(parameters["id"])

    async def events_since(self, topic: str, last_id: str | None) -> list[Event]:
        """Return the late parts of a handle as events, after the one with `last_id`."""
        id_ = topic.removeprefix("completion:")
        after = int(last_id) if last_id and last_id.isdigit() and len(last_id) < 6 else 0
        rows = await store.parts_since(self._pool, self._region, id_, after)
        return [Event(str(row.seq), "part", self._keys.unseal(row.part, _context(id_))) for row in rows]

    async def newest(self, topics: Sequence[str]) -> dict[str, str]:
        """Return the number of each handle's last late part, for the streams' safety poll."""
        ids = [topic.removeprefix("completion:") for topic in topics]
        return {topic_of(row.id): str(row.seq) for row in await store.newest(self._pool, self._region, ids)}


class _Late:
    """The parts of one answer that come after it: held back until the handle is written."""

    def __init__(
        self, overview: Overview, whose: tuple[str, str, str, str | None], releases: Releases, lang: Language
    ) -> None:
        self._overview, self.releases, self.lang = overview, releases, lang
        self.whose = whose  # subject, actor, trace id, mandate
        self._id: str | None = None
        self._waiting: list[Part] = []

    def came(self, part: Part) -> None:
        if self._id is None:
            self._waiting.append(part)
        else:
            self._overview.keep(self._id, part, self)

    def open(self, id_: str) -> None:
        self._id = id_
        for part in self._waiting:
            self.came(part)
        self._waiting.clear()


def _did_not_come(part: Part, lang: Language) -> Part:
    if part.state != "pending":
        return part
    problem = part.problem
    if problem is not None:
        detail = text("part.upstream.never_came", lang, department=part.source.department)
        problem = msgspec.structs.replace(problem, detail=detail)
    return msgspec.structs.replace(part, state="unavailable", problem=problem)


def topic_of(id_: str) -> str:
    """Return the topic of a handle's stream."""
    return f"completion:{id_}"


def _context(id_: str) -> str:
    return f"completions.parts.{id_}"


async def forget_old(pool: Pool, region: str) -> int:
    """Delete the handles nobody will come back for; return how many."""
    return await store.delete_old(pool, region)
