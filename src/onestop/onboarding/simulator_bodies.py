"""Replies made from a manifest alone, where none was recorded: from the operation's schema, or from its mapping."""

import re
from typing import Any

from onestop.gateway.manifest import Manifest, Operation
from onestop.gateway.mapping.language import calls_of
from onestop.onboarding.simulator_paths import place_of, split
from onestop.onboarding.simulator_wire import plain, write_reply

PERSON = "990102199203140221"
MOMENT = "2025-12-01T09:30:00+08:00"
_MOST_DEEP = 8
_CLOCK = re.compile(r"(date|instant)(?:\(([^)]*)\))?")
_FORMATS = {
    "date": "2025-12-01",
    "date-time": MOMENT,
    "time": "09:30:00",
    "email": "example@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def made_body(manifest: Manifest, operation: Operation) -> bytes:
    """Return a good reply as this operation's schema and mapping want it, about an invented person."""
    if operation.response_codec == "binary":
        return b"sandbox"
    tree = from_schema(operation.schema) if operation.schema else {}
    if not isinstance(tree, (dict, list)):
        return write_reply(operation, tree)
    if isinstance(tree, dict):
        _from_mapping(manifest, operation, tree)
    return write_reply(operation, tree)


# --- from a schema ----------------------------------------------------------------------------------------------------


def from_schema(schema: dict[str, Any]) -> Any:
    """Return a small value that a JSON Schema accepts, as far as the common keywords go."""
    return _value(schema, schema, 0)


def _value(schema: Any, root: dict[str, Any], depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _MOST_DEEP:
        return None
    if "$ref" in schema:
        return _value(_follow(root, str(schema["$ref"])), root, depth + 1)
    for told in ("const", "default", "example"):
        if told in schema:
            return schema[told]
    for told in ("enum", "examples"):
        if schema.get(told):
            return schema[told][0]
    for told in ("oneOf", "anyOf"):
        if schema.get(told):
            return _value(schema[told][0], root, depth + 1)
    if schema.get("allOf"):
        parts = [_value(part, root, depth + 1) for part in schema["allOf"]]
        return {key: value for part in parts if isinstance(part, dict) for key, value in part.items()}
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((k for k in kind if k != "null"), "null") if isinstance(kind, list) else kind
    return _typed(str(kind), schema, root, depth)


def _typed(kind: str, schema: dict[str, Any], root: dict[str, Any], depth: int) -> Any:
    if kind == "object":
        members = schema.get("properties", {})
        return {name: _value(part, root, depth + 1) for name, part in list(members.items())[:100]}
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        return [_value(schema.get("items", {}), root, depth + 1) for _ in range(min(count, 20))]
    if kind in ("integer", "number"):
        least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
        return int(least) if kind == "integer" else float(least)
    if kind == "boolean":
        return True
    return None if kind == "null" else _string(schema)


def _string(schema: dict[str, Any]) -> str:
    text = _FORMATS.get(str(schema.get("format")), "")
    if not text and "pattern" in schema:
        text = PERSON if re.search(schema["pattern"], PERSON) else ""
    text = text or "x"
    return text.ljust(int(schema.get("minLength", 0)), "x")[: int(schema.get("maxLength", 4000))]


def _follow(root: dict[str, Any], ref: str) -> Any:
    """Follow a reference inside the schema; one that leads elsewhere is nothing: nothing is ever fetched."""
    value: Any = root if ref.startswith("#") else None
    for step in ref.removeprefix("#").strip("/").split("/") if value is not None else ():
        value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return value


# --- from a mapping ---------------------------------------------------------------------------------------------------


def _from_mapping(manifest: Manifest, operation: Operation, tree: dict[str, Any]) -> None:
    """Put what the reply's expressions read where they read it."""
    reply = operation.reply
    _set(tree, reply.subject, PERSON, force=True)
    _set(tree, reply.key, "sim-key-0001", force=True)
    _set(tree, reply.reference, "SIM0000001")
    _set(tree, reply.reason, "-")
    if reply.as_of:
        _set(tree, reply.as_of, written_moment(reply.as_of), force=True)
    if reply.outcome is not None:
        wanted = "completed" if operation.answer == "now" else "pending"
        theirs = next((t for t, ours in reply.outcome.map.items() if ours == wanted), next(iter(reply.outcome.map), ""))
        _set(tree, reply.outcome.path, theirs, force=True)
    _fields(manifest, reply.fields, tree, 0)
    found = place_of(reply.found)
    if found is not None:
        _set(tree, reply.found, "[]" if "json" in calls_of(reply.found or ".") else "x")


def _fields(manifest: Manifest, fields: Any, tree: dict[str, Any], depth: int) -> None:
    if depth > _MOST_DEEP or not isinstance(fields, dict):
        return
    if set(fields) == {"each", "fields"}:
        record: dict[str, Any] = {}
        _fields(manifest, fields["fields"], record, depth + 1)
        _set(tree, fields["each"], "[]" if "json" in calls_of(fields["each"]) else [record])
        return
    for name, source in fields.items():
        if isinstance(source, str):
            _set(tree, source, _sample(manifest, name, source))
        else:
            _fields(manifest, source, tree, depth + 1)


def _sample(manifest: Manifest, name: str, source: str) -> Any:
    calls = calls_of(source)
    first = calls[0] if calls else ""
    if first.startswith("code("):
        return next(iter(manifest.codes.get(first[5:-1], {})), "x")
    if _CLOCK.fullmatch(first):
        return written_moment(source)
    if first in ("int", "number", "fen"):
        return "1"
    if name.endswith(("_id", "id_number")):
        return PERSON
    return {"b64": "eA==", "unb64": "eA==", "json": "{}"}.get(first, "x")


def written_moment(source: str, moment: Any = None) -> str:
    """Return an instant as an expression's `date(…)` or `instant(…)` reads it."""
    from datetime import datetime

    at = moment or datetime.fromisoformat(MOMENT)
    for call in calls_of(source):
        found = _CLOCK.fullmatch(call)
        if found is not None:
            pattern = found[2]
            text: str = at.strftime(pattern) if pattern else at.isoformat(timespec="seconds")
            return text[:10] if found[1] == "date" and not pattern else text
    return str(at.isoformat(timespec="seconds"))


def _set(tree: dict[str, Any], source: str | None, value: Any, *, force: bool = False) -> None:
    """Put a value where an expression reads it; what stands there stays, unless forced."""
    place = place_of(source)
    if place is None:
        return
    *parents, last = split(place)
    inner: Any = tree
    for step in parents:
        if isinstance(inner, list):
            inner = inner[0] if inner else {}
        if not isinstance(inner, dict):
            return
        if not isinstance(inner.get(step), (dict, list)):
            inner[step] = {}
        inner = inner[step]
    if isinstance(inner, list):
        inner = inner[0] if inner else {}
    if isinstance(inner, dict) and (force or plain(inner.get(last)) == ""):
        inner[last] = value
