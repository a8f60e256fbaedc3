"""The checker finds what the kill test is there to find: every violation, planted one at a time."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from .checker import Application, Bundle, Case, Database, Entry, Row, Step, check

BUNDLE = Bundle(
    steps={"certificate": "weijian", "card": "renshe", "guidance": "desk"},
    results={"certificate": (("number", "certificateNo"),), "card": (("card_no", "card_no"),)},
)
ONCE = (("submitted", None), ("completed", "certificate"), ("completed", "card"))


class Accounts:
    """Three accounts of a run that went well, for two people; a test spoils one of them."""

    def __init__(self) -> None:
        self.applications = [Application(mark=m, subject=f"sub_{m}", acknowledged=True, told=_told(m)) for m in "ab"]
        self.cases = [Case(id=f"case_{m}", subject=f"sub_{m}", mark=m, state="in_progress", events=ONCE) for m in "ab"]
        self.steps = [step for m in "ab" for step in _steps(m)]
        self.rows = [row for m in "ab" for row in _rows(m)]
        self.entries = [entry for m in "ab" for entry in _entries(m)]
        self.open_tasks = frozenset((f"case_{m}", "guidance") for m in "ab")
        self.orphans: frozenset[tuple[str, str]] = frozenset()

    def faults(self) -> set[tuple[str, str]]:
        db = Database(
            cases=self.cases, steps=self.steps, rows=self.rows, open_tasks=self.open_tasks, orphans=self.orphans
        )
        return {(fault.kind, fault.about) for fault in check(self.applications, db, self.entries, BUNDLE)}

    def change(self, account: str, nth: int, **fields: Any) -> None:
        """Change one thing in one account; the second person's are left as they are."""
        things = getattr(self, account)
        things[nth] = msgspec.structs.replace(things[nth], **fields)


def _told(mark: str) -> frozenset[str]:
    return frozenset({f"case_{mark}"})


def _steps(m: str) -> list[Step]:
    case_id = f"case_{m}"
    return [
        Step(
            case_id=case_id,
            code="certificate",
            state="completed",
            adapter="weijian",
            effect_id=f"eff_{m}1",
            reference=f"Y{m}",
            result={"number": f"Y{m}"},
        ),
        Step(
            case_id=case_id,
            code="card",
            state="completed",
            adapter="renshe",
            effect_id=f"eff_{m}2",
            reference=f"RS{m}",
            result={"card_no": f"C{m}"},
        ),
        Step(case_id=case_id, code="guidance", state="at_desk", adapter="desk"),
    ]


def _rows(m: str) -> list[Row]:
    case_id = f"case_{m}"
    return [
        Row(id=f"eff_{m}1", case_id=case_id, step="certificate", adapter="weijian", key=f"{m}-1", state="done"),
        Row(
            id=f"eff_{m}2",
            case_id=case_id,
            step="card",
            adapter="renshe",
            key=f"{m}-2",
            state="done",
            answer="received",
        ),
    ]


def _entries(m: str) -> list[Entry]:
    return [
        Entry(
            department="weijian",
            operation="certificate",
            key=f"{m}-1",
            outcome="done",
            effect_id=f"Y{m}",
            facts={"certificateNo": f"Y{m}"},
        ),
        Entry(
            department="renshe",
            operation="card",
            key=f"{m}-2",
            outcome="done",
            effect_id=f"C{m}",
            facts={"card_no": f"C{m}", "receipt": f"RS{m}"},
        ),
        Entry(department="renshe", operation="callback", key=f"{m}-2", outcome="completed"),
    ]


def test_three_accounts_that_agree_have_no_fault():
    assert Accounts().faults() == set()


def test_a_run_in_which_nothing_happened_has_no_fault():
    assert check([], Database(cases=[], steps=[], rows=[]), [], BUNDLE) == []


# Each spoils the first person's part; what must be found is exactly what is named, and nothing of the second person's.
def _lose_case(run: Accounts) -> None:
    del run.cases[0]
    del run.steps[:3]
    del run.rows[:2]
    del run.entries[:3]


def _lose_submission(run: Accounts) -> None:
    run.change("cases", 0, state="draft", events=())
    del run.steps[:3]
    del run.rows[:2]
    del run.entries[:3]


def _double_case(run: Accounts) -> None:
    run.cases.append(Case(id="case_x", subject="sub_a", mark="a", state="draft"))


def _double_row(run: Accounts) -> None:
    run.rows.append(msgspec.structs.replace(run.rows[0], id="eff_x", key="a-1-again"))
    run.entries.append(msgspec.structs.replace(run.entries[0], key="a-1-again", effect_id="Yx"))


