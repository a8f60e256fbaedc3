"""A template: one manifest with `${parameters}`, for many departments alike; pure.

A parameter stands inside a TOML string, or as a bare value of its own where it is a number or a truth value. Values
are checked by type and escaped, so that none can end its string: what comes out has exactly the template's keys.
"""

import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from onestop.onboarding.errors import ParameterWrong, TemplateWrong

Kind = Literal["text", "name", "code", "version", "integer", "number", "boolean"]
KINDS: Final = get_args(Kind)
_PLACE: Final = re.compile(r"\$\{([a-z][a-z0-9_]{0,39})\}")
_SHAPES: Final[dict[str, str]] = {
    "name": r"[a-z][a-z0-9_]{1,39}",
    "code": r"[0-9A-Z]{1,40}",
    "version": r"\d{1,4}\.\d{1,4}\.\d{1,4}",
}
_SAMPLES: Final[dict[str, Any]] = {
    "text": "x", "name": "xx", "code": "0", "version": "0.0.1", "integer": 1, "number": 1.5, "boolean": True,
}  # fmt: skip
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_BARE: Final = frozenset({"integer", "number", "boolean"})
_MARK: Final = re.compile("\ue000\\d+\ue001")
_MOST_TEXT: Final = 500


def check(body: str, parameters: Mapping[str, str]) -> None:
    """Check that a template names its parameters and no others, each where its kind may stand.

    Raises:
        TemplateWrong: it does not; `reason` says what.
    """
    unknown = sorted(kind for kind in parameters.values() if kind not in KINDS)
    if unknown:
        raise TemplateWrong(reason=f"kind: {', '.join(unknown)}")
    used = set(_PLACE.findall(body))
    if used != set(parameters):
        raise TemplateWrong(reason=f"parameters: {', '.join(sorted(used ^ set(parameters)))}")
    samples = {name: _SAMPLES[kind] for name, kind in parameters.items()}
    for sample in (samples, samples | {name: 'it\'s "x" \\' for name, kind in parameters.items() if kind == "text"}):
        _proved(body, parameters, sample)


def fill(body: str, parameters: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Return the manifest's text for these values.

    Raises:
        ParameterWrong: a value is missing, unknown, or of another kind; names it.
        TemplateWrong: a value would change more than its own place.
    """
    wrong = sorted(set(parameters) ^ set(values))
    if wrong:
        raise ParameterWrong(name=", ".join(wrong), kind="missing or unknown")
    for name, kind in parameters.items():
        _check_value(name, kind, values[name])
    return _proved(body, parameters, values)


def _check_value(name: str, kind: str, value: Any) -> None:
    match kind:
        case "integer":
            good = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**12
        case "number":
            good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 10**12
        case "boolean":
            good = isinstance(value, bool)
        case "text":
            good = isinstance(value, str) and len(value) <= _MOST_TEXT and value.isprintable()
        case _:
            good = isinstance(value, str) and re.fullmatch(_SHAPES[kind], value) is not None
    if not good:
        raise ParameterWrong(name=name, kind=kind)


def _proved(body: str, parameters: Mapping[str, str], values: Mapping[str, Any]) -> str:
    """Fill in, and prove that every text stands in its own string and nowhere else, exactly as it was given.

    The same template with a mark in place of each text gives the same document once the marks are replaced. That is
    what makes single-quoted and multi-line strings safe, whose escapes differ.
    """
    texts = [name for name, kind in parameters.items() if kind not in _BARE]
    marks = {name: f"\ue000{n}\ue001" for n, name in enumerate(texts)}
    filled = _PLACE.sub(lambda place: _written(values[place[1]]), body)
    marked = _PLACE.sub(lambda place: marks.get(place[1]) or _written(values[place[1]]), body)
    try:
        proof = _unmarked(tomllib.loads(marked), {mark: values[name] for name, mark in marks.items()})
        same = tomllib.loads(filled) == proof
    except tomllib.TOMLDecodeError as fault:
        raise TemplateWrong(reason=f"toml: {fault}") from fault
    if not same:
        raise TemplateWrong(reason="a value would change more than its own place")
    return filled


def _unmarked(tree: Any, texts: Mapping[str, str]) -> Any:
    """Return a document with its marks replaced in texts; in a key they stay, and so are found out."""
    if isinstance(tree, dict):
        return {key: _unmarked(part, texts) for key, part in tree.items()}
    if isinstance(tree, list):
        return [_unmarked(part, texts) for part in tree]
    if isinstance(tree, str):
        return _MARK.sub(lambda mark: texts.get(mark[0], mark[0]), tree)
    return tree


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return "".join(_ESCAPES.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 or ord(c) == 127 else c) for c in value)
