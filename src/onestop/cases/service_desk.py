"""The desk: a department's people see their own work and answer it; an answer is an outcome like any other."""

import msgspec

from onestop.audit import service as audit
from onestop.cases import present, sealing, store, store_desk
from onestop.cases.errors import NotTheDesk, TaskAnswered, TaskUnknown
from onestop.cases.models import Task
from onestop.cases.office import Office
from onestop.cases.repetition import once
from onestop.cases.service_outcomes import Heard, settle
from onestop.cases.service_submit import inputs_of
from onestop.cases.views import AnswerTask, TaskList, TaskView
from onestop.cases.views import TaskAnswered as TaskAnsweredView
from onestop.db import Connection
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.texts import Language, text

_MOST = 200
_json = msgspec.json.Encoder()


def desk_of(session: Session) -> str:
    """Return the department whose desk a session sits at.

    Raises:
        NotTheDesk: the session belongs to no department.
    """
    if session.role not in ("clerk", "department") or not session.department:
        raise NotTheDesk(role=session.role)
    return session.department


async def tasks(office: Office, session: Session, lang: Language, *, after: str | None, limit: int) -> TaskList:
    """Return the open tasks of the session's own desk, oldest first.

    Raises:
        NotTheDesk: the session belongs to no department.
    """
    size = max(1, min(limit, _MOST))
    rows = await store_desk.open_tasks(office.pool, office.region, desk_of(session), after, size + 1)
    views = [_view(office, row, lang) for row in rows[:size]]
    more = len(rows) > size
    return TaskList(data=views, next_cursor=views[-1].id if more else None, has_more=more)


def _view(office: Office, task: Task, lang: Language) -> TaskView:
    ready = office.catalogue.get(task.item)
    return TaskView(
        id=task.id,
        case_number=task.number,
        item=present.item_name(ready, lang),
        step=task.step,
        step_name=present.step_name(ready, task.step, lang),
        department=present.department_name(office, task.department, lang),
        kind=task.kind,
        says=text(f"task.reason.{task.reason}", lang),
        state=task.state,
        due_on=task.due_on,
        opened_at=task.opened_at,
    )


async def task(office: Office, session: Session, context: Context, task_id: str) -> TaskView:
    """Return one task of the session's own desk with the values its step needs, and note that they were read.

    Raises:
        NotTheDesk: the session belongs to no department.
        TaskUnknown: the desk has no task of that id.
    """
    async with office.pool.acquire() as db, db.transaction():
        found = await store_desk.task(db, office.region, task_id, desk_of(session))
        if found is None:
            raise TaskUnknown(task_id)
        case = await store.case_for_update(db, office.region, found.case_id)
        if case is None:
            raise TaskUnknown(task_id)
        form = sealing.open_form(office.keys, case)
        await audit.record(
            db,
            office.region,
            actor=session.actor_id,
            action="task.read",
            subject=case.subject,
            object=case.id,
            trace_id=context.trace_id,
            detail={"task": task_id},
        )
    ready = office.catalogue.get(case.item)
    payload = {}
    for code in sorted(inputs_of(office, case.item, found.step)):
        answer = form.answers.get(code)
        field = ready.by_code[code]
        if answer is not None:
            value = mask_number(answer.value) if field.type == "id_number" else answer.value
            payload[field.label.say(context.lang)] = value
    return msgspec.structs.replace(_view(office, found, context.lang), payload=payload)


async def answer(
    office: Office, session: Session, context: Context, keyed: Keyed, task_id: str, given: AnswerTask
) -> Reply:
    """Answer a task of the session's own desk; its step ends so, and the steps that wait for it go on.

    Raises:
        NotTheDesk: the session belongs to no department.
        TaskUnknown: the desk has no task of that id.
        TaskAnswered: somebody answered it before, or the department was heard after all.
        KeyReused: the key came before with another body.
    """
    desk = desk_of(session)
    case_id = ""

    async def write(db: Connection) -> Reply:
        nonlocal case_id
        found = await store_desk.task(db, office.region, task_id, desk)
        if found is None:
            raise TaskUnknown(task_id)
        case = await store.case_for_update(db, office.region, found.case_id)
        if case is None or not await store_desk.answer_task(db, office.region, task_id, session.actor_id):
            raise TaskAnswered(task=task_id)
        case_id = case.id
        steps = await store.steps(db, office.region, case.id)
        step = next(one for one in steps if one.code == found.step)
        heard = Heard(
            outcome=given.outcome,
            by_whom="clerk",
            reference=given.reference,
            reason=given.text or None,
            fields=dict(given.result),
        )
        step, case = await settle(office, db, case, steps, step, heard)
        await audit.record(
            db,
            office.region,
            actor=session.actor_id,
            action="task.answered",
            subject=case.subject,
            object=case.id,
            trace_id=context.trace_id,
            detail={"task": task_id, "outcome": given.outcome},
        )
        view = TaskAnsweredView(task=task_id, step_state=step.state, case_state=case.state)
        return Reply(status=200, body=_json.encode(view), made_id=task_id)

    reply = await once(office, keyed, write)
    if not reply.replayed and case_id:
        await office.gateway.changed(office.pool, case_id)
    return reply
