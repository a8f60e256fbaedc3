"""Rows into views: the words of the applicant's language, who vouches for what, numbers masked."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from msgspec import UNSET

from onestop import clock
from onestop.cases import rules, rules_form, service_materials
from onestop.cases.models import APPLICANT, Answer, Case, Event, Form, Result, Step
from onestop.cases.office import Office
from onestop.cases.views import (
    Action,
    AnswerView,
    CaseView,
    Clock,
    DepartmentName,
    EventView,
    Fields,
    ItemName,
    Operation,
    OperationStep,
    Parts,
    Progress,
    ShownValue,
    StepView,
    Term,
)
from onestop.directory.rules import is_provisional
from onestop.identity.rules import mask_number
from onestop.items.ready import ReadyItem
from onestop.texts import Language, text

_NUMBERS = frozenset(("id_number",))


_NOTHING: Final[Mapping[str, str]] = {}


def answers_view(
    office: Office,
    ready: ReadyItem,
    answers: Mapping[str, Answer],
    lang: Language,
    disputed: Mapping[str, str] = _NOTHING,
) -> dict[str, dict[str, AnswerView]]:
    """Return the form: every value with who said it, as of when, on what basis; or null and whether it is required."""
    tree: dict[str, dict[str, AnswerView]] = {}
    english = lang == "en"
    for field, _ in ready.fields:
        group, _, name = field.code.partition(".")
        answer = answers.get(field.code)
        label = field.label.en if english else field.label.zh
        if answer is None:
            needed = field.required and rules_form.is_asked(field, answers)
            view = AnswerView(None, label, editable=field.type != "record", required=needed)
        else:
            who = office.authority(answer.origin, lang)
            value = mask_number(answer.value) if field.type in _NUMBERS else answer.value
            if field.type == "licence":
                value = service_materials.shown(office, value, lang)
            editable = rules_form.is_editable(field, answer)
            in_doubt = disputed.get(field.code)
            view = AnswerView(value, label, who.source, answer.as_of, who.basis, editable, disputed=in_doubt)
        tree.setdefault(group, {})[name] = view
    return tree


def fields_view(ready: ReadyItem, answers: Mapping[str, Answer]) -> Fields:
    """Return how many values departments gave and how many required ones are open."""
    prefilled = sum(answer.origin != APPLICANT for answer in answers.values())
    return Fields(prefilled, len(rules_form.missing(ready, answers)))


def item_name(ready: ReadyItem, lang: Language) -> ItemName:
    """Return an item by code and name."""
    return ItemName(ready.spec.code, ready.spec.name.say(lang))


def department_name(office: Office, department: str, lang: Language) -> DepartmentName:
    """Return a department by id and name."""
    return DepartmentName(department, office.directory.name(department, lang))


def step_name(ready: ReadyItem, code: str, lang: Language) -> str:
    """Return a step's name; its code where the item no longer has it."""
    part = ready.components.get(code)
    return part.spec.name.say(lang) if part else code


def step_view(office: Office, ready: ReadyItem, step: Step, result: Result | None, lang: Language) -> StepView:
    """Return one step; what the department gave is shown as the item says, person numbers masked."""
    department = department_name(office, step.department, lang)
    # A department that has said nothing yet is not told to be at work: it may not even have heard of it.
    told = "step.unheard" if step.state == "in_progress" and step.heard is None else f"step.state.{step.state}"
    return StepView(
        code=step.code,
        name=step_name(ready, step.code, lang),
        department=department,
        state=step.state,
        says=_sentence(told, lang, department=department.name, due_on=step.due_on.isoformat()),
        due_on=step.due_on,
        promised=Term(step.promised_days),
        needs=list(step.needs),
        started_at=step.started_at,
        settled_at=step.settled_at,
        reference=step.reference,
        reason=result.reason if result else None,
        result=shown(ready, step.code, result.fields if result else {}, lang),
    )


def shown(ready: ReadyItem, code: str, fields: Mapping[str, Any], lang: Language) -> list[ShownValue]:
    """Return what the item shows of a step's result, in the item's order."""
    part = ready.components.get(code)
    if part is None:
        return []
    masked = part.spec.masked
    return [
        ShownValue(words.say(lang), mask_number(str(fields[name])) if name in masked else str(fields[name]))
        for name, words in part.spec.results.items()
        if fields.get(name) not in (None, "")
    ]


def event_view(office: Office, ready: ReadyItem, event: Event, steps: Mapping[str, Step], lang: Language) -> EventView:
    """Return one event with what it means, what the applicant does and by when."""
    step = steps.get(event.step) if event.step else None
    department = office.directory.name(step.department, lang) if step else ""
    name = step_name(ready, event.step, lang) if event.step else ""
    means, you_do, by_when = _event_words(event.type, lang, name, department, str(event.data.get("due_on", "")))
    return EventView(
        seq=event.seq,
        at=event.at,
        type=event.type,
        by=event.by_whom,
        mandate=event.mandate,
        step=event.step,
        means=means,
        you_do=you_do,
        by_when=by_when or None,
    )


@lru_cache(8192)
def _event_words(kind: str, lang: Language, step: str, department: str, due_on: str) -> tuple[str, str, str]:
    params = {"step": step, "department": department, "due_on": due_on}
    means, you_do, by_when = (text(f"event.{kind}.{part}", lang, **params) for part in ("means", "you_do", "by_when"))
    return means, you_do, by_when


