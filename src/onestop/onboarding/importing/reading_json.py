"""JSON as it is found in the field: comments and trailing commas are read past and named, lines are known on demand."""

import json
import re
from typing import Any, Final

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.models import Spot
from onestop.onboarding.importing.notes import Notes

MAX_DEPTH: Final = 150
_MAX_DIGITS: Final = 40
# What lacks its end is taken to the end in one step, so that every search stays linear.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*+"?|[\[\]{},:]')
_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|//[^\n]*+|/\*.*?(?:\*/|\Z)', re.DOTALL)
_TRAILING = re.compile(r'("(?:[^"\\\n]|\\.)*+"?)|,(?=\s*+[\]}])')
_HALF = re.compile(r"[\ud800-\udfff\0]")


def read(text: str, file: str, notes: Notes) -> Any:
    """Return the value of a JSON text.

    Raises:
        DocumentUnusable: it is none, even read loosely, or is nested too deeply.
    """
    check_depth(text, file)
    try:
        value = _load(text, file, notes)
    except json.JSONDecodeError as strict:
        loose = _TRAILING.sub(_blanked, _COMMENT.sub(_blanked, text))
        try:
            value = _load(loose, file, notes)
        except json.JSONDecodeError as fault:
            raise DocumentUnusable(
                "json", file=file, line=fault.lineno, column=fault.colno, near=_near(text, fault.pos), said=fault.msg
            ) from None
        notes.add("json_loose", Spot(file=file, line=strict.lineno), "warning")
    return value


def _blanked(match: re.Match[str]) -> str:
    """Return a string as it is, and anything else as blanks over the same lines."""
    return match[1] or re.sub(r"[^\n]", " ", match[0])


def _load(text: str, file: str, notes: Notes) -> Any:
    doubles: list[str] = []

    def joined(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            seen: set[str] = set()
            for name, _ in pairs:
                if name in seen and len(doubles) < 20:
                    doubles.append(name)
                seen.add(name)
        return found

    try:
        value = json.loads(text, object_pairs_hook=joined, parse_int=whole, parse_float=fraction, parse_constant=str)
    except RecursionError:
        raise DocumentUnusable("too_deep", file=file, most=MAX_DEPTH) from None
    for name in doubles:
        line = _second_line(text, name)
        notes.add("duplicate_key", Spot(pointer=f"…/{name}", file=file, line=line), "warning", name=name)
    return _whole_text(value) if "\\u" in text else value


def whole(digits: str) -> int | str:
    """Return a whole number; one beyond any use stays the text it is."""
    return int(digits) if len(digits) <= _MAX_DIGITS else digits[:_MAX_DIGITS] + "…"


def fraction(digits: str) -> float | str:
    """Return a number; one beyond a double stays the text it is."""
    number = float(digits)
    return digits[:_MAX_DIGITS] if number in (float("inf"), float("-inf")) else number


def _whole_text(value: Any) -> Any:
    """Take away halves of characters and NULs that escapes can smuggle in; depth is bounded by now."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_HALF.sub("\ufffd", name): _whole_text(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole_text(item) for item in value]
    return value


def _second_line(text: str, name: str) -> int | None:
    """Return the line of the last place where a member of that name begins: the one that holds."""
    places = [match.start() for match in re.finditer(re.escape(json.dumps(name, ensure_ascii=False)) + r"\s*:", text)]
    return text.count("\n", 0, places[-1]) + 1 if places else None


def _near(text: str, position: int) -> str:
    return " ".join(text[max(0, position - 20) : position + 20].split())


def check_depth(text: str, file: str) -> None:
    """Refuse nesting that nobody writes by hand or by tool.

    Raises:
        DocumentUnusable: deeper than `MAX_DEPTH` brackets.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for match in _TOKEN.finditer(text):
        mark = match[0]
        if mark in ("{", "["):
            depth += 1
            if depth > MAX_DEPTH:
                line = text.count("\n", 0, match.start()) + 1
                raise DocumentUnusable("too_deep", file=file, line=line, most=MAX_DEPTH)
        elif mark in ("}", "]"):
            depth -= 1


def lines(text: str) -> dict[str, int]:
    """Return the line of every member of a JSON text by its pointer, in one pass."""
    found: dict[str, int] = {"": 1}
    path: list[tuple[str, int]] = []  # of each open bracket: the pointer of what it holds, and how many came before
    pointer, line, position = "", 1, 0
    name: str | None = None
    waiting = False  # a name was read, its colon was not
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        mark = match[0]
        if mark in ("{", "["):
            path.append((pointer, -1 if mark == "{" else 0))
            if mark == "[":
                pointer = f"{pointer}/0"
                found[pointer] = line
            waiting = mark == "{"
        elif mark in ("}", "]"):
            pointer = path.pop()[0] if path else ""
            waiting = False
        elif mark == ",":
            above, count = path[-1] if path else ("", -1)
            if count >= 0:
                path[-1] = (above, count + 1)
                pointer = f"{above}/{count + 1}"
                found[pointer] = line
            else:
                waiting = True
        elif mark == ":":
            if name is not None and path:
                pointer = f"{path[-1][0]}/{name}"
                found[pointer] = line
            name = None
        elif waiting:
            name, waiting = mark[1:-1].replace("~", "~0").replace("/", "~1"), False
    return found
