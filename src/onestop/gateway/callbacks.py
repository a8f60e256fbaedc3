"""A department's own answer to something sent to it earlier: genuine, new, and about an effect we know.

It is read in the words of the version its effect was sent with, as the effect's own operation declares; where that
version is not kept, or the department has moved on, in those of the version that serves. See docs/manifest.md.
"""

import time
from collections.abc import Mapping

import msgspec
import structlog

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.gateway import facts, store
from onestop.gateway.auth.kinds import Outgoing
from onestop.gateway.callback_rules import Envelope, Untold, heard_by, reader_of, readers, told_operation
from onestop.gateway.effect_rows import sealed_result, values_of
from onestop.gateway.effect_verdicts import said
from onestop.gateway.effects import Handler
from onestop.gateway.errors import CallbackNotGenuine, CallbackUnknown, CallbackUnreadable, NoSuchAdapter
from onestop.gateway.facts import Fact, fact
from onestop.gateway.line import Line
from onestop.gateway.manifest import Callback, CallbackReply
from onestop.gateway.mapping.language import MappingFailed
from onestop.gateway.models import Effect
from onestop.gateway.operations import Answer, Heard, Prepared
from onestop.gateway.service import Gateway
from onestop.outbound.errors import BadBody

log = structlog.get_logger(__name__)


class Receipt(msgspec.Struct, frozen=True):
    """A callback is on record."""

    new: bool  # False: the same answer came before, and nothing changed
    reply: CallbackReply | None  # what the department must hear; None: our own words


class _Reading(msgspec.Struct, frozen=True):
    """A genuine callback as one operation of one version reads it."""

    line: Line
    nonce: str
    told: str | None  # the operation it tells outside its body
    reader: str
    heard: Heard

    @property
    def prepared(self) -> Prepared:
        """Return the operation that reads it."""
        return self.line.operations[self.reader]


async def receive(
    pool: Pool,
    keys: Keys,
    gateway: Gateway,
    region: str,
    adapter: str,
    envelope: Envelope,
    body: bytes,
    handler: Handler,
) -> Receipt:
    """Take a callback and tell the handler, in one transaction.

    Raises:
        NoSuchAdapter: nobody of that name answers by callback.
        CallbackNotGenuine: not proved to be the department's own, as its manifest declares, within the allowed skew.
        CallbackUnreadable: the body is not what the manifest declares, or is about somebody else.
        CallbackUnknown: nothing was sent under the key, or the department's number, that it names.
    """
    lines = _lines(gateway, adapter)
    if not lines:
        raise NoSuchAdapter(adapter)
    readings = _readings(_genuine(lines, envelope, body), envelope, body)
    sent, reading, answer = await _chosen(pool, region, adapter, lines[0], readings)
    async with pool.acquire() as db, db.transaction():
        effect = await store.by_key_for_update(db, region, adapter, sent.key)
        if effect is None:
            raise CallbackUnknown(adapter, _key_fact(reading))
        await _check_person(db, keys, effect, reading)
        new = await store.insert_callback(db, region, adapter, reading.nonce)
        if new:
            own = reading.line.operations.get(effect.operation, reading.prepared)
            new = await take_answer(db, keys, effect, own, answer, handler)
    log.info("callback_received", adapter=adapter, effect=effect.id, version=reading.line.manifest.version, new=new)
    if new:
        await gateway.changed(pool, effect.case_id)
    return Receipt(new, heard_by(_rules(reading.line), effect.operation))


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


def _lines(gateway: Gateway, adapter: str) -> list[Line]:
    """Return the lines that take callbacks: the one that serves, then those kept, the newest first, a trial last."""
    serving, trial = gateway.lines.get(adapter), gateway.shown.trials.get(adapter)
    tried = trial.line if trial is not None else None

    def place(line: Line) -> tuple[bool, bool, list[int]]:
        return line is not serving, line is tried, [-int(part) for part in line.manifest.version.split(".")]

    lines = {id(line): line for line in gateway.lines_of(adapter) if line.manifest.callback is not None}
    return sorted(lines.values(), key=place)


def _genuine(lines: list[Line], envelope: Envelope, body: bytes) -> list[tuple[Line, str]]:
    """Return the lines by which a callback is genuine, in their order, each with its nonce.

    Raises:
        CallbackNotGenuine: by none; for the reason the first has.
    """
    now = time.time()
    found = [(line, nonce) for line in lines if (nonce := _nonce(line, envelope, body, now)) is not None]
    if not found:
        raise CallbackNotGenuine(
            lines[0].manifest.id, _why_not_genuine(lines[0].manifest.callback, envelope.headers, now)
        )
    return found


def _nonce(line: Line, envelope: Envelope, body: bytes, now: float) -> str | None:
    """Return the nonce of a callback that is genuine by a line; None where it is not."""
    path = f"/v1/callbacks/{line.manifest.id}" + (f"/{envelope.segment}" if envelope.segment is not None else "")
    headers = envelope.headers
    message = Outgoing("POST", f"http://{headers.get('host', '')}", path, envelope.query, list(headers.items()), body)
    return line.genuine(message, now) if line.genuine is not None else None


