"""Subjects: people and organisations behind their numbers, which lie sealed and are found by blind index."""

from collections.abc import Mapping
from time import monotonic
from typing import Final

from onestop.crypto import Keys, Sealer
from onestop.db import Connection, Pool
from onestop.identity import rules, sealing
from onestop.identity import store_subjects as store
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
        indices = sealing.subject_indices(self._keys, who.number_type, who.number)
        known = await store.subject_by_number(self._pool, self._region, indices)
        if known is None:
            async with self._pool.acquire() as db, db.transaction():
                known = await self._add(db, who, indices)
        sealer = self._sealer(known)
        if sealer.unseal(known.name, sealing.name_context(known.id)).decode() != who.name:
            sealed = sealer.seal(who.name.encode(), sealing.name_context(known.id))
            # Where the row is given its data key in this moment, the name stays as it was until the next sign-in.
            await store.rename_subject(self._pool, self._region, known.id, known.data_key is not None, sealed)
            self._held.pop(known.id, None)
        return known.id

    async def met(self, db: Connection, number_type: NumberType, number: str, name: str) -> str:
        """Return the id of the subject with that number, made where there is none, in the caller's transaction.

        The name is somebody's who is not the person: a name that is known stays, and signing in corrects this one.
        """
        indices = sealing.subject_indices(self._keys, number_type, number)
        known = await store.subject_by_number(db, self._region, indices)
        if known is None:
            who = Identified(number_type=number_type, number=number, name=name)
            known = await self._add(db, who, indices)
        return known.id

    async def find(self, number_type: NumberType, number: str) -> str | None:
        """Return the id of the subject with that number; None where it is nobody's here. Opens nothing."""
        indices = sealing.subject_indices(self._keys, number_type, number)
        known = await store.subject_by_number(self._pool, self._region, indices)
        return None if known is None else known.id

    async def called(self, number_type: NumberType, number: str) -> Mapping[str, str]:
        """Return what departments call the subject with that number, by adapter; empty where it is nobody's here.

        The caller writes down that it looked.
        """
        indices = sealing.subject_indices(self._keys, number_type, number)
        known = await store.subject_by_number(self._pool, self._region, indices)
        return {} if known is None else (await self.read(known.id)).ids

    async def read(self, subject_id: str) -> Subject:
        """Open a subject's number and name; the caller writes down that it did.

        Raises:
            PersonUnknown: there is none of that id.
        """
        row = await store.subject(self._pool, self._region, subject_id)
        if row is None:
            raise PersonUnknown
        sealer = self._sealer(row)
        return Subject(
            id=row.id,
            kind=row.kind,
            number_type=row.number_type,
            number=sealer.unseal(row.number, sealing.number_context(row.id)).decode(),
            name=sealer.unseal(row.name, sealing.name_context(row.id)).decode(),
            ids={
                department: sealer.unseal(sealed, sealing.department_id_context(row.id, department)).decode()
                for department, sealed in zip(row.departments, row.department_ids, strict=True)
            },
        )

    async def learn(self, subject: Subject, ids: Mapping[str, str]) -> None:
        """Keep what departments call a subject, where that is new; one statement for each that is."""
        new = {department: own for department, own in ids.items() if subject.ids.get(department) != own}
        if not new:
            return
        row = await store.subject(self._pool, self._region, subject.id)
        if row is None or row.data_key is None:
            return
        sealer = self._sealer(row)
        for department, own in new.items():
            sealed = sealer.seal(own.encode(), sealing.department_id_context(row.id, department))
            await store.keep_department_id(self._pool, self._region, row.id, department, sealed)
        self._held.pop(row.id, None)

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

    async def _add(self, db: Connection, who: Identified, indices: list[bytes]) -> store.SubjectRow:
        """Write a new subject and return it, or the one somebody else just wrote, in the caller's transaction.

        The unique index alone tells two writers apart only where both write under one suite; so they come here one
        after the other.
        """
        row = self._seal(new_id("sub"), who)
        index = sealing.subject_index(self._keys, who.number_type, who.number)
        await store.lock_number(db, int.from_bytes(indices[0][:8], signed=True))
        known = await store.subject_by_number(db, self._region, indices)
        if known is None:
            await store.insert_subject(db, self._region, row, index)
        return known or row

    def _seal(self, subject_id: str, who: Identified) -> store.SubjectRow:
        data_key = sealing.new_data_key()
        sealer = self._keys.data_sealer(data_key)
        return store.SubjectRow(
            id=subject_id,
            kind=rules.subject_kind(who.number_type),
            number_type=who.number_type,
            number=sealer.seal(who.number.encode(), sealing.number_context(subject_id)),
            name=sealer.seal(who.name.encode(), sealing.name_context(subject_id)),
            data_key=sealing.wrap(self._keys, self._region, subject_id, data_key),
        )

    def _sealer(self, row: store.SubjectRow) -> Sealer:
        return sealing.subject_sealer(self._keys, self._region, row.id, row.data_key)
