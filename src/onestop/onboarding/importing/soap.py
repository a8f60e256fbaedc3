"""SOAP and XML requests as templates: namespaces by prefix, unqualified names bare, constants in place."""

from typing import Any, Final, NamedTuple, Protocol
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from onestop.onboarding.importing.models import Shape

_MAX_DEPTH: Final = 10
Path = tuple[str, ...]


class Filler(Protocol):
    """Tells what stands in the places of a template."""

    @property
    def within(self) -> bool:
        """Tell whether this fills a repeated part."""

    def value(self, path: Path, shape: Shape) -> str | None:
        """Return the expression of an element; None: it is left out."""

    def each(self, path: Path, shape: Shape, *, needed: bool) -> "Repeated | None":
        """Return what an element is repeated for; None: it comes once. `needed`: it must be there."""

    def leave_out(self, path: Path) -> None:
        """Hear that an element has no place."""


class Repeated(NamedTuple):
    """What a part is repeated for, and what fills it: there, paths begin at the record."""

    source: str
    filler: Filler


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


def template(wrapper: str, namespace: str, shape: Shape, fill: Filler) -> str:
    """Return the template of one element and what it holds; every value is asked of `fill`."""
    return _outermost(wrapper, namespace, shape, fill, (), (wrapper,))


def elements(shape: Shape, fill: Filler) -> str:
    """Return the templates of a shape's members side by side, each with its own namespaces."""
    parts = (_outermost(name, part.namespace, part, fill, (name,), (name,)) for name, part in shape.members.items())
    return "\n".join(parts)


def _outermost(wrapper: str, namespace: str, shape: Shape, fill: Filler, inside: Path, alone: Path) -> str:
    """Return one element that declares what it needs: `inside` leads to its members, `alone` to its own text."""
    prefixes = _Prefixes()
    outer = prefixes.name(wrapper, namespace, shape.prefix)
    attributes, lines, text = _inside(shape, inside, fill, prefixes, 1)
    if shape.kind not in ("object", "any") and not lines:
        value = fill.value(alone, shape)
        text = None if value is None else _value(value)  # named among what was left out; the element itself stays
    if text is not None:
        return f"<{outer}{prefixes.declared()}{attributes}>{text}</{outer}>"
    if not lines:
        return f"<{outer}{prefixes.declared()}{attributes}/>"
    return "\n".join([f"<{outer}{prefixes.declared()}{attributes}>", *lines, f"</{outer}>"])


def _inside(shape: Shape, path: Path, fill: Filler, prefixes: _Prefixes, depth: int) -> _Content:
    attributes, lines, text = "", [], None
    if depth > _MAX_DEPTH:
        return _Content("", [], None)
    for name, member in shape.members.items():
        here = (*path, name)
        if member.attribute or member.xml_text:
            value = fill.value(here, member)
            if value is not None and member.xml_text:
                text = _value(value)
            elif value is not None:
                attributes += f' {prefixes.name(name, member.namespace, member.prefix)}="{_value(value)}"'
            continue
        needed = name in shape.required
        repeated = fill.each(here, member, needed=needed)
        if repeated is not None:
            lines += _part(name, member, repeated, prefixes, depth)
        elif member.kind == "list" and member.item is not None and fill.within:
            fill.leave_out(here)  # a value cannot be read out of a list
        else:
            lines += _element(name, member, here, fill, prefixes, depth, needed=needed)
    return _Content(attributes, lines, None if lines else text)


def _part(name: str, member: Shape, repeated: Repeated, prefixes: _Prefixes, depth: int) -> list[str]:
    pad = "  " * depth
    inner = _element(name, member, (), repeated.filler, prefixes, depth + 1, needed=True)
    return [f"{pad}{{{{#each {repeated.source}}}}}", *inner, f"{pad}{{{{/each}}}}"]


def _element(
    name: str, member: Shape, here: Path, fill: Filler, prefixes: _Prefixes, depth: int, *, needed: bool
) -> list[str]:
    """Return the lines of one element; a list's is that of its first entry."""
    pad = "  " * depth
    several = member.kind == "list" and member.item is not None
    inner = member.item if several and member.item is not None else member
    here = (*here, "0") if several and here else here
    tag = prefixes.name(name, inner.namespace or member.namespace, inner.prefix or member.prefix)
    if inner.kind != "object":
        value = fill.value(here, inner)
        return [] if value is None else [f"{pad}<{tag}>{_value(value)}</{tag}>"]
    own, below, said = _inside(inner, here, fill, prefixes, depth + 1)
    if below:
        return [f"{pad}<{tag}{own}>", *below, f"{pad}</{tag}>"]
    if said is not None:
        return [f"{pad}<{tag}{own}>{said}</{tag}>"]
    return [f"{pad}<{tag}{own}/>"] if own or needed else []


def _value(expression: Any) -> str:
    text = str(expression)
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return escape(text[1:-1], {'"': "&quot;"})
    return "{{ " + text + " }}"
