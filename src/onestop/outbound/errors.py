"""How a call to another system can fail.

    OutboundError              .reason: short code; .sent: may the other side have seen the request?
    ├── NotSent                sent = False: safe to send again, whatever the operation does
    │   ├── BadMessage         the request itself cannot be written safely
    │   ├── AddressRefused     the address is not on the allow list
    │   ├── Refused            nobody listens there
    │   ├── Unreachable        no such name, no route, or cut off while connecting
    │   ├── TlsFailed          the handshake or the certificate failed
    │   ├── ConnectTimeout     no connection in time
    │   ├── PoolTimeout        no free connection in time, or the deadline was over before the call
    │   ├── TooManyWaiting     the waiting line is full
    │   ├── PoolClosed         the pool is shut
    │   └── Withdrawn          the caller cancelled before anything was written
    └── MaybeSent              sent = True: the outcome is unknown
        ├── DeadlinePassed     no whole answer by the deadline
        ├── ConnectionLost     closed or reset before the whole answer
        ├── BadReply           an answer that breaks HTTP or a limit
        ├── BadBody            an answer whose body cannot be read as declared
        └── Abandoned          the caller cancelled after the request was written

These are facts about a wire, not problems to show: the gateway knows department and operation and turns them into
failures of `onestop.errors`. No message carries a byte of what the other side said.
"""

from typing import ClassVar


class OutboundError(Exception):
    """A call to another system did not end in an answer that can be used."""

    sent: ClassVar[bool] = True
    default_reason: ClassVar[str] = "outbound"

    def __init__(self, reason: str = "", detail: str = "") -> None:
        self.reason = reason or self.default_reason
        self.detail = detail  # our words only: a path in the answer, an errno's name; never content
        super().__init__(f"{self.reason}: {detail}" if detail else self.reason)


class NotSent(OutboundError):
    """The other side has seen no byte of the request."""

    sent = False


class BadMessage(NotSent, ValueError):
    """The request cannot be written without changing its meaning on the wire."""

    default_reason = "bad_message"


class AddressRefused(NotSent):
    """No address of the host may be connected to."""

    default_reason = "address_refused"


class Refused(NotSent):
    """The host answered that nobody listens on the port."""

    default_reason = "refused"


class Unreachable(NotSent):
    """The host has no address, there is no way to it, or it hung up while we connected."""

    default_reason = "unreachable"


class TlsFailed(NotSent):
    """TLS could not be agreed on, or the certificate is not the host's."""

    default_reason = "tls"


class ConnectTimeout(NotSent):
    """No connection was made in the time for connecting."""

    default_reason = "connect_timeout"


class PoolTimeout(NotSent):
    """All connections were busy until the call's time was over."""

    default_reason = "queue_timeout"


class TooManyWaiting(NotSent):
    """All connections are busy and as many calls wait as may wait."""

    default_reason = "too_many_waiting"


class PoolClosed(NotSent):
    """The pool has been closed."""

    default_reason = "pool_closed"


class Withdrawn(NotSent):
    """The caller cancelled the call before it was written."""

    default_reason = "withdrawn"


class MaybeSent(OutboundError):
    """The request was written; whether it took effect is unknown."""


class DeadlinePassed(MaybeSent):
    """The whole answer was not here by the deadline."""

    default_reason = "deadline"


class ConnectionLost(MaybeSent):
    """The connection ended before the whole answer.

    `reason` is `closed_early` (no byte of an answer), `truncated` or `reset`. `stale` is true when the connection had
    served before and not one byte came back: most likely the other side had closed it while it was idle, so a call
    that may be repeated should be repeated at once, on a fresh connection. It is still not known to be unsent.
    """

    default_reason = "closed_early"

    def __init__(self, reason: str = "", detail: str = "", *, stale: bool = False) -> None:
        super().__init__(reason, detail)
        self.stale = stale


class BadReply(MaybeSent):
    """The answer breaks HTTP, or is larger than allowed; `reason` says how."""

    default_reason = "malformed"


class BadBody(MaybeSent):
    """The body of an answer cannot be read strictly; `reason` says why, `detail` where."""

    default_reason = "bad_body"


class Abandoned(MaybeSent):
    """The caller cancelled the call after it was written; its connection was cut."""

    default_reason = "abandoned"
