"""Answers kept for the same question about the same person, if the manifest says so, in this process's memory only.

`cache_s` is how long one may be given again, `stale_s` how long it may stand in, marked as stale and with its age,
while the department does not answer.
"""

from collections import OrderedDict
from typing import Final

from onestop.gateway.manifest import Operation
from onestop.gateway.operations import Answer

Question = tuple[str, ...]  # operation, and whom it is about

_MOST: Final = 5_000


class KeptAnswers:
    """The newest answers of one line, at most a few thousand; instants are loop time."""

    __slots__ = ("_answers",)

    def __init__(self) -> None:
        self._answers: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()

    def put(self, question: Question, operation: Operation, answer: Answer, now: float) -> None:
        """Keep an answer that may be given again; refusals and failures are not."""
        if not (operation.cache_s or operation.stale_s) or answer.kind not in ("ok", "not_found"):
            return
        self._answers[question] = (now, answer)
        self._answers.move_to_end(question)
        if len(self._answers) > _MOST:
            self._answers.popitem(last=False)

    def get(self, question: Question, within_s: float, now: float) -> tuple[float, Answer] | None:
        """Return an answer at most so old, with its age in seconds; None where there is none."""
        found = self._answers.get(question) if within_s else None
        if found is None or now - found[0] > within_s:
            return None
        return now - found[0], found[1]
