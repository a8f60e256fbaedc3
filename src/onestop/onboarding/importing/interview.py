"""Questions and answers: each question is asked where its answer is needed, and holds its default until answered."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from onestop.gateway.manifest import Words
from onestop.onboarding.importing.models import Question, QuestionKind, Spot
from onestop.onboarding.importing.notes import Notes, words

MAX_ANSWERS: Final = 500
_MAX_TEXT: Final = 500


def flat(answers: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return answers by their ids: tables inside tables are joined by dots, texts in two languages stay together."""
    found: dict[str, Any] = {}
    spoken = {name: answers[name] for name in ("zh", "en") if name in answers}
    if prefix and spoken:
        found[prefix] = spoken
    for name, value in answers.items():
        if prefix and name in spoken:
            continue
        here = f"{prefix}.{name}" if prefix else str(name)
        if isinstance(value, Mapping) and here.count(".") < 6:
            found |= flat(value, here)
        else:
            found[here] = value
        if len(found) > MAX_ANSWERS:
            break
    return found


class Interview:
    """The questions of one import, in the order in which they came up."""

    def __init__(self, answers: Mapping[str, Any], notes: Notes) -> None:
        self._answers = flat(answers)
        self._notes = notes
        self._asked: dict[str, Question] = {}
        self._known: set[str] = set()

    def ask(
        self,
        id_: str,
        kind: QuestionKind,
        *,
        about: str = "",
        default: Any = None,
        required: bool = False,
        choices: tuple[str, ...] = (),
        pattern: str = "",
        within: tuple[float, float] = (0, 0),
        say: str = "",
        **params: object,
    ) -> Any:
        """Ask one thing; return the answer, else the default, else None."""
        key = say or id_
        value, problem = self._checked(id_, kind, choices, pattern, within)
        self._asked[id_] = Question(
            id=id_,
            about=about,
            question=words(f"question.{key}.says", **params),
            why=words(f"question.{key}.why", **params),
            kind=kind,
            choices=choices,
            default=default,
            required=required,
            answered=value is not None,
            problem=problem,
        )
        return default if value is None else value

    def given(self, id_: str) -> Any:
        """Return an answer as it came, before its question can be asked; None where there is none."""
        return self._answers.get(id_)

    def told(self, id_: str, kind: QuestionKind, within: tuple[float, float] = (0, 0)) -> Any:
        """Return what was said of something that is not asked for, because it can be known or another answer serves."""
        value, problem = self._checked(id_, kind, (), "", within)
        if problem is not None:
            self._notes.add("answer_unusable", Spot(pointer=f"/answers/{id_}"), "error", id=id_)
        return value

    def _checked(
        self, id_: str, kind: QuestionKind, choices: tuple[str, ...], pattern: str, within: tuple[float, float]
    ) -> tuple[Any, Words | None]:
        self._known.add(id_)
        value = self._answers.get(id_)
        if value is None or value == "":
            return None, None
        match kind:
            case "choice":
                if value in choices:
                    return value, None
                return None, words("answer.choice", choices=", ".join(choices[:20]))
            case "choices":
                wanted = [value] if isinstance(value, str) else value
                if isinstance(wanted, list) and wanted and all(one in choices for one in wanted):
                    return list(dict.fromkeys(wanted)), None
                return None, words("answer.choices", choices=", ".join(choices[:40]))
            case "number":
                if isinstance(value, int | float) and not isinstance(value, bool) and within[0] <= value <= within[1]:
                    return float(value), None
                return None, words("answer.number", least=within[0], most=within[1])
            case "words":
                return _spoken(value)
        if isinstance(value, str) and len(value) <= _MAX_TEXT and re.fullmatch(pattern or r"[^\x00-\x1f]+", value):
            return value, None
        return None, words("answer.text", pattern=pattern or "…")

    def close(self) -> None:
        """Note the answers that answer nothing."""
        for id_ in sorted(self._answers.keys() - self._known)[:20]:
            near = get_close_matches(id_, self._known, n=1, cutoff=0.5)
            spot = Spot(pointer=f"/answers/{id_[:80]}")
            self._notes.add("answer_unknown", spot, "error", id=id_[:80], near=near[0] if near else "—")

    def all(self) -> tuple[Question, ...]:
        """Return every question, the required ones without answer first."""
        return tuple(sorted(self._asked.values(), key=lambda q: not is_open(q)))


def is_open(question: Question) -> bool:
    """Tell whether the manifest cannot be written without an answer."""
    if question.problem is not None:
        return True
    return question.required and not question.answered and question.default is None


def _spoken(value: Any) -> tuple[Any, Words | None]:
    if isinstance(value, str) and 0 < len(value.strip()) <= _MAX_TEXT:
        return {"zh": value.strip(), "en": value.strip()}, None
    if isinstance(value, Mapping):
        both = {lang: value.get(lang) for lang in ("zh", "en")}
        if set(value) <= {"zh", "en"} and all(
            isinstance(said, str) and 0 < len(said.strip()) <= _MAX_TEXT for said in both.values()
        ):
            return {lang: str(said).strip() for lang, said in both.items()}, None
    return None, words("answer.words")
