"""The form of a draft: fill, check, send. What was typed is not lost to a mistake, a stale page or a time-out."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.cases import service as cases
from onestop.cases.errors import DeclarationMissing, FormInvalid, VersionStale
from onestop.cases.office import Office
from onestop.cases.views import CaseView, Submit
from onestop.crypto import Keys
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.settings import Settings
from onestop.web import form, kept
from onestop.web.keyed import keyed
from onestop.web.pages import Paper
from onestop.web.receivers import receivers
from onestop.web.refusals import sign_in_first

_CITIZEN: Final = {"roles": ("citizen",), "acting": True}


class FormPages(Controller):
    """A citizen's own draft."""

    path = "/cases"
    include_in_schema = False

    @get("/{case_id:str}/form", opt=_CITIZEN)
    async def form(
        self,
        case_id: FromPath[str],
        request: Request[Any, Any, Any],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        keys: NamedDependency[Keys],
    ) -> Response[Any]:
        """The form: what is known with its source, and what is asked."""
        view = await _draft(office, session, case_id, paper)
        if view.state != "draft":
            return paper.go(f"/cases/{case_id}")
        typed = kept.take(paper, keys, f"/cases/{case_id}/form", request)
        notice = "kept" if typed is not None else None
        return await form_page(paper, office, session, view, typed=typed, notice=notice)

    # Open, because the session may have ended while the person was typing: then what was typed is sealed into the
    # browser's own cookie and nothing else happens. Everything further asks for the citizen.
    @post("/{case_id:str}/form", opt={"public": True})
    async def save(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        office: NamedDependency[Office],
        keys: NamedDependency[Keys],
        settings: NamedDependency[Settings],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Save what was typed, and go on where nothing is missing."""
        if context.session is None:
            kept.from_own_page(context, settings)
            saved = kept.keep(paper, keys, context.path, data)
            return paper.go(sign_in_first(context.path, "kept" if saved else "not_kept"))
        session: Session = context.signed_in(frozenset(("citizen",)))
        view = await _draft(office, session, case_id, paper)
        if view.state != "draft":
            return paper.go(f"/cases/{case_id}")
        item = office.catalogue.get(view.item.code).spec
        given = form.read(item, view.answers, data)
        if given:
            version = version_of(data, view)
            try:
                view = await cases.change_answers(office, session, context, case_id, [version], given)
            except FormInvalid as refused:
                errors = form.missing(item, view.answers, paper.lang, data)
                errors |= form.complaints(refused.errors, paper.lang)
                return await form_page(paper, office, session, view, typed=data, errors=errors, status=422)
            except VersionStale:
                return await form_page(paper, office, session, view, typed=data, notice="stale", status=412)
        if form.first(data, "then") == "leave":
            return paper.go("/me")
        errors = form.missing(item, view.answers, paper.lang)
        if errors:
            return await form_page(paper, office, session, view, errors=errors, status=422)
        return paper.go(f"/cases/{case_id}/check")

    @get("/{case_id:str}/check", opt=_CITIZEN)
    async def check(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[Any]:
        """Everything once more: what is sent, to whom, on what basis."""
        view = await _draft(office, session, case_id, paper)
        if view.state != "draft":
            return paper.go(f"/cases/{case_id}")
        return check_page(paper, office, session, view)

    @post("/{case_id:str}/check", opt={**_CITIZEN, "max_body": 4096})
    async def send(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Send the application and show how it goes on."""
        view = await _draft(office, session, case_id, paper)
        if view.state != "draft":
            return paper.go(f"/cases/{case_id}")
        declared = Submit(declarations=("all_true",) if form.first(data, "all_true") == "yes" else ())
        once = keyed(office, context, data, "POST")
        try:
            await cases.submit(office, session, context, once, case_id, [version_of(data, view)], declared)
        except DeclarationMissing:
            return check_page(paper, office, session, view, error=paper.say("check.declare_first"), status=422)
        except VersionStale:
            return check_page(paper, office, session, view, stale=True, status=412)
        except FormInvalid as refused:
            errors = form.complaints(refused.errors, paper.lang)
            return await form_page(paper, office, session, view, errors=errors, status=422)
        return paper.go(f"/cases/{case_id}")


async def _draft(office: Office, session: Session, case_id: str, paper: Paper) -> CaseView:
    return await cases.show(office, await cases.own_case(office, session, case_id), paper.lang)


def version_of(data: Mapping[str, Any], view: CaseView) -> int:
    """Return the version the page was drawn from; a page without one can only have been drawn from none."""
    told = form.first(data, "version")
    return int(told) if told.isdecimal() and len(told) < 10 else view.version - 1


async def form_page(
    paper: Paper,
    office: Office,
    session: Session,
    view: CaseView,
    *,
    typed: form.Typed | None = None,
    errors: Mapping[str, str] | None = None,
    notice: str | None = None,
    status: int = 200,
    action: str | None = None,
) -> Response[bytes]:
    """Return the page of a draft's form; `action` is where it is sent, None: to the applicant's own page."""
    item = office.catalogue.get(view.item.code).spec
    own = session.role == "citizen"  # a clerk at the window chooses none of somebody's licences
    held = await cases.licence_choices(office, session.subject_id, item, paper.lang) if own else {}
    sections = form.sections(item, view.answers, paper.lang, typed=typed, errors=errors, held=held)
    return paper.show(
        "form.html",
        status=status,
        case=view,
        sections=sections,
        slips=form.slips(sections, paper.lang),
        notice=notice,
        version=view.version,
        action=action or f"/cases/{view.id}/form",
    )


def check_page(
    paper: Paper,
    office: Office,
    session: Session,
    view: CaseView,
    *,
    error: str | None = None,
    stale: bool = False,
    status: int = 200,
    with_code: bool = False,
    wrong_code: str | None = None,
) -> Response[bytes]:
    """Return everything that is sent once more; `with_code` asks for the code told at a window."""
    ready = office.catalogue.get(view.item.code)
    item, needs = ready.spec, office.min_level(ready, ready.components)
    return paper.show(
        "check.html",
        status=status,
        case=view,
        sections=form.sections(item, view.answers, paper.lang),
        missing=len(form.missing(item, view.answers, paper.lang)),
        receivers=receivers(office, view, paper.lang),
        declares="all_true" in item.declarations,
        error=error,
        stale=stale,
        step_up=needs if session.level < needs else 0,  # told before the button is pressed and not only after
        with_code=with_code,
        wrong_code=wrong_code,
        from_window=bool(view.timeline) and view.timeline[0].by == "clerk",
        key=new_id("key"),
    )
