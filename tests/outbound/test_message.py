"""Requests no header can break out of, and replies that read the same however they are cut up."""

import asyncio
import contextlib
import gzip
import itertools
from typing import Any

import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onestop.outbound.connection import Connection, Sending
from onestop.outbound.errors import BadMessage, BadReply, OutboundError
from onestop.outbound.message import RESERVED, build_request, finish_request, inflate, start_request
from onestop.outbound.models import DEFAULT_LIMITS, Reply
from outbound.hostile import ASK, REPLIES

TEXT = st.text(alphabet=st.sampled_from("aZ0-:/ ?#%\r\n\t\0\x0b\x7f\x85é\u2028云"), max_size=12)


class Read:
    """What another parser makes of a message."""

    def __init__(self, message: bytes) -> None:
        self.targets: list[bytes] = []
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.ended = 0
        self.parser = httptools.HttpRequestParser(self)
        self.parser.feed_data(message)

    def on_url(self, url: bytes) -> None:
        self.targets.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode(), value.decode().strip("\t ")))  # blanks around a value are not part of it

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ended += 1


def test_a_request_is_written_with_its_framing() -> None:
    assert build_request("POST", "/a?b=%20", "h:8001", [("X-Key", "v w")], b"{}") == (
        b"POST /a?b=%20 HTTP/1.1\r\nHost: h:8001\r\nAccept-Encoding: identity\r\n"
        b"X-Key: v w\r\nContent-Length: 2\r\n\r\n{}"
    )
    assert build_request("GET", "/", "[::1]:80").startswith(b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n")
    assert build_request("DELETE", "/", "h").endswith(b"identity\r\n\r\n")
    assert build_request("PUT", "/", "h").endswith(b"Content-Length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "given_",
    [
        ("GET ", "/", "h", []),
        ("get", "/", "h", []),
        ("CONNECT", "/", "h", []),
        ("GET", "", "h", []),
        ("GET", "a", "h", []),
        ("GET", "http://h/", "h", []),
        ("GET", "/a b", "h", []),
        ("GET", "/#x", "h", []),
        ("GET", "/云", "h", []),
        ("GET", "/ HTTP/1.1\r\nX: y\r\n\r\n", "h", []),
        ("GET", "/", "", []),
        ("GET", "/", "h/", []),
        ("GET", "/", "user@h", []),
        ("GET", "/", "h\r\nX: y", []),
        ("GET", "/", "h", [("X", "a\r\nY: b")]),
        ("GET", "/", "h", [("X", "a\nY: b")]),
        ("GET", "/", "h", [("X", "a\rb")]),
        ("GET", "/", "h", [("X", "a\0b")]),
        ("GET", "/", "h", [("X", "云溪")]),
        ("GET", "/", "h", [("", "a")]),
        ("GET", "/", "h", [("X Y", "a")]),
        ("GET", "/", "h", [("X:", "a")]),
        ("GET", "/", "h", [("X\r\nY", "a")]),
        *(("GET", "/", "h", [(name.title(), "1")]) for name in sorted(RESERVED)),
    ],
)
def test_what_would_change_the_shape_of_a_request_is_refused(given_: Any) -> None:
    with pytest.raises(BadMessage) as caught:
        build_request(*given_)
    assert not caught.value.sent


@settings(max_examples=400)
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]) | TEXT,
    path=TEXT.map(lambda text: "/" + text) | TEXT,
    host=st.sampled_from(["h", "h:80"]) | TEXT,
    headers=st.lists(st.tuples(st.sampled_from(["X-A", "Accept"]) | TEXT, TEXT), max_size=3),
    shared=st.integers(0, 3),
    body=st.binary(max_size=20),
)
def test_a_request_is_read_as_it_was_meant_or_not_written(
    method: str, path: str, host: str, headers: list[tuple[str, str]], shared: int, body: bytes
) -> None:
    try:
        message = finish_request(start_request(method, path, host, headers[:shared]), headers[shared:], body)
    except BadMessage:
        with pytest.raises(BadMessage):
            build_request(method, path, host, headers, body)
        return
    assert message == build_request(method, path, host, headers, body)
    read = Read(message)
    assert (read.targets, read.ended, read.body) == ([path.encode()], 1, body)
    added = [("Host", host), ("Accept-Encoding", "identity")]
    length = [("Content-Length", str(len(body)))] if body or method in ("POST", "PUT") else []
    assert read.headers == added + [(name, value.strip("\t ")) for name, value in headers] + length


