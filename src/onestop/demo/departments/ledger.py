"""A department's own append-only ledger: JSON lines, on disk before anybody is answered, read back after a restart."""

import hashlib
import hmac
import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened; only an entry with an `effect_id` changed anything in the department."""

    seq: int
    at: str  # instant, UTC
    operation: str
    key: str  # the caller's idempotency key or serial
    person: str  # keyed hash of the applicant's number, never the number
    outcome: str
    effect_id: str | None = None
    digest: str = ""  # of the request's body, to notice a key used again for something else
    due: float = 0.0  # seconds since the epoch when the outcome may be told
    facts: dict[str, Any] = {}  # the answer, so that a replay says the same


class Ledger:
    """The ledger of one department, whole in memory and on disk.

    The file is truncated only to drop a last line that a crash cut short: nobody was answered for it.
    """

    def __init__(self, path: Path, key: str) -> None:
        self._key = key.encode()
        self.entries: list[Entry] = []
        self.by_key: dict[str, Entry] = {}  # the first entry of every key: the one that may have an effect
        self.by_receipt: dict[str, Entry] = {}
        self._effects: Counter[str] = Counter()
        self._asked: set[tuple[str, str]] = set()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._read_back(path)

    def _read_back(self, path: Path) -> None:
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.ftruncate(self._file, whole)
            os.fsync(self._file)
        decode = msgspec.json.Decoder(Entry).decode
        for line in data[:whole].splitlines():
            self._remember(decode(line))

    def _remember(self, entry: Entry) -> None:
        self.entries.append(entry)
        self.by_key.setdefault(entry.key, entry)
        if "receipt" in entry.facts:
            self.by_receipt[entry.facts["receipt"]] = entry
        if entry.effect_id is not None:
            self._effects[entry.operation] += 1
            self._asked.discard((entry.operation, entry.person))
        if entry.outcome == "correction":
            self._asked.add((entry.operation, entry.person))

    def person(self, id_number: str) -> str:
        """Return the index under which the ledger knows a person."""
        return hmac.new(self._key, id_number.encode(), hashlib.sha256).hexdigest()[:24]

    def count(self, operation: str) -> int:
        """Return how many effects of an operation there are."""
        return self._effects[operation]

    def was_asked(self, operation: str, id_number: str) -> bool:
        """Tell whether this person was asked to correct a submission of this kind and has not done so yet."""
        return (operation, self.person(id_number)) in self._asked

    def append(self, **fields: Any) -> Entry:
        """Write one entry and return it once the disk has it."""
        entry = Entry(seq=len(self.entries) + 1, **fields)
        line = msgspec.json.encode(entry) + b"\n"
        if os.write(self._file, line) != len(line):
            raise OSError("the ledger took only part of an entry")
        os.fsync(self._file)
        self._remember(entry)
        return entry

    def shown(self) -> list[dict[str, Any]]:
        """Return the entries as the control door shows them: without the answers, which hold people's data."""
        names = ("seq", "at", "operation", "key", "person", "effect_id", "outcome")
        return [{name: getattr(entry, name) for name in names} for entry in self.entries]
