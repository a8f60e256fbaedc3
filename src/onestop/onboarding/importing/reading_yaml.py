"""YAML by its events: no objects are made but texts, numbers, lists and tables; aliases and depth are bounded.

Plain scalars are read as YAML 1.2 does: `no`, `on` and dates are texts, and a number with a leading zero stays the text
that it is, because in these documents it is a code. Keys are always texts: `200:` is `"200"`.
"""

import re
from typing import Any, Final

import yaml

from onestop.onboarding.importing.errors import DocumentUnusable
from onestop.onboarding.importing.models import Spot
from onestop.onboarding.importing.notes import Notes
from onestop.onboarding.importing.reading_json import MAX_DEPTH, fraction, whole

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_EXPANDED: Final = 400_000  # nodes, aliases counted as often as they stand
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+|[0-9]+(?=[eE]))([eE][-+]?[0-9]+)?")
_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")
_NULLS = {"", "~", "null", "Null", "NULL"}
_TRUTHS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
# Characters that YAML forbids and real documents hold all the same.
_FORBIDDEN = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]|(?<!^)\ufeff")
_HALF = re.compile(r"[\ud800-\udfff\0]")
_STANDARD = "tag:yaml.org,2002:"


class _Open:
    """A list or table under construction."""

    __slots__ = ("anchor", "key", "line", "merges", "pointer", "size", "value")

    def __init__(self, value: Any, pointer: str, anchor: str | None) -> None:
        self.value, self.pointer, self.anchor = value, pointer, anchor
        self.key: str | None = None  # the name read, whose value comes next
        self.line = 0
        self.size = 1
        self.merges: list[Any] = []


def read(text: str, file: str, notes: Notes, lines: dict[str, int]) -> Any:
    """Return the value of the first document of a YAML text, and put the line of every member into `lines`.

    Raises:
        DocumentUnusable: it is no YAML, is nested too deeply, or its aliases stand for too much.
    """
    cleaned = _FORBIDDEN.sub(" ", text)
    if cleaned != text:
        spot = next(_FORBIDDEN.finditer(text)).start()
        notes.add("yaml_control", Spot(file=file, line=text.count("\n", 0, spot) + 1), "warning")
    try:
        return _Builder(file, notes, lines).build(cleaned)
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        said = fault.problem or fault.context or ""
        raise DocumentUnusable(
            "yaml",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else 1,
            said=said,
        ) from None
    except (yaml.YAMLError, UnicodeError, RecursionError, ValueError) as fault:
        raise DocumentUnusable("yaml", file=file, column=1, said=type(fault).__name__) from None