class Wire:
    """A transport that goes nowhere."""

    def __init__(self) -> None:
        self.closing = False

    def write(self, data: bytes) -> None:
        assert data == ASK

    def abort(self) -> None:
        self.closing = True

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0


class Owner:
    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.free: list[Connection] = []

    def freed(self, connection: Connection) -> None:
        self.free.append(connection)

    def lost(self, connection: Connection) -> None: ...

    def withdraw(self, sending: Sending) -> None: ...


def heard(pieces: list[bytes]) -> tuple[list[Reply | OutboundError], bool]:
    """Play one reply in pieces; returns what was told and whether the connection may serve again."""
    owner, outcomes = Owner(), []
    try:
        wire = Wire()
        connection = Connection(owner)
        connection.connection_made(wire)  # type: ignore[arg-type]
        connection.start(Sending(owner, ASK, owner.loop.time() + 9, outcomes.append, DEFAULT_LIMITS))
        for piece in pieces:
            if not wire.closing:
                connection.data_received(piece)
        connection.connection_lost(None)
        return outcomes, bool(owner.free) and not wire.closing
    finally:
        owner.loop.close()


def cut(raw: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted({place % len(raw) for place in places} - {0}), len(raw)]
    return [raw[start:end] for start, end in itertools.pairwise(edges)]


def chunked(body: bytes, sizes: list[int]) -> bytes:
    out = b""
    while body:
        size = sizes[len(out) % len(sizes)] if sizes else len(body)
        piece, body = body[:size], body[size:]
        out += b"%x;ext=1\r\n%b\r\n" % (len(piece), piece)
    return out + b"0\r\nX-Trailer: never believed\r\n\r\n"


PLACES = st.lists(st.integers(0, 10_000), max_size=60)


@settings(max_examples=300)
@given(
    body=st.binary(max_size=300),
    sizes=st.none() | st.lists(st.integers(1, 50), max_size=4),
    packed=st.booleans(),
    interim=st.integers(0, 3),
    places=PLACES,
)
def test_a_reply_reads_the_same_however_it_is_cut_up(
    body: bytes, sizes: list[int] | None, packed: bool, interim: int, places: list[int]
) -> None:
    sent = gzip.compress(body) if packed else body
    head = (
        b"HTTP/1.1 100 Continue\r\nX: y\r\n\r\n" * interim + b"HTTP/1.1 201 Created\r\nETag: a\r\nSet-Cookie: b=c\r\n"
    )
    head += b"Content-Encoding: gzip\r\n" if packed else b""
    if sizes is None:
        raw = head + b"Content-Length: %d\r\n\r\n" % len(sent) + sent
    else:
        raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(sent, sizes)
    (whole,), kept = heard([raw])
    (pieced,), kept_too = heard(cut(raw, places))
    assert isinstance(whole, Reply)
    assert isinstance(pieced, Reply)
    assert (pieced.status, pieced.headers, pieced.body) == (whole.status, whole.headers, whole.body)
    assert whole.body == body
    assert (whole.status, whole.headers[0]) == (201, (b"etag", b"a"))
    assert kept
    assert kept_too


# What stands behind the end of a message can only be seen when it comes with it: see test_hostile for the later case.
SHAPES = [name for name, (raw, reason) in REPLIES.items() if reason != "surplus" and len(raw) < 5000]


@settings(max_examples=300)
@given(name=st.sampled_from(SHAPES), places=PLACES)
def test_a_bad_reply_is_refused_for_the_same_reason_however_it_is_cut_up(name: str, places: list[int]) -> None:
    raw, reason = REPLIES[name]
    (outcome,), kept = heard(cut(raw, places))
    assert isinstance(outcome, BadReply)
    assert outcome.reason == reason
    assert not kept


@settings(max_examples=300)
@given(garbage=st.binary(min_size=1, max_size=200), places=PLACES, lead=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n"]))
def test_garbage_ends_as_one_outcome(garbage: bytes, places: list[int], lead: bytes) -> None:
    outcomes, _ = heard(cut(lead + garbage, places))
    assert len(outcomes) == 1


@given(st.binary(max_size=200), st.sampled_from([b"gzip", b"deflate", b"x-gzip"]))
def test_inflating_garbage_fails_as_a_bad_reply_or_stays_within_its_limit(garbage: bytes, coding: bytes) -> None:
    with contextlib.suppress(BadReply):
        assert len(inflate(garbage, coding, 50)) <= 50
