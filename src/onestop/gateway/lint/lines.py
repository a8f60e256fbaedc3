"""On which line of a TOML text each key and each array item stands. The standard reader tells values only."""

import re
from typing import Final

Path = tuple[str | int, ...]

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_PLAIN: Final = re.compile(r"[^,\]}\n#]*")  # numbers, booleans, dates


def lines_of(source: str) -> dict[Path, int]:
    """Return the line of every key and item of a text that the standard reader has taken."""
    return _Scan(source).run()


def line_at(lines: dict[Path, int], path: Path) -> int | None:
    """Return the line of a path, or of the nearest thing that holds it; None where that is the whole file."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _Scan:
    def __init__(self, source: str) -> None:
        self._text, self._at = source, 0
        self._found: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # items of each array of tables so far
        self._line, self._line_at = 1, 0

    def run(self) -> dict[Path, int]:
        table: Path = ()
        while self._blank() < len(self._text):
            if self._text.startswith("[[", self._at):
                self._at += 2
                table = self._item(self._resolved(self._key()))
                self._at += 2
            elif self._text[self._at] == "[":
                self._at += 1
                table = self._note(self._resolved(self._key()))
                self._at += 1
            else:
                self._pair(table)
        return self._found

    def _note(self, path: Path) -> Path:
        """Keep the line of a path and of what holds it, where it is the first to be seen."""
        self._line += self._text.count("\n", self._line_at, self._at)
        self._line_at = self._at
        for end in range(1, len(path) + 1):
            self._found.setdefault(path[:end], self._line)
        return path

    def _item(self, path: Path) -> Path:
        index = self._counts.get(path, 0)
        self._counts[path] = index + 1
        return self._note((*path, index))

    def _resolved(self, key: Path) -> Path:
        """Return where a header leads: through the newest item of each array of tables but the one it names."""
        path: Path = ()
        for i, part in enumerate(key):
            path = (*path, part)
            if i < len(key) - 1 and path in self._counts:
                path = (*path, self._counts[path] - 1)
        return path

    def _blank(self) -> int:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._at

    def _key(self) -> Path:
        parts: list[str | int] = []
        while True:
            self._blank()
            if self._text[self._at] in "\"'":
                start = self._at + 1
                self._string()
                parts.append(self._text[start : self._at - 1])
            else:
                match = _BARE.match(self._text, self._at)
                parts.append(match[0] if match else "")
                self._at = match.end() if match else self._at + 1
            self._blank()
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _pair(self, table: Path) -> None:
        self._blank()
        at = self._at
        path = (*table, *self._key())
        after, self._at = self._at, at
        self._note(path)
        self._at = after + 1  # the equals sign
        self._value(path)

    def _value(self, path: Path) -> None:
        self._blank()
        first = self._text[self._at]
        if first == "[":
            self._list(path, "]")
        elif first == "{":
            self._list(path, "}")
        elif first in "\"'":
            self._string()
        else:
            match = _PLAIN.match(self._text, self._at)
            self._at = match.end() if match else self._at + 1

    def _list(self, path: Path, end: str) -> None:
        self._at += 1
        index = 0
        while self._text[self._blank()] != end:
            if self._text[self._at] == ",":
                self._at += 1
            elif end == "}":
                self._pair(path)
            else:
                self._note((*path, index))
                self._value((*path, index))
                index += 1
        self._at += 1

    def _string(self) -> None:
        quote = self._text[self._at]
        long = self._text.startswith(quote * 3, self._at)
        close = quote * 3 if long else quote
        self._at += len(close)
        while not self._text.startswith(close, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
        self._at += len(close)
        while long and self._text.startswith(quote, self._at):  # quotes before the closing ones belong to the text
            self._at += 1
