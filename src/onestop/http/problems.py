"""From a failure to an HTTP answer: RFC 9457 in Chinese and English. No other module knows a failure's status."""

import asyncio
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar import exceptions as litestar
from msgspec import UNSET, UnsetType

from onestop import errors
from onestop.errors import FieldError, Internal, OnestopError, UpstreamFacts
from onestop.http import body
from onestop.http.errors import BadParameter, BudgetSpent, DatabaseGone, MethodNotAllowed
from onestop.http.models import Context
from onestop.texts import Language, text

MEDIA_TYPE: Final = "application/problem+json"
LANGUAGE_TAGS: Final[Mapping[Language, str]] = {"zh": "zh-CN", "en": "en"}

STATUS: Final[Mapping[type[OnestopError], int]] = {
    errors.Malformed: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.TooLarge: 413,
    errors.UnsupportedType: 415,
    errors.Invalid: 422,
    errors.PreconditionRequired: 428,
    errors.TooMany: 429,
    errors.Internal: 500,
    errors.UpstreamFailed: 502,
    errors.Unavailable: 503,
    errors.UpstreamTimeout: 504,
}

# What the database says when it is away, full, shutting down or too slow: not a defect of onestop, and worth a retry.
_DATABASE_AWAY: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    ConnectionError,
)
_DATABASE_RETRY_S: Final = 5.0

_log = structlog.get_logger("onestop.http")


class FieldProblem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with one value, in the caller's language."""

    pointer: str
    code: str
    detail: str
    source: str | UnsetType = UNSET
    as_of: str | UnsetType = UNSET


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal as it is sent (RFC 9457). Programs go by `code`; the words may change."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    stage: errors.Stage
    who_acts: errors.Actor
    retry: errors.Retry
    retry_after_s: float | UnsetType = UNSET
    request_id: str
    errors: list[FieldProblem] | UnsetType = UNSET
    upstream: UpstreamFacts | UnsetType = UNSET
    level: int | UnsetType = UNSET  # the real-name level that is asked for
    sign_in: str | UnsetType = UNSET  # where the browser signs in at that level, and comes back from


_encode: Callable[[Problem], bytes] = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True):
    """A whole reply, ready to be sent."""

    status: int
    headers: dict[str, str]
    body: bytes


_NUMBER: Final = re.compile(r"(?<![0-9A-Za-z])\d{17}[0-9Xx](?![0-9A-Za-z])")


def status_of(kind: type[OnestopError]) -> int:
    """Return the HTTP status of a failure: that of the nearest kind above it."""
    return next((STATUS[k] for k in kind.__mro__ if k in STATUS), 500)


def _masked(said: str) -> str:
    """Return what a caller said with person numbers masked: people send pictures of problems, and keep them."""
    return _NUMBER.sub(lambda found: f"{found[0][:4]}{'*' * 8}{found[0][-4:]}", said)


def _field(error: FieldError, lang: Language) -> FieldProblem:
    detail = _masked(text(f"field.{error.code}", lang, **error.params))
    return FieldProblem(
        pointer=_masked(error.pointer),
        code=error.code,
        detail=detail,
        source=error.source or UNSET,
        as_of=error.as_of or UNSET,
    )


def _detail(error: OnestopError, lang: Language) -> str:
    """Return the sentence; a front-desk `reason` has a sentence of its own below `body.` in the texts."""
    reason = error.params.get("reason")
    key = f"body.{reason}" if error.code == "request.bad_body" else f"problem.{error.code}.detail"
    return _masked(text(key, lang, **error.params))


def problem(error: OnestopError, context: Context, base: str) -> Problem:
    """Return the refusal in the caller's language; `base` is the public address of this installation."""
    lang = context.lang
    return Problem(
        type=f"{base}/problems/{error.code}",
        title=text(f"problem.{error.code}.title", lang),
        status=status_of(type(error)),
        detail=_detail(error, lang),
        instance=_masked(context.path),
        code=error.code,
        stage=error.stage,
        who_acts=error.who_acts,
        retry=error.retry,
        retry_after_s=UNSET if error.retry_after_s is None else error.retry_after_s,
        request_id=context.request_id,
        errors=[_field(e, lang) for e in error.errors] or UNSET,
        upstream=error.upstream or UNSET,
        level=error.level if isinstance(error, errors.StepUpRequired) else UNSET,
        sign_in=base + sign_in_path(error) if isinstance(error, errors.StepUpRequired) else UNSET,
    )


def sign_in_path(error: errors.StepUpRequired) -> str:
    """Return the address of the page where one signs in surely enough, and comes back from to where one was."""
    return f"/sign-in?return_to={quote(error.back, safe='')}&why=level&level={error.level}"


def _challenge(error: OnestopError) -> str:
    """Return what a 401 asks for; RFC 9470 has the words for a level."""
    if isinstance(error, errors.StepUpRequired):
        return f'Bearer realm="onestop", error="insufficient_user_authentication", acr_values="level{error.level}"'
    return 'Bearer realm="onestop"'


