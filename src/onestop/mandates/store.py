"""SQL of mandates and of what became of them."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many, one
from onestop.mandates.models import EndedBy, Mandate, MandateKind, MandateState

SELECT_MANDATE = """
    SELECT id, kind, principal, actor, parent_id, state, version, scope, hand_on, level, begins_at, ends_at, offered_at,
           accepted_at, confirmed_at, ended_at, ended_by, told, adapter, operation, source_version, as_of, valid_until,
           cases, fen
      FROM mandates
     WHERE region = $1 AND id = $2
"""


async def mandate(db: Db, region: str, id_: str) -> Mandate | None:
    """Read a mandate whoever its parties are: to let an act pass, or to see what it was handed on from."""
    return await one(db, Mandate, SELECT_MANDATE, region, id_)


# A party is in the WHERE clause: somebody else's mandate is the same as no mandate.
SELECT_OWN_MANDATE = """
    SELECT id, kind, principal, actor, parent_id, state, version, scope, hand_on, level, begins_at, ends_at, offered_at,
           accepted_at, confirmed_at, ended_at, ended_by, told, adapter, operation, source_version, as_of, valid_until,
           cases, fen
      FROM mandates
     WHERE region = $1 AND id = $2 AND (principal = $3 OR actor = $3)
"""


async def own_mandate(db: Db, region: str, id_: str, subject: str) -> Mandate | None:
    """Read a mandate that this subject gave or received."""
    return await one(db, Mandate, SELECT_OWN_MANDATE, region, id_, subject)


SELECT_OWN_MANDATE_FOR_UPDATE = """
    SELECT id, kind, principal, actor, parent_id, state, version, scope, hand_on, level, begins_at, ends_at, offered_at,
           accepted_at, confirmed_at, ended_at, ended_by, told, adapter, operation, source_version, as_of, valid_until,
           cases, fen
      FROM mandates
     WHERE region = $1 AND id = $2 AND (principal = $3 OR actor = $3)
       FOR UPDATE
"""


async def own_mandate_for_update(db: Connection, region: str, id_: str, subject: str) -> Mandate | None:
    """Read a mandate that this subject gave or received and hold its row until the transaction ends."""
    return await one(db, Mandate, SELECT_OWN_MANDATE_FOR_UPDATE, region, id_, subject)


SELECT_GIVEN = """
    SELECT id, kind, principal, actor, parent_id, state, version, scope, hand_on, level, begins_at, ends_at, offered_at,
           accepted_at, confirmed_at, ended_at, ended_by, told, adapter, operation, source_version, as_of, valid_until,
           cases, fen
      FROM mandates
     WHERE region = $1 AND principal = $2 AND ($3::text IS NULL OR parent_id = $3)
     ORDER BY id DESC
     LIMIT 200
"""


async def given(db: Db, region: str, principal: str, parent_id: str | None = None) -> list[Mandate]:
    """Return a subject's mandates to others, newest first, at most 200; with `parent_id` those handed on from it."""
    return await many(db, Mandate, SELECT_GIVEN, region, principal, parent_id)


COUNT_OPEN = """
    SELECT count(*) FROM mandates WHERE region = $1 AND principal = $2 AND state IN ('offered', 'accepted', 'live')
"""


async def count_open(db: Db, region: str, principal: str) -> int:
    """Count the mandates a subject has open to others."""
    return int(await db.fetchval(COUNT_OPEN, region, principal))


SELECT_RECEIVED = """
    SELECT id, kind, principal, actor, parent_id, state, version, scope, hand_on, level, begins_at, ends_at, offered_at,
           accepted_at, confirmed_at, ended_at, ended_by, told, adapter, operation, source_version, as_of, valid_until,
           cases, fen
      FROM mandates
     WHERE region = $1 AND actor = $2
     ORDER BY id DESC
     LIMIT 200
"""


