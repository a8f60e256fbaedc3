"""A case as its applicant follows it: the state in sentences, the steps, the picture, the certificate; corrections."""

from collections.abc import Mapping
from typing import Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, URLEncodedBody

from onestop.cases import picture as timeline_picture
from onestop.cases import service as cases
from onestop.cases.errors import FormInvalid, NotCorrecting
from onestop.cases.office import Office
from onestop.cases.service_submit import inputs_of
from onestop.cases.views import CaseView, Resubmit
from onestop.crypto import Keys
from onestop.http.models import Context
from onestop.identity.models import Session
from onestop.ids import new_id
from onestop.settings import Settings
from onestop.texts import catalogue
from onestop.web import form, kept
from onestop.web.keyed import keyed
from onestop.web.pages import Paper, picture
from onestop.web.refusals import sign_in_first

_CITIZEN: Final = {"roles": ("citizen",), "acting": True}
_CLOSED: Final = ("decided", "withdrawn")
_COLOURS: Final = {
    "completed": "green",
    "in_progress": "blue",
    "at_desk": "purple",
    "correcting": "orange",
    "declined": "red",
}


def event_types() -> str:
    """Return the types a case's stream may carry, as the page's script listens for them."""
    return " ".join(
        key.removeprefix("event.").removesuffix(".means")
        for key in catalogue("zh")
        if key.startswith("event.") and key.endswith(".means")
    )


class CasePages(Controller):
    """A citizen's own case."""

    path = "/cases"
    include_in_schema = False

    @get("/{case_id:str}", opt=_CITIZEN)
    async def case(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[Any]:
        """How the case stands; follows it live where the browser can."""
        found = await cases.own_case(office, session, case_id)
        if found.state == "draft":
            return paper.go(f"/cases/{case_id}/form")
        view = await cases.show(office, found, paper.lang)
        timeline = await cases.timeline(office, found, paper.lang)
        return paper.show(
            "case.html",
            case=view,
            colours=_COLOURS,
            timeline=timeline,
            drawing=picture(timeline_picture.draw(timeline, paper.lang)),
            said=[timeline_picture.said(bar, paper.lang) for bar in timeline.bars],
            open=view.state not in _CLOSED,
            events=event_types(),
        )

    @get("/{case_id:str}/certificate", opt=_CITIZEN)
    async def certificate(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        settings: NamedDependency[Settings],
    ) -> Response[bytes]:
        """The completion certificate, to be printed."""
        shown = await cases.certificate(office, session, case_id)
        verify_at = f"{settings.public_url.rstrip('/')}/verify"
        return paper.show("certificate.html", held=shown, body=shown.certificate, case_id=case_id, verify_at=verify_at)

    @get("/{case_id:str}/withdraw", opt=_CITIZEN)
    async def ask_withdrawal(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
    ) -> Response[Any]:
        """Ask whether it is meant."""
        found = await cases.own_case(office, session, case_id)
        if found.state in _CLOSED:
            return paper.go(f"/cases/{case_id}")
        return paper.show("withdraw.html", case=await cases.show(office, found, paper.lang), key=new_id("key"))

    @post("/{case_id:str}/withdraw", opt={**_CITIZEN, "max_body": 2048})
    async def withdraw(
        self,
        case_id: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Withdraw the case."""
        await cases.withdraw(office, session, context, keyed(office, context, data, "POST"), case_id)
        return paper.go(f"/cases/{case_id}")


class CorrectionPages(Controller):
    """Correcting one step after its department asked for it."""

    path = "/cases/{case_id:str}/steps"
    include_in_schema = False

    @get("/{code:str}", opt=_CITIZEN)
    async def correction(
        self,
        case_id: FromPath[str],
        code: FromPath[str],
        request: Request[Any, Any, Any],
        paper: NamedDependency[Paper],
        session: NamedDependency[Session],
        office: NamedDependency[Office],
        keys: NamedDependency[Keys],
    ) -> Response[Any]:
        """What the department asks, and the values this step uses."""
        view = await _own(office, session, case_id, paper)
        typed = kept.take(paper, keys, f"/cases/{case_id}/steps/{code}", request)
        return _correction_page(paper, office, view, code, typed=typed, back=typed is not None)

    # Open for the same reason as the form's: see `FormPages.save`.
    @post("/{code:str}", opt={"public": True})
    async def correct(
        self,
        case_id: FromPath[str],
        code: FromPath[str],
        paper: NamedDependency[Paper],
        context: NamedDependency[Context],
        office: NamedDependency[Office],
        keys: NamedDependency[Keys],
        settings: NamedDependency[Settings],
        data: URLEncodedBody[dict[str, Any]],
    ) -> Response[Any]:
        """Send the step again with what was corrected."""
        if context.session is None:
            kept.from_own_page(context, settings)
            saved = kept.keep(paper, keys, context.path, data)
            return paper.go(sign_in_first(context.path, "kept" if saved else "not_kept"))
        session: Session = context.signed_in(frozenset(("citizen",)))
        view = await _own(office, session, case_id, paper)
        item = office.catalogue.get(view.item.code).spec
        given = form.read(item, view.answers, data)
        once = keyed(office, context, data, "POST")
        try:
            await cases.resubmit(office, session, context, once, case_id, code, Resubmit(answers=given))
        except FormInvalid as refused:
            errors = form.complaints(refused.errors, paper.lang)
            return _correction_page(paper, office, view, code, typed=data, errors=errors, status=422)
        return paper.go(f"/cases/{case_id}")


async def _own(office: Office, session: Session, case_id: str, paper: Paper) -> CaseView:
    return await cases.show(office, await cases.own_case(office, session, case_id), paper.lang)


def _correction_page(
    paper: Paper,
    office: Office,
    view: CaseView,
    code: str,
    *,
    typed: form.Typed | None = None,
    errors: Mapping[str, str] | None = None,
    back: bool = False,
    status: int = 200,
) -> Response[bytes]:
    """Return the page of one step's correction.

    Raises:
        NotCorrecting: the step waits for none.
    """
    step = next((one for one in view.steps if one.code == code and one.state == "correcting"), None)
    if step is None:
        raise NotCorrecting(step=code[:40])
    item = office.catalogue.get(view.item.code).spec
    sections = form.sections(
        item, view.answers, paper.lang, typed=typed, errors=errors, only=inputs_of(office, item.code, code)
    )
    return paper.show(
        "correction.html",
        status=status,
        case=view,
        step=step,
        back=back,
        sections=sections,
        slips=form.slips(sections, paper.lang),
        version=view.version,
        key=new_id("key"),
        action=f"/cases/{view.id}/steps/{code}",
    )