class _Builder:
    def __init__(self, file: str, notes: Notes, lines: dict[str, int]) -> None:
        self.file, self.notes, self.lines = file, notes, lines
        self.open: list[_Open] = []
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.total = 0
        self.root: Any = None
        self.done = False

    def build(self, text: str) -> Any:
        for event in yaml.parse(text, Loader=_Loader):
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent:
                self._begin({}, event)
            elif kind is yaml.SequenceStartEvent:
                self._begin([], event)
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self._end()
            elif kind is yaml.AliasEvent:
                self._alias(event)
            elif kind is yaml.DocumentEndEvent:
                self.done = True
            elif kind is yaml.DocumentStartEvent and self.done:
                self.notes.add("yaml_second", Spot(file=self.file, line=event.start_mark.line + 1), "warning")
                break
        return self.root

    def _line(self, event: Any) -> int:
        return int(event.start_mark.line) + 1

    def _begin(self, value: Any, event: Any) -> None:
        if len(self.open) >= MAX_DEPTH:
            raise DocumentUnusable("too_deep", file=self.file, line=self._line(event), most=MAX_DEPTH)
        above = self.open[-1] if self.open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            raise DocumentUnusable("yaml_key", file=self.file, line=self._line(event))
        self._check_tag(event)
        self.open.append(_Open(value, self._pointer(self._line(event)), event.anchor))

    def _pointer(self, line: int) -> str:
        """Return the pointer of the value that begins now."""
        if not self.open:
            return ""
        above = self.open[-1]
        if isinstance(above.value, list):
            pointer = f"{above.pointer}/{len(above.value)}"
            self.lines[pointer] = line
            return pointer
        return f"{above.pointer}/{(above.key or '').replace('~', '~0').replace('/', '~1')}"

    def _end(self) -> None:
        ended = self.open.pop()
        for merged in ended.merges:
            for name, item in merged.items():
                ended.value.setdefault(name, item)
        if ended.anchor:
            self.anchors[ended.anchor] = (ended.value, ended.size)
        self._put(ended.value, ended.size)

    def _alias(self, event: Any) -> None:
        known = self.anchors.get(event.anchor)
        if known is None:
            raise DocumentUnusable("yaml_alias", file=self.file, line=self._line(event), name=event.anchor)
        if self.open:
            self._pointer(self._line(event))
        above = self.open[-1] if self.open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            if isinstance(known[0], dict | list):
                raise DocumentUnusable("yaml_key", file=self.file, line=self._line(event))
            self._name(str(known[0]), event)
            return
        self._put(*known, line=self._line(event))

    def _put(self, value: Any, size: int = 1, line: int | None = None) -> None:
        self.total += size if size > 1 else 1
        if not self.open:
            if not self.done:
                self.root = value
            return
        above = self.open[-1]
        above.size += size
        if above.size > _MAX_EXPANDED or self.total > 20 * _MAX_EXPANDED:
            raise DocumentUnusable("yaml_bomb", file=self.file, line=line or above.line or None)
        if isinstance(above.value, list):
            above.value.append(value)
        elif above.key == "<<" and isinstance(value, dict | list):
            above.merges += [part for part in (value if isinstance(value, list) else [value]) if isinstance(part, dict)]
            above.key = None
        else:
            above.value[above.key] = value
            above.key = None

    def _name(self, name: str, event: Any) -> None:
        above = self.open[-1]
        line = self._line(event)
        name = _HALF.sub("\ufffd", name)
        pointer = f"{above.pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        if name in above.value:
            self.notes.add("duplicate_key", Spot(pointer=pointer, file=self.file, line=line), "warning", name=name)
        above.key, above.line = name, line
        self.lines[pointer] = line

    def _scalar(self, event: Any) -> None:
        above = self.open[-1] if self.open else None
        if above is not None and isinstance(above.value, dict) and above.key is None:
            if event.anchor:
                self.anchors[event.anchor] = (event.value, 1)
            self._name(event.value, event)
            return
        value = self._value(event)
        if event.anchor:
            self.anchors[event.anchor] = (value, 1)
        if above is not None and isinstance(above.value, list):
            self._pointer(self._line(event))
        self._put(value)

    def _check_tag(self, event: Any) -> None:
        """Name a tag that asks for an object: none is made."""
        tag = event.tag
        if tag not in (None, "!") and (not tag.startswith(_STANDARD) or tag.startswith(_STANDARD + "python")):
            self.notes.add("yaml_tag", Spot(file=self.file, line=self._line(event)), "warning", tag=tag)

    def _value(self, event: Any) -> Any:
        text: str = event.value
        self._check_tag(event)
        if event.implicit[0]:  # neither quoted nor tagged
            return plain(text)
        return _HALF.sub("\ufffd", text) if "\0" in text or not text.isprintable() else text


def plain(text: str) -> Any:
    """Return what an unquoted scalar means."""
    if text in _NULLS:
        return None
    if text in _TRUTHS:
        return _TRUTHS[text]
    first = text[0]
    if first.isdigit() or first in "-+.":
        if _INT.fullmatch(text):
            return whole(text)
        if _FLOAT.fullmatch(text) and len(text) <= 40:
            return fraction(text)
        if _HEX.fullmatch(text):
            return int(text, 16)
    return text
