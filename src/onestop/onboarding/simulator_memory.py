"""What a simulator remembers: the effects it did, by key and by its own reference; bounded, and gone when it ends."""

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from onestop.onboarding.simulator import Told

_MOST = 2000
_DIGITS = re.compile(r"\d+(?!.*\d)")


class Remembered(msgspec.Struct, kw_only=True):
    """One effect: how it was answered, what is said of it now, what it ends as."""

    operation: str
    key: str
    reference: str | None
    values: dict[str, str]
    told: "Told"
    now: str
    final: str
    polls: int

    def ask(self, polls: int) -> str:
        """Return what is said when it is asked for again; what is under way ends after so many askings."""
        if self.now in ("pending", "extended"):
            if self.polls >= polls:
                self.settle()
            self.polls += 1
        return self.now

    def settle(self) -> None:
        """Let it end."""
        self.now = self.final


class Memory:
    """The effects of one simulator, the oldest forgotten first."""

    def __init__(self) -> None:
        self._by_key: OrderedDict[str, Remembered] = OrderedDict()
        self._by_reference: dict[str, str] = {}
        self._corrected: OrderedDict[tuple[str, str], bool] = OrderedDict()
        self._count = self._unnamed = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def keep(self, effect: Remembered) -> None:
        """Remember an effect."""
        self._by_key[effect.key] = effect
        if effect.reference:
            self._by_reference[effect.reference] = effect.key
        if len(self._by_key) > _MOST:
            _, oldest = self._by_key.popitem(last=False)
            self._by_reference.pop(oldest.reference or "", None)

    def by_key(self, key: str) -> Remembered | None:
        """Return the effect of a key."""
        return self._by_key.get(key)

    def find(self, key: str | None, reference: str | None) -> Remembered | None:
        """Return an effect by its key, else by the department's reference."""
        if key and key in self._by_key:
            return self._by_key[key]
        return self._by_key.get(self._by_reference.get(reference or "", ""))

    def next_key(self) -> str:
        """Return a name for an effect that has no key of ours."""
        self._unnamed += 1
        return f"unnamed-{self._unnamed}"

    def next_reference(self, like: str) -> str:
        """Return a reference nobody had, of the form of a recorded one."""
        self._count += 1
        found = _DIGITS.search(like)
        if found is None:
            return f"{like}-{self._count}"
        number = (int(found[0]) + self._count) % 10 ** len(found[0])
        return f"{like[: found.start()]}{number:0{len(found[0])}}{like[found.end() :]}"

    def first_time(self, operation: str, number: str) -> bool:
        """Tell whether this person was not yet asked to correct this; once asked, the next is the corrected one."""
        if (operation, number) in self._corrected:
            return False
        self._corrected[operation, number] = True
        if len(self._corrected) > _MOST:
            self._corrected.popitem(last=False)
        return True

    def clear(self) -> None:
        """Forget everything."""
        self._by_key.clear()
        self._by_reference.clear()
        self._corrected.clear()
