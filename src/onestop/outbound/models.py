"""What a call may cost, and what it brings back."""

import msgspec


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one call may cost us; its total deadline is given with the call."""

    header_bytes: int = 32 * 1024  # all heads of the call together, interim replies and trailers included
    header_count: int = 100
    interim_replies: int = 8  # 1xx
    wire_bytes: int = 2 * 1024 * 1024  # body as it comes, chunk framing included
    inflated_bytes: int = 4 * 1024 * 1024  # body after gzip or deflate
    queue_s: float | None = None  # longest wait for a connection; None: until the deadline
    unframed: bool = False  # accept a body that ends with the connection; a cut cannot be told from its end


DEFAULT_LIMITS = Limits()


class Reply(msgspec.Struct, frozen=True):
    """One whole answer, held in memory.

    Names in `headers` are lower case, in the order they came. Set-Cookie is left out, and so are trailers.
    Content-Encoding is left out when `body` has been inflated. The instants are `time.perf_counter` seconds.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    reused: bool  # the connection had served before
    connect_s: float  # part of the wait that was spent connecting
    started: float  # handed to the pool
    written: float  # handed to the socket
    first_byte: float
    ended: float

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a header by its lower-case name; None when absent."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    @property
    def connect_ms(self) -> float:
        """Milliseconds spent on a new connection; 0 when one was there."""
        return self.connect_s * 1000

    @property
    def queue_ms(self) -> float:
        """Milliseconds spent waiting for a free connection."""
        return (self.written - self.started - self.connect_s) * 1000

    @property
    def wait_ms(self) -> float:
        """Milliseconds from writing to the first byte of the answer."""
        return (self.first_byte - self.written) * 1000

    @property
    def read_ms(self) -> float:
        """Milliseconds from the first byte to the whole answer."""
        return (self.ended - self.first_byte) * 1000