PLANTED: list[tuple[str, Callable[[Accounts], None], set[tuple[str, str]]]] = [
    ("a lost case", _lose_case, {("lost_case", "a")}),
    ("a lost submission", _lose_submission, {("lost_submission", "a")}),
    ("a case made twice", _double_case, {("doubled_case", "a")}),
    (
        "answers that name two cases",
        lambda run: run.change("applications", 0, told=frozenset({"case_a", "case_x"})),
        {("doubled_case", "a"), ("lost_case", "a")},
    ),
    (
        "an answer that names the other's case",
        lambda run: run.change("applications", 0, told=_told("b")),
        {("lost_case", "a")},
    ),
    (
        "a case nobody asked for",
        lambda run: run.cases.append(Case(id="case_x", subject="sub_a", mark=None, state="draft")),
        {("stray_case", "case_x")},
    ),
    (
        "a case under another's name",
        lambda run: run.change("cases", 0, subject="sub_b"),
        {("foreign_case", "a")},
    ),
    (
        "a client without an answer",
        lambda run: run.change("applications", 0, acknowledged=False),
        {("unanswered", "a")},
    ),
    ("a lost step", lambda run: run.steps.pop(2), {("wrong_steps", "case_a")}),
    (
        "an effect done twice under one key",
        lambda run: run.entries.append(run.entries[0]),
        {("doubled_effect", "weijian a-1")},
    ),
    ("an intention written twice", _double_row, {("doubled_effect", "case_a certificate")}),
    (
        "an effect without a row",
        lambda run: run.entries.append(msgspec.structs.replace(run.entries[0], key="x-1")),
        {("effect_without_row", "weijian x-1")},
    ),
    ("a row without an effect", lambda run: run.entries.pop(0), {("row_without_effect", "weijian a-1")}),
    (
        "an effect the other department made",
        lambda run: run.change("entries", 0, department="renshe"),
        {("row_without_effect", "weijian a-1"), ("effect_without_row", "renshe a-1")},
    ),
    (
        "an effect said to be refused",
        lambda run: run.change("rows", 0, state="refused"),
        {("denied_effect", "weijian a-1"), ("orphan_step", "case_a certificate")},
    ),
    (
        "an effect still unknown",
        lambda run: (run.change("rows", 0, state="unknown"), run.change("steps", 0, state="in_progress")),
        {("unresolved_effect", "weijian a-1"), ("unsettled_step", "case_a certificate")},
    ),
    (
        "an effect left to a person",
        lambda run: (run.change("rows", 0, state="desk"), run.change("steps", 0, state="at_desk")),
        {("unresolved_effect", "weijian a-1"), ("unsettled_step", "case_a certificate")},
    ),
    (
        "an answer that never came",
        lambda run: (run.change("rows", 1, answer="awaited"), run.change("steps", 1, state="in_progress")),
        {("unresolved_effect", "renshe a-2"), ("unsettled_step", "case_a card")},
    ),
    (
        "a step that missed its effect's end",
        lambda run: run.change("steps", 0, state="in_progress"),
        {("unsettled_step", "case_a certificate"), ("orphan_step", "case_a certificate")},
    ),
    (
        "a step whose effect is gone",
        lambda run: (run.rows.pop(0), run.entries.pop(0)),
        {("orphan_step", "case_a certificate")},
    ),
    (
        "a step that holds the other's effect",
        lambda run: run.change("steps", 0, effect_id="eff_b1"),
        {("orphan_step", "case_a certificate"), ("result_differs", "case_a certificate")},
    ),
    (
        "a step at a desk without a task",
        lambda run: setattr(run, "open_tasks", frozenset({("case_b", "guidance")})),
        {("orphan_step", "case_a guidance")},
    ),
    (
        "an orphan the product finds itself",
        lambda run: setattr(run, "orphans", frozenset({("case_a", "card")})),
        {("orphan_step", "case_a card")},
    ),
    (
        "an event told twice",
        lambda run: run.change("cases", 0, events=(*ONCE, ("completed", "card"))),
        {("doubled_event", "case_a")},
    ),
    (
        "another result than the department gave",
        lambda run: run.change("steps", 0, result={"number": "Yb"}),
        {("result_differs", "case_a certificate")},
    ),
    (
        "a result that is missing",
        lambda run: run.change("steps", 1, result={}),
        {("result_differs", "case_a card")},
    ),
    (
        "a reference of somebody else's",
        lambda run: run.change("steps", 1, reference="RSb"),
        {("result_differs", "case_a card")},
    ),
    (
        "a blind repetition the department refused",
        lambda run: run.entries.append(
            Entry(department="renshe", operation="card", key="a-2", outcome="duplicate")
        ),
        {("blind_resend", "renshe a-2")},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "found"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_what_is_planted_is_found_and_nothing_else(plant, found):
    run = Accounts()
    plant(run)
    assert run.faults() == found


def test_every_kind_of_fault_is_planted():
    from typing import get_args

    from .checker import FaultKind

    assert {kind for _, _, found in PLANTED for kind, _ in found} == set(get_args(FaultKind))