def _readings(genuine: list[tuple[Line, str]], envelope: Envelope, body: bytes) -> list[_Reading]:
    """Return every way in which a callback can be read and names an effect; at least one.

    Raises:
        CallbackUnreadable: there is none; for the reason the first version has.
    """
    found: list[_Reading] = []
    refusal: CallbackUnreadable | None = None
    for line, nonce in genuine:
        try:
            told = told_operation(_rules(line), envelope)
        except Untold:
            refusal = refusal or CallbackUnreadable(line.manifest.id, _untold_fact(_rules(line)))
            continue
        for name in readers(line.manifest) if told is None else [reader_of(line.manifest, told) or told]:
            try:
                found.append(_Reading(line, nonce, told, name, _heard(line, name, body)))
            except CallbackUnreadable as refused:
                refusal = refusal or refused
    if not found:
        raise refusal or CallbackUnreadable(genuine[0][0].manifest.id)
    return found


def _heard(line: Line, reader: str, body: bytes) -> Heard:
    """Decode a body as one operation does.

    Raises:
        CallbackUnreadable: it is not what the operation declares, or names nothing by which an effect is found.
    """
    prepared = line.operations[reader]
    try:
        heard = prepared.hear(body)
    except (BadBody, MappingFailed) as fault:
        raise CallbackUnreadable(line.manifest.id, fact("callback_body", why=str(fault))) from fault
    if heard.key is None and heard.reference is None:
        reply = prepared.spec.reply
        raise CallbackUnreadable(line.manifest.id, facts.missing(reply.key or reply.reference or "key", heard.value))
    return heard


async def _chosen(
    pool: Pool, region: str, adapter: str, newest: Line, readings: list[_Reading]
) -> tuple[store.Named, _Reading, Answer]:
    """Return the effect a callback speaks of, and how it is to be read.

    The version that the effect was sent with goes before the newest, and no other reads it.

    Raises:
        CallbackUnknown: no effect is named, or several are.
        CallbackUnreadable: what it says of the effect is not what either version declares.
    """
    keys = {one.heard.key for one in readings if one.heard.key is not None}
    numbers = {one.heard.reference for one in readings if one.heard.reference is not None}
    rows = await store.named(pool, region, adapter, keys, numbers)
    fitting = [(row, one) for row in rows for one in readings if _fits(row, one, newest)]
    if len({row.id for row, _ in fitting}) != 1:
        _first_answer(adapter, readings)  # a body that cannot be read is told so, whatever it names
        raise CallbackUnknown(adapter, _key_fact(readings[0]))
    fitting.sort(key=lambda pair: pair[1].line.manifest.version != pair[0].version)
    reading, answer = _first_answer(adapter, [reading for _, reading in fitting])
    return fitting[0][0], reading, answer


def _fits(row: store.Named, reading: _Reading, newest: Line) -> bool:
    """Tell whether a reading is that of an effect: it names it, its operation reads it, and its version may."""
    heard, line = reading.heard, reading.line
    named = row.key == heard.key if heard.key is not None else row.reference == heard.reference
    if not named or (reading.told is not None and reading.told != row.operation):
        return False
    if line is not newest and line.manifest.version != row.version:
        return False
    return reader_of(line.manifest, row.operation) == reading.reader


def _first_answer(adapter: str, readings: list[_Reading]) -> tuple[_Reading, Answer]:
    """Return the first reading by which a body says something, and what.

    Raises:
        CallbackUnreadable: there is none.
    """
    refusal: MappingFailed | None = None
    for reading in readings:
        try:
            return reading, reading.prepared.said_later(reading.heard.value)
        except MappingFailed as fault:
            refusal = refusal or fault
    raise CallbackUnreadable(adapter, fact("callback_body", why=str(refusal))) from refusal


async def _check_person(db: Connection, keys: Keys, effect: Effect, reading: _Reading) -> None:
    """Refuse what names another person than the effect is about, where the manifest says that it names one.

    Raises:
        CallbackUnreadable: it is about somebody else.
    """
    prepared = reading.prepared
    if prepared.spec.reply.subject is None:
        return
    values = values_of(keys, effect, await store.payload_of(db, effect))
    about = reading.line.operations.get(effect.operation, prepared).about(values)
    if not prepared.names_person(reading.heard.value, about if isinstance(about, str) else None):
        raise CallbackUnreadable(effect.adapter, fact("subject_mismatch", member=prepared.spec.reply.subject))


def _rules(line: Line) -> Callback:
    rules = line.manifest.callback
    assert rules is not None  # as `_lines` chose
    return rules


def _key_fact(reading: _Reading) -> Fact:
    reply = reading.prepared.spec.reply
    return fact("callback_key", member=reply.key or reply.reference or "")


def _untold_fact(rules: Callback) -> Fact:
    told_by = rules.told_by
    place = "path" if told_by is None else f"{told_by.place} {told_by.name or ''}".strip()
    known = facts.names(told_by.values or rules.operations) if told_by is not None else "—"
    return fact("callback_operation", place=place, known=known)


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
