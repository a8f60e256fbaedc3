"""SQL of licences and their history."""

from collections.abc import Sequence
from datetime import date, datetime

from onestop.certificates.models_licences import EventRow, LicenceRow
from onestop.certificates.rules_licences import KeptState
from onestop.db import Connection, Db, execute, many, one

INSERT_LICENCE = """
    INSERT INTO licences (region, id, identifier, type, serial, version, number_index, department, subject, case_id,
                          state, body, digest, signature, as_of, asked_at, valid_from, valid_to)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, now(), $16, $17)
        ON CONFLICT DO NOTHING
"""


async def insert(
    db: Connection,
    region: str,
    id: str,
    identifier: str,
    type_: str,
    serial: str,
    version: int,
    number_index: bytes,
    department: str,
    subject: str,
    case_id: str | None,
    state: KeptState,
    body: bytes,
    digest: bytes,
    signature: str,
    as_of: datetime,
    valid_from: date,
    valid_to: date | None,
) -> bool:
    """Write one version of a licence; False where somebody wrote it meanwhile."""
    args = (region, id, identifier, type_, serial, version, number_index, department, subject, case_id, state, body,
            digest, signature, as_of, valid_from, valid_to)  # fmt: skip
    return await execute(db, INSERT_LICENCE, *args) == 1


SELECT_OWN_LICENCES = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND subject = $2 AND state <> 'superseded' AND ($3::text IS NULL OR id < $3)
     ORDER BY id DESC
     LIMIT $4
"""


async def own(db: Db, region: str, subject: str, before: str | None, limit: int) -> list[LicenceRow]:
    """Read a subject's licences in their present versions, newest first."""
    return await many(db, LicenceRow, SELECT_OWN_LICENCES, region, subject, before, limit)


# The holder is in the WHERE clause: another person's licence is the same as none.
SELECT_OWN_LICENCE = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND id = $2 AND subject = $3
"""


async def own_one(db: Db, region: str, id: str, subject: str) -> LicenceRow | None:
    """Read one of a subject's own licences, also a version that was superseded."""
    return await one(db, LicenceRow, SELECT_OWN_LICENCE, region, id, subject)


SELECT_LICENCE = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND id = $2
"""


async def by_id(db: Db, region: str, id: str) -> LicenceRow | None:
    """Read a licence by its id, for who was let in otherwise: by a use code."""
    return await one(db, LicenceRow, SELECT_LICENCE, region, id)


# Open to whoever holds the identifier: what is answered is decided by a signature or by who issues.
SELECT_LICENCE_BY_IDENTIFIER = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND identifier = $2
     LIMIT 1
"""


async def by_identifier(db: Db, region: str, identifier: str) -> LicenceRow | None:
    """Read a licence by its identifier."""
    return await one(db, LicenceRow, SELECT_LICENCE_BY_IDENTIFIER, region, identifier)


SELECT_OWN_BY_NUMBER = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND subject = $2 AND number_index = ANY($3::bytea[]) AND state <> 'superseded'
     ORDER BY id
     LIMIT 1
       FOR UPDATE
"""


async def own_by_number(db: Connection, region: str, subject: str, indices: Sequence[bytes]) -> LicenceRow | None:
    """Read and hold the present version of a subject's licence with one of these indices of its number."""
    return await one(db, LicenceRow, SELECT_OWN_BY_NUMBER, region, subject, list(indices))


SELECT_OWN_OF_TYPE = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND subject = $2 AND type = $3 AND state <> 'superseded'
     ORDER BY id DESC
     LIMIT $4
"""


async def own_of_type(db: Db, region: str, subject: str, type_: str, limit: int = 100) -> list[LicenceRow]:
    """Read a subject's licences of one type in their present versions, newest first."""
    return await many(db, LicenceRow, SELECT_OWN_OF_TYPE, region, subject, type_, limit)


SELECT_ISSUED_FOR_UPDATE = """
    SELECT id, identifier, type, serial, version, department, subject, case_id, state, reason, body, digest, signature,
           as_of, asked_at, valid_from, valid_to, issued_at, changed_at
      FROM licences
     WHERE region = $1 AND department = ANY($2::text[]) AND state <> 'superseded'
       AND (identifier = $3 OR ($3::text IS NULL AND number_index = ANY($4::bytea[])))
     ORDER BY id
     LIMIT 100
       FOR UPDATE
"""


async def issued_for_update(
    db: Connection, region: str, departments: Sequence[str], identifier: str | None, indices: Sequence[bytes]
) -> list[LicenceRow]:
    """Read and hold what these departments issued, by identifier or by number; nobody else's."""
    return await many(
        db, LicenceRow, SELECT_ISSUED_FOR_UPDATE, region, list(departments), identifier, list(indices)
    )  # fmt: skip


UPDATE_STATE = """
    UPDATE licences SET state = $3, reason = $4, changed_at = now(), asked_at = now()
     WHERE region = $1 AND id = $2
"""


async def set_state(db: Connection, region: str, id: str, state: KeptState, reason: str | None) -> None:
    """Write how a licence stands by its issuer's word, which is of this moment."""
    await execute(db, UPDATE_STATE, region, id, state, reason)


UPDATE_ASKED = """
    UPDATE licences SET asked_at = now(), as_of = greatest(as_of, $3)
     WHERE region = $1 AND id = $2
"""


async def set_asked(db: Connection, region: str, id: str, as_of: datetime) -> None:
    """Write that the issuer said the same again."""
    await execute(db, UPDATE_ASKED, region, id, as_of)


INSERT_EVENT = """
    INSERT INTO licence_events (region, licence_id, seq, kind, by_whom, reason)
    SELECT $1, $2, coalesce(max(seq), 0) + 1, $3, $4, $5
      FROM licence_events WHERE region = $1 AND licence_id = $2
"""


async def insert_event(
    db: Connection, region: str, licence_id: str, kind: str, by_whom: str, reason: str | None = None
) -> None:
    """Write what happened to a licence; its row is new or held by the caller."""
    await execute(db, INSERT_EVENT, region, licence_id, kind, by_whom, reason)


class VersionedEvent(EventRow, frozen=True, kw_only=True):
    """An event with the version it happened to."""

    version: int


SELECT_HISTORY = """
    SELECT e.at, e.kind, e.by_whom, e.reason, l.version
      FROM licences l
      JOIN licence_events e ON e.region = l.region AND e.licence_id = l.id
     WHERE l.region = $1 AND l.serial = $2 AND l.subject = $3
     ORDER BY l.version DESC, e.seq DESC
     LIMIT 200
"""


async def history(db: Db, region: str, serial: str, subject: str) -> list[VersionedEvent]:
    """Read what happened to all versions of a subject's licence, newest first."""
    return await many(db, VersionedEvent, SELECT_HISTORY, region, serial, subject)
