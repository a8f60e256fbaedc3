"""Effects for departments that cannot be called: they fetch them under a lease, and say what became of each.

A lease that runs out is given again under the same key; who comes with an old one changes nothing. docs/effects.md
tells a department's developer how.
"""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import structlog
from msgspec import Meta

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import store, store_pull
from onestop.gateway.callbacks import take_answer
from onestop.gateway.effect_rows import sealed_result, values_of
from onestop.gateway.effect_verdicts import said, to_desk
from onestop.gateway.effects import Handler
from onestop.gateway.errors import AnswerStands, LeaseLost, NoSuchAdapter, NoSuchEffect, ReplyUnreadable
from onestop.gateway.manifest import BadManifest, Manifest
from onestop.gateway.mapping.language import MappingFailed, tree
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway
from onestop.identity.models import Session

log = structlog.get_logger(__name__)

LONGEST_WAIT_S = 20.0
_MOST = 100
_LEASE_S = (5.0, 900.0)  # shortest and longest
_LOOK_S = 0.25
_WAITERS = 64  # of one process; whoever comes beyond is answered at once

Token = Annotated[str, Meta(min_length=1, max_length=64)]
# Kept beside the effect and read by operators: no person's number belongs into it.
Reason = Annotated[str, Meta(pattern=r"^(?!.*\d{17}[\dXx])[^\x00-\x1f\x7f]{3,200}$")]


class Ack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of a fetched effect: in our words (`outcome` …), or as the department's own `reply`."""

    lease: Token | None = None  # needed until the effect is acknowledged as pending
    outcome: Literal["completed", "pending", "declined", "correction", "extended", "transferred"] | None = None
    reference: Annotated[str, Meta(max_length=200)] | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None
    fields: Annotated[dict[str, Any], Meta(max_length=64)] | None = None
    reply: Annotated[dict[str, Any], Meta(max_length=200)] | None = None


class Nack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Nothing was done with a fetched effect: why, and when to give it again."""

    lease: Token
    reason: Reason
    retry_after_s: Annotated[float, Meta(ge=0, le=86_400)] = 60.0


class Extend(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A lease is needed for longer."""

    lease: Token
    lease_s: Annotated[float, Meta(ge=5, le=900)] = 60.0


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """One effect in the department's hands."""

    id: str
    key: str  # the same however often it is given: do it once
    operation: str
    attempt: int
    lease: str
    lease_until: datetime
    payload: Any


class FetchedList(msgspec.Struct, frozen=True):
    """What was fetched, oldest first; empty where nothing waits."""

    data: list[Fetched]


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """What onestop now has on record."""

    id: str
    state: str
    outcome: str | None
    new: bool  # False: the same was said before, and nothing changed


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """Until when a lease holds, or when the effect is given again."""

    id: str
    until: datetime | None = None


def own_manifest(gateway: Gateway, session: Session, adapter: str) -> Manifest:
    """Return the manifest of a department's own adapter.

    Raises:
        NoSuchAdapter: there is none of that name, nothing is fetched there, or it is another department's.
    """
    manifest = gateway.manifests.get(adapter)
    if manifest is None or not any(one.answer == "pull" for one in manifest.operations):
        raise NoSuchAdapter(adapter)
    if adapter not in gateway.owned_by(session.department):
        raise NoSuchAdapter(adapter)
    return manifest


