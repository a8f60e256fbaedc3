"""XML as nested tables: children by local name, repeated ones as lists, attributes beside what carries them."""

from typing import Any

from onestop.gateway.mapping.values import Value
from onestop.outbound.errors import BadBody

_MOST_DEPTH = 32
_OF_SCHEMAS = "{http://www.w3.org/2001/XMLSchema-instance}"  # types and schema places: nothing about the matter


def local(tag: str) -> str:
    """Return a name without its namespace."""
    return tag.rpartition("}")[2]


def nested(element: Any, depth: int = 0) -> Value:
    """Turn an element into text, or into a table of its children.

    An element with children holds its attributes as `@name`. One without stays text; whoever holds it has `tag@name`,
    and where the tag comes several times a list with a place for each of them. Attributes of xsi are left out.

    Raises:
        BadBody: it is nested too deeply.
    """
    if depth > _MOST_DEPTH:
        raise BadBody("too_deep")
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return (element.text or "").strip()
    table: dict[str, Value] = {f"@{local(name)}": value for name, value in _told(element)}
    counts: dict[str, int] = {}
    attributes: dict[str, dict[int, str]] = {}
    for child in children:
        name, value = local(child.tag), nested(child, depth + 1)
        count = counts[name] = counts.get(name, 0) + 1
        if count == 1:
            table[name] = value
        elif count == 2:
            table[name] = [table[name], value]
        else:
            table[name].append(value)
        if child.attrib and isinstance(value, str):
            for attribute, told in _told(child):
                attributes.setdefault(f"{name}@{local(attribute)}", {})[count - 1] = told
    for name, places in attributes.items():
        count = counts[name.partition("@")[0]]
        table[name] = places[0] if count == 1 else [places.get(i) for i in range(count)]
    return table


def _told(element: Any) -> list[tuple[str, str]]:
    return [(name, value) for name, value in element.attrib.items() if not name.startswith(_OF_SCHEMAS)]
