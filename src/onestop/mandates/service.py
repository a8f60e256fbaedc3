"""The mandates of one process: whether an act is covered, and giving, moving and showing mandates."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NoReturn

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.errors import FieldError, Forbidden
from onestop.gateway.facts import fact
from onestop.gateway.service import Gateway
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity import numbers
from onestop.identity.errors import BadNumber
from onestop.identity.models import Session, Subject
from onestop.identity.rules import mask_number
from onestop.identity.service import Sessions
from onestop.ids import new_id
from onestop.mandates import errors, rules, store
from onestop.mandates.models import (
    Asked,
    Deed,
    EndedBy,
    History,
    KindRule,
    Mandate,
    Matter,
    Move,
    Offer,
    Represented,
    Told,
)
from onestop.mandates.present import view
from onestop.mandates.rules import Side
from onestop.mandates.sealing import open_told, seal_told
from onestop.settings import Settings

_MOST_OPEN: Final = 100  # mandates that one subject has open to others
_json = msgspec.json.Encoder()

# Every item that is offered, with the departments that handle it.
Matters = Mapping[str, frozenset[str]]

_REFUSALS: Final[Mapping[rules.Why, type[Forbidden]]] = {
    "not_live": errors.NotLive,
    "not_begun": errors.NotBegun,
    "expired": errors.Expired,
    "out_of_scope": errors.OutOfScope,
    "deed_excluded": errors.DeedExcluded,
    "limit_reached": errors.LimitReached,
}


class Mandates:
    """Everything a process knows of who may act for whom; every act asks the database again."""

    def __init__(
        self, pool: Pool, keys: Keys, settings: Settings, sessions: Sessions, gateway: Gateway, matters: Matters
    ) -> None:
        self.pool, self.keys, self.settings, self.sessions = pool, keys, settings, sessions
        self.region, self.gateway, self.matters = settings.region, gateway, matters

    # ---- before an act

    async def check(self, session: Session, *acts: Asked) -> None:
        """Let acts pass, all or none: under a mandate what it covers, for oneself what one's age allows.

        Raises:
            NotLive, NotBegun, Expired, OutOfScope, DeedExcluded, LimitReached: the mandate does not cover it.
            GuardianNeeded: the person is too young to do this alone.
        """
        if session.mandate_id is None:
            if session.role == "citizen":
                await self._check_age(session.subject_id, acts[0].deed)
            return
        mandate, now = await self._of(session), clock.now()
        for asked in acts:
            why = rules.refusal(mandate, asked, now)
            if why is not None:
                refuse(mandate, why)

    async def beneficiary(self, session: Session, mandate_id: str | None) -> str | None:
        """Return who gains by what somebody does for themselves on behalf of a ward; None: they themselves.

        Raises:
            MandateUnknown: it is no guardianship of this person's own.
            NotLive, NotBegun, Expired: it does not hold now.
        """
        if mandate_id is None:
            return None
        held = await store.own_mandate(self.pool, self.region, mandate_id, session.subject_id)
        guards = held is not None and held.kind == "guardian" and held.actor == session.subject_id
        if held is None or not guards or session.mandate_id is not None:
            raise errors.MandateUnknown(mandate_id[:40])
        why = rules.standing(held, clock.now())
        if why is not None:
            refuse(held, why)
        return held.principal

    async def represented(self, session: Session) -> Represented | None:
        """Return who acts in a session for its subject, under which mandate; None: the subject themselves."""
        if session.mandate_id is None:
            return None
        mandate = await self._of(session)
        actor = await self.sessions.person(session.actor_id)
        return Represented(
            number=actor.number,
            name=actor.name,
            mandate=mandate.id,
            kind=mandate.kind,
            begins_at=mandate.begins_at,
            ends_at=mandate.ends_at,
            source=mandate.adapter,
        )

    async def sees(self, session: Session, matter: Matter) -> bool:
        """Tell whether a matter is to be seen in this session: one's own always, another's where it is covered."""
        if session.mandate_id is None:
            return True
        mandate = await store.mandate(self.pool, self.region, session.mandate_id)
        return mandate is not None and rules.refusal(mandate, Asked(deed="read", matter=matter), clock.now()) is None

    async def items_seen(self, session: Session) -> list[str] | None:
        """Return the codes of the items whose cases are to be seen in this session; None: all of them."""
        if session.mandate_id is None:
            return None
        mandate = await self._of(session)
        now = clock.now()
        if mandate.scope.everything and rules.standing(mandate, now) is None:
            return None
        every = self.matters.items()
        wanted = ((code, Asked(deed="read", matter=Matter(item=code, departments=of))) for code, of in every)
        return [code for code, asked in wanted if rules.refusal(mandate, asked, now) is None]

    async def departments_seen(self, session: Session, every: Sequence[str]) -> list[str]:
        """Return which of these departments may be asked for the subject in this session."""
        if session.mandate_id is None:
            return list(every)
        mandate, now = await self._of(session), clock.now()
        acts = {one: Asked(deed="look_up", matter=Matter(departments=frozenset({one}))) for one in every}
        return [one for one, asked in acts.items() if rules.refusal(mandate, asked, now) is None]

    async def spend(self, db: Connection, session: Session, fee_fen: int) -> None:
        """Count a submitted case against the mandate and all it was handed on from, in the caller's transaction.

        Raises:
            LimitReached: one of them allows no more; NotLive: it ended in this moment.
        """
        if session.mandate_id is None:
            return
        for mandate in await store.chain(db, self.region, session.mandate_id):
            if not await store.spend(db, self.region, mandate.id, fee_fen):
                refuse(mandate, "limit_reached" if mandate.state == "live" else "not_live")

    async def give_back(self, session: Session, fee_fen: int) -> None:
        """Take back what `spend` counted for a case that was not written."""
        if session.mandate_id is not None:
            for mandate in await store.chain(self.pool, self.region, session.mandate_id):
                await store.give_back(self.pool, self.region, mandate.id, fee_fen)

    async def _of(self, session: Session) -> Mandate:
        mandate = await store.mandate(self.pool, self.region, session.mandate_id or "")
        if mandate is None or mandate.actor != session.actor_id or mandate.principal != session.subject_id:
            raise errors.NotLive(ends="-")
        return mandate

    async def _check_age(self, subject_id: str, deed: Deed) -> None:
        if not any(deed in rule.never for rule in rules.ages()):
            return
        subject = await self.sessions.person(subject_id)
        born = rules.born_on(subject.number_type, subject.number)
        rule = rules.too_young(born, deed, clock.today(), rules.ages())
        if rule is not None:
            raise errors.GuardianNeeded(below=rule.below)

    # ---- giving

    async def offer(self, session: Session, context: Context, keyed: Keyed, offer: Offer) -> Reply:
        """Offer a mandate for the session's subject; 201 with the mandate.

        At the level its kind needs the offer is the confirmation. Who acts under a mandate hands that one on.

        Raises:
            OfferRefused: the receiver, the matters, the period or the chain cannot be; every fault is named.
            NotHandedOn: it is more than the mandate above holds.
            GuardianNeeded: the giver is too young.
            KeyReused: the key came before with another body.
        """
        await self.check(session, Asked(deed="hand_on"))
        principal = await self.sessions.person(session.subject_id)
        parent = None if session.mandate_id is None else await self._of(session)
        rule = _kind(principal, parent)
        now = clock.now()
        self._check_offer(offer, rule, principal, now)
        if parent is not None and not rules.fits_below(parent, offer, self.matters, now):
            raise errors.NotHandedOn(most=max(parent.hand_on - 1, 0))
        confirmed = session.level >= rule.level

        async def write(db: Connection) -> Reply:
            if await store.count_open(db, self.region, session.subject_id) >= _MOST_OPEN:
                raise errors.OfferRefused(errors=[FieldError(pointer="/to", code="mandate.too_many")], count=1)
            made = await self._made(db, session, parent, rule, offer, now, confirmed)
            await store.insert(db, self.region, made)
            await self._moved(db, session, made, "offer", made.version)
            body = _json.encode(await view(self, made, "given", context.lang))
            return Reply(status=201, body=body, made_id=made.id, headers={"location": f"/v1/me/mandates/{made.id}"})

        return await idempotency.once(self.pool, self.keys, keyed, write)

    def _check_offer(self, offer: Offer, rule: KindRule, principal: Subject, now: datetime) -> None:
        found = rules.faults(offer, rule, now, self.matters, frozenset(self.gateway.manifests))
        try:
            number = numbers.check_number(offer.to.number, self.settings.profile)
            if number == principal.number:
                found.append(FieldError(pointer="/to/number", code="mandate.to_oneself"))
        except BadNumber as fault:
            found.append(FieldError(pointer="/to/number", code=fault.code))
        if found:
            raise errors.OfferRefused(errors=found, count=len(found))

    async def _made(
        self,
        db: Connection,
        session: Session,
        parent: Mandate | None,
        rule: KindRule,
        offer: Offer,
        now: datetime,
        confirmed: bool,
    ) -> Mandate:
        """Return the mandate an offer makes; the receiver is known here from now on, by number alone."""
        number = numbers.check_number(offer.to.number, self.settings.profile)
        actor = await self.sessions.met(db, numbers.number_type(number), number, offer.to.name)
        id_ = new_id("mdt")
        told = Told(name=offer.to.name, number_masked=mask_number(number))
        return Mandate(
            id=id_,
            kind=rule.kind,
            principal=session.subject_id,
            actor=actor,
            parent_id=None if parent is None else parent.id,
            state="offered",
            scope=offer.scope,
            hand_on=offer.hand_on,
            level=rule.level,
            begins_at=offer.begins_at or now,
            ends_at=offer.ends_at,
            offered_at=now,
            confirmed_at=now if confirmed else None,
            told=seal_told(self.keys, id_, told),
        )

    # ---- moving

    async def move(self, session: Session, id_: str, move: Move) -> Mandate:
        """Accept, confirm, refuse or end a mandate and return it as it then stands.

        Ending ends everything handed on from it, and every session under any of them: within seconds everywhere.

        Raises:
            MandateUnknown: neither given by this subject nor to them.
            MoveNotOpen: its state, or this party, does not allow that.
            LevelTooLow: confirming or accepting needs a higher real-name level.
            NameDiffers: the giver named somebody else under this number.
            GuardianNeeded: the receiver is too young.
        """
        ended: list[str] = []
        async with self.pool.acquire() as db, db.transaction():
            held = await store.own_mandate_for_update(db, self.region, id_, session.subject_id)
            side = None if held is None else await self.side(session, held)
            if held is None or side is None:
                raise errors.MandateUnknown(id_[:40])
            state = rules.next_state(held, move, side)
            if state is None:
                raise errors.MoveNotOpen(state=held.state, move=move)
            await self._may_move(session, held, move)
            by: EndedBy | None = side if state == "ended" else None
            await store.set_state(
                db, self.region, id_, state, ended_by=by, accepted=move == "accept", confirmed=move == "confirm"
            )
            await self._moved(db, session, held, move, held.version + 1)
            if state == "ended":
                ended = await self.end_sessions(db, id_)
            moved = await store.own_mandate(db, self.region, id_, session.subject_id)
        self.sessions.forget(ended)
        assert moved is not None
        return moved

    async def _may_move(self, session: Session, held: Mandate, move: Move) -> None:
        if move in ("accept", "confirm") and session.level < held.level:
            raise errors.LevelTooLow(needed=held.level, level=session.level)
        if move != "accept":
            return
        await self._check_age(session.subject_id, "submit")
        told = open_told(self.keys, held)
        if told is not None and told.name != (await self.sessions.subject(session.subject_id)).name:
            raise errors.NameDiffers

    async def end_sessions(self, db: Connection, id_: str) -> list[str]:
        """End, in the caller's transaction, what was handed on from a mandate and every session under any of them."""
        below = await store.end_below(db, self.region, id_)
        for one, version in below:
            await store.insert_move(db, self.region, one, version, "end", "above", None)
        return await self.sessions.acting.end_under(db, [id_, *(one for one, _ in below)])

    async def side(self, session: Session, mandate: Mandate) -> Side | None:
        """Return which party of a mandate a session is; None: neither.

        For a company its officers manage every mandate; whoever else acts for somebody manages what they handed on.
        """
        if mandate.principal == session.subject_id:
            if session.mandate_id is None or session.mandate_id == mandate.parent_id:
                return "principal"
            return "principal" if (await self._of(session)).kind == "officer" else None
        return "actor" if mandate.actor == session.subject_id and session.mandate_id is None else None

    async def _moved(self, db: Connection, session: Session, mandate: Mandate, move: str, version: int) -> None:
        await store.insert_move(db, self.region, mandate.id, version, move, session.actor_id, session.level)
        detail: dict[str, Any] = {"kind": mandate.kind, "move": move}
        await audit.record(
            db, self.region, actor=session.actor_id, action="mandate.moved", subject=mandate.principal,
            object=mandate.id, detail=detail,
        )  # fmt: skip

    # ---- looking

    async def own(self, session: Session, id_: str) -> Mandate:
        """Return a mandate the session's subject gave or received.

        Raises:
            MandateUnknown: it is somebody else's, or is not there.
        """
        found = await store.own_mandate(self.pool, self.region, id_, session.subject_id)
        if found is None or await self.side(session, found) is None:
            raise errors.MandateUnknown(id_[:40])
        return found

    async def history(self, session: Session, id_: str) -> History:
        """Return what became of a mandate the session's subject gave or received.

        Raises:
            MandateUnknown: it is somebody else's, or is not there.
        """
        mandate = await self.own(session, id_)
        rows = await store.moves(self.pool, self.region, mandate.id)
        told = [
            {"version": row.version, "at": row.at, "move": row.move, "by": _mover(mandate, row), "level": row.level}
            for row in rows
        ]
        return msgspec.convert({"data": told}, History)

    async def every_own(self, session: Session) -> tuple[list[Mandate], list[Mandate]]:
        """Return what the session's subject gave and received, newest first, at most 200 of each."""
        if session.mandate_id is None:
            given = await store.given(self.pool, self.region, session.subject_id)
            return given, await store.received(self.pool, self.region, session.subject_id)
        officer = (await self._of(session)).kind == "officer"
        below = None if officer else session.mandate_id
        return await store.given(self.pool, self.region, session.subject_id, below), []