async def received(db: Db, region: str, actor: str) -> list[Mandate]:
    """Return the mandates a subject was given, newest first, at most 200."""
    return await many(db, Mandate, SELECT_RECEIVED, region, actor)


# From a mandate up to the one it all comes from; a chain is as long as its kinds allow, and never a circle.
SELECT_CHAIN = """
    WITH RECURSIVE chain AS (
        SELECT id, parent_id, 1 AS depth FROM mandates WHERE region = $1 AND id = $2
         UNION ALL
        SELECT m.id, m.parent_id, c.depth + 1
          FROM chain c JOIN mandates m ON m.region = $1 AND m.id = c.parent_id
         WHERE c.depth < 8
    )
    SELECT m.id, m.kind, m.principal, m.actor, m.parent_id, m.state, m.version, m.scope, m.hand_on, m.level,
           m.begins_at, m.ends_at, m.offered_at, m.accepted_at, m.confirmed_at, m.ended_at, m.ended_by, m.told,
           m.adapter, m.operation, m.source_version, m.as_of, m.valid_until, m.cases, m.fen
      FROM chain c JOIN mandates m ON m.region = $1 AND m.id = c.id
     ORDER BY c.depth
     LIMIT 8
"""


async def chain(db: Db, region: str, id_: str) -> list[Mandate]:
    """Return a mandate and those it was handed on from, itself first."""
    return await many(db, Mandate, SELECT_CHAIN, region, id_)


INSERT_MANDATE = """
    INSERT INTO mandates (region, id, kind, principal, actor, parent_id, state, scope, hand_on, level, begins_at,
                          ends_at, accepted_at, confirmed_at, told, adapter, operation, source_version, as_of,
                          valid_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
        ON CONFLICT DO NOTHING
"""


async def insert(db: Connection, region: str, new: Mandate) -> bool:
    """Write a new mandate; False where a department's word on these two is there already."""
    written = await execute(
        db, INSERT_MANDATE, region, new.id, new.kind, new.principal, new.actor, new.parent_id, new.state,
        msgspec.to_builtins(new.scope), new.hand_on, new.level, new.begins_at, new.ends_at, new.accepted_at,
        new.confirmed_at, new.told, new.adapter, new.operation, new.source_version, new.as_of, new.valid_until,
    )  # fmt: skip
    return written == 1


UPDATE_STATE = """
    UPDATE mandates
       SET state = $3, version = version + 1, ended_by = $4,
           accepted_at = CASE WHEN $5 THEN now() ELSE accepted_at END,
           confirmed_at = CASE WHEN $6 THEN now() ELSE confirmed_at END,
           ended_at = CASE WHEN $3 = 'ended' THEN now() ELSE ended_at END
     WHERE region = $1 AND id = $2
"""


async def set_state(
    db: Connection,
    region: str,
    id_: str,
    state: MandateState,
    *,
    ended_by: EndedBy | None = None,
    accepted: bool = False,
    confirmed: bool = False,
) -> None:
    """Write a mandate's state and count its version up; the row is held."""
    await execute(db, UPDATE_STATE, region, id_, state, ended_by, accepted, confirmed)


# What was handed on ends with the mandate it came from, however far down.
END_BELOW = """
    WITH RECURSIVE below AS (
        SELECT id, 1 AS depth FROM mandates WHERE region = $1 AND parent_id = $2
         UNION ALL
        SELECT m.id, b.depth + 1 FROM below b JOIN mandates m ON m.region = $1 AND m.parent_id = b.id WHERE b.depth < 8
    )
    UPDATE mandates m
       SET state = 'ended', version = version + 1, ended_by = 'above', ended_at = now()
      FROM below b
     WHERE m.region = $1 AND m.id = b.id AND m.state IN ('offered', 'accepted', 'live')
    RETURNING m.id, m.version
"""


