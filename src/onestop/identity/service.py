"""Sessions: opened, resolved on every request, listed, revoked.

A resolved session is remembered for at most 30 seconds, by a hash of what was presented. Each instance asks the
database once a second for the sessions revoked in the last minute, so a revocation holds everywhere within two
seconds; an instance that could not ask for five seconds stops trusting what it remembers.
"""

import asyncio
import contextlib
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from hashlib import sha256
from itertools import count
from time import monotonic, time
from typing import Any, Final, Self

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.crypto import Keys
from onestop.db import Connection, Db, Pool
from onestop.identity import rules, service_machine_keys, store, store_machine_keys, tokens
from onestop.identity.errors import BadToken, SessionUnknown
from onestop.identity.models import Bearer, Identified, Me, NumberType, OwnSession, OwnSessions, Session, Subject
from onestop.identity.service_acting import ActingSessions, session_of
from onestop.identity.service_bearer import BearerTokens
from onestop.identity.service_subjects import Subjects
from onestop.ids import new_id
from onestop.rounds import attempt
from onestop.settings import Settings

_HOLD_S: Final = 30.0
_HOLD_COUNT: Final = 100_000
_POLL_S: Final = 1.0
_TRUST_S: Final = 5.0  # without a poll for this long nothing remembered is believed
_REVOKED_SPAN: Final = timedelta(seconds=60)  # longer than anything is remembered, and than a commit may lag
_REVOKED_HOLD_S: Final = 120.0
_CLEAN_EVERY: Final = 300  # polls


class _Held(msgspec.Struct, frozen=True):
    session: Session
    until: float  # monotonic seconds


