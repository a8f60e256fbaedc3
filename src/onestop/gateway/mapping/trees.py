"""XML as nested tables, and nested tables as XML.

Children stand by local name, repeated ones as lists, attributes beside what carries them.
"""

import re
from typing import Any, Final

from lxml import etree

from onestop.gateway.mapping.values import MappingFailed, Value, plain, spend_parts, spend_text
from onestop.outbound.errors import BadBody

_MOST_DEPTH: Final = 32
_OF_SCHEMAS = "{http://www.w3.org/2001/XMLSchema-instance}"  # types and schema places: nothing about the matter
# XML 1.0 has no way to write these; a value that holds one is refused rather than sent as something else.
NOT_XML: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# Reading would turn a bare carriage return into a line feed.
_ESCAPES: Final = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"})
_IN_ATTRIBUTES: Final = str.maketrans({"\n": "&#10;", "\t": "&#9;"})  # and these, in an attribute, into spaces


def escaped(text: str) -> str:
    """Return a text as XML writes it, in an element or an attribute."""
    return text.translate(_ESCAPES)


def is_name(text: str) -> bool:
    """Tell whether an element or attribute without a prefix can be called so."""
    try:
        return etree.QName(text).text == text
    except ValueError:
        return False


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


class Writer:
    """Writes one value as an element; what `nested` reads from it is the value again."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._pieces: list[str] = []

    def write(self, name: str, value: Value) -> str:
        """Return an element of that name.

        Raises:
            MappingFailed: the value has a name, a character or a list that XML cannot hold, or exceeds the bounds.
        """
        self._element(name, value, {}, 0)
        return "".join(self._pieces)

    def _element(self, name: str, value: Value, attributes: dict[str, Value], depth: int) -> None:
        spend_parts(1, self._source, value)
        if depth > _MOST_DEPTH:
            raise MappingFailed(self._source, value, f"needs at most {_MOST_DEPTH} levels")
        if isinstance(value, list):
            raise MappingFailed(self._source, value, "needs lists that stand in a table, not in lists")
        self._name(name, value)
        self._add(f"<{name}")
        of_self = {part[1:]: told for part, told in value.items() if part[:1] == "@"} if isinstance(value, dict) else {}
        for attribute, told in (of_self | attributes).items():
            if told is not None:
                self._name(attribute, value)
                self._add(f' {attribute}="{self._text(told).translate(_IN_ATTRIBUTES)}"')
        self._add(">")
        if isinstance(value, dict):
            self._children(value, depth)
        elif value is not None:
            self._add(self._text(value))
        self._add(f"</{name}>")

    def _children(self, table: dict[str, Value], depth: int) -> None:
        of_children: dict[str, dict[str, Value]] = {}
        for part, told in table.items():
            name, mark, attribute = part.partition("@")
            if mark and name:
                of_children.setdefault(name, {})[attribute] = told
        if not of_children.keys() <= table.keys():
            raise MappingFailed(self._source, table, "needs an element for each attribute")
        for name, value in table.items():
            if "@" in name or value is None:
                continue
            attributes = of_children.get(name, {})
            if not isinstance(value, list):
                self._element(name, value, attributes, depth + 1)
                continue
            for i, item in enumerate(value):
                self._element(name, item, {of: _at(told, i) for of, told in attributes.items()}, depth + 1)

    def _name(self, name: str, value: Value) -> None:
        if not is_name(name):
            raise MappingFailed(self._source, value, "needs names that XML can hold")

    def _text(self, value: Value) -> str:
        text = plain(value)
        if NOT_XML.search(text):
            raise MappingFailed(self._source, value, "needs characters that XML can hold")
        return escaped(text)

    def _add(self, piece: str) -> None:
        spend_text(len(piece), self._source, piece)
        self._pieces.append(piece)


def _at(told: Value, i: int) -> Value:
    """Return the attribute of the nth of several elements: a list has a place for each, a single one is the first's."""
    if isinstance(told, list):
        return told[i] if i < len(told) else None
    return told if i == 0 else None
