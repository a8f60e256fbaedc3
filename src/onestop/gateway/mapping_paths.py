"""Paths of the mapping language: steps into nested values; what is not there gives nothing, never an error."""

import re

from onestop.gateway.manifest import BadManifest
from onestop.gateway.mapping_functions import Getter, Value

# A step is a name in any script, a number (from the end where negative), or any text in double quotes.
_STEP = re.compile(r'"([^"]{1,100})"|(-?\d{1,6})(?=\.|$)|([\w@-]+)')


def path(source: str, expression: str) -> Getter:
    """Compile a path.

    Raises:
        BadManifest: it is none.
    """
    if source == ".":
        return lambda root: root
    steps = _steps(source)
    if steps is None:
        raise BadManifest(f"not a path, nor a literal in single quotes: {expression}")
    named = all(isinstance(step, str) for step in steps)
    if named and len(steps) == 1:
        only = steps[0]
        return lambda root: root.get(only) if type(root) is dict else step_into(root, only)
    if named and len(steps) == 2:
        one, two = steps

        def pair(root: Value) -> Value:
            inner = root.get(one) if type(root) is dict else step_into(root, one)
            return inner.get(two) if type(inner) is dict else step_into(inner, two)

        return pair

    def walk(root: Value) -> Value:
        for step in steps:
            root = root.get(step) if named and type(root) is dict else step_into(root, step)
            if root is None:
                return None
        return root

    return walk


def step_into(value: Value, step: str | int) -> Value:
    """Take one step into a value that is not a dict, or by a number, which counts from the end where negative."""
    if isinstance(value, list) and isinstance(step, int):
        return value[step] if -len(value) <= step < len(value) else None
    if isinstance(value, dict) and str(step) in value:
        return value[str(step)]
    return value if step in (0, -1) else None  # XML makes a list of one a plain record


def _steps(source: str) -> list[str | int] | None:
    """Return the steps of a path, None where it is none."""
    steps: list[str | int] = []
    at = 0
    while True:
        match = _STEP.match(source, at)
        if match is None:
            return None
        quoted, number, name = match.groups()
        steps.append(quoted if quoted is not None else int(number) if number is not None else name)
        at = match.end()
        if at == len(source):
            return steps
        if source[at] != ".":
            return None
        at += 1
