"""SQL of operators' words on lines."""

from datetime import datetime

import msgspec

from onestop.db import Connection, Db, execute, many
from onestop.gateway.overrides import OverrideState


class OverrideRow(msgspec.Struct, frozen=True, kw_only=True):
    """An override as it is shown; an empty operation means the whole line."""

    operation: str
    state: OverrideState
    reason: str
    until: datetime
    set_by: str
    set_at: datetime


UPSERT_OVERRIDE = """
    INSERT INTO line_overrides (adapter, operation, state, reason, until, set_by) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (adapter, operation) DO UPDATE
       SET state = excluded.state, reason = excluded.reason, until = excluded.until, set_by = excluded.set_by,
           set_at = now()
"""


async def set_override(
    db: Connection, adapter: str, operation: str, state: OverrideState, reason: str, until: datetime, by: str
) -> None:
    """Say how a line, or one of its operations, is to be held; what was said before is replaced."""
    await execute(db, UPSERT_OVERRIDE, adapter, operation, state, reason, until, by)


SELECT_OVERRIDES = """
    SELECT operation, state, reason, until, set_by, set_at
      FROM line_overrides WHERE adapter = $1 AND until > now() ORDER BY operation LIMIT 200
"""


async def overrides(db: Db, adapter: str) -> list[OverrideRow]:
    """Read what holds for an adapter now."""
    return await many(db, OverrideRow, SELECT_OVERRIDES, adapter)


DELETE_OVERRIDE = "DELETE FROM line_overrides WHERE adapter = $1 AND operation = $2 AND until > now()"


async def delete_override(db: Connection, adapter: str, operation: str) -> bool:
    """Take a word back before its end; False where none holds."""
    return await execute(db, DELETE_OVERRIDE, adapter, operation) == 1
