"""A department's own answer to something sent to it earlier: genuine, new, and about an effect we know."""

import contextlib
import time
from collections.abc import Mapping

import structlog

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import facts, store
from onestop.gateway.auth.kinds import Outgoing
from onestop.gateway.effect_rows import sealed_result
from onestop.gateway.effect_verdicts import said
from onestop.gateway.effects import Handler
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown, CallbackUnreadable, NoSuchAdapter
from onestop.gateway.facts import Fact, fact
from onestop.gateway.line import Line
from onestop.gateway.manifest import Callback, CallbackReply
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.models import Effect
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway
from onestop.outbound.errors import BadBody

log = structlog.get_logger(__name__)


async def receive(
    pool: Pool,
    keys: Keys,
    gateway: Gateway,
    region: str,
    adapter: str,
    headers: Mapping[str, str],
    body: bytes,
    handler: Handler,
) -> bool:
    """Take a callback and tell the handler, in one transaction; False where the same answer came before.

    Raises:
        NoSuchAdapter: nobody of that name answers by callback.
        CallbackNotGenuine: not proved to be the department's own, as its manifest declares, within the allowed skew.
        CallbackUnreadable: the body is not what the manifest declares.
        CallbackUnknown: nothing was sent under the key it names.
    """
    lines = [line for line in gateway.lines_of(adapter) if line.manifest.callback is not None]
    if not lines:
        raise NoSuchAdapter(adapter)
    line, nonce = _genuine(lines, headers, body)
    key, answer = _read(line, _reader(line), body)
    sent_by = await store.version_by_key(pool, region, adapter, key)
    if sent_by is not None and sent_by != line.manifest.version:
        # Answered in the words of the version it was sent with, while that is kept.
        line = next((one for one in lines if one.manifest.version == sent_by), line)
        key, answer = _read(line, _reader(line), body)
    prepared = _reader(line)
    async with pool.acquire() as db, db.transaction():
        effect = await store.by_key_for_update(db, region, adapter, key)
        if effect is None:
            raise CallbackUnknown(adapter, fact("callback_key", member=prepared.spec.reply.key or ""))
        if not await store.insert_callback(db, region, adapter, nonce):
            return False
        new = await take_answer(db, keys, effect, prepared, answer, handler)
    log.info("callback_received", adapter=adapter, effect=effect.id, new=new)
    if new:
        await gateway.changed(pool, effect.case_id)
    return new


def acknowledgement(gateway: Gateway, adapter: str) -> CallbackReply | None:
    """Return what the newest version with callbacks wants to hear once one is on record; None: our own words."""
    told = (line.manifest.callback for line in gateway.lines_of(adapter))
    newest = next((rules for rules in told if rules is not None), None)
    return newest.reply if newest is not None else None


async def take_answer(
    db: Connection, keys: Keys, effect: Effect, prepared: Prepared, answer: Answer, handler: Handler
) -> bool:
    """Write a department's own answer and tell the handler; False where it changes nothing. The row is held.

    It may come before our own call has ended, twice, or out of order: what was decided stays decided, and a worker
    that still holds the effect loses it.
    """
    verdict = said(prepared, answer)
    settled = verdict.settled
    assert settled is not None  # a department's word always tells something
    if settled.outcome == "desk":
        return False
    if verdict.answer == "awaited":
        again = effect.answer == "awaited" and effect.outcome == settled.outcome
        if again or not await store.received(db, effect, settled.reference, settled.outcome, verdict.again_s or 1.0):
            return False
    else:
        result = sealed_result(keys, effect.id, settled)
        if not await store.answered(db, effect, verdict.state, settled.reference, result, settled.outcome):
            if effect.outcome not in (None, settled.outcome):
                log.warning("answer_contradicts", effect=effect.id, first=effect.outcome, then=settled.outcome)
            return False
    await handler(db, effect, settled)
    return True


def _genuine(lines: list[Line], headers: Mapping[str, str], body: bytes) -> tuple[Line, str]:
    """Return the newest line by which a callback is genuine and can be read, and its nonce.

    Raises:
        CallbackNotGenuine: by none; for the reason the newest has.
    """
    found: list[tuple[Line, str]] = []
    refusal: CallbackNotGenuine | None = None
    for line in lines:
        try:
            found.append((line, _check(line, headers, body)))
        except CallbackNotGenuine as refused:
            refusal = refusal or refused
    if not found:
        raise refusal or CallbackNotGenuine(lines[0].manifest.id)
    for line, nonce in found:
        with contextlib.suppress(CallbackUnreadable):
            _read(line, _reader(line), body)
            return line, nonce
    return found[0]


def _reader(line: Line) -> Prepared:
    rules = line.manifest.callback
    assert rules is not None  # asked by the caller
    return line.operations[rules.operation]


def _check(line: Line, headers: Mapping[str, str], body: bytes) -> str:
    """Return the nonce of a genuine callback."""
    adapter, now = line.manifest.id, time.time()
    told = list(headers.items())
    message = Outgoing("POST", f"http://{headers.get('host', '')}", f"/v1/callbacks/{adapter}", "", told, body)
    nonce = line.genuine(message, now) if line.genuine is not None else None
    if nonce is None:
        raise CallbackNotGenuine(adapter, _why_not_genuine(line.manifest.callback, headers, now))
    return nonce


def _why_not_genuine(rules: Callback | None, headers: Mapping[str, str], now: float) -> Fact | None:
    """Return whether it is the clock, the nonce or the signature; only the department and the operator are told."""
    if rules is None or rules.kind != "signed":
        return None
    told, nonce = headers.get(rules.timestamp_header.lower(), ""), headers.get(rules.nonce_header.lower(), "")
    sent = int(told) / (1000 if len(told) == 13 else 1) if told.isdigit() and len(told) <= 13 else None
    if sent is None or abs(sent - now) > rules.max_skew_s:
        skew = "—" if sent is None else round(sent - now)
        return fact("callback_skew", seconds=skew, limit_s=rules.max_skew_s)
    if not 8 <= len(nonce) <= 128 or not nonce.isascii():
        return fact("callback_nonce", header=rules.nonce_header)
    return fact("callback_signature", header=rules.signature_header, base=rules.base.replace("\n", "\\n"))


def _read(line: Line, prepared: Prepared, body: bytes) -> tuple[str, Answer]:
    try:
        key, answer = prepared.called_back(body)
    except (BadBody, MappingFailed) as fault:
        raise CallbackUnreadable(line.manifest.id, fact("callback_body", why=str(fault))) from fault
    if key is None:
        raise CallbackUnreadable(line.manifest.id, facts.missing(prepared.spec.reply.key or "reply.key", answer.body))
    return key, answer
