"""Nothing fails silently: what has no owner gets one, what is past its day goes to a person, and both are counted."""

import structlog

from onestop import clock
from onestop.audit import service as audit
from onestop.cases import rules, store, store_desk, store_owners
from onestop.cases.models import NewEvent, Orphan
from onestop.cases.office import Office
from onestop.cases.service_begin import AT_DESK, ONESTOP, desk_task
from onestop.cases.service_outcomes import Heard, settle

log = structlog.get_logger(__name__)


async def orphans(office: Office) -> list[Orphan]:
    """Return open steps without owner or deadline; there must be none, whatever was killed when."""
    return await store_owners.orphans(office.pool, office.region)


async def overdue_tasks(office: Office) -> int:
    """Count tasks at desks whose day is over."""
    return await store_owners.count_overdue_tasks(office.pool, office.region)


async def escalate(office: Office) -> int:
    """Give every orphan an owner, take what is past its day to a person; return how many steps and tasks that were."""
    done = 0
    for orphan in await store_owners.orphans(office.pool, office.region):
        log.error("orphan_step", case=orphan.case_id, step=orphan.code, state=orphan.state, why=orphan.why)
        done += await _own(office, orphan)
    for late in await store_owners.past_term(office.pool, office.region, clock.today()):
        done += await _past_term(office, late)
    return done + await _escalate_tasks(office)


async def _own(office: Office, orphan: Orphan) -> bool:
    """Put an orphan at its department's desk; in a case that is closed it ends instead."""
    async with office.pool.acquire() as db, db.transaction():
        case = await store.case_for_update(db, office.region, orphan.case_id)
        step = next((s for s in await store.steps(db, office.region, orphan.case_id) if s.code == orphan.code), None)
        if case is None or step is None or step.state != orphan.state:
            return False
        still = await store_owners.orphans(db, office.region)
        if not any(one.case_id == case.id and one.code == step.code for one in still):
            return False
        if case.state in rules.CLOSED or case.state == "draft":
            heard = Heard(outcome="desk", by_whom=ONESTOP)
            await settle(office, db, case, await store.steps(db, office.region, case.id), step, heard)
            return True
        due = office.due_on(clock.today(), rules.DESK_DAYS)
        await store_owners.give_to_desk(db, office.region, case.id, step.code, due)
        await store_desk.insert_tasks(db, office.region, case.id, [desk_task(step, "find_out", "no_owner", due)])
        event = NewEvent(type=AT_DESK, by_whom=ONESTOP, step=step.code, data={"due_on": due.isoformat()})
        await store.insert_events(db, office.region, case.id, case.trace_id, [event])
    await office.gateway.changed(office.pool, orphan.case_id)
    return True


async def _past_term(office: Office, late: Orphan) -> bool:
    """Have a person ask why; the department's own answer still counts whenever it comes."""
    async with office.pool.acquire() as db, db.transaction():
        case = await store.case_for_update(db, office.region, late.case_id)
        steps = await store.steps(db, office.region, late.case_id)
        step = next((one for one in steps if one.code == late.code), None)
        if case is None or step is None or step.state != late.state or step.due_on >= clock.today():
            return False
        heard = Heard(outcome="desk", by_whom=ONESTOP, problem=late.why)
        await settle(office, db, case, steps, step, heard)
    log.warning("term_over", case=late.case_id, step=late.code, why=late.why)
    await office.gateway.changed(office.pool, late.case_id)
    return True


async def _escalate_tasks(office: Office) -> int:
    async with office.pool.acquire() as db, db.transaction():
        found = await store_owners.escalate_tasks(db, office.region, clock.today())
        for task in found:
            await audit.record(db, office.region, actor=ONESTOP, action="task.overdue", object=task)
    return len(found)
