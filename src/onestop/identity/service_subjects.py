"""Subjects: people and organisations behind their numbers, which lie sealed and are found by blind index."""

from time import monotonic
from typing import Final

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity import rules, store
from onestop.identity.errors import PersonUnknown
from onestop.identity.models import Identified, Subject
from onestop.ids import new_id

_HOLD_S: Final = 30.0
_HOLD_COUNT: Final = 20_000


class Subjects:
    """All subjects of this installation, as one process sees them."""

    def __init__(self, pool: Pool, keys: Keys, region: str) -> None:
        self._pool, self._keys, self._region = pool, keys, region
        self._held: dict[str, tuple[float, Subject]] = {}

    async def know(self, who: Identified) -> str:
        """Return the id of the subject with that number, made at the first time; a changed name is kept."""
        indices = self._keys.blind_indices(_indexed(who.number_type, who.number), _INDEX)
        known = await store.subject_by_number(self._pool, self._region, indices)
        if known is None:
            known = await self._add(who, indices)
        if self._keys.unseal(known.name, name_context(known.id)).decode() != who.name:
            sealed = self._keys.seal(who.name.encode(), name_context(known.id))
            await store.rename_subject(self._pool, self._region, known.id, sealed)
            self._held.pop(known.id, None)
        return known.id

    async def read(self, subject_id: str) -> Subject:
        """Open a subject's number and name; the caller writes down that it did.

        Raises:
            PersonUnknown: there is none of that id.
        """
        row = await store.subject(self._pool, self._region, subject_id)
        if row is None:
            raise PersonUnknown
        return Subject(
            id=row.id,
            kind=row.kind,
            number_type=row.number_type,
            number=self._keys.unseal(row.number, number_context(row.id)).decode(),
            name=self._keys.unseal(row.name, name_context(row.id)).decode(),
        )

    async def held(self, subject_id: str) -> Subject:
        """Return what `read` does, remembered for at most 30 seconds: departments are asked by number all day.

        Raises:
            PersonUnknown: there is none of that id.
        """
        held = self._held.get(subject_id)
        if held is not None and held[0] > monotonic():
            return held[1]
        found = await self.read(subject_id)
        if len(self._held) >= _HOLD_COUNT:
            self._held.clear()
        self._held[subject_id] = (monotonic() + _HOLD_S, found)
        return found

    async def _add(self, who: Identified, indices: list[bytes]) -> store.SubjectRow:
        """Write a new subject and return it, or the one somebody else just wrote.

        The unique index alone tells two writers apart only where both write under one suite; so they come here one
        after the other.
        """
        row = self._seal(new_id("sub"), who)
        index = subject_index(self._keys, who.number_type, who.number)
        async with self._pool.acquire() as db, db.transaction():
            await store.lock_number(db, int.from_bytes(indices[0][:8], signed=True))
            known = await store.subject_by_number(db, self._region, indices)
            if known is None:
                await store.insert_subject(db, self._region, row, index)
        return known or row

    def _seal(self, subject_id: str, who: Identified) -> store.SubjectRow:
        return store.SubjectRow(
            id=subject_id,
            kind=rules.subject_kind(who.number_type),
            number_type=who.number_type,
            number=self._keys.seal(who.number.encode(), number_context(subject_id)),
            name=self._keys.seal(who.name.encode(), name_context(subject_id)),
        )


_INDEX: Final = "subjects.number"


def _indexed(number_type: str, number: str) -> str:
    return f"{number_type}:{number}"


def subject_index(keys: Keys, number_type: str, number: str) -> bytes:
    """Return the blind index a subject is written with."""
    return keys.blind_index(_indexed(number_type, number), _INDEX)


# What a sealed value is bound to: table, column, row. A value moved to another place does not open.
def number_context(subject_id: str) -> str:
    """Return what a number is sealed for."""
    return f"subjects.number:{subject_id}"


def name_context(subject_id: str) -> str:
    """Return what a name is sealed for."""
    return f"subjects.name:{subject_id}"
