"""What a department itself calls a person: given by its answers, usable in later questions to the same department.

Only to the same: `subject.ids.<adapter>` of another adapter is nothing at run time and an error of the linter.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from onestop.gateway.manifest import Operation

_MOST: Final = 128
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_NAMED: Final = re.compile(r"\bsubject\.ids\.([A-Za-z_][\w-]*)")


def named_ids(operation: Operation) -> Iterator[str]:
    """Yield the adapters whose identifiers an operation's requests send, also those of its steps."""
    for request in (operation.request, *(step.request for step in operation.steps)):
        yield from _NAMED.findall(str(msgspec.to_builtins(request)))


def asks_by_own_id(operation: Operation) -> bool:
    """Tell whether an operation cannot be asked about a person the department has not yet named to us."""
    return any(True for _ in named_ids(operation))


def own_id_of(value: Any) -> str | None:
    """Return an identifier as it is kept; None for what is none: empty, longer than 128, with control characters."""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value).strip()
    return text if 0 < len(text) <= _MOST and not _CONTROL.search(text) else None
