"""SQL of subjects, and of what departments call them."""

import msgspec

from onestop.db import Connection, Db, execute, one
from onestop.identity.models import NumberType, SubjectKind


class SubjectRow(msgspec.Struct, frozen=True):
    """A subject as it lies in its table: number and name sealed."""

    id: str
    kind: SubjectKind
    number_type: NumberType
    number: bytes
    name: bytes
    data_key: bytes | None
    departments: list[str] = []
    department_ids: list[bytes] = []  # sealed, in the order of `departments`


SELECT_SUBJECT_BY_NUMBER = """
    SELECT id, kind, number_type, number, name, data_key
      FROM subjects
     WHERE region = $1 AND number_index = ANY($2::bytea[])
     LIMIT 1
"""


async def subject_by_number(db: Db, region: str, indices: list[bytes]) -> SubjectRow | None:
    """Read a subject by the blind indices of its type and number."""
    return await one(db, SubjectRow, SELECT_SUBJECT_BY_NUMBER, region, indices)


SELECT_SUBJECT = """
    SELECT id, kind, number_type, number, name, data_key,
           ARRAY(SELECT department FROM subject_department_ids AS d
                  WHERE d.region = $1 AND d.subject_id = $2 ORDER BY department LIMIT 500) AS departments,
           ARRAY(SELECT value FROM subject_department_ids AS d
                  WHERE d.region = $1 AND d.subject_id = $2 ORDER BY department LIMIT 500) AS department_ids
      FROM subjects
     WHERE region = $1 AND id = $2 AND erased_at IS NULL
"""


async def subject(db: Db, region: str, subject_id: str) -> SubjectRow | None:
    """Read a subject by its id, with what departments call it."""
    return await one(db, SubjectRow, SELECT_SUBJECT, region, subject_id)


# Nothing for a subject without a data key: the worker gives it one first.
UPSERT_DEPARTMENT_ID = """
    INSERT INTO subject_department_ids (region, subject_id, department, value)
    SELECT $1, id, $3, $4 FROM subjects WHERE region = $1 AND id = $2 AND data_key IS NOT NULL
    ON CONFLICT (region, subject_id, department) DO UPDATE SET value = excluded.value, changed_at = now()
"""


async def keep_department_id(db: Db, region: str, subject_id: str, department: str, sealed: bytes) -> None:
    """Keep what a department calls a subject."""
    await execute(db, UPSERT_DEPARTMENT_ID, region, subject_id, department, sealed)


LOCK_NUMBER = "SELECT pg_advisory_xact_lock($1)"


async def lock_number(db: Connection, number_lock: int) -> None:
    """Let two first sign-ins with one number go one after the other, until the transaction ends."""
    await execute(db, LOCK_NUMBER, number_lock)


INSERT_SUBJECT = """
    INSERT INTO subjects (region, id, kind, number_type, number_index, number, name, data_key)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def insert_subject(db: Connection, region: str, row: SubjectRow, number_index: bytes) -> None:
    """Write a new subject, whose number's lock is held."""
    await execute(
        db, INSERT_SUBJECT, region, row.id, row.kind, row.number_type, number_index, row.number, row.name, row.data_key
    )


# A data key never changes once there is one; a name sealed without it must not be written beside it.
UPDATE_SUBJECT_NAME = """
    UPDATE subjects SET name = $4, changed_at = now()
     WHERE region = $1 AND id = $2 AND (data_key IS NOT NULL) = $3
"""


async def rename_subject(db: Db, region: str, subject_id: str, has_key: bool, sealed_name: bytes) -> None:
    """Keep the name the provider now vouches for; nothing where the row has got a data key in between."""
    await execute(db, UPDATE_SUBJECT_NAME, region, subject_id, has_key, sealed_name)