class Sessions:
    """All sessions of this installation, as one process sees them."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings) -> None:
        self._pool, self._keys, self._settings = pool, keys, settings
        self._region = settings.region
        self.bearers = BearerTokens(pool, keys, settings)
        self.signing = self.bearers.signing
        self._held: dict[bytes, _Held] = {}
        self._revoked: dict[str, float] = {}  # id → when it was first known here, monotonic seconds
        self._subjects = Subjects(pool, keys, settings.region)
        self.acting = ActingSessions(pool, settings, self.bearers)
        self._polled_at = float("-inf")
        self._watch: asyncio.Task[None] | None = None
        # What is over and may be forgotten, done every five minutes.
        self.cleaning: dict[str, Callable[[], Awaitable[object]]] = {
            "old_sign_ins": partial(store.delete_old_flows, pool, settings.region)
        }

    async def start(self) -> None:
        """Load the signing keys and begin to watch for revocations; without it nothing is remembered."""
        await self.signing.load()
        await self._poll()
        self._watch = asyncio.create_task(self._watching(), name="identity revocations")

    async def stop(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
            self._watch = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # ---- on every request

    def peek(self, authorization: str | None, cookie: str | None) -> Session | None:
        """Return the remembered session of an Authorization header or a session cookie's value; None: ask `resolve`."""
        presented = authorization or cookie
        if presented is None:
            return None
        held = self._held.get(sha256(presented.encode()).digest())
        if held is None:
            return None
        now = monotonic()
        if held.until <= now or now - self._polled_at > _TRUST_S or held.session.id in self._revoked:
            return None
        return held.session

    async def resolve(self, authorization: str | None, cookie: str | None) -> Session | None:
        """Return the live session of an Authorization header or a session cookie's value; the header goes first.

        None: nothing was presented, or it is forged, unknown, ended or revoked. A header that fails is not made good by
        a cookie.
        """
        remembered = self.peek(authorization, cookie)
        if remembered is not None:
            return remembered
        if authorization and (key := _machine_key(authorization)) is not None:
            return await self._resolve_machine(authorization, key)
        good_s = _HOLD_S
        if authorization:
            row, good_s = await self._bearer_row(authorization)
        elif cookie and len(cookie) <= 128:
            row = await store.cookie_session(
                self._pool, self._region, sha256(cookie.encode()).digest(), rules.SESSION_IDLE
            )
        else:
            return None
        if row is None:
            return None
        if row.unseen_s > rules.SEEN_STEP.total_seconds():
            await store.touch_session(self._pool, self._region, row.id, rules.SEEN_STEP)
        session = session_of(row, row.expires_at)
        self._hold(authorization or cookie or "", session, min(row.remaining_s, good_s))
        return session

    async def _resolve_machine(self, authorization: str, key: str) -> Session | None:
        found = await service_machine_keys.resolve(self._pool, self._settings, key)
        if found is None:
            return None
        session, remaining_s = found
        self._hold(authorization, session, remaining_s)
        return session

    async def _bearer_row(self, authorization: str) -> tuple[store.SessionRow | None, float]:
        """Return the live session a token names, and for how long the token itself is still good, in seconds."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None, 0.0
        try:
            told = await self.bearers.check(token)
        except BadToken:
            return None, 0.0
        row = await store.bearer_session(self._pool, self._region, told.sid, told.sub, told.role)
        return row, told.exp + tokens.LEEWAY_S - time()

    def _hold(self, presented: str, session: Session, remaining_s: float) -> None:
        if len(self._held) >= _HOLD_COUNT and not self._forget_what_is_over():
            for oldest in list(self._held)[: _HOLD_COUNT // 10]:
                del self._held[oldest]
        key = sha256(presented.encode()).digest()
        self._held.pop(key, None)  # so that the dictionary stays in the order of holding
        self._held[key] = _Held(session, monotonic() + min(_HOLD_S, remaining_s))

    def _forget_what_is_over(self) -> int:
        now = monotonic()
        over = [key for key, held in self._held.items() if held.until <= now]
        for key in over:
            del self._held[key]
        return len(over)

    # ---- revocations

    async def _watching(self) -> None:
        for polls in count(1):
            await asyncio.sleep(_POLL_S)
            await attempt("revocations", self._poll)
            if polls % _CLEAN_EVERY == 0:
                self._forget_what_is_over()
                for what, part in self.cleaning.items():
                    await attempt(what, part)

    async def _poll(self) -> None:
        began = monotonic()
        for session_id in await store.revoked_within(self._pool, self._region, _REVOKED_SPAN):
            self._revoked.setdefault(session_id, began)
        for key_id in await store_machine_keys.revoked_keys_within(self._pool, _REVOKED_SPAN):
            self._revoked.setdefault(key_id, began)
        # Kept longer than a session read just before its revocation can still be remembered.
        self._revoked = {known: at for known, at in self._revoked.items() if began - at < _REVOKED_HOLD_S}
        self._polled_at = began

    # ---- opening and ending

    async def open_cookie(
        self,
        who: Identified,
        *,
        provider: str,
        id_token: str | None = None,
        replaces: str | None = None,
        device: str = "",
        subject_id: str | None = None,
    ) -> tuple[str, Session]:
        """Open a browser's session and return the cookie's value; `replaces`, an older cookie's, ends with it.

        `subject_id` where it is known already whom `who` names.
        """
        secret = secrets.token_urlsafe(32)
        token_hash = sha256(secret.encode()).digest()
        session = await self._open(who, provider, token_hash, id_token, rules.SESSION_LIFE, device, subject_id)
        if replaces:
            replaced = await store.revoke_cookie(self._pool, self._region, sha256(replaces.encode()).digest())
            self.forget(replaced)
        return secret, session

    async def issue_bearer(
        self, who: Identified, *, provider: str = "demo", life: timedelta = rules.BEARER_LIFE, device: str = ""
    ) -> Bearer:
        """Open an app's session and return its signed token; both end after `life`."""
        session = await self.open_app(who, provider=provider, device=device, life=life)
        return Bearer(token=self.bearers.make(session.id, session.subject_id, session.role, life), session=session)

    async def open_app(self, who: Identified, *, provider: str, device: str, life: timedelta) -> Session:
        """Open an app's session of that life; its tokens are for the caller to make."""
        return await self._open(who, provider, None, None, life, device)

    async def _open(
        self,
        who: Identified,
        provider: str,
        token_hash: bytes | None,
        id_token: str | None,
        life: timedelta,
        device: str,
        subject_id: str | None = None,
    ) -> Session:
        subject_id = subject_id or await self.know(who)
        session_id = new_id("ses")
        new = store.NewSession(
            region=self._region,
            id=session_id,
            token_hash=token_hash,
            subject_id=subject_id,
            actor_id=subject_id,
            role=who.role,
            department=who.department,
            level=who.level,
            provider=provider,
            kind="bearer" if token_hash is None else "cookie",
            id_token=None if id_token is None else self._keys.seal(id_token.encode(), _id_token_context(session_id)),
            life=life,
            device=device,
        )
        async with self._pool.acquire() as db, db.transaction():
            ends = await store.insert_session(db, new)
            await self._record(db, "session.opened", subject_id, new.id, {"kind": new.kind, "provider": provider})
        return session_of(new, ends)

    def over(self, session: Session) -> bool:
        """Tell whether a session that was live has ended, as far as this process knows: at most two seconds late."""
        return session.id in self._revoked or session.expires_at <= clock.real_now()

    # ---- ending

    def forget(self, session_ids: Sequence[str]) -> None:
        """Believe these sessions no longer in this process; others hear of it within two seconds."""
        self._revoked |= dict.fromkeys(session_ids, monotonic())

    async def revoke(self, session_id: str) -> store.SignOutRow | None:
        """End a session; return what signing out at its provider needs, None where it had ended already."""
        async with self._pool.acquire() as db, db.transaction():
            ended = await store.revoke_session(db, self._region, session_id)
            with_it = await store.revoke_opened_from(db, self._region, session_id)
            if ended is not None:
                await self._record(db, "session.ended", ended.subject_id, session_id, {})
        self.forget([session_id, *with_it])
        return ended

    async def sign_out(self, session: Session) -> tuple[str, str | None] | None:
        """End a session and return its provider and the ID token it came with; None where it had ended already.

        Who signs out of a browser while acting for somebody signs out of their own session.
        """
        session_id = session.id
        if session.mandate_id is not None and session.kind == "cookie":
            session_id = await store.opened_from(self._pool, self._region, session.id) or session.id
        row = await self.revoke(session_id)
        if row is None:
            return None
        if row.id_token is None:
            return row.provider, None
        return row.provider, self._keys.unseal(row.id_token, _id_token_context(session_id)).decode()

    async def revoke_own(self, session: Session, session_id: str) -> None:
        """End one of the caller's own sessions, or one in which somebody acts for them.

        Raises:
            SessionUnknown: it is no live session for this subject, or in which they act.
        """
        async with self._pool.acquire() as db, db.transaction():
            if not await store.revoke_own_session(db, self._region, session_id, session.subject_id):
                raise SessionUnknown
            with_it = await store.revoke_opened_from(db, self._region, session_id)
            await self._record(db, "session.ended", session.subject_id, session_id, {"by": session.id})
        self.forget([session_id, *with_it])

    async def revoke_others(self, session: Session) -> int:
        """End the caller's sessions but the one they speak in, at most 1,000; return how many."""
        async with self._pool.acquire() as db, db.transaction():
            ended = await store.revoke_other_sessions(db, self._region, session.subject_id, session.id)
            with_them = [one for own in ended for one in await store.revoke_opened_from(db, self._region, own)]
            if ended:
                detail = {"count": len(ended)}
                await self._record(db, "session.others_ended", session.subject_id, session.id, detail)
        self.forget([*ended, *with_them])
        return len(ended)

    async def _record(self, db: Db, action: str, subject_id: str, session_id: str, detail: dict[str, Any]) -> None:
        await audit.record(
            db, self._region, actor=subject_id, subject=subject_id, action=action, object=session_id, detail=detail
        )

    async def provider_of(self, session: Session) -> str | None:
        """Return the provider a live session came from; None where it has ended."""
        return await store.session_provider(self._pool, self._region, session.id)

    async def list_own(self, session: Session) -> OwnSessions:
        """Return the caller's live sessions, newest first, at most 200."""
        rows = await store.own_sessions(self._pool, self._region, session.subject_id, rules.SESSION_IDLE)
        return OwnSessions(
            data=[
                OwnSession(
                    id=row.id,
                    kind=row.kind,
                    role=row.role,
                    provider=row.provider,
                    created_at=row.created_at,
                    seen_at=row.seen_at,
                    expires_at=row.expires_at,
                    device=row.device,
                    current=row.id == session.id,
                    mandate=row.mandate_id,
                )
                for row in rows
            ]
        )

    # ---- subjects

    async def know(self, who: Identified) -> str:
        """Return the id of the subject with that number, made at the first time; a changed name is kept."""
        return await self._subjects.know(who)

    async def met(self, db: Connection, number_type: NumberType, number: str, name: str) -> str:
        """Return the id of the subject that somebody else told of, in the caller's transaction; renames nobody."""
        return await self._subjects.met(db, number_type, number, name)

    async def called(self, number_type: NumberType, number: str) -> Mapping[str, str]:
        """Return what departments call the subject with that number, by adapter; the caller writes down the look."""
        return await self._subjects.called(number_type, number)

    async def find(self, number_type: NumberType, number: str) -> str | None:
        """Return the id of the subject with that number; None where it is nobody's here."""
        return await self._subjects.find(number_type, number)

    async def subject(self, subject_id: str) -> Subject:
        """Open a subject's number and name; the caller writes down that it did.

        Raises:
            PersonUnknown: there is none of that id.
        """
        return await self._subjects.read(subject_id)

    async def person(self, subject_id: str) -> Subject:
        """Return what `subject` does, remembered for at most 30 seconds: departments are asked by number all day.

        Raises:
            PersonUnknown: there is none of that id.
        """
        return await self._subjects.held(subject_id)

    async def learn(self, subject: Subject, ids: Mapping[str, str]) -> None:
        """Keep what departments call a subject, by adapter; nothing is written where all of it is known."""
        await self._subjects.learn(subject, ids)

    async def span(self, session_id: str) -> store.SessionSpan | None:
        """Return since when and until when a session holds; None where it has ended."""
        return await store.session_span(self._pool, self._region, session_id)

    async def subject_number(self, session: Session) -> str:
        """Open the number of the one a session is for; the caller writes down that it did."""
        return (await self.subject(session.subject_id)).number

    async def me(self, session: Session) -> Me:
        """Return what the one who asks may see of themselves; one statement."""
        if session.kind == "machine":
            return service_machine_keys.me(session)
        subject = await self.subject(session.subject_id)
        return Me(
            subject_id=subject.id,
            name=subject.name,
            number_type=subject.number_type,
            number_masked=rules.mask_number(subject.number),
            role=session.role,
            department=session.department,
            level=session.level,
            actor_id=session.actor_id,
            mandate=session.mandate_id,
            session_id=session.id,
            session_expires_at=session.expires_at,
        )

    def jwks(self) -> dict[str, Any]:
        """Return the public keys onestop's bearer tokens are checked with."""
        return self.signing.jwks()


def _machine_key(authorization: str) -> str | None:
    """Return the machine key in an Authorization header, None where it holds something else."""
    scheme, _, token = authorization.partition(" ")
    return token if scheme.lower() == "bearer" and token.startswith(service_machine_keys.PREFIX) else None


# Bound to table, column and row: an ID token moved to another session does not open.
def _id_token_context(session_id: str) -> str:
    return f"sessions.id_token:{session_id}"
