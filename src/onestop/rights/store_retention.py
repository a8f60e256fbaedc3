"""SQL of the retention round: what is due by its class, so many rows at a time, and what was done."""

from onestop.db import Connection, execute, value

DELETE_DRAFTS = """
    WITH gone AS (DELETE FROM cases WHERE region = $1 AND id IN (
                    SELECT id FROM cases WHERE region = $1 AND state = 'draft'
                       AND coalesce(changed_at, opened_at) < now() - make_interval(days => $2)
                     LIMIT $3 FOR UPDATE SKIP LOCKED)
                  RETURNING id),
         events AS (DELETE FROM case_events WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         replies AS (DELETE FROM idempotency_keys k USING gone WHERE k.region = $1 AND k.made_id = gone.id)
    SELECT count(*) FROM gone
"""


async def delete_drafts(db: Connection, region: str, days: int, most: int) -> int:
    """Delete drafts that were last written so many days ago, at most `most`; return how many."""
    return int(await value(db, DELETE_DRAFTS, region, days, most))


DELETE_CASES = """
    WITH gone AS (DELETE FROM cases WHERE region = $1 AND id IN (
                    SELECT id FROM cases WHERE region = $1 AND state IN ('decided', 'withdrawn')
                       AND coalesce(decided_at, submitted_at, opened_at) < now() - make_interval(days => $2)
                     LIMIT $3 FOR UPDATE SKIP LOCKED)
                  RETURNING id),
         steps AS (DELETE FROM case_steps WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         events AS (DELETE FROM case_events WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         tasks AS (DELETE FROM desk_tasks WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         sent AS (DELETE FROM effects WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         papers AS (DELETE FROM certificates WHERE region = $1 AND case_id IN (SELECT id FROM gone)),
         replies AS (DELETE FROM idempotency_keys k USING gone WHERE k.region = $1 AND k.made_id = gone.id)
    SELECT count(*) FROM gone
"""


async def delete_cases(db: Connection, region: str, days: int, most: int) -> int:
    """Delete cases that ended so many days ago with all that is theirs, at most `most`; return how many."""
    return int(await value(db, DELETE_CASES, region, days, most))


DELETE_SESSIONS = """
    WITH gone AS (DELETE FROM sessions WHERE region = $1 AND id IN (
                    SELECT id FROM sessions WHERE region = $1
                       AND expires_at < now() - make_interval(days => $2) LIMIT $3 FOR UPDATE SKIP LOCKED)
                  RETURNING id)
    SELECT count(*) FROM gone
"""


async def delete_sessions(db: Connection, region: str, days: int, most: int) -> int:
    """Delete sessions whose time was over so many days ago, at most `most`; return how many."""
    return int(await value(db, DELETE_SESSIONS, region, days, most))


DELETE_CONSENTS = """
    WITH gone AS (DELETE FROM consents WHERE region = $1 AND id IN (
                    SELECT id FROM consents WHERE region = $1
                       AND coalesce(ended_at, expires_at) < now() - make_interval(days => $2)
                     LIMIT $3 FOR UPDATE SKIP LOCKED)
                  RETURNING id)
    SELECT count(*) FROM gone
"""


async def delete_consents(db: Connection, region: str, days: int, most: int) -> int:
    """Delete consents that ended so many days ago, at most `most`; return how many."""
    return int(await value(db, DELETE_CONSENTS, region, days, most))


DELETE_EXPORTS = """
    WITH gone AS (DELETE FROM exports WHERE region = $1 AND id IN (
                    SELECT id FROM exports WHERE region = $1
                       AND asked_at < now() - make_interval(days => $2) LIMIT $3 FOR UPDATE SKIP LOCKED)
                  RETURNING id)
    SELECT count(*) FROM gone
"""


async def delete_exports(db: Connection, region: str, days: int, most: int) -> int:
    """Delete exports asked for so many days ago, at most `most`; return how many."""
    return int(await value(db, DELETE_EXPORTS, region, days, most))


INSERT_RUN = "INSERT INTO retention_runs (region, id, class, days, deleted) VALUES ($1, $2, $3, $4, $5)"


async def insert_run(db: Connection, region: str, id: str, record_class: str, days: int, deleted: int) -> None:
    """Write what a round deleted of a class."""
    await execute(db, INSERT_RUN, region, id, record_class, days, deleted)
