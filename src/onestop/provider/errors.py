"""How the provider can fail.

Malformed        RequestRefused · RequestUnusable
Unauthenticated  ClientRefused · TokenRefused
NotFound         ClientUnknown
Conflict         ClientTaken
Invalid          BadClient

Those a client meets at an endpoint of RFC 6749 carry that document's word in `error`.
"""

from typing import ClassVar

from onestop.errors import Conflict, Invalid, Malformed, NotFound, Stage, Unauthenticated


class RequestRefused(Malformed):
    """A client's request breaks a rule of OAuth; `error` is the protocol's word, `reason` says which rule."""

    code = "provider.request_refused"
    stage: ClassVar[Stage] = "identity"

    def __init__(self, error: str, reason: str) -> None:
        super().__init__(f"{error}: {reason}", error=error, reason=reason)
        self.error, self.reason = error, reason


class NonceNeeded(RequestRefused):
    """The proof lacks the nonce this server gave, or has one that is over (RFC 9449, 8)."""

    def __init__(self, nonce: str) -> None:
        super().__init__("use_dpop_nonce", "nonce")
        self.nonce: str | None = nonce  # the one to use


class ClientRefused(Unauthenticated):
    """The client did not prove who it is, or is registered no more."""

    code = "provider.client_refused"
    error: ClassVar[str] = "invalid_client"

    def __init__(self, reason: str) -> None:
        super().__init__(f"client refused: {reason}", reason=reason)
        self.reason = reason


class TokenRefused(Unauthenticated):
    """An access token does not hold here, or whoever shows it does not hold its key."""

    code = "provider.token_refused"

    def __init__(
        self, reason: str, error: str = "invalid_token", scheme: str = "Bearer", nonce: str | None = None
    ) -> None:  # fmt: skip
        super().__init__(f"token refused: {reason}", reason=reason)
        self.reason, self.error, self.scheme, self.nonce = reason, error, scheme, nonce


class RequestUnusable(Malformed):
    """Somebody was sent here by a site that cannot be named or answered; so it is told to the person, not to a site."""

    code = "provider.request_unusable"
    stage: ClassVar[Stage] = "identity"

    def __init__(self, reason: str) -> None:
        super().__init__(f"authorization request unusable: {reason}", reason=reason)
        self.reason = reason


class ClientUnknown(NotFound):
    """No client has that id, or it was revoked."""

    code = "provider.client_unknown"
    stage: ClassVar[Stage] = "identity"


class ClientTaken(Conflict):
    """A client had that id before; ids are never used again."""

    code = "provider.client_taken"


class BadClient(Invalid):
    """A client cannot be registered so; `reason` says what is wrong."""

    code = "provider.bad_client"

    def __init__(self, reason: str) -> None:
        super().__init__(f"client refused: {reason}", reason=reason)
        self.reason = reason
