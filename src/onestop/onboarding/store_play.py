"""SQL of drift, probes and ordered bad days."""

from datetime import datetime, timedelta
from typing import Any

import msgspec

from onestop.db import Connection, Db, execute, many, one, value


class FindingRow(msgspec.Struct, frozen=True, kw_only=True):
    """One way in which an operation's answers depart from what was known."""

    version: str
    operation: str
    path: str
    kind: str
    breaking: bool  # it may make answers wrong
    expected: str
    got: str
    seen: int
    first_at: datetime
    last_at: datetime


class ProbeRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one thing that is asked regularly went last."""

    operation: str  # `probe`: the health path
    at: datetime | None
    outcome: str
    failures: int  # in a row
    took_ms: int


class ExpiryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate or key that ends soon."""

    name: str
    environment: str
    not_after: datetime


UPSERT_FINDING = """
    INSERT INTO drift_findings (adapter, version, operation, path, kind, breaking, expected, got, seen)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (adapter, version, operation, path, kind)
        DO UPDATE SET seen = drift_findings.seen + excluded.seen, last_at = now(), got = excluded.got,
                      breaking = excluded.breaking
"""


async def add_finding(db: Db, *row: object) -> None:
    """Count a finding, in order of the statement's columns."""
    await execute(db, UPSERT_FINDING, *row)


SELECT_FINDINGS = """
    SELECT version, operation, path, kind, breaking, expected, got, seen, first_at, last_at
      FROM drift_findings WHERE adapter = $1 AND last_at > now() - make_interval(days => $2)
     ORDER BY breaking DESC, last_at DESC, path LIMIT 500
"""


async def findings(db: Db, adapter: str, days: int) -> list[FindingRow]:
    """Read what was found lately, what may make answers wrong first."""
    return await many(db, FindingRow, SELECT_FINDINGS, adapter, days)


SELECT_TOLD = """
    SELECT 1 FROM adapter_notices
     WHERE adapter = $1 AND version = $2 AND kind IN ('drift_file', 'drift_file_left') AND at > now() - $3::interval
     LIMIT 1
"""


async def told_of_file(db: Db, adapter: str, version: str, within: timedelta) -> bool:
    """Tell whether the owner of a version that stands in a file was told of its drift so lately."""
    return await value(db, SELECT_TOLD, adapter, version, within) is not None


# Whoever moves it on asks; the others find it moved.
CLAIM_PROBE = """
    INSERT INTO probe_results (adapter, operation, next_at) VALUES ($1, $2, now() + make_interval(secs => $3))
        ON CONFLICT (adapter, operation) DO UPDATE SET next_at = excluded.next_at WHERE probe_results.next_at <= now()
    RETURNING 1
"""


async def claim_probe(db: Db, adapter: str, operation: str, every_s: float) -> bool:
    """Take it on to ask something now; False where it is not due, or another process does."""
    return await value(db, CLAIM_PROBE, adapter, operation, every_s) is not None


UPDATE_PROBE = """
    UPDATE probe_results
       SET at = now(), outcome = $3, took_ms = $4, failures = CASE WHEN $5 THEN 0 ELSE failures + 1 END
     WHERE adapter = $1 AND operation = $2
    RETURNING failures
"""


async def probed(db: Db, adapter: str, operation: str, outcome: str, took_ms: int, good: bool) -> int:
    """Write how it went; return how often in a row it failed."""
    return int(await value(db, UPDATE_PROBE, adapter, operation, outcome, took_ms, good) or 0)


SELECT_PROBES = """
    SELECT operation, at, outcome, failures, took_ms FROM probe_results WHERE adapter = $1 ORDER BY operation LIMIT 200
"""


async def probes(db: Db, adapter: str) -> list[ProbeRow]:
    """Read how an adapter's probes went."""
    return await many(db, ProbeRow, SELECT_PROBES, adapter)


SELECT_EXPIRING = """
    SELECT name, environment, not_after FROM adapter_secrets
     WHERE adapter = $1 AND removed_at IS NULL AND not_after < now() + make_interval(days => $2)
     ORDER BY not_after LIMIT 100
"""


async def expiring(db: Db, adapter: str, days: int) -> list[ExpiryRow]:
    """Read which certificates and keys of an adapter end within so many days."""
    return await many(db, ExpiryRow, SELECT_EXPIRING, adapter, days)


UPSERT_SCENARIO = """
    INSERT INTO simulator_scenarios (adapter, ordered, set_by) VALUES ($1, $2, $3)
        ON CONFLICT (adapter) DO UPDATE SET ordered = excluded.ordered, set_by = excluded.set_by, set_at = now()
"""


async def set_scenario(db: Connection, adapter: str, ordered: dict[str, Any], by: str) -> None:
    """Order a bad day of an adapter's simulator."""
    await execute(db, UPSERT_SCENARIO, adapter, ordered, by)


class ScenarioRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered of a simulator, and when."""

    ordered: dict[str, Any]
    set_at: datetime


SELECT_SCENARIO = "SELECT ordered, set_at FROM simulator_scenarios WHERE adapter = $1 LIMIT 1"


async def scenario(db: Db, adapter: str) -> ScenarioRow | None:
    """Read what was ordered of an adapter's simulator."""
    return await one(db, ScenarioRow, SELECT_SCENARIO, adapter)


SELECT_PLAYED = """
    SELECT version, manifest, digest FROM adapter_versions
     WHERE adapter = $1 AND state IN ('draft', 'testing', 'approved', 'trial', 'live')
     ORDER BY string_to_array(version, '.')::int[] DESC LIMIT 1
"""


class PlayedRow(msgspec.Struct, frozen=True, kw_only=True):
    """The version that an adapter's simulator plays."""

    version: str
    manifest: bytes
    digest: bytes


async def played(db: Db, adapter: str) -> PlayedRow | None:
    """Read the newest version that is not past."""
    return await one(db, PlayedRow, SELECT_PLAYED, adapter)


DELETE_OLD_FINDINGS = "DELETE FROM drift_findings WHERE last_at < now() - make_interval(days => $1)"


async def forget_findings(db: Db, days: int) -> int:
    """Delete what was last found longer ago."""
    return await execute(db, DELETE_OLD_FINDINGS, days)
