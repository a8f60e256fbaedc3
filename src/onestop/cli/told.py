"""What is told on the command line, checked as the API checks a body."""

import json
from typing import Any, TypeVar

import msgspec

from onestop.cli.speech import Exit, Halt

T = TypeVar("T")


def told(kind: type[T], **values: Any) -> T:
    """Return the values as what a verb takes; what was not told is left to its default.

    Raises:
        Halt: one of them is not as it must be; says which.
    """
    try:
        return msgspec.convert({name: value for name, value in values.items() if value is not None}, kind, strict=True)
    except msgspec.ValidationError as fault:
        raise Halt("not_taken", Exit.USAGE, reason=fault) from fault


def document(text: str, name: str) -> dict[str, Any]:
    """Return the JSON object that a file or an option holds.

    Raises:
        Halt: it is none.
    """
    try:
        found = json.loads(text)
    except ValueError as fault:
        raise Halt("not_taken", Exit.USAGE, reason=f"{name}: {fault}") from fault
    if not isinstance(found, dict):
        raise Halt("not_taken", Exit.USAGE, reason=f"{name}: JSON object")
    return found
