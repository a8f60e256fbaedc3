"""SOAP and XML requests as templates: namespaces by prefix, unqualified names bare, constants in place."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from onestop.onboarding.importing.models import Shape

_MAX_DEPTH: Final = 10
Fill = Callable[[tuple[str, ...], Shape], str | None]  # path and shape into an expression; None: left out


def is_name(text: str) -> bool:
    """Tell whether an element can be called so: without a prefix or a namespace."""
    try:
        return etree.QName(text).localname == text
    except ValueError:
        return False


class _Prefixes:
    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def name(self, local: str, namespace: str, wanted: str = "") -> str:
        """Return a name with the prefix of its namespace: the document's own where it has one and it is free."""
        if not namespace:
            return local
        if namespace not in self.known:
            free = is_name(wanted) and wanted not in self.known.values() and not wanted.lower().startswith("xml")
            self.known[namespace] = wanted if free else f"n{len(self.known) + 1}"
        return f"{self.known[namespace]}:{local}"

    def declared(self) -> str:
        return "".join(f" xmlns:{prefix}={quoteattr(space)}" for space, prefix in self.known.items())


class _Content(NamedTuple):
    attributes: str
    lines: list[str]
    text: str | None  # what stands in an element without children, beside its attributes


def template(wrapper: str, namespace: str, shape: Shape, fill: Fill) -> str:
    """Return the template of one element and what it holds; every value is asked of `fill`."""
    prefixes = _Prefixes()
    outer = prefixes.name(wrapper, namespace, shape.prefix)
    attributes, lines, text = _inside(shape, (), fill, prefixes, 1)
    if shape.kind not in ("object", "any") and not lines:
        value = fill((wrapper,), shape)
        text = None if value is None else _value(value)  # named among what was left out; the element itself stays
    if text is not None:
        return f"<{outer}{prefixes.declared()}{attributes}>{text}</{outer}>"
    if not lines:
        return f"<{outer}{prefixes.declared()}{attributes}/>"
    return "\n".join([f"<{outer}{prefixes.declared()}{attributes}>", *lines, f"</{outer}>"])


def elements(shape: Shape, fill: Fill) -> str:
    """Return the templates of a shape's members side by side, each with its own namespaces."""
    parts = []
    for name, member in shape.members.items():
        parts.append(template(name, member.namespace, member, _below(name, fill)))
    return "\n".join(parts)


def _below(name: str, fill: Fill) -> Fill:
    return lambda path, shape: fill((name, *path), shape)


def _inside(shape: Shape, path: tuple[str, ...], fill: Fill, prefixes: _Prefixes, depth: int) -> _Content:
    attributes, lines, text = "", [], None
    pad = "  " * depth
    if depth > _MAX_DEPTH:
        return _Content("", [], None)
    for name, member in shape.members.items():
        here = (*path, name)
        inner = member.item if member.kind == "list" and member.item is not None else member
        here = (*here, "0") if member.kind == "list" else here
        if member.attribute or member.xml_text:
            value = fill(here, inner)
            if value is not None and member.xml_text:
                text = _value(value)
            elif value is not None:
                attributes += f' {prefixes.name(name, member.namespace, member.prefix)}="{_value(value)}"'
            continue
        tag = prefixes.name(name, inner.namespace or member.namespace, inner.prefix or member.prefix)
        if inner.kind == "object":
            own, below, said = _inside(inner, here, fill, prefixes, depth + 1)
            if below:
                lines += [f"{pad}<{tag}{own}>", *below, f"{pad}</{tag}>"]
            elif said is not None or own or name in shape.required:
                lines.append(f"{pad}<{tag}{own}>{said}</{tag}>" if said is not None else f"{pad}<{tag}{own}/>")
            continue
        value = fill(here, inner)
        if value is not None:
            lines.append(f"{pad}<{tag}>{_value(value)}</{tag}>")
    return _Content(attributes, lines, None if lines else text)


def _value(expression: Any) -> str:
    text = str(expression)
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return escape(text[1:-1], {'"': "&quot;"})
    return "{{ " + text + " }}"
