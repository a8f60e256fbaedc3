"""Paths of the mapping language: steps by name, by quoted name, or by number."""

import re
from collections.abc import Sequence
from typing import Final

from onestop.gateway.manifest_base import BadManifest
from onestop.gateway.mapping.values import Getter, Value, around

# A step by number keeps its text: a table may have a member of that name.
Step = str | tuple[str, int]

_STEP: Final = re.compile(r'"([^"]+)"|([\w@$][\w@$-]*|-[1-9][0-9]{0,5})')
_FIRST: Final = re.compile(r'"|[^\W\d]|[@$]')
_INDEX: Final = re.compile(r"-?(?:0|[1-9][0-9]{0,5})", re.ASCII)
_OUTWARDS: Final = re.compile(r"(?:\.\./)*")
SIMPLE: Final = re.compile(r"[^\W\d][\w-]*")  # one step that needs no quotes and is no number


def steps_of(path: str) -> list[Step] | None:
    """Return a path's steps, none for `.`; None where the text is no path."""
    if path == ".":
        return []
    if _FIRST.match(path) is None:
        return None
    steps: list[Step] = []
    at = 0
    while found := _STEP.match(path, at):
        quoted, bare = found.groups()
        steps.append(quoted or ((bare, int(bare)) if _INDEX.fullmatch(bare) else bare))
        at = found.end()
        if at == len(path):
            return steps
        if path[at] != ".":
            return None
        at += 1
    return None


def outwards(path: str) -> tuple[int, str]:
    """Return how many records outwards a path or expression begins, by `../`, and the rest of it."""
    found = _OUTWARDS.match(path)
    end = found.end() if found is not None else 0
    return end // 3, path[end:]


def names_of(path: str) -> list[str] | None:
    """Return a path's steps as texts; None where the text is no path."""
    steps = steps_of(path)
    return None if steps is None else [step if isinstance(step, str) else step[0] for step in steps]


def reader(path: str, where: str) -> Getter:
    """Compile a path.

    Raises:
        BadManifest: the text is no path; `where` says where it stands.
    """
    steps = steps_of(path)
    if steps is None:
        hint = "a name with other characters stands in double quotes, a text in single quotes"
        raise BadManifest(f"{where}: {path[:40]!r} is no path; {hint}")
    if all(isinstance(step, str) for step in steps):
        return _by_names([step for step in steps if isinstance(step, str)])

    def walk(root: Value) -> Value:
        for step in steps:
            root = take(root, step)
            if root is None:
                return None
        return root

    return walk


def reader_around(path: str, where: str, inside: int) -> Getter:
    """Compile a path that may begin with `../`, once for each list whose record it leads out of.

    Raises:
        BadManifest: as `reader`, or it leads further out than the `inside` lists it stands in.
    """
    levels, rest = outwards(path)
    if levels > inside:
        stands = f"inside {inside} lists" if inside else "inside no list"
        raise BadManifest(f"{where}: {path[:40]!r} leads out of {levels}, and stands {stands}")
    read = reader(rest, where)
    return (lambda _: read(around(levels))) if levels else read


def _by_names(steps: Sequence[str]) -> Getter:
    if not steps:
        return lambda root: root
    if len(steps) == 1:
        only = steps[0]
        return lambda root: root.get(only) if type(root) is dict else take(root, only)
    if len(steps) == 2:
        one, two = steps

        def pair(root: Value) -> Value:
            inner = root.get(one) if type(root) is dict else take(root, one)
            return inner.get(two) if type(inner) is dict else take(inner, two)

        return pair

    def walk(root: Value) -> Value:
        for step in steps:
            root = root.get(step) if type(root) is dict else take(root, step)
            if root is None:
                return None
        return root

    return walk


def take(value: Value, step: Step) -> Value:
    """Take one step; a missing one gives nothing."""
    if isinstance(step, str):
        return value.get(step) if isinstance(value, dict) else None
    name, index = step
    if isinstance(value, list):
        return value[index] if -len(value) <= index < len(value) else None
    if isinstance(value, dict) and name in value:
        return value[name]
    return value if index in (0, -1) else None  # XML makes a list of one a plain record
