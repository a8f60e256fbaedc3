"""SQL of who owns what is open, and until when: the invariant, and what is past its term."""

from collections.abc import Sequence
from datetime import date

from onestop.cases.models import Orphan
from onestop.db import Connection, Db, execute, many

# The silent-failure invariant: no open step without an owner and a next deadline. A step in progress is owned by an
# effect that somebody looks at again at a known time, one at the desk by an open task of a department with a due day,
# one in correction by the applicant until its due day, one that waits by a step that is open.
SELECT_ORPHANS = """
    SELECT s.case_id, s.code, s.state,
           CASE WHEN c.state IN ('draft', 'decided') OR (c.state = 'withdrawn' AND s.state <> 'in_progress')
                THEN 'its case is not open'
                WHEN s.state = 'in_progress' THEN 'no live effect'
                WHEN s.state = 'at_desk' THEN 'no open task'
                WHEN s.state = 'waiting' THEN 'nothing it waits for is open'
                ELSE 'case is not in correction' END AS why
      FROM case_steps s JOIN cases c ON c.region = s.region AND c.id = s.case_id
     WHERE s.region = $1 AND s.state IN ('waiting', 'in_progress', 'at_desk', 'correcting')
       AND ((s.state = 'in_progress' AND NOT EXISTS (
                SELECT 1 FROM effects e
                 WHERE e.region = s.region AND e.id = s.effect_id AND e.next_at IS NOT NULL
                   AND (e.state IN ('intended', 'sent', 'unknown') OR e.answer = 'awaited')))
         OR (s.state = 'at_desk' AND NOT EXISTS (
                SELECT 1 FROM desk_tasks t
                 WHERE t.region = s.region AND t.case_id = s.case_id AND t.step = s.code AND t.state = 'open'
                   AND t.department <> ''))
         OR (s.state = 'waiting' AND NOT EXISTS (
                SELECT 1 FROM case_steps n
                 WHERE n.region = s.region AND n.case_id = s.case_id AND n.code = ANY(s.needs)
                   AND n.state IN ('waiting', 'in_progress', 'at_desk', 'correcting')))
         OR (s.state = 'correcting' AND c.state <> 'correcting')
         OR c.state IN ('draft', 'decided')
         OR (s.state IN ('waiting', 'at_desk', 'correcting') AND c.state = 'withdrawn'))
     ORDER BY s.case_id, s.position
     LIMIT 1000
"""


async def orphans(db: Db, region: str) -> list[Orphan]:
    """Return open steps that nobody owns; there must be none. A step's due day cannot be absent: the column is set."""
    return await many(db, Orphan, SELECT_ORPHANS, region)


# Past its day: a department's term, or the applicant's time for a correction.
SELECT_PAST_TERM = """
    SELECT s.case_id, s.code, s.state, CASE s.state WHEN 'correcting' THEN 'step.correction_over'
                                                   ELSE 'step.term_over' END AS why
      FROM case_steps s JOIN cases c ON c.region = s.region AND c.id = s.case_id
     WHERE s.region = $1 AND s.due_on < $2 AND s.state IN ('in_progress', 'correcting')
       AND c.state IN ('submitted', 'in_progress', 'correcting')
     ORDER BY s.due_on
     LIMIT 200
"""


async def past_term(db: Db, region: str, today: date) -> list[Orphan]:
    """Return steps whose day is over with nobody at a desk asking why, longest overdue first; at most 200."""
    return await many(db, Orphan, SELECT_PAST_TERM, region, today)


ESCALATE_TASKS = """
    UPDATE desk_tasks
       SET escalated_at = now()
     WHERE region = $1 AND state = 'open' AND due_on < $2 AND escalated_at IS NULL
    RETURNING id
"""


async def escalate_tasks(db: Connection, region: str, today: date) -> Sequence[str]:
    """Mark open tasks whose day is over, each once, and return their ids."""
    return [row["id"] for row in await db.fetch(ESCALATE_TASKS, region, today)]


COUNT_OVERDUE_TASKS = """
    SELECT count(*) FROM desk_tasks WHERE region = $1 AND state = 'open' AND escalated_at IS NOT NULL
"""


async def count_overdue_tasks(db: Db, region: str) -> int:
    """Count open tasks whose day is over."""
    return int(await db.fetchval(COUNT_OVERDUE_TASKS, region))


GIVE_TO_DESK = """
    UPDATE case_steps SET state = 'at_desk', due_on = $4 WHERE region = $1 AND case_id = $2 AND code = $3
"""


async def give_to_desk(db: Connection, region: str, case_id: str, code: str, due_on: date) -> None:
    """Put a step at its department's desk whatever it was before; the case's row is held."""
    await execute(db, GIVE_TO_DESK, region, case_id, code, due_on)
