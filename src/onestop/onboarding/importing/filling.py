"""What stands in the places of a template: an expression of ours for each element, and for one that comes several
times the list of ours that it comes once for.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from onestop.onboarding.importing.examples import invented, sample
from onestop.onboarding.importing.models import Shape
from onestop.onboarding.importing.rules_personal import recognise
from onestop.onboarding.importing.soap import Repeated

if TYPE_CHECKING:
    from onestop.onboarding.importing.requests import RequestMaker

_MOST_NESTED: Final = 4  # as many as the template language takes
_MAX_DEPTH: Final = 10
_DAY: Final = "2025-01-15"


class TemplateFiller:
    """Fills one template, or one repeated part of it: there, paths begin at the record.

    `starts` are the shapes that paths begin at. `records` holds one example of a record as the part reads it.
    """

    def __init__(self, maker: "RequestMaker", starts: list[Shape | None], outer: tuple[str, ...] = ()) -> None:
        self._maker, self._starts, self._outer = maker, starts, outer
        self.records: list[Any] = [{}]

    @property
    def within(self) -> bool:
        """Tell whether this is a repeated part."""
        return bool(self._outer)

    def value(self, path: tuple[str, ...], shape: Shape) -> str | None:
        """Return the expression of an element; an optional one only where it is text, since no other may be empty."""
        maker, plain = self._maker, _plain(path)
        if not maker.spend():
            return None
        if not plain:
            self.records[0] = _shown(shape, self._outer[-2])
            return "."
        if not self.within and plain in maker.draft.turned:
            return f"page.{maker.draft.turned[plain]}"
        named = plain[:-1] if shape.xml_text and len(plain) > 1 else plain  # its element says what a text is
        match = recognise(named[-1], shape, named[-2] if len(named) > 1 else "")
        free = shape.kind == "value" and shape.type == "string" and not (shape.enum or shape.pattern or shape.format)
        known = match is not None and match.what == "id_number"
        if not self._required(path) and not free and not known and len(shape.enum) != 1:
            maker.left_out.append(self._told(plain))
            return None
        maker.recognised(self._told(plain), match)
        with maker.inside(self._outer):
            expression = maker.expression(plain, shape, match, within=self.within)
        if self.within:
            self._keep(expression, _shown(shape, named[-1]))
        else:
            maker.draft.places.append((expression, shape))
        return expression

    def each(self, path: tuple[str, ...], shape: Shape, *, needed: bool) -> Repeated | None:
        """Return the list of ours that an element comes once for; None where it comes just once.

        A table of lists that need not be there comes once where it is, and a cursor once it is known. What asks about
        one person, or about one thing that was sent, asks for one.
        """
        maker, plain, several = self._maker, _plain(path), shape.kind == "list"
        paging = maker.draft.table.get("paging", {})
        if paging.get("style") == "cursor" and not self.within and maker.draft.turned.get(plain) == "value":
            return Repeated("page.value", TemplateFiller(maker, [shape], (*plain, "*")))
        if not several and (needed or not any(part.kind == "list" for part in shape.members.values())):
            return None
        item = shape.item if several else shape
        if item is None or item.cut or self._outer.count("*") >= _MOST_NESTED:
            return None
        if maker.draft.kind not in ("query", "submit"):
            return None
        if maker.draft.kind == "query" and any(_is_person(name, part) for name, part in _leaves(item, plain[-1])):
            return None
        with maker.inside(self._outer):
            source = maker.expression(plain, shape, None, within=self.within)
        inner = TemplateFiller(maker, [item], (*self._outer, *plain, "*"))
        shown: Any = inner.records if several else inner.records[0]
        if self.within:
            self._keep(source, shown)
        else:
            told = Shape(kind="list") if several else Shape(kind="object")
            told.example, told.has_example = shown, True
            maker.draft.places.append((source, told))
        return Repeated(source, inner)

    def leave_out(self, path: tuple[str, ...]) -> None:
        """Note that an element has no place here."""
        self._maker.left_out.append(self._told(_plain(path)))

    def _keep(self, expression: str, value: Any) -> None:
        """Put an example where the expression reads it in a record."""
        if expression.startswith("'"):
            return
        *above, last = expression.partition(" ")[0].split(".")
        table = self.records[0]
        for step in above:
            table = table.setdefault(step, {})
        table[last] = _DAY if " | day(" in expression else value

    def _told(self, path: tuple[str, ...]) -> str:
        return ".".join((*(step for step in self._outer if step != "*"), *path))

    def _required(self, path: tuple[str, ...]) -> bool:
        return any(start is not None and _leads(start, path) for start in self._starts)


def _plain(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(step for step in path if step != "0")


def _shown(shape: Shape, name: str) -> Any:
    return invented(sample(shape, 1, reply=False, name=name))


def _is_person(name: str, shape: Shape) -> bool:
    match = recognise(name, shape)
    return match is not None and match.what == "id_number"


def _leaves(shape: Shape, name: str, depth: int = 0) -> Iterator[tuple[str, Shape]]:
    """Yield every value of a shape under its own name."""
    if shape.kind == "object" and depth < _MAX_DEPTH:
        for inner, part in shape.members.items():
            yield from _leaves(part, inner, depth + 1)
    elif shape.kind == "list" and shape.item is not None and depth < _MAX_DEPTH:
        yield from _leaves(shape.item, name, depth + 1)
    else:
        yield name, shape


def _leads(shape: Shape, path: tuple[str, ...]) -> bool:
    """Tell whether every step of a path is required, from this shape on."""
    here: Shape | None = shape
    for step in path:
        if here is None:
            return False
        if step == "0":
            here = here.item
        elif step in here.required:
            here = here.members.get(step)
        else:
            return False
    return True