def headers_of(error: OnestopError, status: int, lang: Language) -> dict[str, str]:
    """Return the headers that go with a refusal."""
    headers = {"content-type": MEDIA_TYPE, "content-language": LANGUAGE_TAGS[lang], "vary": "Accept-Language"}
    if error.retry_after_s is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after_s)))
    if status == 401:
        headers["www-authenticate"] = _challenge(error)
    if status == 405:
        headers["allow"] = str(error.params.get("allow", ""))
    return headers


def answer(error: OnestopError, context: Context, base: str) -> Answer:
    """Return the refusal as a reply with headers and body."""
    told = problem(error, context, base)
    return Answer(told.status, headers_of(error, told.status, context.lang), _encode(told))


def _parameter_errors(extra: Any) -> tuple[list[FieldError], set[str]]:
    """Return Litestar's complaints about parameters as field errors, and where those parameters stood."""
    found, sources = [], set()
    for entry in extra if isinstance(extra, list) else []:
        source = str(getattr(entry.get("source"), "value", entry.get("source")) or "query")
        steps = [source, *str(entry.get("key", "")).split(".")]
        pointer = "".join(body.token(step) for step in (steps[1:] if source == "body" else steps) if step)
        said = body.field_error(str(entry.get("message", "")), pointer)
        found.append(said)
        sources.add(source)
    return found, sources


def _from_litestar(failure: litestar.HTTPException) -> OnestopError:
    if isinstance(failure, litestar.ValidationException):
        found, sources = _parameter_errors(failure.extra)
        if sources == {"path"}:
            return errors.NotFound()  # an id that cannot be one names nothing
        if sources == {"body"}:
            return errors.Invalid(errors=found, count=len(found))
        return BadParameter(errors=found, count=len(found))
    status = failure.status_code
    if status == 405:
        return MethodNotAllowed(allow=str((failure.headers or {}).get("allow", "")))
    for kind in (errors.Unauthenticated, errors.Forbidden, errors.NotFound, errors.TooLarge, errors.UnsupportedType):
        if STATUS[kind] == status:
            return kind()
    return errors.Malformed() if status < 500 else Internal()


def translate(failure: BaseException) -> OnestopError:
    """Return any failure as one of ours; what is not known here is a defect, and so `Internal`."""
    if isinstance(failure, OnestopError):
        return failure
    if isinstance(failure, litestar.HTTPException):
        return _from_litestar(failure)
    if isinstance(failure, BaseExceptionGroup) and len(failure.exceptions) == 1:
        return translate(failure.exceptions[0])
    if isinstance(failure, asyncpg.QueryCanceledError | asyncio.TimeoutError):
        return BudgetSpent(retry_after_s=1.0)
    if isinstance(failure, _DATABASE_AWAY):
        return DatabaseGone(retry_after_s=_DATABASE_RETRY_S)
    return Internal()


def log_if_ours(error: OnestopError, failure: BaseException, context: Context | None, route: str) -> None:
    """Log a failure of onestop's own side: a defect with its traceback, an unavailable database by its name."""
    status = status_of(type(error))
    if status < 500 or (status != 500 and error is failure):
        return
    request_id = context.request_id if context else None
    if status == 500:
        # As text: renderers that print an exception also print its local variables, and those may be somebody's.
        _log.error("request failed", request_id=request_id, route=route, code=error.code, exc_info=failure)
    else:
        _log.warning(
            "request refused", request_id=request_id, route=route, code=error.code, cause=type(failure).__name__
        )


def wants_page(context: Context) -> bool:
    """Tell whether a person's browser asks, and so reads a page rather than JSON."""
    return b"text/html" in context.headers.get(b"accept", b"") and not context.path.startswith("/v1/")


def respond(failure: BaseException, context: Context, base: str, route: str) -> Answer:
    """Return the reply to any failure, and log it if it is onestop's own."""
    error = translate(failure)
    context.refusal = error
    log_if_ours(error, failure, context, route)
    if wants_page(context):
        from onestop.http.problem_pages import refusal_page  # pages need this module

        status = status_of(type(error))
        headers = headers_of(error, status, context.lang) | {"content-type": "text/html; charset=utf-8"}
        return Answer(status, headers, refusal_page(problem(error, context, base), context.lang))
    return answer(error, context, base)


def context_of(scope: Any) -> Context:
    """Return the request's context, put there by the front desk."""
    context: Context = scope["state"]["context"]
    return context


def exception_handlers(base: str) -> dict[type[Exception] | int, Callable[[Request[Any, Any, Any], Exception], Any]]:
    """Return what Litestar calls for every exception that leaves a handler."""

    def handle(request: Request[Any, Any, Any], failure: Exception) -> Response[bytes]:
        told = respond(failure, context_of(request.scope), base, str(request.scope.get("path_template", "")))
        headers = dict(told.headers)
        return Response(told.body, status_code=told.status, media_type=headers.pop("content-type"), headers=headers)

    return {Exception: handle}
