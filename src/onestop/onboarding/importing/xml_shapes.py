"""What makes a shape XML: namespaces and prefixes of OpenAPI, attributes as the gateway reads them, examples by name.

A reply is read as nested tables (`gateway.mapping.trees`): an element with children holds its attributes as `@name`,
one without is text and its attributes stand beside it as `element@name`.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from onestop.onboarding.importing.models import Shape

_MAX_DEPTH: Final = 12
_OF_XML: Final = ("xml:lang", "xml:space", "xml:id")
TEXT: Final = "#text"


def qualified(
    shape: Shape, space: str = "", known: Mapping[str, str] | None = None, depth: int = 0
) -> tuple[Shape, list[str]]:
    """Return a shape of OpenAPI with the namespace of every element, and the prefixes that nothing declares.

    A namespace without a prefix is the default one, and so that of everything inside; attributes never inherit it.
    """
    made, unknown = copy.copy(shape), []
    prefixes = dict(known or {})
    if made.prefix and made.namespace:
        prefixes[made.prefix] = made.namespace
    elif made.prefix:
        made.namespace = prefixes.get(made.prefix, "")
        unknown = [] if made.namespace else [made.prefix]
    elif made.namespace and not made.attribute:
        space = made.namespace
    if not made.attribute:
        made.namespace = made.namespace or space
    if depth > _MAX_DEPTH:
        return made, unknown
    if made.item is not None:
        made.item, more = qualified(made.item, space, prefixes, depth + 1)
        unknown += more
    inner = {name: qualified(part, space, prefixes, depth + 1) for name, part in made.members.items()}
    made.members = {name: part for name, (part, _) in inner.items()}
    return made, unknown + [prefix for _, more in inner.values() for prefix in more]


def nameable(shape: Shape, fits: Callable[[str], bool], depth: int = 0) -> tuple[Shape, list[str]]:
    """Return a shape of elements without those that nothing can be called, and their names."""
    made = copy.copy(shape)
    refused: list[str] = []
    if depth > _MAX_DEPTH:
        return made, refused
    if made.item is not None:
        made.item, refused = nameable(made.item, fits, depth + 1)
    made.members = {}
    for name, part in shape.members.items():
        if not (fits(name) or (part.attribute and name in _OF_XML)):
            refused.append(name)
            continue
        made.members[name], more = nameable(part, fits, depth + 1)
        refused += more
    made.required = shape.required & made.members.keys()
    return made, refused


def with_attributes(shape: Shape, depth: int = 0) -> Shape:
    """Return a shape of elements with its attributes where the gateway reads them."""
    if shape.kind == "list" and shape.item is not None and depth <= _MAX_DEPTH:
        made = copy.copy(shape)
        made.item = with_attributes(shape.item, depth + 1)
        return made
    if shape.kind != "object" or depth > _MAX_DEPTH:
        return shape
    if depth == 0 and is_leaf(shape):  # its attributes have nothing to stand beside
        return next((_plain(part) for part in shape.members.values() if part.xml_text), Shape(pointer=shape.pointer))
    made = copy.copy(shape)
    own = {f"@{_local(name)}": _plain(part) for name, part in shape.members.items() if part.attribute}
    made.members = {**own}
    for name, part in shape.members.items():
        if not part.attribute and not part.xml_text:
            made.members |= _element(_local(name), part, depth)
    made.required = shape.required & made.members.keys()
    return made


def _element(name: str, part: Shape, depth: int) -> dict[str, Shape]:
    """Return one element, or where it has no children its text and its attributes side by side."""
    inner = part.item if part.kind == "list" and part.item is not None else part
    if not is_leaf(inner):
        return {name: with_attributes(part, depth + 1)}
    text = next((one for one in inner.members.values() if one.xml_text), None)
    beside = {f"{name}@{_local(told)}": one for told, one in inner.members.items() if one.attribute}
    found = ({name: text} if text is not None else {}) | beside
    several = part.kind == "list"
    return {
        told: Shape(kind="list", item=_plain(one), pointer=one.pointer) if several else _plain(one)
        for told, one in found.items()
    }


def _local(name: str) -> str:
    """Return a name as replies are read: without the prefix that documents write into it."""
    return name.rpartition(":")[2] or name


def is_leaf(shape: Shape) -> bool:
    """Tell whether an element has attributes and no children."""
    parts = shape.members.values()
    return shape.kind == "object" and bool(parts) and all(one.attribute or one.xml_text for one in parts)


def _plain(shape: Shape) -> Shape:
    made = copy.copy(shape)
    made.attribute = made.xml_text = False
    return made


# --- values of examples -------------------------------------------------------------------------------------------


def renamed(value: Any, shape: Shape, name: str = "", depth: int = 0) -> Any:
    """Return an example that was written with the schema's names, with those of elements and attributes.

    What the schema does not know keeps its name.
    """
    if depth > _MAX_DEPTH:
        return value
    if shape.kind == "list" and shape.item is not None and isinstance(value, list):
        items = [renamed(one, shape.item, "", depth + 1) for one in value]
        return {shape.item.xml_name or name or "item": items} if shape.wrapped or not depth else items
    if shape.kind != "object" or not isinstance(value, Mapping):
        return value
    made: dict[str, Any] = {}
    for told, part in value.items():
        known = shape.members.get(told)
        if known is None:
            made[str(told)] = part
        elif known.xml_text:
            made[TEXT] = part
        elif known.attribute:
            made[f"@{_local(known.xml_name or told)}"] = part
        else:
            made |= _placed(_local(element_name(told, known)), renamed(part, known, told, depth + 1))
    return made


def _placed(name: str, value: Any) -> dict[str, Any]:
    """Return an element's value; one that is nothing but attributes and text stands beside them as text."""
    if not isinstance(value, dict) or not value or any(key != TEXT and key[:1] != "@" for key in value):
        return {name: value}
    return {name: value.get(TEXT, "")} | {f"{name}{key}": told for key, told in value.items() if key != TEXT}


def element_name(told: str, part: Shape) -> str:
    """Return what the element of a member is called."""
    if part.kind == "list" and not part.wrapped and part.item is not None:
        return part.item.xml_name or told
    return (part.xml_name if part.kind != "object" else "") or told
