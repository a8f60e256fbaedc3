"""SQL of bindings between a provider's pseudonymous account and the person it belongs to."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many, one, value


class LinkRow(msgspec.Struct, frozen=True):
    """Whose an account is, and how surely that was proved."""

    account_id: str
    subject_id: str
    provider: str
    proved_by: str
    level: int
    bound_at: datetime


SELECT_LINK = """
    SELECT account_id, subject_id, provider, proved_by, level, bound_at
      FROM subject_links WHERE region = $1 AND account_id = $2
"""


async def link(db: Db, region: str, account_id: str) -> LinkRow | None:
    """Read whose an account is; None where nobody has proved it yet."""
    return await one(db, LinkRow, SELECT_LINK, region, account_id)


# Both the account's own key and the person's one account a provider: of two at once the first holds.
INSERT_LINK = """
    INSERT INTO subject_links (region, account_id, subject_id, provider, proved_by, level)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT DO NOTHING
"""


async def insert_link(
    db: Connection, region: str, account_id: str, subject_id: str, provider: str, proved_by: str, level: int
) -> bool:
    """Bind an account to a person; False where one of them is bound already."""
    return await execute(db, INSERT_LINK, region, account_id, subject_id, provider, proved_by, level) == 1


SELECT_OWN_LINKS = """
    SELECT account_id, subject_id, provider, proved_by, level, bound_at
      FROM subject_links WHERE region = $1 AND subject_id = $2 ORDER BY bound_at DESC, account_id LIMIT 50
"""


async def own_links(db: Db, region: str, subject_id: str) -> list[LinkRow]:
    """Return what is bound to a person, newest first, at most 50."""
    return await many(db, LinkRow, SELECT_OWN_LINKS, region, subject_id)


# The owner is in the WHERE clause: another citizen's binding is the same as none.
# What was opened by the pseudonym ends with the binding; other sessions of the person stay.
DELETE_OWN_LINK = """
    WITH gone AS (
        DELETE FROM subject_links WHERE region = $1 AND account_id = $2 AND subject_id = $3 RETURNING provider
    ), ended AS (
        UPDATE sessions SET revoked_at = now()
         WHERE region = $1 AND subject_id = $3 AND provider IN (SELECT provider FROM gone) AND revoked_at IS NULL
    )
    SELECT provider FROM gone
"""


async def delete_own_link(db: Connection, region: str, account_id: str, subject_id: str) -> bool:
    """End a binding and the sessions opened by it; False where the person has none of that id."""
    return await value(db, DELETE_OWN_LINK, region, account_id, subject_id) is not None
