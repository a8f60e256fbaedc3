"""A department's own answer to something sent to it earlier: genuine, new, and about an effect we know."""

import contextlib
import time
from collections.abc import Mapping

import structlog

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.gateway import store
from onestop.gateway.auth import callback_is_genuine
from onestop.gateway.effects import Handler, sealed_result
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown, CallbackUnreadable, NoSuchAdapter
from onestop.gateway.line import Line
from onestop.gateway.mapping import MappingFailed
from onestop.gateway.models import Settled
from onestop.gateway.operations import Answer, Prepared
from onestop.gateway.service import Gateway
from onestop.outbound.decoding import decode_json
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
        CallbackNotGenuine: not signed with the shared secret within the allowed skew.
        CallbackUnreadable: the body is not what the manifest declares.
        CallbackUnknown: nothing was sent under the key it names.
    """
    lines = [line for line in gateway.lines_of(adapter) if line.manifest.callback is not None]
    if not lines:
        raise NoSuchAdapter(adapter)
    line, nonce = _genuine(lines, headers, body)
    key, answer = _read(_reader(line), body)
    sent_by = await store.version_by_key(pool, region, adapter, key)
    if sent_by is not None and sent_by != line.manifest.version:
        # Answered in the words of the version it was sent with, while that is kept.
        older = next((one for one in lines if one.manifest.version == sent_by), line)
        key, answer = _read(_reader(older), body)
    outcome = answer.outcome or "completed"
    settled = Settled(outcome=outcome, reference=answer.reference, reason=answer.reason, result=answer.fields)
    async with pool.acquire() as db, db.transaction():
        effect = await store.by_key_for_update(db, region, adapter, key)
        if effect is None:
            raise CallbackUnknown(adapter)
        if outcome in ("pending", "extended") or not await store.insert_callback(db, region, adapter, nonce):
            return False
        state = "done" if outcome in ("completed", "transferred") else "refused"
        new = await store.answered(
            db, effect, state, settled.reference, sealed_result(keys, effect.id, settled), None
        )  # fmt: skip
        if new:
            await handler(db, effect, settled)
    log.info("callback_received", adapter=adapter, effect=effect.id, new=new)
    if new:
        await gateway.changed(pool, effect.case_id)
    return new


def _genuine(lines: list[Line], headers: Mapping[str, str], body: bytes) -> tuple[Line, str]:
    """Return the newest line by which a callback is genuine and can be read, and its nonce.

    Raises:
        CallbackNotGenuine: by none.
    """
    found: list[tuple[Line, str]] = []
    for line in lines:
        with contextlib.suppress(CallbackNotGenuine):
            found.append((line, _check(line, headers, body)))
    if not found:
        raise CallbackNotGenuine(lines[0].manifest.id)
    for line, nonce in found:
        with contextlib.suppress(CallbackUnreadable):
            _read(_reader(line), body)
            return line, nonce
    return found[0]


def _reader(line: Line) -> Prepared:
    rules = line.manifest.callback
    assert rules is not None  # asked by the caller
    return line.operations[rules.operation]


def _check(line: Line, headers: Mapping[str, str], body: bytes) -> str:
    """Return the nonce of a genuine callback."""
    rules = line.manifest.callback
    assert rules is not None  # asked by the caller
    timestamp = headers.get(rules.timestamp_header.lower(), "")
    nonce = headers.get(rules.nonce_header.lower(), "")
    signature = headers.get(rules.signature_header.lower(), "")
    known = line.accepted("callback_secret")
    if not 8 <= len(nonce) <= 128 or not nonce.isascii():
        raise CallbackNotGenuine(line.manifest.id)
    now = time.time()
    if not any(callback_is_genuine(rules, secret, timestamp, nonce, signature, body, now) for secret in known):
        raise CallbackNotGenuine(line.manifest.id)
    return nonce


def _read(prepared: Prepared, body: bytes) -> tuple[str, Answer]:
    try:
        value = decode_json(body)
        key = prepared.key(value) if prepared.key else None
        answer = prepared.read(value)
    except (BadBody, MappingFailed) as fault:
        raise CallbackUnreadable(str(fault)) from fault
    if not isinstance(key, str) or not key:
        raise CallbackUnreadable("the body names no key of ours")
    return key, answer
