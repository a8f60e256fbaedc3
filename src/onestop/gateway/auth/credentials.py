"""What every kind of authentication is to a line."""

from collections.abc import Awaitable, Callable

from onestop.gateway.auth.recipes import Headers, Outgoing

# (method, target, headers, body) -> (status, body): one call that is not itself authenticated
Exchange = Callable[[str, str, Headers, bytes], Awaitable[tuple[int, bytes]]]


class TokenRefused(Exception):
    """There is no token: the other side would not give one."""


class Credentials:
    """Adds to each request what shows who is calling; `ready` is False while something must be fetched first."""

    ready = True
    mark = 0  # which token `apply` gives at present; kinds without a token always have the same

    def apply(self, out: Outgoing) -> None:
        """Add to the request; called anew for every attempt.

        Raises:
            ValueError: the request cannot carry it.
        """

    async def prepare(self) -> None:
        """Fetch what `apply` needs.

        Raises:
            TokenRefused: the department would not.
        """

    def spoiled(self, mark: int) -> bool:
        """Note that the department refused what `apply` gave at `mark`; True where asking again may help."""
        return False

    def close(self) -> None:
        """Stop what runs in the background."""
