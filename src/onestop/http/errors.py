"""How the front desk refuses.

Malformed        BadBody · BadParameter · BadHeader · BadAddress · KeyMissing · KeyMalformed
MethodNotAllowed
Forbidden        CrossSite · RoleNotAllowed
Conflict         InProgress
Invalid          KeyReused
Unavailable      DatabaseGone · BudgetSpent
"""

from onestop.errors import Conflict, Forbidden, Invalid, Malformed, OnestopError, Unavailable


class BadBody(Malformed):
    """The body cannot be read as what its media type says; `reason` is a key below `body.` in the texts."""

    code = "request.bad_body"


class BadParameter(Malformed):
    """A parameter in the query, a header or a cookie is missing or cannot be taken."""

    code = "request.bad_parameter"


class BadHeader(Malformed):
    """A header of onestop's own cannot be read."""

    code = "request.bad_header"


class BadAddress(Malformed):
    """The path or the query holds bytes that are no UTF-8 text, or a NUL."""

    code = "request.bad_address"


class MethodNotAllowed(OnestopError):
    """The address is known, the method is not offered there."""

    code = "request.method_not_allowed"
    stage = "schema"
    who_acts = "caller"


class CrossSite(Forbidden):
    """A change was asked for with a session cookie from a page that is not onestop's."""

    code = "request.cross_site"
    stage = "identity"


class RoleNotAllowed(Forbidden):
    """The session's role has no business at this address."""

    code = "auth.role_not_allowed"


class ActingClosed(Forbidden):
    """The route is for one's own affairs: nobody comes here while acting for somebody else."""

    code = "mandate.route_closed"


class KeyMissing(Malformed):
    """The route makes or sends something and wants an Idempotency-Key."""

    code = "idempotency.key_missing"


class KeyMalformed(Malformed):
    """The Idempotency-Key is not 1 to 128 visible ASCII characters, bare or quoted."""

    code = "idempotency.key_malformed"


class KeyReused(Invalid):
    """The key came before, with another body."""

    code = "idempotency.key_reused"
    stage = "conflict"


class InProgress(Conflict):
    """The request that came first with this key is still running."""

    code = "idempotency.in_progress"
    retry = "same_key"


class DatabaseGone(Unavailable):
    """The database cannot be reached or cannot write."""

    code = "database.unavailable"
    retry = "same_key"


class BudgetSpent(Unavailable):
    """The time the request was given ran out inside onestop."""

    code = "budget.spent"
    retry = "same_key"