class PullDesk:
    """Where departments fetch, for one process."""

    def __init__(self, pool: Pool, keys: Keys, gateway: Gateway, region: str, handler: Handler) -> None:
        self._pool, self._keys, self._gateway, self._region, self._handler = pool, keys, gateway, region, handler
        self._waiting = 0

    async def fetch(self, manifest: Manifest, limit: int, wait_s: float, lease_s: float) -> list[Fetched]:
        """Lease at most `limit` effects; where none waits, look for one for at most `wait_s` (20) seconds."""
        loop = asyncio.get_running_loop()
        end = loop.time() + min(max(wait_s, 0.0), LONGEST_WAIT_S)
        once = [one.id for one in manifest.operations if one.idempotent == "none"]
        limit, lease_s = max(1, min(limit, _MOST)), max(_LEASE_S[0], min(lease_s, _LEASE_S[1]))
        self._waiting += 1
        try:
            while True:
                found = await store_pull.lease_offered(self._pool, self._region, manifest.id, lease_s, limit, once)
                fetched = [one for one in [await self._open(effect) for effect in found] if one is not None]
                if fetched or loop.time() + _LOOK_S > end or self._waiting > _WAITERS:
                    return fetched
                await asyncio.sleep(_LOOK_S)
        finally:
            self._waiting -= 1

    async def _open(self, effect: store_pull.Leased) -> Fetched | None:
        """Return the effect with the payload its manifest makes; one that cannot be made goes to a person."""
        assert effect.worker is not None  # just leased
        assert effect.lease_until is not None
        try:
            payload = self._payload(effect)
        except (BadManifest, MappingFailed, LookupError, TypeError, ValueError) as fault:
            # Also where the manifest in force has no such operation any more: it must not stop the effects behind it.
            log.warning("effect_unmappable", effect=effect.id, adapter=effect.adapter, fault=type(fault).__name__)
            await self._set_aside(effect, type(fault).__name__)
            return None
        return Fetched(
            id=effect.id,
            key=effect.key,
            operation=effect.operation,
            attempt=effect.attempt,
            lease=effect.worker,
            lease_until=effect.lease_until,
            payload=payload,
        )

    def _payload(self, effect: store_pull.Leased) -> Any:
        manifest = self._gateway.manifests[effect.adapter]
        values = values_of(self._keys, effect, effect.payload)
        body = manifest.operation(effect.operation).request.body
        return values["payload"] if body is None else tree(body, manifest.codes)(values)

    async def _set_aside(self, effect: store_pull.Leased, cause: str) -> None:
        verdict = to_desk("upstream.unmappable", cause)
        assert verdict.settled is not None  # a desk verdict always tells something
        problem = {"code": "upstream.unmappable", "cause": cause}
        async with self._pool.acquire() as db, db.transaction():
            if await store.settle(
                db, effect, effect.worker or "", "desk", "none", None, None, problem, None, "desk"
            ):  # fmt: skip
                await self._handler(db, effect, verdict.settled)

    async def acknowledge(self, manifest: Manifest, effect_id: str, ack: Ack) -> Acknowledged:
        """Take what became of a fetched effect; the same said again changes nothing.

        Raises:
            NoSuchEffect: nothing of that id is this department's.
            LeaseLost: the lease ran out and the effect was given again.
            AnswerStands: another outcome is on record.
            ReplyUnreadable: neither an outcome nor a reply as the manifest declares.
        """
        async with self._pool.acquire() as db, db.transaction():
            effect = await self._own(db, manifest, effect_id)
            prepared = self._gateway.operation(manifest.id, effect.operation)
            if prepared is None:
                raise NoSuchEffect(effect_id)
            answer = _answer(prepared, ack)
            new = await self._take(db, effect, prepared, answer, ack.lease)
        if new:
            log.info("pull_acknowledged", adapter=manifest.id, effect=effect_id, outcome=answer.outcome)
            await self._gateway.changed(self._pool, effect.case_id)
        state = said(prepared, answer).state
        return Acknowledged(id=effect_id, state=state, outcome=answer.outcome, new=new)

    async def _take(
        self, db: Connection, effect: store_pull.Leased, prepared: Prepared, answer: Answer, lease: str | None
    ) -> bool:
        if effect.answer == "awaited" and effect.outcome != answer.outcome:
            return await take_answer(db, self._keys, effect, prepared, answer, self._handler)
        if effect.outcome == answer.outcome:
            return False
        if effect.answer == "received" or effect.state in ("done", "refused"):
            raise AnswerStands(outcome=effect.outcome or effect.state)
        if lease is None or effect.worker != lease:
            raise LeaseLost(key=effect.key)
        verdict = said(prepared, answer)
        assert verdict.settled is not None  # a department's word always tells something
        told = verdict.settled
        await store.settle(
            db, effect, lease, verdict.state, verdict.answer, told.reference,
            sealed_result(self._keys, effect.id, told), None, verdict.again_s, told.outcome,
        )  # fmt: skip
        await self._handler(db, effect, told)
        return True

    async def give_back(self, manifest: Manifest, effect_id: str, nack: Nack) -> Given:
        """Take back an effect that nothing was done with.

        Raises:
            NoSuchEffect, LeaseLost: as `acknowledge`.
        """
        async with self._pool.acquire() as db, db.transaction():
            effect = await self._own(db, manifest, effect_id)
            problem = {"code": "upstream.given_back", "cause": nack.reason}
            if not await store_pull.give_back(db, effect, nack.lease, problem, nack.retry_after_s):
                raise LeaseLost(key=effect.key)
        return Given(id=effect_id)

    async def extend(self, manifest: Manifest, effect_id: str, asked: Extend) -> Given:
        """Make a lease last longer.

        Raises:
            NoSuchEffect, LeaseLost: as `acknowledge`.
        """
        async with self._pool.acquire() as db, db.transaction():
            effect = await self._own(db, manifest, effect_id)
            until = await store_pull.extend_lease(db, effect, asked.lease, asked.lease_s)
            if until is None:
                raise LeaseLost(key=effect.key)
        return Given(id=effect_id, until=until)

    async def _own(self, db: Connection, manifest: Manifest, effect_id: str) -> store_pull.Leased:
        effect = await store_pull.for_update(db, self._region, effect_id)
        if effect is None or effect.adapter != manifest.id or effect.channel != "pull":
            raise NoSuchEffect(effect_id[:40])
        return effect


def _answer(prepared: Prepared, ack: Ack) -> Answer:
    """Return what a department said, read by its manifest where it came in its own words."""
    if (ack.reply is None) == (ack.outcome is None):
        raise ReplyUnreadable("either an outcome or a reply", reason="outcome")
    if ack.reply is not None:
        try:
            answer = prepared.read(ack.reply)
        except MappingFailed as fault:
            raise ReplyUnreadable(str(fault), reason="mapping") from fault
        if answer.kind != "ok" or answer.outcome is None:
            raise ReplyUnreadable(answer.reason or answer.kind, reason="mapping")
        return answer
    answer = Answer("ok")
    answer.outcome, answer.reference, answer.reason, answer.fields = ack.outcome, ack.reference, ack.reason, ack.fields
    return answer