def clock_view(office: Office, case: Case) -> Clock | None:
    """Return how much of the bundle's own term is left; None for a draft or a closed case.

    Rule: R-030, green, yellow with two working days or less left, red when overdue.
    """
    if case.due_on is None or case.state in rules.CLOSED:
        return None
    left = office.days_left(clock.today(), case.due_on)
    lamp = rules.lamp(left)
    return Clock(due_on=case.due_on, left=left, lamp=lamp, provisional=is_provisional(case.due_on, office.calendar))


def says(office: Office, case: Case, steps: Sequence[Step], lang: Language) -> str:
    """Return what the state means, what the applicant does and by when, as a few sentences."""
    acting = [step for step in steps if step.state in ("in_progress", "at_desk")]
    names = dict.fromkeys(office.directory.name(step.department, lang) for step in acting)
    key = f"case.state.{case.state}" if case.state != "decided" else f"case.outcome.{case.outcome}"
    done = sum(step.state == "completed" for step in steps)
    due = max((step.due_on for step in acting), default=case.due_on)
    waits = min((step.due_on for step in steps if step.state == "correcting"), default=None)
    return _sentence(
        key,
        lang,
        departments=("、" if lang == "zh" else ", ").join(names) or text("cases.nobody", lang),
        due_on=due.isoformat() if due else "",
        correct_by=waits.isoformat() if waits else "",
        done=done,
        total=len(steps),
    )


@lru_cache(8192)
def _sentence(key: str, lang: Language, **params: str | int) -> str:
    """Return meaning, duty and deadline as one text; the parts are apart in the catalogue so that none is forgotten."""
    parts = [text(f"{key}.{part}", lang, **params) for part in ("means", "you_do", "by_when")]
    return ("" if lang == "zh" else " ").join(part for part in parts if part)


def action_view(case: Case, ready: ReadyItem, form: Form, steps: Sequence[StepView], lang: Language) -> Action | None:
    """Return what waits for the applicant, or None."""
    here = f"/v1/cases/{case.id}"
    if case.state == "draft":
        if rules_form.missing(ready, form.answers):
            return Action(kind="fill", says=text("cases.action.fill", lang), link=f"{here}/answers")
        return Action(kind="submit", says=text("cases.action.submit", lang), link=f"{here}/submission")
    for step in steps:
        if step.state == "correcting" and case.state not in rules.CLOSED:
            return Action(
                kind="correct",
                says=text("cases.action.correct", lang, step=step.name, department=step.department.name),
                step=step.code,
                reason=step.reason,
                by=step.due_on,
                link=f"{here}/steps/{step.code}/resubmission",
            )
    return None


def case_view(
    office: Office,
    ready: ReadyItem,
    case: Case,
    form: Form,
    steps: Sequence[Step],
    results: Mapping[str, Result],
    events: Sequence[Event],
    lang: Language,
    parts: Parts | None = None,
    disputed: Mapping[str, str] = _NOTHING,
) -> CaseView:
    """Return a case as its applicant sees it."""
    step_views = [step_view(office, ready, step, results.get(step.code), lang) for step in steps]
    by_code = {step.code: step for step in steps}
    return CaseView(
        id=case.id,
        number=case.number,
        claim_code=rules.spoken(case.claim_code),
        item=item_name(ready, lang),
        state=case.state,
        outcome=case.outcome,
        version=case.version,
        says=says(office, case, steps, lang),
        action=action_view(case, ready, form, step_views, lang),
        opened_at=case.opened_at,
        submitted_at=case.submitted_at,
        decided_at=case.decided_at,
        clock=clock_view(office, case),
        fields=fields_view(ready, form.answers),
        answers=answers_view(office, ready, form.answers, lang, disputed),
        parts=UNSET if parts is None else parts,
        steps=step_views,
        timeline=[event_view(office, ready, event, by_code, lang) for event in events],
        operation=None if case.state == "draft" else operation_link(case.id),
        links=links(case),
    )


def links(case: Case) -> dict[str, str]:
    """Return where to go from a case."""
    here = f"/v1/cases/{case.id}"
    found = {"self": here}
    if case.state == "draft":
        found |= {"answers": f"{here}/answers", "submission": f"{here}/submission"}
    else:
        found |= {"events": f"{here}/events", "picture": f"{here}/timeline.svg"}
    if case.state not in rules.CLOSED:
        found["withdrawal"] = f"{here}/withdrawal"
    if case.state == "decided":
        found["certificate"] = f"{here}/certificate"
    return found


def operation_id(case_id: str) -> str:
    """Return the id of the long work a case's submission is."""
    return f"op_{case_id[5:]}"


def operation_link(case_id: str) -> str:
    """Return the address of that work."""
    return f"/v1/operations/{operation_id(case_id)}"


def operation_view(office: Office, ready: ReadyItem, case: Case, steps: Sequence[Step], lang: Language) -> Operation:
    """Return a submission as long work: who is waited for, until when."""
    status: Any = rules.operation_status(case.state, case.outcome, [step.state for step in steps])
    here = f"/v1/cases/{case.id}"
    return Operation(
        id=operation_id(case.id),
        status=status,
        progress=Progress(sum(step.state in rules.ENDED for step in steps), len(steps)),
        case=here,
        version=case.version,
        steps=[
            OperationStep(
                code=step.code,
                name=step_name(ready, step.code, lang),
                department=department_name(office, step.department, lang),
                status=step.state,
                until=step.due_on if step.state in rules.OPEN else None,
            )
            for step in steps
        ],
        links={"case": here, "events": f"{here}/events"},
    )
