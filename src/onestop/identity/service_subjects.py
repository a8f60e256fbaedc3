"""Subjects: people and organisations behind their numbers, which lie sealed and are found by blind index."""

from time import monotonic
from typing import Final

from onestop.crypto import Keys
from onestop.db import Connection, Pool
from onestop.identity import rules, store
from onestop.identity.errors import PersonUnknown
from onestop.identity.models import Identified, NumberType, Subject
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
        index = self._keys.blind_index(f"{who.number_type}:{who.number}", "subjects.number")
        known = await store.subject_by_number(self._pool, self._region, index)
        if known is None:
            row = self._seal(new_id("sub"), who)
            if await store.insert_subject(self._pool, self._region, row, index):
                return row.id
            known = await store.subject_by_number(self._pool, self._region, index)
        if known is None:
            raise PersonUnknown  # deleted between two statements
        if self._keys.unseal(known.name, _name_context(known.id)).decode() != who.name:
            sealed = self._keys.seal(who.name.encode(), _name_context(known.id))
            await store.rename_subject(self._pool, self._region, known.id, sealed)
            self._held.pop(known.id, None)
        return known.id

    async def met(self, db: Connection, number_type: NumberType, number: str, name: str) -> str:
        """Return the id of the subject with that number, made where there is none, in the caller's transaction.

        The name is somebody's who is not the person: a name that is known stays, and signing in corrects this one.
        """
        index = self._keys.blind_index(f"{number_type}:{number}", "subjects.number")
        known = await store.subject_by_number(db, self._region, index)
        if known is not None:
            return known.id
        row = self._seal(new_id("sub"), Identified(number_type=number_type, number=number, name=name))
        if await store.insert_subject(db, self._region, row, index):
            return row.id
        known = await store.subject_by_number(db, self._region, index)
        if known is None:
            raise PersonUnknown  # deleted between two statements
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
            number=self._keys.unseal(row.number, _number_context(row.id)).decode(),
            name=self._keys.unseal(row.name, _name_context(row.id)).decode(),
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

    def _seal(self, subject_id: str, who: Identified) -> store.SubjectRow:
        return store.SubjectRow(
            id=subject_id,
            kind=rules.subject_kind(who.number_type),
            number_type=who.number_type,
            number=self._keys.seal(who.number.encode(), _number_context(subject_id)),
            name=self._keys.seal(who.name.encode(), _name_context(subject_id)),
        )


# What a sealed value is bound to: table, column, row. A value moved to another place does not open.
def _number_context(subject_id: str) -> str:
    return f"subjects.number:{subject_id}"


def _name_context(subject_id: str) -> str:
    return f"subjects.name:{subject_id}"
