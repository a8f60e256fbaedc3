"""What a person does with effects: see the unknown, the set aside and the overdue; send again; say what came of one."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from onestop.audit import service as audit
from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import store_pull
from onestop.gateway.effects import Handler
from onestop.gateway.errors import AnswerStands, EffectInHand, NoSuchEffect
from onestop.gateway.models import Effect, Settled
from onestop.gateway.pull import Reason
from onestop.gateway.service import Gateway
from onestop.http import idempotency
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.texts import Language, has, text

WatchedState = Literal["unknown", "desk", "overdue", "waiting"]
_MOST = 200
_json = msgspec.json.Encoder()


class SendAgain(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why an effect is to be sent again; kept in the audit, so no person's number belongs into it."""

    reason: Reason


class Resolve(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a person found out of an effect, and how."""

    outcome: Literal["completed", "declined"]
    reason: Reason
    reference: Annotated[str, Meta(max_length=200)] | None = None
    fields: Annotated[dict[str, Any], Meta(max_length=64)] = {}


class WatchedView(msgspec.Struct, frozen=True, kw_only=True):
    """An effect that needs somebody's eye, who answers for its department, and the last problem."""

    effect: store_pull.Watched
    department: str
    officer: str
    contact: str
    says: str | None


class WatchedList(msgspec.Struct, frozen=True, kw_only=True):
    """Effects in one state, oldest first."""

    data: list[WatchedView]
    next_cursor: str | None
    has_more: bool


class EffectChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What a person's word did to an effect."""

    id: str
    state: str
    outcome: str | None


async def watched(
    pool: Pool, gateway: Gateway, region: str, state: WatchedState, lang: Language, *, after: str | None, limit: int
) -> WatchedList:
    """Return effects that are unknown, at a desk, overdue, or waiting as they should."""
    size = max(1, min(limit, _MOST))
    rows = await store_pull.watched(pool, region, state, after, size + 1)
    more = len(rows) > size
    views = [_view(gateway, row, lang) for row in rows[:size]]
    return WatchedList(data=views, next_cursor=rows[size - 1].id if more else None, has_more=more)


async def shown(pool: Pool, gateway: Gateway, region: str, effect_id: str, lang: Language) -> WatchedView:
    """Return one effect, whatever its state.

    Raises:
        NoSuchEffect: there is none of that id.
    """
    row = await store_pull.one_watched(pool, region, effect_id)
    if row is None:
        raise NoSuchEffect(effect_id[:40])
    return _view(gateway, row, lang)


def _view(gateway: Gateway, row: store_pull.Watched, lang: Language) -> WatchedView:
    manifest = gateway.manifests.get(row.adapter)
    department = manifest.department if manifest else None
    return WatchedView(
        effect=row,
        department=getattr(department.name, lang) if department else row.adapter,
        officer=getattr(department.officer, lang) if department else "",
        contact=department.contact if department else "",
        says=problem_says(row.problem.get("code") if row.problem else None, lang),
    )


def problem_says(code: str | None, lang: Language) -> str | None:
    """Return a problem's sentence in the reader's language; the bare code where it has none."""
    if code is None:
        return None
    key = f"problem.{code}.detail"
    return text(key, lang) if has(key) else code


class Watch:
    """The operator's verbs, for one process; each is in the audit, and over HTTP kept under its key."""

    def __init__(self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler) -> None:
        self._pool, self._keys, self._gateway, self._region, self._handler = pool, keys, gateway, region, handler

    async def send_again(
        self, session: Session, context: Context, keyed: Keyed, effect_id: str, asked: SendAgain
    ) -> Reply:
        """Try an effect again from the beginning, under its key, once for one request.

        Raises:
            As `send_again_by`.
        """

        async def write(db: Connection) -> Reply:
            return _reply(await self.send_again_by(db, session.actor_id, context.trace_id, effect_id, asked))

        return await self._once(keyed, write)

    async def resolve(self, session: Session, context: Context, keyed: Keyed, effect_id: str, found: Resolve) -> Reply:
        """Write what a person found out, once for one request.

        Raises:
            As `resolve_by`.
        """

        async def write(db: Connection) -> Reply:
            return _reply(await self.resolve_by(db, session.actor_id, context.trace_id, effect_id, found))

        return await self._once(keyed, write)

    async def send_again_by(
        self, db: Connection, actor: str, trace_id: str | None, effect_id: str, asked: SendAgain
    ) -> EffectChanged:
        """Try an effect again from the beginning, under its key, in the caller's transaction.

        Raises:
            NoSuchEffect: there is none of that id.
            AnswerStands: its outcome is on record.
            EffectInHand: somebody works on it at this moment.
        """
        effect = await self._open(db, effect_id)
        await put_back(db, self._gateway, effect)
        if effect.state == "desk":
            await self._handler(db, effect, Settled(outcome="sent_again"))
        await self._audit(db, actor, trace_id, effect, "effect.sent_again", {"reason": asked.reason})
        return EffectChanged(id=effect_id, state="intended", outcome=None)

    async def resolve_by(
        self, db: Connection, actor: str, trace_id: str | None, effect_id: str, found: Resolve
    ) -> EffectChanged:
        """Write what a person found out, and tell the effect's case, in the caller's transaction.

        Raises:
            NoSuchEffect, AnswerStands, EffectInHand: as `send_again_by`.
        """
        effect = await self._open(db, effect_id)
        state = "done" if found.outcome == "completed" else "refused"
        await store_pull.resolve(db, effect, state, found.outcome, found.reference)
        told = Settled(outcome=found.outcome, reference=found.reference, result=dict(found.fields) or None)
        await self._handler(db, effect, told)
        detail = {"reason": found.reason, "outcome": found.outcome}
        await self._audit(db, actor, trace_id, effect, "effect.resolved", detail)
        return EffectChanged(id=effect_id, state=state, outcome=found.outcome)

    async def _open(self, db: Connection, effect_id: str) -> store_pull.Leased:
        effect = await store_pull.for_update(db, self._region, effect_id)
        if effect is None:
            raise NoSuchEffect(effect_id[:40])
        if effect.answer == "received" or (effect.answer == "none" and effect.state in ("done", "refused")):
            raise AnswerStands(outcome=effect.outcome or effect.state)
        if effect.worker is not None and effect.held:
            raise EffectInHand(retry_after_s=15.0, key=effect.key)
        return effect

    async def _once(self, keyed: Keyed, write: Any) -> Reply:
        return await idempotency.once(self._pool, self._keys, keyed, write)

    async def _audit(
        self, db: Connection, actor: str, trace_id: str | None, effect: Effect, action: str, detail: dict[str, str]
    ) -> None:
        await audit.record(
            db,
            self._region,
            actor=actor,
            action=action,
            object=effect.id,
            trace_id=trace_id,
            detail={"key": effect.key, "adapter": effect.adapter, **detail},
        )


def _reply(changed: EffectChanged) -> Reply:
    return Reply(status=200, body=_json.encode(changed), made_id=changed.id)


async def put_back(db: Connection, gateway: Gateway, effect: Effect) -> None:
    """Put an effect back to be tried again; where it may have happened, its department is asked or told by key first.

    For a department that offers neither, a person has just vouched that it did not happen.
    """
    prepared = gateway.operation(effect.adapter, effect.operation)
    maybe = effect.sent_at is not None and prepared is not None and prepared.spec.idempotent != "none"
    await store_pull.send_again(db, effect, "unknown" if maybe else "intended")


async def of_step(db: Connection, region: str, effect_id: str) -> Effect | None:
    """Read one effect for whoever decides over its step; the row is held until the transaction ends."""
    return await store_pull.for_update(db, region, effect_id)


async def close_by_person(
    db: Connection, region: str, effect_id: str, outcome: Literal["completed", "declined"], reference: str | None
) -> None:
    """Write into the ledger what a person at the desk said of an effect that was theirs to find out."""
    effect = await store_pull.for_update(db, region, effect_id)
    if effect is not None and effect.answer != "received" and effect.state in ("desk", "refused", "unknown", "sent"):
        state = "done" if outcome == "completed" else "refused"
        await store_pull.resolve(db, effect, state, outcome, reference)


async def close_cancelled(db: Connection, region: str, effect_id: str) -> None:
    """Write that a department cancelled what this effect had asked for: nobody waits for its answer any more."""
    effect = await store_pull.for_update(db, region, effect_id)
    if effect is not None and effect.answer != "received":
        await store_pull.resolve(db, effect, "refused", "cancelled", None)
