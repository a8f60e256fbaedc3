"""A long answer cut into pages, as the manifest's `paging` asks for them."""

from collections.abc import Mapping
from typing import Any

from onestop.gateway.bodies import codecs
from onestop.gateway.manifest import Operation, Paging
from onestop.gateway.mapping.paths import names_of
from onestop.onboarding.simulator_paths import joined, place_of, split, step
from onestop.onboarding.simulator_wire import write_reply


def page_of(operation: Operation, body: bytes, facts: Mapping[str, str]) -> bytes:
    """Return one page of a recorded whole answer; one of another codec than JSON and XML stays whole."""
    rules = operation.paging
    place = place_of(rules.items) if rules else None
    if rules is None or place is None or operation.response_codec not in ("json", "xml", "soap"):
        return body
    tree = codecs.reader(operation)(body)
    holder, last = _holder(tree, place)
    items = holder.get(last) if isinstance(holder, dict) else None
    if not isinstance(items, list):
        return body
    size = _number(
        facts.get(place_of_parameter(rules, rules.size_parameter)) if rules.size_parameter else None, rules.size
    )
    asked = facts.get(place_of_parameter(rules, rules.parameter))
    counted = rules.style in ("page", "offset")
    start = _number(asked, rules.begins if counted else 0) - (rules.begins if counted else 0)
    begin = start * size if rules.style == "page" else start
    holder[last] = items[max(begin, 0) : begin + size]
    if rules.total:
        _set(tree, rules.total, len(items))
    if rules.next:
        more = begin + size < len(items)
        address = f"{operation.path}?{rules.parameter}={begin + size}"
        if more:
            _set(tree, rules.next, address if rules.style == "next" else str(begin + size))
        else:
            _drop(tree, rules.next)
    return write_reply(operation, tree)


def place_of_parameter(rules: Paging, name: str) -> str:
    """Return where in a request a parameter of the pages stands: in a body by its path, in the address by its name."""
    return f"{rules.place}.{step(name) if rules.place == 'query' else joined(names_of(name) or [name])}"


def _number(text: str | None, usual: int) -> int:
    return int(text) if text is not None and text.isdigit() and len(text) < 8 else usual


def _holder(tree: Any, path: str) -> tuple[Any, str]:
    *parents, last = split(path)
    for parent in parents:
        tree = tree.get(parent) if isinstance(tree, dict) else None
    return tree, last


def _drop(tree: Any, source: str) -> None:
    place = place_of(source)
    holder, last = _holder(tree, place) if place else (None, "")
    if isinstance(holder, dict):
        holder.pop(last, None)


def _set(tree: Any, source: str, value: Any) -> None:
    place = place_of(source)
    holder, last = _holder(tree, place) if place else (None, "")
    if isinstance(holder, dict):
        holder[last] = value
