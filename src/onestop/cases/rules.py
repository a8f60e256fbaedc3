"""The state machine of a case and its steps: pure decisions."""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from onestop.cases.models import CaseOutcome, CaseState, Step, StepState

StepOutcome = Literal["completed", "pending", "declined", "correction", "extended", "transferred", "desk", "sent_again"]

OPEN: Final[frozenset[StepState]] = frozenset(("waiting", "in_progress", "correcting", "at_desk"))
ENDED: Final[frozenset[StepState]] = frozenset(("completed", "declined", "not_started", "withdrawn"))
CLOSED: Final[frozenset[CaseState]] = frozenset(("decided", "withdrawn"))

CORRECTION_DAYS: Final = 15  # working days the applicant has for a correction
EXTENSION_DAYS: Final = 10  # working days by which a department may extend its term once
LEAST_LEVEL: Final = 1  # real-name level without which there is no applicant: a network number says nobody's name
DESK_DAYS: Final = 5  # working days a person at the desk has to find out what a system did not say

# Where a step may go from each of its states; what is not listed never happens.
MOVES: Final[Mapping[StepState, frozenset[StepState]]] = {
    "waiting": frozenset(("in_progress", "at_desk", "not_started", "withdrawn")),
    "in_progress": frozenset(("in_progress", "completed", "declined", "correcting", "at_desk", "withdrawn")),
    "correcting": frozenset(("in_progress", "at_desk", "completed", "declined", "withdrawn")),
    "at_desk": frozenset(("at_desk", "in_progress", "completed", "declined", "withdrawn")),
    "completed": frozenset(),
    "declined": frozenset(),
    "not_started": frozenset(),
    "withdrawn": frozenset(),
}


def next_state(step: Step, outcome: StepOutcome, *, closed: bool) -> StepState | None:
    """Return where an outcome takes a step, or None where it changes nothing; `closed` tells of a withdrawn case.

    Rule: R-033, a second correction notice does not reach the applicant: a person at the desk answers it.
    Rule: R-034, an extension keeps the step with the department and moves its term once.
    Rule: R-035, what was handed to another region, or has no known outcome, is a named person's work.
    Rule: R-040, nobody is asked to correct anything for a case that was withdrawn.
    """
    if step.state in ENDED or step.state == "waiting" or step.heard == outcome:
        return None
    target: StepState
    if outcome == "sent_again":
        return "in_progress" if step.state == "at_desk" and not closed else None
    if step.state == "at_desk" and outcome in ("pending", "extended"):
        return None  # a person is finding out already: that it was received is not yet an answer
    if outcome in ("completed", "declined"):
        target = outcome
    elif outcome == "correction":
        target = "withdrawn" if closed else "correcting" if step.round == 1 else "at_desk"
    elif outcome in ("pending", "extended"):
        target = "in_progress"
    else:
        target = "withdrawn" if closed else "at_desk"
    return target if target in MOVES[step.state] else None


class Moves:
    """What the steps that wait do now."""

    __slots__ = ("never", "start")

    def __init__(self, start: list[str], never: list[str]) -> None:
        self.start = start
        self.never = never


def moves(steps: Sequence[Step]) -> Moves:
    """Return which waiting steps start now and which never can, in the item's order.

    Rule: R-022, a step starts when every step it needs is completed; facts flow by data, not by the citizen.
    Rule: R-023, a step that needs one that ended without completion is not started, and nothing else is stopped.
    """
    state: dict[str, StepState] = {step.code: step.state for step in steps}
    start: list[str] = []
    never: list[str] = []
    for step in sorted(steps, key=lambda step: step.position):
        if step.state != "waiting":
            continue
        needed = [state[code] for code in step.needs]
        if any(one in ENDED and one != "completed" for one in needed):
            never.append(step.code)
            state[step.code] = "not_started"
        elif all(one == "completed" for one in needed):
            start.append(step.code)
    return Moves(start, never)


def case_state(states: Sequence[StepState]) -> CaseState:
    """Return the state of a submitted case whose steps stand so.

    Rule: R-024, the case is decided when, and only when, every step has ended.
    """
    if all(state in ENDED for state in states):
        return "decided"
    return "correcting" if "correcting" in states else "in_progress"


def outcome(states: Sequence[StepState]) -> CaseOutcome:
    """Return what a decided case came to.

    Rule: R-025, partial success stays partial: what was granted is issued, what failed is named.
    """
    done = sum(state == "completed" for state in states)
    if done == len(states):
        return "granted"
    return "partly" if done else "denied"


def after_withdrawal(state: StepState) -> StepState:
    """Return where a withdrawal takes a step.

    Rule: R-040, what has not begun stops; what is already with a department ends there and stays on record.
    """
    return "withdrawn" if state in ("waiting", "correcting", "at_desk") else state


def operation_status(state: CaseState, result: CaseOutcome | None, steps: Sequence[StepState]) -> str:
    """Return the public status of the long work a submission is."""
    if state == "decided":
        return {"granted": "succeeded", "partly": "partly", "denied": "failed"}[result or "denied"]
    if state == "withdrawn":
        return "cancelled"
    if state == "submitted":
        return "queued"
    if any(step == "in_progress" for step in steps):
        return "running"
    return "waiting"  # only people are to act: applicant or desk


def lamp(left: int) -> Literal["green", "yellow", "red"]:
    """Return the warning lamp of a term with `left` working days to go; negative is overdue."""
    if left < 0:
        return "red"
    return "yellow" if left <= 2 else "green"


# ---- numbers -------------------------------------------------------------------------------------------------------

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
# No 0 O 1 I L U: what is said aloud or copied by hand has no look-alikes.
CLAIM_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


def check_character(text: str) -> str:
    """Return the check character of `text`, digits and capitals (ISO 7064 MOD 37,36).

    Rule: R-026, an official number carries a check character, so that a mistyped one is noticed.
    """
    product = 36
    for character in text:
        product = (product + _VALUE[character]) % 36 or 36
        product = product * 2 % 37
    return _ALPHABET[(37 - product) % 36]


def is_number(text: str) -> bool:
    """Tell whether `text` is an official number with the right check character."""
    return len(text) == 23 and all(c in _VALUE for c in text) and check_character(text[:-1]) == text[-1]


def case_number(region: str, day: str, serial: int) -> str:
    """Return the official number: region (6), day (yyyymmdd), serial (8) and check character."""
    body = f"{region}{day}{serial % 100_000_000:08d}"
    return body + check_character(body)


def claim_code(random: bytes) -> str:
    """Return eight characters without look-alikes from at least eight random bytes."""
    value = int.from_bytes(random, "big")
    characters = []
    for _ in range(8):
        value, rest = divmod(value, 30)
        characters.append(CLAIM_ALPHABET[rest])
    return "".join(characters)


def spoken(code: str) -> str:
    """Return a claim code as it is shown: two groups of four."""
    return f"{code[:4]}-{code[4:]}"
