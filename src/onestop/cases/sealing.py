"""What is sealed in a case's rows, in and out; a value moved to another row does not open."""

from typing import Any

import msgspec

from onestop.cases.models import Case, Form, Result, Step
from onestop.crypto import Keys

_out = msgspec.json.Encoder()
_form = msgspec.json.Decoder(Form)
_result = msgspec.json.Decoder(Result)


def answers_context(case_id: str) -> str:
    """Return what the form of a case is sealed for."""
    return f"cases.answers:{case_id}"


def result_context(case_id: str, code: str) -> str:
    """Return what a step's result is sealed for."""
    return f"case_steps.result:{case_id}:{code}"


def seal_form(keys: Keys, case_id: str, form: Form) -> bytes:
    """Return the form as a case's row keeps it."""
    return keys.seal(_out.encode(form), answers_context(case_id))


def open_form(keys: Keys, case: Case) -> Form:
    """Return the form of a case."""
    return _form.decode(keys.unseal(case.answers, answers_context(case.id)))


def seal_result(keys: Keys, case_id: str, code: str, result: Result) -> bytes:
    """Return a step's result as its row keeps it."""
    return keys.seal(_out.encode(result), result_context(case_id, code))


def open_result(keys: Keys, case_id: str, step: Step) -> Result:
    """Return a step's result; an empty one where it has none."""
    if step.result is None:
        return Result()
    return _result.decode(keys.unseal(step.result, result_context(case_id, step.code)))


def open_results(keys: Keys, case_id: str, steps: list[Step]) -> dict[str, dict[str, Any]]:
    """Return the results of the completed steps, as later steps take them."""
    done = [step for step in steps if step.state == "completed"]
    return {step.code: open_result(keys, case_id, step).fields for step in done}


def doubt_context(doubt_id: str, what: str) -> str:
    """Return what sealed words of a doubt are bound to: what was `said`, or the `answer`."""
    return f"record_doubts.{what}:{doubt_id}"
