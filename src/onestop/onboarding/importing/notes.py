"""What is found on the way, gathered once: every finding has its words in both languages and its spot."""

from typing import Final

from onestop.gateway.manifest import Words
from onestop.onboarding.importing.models import Finding, Level, Spot
from onestop.texts import text

_MOST: Final = 200
_MOST_OF_ONE: Final = 12  # the thirteenth of a kind tells nothing new


def words(key: str, **params: object) -> Words:
    """Return the text under `import.<key>` in both languages."""
    return Words(zh=text(f"import.{key}", "zh", **params), en=text(f"import.{key}", "en", **params))


class Notes:
    """The findings of one import, in the order in which they were made."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str, str], Finding] = {}
        self._counts: dict[str, int] = {}

    def add(self, code: str, spot: Spot, level: Level = "note", **params: object) -> None:
        """Note one thing; the same thing at the same spot is noted once, and of one kind at most a dozen."""
        told = {name: str(value)[:160] for name, value in params.items()}
        key = (code, spot.file, spot.pointer)
        if key in self._found or len(self._found) >= _MOST:
            return
        self._counts[code] = self._counts.get(code, 0) + 1
        if self._counts[code] > _MOST_OF_ONE:
            return
        self._found[key] = Finding(
            code=code,
            level=level,
            spot=spot,
            says=words(f"finding.{code}.says", **told),
            fix=words(f"finding.{code}.fix", **told),
        )

    def all(self) -> tuple[Finding, ...]:
        """Return them, and one more for those of a kind that were too many to list."""
        more = {code: count - _MOST_OF_ONE for code, count in self._counts.items() if count > _MOST_OF_ONE}
        rest = tuple(
            Finding(
                code="more_of_these",
                level="note",
                spot=Spot(),
                says=words("finding.more_of_these.says", count=count, code=code),
                fix=words("finding.more_of_these.fix"),
            )
            for code, count in more.items()
        )
        return (*self._found.values(), *rest)
