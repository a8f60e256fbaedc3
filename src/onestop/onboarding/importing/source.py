"""One document with what lies beside it: values by pointer, references followed, never over a network."""

import posixpath
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

from onestop.onboarding.importing import reading_json, reading_yaml
from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.models import Level, Spot
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.unpacking import to_text

_MAX_HOPS: Final = 30
_ELSEWHERE = re.compile(r"(?i)([a-z][a-z0-9+.-]*:|//)")


class At(tuple[str, str]):
    """A place: file and pointer."""

    __slots__ = ()

    @property
    def file(self) -> str:
        return self[0]

    @property
    def pointer(self) -> str:
        return self[1]

    def __truediv__(self, step: str | int) -> "At":
        return At((self[0], f"{self[1]}/{str(step).replace('~', '~0').replace('/', '~1')}"))


class Source:
    """The files of one import, each read when it is first needed."""

    def __init__(self, main: str, text: str, root: Any, beside: Mapping[str, bytes], notes: Notes) -> None:
        self.main, self.notes = main, notes
        self._beside = beside
        self._roots: dict[str, Any] = {main: root}
        self._texts: dict[str, str] = {main: text}
        self._lines: dict[str, dict[str, int]] = {}

    @property
    def root(self) -> Any:
        return self._roots[self.main]

    def keep_lines(self, file: str, lines: dict[str, int]) -> None:
        """Keep what the reader of a file learned of its lines."""
        self._lines[file] = lines

    def note(self, code: str, at: At, level: Level = "note", **params: object) -> None:
        """Note something about one place."""
        self.notes.add(code, self.spot(at), level, **params)

    def spot(self, at: At) -> Spot:
        """Return the place as a finding tells it, with the line of the nearest value above that is known."""
        if at.file not in self._lines:
            self._lines[at.file] = reading_json.lines(self._texts.get(at.file, ""))
        lines, pointer = self._lines[at.file], at.pointer
        while pointer and pointer not in lines:
            pointer = pointer.rpartition("/")[0]
        return Spot(pointer=at.pointer, file=at.file, line=lines.get(pointer))

    def follow(self, value: Any, at: At) -> tuple[Any, At, tuple[At, ...]]:
        """Follow `$ref` until something else stands there; what stands beside a reference wins over what it leads to.

        Returns the value, where it stands, and the places passed; an unreachable reference is noted and gives {}.
        """
        passed: list[At] = []
        beside: dict[str, Any] = {}
        while isinstance(value, dict) and isinstance(value.get("$ref"), str):
            beside = {name: item for name, item in value.items() if name != "$ref"} | beside
            there = self._target(value["$ref"], at)
            if there is None or there in passed or len(passed) >= _MAX_HOPS:
                if there is not None:
                    self.notes.add("ref_circle", self.spot(at), "note", ref=value["$ref"])
                return dict(beside), at, tuple(passed)
            passed.append(there)
            value, at = self._get(there), there
        if beside and isinstance(value, dict):
            value = value | beside
        return value, at, tuple(passed)

    def _target(self, ref: str, at: At) -> At | None:
        where, _, fragment = ref.partition("#")
        if _ELSEWHERE.match(where):
            self.notes.add("ref_remote", self.spot(at), "warning", ref=ref)
            return None
        file = at.file
        if where:
            file = posixpath.normpath(posixpath.join(posixpath.dirname(at.file), unquote(where))).lstrip("/")
            if not self._has(file, at, ref):
                return self._by_bare_name(ref, at)
        pointer = unquote(fragment)
        pointer = pointer if pointer.startswith("/") or not pointer else f"/{pointer}"
        there = At((file, pointer))
        if self._get(there) is None:
            self.notes.add("ref_missing", self.spot(at), "warning", ref=ref)
            return None
        return there

    def _by_bare_name(self, ref: str, at: At) -> At | None:
        """Find `$ref: Pet`, as older tools wrote it."""
        for above in ("/definitions", "/components/schemas"):
            there = At((at.file, above)) / ref
            if self._get(there) is not None:
                return there
        self.notes.add("ref_file_missing", self.spot(at), "warning", ref=ref)
        return None

    def _has(self, file: str, at: At, ref: str) -> bool:
        if file in self._roots:
            return True
        data = self._beside.get(file)
        if data is None:
            return False
        try:
            text = to_text(data, file, self.notes)
            root, lines = read_value(text, file, self.notes)
        except DocumentUnusable as fault:
            line = {"line": fault.line or 1}
            self.notes.add("file_unusable", Spot(file=file, line=fault.line), "warning", ref=ref, **line)
            root, text, lines = None, "", {}
        self._roots[file], self._texts[file] = root, text
        if lines is not None:
            self._lines[file] = lines
        return True

    def _get(self, at: At) -> Any:
        value = self._roots.get(at.file)
        for step in at.pointer.split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(value, dict):
                value = value.get(step)
            elif isinstance(value, list) and step.isdigit() and len(step) < 7 and int(step) < len(value):
                value = value[int(step)]
            else:
                return None
        return value


def read_value(text: str, file: str, notes: Notes) -> tuple[Any, dict[str, int] | None]:
    """Read JSON or YAML by what it looks like; with the lines of its members where they are known already.

    Raises:
        DocumentUnusable: it is neither.
    """
    if text.lstrip("\ufeff \t\n")[:1] in ("{", "["):
        try:
            return reading_json.read(text, file, notes), None
        except DocumentUnusable as fault:
            if fault.reason != "json" or file.lower().endswith(".json"):
                raise
            lines: dict[str, int] = {}
            try:
                return reading_yaml.read(text, file, notes, lines), lines  # YAML may be written in braces
            except DocumentUnusable:
                raise fault from None
    lines = {}
    return reading_yaml.read(text, file, notes, lines), lines
