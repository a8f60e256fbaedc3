"""How the provider's endpoints refuse: in the words of OAuth, which clients' libraries read; statuses as everywhere."""

from typing import Any, Final

from litestar import Request, Response

from onestop.errors import OnestopError
from onestop.http import problems
from onestop.provider.errors import ClientRefused, NonceNeeded, RequestRefused, TokenRefused
from onestop.provider.models import OAuthError


def refuse(request: Request[Any, Any, Any], failure: Exception) -> Response[Any]:
    """Answer a client's failure in the words of RFC 6749, 5.2, and RFC 6750, 3."""
    assert isinstance(failure, RequestRefused | ClientRefused | TokenRefused)
    context = problems.context_of(request.scope)
    context.refusal = failure
    status = problems.status_of(type(failure))
    told = OAuthError(
        error=failure.error,
        error_description=failure.reason,
        error_uri=f"/problems/{failure.code}",
    )
    headers = {"cache-control": "no-store"}
    if status == 401:
        headers["www-authenticate"] = _challenge(failure, request)
    if isinstance(failure, NonceNeeded | TokenRefused) and failure.nonce is not None:
        headers["dpop-nonce"] = failure.nonce
    return Response(told, status_code=status, headers=headers)


def _challenge(failure: OnestopError, request: Request[Any, Any, Any]) -> str:
    if not isinstance(failure, TokenRefused):
        basic = request.headers.get("authorization", "")[:6].lower() == "basic "
        return 'Basic realm="onestop"' if basic else 'Bearer realm="onestop"'
    if failure.reason == "missing":
        return 'Bearer realm="onestop", DPoP realm="onestop"'
    return f'{failure.scheme} realm="onestop", error="{failure.error}", error_description="{failure.reason}"'


HANDLERS: Final[dict[type[Exception] | int, Any]] = {
    RequestRefused: refuse,
    ClientRefused: refuse,
    TokenRefused: refuse,
}
