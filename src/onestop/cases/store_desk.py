"""SQL of the desk: work that a person does."""

from collections.abc import Sequence

from onestop.cases.models import NewTask, Task
from onestop.db import Connection, Db, columns, execute, many, one

# One open task a step: what comes to the desk twice is answered once.
INSERT_TASKS = """
    INSERT INTO desk_tasks (region, case_id, id, step, round, department, kind, reason, due_on)
    SELECT $1, $2, id, step, round, department, kind, reason, due_on
      FROM unnest($3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::date[])
           AS task (id, step, round, department, kind, reason, due_on)
        ON CONFLICT DO NOTHING
"""


async def insert_tasks(db: Connection, region: str, case_id: str, tasks: Sequence[NewTask]) -> None:
    """Put work on desks; nothing where the step has an open task already."""
    if tasks:
        await execute(db, INSERT_TASKS, region, case_id, *columns([task_row(task) for task in tasks]))


def task_row(task: NewTask) -> tuple[object, ...]:
    """Return a task in the order of the statements that take tasks by `unnest`."""
    return (task.id, task.step, task.round, task.department, task.kind, task.reason, task.due_on)


# A desk sees its own department's work only.
SELECT_TASKS = """
    SELECT t.id, t.case_id, c.number, c.item, t.step, t.department, t.kind, t.reason, t.state, t.due_on, t.opened_at,
           e.key AS effect_key, e.operation AS effect_operation, e.attempt AS effect_attempt,
           e.sent_at AS effect_sent_at, e.reference AS effect_reference, e.problem ->> 'code' AS effect_problem
      FROM desk_tasks t JOIN cases c ON c.region = t.region AND c.id = t.case_id
      LEFT JOIN case_steps s ON s.region = t.region AND s.case_id = t.case_id AND s.code = t.step
      LEFT JOIN effects e ON e.region = s.region AND e.id = s.effect_id AND t.kind = 'find_out'
     WHERE t.region = $1 AND t.department = $2 AND t.state = 'open' AND ($3::text IS NULL OR t.id > $3)
     ORDER BY t.id
     LIMIT $4
"""


async def open_tasks(db: Db, region: str, department: str, after: str | None, limit: int) -> list[Task]:
    """Return a desk's open tasks, oldest first, after the task `after`."""
    return await many(db, Task, SELECT_TASKS, region, department, after, limit)


SELECT_TASK = """
    SELECT t.id, t.case_id, c.number, c.item, t.step, t.department, t.kind, t.reason, t.state, t.due_on, t.opened_at,
           e.key AS effect_key, e.operation AS effect_operation, e.attempt AS effect_attempt,
           e.sent_at AS effect_sent_at, e.reference AS effect_reference, e.problem ->> 'code' AS effect_problem
      FROM desk_tasks t JOIN cases c ON c.region = t.region AND c.id = t.case_id
      LEFT JOIN case_steps s ON s.region = t.region AND s.case_id = t.case_id AND s.code = t.step
      LEFT JOIN effects e ON e.region = s.region AND e.id = s.effect_id AND t.kind = 'find_out'
     WHERE t.region = $1 AND t.id = $2 AND t.department = $3
"""


async def task(db: Db, region: str, task_id: str, department: str) -> Task | None:
    """Read one task of a desk."""
    return await one(db, Task, SELECT_TASK, region, task_id, department)


UPDATE_TASK_ANSWERED = """
    UPDATE desk_tasks
       SET state = 'answered', answered_at = now(), answered_by = $3
     WHERE region = $1 AND id = $2 AND state = 'open'
"""


async def answer_task(db: Connection, region: str, task_id: str, by: str) -> bool:
    """Close a task; False where it was closed before."""
    return await execute(db, UPDATE_TASK_ANSWERED, region, task_id, by) == 1


# The department was heard after all, or the case was withdrawn: nobody needs to find out any more.
UPDATE_TASKS_DROPPED = """
    UPDATE desk_tasks
       SET state = 'dropped', answered_at = now()
     WHERE region = $1 AND case_id = $2 AND step = ANY($3::text[]) AND state = 'open'
"""


async def drop_tasks(db: Connection, region: str, case_id: str, steps: Sequence[str]) -> None:
    """Take the open tasks of these steps off their desks."""
    if steps:
        await execute(db, UPDATE_TASKS_DROPPED, region, case_id, list(steps))
