"""The clerk's desk: what waits for a person, and an answer to it."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, URLEncodedBody

from onestop.cases import service as cases
from onestop.cases.office import Office
from onestop.cases.views import AnswerTask, TaskView
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.web.form import first, in_words
from onestop.web.keyed import keyed
from onestop.web.pages import Paper
from onestop.web.words import masked

_DESK: Final = {"roles": ("clerk", "department")}
_PAGE: Final = 50
_MOST: Final = 200  # characters of one value of a result


class DeskPages(Controller):
    """Tasks of the signed-in clerk's own department."""

    path = "/desk"
    include_in_schema = False

    @get("/", opt=_DESK)
    async def tasks(
        self,
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        after: FromQuery[str | None] = None,
        done: FromQuery[str] = "",
    ) -> Response[bytes]:
        """What waits, oldest first."""
        found = await cases.tasks(office, session, paper.lang, after=after, limit=_PAGE)
        desk = office.directory.name(session.department or "", paper.lang)
        return paper.show("desk.html", tasks=found.data, next=found.next_cursor, desk=desk, done=done == "1")

    @get("/tasks/{task_id:str}", opt=_DESK)
    async def task(
        self,
        task_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[bytes]:
        """One task with what it is about; that it was read is recorded."""
        return _task_page(paper, office, await cases.task(office, session, context, task_id), {})

    @post("/tasks/{task_id:str}", opt={**_DESK, "max_body": 16_384})
    async def answer(
        self,
        task_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Say what came of it."""
        view = await cases.task(office, session, context, task_id)
        outcome, said = first(data, "outcome"), first(data, "text").strip()
        results = {name: first(data, f"result.{name}").strip()[:_MOST] for name, _ in _results(office, view, paper)}
        errors = {}
        if outcome not in ("completed", "declined", "send_again"):
            errors["outcome"] = paper.say("desk.choose")
        if outcome == "declined" and not said:
            errors["text"] = paper.say("desk.say_why")
        if len(said) > 1000:
            errors["text"] = paper.say("desk.too_long")
        if errors:
            return _task_page(paper, office, view, errors, data, status=422)
        answer = AnswerTask(
            outcome=outcome,  # type: ignore[arg-type]  # one of the three
            text=said,
            reference=first(data, "reference").strip()[:100] or None,
            result={name: value for name, value in results.items() if value},
        )
        await cases.answer_task(office, session, context, keyed(office, context, data, "POST"), task_id, answer)
        return paper.go("/desk?done=1")


def _results(office: Office, task: TaskView, paper: Paper) -> list[tuple[str, str]]:
    """Return the values the step gives to later steps and to the certificate, by name and label."""
    part = office.catalogue.get(task.item.code).components.get(task.step)
    return [] if part is None else [(name, label.say(paper.lang)) for name, label in part.spec.results.items()]


def _task_page(
    paper: Paper,
    office: Office,
    task: TaskView,
    errors: dict[str, str],
    typed: dict[str, Any] | None = None,
    status: int = 200,
) -> Response[bytes]:
    payload = task.payload if isinstance(task.payload, dict) else {}
    told = typed or {}
    return paper.show(
        "task.html",
        status=status,
        task=task,
        payload=_in_words(office, task, payload, paper),
        results=[(name, label, first(told, f"result.{name}")) for name, label in _results(office, task, paper)],
        errors=errors,
        typed={name: first(told, name) for name in ("outcome", "text", "reference")},
        key=new_id("key"),
    )


def _in_words(office: Office, task: TaskView, payload: dict[str, Any], paper: Paper) -> list[tuple[str, str]]:
    """Return the values of a task, which come under their labels, as the form's own words."""
    spec = office.catalogue.get(task.item.code).spec
    fields = {field.label.say(paper.lang): field for field in spec.fields}
    return [
        (label, masked(in_words(fields[label], value, paper.lang) if label in fields else str(value)))
        for label, value in payload.items()
    ]
