"""Who acts for whom, as departments are told it: only an operation that names `actor` or `mandate` is told at all."""

import re
from typing import Any, Final

import msgspec

from onestop.gateway.manifest import Operation

_NAMED: Final = re.compile(r"(?<![\w.])(actor|mandate)\.[a-z_]")


def named_parties(operation: Operation) -> frozenset[str]:
    """Return which of `actor` and `mandate` an operation's requests send, also those of its steps and look-ups."""
    steps = operation.steps
    requests = [operation.request, *(step.request for step in steps)]
    requests += [step.lookup.request for step in steps if step.lookup is not None]
    return frozenset(name for one in requests for name in _NAMED.findall(str(msgspec.to_builtins(one))))


def told_parties(parties: frozenset[str], whole: dict[str, Any]) -> dict[str, Any]:
    """Return of what is known of actor and mandate what an operation is told; empty where it names neither."""
    return {name: whole.get(name) for name in sorted(parties)} if parties else {}