def _mover(mandate: Mandate, row: store.MoveRow) -> str:
    """Return who moved a mandate: whoever is not its receiver acted for its giver."""
    if row.by_whom == "above":
        return "above"
    if row.level is None:
        return "department"
    return "receiver" if row.by_whom == mandate.actor else "giver"


def _kind(principal: Subject, parent: Mandate | None) -> KindRule:
    """Return the rule of the kind of mandate that somebody gives: for themselves, or handing one on."""
    if parent is None:
        return rules.kinds()["handler" if principal.kind == "organisation" else "agent"]
    handed = rules.kinds()[parent.kind].handed_as
    if handed is None or not parent.hand_on:
        raise errors.NotHandedOn(most=0)
    return rules.kinds()[handed]


def refuse(mandate: Mandate, why: rules.Why) -> NoReturn:
    """Raise why an act is not covered, with what somebody needs to have it changed."""
    day = (mandate.ends_at or mandate.valid_until or mandate.begins_at).astimezone(clock.CHINA).date().isoformat()
    begins = mandate.begins_at.astimezone(clock.CHINA).date().isoformat()
    refusal = _REFUSALS[why](
        begins=begins, ends=day, cases=mandate.scope.most_cases or 0, yuan=f"{(mandate.scope.most_fen or 0) / 100:.2f}"
    )
    # What the explanation of the request names as the link that failed.
    refusal.fact = fact(  # type: ignore[attr-defined]  # read by `gateway.facts.of_refusal`
        "mandate_refused", mandate=mandate.id, kind=mandate.kind, why=why, state=mandate.state, begins=begins, ends=day
    )
    raise refusal
