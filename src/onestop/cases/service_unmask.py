"""A desk is shown the applicant's whole number: for a reason, for a case that is on the desk, and on record first."""

from onestop.cases import store, store_desk
from onestop.cases.errors import NotTheDesk, TaskAnswered, TaskUnknown
from onestop.cases.office import Office
from onestop.cases.service_desk import desk_of
from onestop.cases.views import Unmask, Unmasked
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.identity.service_unmasking import record
from onestop.texts import text


async def unmask(office: Office, session: Session, context: Context, task_id: str, wish: Unmask) -> Unmasked:
    """Return the number of the applicant of one of the desk's own open tasks, after that is on record.

    Rule: R-114, masked by default, shown for a reason; the applicant finds it among the uses of their data.

    Raises:
        NotTheDesk: the session belongs to no department, or to a machine.
        TaskUnknown: the desk has no task of that id.
        TaskAnswered: the task is done, and with it the need.
        TooManyUnmaskings: this person was shown twenty numbers within an hour.
    """
    desk = desk_of(session)
    if session.kind == "machine":
        raise NotTheDesk(role=session.role)
    async with office.pool.acquire() as db, db.transaction():
        found = await store_desk.task(db, office.region, task_id, desk)
        case = None if found is None else await store.case_for_update(db, office.region, found.case_id)
        if found is None or case is None:
            raise TaskUnknown(task_id)
        if found.state != "open":
            raise TaskAnswered(task=task_id)
        at, left = await record(
            db,
            office.region,
            session,
            subject=case.subject,
            object=case.id,
            reason=wish.reason,
            trace_id=context.trace_id,
        )
    person = await office.people(case.subject)  # only now: what was not committed is not shown
    return Unmasked(
        number_type=person.number_type,
        number=person.number,
        reason=wish.reason,
        says=text(f"identity.unmask.{wish.reason}", context.lang),
        recorded_at=at,
        left_this_hour=left,
    )
