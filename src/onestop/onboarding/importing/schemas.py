"""A shape back into a JSON Schema without references, for conformance and drift: never stricter than was meant."""

from collections.abc import Iterable
from typing import Any, Final

import jsonschema_rs

from onestop.onboarding.importing.models import Shape

_MAX_DEPTH: Final = 7
_MAX_NODES: Final = 250
_MOST_FAULTS: Final = 40


def schema_of(shape: Shape, *, xml: bool = False) -> dict[str, Any]:
    """Return the schema of a reply's decoded body; {} where nothing is known of it."""
    left = [_MAX_NODES]
    return _schema(shape, 0, left, xml=xml)


def _schema(shape: Shape, depth: int, left: list[int], *, xml: bool) -> dict[str, Any]:
    left[0] -= 1
    if depth > _MAX_DEPTH or left[0] < 0 or shape.cut or shape.kind == "any":
        return {}
    if shape.kind == "object":
        return _object(shape, depth, left, xml=xml)
    if shape.kind == "list":
        item = _schema(shape.item, depth + 1, left, xml=xml) if shape.item is not None else {}
        listed: dict[str, Any] = {"type": _kind("array", shape.nullable)} | ({"items": item} if item else {})
        return {"anyOf": [listed, item]} if xml and item else {} if xml else listed
    return _value(shape, xml=xml)


def _object(shape: Shape, depth: int, left: list[int], *, xml: bool) -> dict[str, Any]:
    kind: Any = ["object", "string"] if xml else _kind("object", shape.nullable)  # an empty element reads as a text
    found: dict[str, Any] = {"type": kind}
    properties = {}
    for name, part in shape.members.items():
        if left[0] < 0:
            break
        if not part.write_only:
            properties[name] = _schema(part, depth + 1, left, xml=xml)
    if properties:
        found["properties"] = properties
    # What was cut off is in no example of ours either, so nothing is said of it.
    required = [name for name in shape.members if name in shape.required and properties.get(name)]
    if required and not xml:
        found["required"] = required
    return found


def _value(shape: Shape, *, xml: bool) -> dict[str, Any]:
    if xml:
        return {"type": ["string", "object"]} if shape.nullable else {"type": "string"}
    found: dict[str, Any] = {"type": _kind(shape.type, shape.nullable)}
    if shape.format in ("date", "date-time", "email", "uuid", "int32", "int64"):
        found["format"] = shape.format
    if shape.enum and len(shape.enum) <= 40 and not shape.nullable:  # TOML has no null to list among the values
        found["enum"] = list(shape.enum)
    return found


def _kind(kind: str, nullable: bool) -> Any:
    return [kind, "null"] if nullable else kind


def loosened(schema: dict[str, Any], body: Any) -> list[str]:
    """Let a schema say nothing of what an example contradicts; return these places as pointers.

    Which of the two is right only the department knows: a check that fails on its own example helps nobody.
    """
    places: list[str] = []
    for error in list(jsonschema_rs.validator_for(schema).iter_errors(body))[:_MOST_FAULTS]:
        node = _node(schema, error.instance_path)
        if node is None:
            continue
        there = body
        for step in error.instance_path:
            there = there[step]
        if list(error.schema_path)[-1:] == ["required"] and isinstance(there, dict):
            node["required"] = [name for name in node.get("required", []) if name in there]
        else:
            node.clear()
        places.append("/" + "/".join(str(step) for step in error.instance_path))
    return list(dict.fromkeys(places))


def _node(schema: dict[str, Any], path: Iterable[str | int]) -> dict[str, Any] | None:
    """Return what a schema of ours says of one place; None where a place above it was let go already."""
    for step in path:
        inner = schema.get("items") if isinstance(step, int) else schema.get("properties", {}).get(step)
        if not isinstance(inner, dict):
            return None
        schema = inner
    return schema
