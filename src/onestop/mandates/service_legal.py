"""What the law gives: departments are asked for whom somebody may act, and their answer is kept until it is too old.

A manifest declares by `mandate` that a query answers this. No answer is unknown, and unknown is no: what was kept then
stays as it was, and is not acted under once its time is over.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.db import Connection
from onestop.gateway.fanout import Person, gather
from onestop.gateway.manifest import Operation
from onestop.gateway.models import Ask, Part
from onestop.http.models import Context
from onestop.identity import numbers
from onestop.identity.errors import BadNumber
from onestop.identity.models import NumberType, PersonName
from onestop.ids import new_id
from onestop.mandates import rules, store
from onestop.mandates.models import Mandate, MandateKind, Scope
from onestop.mandates.service import Mandates

log = structlog.get_logger(__name__)

CONSUMER: Final = "mandates"
_ONESTOP: Final = "onestop"  # the actor of what nobody in particular does
_MOST: Final = 500  # people or organisations that one person acts for by law


class _Principal(msgspec.Struct, frozen=True):
    number: str
    name: PersonName


class _Answer(msgspec.Struct, frozen=True):
    principals: list[_Principal]


class Vouched(msgspec.Struct, frozen=True):
    """Whom a department says somebody may act for."""

    number_type: NumberType
    number: str
    name: str


async def ask(
    desk: Mandates, context: Context, subject_id: str, only: Collection[tuple[str, MandateKind]] | None = None
) -> list[Part]:
    """Ask the departments for whom a subject may act by law, keep what they say, and return the parts without data.

    `only` names adapters and kinds. What was asked stands in the subject's ledger of data uses. Ends what a department
    no longer says, and every session under it.

    Rule: R-057, an answer is kept with its source; no answer, or one that cannot be read, changes nothing.
    """
    asks = _asks(desk, only)
    if not asks:
        return []
    person = await desk.sessions.person(subject_id)
    # Where staff begin to act, it is asked about their officer: nobody but onestop looks at that answer.
    by = subject_id if context.session.actor_id == subject_id else _ONESTOP
    gathered = await gather(
        desk.gateway.lines_for(person.number),
        [ask for ask, _ in asks],
        Person(person.number, person.name, person.ids),
        deadline=context.deadline,
        lang=context.lang,
        traceparent=context.traceparent,
        closed=desk.gateway.closed,
        admit=desk.gateway.admit,
    )
    ended: list[str] = []
    async with desk.pool.acquire() as db, db.transaction():
        uses = [_use(spec, part) for (_, spec), part in zip(asks, gathered.parts, strict=True) if _answered(part)]
        await audit.data_used(db, desk.region, uses, subject=subject_id, actor=by, trace_id=context.trace_id)
        for (_, spec), part in zip(asks, gathered.parts, strict=True):
            told = _read(desk, spec, part)
            if told is not None:
                ended += await _keep(desk, db, subject_id, spec, part, told)
            part.data = None
    desk.sessions.forget(ended)
    return gathered.parts


def _asks(desk: Mandates, only: Collection[tuple[str, MandateKind]] | None) -> list[tuple[Ask, Operation]]:
    every = ((name, spec) for name, one in sorted(desk.gateway.manifests.items()) for spec in one.operations)
    return [
        (Ask(want=spec.id, adapter=name, operation=spec.id, consumer=CONSUMER), spec)
        for name, spec in every
        if spec.mandate is not None and (only is None or (name, spec.mandate) in only)
    ]


def _answered(part: Part) -> bool:
    return part.state == "ok" and (part.data is not None or part.found is False)


def _read(desk: Mandates, spec: Operation, part: Part) -> list[Vouched] | None:
    """Return whom a department names; None where it did not answer, or not in a way that can be believed."""
    if not _answered(part):
        return None
    if part.data is None:
        return []
    try:
        named = msgspec.convert(part.data, _Answer).principals
        return [_vouched(desk, spec.mandate, one) for one in named[:_MOST]]
    except (msgspec.ValidationError, BadNumber) as fault:
        log.warning("principals_not_read", adapter=part.source.adapter, fault=type(fault).__name__)
        return None


def _vouched(desk: Mandates, kind: MandateKind | None, named: _Principal) -> Vouched:
    profile = desk.settings.profile
    if kind == "officer":
        return Vouched("uscc", numbers.check_kind("uscc", named.number, profile), named.name)
    number = numbers.check_number(named.number, profile)
    return Vouched(numbers.number_type(number), number, named.name)


def _use(spec: Operation, part: Part) -> str:
    return audit.use_entry(
        Use(
            adapter=part.source.adapter,
            basis=spec.basis.zh,
            fields=tuple(sorted(spec.reply.fields)),
            operation=spec.id,
            outcome="read" if part.found else "no_record",
            purpose=spec.purpose.zh,
            version=part.source.version,
        )
    )


async def _keep(
    desk: Mandates, db: Connection, actor: str, spec: Operation, part: Part, told: Sequence[Vouched]
) -> list[str]:
    """Write what one department says now; return the sessions that end because it no longer says something."""
    kind = spec.mandate
    assert kind is not None
    rule, now = rules.kinds()[kind], clock.now()
    until = now + timedelta(seconds=rule.validity_s or 0)
    as_of = _instant(part.as_of)
    adapter, version = part.source.adapter, part.source.version
    known = {one.principal: one for one in await store.vouched(db, desk.region, kind, actor, adapter)}
    for named in told:
        principal = await desk.sessions.met(db, named.number_type, named.number, named.name)
        held = known.pop(principal, None)
        if held is not None:
            await store.vouch_again(db, desk.region, held.id, until, as_of, version, spec.id)
            continue
        if principal == actor:
            continue
        mandate = Mandate(
            id=new_id("mdt"),
            kind=kind,
            principal=principal,
            actor=actor,
            state="live",
            scope=Scope(everything=True),
            hand_on=rule.hand_on,
            level=rule.level,
            begins_at=now,
            ends_at=rules.of_age_at(rules.born_on(named.number_type, named.number), now),
            offered_at=now,
            accepted_at=now,
            confirmed_at=now,
            adapter=adapter,
            operation=spec.id,
            source_version=version,
            as_of=as_of,
            valid_until=until,
        )
        if await store.insert(db, desk.region, mandate):
            await _note(desk, db, mandate.id, principal, "offer", mandate.version, adapter)
    ended: list[str] = []
    for gone in known.values():
        await store.set_state(db, desk.region, gone.id, "ended", ended_by="department")
        await _note(desk, db, gone.id, gone.principal, "end", gone.version + 1, adapter)
        ended += await desk.end_sessions(db, gone.id)
    return ended


async def _note(
    desk: Mandates, db: Connection, id_: str, principal: str, move: str, version: int, adapter: str
) -> None:
    await store.insert_move(db, desk.region, id_, version, move, adapter, None)
    detail: dict[str, Any] = {"adapter": adapter, "move": move}
    await audit.record(
        db, desk.region, actor=f"department:{adapter}", action="mandate.moved", subject=principal, object=id_,
        detail=detail,
    )  # fmt: skip


def _instant(text: str | None) -> datetime | None:
    try:
        found = None if text is None else datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None