async def end_below(db: Connection, region: str, id_: str) -> list[tuple[str, int]]:
    """End what was handed on from a mandate and return the ids and versions of what ended so."""
    return [(row["id"], row["version"]) for row in await db.fetch(END_BELOW, region, id_)]


INSERT_MOVE = """
    INSERT INTO mandate_moves (region, mandate_id, version, move, by_whom, level) VALUES ($1, $2, $3, $4, $5, $6)
"""


async def insert_move(
    db: Connection, region: str, id_: str, version: int, move: str, by_whom: str, level: int | None
) -> None:
    """Write who brought a mandate to a version, and how."""
    await execute(db, INSERT_MOVE, region, id_, version, move, by_whom, level)


SELECT_MOVES = """
    SELECT version, at, move, by_whom, level
      FROM mandate_moves
     WHERE region = $1 AND mandate_id = $2
     ORDER BY version
     LIMIT 50
"""


class MoveRow(msgspec.Struct, frozen=True):
    """How a mandate came to a version."""

    version: int
    at: datetime
    move: str
    by_whom: str
    level: int | None


async def moves(db: Db, region: str, id_: str) -> list[MoveRow]:
    """Return what became of a mandate, oldest first, at most 50."""
    return await many(db, MoveRow, SELECT_MOVES, region, id_)


# The limits are in the WHERE clause, under the row's lock: of two submissions at once the last one left takes it.
SPEND = """
    UPDATE mandates
       SET cases = cases + 1, fen = fen + $3
     WHERE region = $1 AND id = $2 AND state = 'live'
       AND (scope->>'most_cases' IS NULL OR cases < (scope->>'most_cases')::integer)
       AND (scope->>'most_fen' IS NULL OR fen + $3 <= (scope->>'most_fen')::bigint)
"""


async def spend(db: Connection, region: str, id_: str, fen: int) -> bool:
    """Count one case and its fee; False where that is more than the mandate allows, or it has ended."""
    return await execute(db, SPEND, region, id_, fen) == 1


GIVE_BACK = "UPDATE mandates SET cases = cases - 1, fen = fen - $3 WHERE region = $1 AND id = $2 AND cases > 0"


async def give_back(db: Db, region: str, id_: str, fen: int) -> None:
    """Take back one counted case that was not written after all."""
    await execute(db, GIVE_BACK, region, id_, fen)


SELECT_VOUCHED = """
    SELECT id, principal, version
      FROM mandates
     WHERE region = $1 AND kind = $2 AND actor = $3 AND adapter = $4 AND state = 'live'
     ORDER BY id
     LIMIT 500
       FOR UPDATE
"""


class Vouched(msgspec.Struct, frozen=True):
    """A mandate that a department vouched for."""

    id: str
    principal: str
    version: int


async def vouched(db: Connection, region: str, kind: MandateKind, actor: str, adapter: str) -> list[Vouched]:
    """Return what a department last said of whom somebody may act for, and hold the rows; at most 500."""
    return await many(db, Vouched, SELECT_VOUCHED, region, kind, actor, adapter)


UPDATE_VOUCHED = """
    UPDATE mandates
       SET valid_until = $3, as_of = $4, source_version = $5, operation = $6
     WHERE region = $1 AND id = $2
"""


async def vouch_again(
    db: Connection, region: str, id_: str, valid_until: datetime, as_of: datetime | None, version: str, operation: str
) -> None:
    """Write that the department says so still; the row is held."""
    await execute(db, UPDATE_VOUCHED, region, id_, valid_until, as_of, version, operation)


SELECT_STALE_TOLD = """
    SELECT ARRAY[id] AS key, told
      FROM mandates
     WHERE region = $1 AND id > ($2::text[])[1] AND told IS NOT NULL
       AND substring(told FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_TOLD = """
    UPDATE mandates SET told = n.told
      FROM unnest($2::text[], $3::bytea[]) AS n (id, told)
     WHERE mandates.region = $1 AND mandates.id = n.id
"""
