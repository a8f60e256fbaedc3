"""SQL of conformance runs: begun, beating, ended, or found without the process that ran them."""

from typing import Any

import msgspec

from onestop.db import Connection, Db, execute, many, one, value
from onestop.onboarding.models import Run, RunTarget

_COLUMNS = """id, adapter, version, digest, against, passed, report, at, state, by_whom, done, "of", operation,
              ended_at, fault"""

# The index over what is running lets one in; the other finds it there.
BEGIN_RUN = """
    INSERT INTO conformance_runs (id, adapter, version, digest, against, passed, report, state, by_whom)
    VALUES ($1, $2, $3, $4, $5, false, '{}', 'running', $6)
        ON CONFLICT (adapter, against) WHERE state = 'running' DO NOTHING
"""


async def begin(
    db: Connection, id_: str, adapter: str, number: str, digest: bytes, against: RunTarget, by: str
) -> bool:  # fmt: skip
    """Write a run as under way; False where another one of the adapter against the same target is."""
    return await execute(db, BEGIN_RUN, id_, adapter, number, digest, against, by) == 1


SELECT_UNDER_WAY = """
    SELECT id FROM conformance_runs WHERE adapter = $1 AND against = $2 AND state = 'running' LIMIT 1
"""


async def under_way(db: Db, adapter: str, against: RunTarget) -> str | None:
    """Read which run of an adapter against a target is under way."""
    found: str | None = await value(db, SELECT_UNDER_WAY, adapter, against)
    return found


BEAT = """
    UPDATE conformance_runs SET done = $2, "of" = $3, operation = $4, beat_at = now()
     WHERE id = $1 AND state = 'running'
"""


async def beat(db: Db, id_: str, done: int, of: int, operation: str | None) -> bool:
    """Say that a run goes on and how far it is; False where it is not under way any more."""
    return await execute(db, BEAT, id_, done, of, operation) == 1


END_RUN = """
    UPDATE conformance_runs
       SET state = 'ended', against = $2, passed = $3, report = $4, ended_at = now(),
           done = $5, "of" = $5, operation = NULL
     WHERE id = $1 AND state = 'running'
"""


async def end(
    db: Connection, id_: str, against: RunTarget, passed: bool, report: dict[str, Any], looked: int = 0
) -> bool:
    """Write what a run found and what answered; False where it is not under way any more."""
    return await execute(db, END_RUN, id_, against, passed, report, looked) == 1


INTERRUPT_RUN = """
    UPDATE conformance_runs SET state = 'interrupted', fault = $2, ended_at = now()
     WHERE id = $1 AND state = 'running'
"""


async def interrupt(db: Db, id_: str, fault: str) -> bool:
    """Write that a run was not finished; False where it is not under way any more."""
    return await execute(db, INTERRUPT_RUN, id_, fault) == 1


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose process is gone."""

    id: str
    adapter: str
    version: str
    against: RunTarget


INTERRUPT_LOST = """
    UPDATE conformance_runs SET state = 'interrupted', fault = 'restart', ended_at = now()
     WHERE state = 'running' AND beat_at < now() - make_interval(secs => $1) AND ($2::text IS NULL OR adapter = $2)
    RETURNING id, adapter, version, against
"""


async def interrupt_lost(db: Connection, silent_s: float, adapter: str | None) -> list[Lost]:
    """Write off what has not beaten for so long; of one adapter, or of all."""
    return await many(db, Lost, INTERRUPT_LOST, silent_s, adapter)


SELECT_RUN = f"SELECT {_COLUMNS} FROM conformance_runs WHERE id = $1 AND adapter = $2 AND version = $3 LIMIT 1"  # noqa: S608 - the columns are a constant of this file


async def run(db: Db, id_: str, adapter: str, number: str) -> Run | None:
    """Read one run of a version."""
    return await one(db, Run, SELECT_RUN, id_, adapter, number)


SELECT_LAST_RUNS = f"""
    SELECT DISTINCT ON (against) {_COLUMNS}
      FROM conformance_runs WHERE adapter = $1 AND digest = $2 AND state = 'ended'
     ORDER BY against, id DESC LIMIT 3
"""  # noqa: S608 - the columns are a constant of this file


async def last_runs(db: Db, adapter: str, digest: bytes) -> list[Run]:
    """Read the last run over exactly these bytes that ended, against each target."""
    return await many(db, Run, SELECT_LAST_RUNS, adapter, digest)


SELECT_OTHERS = f"""
    SELECT {_COLUMNS}
      FROM conformance_runs WHERE adapter = $1 AND digest = $2 AND state <> 'ended'
     ORDER BY id DESC LIMIT 10
"""  # noqa: S608 - the columns are a constant of this file


async def unfinished(db: Db, adapter: str, digest: bytes) -> list[Run]:
    """Read the newest runs over exactly these bytes that are under way or were interrupted."""
    return await many(db, Run, SELECT_OTHERS, adapter, digest)
