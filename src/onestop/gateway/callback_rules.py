"""Which operation of a manifest reads a callback: rules over `[callback]`, for who hears callbacks and who makes them.

An effect's own operation decides. Where several are answered at one address, either their bodies are read alike and the
effect that the body names tells which it is, or the callback tells it outside its body (`told_by`).
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from onestop.gateway.manifest import Manifest
from onestop.gateway.manifest_callback import Callback, CallbackReply

_MOST_QUERY: Final = 20  # members that are looked at


class Untold(Exception):
    """A callback does not tell of which operation it speaks, or tells one that is not answered so."""


class Envelope(msgspec.Struct, frozen=True):
    """What of a callback is not its body."""

    headers: Mapping[str, str]  # names in lower case
    segment: str | None = None  # of its path, behind the adapter
    query: str = ""  # as it came


def reader_of(manifest: Manifest, operation: str) -> str | None:
    """Return the operation that reads callbacks about effects of `operation`; None: they are not answered so."""
    rules = manifest.callback
    if rules is None:
        return None
    if rules.operation is not None:
        return rules.operation
    if operation not in rules.operations:
        return None
    own = next((one for one in manifest.operations if one.id == operation), None)
    return own.heard_as or own.id if own is not None else None


def readers(manifest: Manifest) -> list[str]:
    """Return every operation that reads callbacks, each once, in the order they are declared."""
    rules = manifest.callback
    if rules is None:
        return []
    named = [rules.operation] if rules.operation is not None else [reader_of(manifest, o) for o in rules.operations]
    return list(dict.fromkeys(name for name in named if name is not None))


def told_operation(rules: Callback, envelope: Envelope) -> str | None:
    """Return the operation that a callback tells outside its body; None where it need not tell any.

    Raises:
        Untold: it must, and does not; or it stands at an address below which nothing is declared.
    """
    told_by = rules.told_by
    if (told_by is None or told_by.place != "path") and envelope.segment is not None:
        raise Untold
    if told_by is None:
        return None
    value = _value(told_by.place, told_by.name or "", envelope)
    operation = told_by.values.get(value or "") if told_by.values else value
    if operation is None or operation not in rules.operations:
        raise Untold
    return operation


def _value(place: str, name: str, envelope: Envelope) -> str | None:
    if place == "path":
        return envelope.segment
    if place == "header":
        return envelope.headers.get(name.lower())
    try:
        members = parse_qsl(envelope.query, keep_blank_values=True, max_num_fields=_MOST_QUERY)
    except ValueError:
        return None
    found = [value for key, value in members if key == name]
    return found[0] if len(found) == 1 else None  # told twice is not told


def envelope_for(rules: Callback, operation: str) -> Envelope:
    """Return the envelope by which a department tells that it speaks of `operation`."""
    told_by = rules.told_by
    if told_by is None:
        return Envelope({})
    value = next((value for value, meant in told_by.values.items() if meant == operation), operation)
    if told_by.place == "path":
        return Envelope({}, segment=value)
    if told_by.place == "query":
        return Envelope({}, query=urlencode({told_by.name or "": value}))
    return Envelope({told_by.name or "": value})


def heard_by(rules: Callback, operation: str) -> CallbackReply | None:
    """Return what the department must hear for a callback about `operation`; None: our own words."""
    return rules.replies.get(operation, rules.reply)
