"""Verbs: begin to act for somebody under a mandate, and go back to one's own affairs."""

from datetime import datetime, timedelta
from typing import Final

from onestop import clock
from onestop.audit import service as audit
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import BEARER_LIFE, SESSION_LIFE
from onestop.mandates import errors, rules, service_legal, store
from onestop.mandates.models import Acting, Mandate
from onestop.mandates.service import Mandates, refuse

_SHORTEST: Final = timedelta(seconds=1)


async def act(desk: Mandates, session: Session, context: Context, mandate_id: str) -> tuple[Acting, str, Session]:
    """Open a session for the giver of a mandate; return it, its cookie or token, and the session.

    It lasts no longer than the actor's own session, the mandate, and what a department vouched for.

    Raises:
        MandateUnknown: it was not given to this subject.
        NotLive, NotBegun, Expired: it does not hold, or one it was handed on from does not.
        NotVouched: the department that vouches for it cannot be asked.
        LevelTooLow: the own session's real-name level is lower than it needs.
    """
    chain = await _vouched_for(desk, context, await _chain(desk, session, mandate_id))
    mandate = chain[0]
    now = clock.now()
    for link in chain:
        why = rules.standing(link, now)
        if why is not None:
            refuse(link, why)
    if session.level < mandate.level:
        raise errors.LevelTooLow(needed=mandate.level, level=session.level)
    life = _life(session, chain, now)
    principal = await desk.sessions.person(mandate.principal)
    async with desk.pool.acquire() as db, db.transaction():
        secret, opened = await desk.sessions.acting.open(db, session, mandate.principal, mandate.id, life)
        await audit.record(
            db, desk.region, actor=session.actor_id, action="mandate.acting", subject=mandate.principal,
            object=mandate.id, trace_id=context.trace_id, detail={"session": opened.id},
        )  # fmt: skip
    bearer = opened.kind == "bearer"
    acting = Acting(
        mandate=mandate.id,
        principal=mandate.principal,
        principal_name=principal.name,
        expires_in=int(life.total_seconds()),
        access_token=secret if bearer else None,
        token_type="Bearer" if bearer else None,
    )
    return acting, secret, opened


async def _chain(desk: Mandates, session: Session, mandate_id: str) -> list[Mandate]:
    chain = await store.chain(desk.pool, desk.region, mandate_id)
    if not chain or chain[0].actor != session.subject_id or session.mandate_id is not None:
        raise errors.MandateUnknown(mandate_id[:40])
    return chain


async def _vouched_for(desk: Mandates, context: Context, chain: list[Mandate]) -> list[Mandate]:
    """Ask again the department that the chain hangs on, where its answer is too old, and return the chain as it is now.

    Rule: R-057, unknown is no.
    """
    root, now = chain[-1], clock.now()
    fresh = root.valid_until is None or now < root.valid_until
    if fresh or root.adapter is None or root.state != "live":
        return chain
    parts = await service_legal.ask(desk, context, root.actor, only={(root.adapter, root.kind)})
    found = await store.chain(desk.pool, desk.region, chain[0].id)
    root = found[-1]
    if root.state == "live" and root.valid_until is not None and clock.now() >= root.valid_until:
        name = parts[0].source.department if parts else root.adapter
        raise errors.NotVouched(department=name or "", retry_after_s=30.0)
    return found


def _life(session: Session, chain: list[Mandate], now: datetime) -> timedelta:
    most = BEARER_LIFE if session.kind == "bearer" else SESSION_LIFE
    ends = [end for link in chain for end in (link.ends_at, link.valid_until) if end is not None]
    left = [most, session.expires_at - clock.real_now(), *(end - now for end in ends)]
    return max(min(left), _SHORTEST)


async def go_back(desk: Mandates, session: Session) -> str | None:
    """End a session in which somebody acts for somebody else and return the cookie of their own.

    None: an app, which has its own token still, or the own session has ended meanwhile.

    Raises:
        MandateUnknown: nobody acts for anybody in this session.
    """
    if session.mandate_id is None:
        raise errors.MandateUnknown("-")
    own = await desk.sessions.acting.own_of(session)
    await desk.sessions.revoke(session.id)
    if own is None or session.kind != "cookie":
        return None
    return await desk.sessions.acting.renew(own)
