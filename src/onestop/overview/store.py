"""Completion handles and the parts that came late."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from onestop.db import Db, execute, many, one

INSERT_COMPLETION = """
    INSERT INTO completions (region, id, subject, parts, expected, holds_until, mandate)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
"""

# The handle says which parts are awaited: nothing else is taken, and each only once. It counts them itself, held until
# the commit, so that parts which come at one moment get numbers in the order in which streams can see them.
INSERT_PART = """
    WITH handle AS (
        UPDATE completions SET came = came + 1
         WHERE region = $1 AND id = $2 AND $3 = ANY(expected)
        RETURNING came
    )
    INSERT INTO completion_parts (region, completion_id, want, seq, part)
    SELECT $1, $2, $3, came, $4 FROM handle
        ON CONFLICT DO NOTHING
"""

# What was asked under a mandate is shown under that one alone: another mandate may cover less.
SELECT_OWN = """
    SELECT id, parts, expected, holds_until
      FROM completions
     WHERE region = $1 AND id = $2 AND subject = $3 AND mandate IS NOT DISTINCT FROM $4::text
"""

SELECT_PARTS = """
    SELECT want, seq, part FROM completion_parts
     WHERE region = $1 AND completion_id = $2 AND seq > $3
     ORDER BY seq LIMIT 100
"""

SELECT_NEWEST = """
    SELECT completion_id AS id, max(seq) AS seq
      FROM completion_parts WHERE region = $1 AND completion_id = ANY($2) GROUP BY 1 LIMIT 1000
"""

DELETE_OLD = "DELETE FROM completions WHERE region = $1 AND holds_until < now() - interval '1 day'"
DELETE_OLD_PARTS = "DELETE FROM completion_parts WHERE region = $1 AND at < now() - interval '2 days'"


class CompletionRow(msgspec.Struct, frozen=True):
    """A handle as it is stored."""

    id: str
    parts: bytes
    expected: list[str]
    holds_until: datetime


class PartRow(msgspec.Struct, frozen=True):
    """A late part as it is stored."""

    want: str
    seq: int
    part: bytes


class Newest(msgspec.Struct, frozen=True):
    """The last late part of a handle."""

    id: str
    seq: int


async def insert_completion(
    db: Db,
    region: str,
    id_: str,
    subject: str,
    parts: bytes,
    expected: Sequence[str],
    holds_until: datetime,
    mandate: str | None = None,
) -> None:
    """Write a handle."""
    await execute(db, INSERT_COMPLETION, region, id_, subject, parts, list(expected), holds_until, mandate)


async def insert_part(db: Db, region: str, id_: str, want: str, part: bytes) -> bool:
    """Write a late part; False where the handle did not expect it or has it already."""
    return await execute(db, INSERT_PART, region, id_, want, part) == 1


async def own(db: Db, region: str, id_: str, subject: str, mandate: str | None) -> CompletionRow | None:
    """Read one of the subject's own handles, asked for under that mandate or, for None, by themselves."""
    return await one(db, CompletionRow, SELECT_OWN, region, id_, subject, mandate)


async def parts_since(db: Db, region: str, id_: str, after: int) -> list[PartRow]:
    """Read the late parts after a number, in the order they came; at most 100."""
    return await many(db, PartRow, SELECT_PARTS, region, id_, after)


async def newest(db: Db, region: str, ids: Sequence[str]) -> list[Newest]:
    """Read the number of the last late part of each handle that has any."""
    return await many(db, Newest, SELECT_NEWEST, region, list(ids))


async def delete_old(db: Db, region: str) -> int:
    """Delete handles and parts that nobody will come back for; return how many handles."""
    await execute(db, DELETE_OLD_PARTS, region)
    return await execute(db, DELETE_OLD, region)
