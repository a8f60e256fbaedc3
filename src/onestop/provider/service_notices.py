"""The notice before a site learns anything of a person: who, what for, on what basis, which data.

It is no consent: sites act on the basis their registration names. It is shown once for each purpose in each wording.
"""

from hashlib import sha256

import msgspec

from onestop.audit import service as audit
from onestop.db import Pool
from onestop.provider import store_notices as store
from onestop.provider.models import Client, Purpose


class Notices:
    """What people were shown."""

    def __init__(self, pool: Pool, region: str) -> None:
        self._pool, self._region = pool, region

    async def missing(self, subject_id: str, client: Client, purposes: list[Purpose]) -> bool:
        """Tell whether a person has to be shown one of these purposes first.

        Rule: R-152, also where the basis is a duty, and again when its words have changed.
        """
        if not purposes:
            return False
        codes, versions = _versions(purposes)
        seen = await store.count_notices(self._pool, self._region, subject_id, client.id, codes, versions)
        return seen < len(purposes)

    async def note(self, subject_id: str, client: Client, purposes: list[Purpose]) -> None:
        """Write that a person was shown these purposes and went on."""
        codes, versions = _versions(purposes)
        async with self._pool.acquire() as db, db.transaction():
            if await store.insert_notices(db, self._region, subject_id, client.id, codes, versions):
                await audit.record(
                    db, self._region, actor=subject_id, subject=subject_id, action="client.noticed", object=client.id,
                    detail={"purposes": codes, "versions": versions},
                )  # fmt: skip


def _versions(purposes: list[Purpose]) -> tuple[list[str], list[str]]:
    """Return codes, and what stands for the wording of each."""
    told = [sha256(msgspec.json.encode(purpose)).hexdigest()[:16] for purpose in purposes]
    return [purpose.code for purpose in purposes], told
