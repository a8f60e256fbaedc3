"""The session as controllers are handed it. Who may enter a route at all is the gate's to say, from the route's `opt`.

Every handler of this room names in its `opt` either `public=True` or `roles=(...)`.
"""

from typing import Any

from litestar import Request

from onestop.http.models import Context
from onestop.identity.models import Role, Session

EVERY_ROLE: tuple[Role, ...] = ("citizen", "clerk", "department", "governance", "operator")
_CITIZEN, _CLERK = frozenset({"citizen"}), frozenset({"clerk"})


def session_of(request: Request[Any, Any, Any]) -> Session | None:
    """Return the session the front desk found, None where nobody is signed in."""
    found = _context(request).session
    return found if isinstance(found, Session) else None


async def provide_session(request: Request[Any, Any, Any]) -> Session:
    """Hand over the session.

    Raises:
        Unauthenticated: nobody is signed in.
    """
    found: Session = _context(request).signed_in()
    return found


async def provide_citizen(request: Request[Any, Any, Any]) -> Session:
    """Hand over a citizen's session.

    Raises:
        Unauthenticated: nobody is signed in.
        RoleNotAllowed: somebody in another role.
    """
    found: Session = _context(request).signed_in(_CITIZEN)
    return found


async def provide_clerk(request: Request[Any, Any, Any]) -> Session:
    """Hand over a one-window clerk's session.

    Raises:
        Unauthenticated: nobody is signed in.
        RoleNotAllowed: somebody in another role.
    """
    found: Session = _context(request).signed_in(_CLERK)
    return found


def _context(request: Request[Any, Any, Any]) -> Context:
    context: Context = request.scope["state"]["context"]
    return context
