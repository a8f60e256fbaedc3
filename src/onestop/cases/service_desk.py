"""The desk: a department's people see their own work and answer it; an answer is an outcome like any other."""

import msgspec

from onestop import clock
from onestop.audit import service as audit
from onestop.audit.models import Use
from onestop.cases import present, sealing, service_materials, store, store_desk
from onestop.cases.errors import NothingToSend, NotTheDesk, TaskAnswered, TaskUnknown
from onestop.cases.models import Step, Task
from onestop.cases.office import Office
from onestop.cases.repetition import once
from onestop.cases.rules import StepOutcome
from onestop.cases.service_outcomes import Heard, settle
from onestop.cases.service_submit import inputs_of
from onestop.cases.views import AnswerTask, FindOut, TaskList, TaskView
from onestop.cases.views import TaskAnswered as TaskAnsweredView
from onestop.db import Connection
from onestop.gateway import watch
from onestop.http.idempotency import Keyed, Reply
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.rules import mask_number
from onestop.items.ready import ReadyItem
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
        officer=_officer(office, task.department, lang),
        overdue=task.state == "open" and task.due_on < clock.today(),
        find_out=_find_out(task, lang),
    )


def _officer(office: Office, department: str, lang: Language) -> str:
    known = office.directory.departments.get(department)
    return "" if known is None else known.officer_en if lang == "en" else known.officer_zh


def _find_out(task: Task, lang: Language) -> FindOut | None:
    """Return what was sent to the department under which key, and what went wrong last; None where nothing was."""
    if task.effect_key is None:
        return None
    return FindOut(
        key=task.effect_key,
        operation=task.effect_operation or "",
        attempts=task.effect_attempt or 0,
        sent_at=task.effect_sent_at,
        reference=task.effect_reference,
        problem=task.effect_problem,
        says=watch.problem_says(task.effect_problem, lang),
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
        ready = office.catalogue.get(case.item)
        shown = sorted(inputs_of(office, case.item, found.step))
        await audit.record(
            db,
            office.region,
            actor=session.actor_id,
            action="task.read",
            subject=case.subject,
            object=case.id,
            trace_id=context.trace_id,
            detail={"task": task_id},
            uses=[_shown_to(ready, found, [code for code in shown if code in form.answers])],
        )
    payload = {}
    for code in shown:
        answer = form.answers.get(code)
        field = ready.by_code[code]
        if answer is not None:
            value = mask_number(answer.value) if field.type == "id_number" else answer.value
            if field.type == "licence":
                value = service_materials.told(office, value, context.lang)
            payload[field.label.say(context.lang)] = value
    return msgspec.structs.replace(_view(office, found, context.lang), payload=payload)


def _shown_to(ready: ReadyItem, task: Task, fields: list[str]) -> str:
    """Return what a person at a desk is shown, as an entry of the ledger of data uses."""
    return audit.use_entry(
        Use(
            adapter=task.department,
            basis=text("audit.desk_basis", "zh"),
            fields=tuple(fields),
            operation="task.read",
            outcome="shown",
            purpose=present.step_name(ready, task.step, "zh"),
            version="",
        )
    )


async def answer(
    office: Office, session: Session, context: Context, keyed: Keyed, task_id: str, given: AnswerTask
) -> Reply:
    """Answer a task of the session's own desk; its step ends so, and the steps that wait for it go on.

    Raises:
        NotTheDesk: the session belongs to no department.
        TaskUnknown: the desk has no task of that id.
        TaskAnswered: somebody answered it before, or the department was heard after all.
        NothingToSend: it is to be sent again, and nothing was ever meant for a system.
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
        outcome = await _into_the_ledger(office, db, step, given)
        heard = Heard(
            outcome=outcome,
            by_whom="clerk",
            actor=session.actor_id,
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


async def _into_the_ledger(office: Office, db: Connection, step: Step, given: AnswerTask) -> StepOutcome:
    """Write what the person said into the ledger of effects, where the step has one; return what the step hears."""
    effect = await watch.of_step(db, office.region, step.effect_id) if step.effect_id else None
    if given.outcome != "send_again":
        if effect is not None:
            await watch.close_by_person(db, office.region, effect.id, given.outcome, given.reference)
        return given.outcome
    if effect is None:
        raise NothingToSend(step=step.code)
    await watch.put_back(db, office.gateway, effect)
    return "sent_again"
