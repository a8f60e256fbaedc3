"""Pages of the window: a clerk writes an application for somebody, who confirms it on a page of their own."""

from typing import Any, Final

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.cases import service as cases
from onestop.cases import service_window as window
from onestop.cases.errors import CodeMissing, CodeWrong, ContentChanged, DeclarationMissing, FormInvalid, VersionStale
from onestop.cases.office import Office
from onestop.cases.views_window import BeginForSomebody, Confirm
from onestop.errors import Internal, OnestopError
from onestop.http.models import Context
from onestop.identity.errors import BadNumber
from onestop.identity.models import Session
from onestop.identity.service import Sessions
from onestop.ids import new_id
from onestop.items.service import search
from onestop.texts import text
from onestop.web import form
from onestop.web.keyed import keyed
from onestop.web.pages import Paper
from onestop.web.routes_form import check_page, form_page, version_of

_CLERK: Final = {"roles": ("clerk",)}


class WindowPages(Controller):
    """Applications that a clerk writes for whoever stands at the window."""

    path = "/desk/window"
    include_in_schema = False

    @get("/", opt=_CLERK)
    async def new(self, paper: NamedDependency[Paper], office: NamedDependency[Office]) -> Response[bytes]:
        """Who is served, and what for."""
        return _begin_page(paper, office, {}, {})

    @post("/", opt={**_CLERK, "fanout": True, "max_body": 4096})
    async def begin(
        self,
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        sessions: NamedDependency[Sessions],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Open the draft and go on to its form."""
        name, number, item = (form.first(data, field).strip() for field in ("name", "number", "item"))
        errors = {} if 0 < len(name) <= 120 else {"name": text("field.form.required", paper.lang)}
        if item not in office.catalogue.items:
            errors["item"] = paper.say("desk.choose")
        if not errors:
            wanted = BeginForSomebody(number=number.upper(), name=name, item=item)
            try:
                once = keyed(office, context, data, "POST")
                reply = await window.begin(office, sessions, session, context, once, wanted)
            except BadNumber as fault:
                errors["number"] = text(f"field.{fault.code}", paper.lang)
            else:
                if reply.made_id is None:
                    raise Internal("a draft without an id")
                return paper.go(f"/desk/window/{reply.made_id}")
        return _begin_page(paper, office, data, errors, status=422)

    @get("/{case_id:str}", opt=_CLERK)
    async def form(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[Any]:
        """The form as the person would see it; that the clerk sees it is on the person's record."""
        view = await window.read(office, session, context, case_id)
        return await form_page(paper, office, session, view, action=f"/desk/window/{case_id}")

    @post("/{case_id:str}", opt=_CLERK)
    async def save(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Save what was typed; where nothing is missing, make the code the person confirms with."""
        action = f"/desk/window/{case_id}"
        view = await window.read(office, session, context, case_id)
        item = office.catalogue.get(view.item.code).spec
        given = form.read(item, view.answers, data)
        if given:
            try:
                expected = [version_of(data, view)]
                view = await window.change(office, session, context, case_id, expected, given)
            except FormInvalid as refused:
                errors = form.missing(item, view.answers, paper.lang, data)
                errors |= form.complaints(refused.errors, paper.lang)
                return await form_page(
                    paper, office, session, view, typed=data, errors=errors, status=422, action=action
                )
            except VersionStale:
                return await form_page(
                    paper, office, session, view, typed=data, notice="stale", status=412, action=action
                )
        if form.first(data, "then") == "leave":
            return paper.go("/desk")
        errors = form.missing(item, view.answers, paper.lang)
        if errors:
            return await form_page(paper, office, session, view, errors=errors, status=422, action=action)
        made = await window.make_code(office, session, context, case_id)
        return paper.show("window_code.html", case=view, made=made, code=f"{made.code[:3]} {made.code[3:]}")


class ConfirmationPages(Controller):
    """What a clerk wrote for somebody, as they read and confirm it."""

    path = "/cases"
    include_in_schema = False

    @get("/{case_id:str}/confirm", opt={"roles": ("citizen",)})
    async def look(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[Any]:
        """Everything that is sent, and where the code from the window goes."""
        view = await cases.show(office, await cases.own_case(office, session, case_id), paper.lang)
        if view.state != "draft":
            return paper.go(f"/cases/{case_id}")
        return check_page(paper, office, session, view, with_code=True)

    @post("/{case_id:str}/confirm", opt={"roles": ("citizen",), "max_body": 4096})
    async def confirm(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Submit it, where the code is the one told at the window and the draft says what it said then."""
        code = "".join(form.first(data, "code").split())
        declared = ("all_true",) if form.first(data, "all_true") == "yes" else ()
        error: OnestopError = CodeWrong(left="-")
        if len(code) == 6 and code.isdecimal() and code.isascii():
            told = Confirm(code=code, declarations=declared)  # type: ignore[arg-type]  # the only one there is
            try:
                once = keyed(office, context, data, "POST")
                await window.confirm(office, session, context, once, case_id, told)
                return paper.go(f"/cases/{case_id}")
            except (CodeMissing, CodeWrong, ContentChanged, DeclarationMissing, FormInvalid) as refused:
                error = refused
        view = await cases.show(office, await cases.own_case(office, session, case_id), paper.lang)
        said = text(f"problem.{error.code}.detail", paper.lang, **error.params)
        if isinstance(error, DeclarationMissing):
            return check_page(
                paper, office, session, view, error=paper.say("check.declare_first"), status=422, with_code=True
            )
        return check_page(paper, office, session, view, wrong_code=said, status=422, with_code=True)


def _begin_page(
    paper: Paper, office: Office, typed: dict[str, Any], errors: dict[str, str], *, status: int = 200
) -> Response[bytes]:
    return paper.show(
        "window_new.html",
        status=status,
        items=search(office.catalogue, office.directory, "", paper.lang).data,
        typed={name: form.first(typed, name) for name in ("name", "number", "item")},
        errors=errors,
        slips=[{"id": place, "says": says} for place, says in errors.items()],
        key=new_id("key"),
    )
