"""Reading cases: one, all of one's own, as long work, as a timeline, as events."""

from collections.abc import Awaitable, Callable

from onestop import clock
from onestop.cases import present, sealing, store, store_doubts
from onestop.cases.errors import CaseUnknown, OperationUnknown
from onestop.cases.models import Case, CaseBrief
from onestop.cases.office import Office
from onestop.cases.views import Bar, CaseLine, CaseList, CaseView, Operation, Timeline
from onestop.certificates import service as certificates
from onestop.certificates.models import CertificateView
from onestop.db import Db
from onestop.identity.models import Session
from onestop.ids import is_id
from onestop.mandates.models import Deed
from onestop.texts import Language, text

_MOST = 200


async def own_case(office: Office, session: Session, case_id: str) -> Case:
    """Return one of the subject's own cases as it is kept.

    Raises:
        CaseUnknown: not one of this subject's cases, or none that who acts for them sees.
    """
    case = await store.own_case(office.pool, office.region, case_id, session.subject_id)
    if case is None or not await office.sees(session, case.item):
        raise CaseUnknown(case_id)
    return case


async def permit(office: Office, session: Session, deed: Deed, case_id: str) -> None:
    """Let the session's act on one of the subject's cases pass, before anything is held.

    Raises:
        CaseUnknown: who acts for the subject does not see that case.
        Forbidden: the mandate does not cover it, or the person is too young; the leaf says which.
    """
    item = None if session.mandate_id is None else (await own_case(office, session, case_id)).item
    await office.permit(session, deed, item)


async def show(office: Office, case: Case, lang: Language) -> CaseView:
    """Return a case that `own_case` gave as its applicant sees it."""
    return await view_of(office.pool, office, case, lang)


async def view_of(db: Db, office: Office, case: Case, lang: Language) -> CaseView:
    """Return a case with steps, results and timeline."""
    ready = office.catalogue.get(case.item)
    steps = await store.steps(db, office.region, case.id)
    events = await store.events(db, office.region, case.id)
    form = sealing.open_form(office.keys, case)
    results = {step.code: sealing.open_result(office.keys, case.id, step) for step in steps if step.result}
    disputed = await store_doubts.open_of_case(db, office.region, case.id)
    return present.case_view(office, ready, case, form, steps, results, events, lang, disputed=disputed)


async def own_cases(office: Office, session: Session, lang: Language, *, before: str | None, limit: int) -> CaseList:
    """Return the subject's cases, newest first; `before` is the cursor of the page before."""
    size = max(1, min(limit, _MOST))
    items = None if office.mandates is None else await office.mandates.items_seen(session)
    rows = await store.own_cases(office.pool, office.region, session.subject_id, before, size + 1, items)
    lines = [_line(office, row, lang) for row in rows[:size]]
    more = len(rows) > size
    return CaseList(data=lines, next_cursor=lines[-1].id if more else None, has_more=more)


def _line(office: Office, row: CaseBrief, lang: Language) -> CaseLine:
    ready = office.catalogue.get(row.item)
    key = f"case.outcome.{row.outcome}" if row.state == "decided" else f"case.state.{row.state}"
    return CaseLine(
        id=row.id,
        number=row.number,
        item=present.item_name(ready, lang),
        state=row.state,
        outcome=row.outcome,
        version=row.version,
        says=text(f"{key}.name", lang),
        opened_at=row.opened_at,
        submitted_at=row.submitted_at,
        due_on=row.due_on,
        links={"self": f"/v1/cases/{row.id}"},
    )


async def operation(office: Office, session: Session, operation_id: str, lang: Language) -> Operation:
    """Return the long work of one of the subject's own submissions.

    Raises:
        OperationUnknown: none of that id, or its case is still a draft.
    """
    case_id = f"case_{operation_id[3:]}"
    if not is_id("op", operation_id):
        raise OperationUnknown(operation_id[:64])
    case = await store.own_case(office.pool, office.region, case_id, session.subject_id)
    if case is None or case.state == "draft" or not await office.sees(session, case.item):
        raise OperationUnknown(operation_id)
    steps = await store.steps(office.pool, office.region, case_id)
    return present.operation_view(office, office.catalogue.get(case.item), case, steps, lang)


async def certificate(office: Office, session: Session, case_id: str) -> CertificateView:
    """Return the completion certificate of one of the subject's own cases.

    Raises:
        CertificateUnknown: the case is not decided, or not the subject's.
        CaseUnknown: who acts for the subject does not see that case.
    """
    if session.mandate_id is not None:
        await own_case(office, session, case_id)
    return await certificates.show(office.pool, office.issuer, office.basis, office.region, case_id, session.subject_id)


async def timeline(office: Office, case: Case, lang: Language) -> Timeline:
    """Return what the timeline picture draws of a case that `own_case` gave."""
    ready = office.catalogue.get(case.item)
    steps = await store.steps(office.pool, office.region, case.id)
    return Timeline(
        title=ready.spec.name.say(lang),
        opened_at=case.submitted_at or case.opened_at,
        now=case.decided_at or clock.now(),
        due_on=case.due_on,
        bars=[
            Bar(
                code=step.code,
                name=present.step_name(ready, step.code, lang),
                department=office.directory.name(step.department, lang),
                state=step.state,
                state_name=text(f"step.state.{step.state}.name", lang),
                start=step.started_at,
                end=step.settled_at,
                due_on=step.due_on,
            )
            for step in steps
        ],
    )


def owns_case(office: Office) -> Callable[[str, str], Awaitable[bool]]:
    """Return what tells whether a case is a subject's own."""

    async def owns(subject: str, case_id: str) -> bool:
        return await store.own_case(office.pool, office.region, case_id, subject) is not None

    return owns
