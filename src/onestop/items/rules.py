"""Decisions about items: whether a file fits together, what a search finds."""

from collections.abc import Container, Iterable

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.language import path_of
from onestop.items.models import Item

_ROOTS = ("answers", "results", "applicant", "case")
_FILLS = ("boolean",)


def fault(item: Item) -> str | None:
    """Return the first thing the types cannot tell is wrong with an item, or None.

    Rule: R-020, a component takes results of components it names in `needs` only, and the order has no circle.
    """
    fields = {field.code: field for field in item.fields}
    if len(fields) != len(item.fields):
        return "two fields have one code"
    for code in _yes_or_no(item):
        if code not in fields or fields[code].type not in _FILLS:
            return f"{code} is used as a condition but is no boolean field"
    for field in item.fields:
        if field.type == "choice" and not field.choices:
            return f"{field.code}: a choice needs choices"
        is_licence = field.licence is not None and field.purpose is not None and not field.sources
        if is_licence != (field.type == "licence") or (field.type != "licence" and (field.licence or field.purpose)):
            return f"{field.code}: a licence, and nothing else, names a type and a purpose, and no sources"
        if field.type == "record" and (field.required or not field.sources):
            return f"{field.code}: a record comes from a department and cannot be required"
    earlier: set[str] = set()
    for component in item.components:
        where = f"component {component.code}: "
        if component.code in earlier:
            return where + "the code is used twice"
        if not set(component.needs) <= earlier:
            return where + "needs a component that does not come before it"
        earlier.add(component.code)
        for name, source in component.inputs.items():
            problem = _input_fault(source, component.needs, fields)
            if problem:
                return f"{where}{name} {problem}"
        if not {*component.optional} <= {*component.inputs}:
            return where + "`optional` names an input it does not have"
    return None


def _yes_or_no(item: Item) -> Iterable[str]:
    conditions = [component.when for component in item.components] + [field.when for field in item.fields]
    yield from (condition for condition in conditions if condition)
    yield from (question.fills for question in item.questions)


def _input_fault(source: str, needs: tuple[str, ...], fields: Container[str]) -> str | None:
    try:
        path = path_of(source)
    except BadManifest as fault:
        return f"is no expression: {fault}"
    if path is None and source.strip().startswith("'"):
        return None
    if path is None or len(path) < 2 or path[0] not in _ROOTS:
        return "begins with none of answers., results., applicant., case. and is no literal"
    if path[0] == "answers" and ".".join(path[1:3]) not in fields:
        return f"takes {'.'.join(path[1:])}, which the form does not ask"
    if path[0] == "results" and path[1] not in needs:
        return f"takes a result of {path[1]}, which is not among its needs"
    return None


def score(item: Item, query: str) -> float:
    """Return how well an item answers a search, 0 for not at all.

    A keyword inside the query or the query inside a name counts most; then shared pairs of characters, which find
    Chinese words without knowing where they begin.
    """
    text = query.casefold().strip()
    if not text:
        return 1.0
    names = " ".join((item.name.zh, item.name.en, item.plain.zh, item.plain.en, *item.keywords)).casefold()
    points = 4.0 * (text in names) + 2.0 * sum(word.casefold() in text for word in item.keywords)
    pairs = {text[i : i + 2] for i in range(len(text) - 1)} - {"  "}
    if pairs:
        shared = sum(pair in names for pair in pairs) / len(pairs)
        points += shared if shared >= 0.3 else 0.0
    return points
