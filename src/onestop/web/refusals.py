"""When a page cannot be shown: signing in first, or a page that says cause, fix, who acts and the request's id."""

from typing import Any
from urllib.parse import quote

from litestar import Request, Response

from onestop.errors import OnestopError, StepUpRequired, Unauthenticated
from onestop.http import problems
from onestop.texts import Language, has, text
from onestop.web.pages import Paper


def answer(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer any failure on a page's address; a program that asks for JSON gets the problem as everywhere."""
    context = problems.context_of(request.scope)
    route = str(request.scope.get("path_template", ""))
    if not problems.wants_page(context):
        told = problems.respond(failure, context, "", route)
        headers = dict(told.headers)
        return Response(told.body, status_code=told.status, media_type=headers.pop("content-type"), headers=headers)
    error = problems.translate(failure)
    paper = Paper(request, context, None)
    if isinstance(error, StepUpRequired):
        return paper.go(problems.sign_in_path(error))
    if isinstance(error, Unauthenticated) and not context.path.startswith("/auth/"):
        return paper.go(sign_in_first(context.path))
    problems.log_if_ours(error, failure, context, route)
    return page(paper, error)


def sign_in_first(path: str, why: str = "needed") -> str:
    """Return the address of the sign-in page that leads back to `path`."""
    return f"/sign-in?return_to={quote(path)}&why={why}"


def page(paper: Paper, error: OnestopError) -> Response[bytes]:
    """Return the page of a refusal."""
    told = problems.problem(error, paper.context, "")
    context = paper.context
    headers = problems.headers_of(error, told.status, context.lang)
    signing_in = context.path.startswith("/auth/") or error.code.startswith("identity.")
    shown = paper.show(
        "problem.html",
        status=told.status,
        problem=told,
        cause=text(f"problem.{error.code}.cause", context.lang),
        fix=_said(f"web.fix.{error.code}", f"problem.{error.code}.fix", context.lang),
        who_acts=_said(f"web.actor.{_actor(error, paper)}", f"http.actor.{error.who_acts}", context.lang),
        signing_in=signing_in,
    )
    for name in ("retry-after", "allow"):
        if name in headers:
            shown.headers[name] = headers[name]
    return shown


def _actor(error: OnestopError, paper: Paper) -> str:
    """Return who acts, as the page's reader knows them: of a mandate they act under it is the giver."""
    lacks = paper.context.acting and error.stage == "mandate" and error.who_acts == "applicant"
    return "giver" if lacks else error.who_acts


def _said(own: str, common: str, lang: Language) -> str:
    """Return a text written for people at a page, where there is one, else the one programs get as well."""
    return text(own if has(own) else common, lang)
