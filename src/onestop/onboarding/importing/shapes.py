"""A JSON Schema of any version into a `Shape`: references followed, variants joined, all of it bounded."""

from collections.abc import Iterable
from typing import Any, Final

from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.source import At, Source
from onestop.onboarding.importing.xml_shapes import element_name

_MAX_DEPTH: Final = 10
MAX_MEMBERS: Final = 1500  # of one body
_BODIES: Final = 4  # of that size in one operation; documents list many refusals, each with its own
_SCALARS: Final = {"string", "integer", "number", "boolean"}
_MAX_ENUM: Final = 200


class Shaper:
    """Reads schemas of one source; each call of `shape` has a budget of its own, within that of its operation."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self._most = self._left = MAX_MEMBERS
        self._of_all, self._deepest = 0, _MAX_DEPTH

    def begin(self, most: int = MAX_MEMBERS, deepest: int = _MAX_DEPTH) -> None:
        """Begin another operation: `most` members of each body, and four times as many of all of them."""
        self._most, self._of_all, self._deepest = most, most * _BODIES, deepest

    def shape(self, schema: Any, at: At) -> Shape:
        """Return the shape of one schema."""
        self._left = given = min(self._most, self._of_all)
        shape = self._shape(schema, at, 0, ())
        self._of_all -= given - max(self._left, 0)
        return shape

    def _shape(self, schema: Any, at: At, depth: int, stack: tuple[At, ...]) -> Shape:
        if schema is True or schema is None:
            return Shape(pointer=at.pointer)
        if not isinstance(schema, dict):
            self.source.notes.add("schema_odd", self.source.spot(at), "warning")
            return Shape(pointer=at.pointer)
        if self._left <= 0 or depth > self._deepest:  # before a reference is followed: a fan of them costs as much
            return Shape(pointer=at.pointer, cut=True, text=_words(schema))
        self._left -= 1
        schema, here, passed = self.source.follow(schema, at)
        if not isinstance(schema, dict):
            return Shape(pointer=at.pointer)
        if any(place in stack for place in passed):
            self.source.notes.add("schema_circle", self.source.spot(at), "note")
            return Shape(pointer=at.pointer, cut=True, text=_words(schema))
        shape = self._own(schema, here, depth, (*stack, *passed))
        shape = self._joined(shape, schema, here, depth, (*stack, *passed))
        _annotate(shape, schema)
        if isinstance(schema.get("contentSchema"), dict):
            shape.content = self._shape(schema["contentSchema"], here / "contentSchema", depth + 1, (*stack, *passed))
        return shape

    def _own(self, schema: dict[str, Any], at: At, depth: int, stack: tuple[At, ...]) -> Shape:
        kind, nullable = _type_of(schema)
        shape = Shape(pointer=at.pointer, nullable=nullable or schema.get("nullable") is True)
        if kind == "object":
            shape.kind = "object"
            members = schema.get("properties")
            for name, part in members.items() if isinstance(members, dict) else ():
                if self._left <= 0 and self._most < MAX_MEMBERS:
                    break  # it is only glanced at
                if self._left <= 0:
                    self.source.notes.add("schema_cut", self.source.spot(at), "note", most=MAX_MEMBERS)
                    break
                shape.members[str(name)] = self._shape(part, at / "properties" / str(name), depth + 1, stack)
            shape.required = _names(schema.get("required"))
            if not shape.members and isinstance(schema.get("additionalProperties"), dict):
                shape.kind = "any"
        elif kind == "array":
            items = schema.get("items")
            items = items[0] if isinstance(items, list) and items else items
            shape.kind, shape.item = "list", self._shape(items, at / "items", depth + 1, stack)
        elif kind is not None:
            shape.kind, shape.type = "value", "string" if kind == "file" else kind
        return shape

    def _joined(self, shape: Shape, schema: dict[str, Any], at: At, depth: int, stack: tuple[At, ...]) -> Shape:
        for word in ("allOf", "oneOf", "anyOf"):
            parts = schema.get(word)
            if not isinstance(parts, list) or not parts:
                continue
            read = [
                self._shape(part, at / word / index, depth + 1, stack)
                for index, part in enumerate(parts[:40])
                if not (isinstance(part, dict) and part.get("type") == "null")
            ]
            nullable = len(read) < len(parts[:40])
            if word == "allOf":
                for part in read:
                    shape = both(shape, part)
            elif read:
                shape = both(shape, either(read))
            shape.nullable = shape.nullable or nullable
        return shape


def both(one: Shape, other: Shape) -> Shape:
    """Join two shapes that hold together."""
    if one.kind == "any" and not one.cut:
        other = _copied(other)
        other.nullable = one.nullable or other.nullable
        other.pointer = one.pointer or other.pointer
        return other
    if one.kind == "object" and other.kind == "object":
        one.members = (
            {**other.members, **one.members}
            if len(other.members) > len(one.members)
            else one.members | {name: part for name, part in other.members.items() if name not in one.members}
        )
        one.required |= other.required
    if one.kind == "list" and other.kind == "list" and one.item is not None and one.item.kind == "any":
        one.item = other.item
    for word in ("format", "pattern", "text"):
        if not getattr(one, word):
            setattr(one, word, getattr(other, word))
    if not one.has_example and other.has_example:
        one.example, one.has_example = other.example, True
    one.enum = one.enum or other.enum
    return one


def either(parts: list[Shape]) -> Shape:
    """Join shapes of which one holds: members of all, required only what all require."""
    kinds = {part.kind for part in parts if part.kind != "any"}
    if len(kinds) != 1:
        return _copied(parts[0]) if len(parts) == 1 else Shape(pointer=parts[0].pointer)
    first = _copied(parts[0])
    if first.kind == "any":
        return Shape(pointer=first.pointer)
    for part in parts[1:]:
        if part.kind == "object":
            for name, member in part.members.items():
                first.members.setdefault(name, member)
            first.required &= part.required
        elif part.kind == "value" and part.type != first.type:
            return Shape(pointer=first.pointer)
        first.enum = (*first.enum, *(v for v in part.enum if v not in first.enum)) if first.enum and part.enum else ()
    return first


def _copied(shape: Shape) -> Shape:
    import copy

    made = copy.copy(shape)
    made.members = dict(shape.members)
    return made


def _annotate(shape: Shape, schema: dict[str, Any]) -> None:
    shape.text = _words(schema) or shape.text
    for word, name in (("format", "format"), ("pattern", "pattern"), ("contentMediaType", "content_type")):
        told = schema.get(word)
        if isinstance(told, str):
            setattr(shape, name, told[:200])
    least = {"list": "minItems", "any": ""}.get(shape.kind, "minLength" if shape.type == "string" else "minimum")
    told = schema.get(least)
    if isinstance(told, int | float) and not isinstance(told, bool) and abs(told) < 1e9:
        shape.least = told
    told = schema.get("maximum")
    if isinstance(told, int | float) and not isinstance(told, bool) and abs(told) < 1e9:
        shape.most = told
    shape.read_only = schema.get("readOnly") is True or shape.read_only
    shape.write_only = schema.get("writeOnly") is True or shape.write_only
    xml = schema.get("xml")
    if isinstance(xml, dict):
        shape.xml_name = xml["name"][:200] if isinstance(xml.get("name"), str) else shape.xml_name
        shape.wrapped = xml.get("wrapped") is True
        shape.attribute = xml.get("attribute") is True or xml.get("nodeType") == "attribute"
        shape.xml_text = xml.get("nodeType") in ("text", "cdata") or xml.get("x-text") is True
        shape.namespace, shape.prefix = (
            xml[word][:200] if isinstance(xml.get(word), str) else "" for word in ("namespace", "prefix")
        )
    told = schema.get("enum")
    if isinstance(told, list) and shape.kind in ("value", "any"):
        shape.enum = tuple(v for v in told if isinstance(v, str | int | float | bool))[:_MAX_ENUM]
    elif "const" in schema and isinstance(schema["const"], str | int | float | bool):
        shape.enum = (schema["const"],)
    if "example" in schema:
        shape.example, shape.has_example = schema["example"], True
    elif isinstance(schema.get("examples"), list) and schema["examples"]:
        shape.example, shape.has_example = schema["examples"][0], True
    elif "x-example" in schema:
        shape.example, shape.has_example = schema["x-example"], True
    elif "default" in schema and not shape.has_example and schema["default"] is not None:
        shape.example, shape.has_example = schema["default"], True


def _type_of(schema: dict[str, Any]) -> tuple[str | None, bool]:
    """Return the one type of a schema and whether null is another."""
    told = schema.get("type")
    nullable = False
    if isinstance(told, list):
        nullable = "null" in told
        rest = [kind for kind in told if isinstance(kind, str) and kind != "null"]
        told = rest[0] if len(rest) == 1 else None
    if isinstance(told, str):
        told = {"int": "integer", "long": "integer", "float": "number", "double": "number", "date": "string",
                "datetime": "string", "list": "array", "bool": "boolean"}.get(told.lower(), told.lower())  # fmt: skip
        if told in _SCALARS or told in ("object", "array", "file"):
            return told, nullable
    if isinstance(schema.get("properties"), dict) or "additionalProperties" in schema:
        return "object", nullable
    if "items" in schema:
        return "array", nullable
    return _type_of_values(schema.get("enum") or ([schema["const"]] if "const" in schema else [])), nullable


def _type_of_values(values: Any) -> str | None:
    kinds = {type(v) for v in values if v is not None} if isinstance(values, list) else set()
    names = {str: "string", int: "integer", float: "number", bool: "boolean"}
    return names.get(kinds.pop()) if len(kinds) == 1 else None


def as_elements(shape: Shape, name: str = "") -> Shape:
    """Return a shape as its XML has it: members by the names of their elements, lists inside their wrapper or bare.

    A list that is the whole body stands below the root element; `name` is that of the member a list belongs to.
    """
    if shape.kind == "list" and shape.item is not None:
        made = _copied(shape)
        made.item = as_elements(shape.item)
        within = shape.item.xml_name or name or "item"
        if shape.wrapped or not name:
            return Shape(kind="object", members={within: made}, pointer=shape.pointer)
        return made
    if shape.kind != "object":
        return shape
    made = _copied(shape)
    made.members = {}
    for told, part in shape.members.items():
        element = element_name(told, part)
        made.members[element] = as_elements(part, told)
        if told in shape.required:
            made.required |= {element}
    made.required &= made.members.keys()
    return made


def _names(told: Any) -> frozenset[str]:
    return frozenset(name for name in told if isinstance(name, str)) if isinstance(told, list) else frozenset()


def _words(schema: dict[str, Any]) -> str:
    parts = (schema.get("title"), schema.get("description"))
    return " ".join(" ".join(part.split()) for part in parts if isinstance(part, str))[:300]


def leaves(shape: Shape, path: tuple[str, ...] = (), depth: int = 0) -> Iterable[tuple[tuple[str, ...], Shape]]:
    """Yield every value below a shape with the names that lead to it; a list is a step `*`."""
    if depth > _MAX_DEPTH:
        return
    if shape.kind == "object":
        for name, member in shape.members.items():
            yield from leaves(member, (*path, name), depth + 1)
    elif shape.kind == "list" and shape.item is not None:
        yield from leaves(shape.item, (*path, "*"), depth + 1)
    else:
        yield path, shape
