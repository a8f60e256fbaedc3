"""The limit: what Python itself costs when nothing stands between the sockets and the work.

An asyncio protocol as the server, kept connections as the client, sixteen asyncpg connections with prepared statements
and no pool. It is not a product: it trusts that its caller speaks plain HTTP/1.1 and sends one request at a time.
"""

import asyncio
import base64
import os
import time
import uuid
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar

import asyncpg
import httptools
import msgspec
import uvloop
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

ORIGINS = [origin.removeprefix("http://") for origin in os.environ["BENCH_DEPARTMENTS"].split(",")]
NAMES = [f"bench-{n + 1}" for n in range(len(ORIGINS))]
PUBLIC_KEY: Any = load_pem_public_key(Path(os.environ["BENCH_KEY"]).read_bytes())
SHA256 = ec.ECDSA(hashes.SHA256())
KEEP_TOKENS = os.environ.get("BENCH_KEEP_TOKENS") == "1"
BUDGET_S = 0.5

SELECT_CITIZEN = "SELECT id, name, district, assurance, updated_at FROM citizens WHERE id = $1"
INSERT_CASE = """
    WITH opened AS (INSERT INTO cases (id, citizen_id, item, state, answers) VALUES ($1, $2, $3, $4, $5::text::jsonb)),
         noted AS (INSERT INTO audit (case_id, actor, action, detail) VALUES ($1, $2, 'case.submit', $6::text::jsonb))
    INSERT INTO effects (case_id, department, key, state, answer)
    SELECT $1, e.department, e.key, e.state, e.answer::jsonb
      FROM unnest($7::text[], $8::text[], $9::text[], $10::text[]) AS e (department, key, state, answer)
"""


class Claims(msgspec.Struct):
    iss: str
    aud: str
    sub: str
    exp: int


class Answers(msgspec.Struct, forbid_unknown_fields=True):
    note: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class NewCase(msgspec.Struct, forbid_unknown_fields=True):
    item: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{3,40}$")]
    submit: bool
    answers: Answers


class Fee(msgspec.Struct):
    code: str
    kind: str
    amount_fen: int
    paid: bool


class Answer(msgspec.Struct):
    department: str
    receipt: str
    state: str
    decided_at: datetime
    lines: list[Fee]
    remark: str


class Part(msgspec.Struct, omit_defaults=True):
    department: str
    state: str
    answer: Answer | None = None


class Case(msgspec.Struct):
    id: uuid.UUID
    complete: bool
    parts: list[Part]


read_header = msgspec.json.Decoder(dict[str, Any]).decode
read_claims = msgspec.json.Decoder(Claims).decode
read_case = msgspec.json.Decoder(NewCase).decode
read_answer = msgspec.json.Decoder(Answer).decode
write = msgspec.json.Encoder().encode


def unpad(text: bytes) -> bytes:
    return base64.urlsafe_b64decode(text + b"==")


def verified(token: bytes) -> tuple[int, int]:
    """Return the citizen and the expiry; raises whatever is wrong with the token."""
    signed, _, signature = token.rpartition(b".")
    header, _, claims_text = signed.partition(b".")
    raw = unpad(signature)
    if read_header(unpad(header)).get("alg") != "ES256" or len(raw) != 64:
        raise ValueError("algorithm")
    PUBLIC_KEY.verify(encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:])), signed, SHA256)
    claims = read_claims(unpad(claims_text))
    if claims.iss != "https://id.bench.test" or claims.aud != "one-stop" or claims.exp <= time.time():
        raise ValueError("claims")
    return int(claims.sub), claims.exp


kept: dict[bytes, tuple[int, int]] = {}


def citizen_of(token: bytes) -> int | None:
    known = kept.get(token)
    if known and known[1] > time.time():
        return known[0]
    try:
        known = verified(token)
    except (ValueError, InvalidSignature, msgspec.MsgspecError):
        return None
    if KEEP_TOKENS:
        kept[token] = known
    return known[0]


class Statement:
    """One statement, prepared on sixteen connections that are shared with the other statements."""

    free: ClassVar[deque[tuple[Any, ...]]] = deque()
    waiting: ClassVar[deque[asyncio.Future[tuple[Any, ...]]]] = deque()

    @classmethod
    async def open(cls, *statements: str) -> None:
        for _ in range(16):
            db = await asyncpg.connect(os.environ["BENCH_DSN"])
            cls.free.append(tuple([await db.prepare(text) for text in statements]))
            await db.execute("SELECT 1")  # preparing leaves a transaction open until the next statement

    @classmethod
    async def run(cls, index: int, *values: Any) -> Any:
        if cls.free:
            prepared = cls.free.pop()
        else:
            turn = asyncio.get_running_loop().create_future()
            cls.waiting.append(turn)
            prepared = await turn
        try:
            return await prepared[index].fetchrow(*values)
        finally:
            if cls.waiting:
                cls.waiting.popleft().set_result(prepared)
            else:
                cls.free.append(prepared)


class Question:
    """What is asked of some departments at once: one future and one timer for all of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop, count: int) -> None:
        self.answers: list[bytes | None] = [None] * count
        self.lanes: set[Lane] = set()
        self.open = count
        self.late = False
        self.over = loop.create_future()
        self.timer = loop.call_later(BUDGET_S, self.expire)

    def settle(self, place: int, answer: bytes | None) -> None:
        self.answers[place] = answer
        self.open -= 1
        if not self.open and not self.over.done():
            self.timer.cancel()
            self.over.set_result(None)

    def expire(self) -> None:
        self.late = True
        for lane in self.lanes:
            lane.transport.abort()
        if not self.over.done():
            self.over.set_result(None)


class Lane(asyncio.Protocol):
    """One kept connection to one department."""

    idle: ClassVar[list[list["Lane"]]] = [[] for _ in ORIGINS]
    transport: asyncio.Transport

    def __init__(self, department: int) -> None:
        self.department = department
        self.question: Question | None = None
        self.place = 0
        self.body = b""
        self.parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, question: Question, place: int, request: bytes) -> None:
        self.question, self.place, self.body = question, place, b""
        question.lanes.add(self)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        question, self.question = self.question, None
        self.idle[self.department].append(self)
        if question:
            question.lanes.discard(self)
            question.settle(self.place, self.body if self.parser.get_status_code() == 200 else None)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self.idle[self.department]:
            self.idle[self.department].remove(self)
        if self.question:
            self.question.settle(self.place, None)


async def dial(question: Question, place: int, department: int, request: bytes) -> None:
    host, _, port = ORIGINS[department].partition(":")
    try:
        _, lane = await question.over.get_loop().create_connection(lambda: Lane(department), host, int(port))
    except OSError:
        question.settle(place, None)
        return
    if question.over.done():
        lane.transport.close()
    else:
        lane.ask(question, place, request)


dialling: set[asyncio.Task[None]] = set()


async def ask_all(requests: list[bytes]) -> Question:
    """Send the n-th request to the n-th department and wait for all answers or the end of the budget."""
    question = Question(asyncio.get_running_loop(), len(requests))
    for place, request in enumerate(requests):
        idle = Lane.idle[place]
        if idle:
            idle.pop().ask(question, place, request)
        else:
            task = asyncio.create_task(dial(question, place, place, request))
            dialling.add(task)
            task.add_done_callback(dialling.discard)
    await question.over
    return question


def application(place: int, key: str, citizen: int, note: str) -> bytes:
    body = write({"serial": key, "citizen": citizen, "note": note})
    return (
        b"POST /applications HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key: %b\r\nContent-Length: %d\r\n\r\n%b"
    ) % (ORIGINS[place].encode(), key.encode(), len(body), body)


def part_of(name: str, text: bytes | None, late: bool) -> Part:
    if text is None:
        return Part(name, "late" if late else "failed")
    try:
        return Part(name, "ok", read_answer(text))
    except msgspec.MsgspecError:
        return Part(name, "failed")


async def open_case(citizen: int, body: bytes) -> tuple[int, bytes]:
    try:
        data = read_case(body)
    except msgspec.MsgspecError:
        return 422, b'{"error":"invalid case"}'
    case_id = uuid.uuid4()
    keys = [f"{case_id}-{n + 1}" for n in range(len(NAMES))]
    asked = await ask_all([application(n, key, citizen, data.answers.note) for n, key in enumerate(keys)])
    parts = [part_of(name, text, asked.late) for name, text in zip(NAMES, asked.answers, strict=True)]
    complete = all(part.state == "ok" for part in parts)
    await Statement.run(
        1,
        case_id,
        citizen,
        data.item,
        "submitted" if complete else "partial",
        write(data.answers).decode(),
        write({"item": data.item, "states": [part.state for part in parts]}).decode(),
        NAMES,
        keys,
        ["done" if part.answer else "unknown" for part in parts],
        [write(part.answer).decode() if part.answer else None for part in parts],
    )
    return 201, write(Case(case_id, complete, parts))


async def pass_on() -> tuple[int, bytes]:
    asked = await ask_all([b"GET /records HTTP/1.1\r\nHost: %b\r\n\r\n" % ORIGINS[0].encode()])
    return (502, b"{}") if asked.answers[0] is None else (200, asked.answers[0])


async def me(citizen: int) -> tuple[int, bytes]:
    row = await Statement.run(0, citizen)
    return (200, write(dict(row))) if row else (404, b"{}")


class Door(asyncio.Protocol):
    """One connection of a caller."""

    streams: ClassVar[set["Door"]] = set()
    transport: asyncio.Transport

    def __init__(self) -> None:
        self.parser = httptools.HttpRequestParser(self)
        self.task: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.streams.discard(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.path = self.token = self.body = b""

    def on_url(self, url: bytes) -> None:
        self.path = url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 13 and name.lower() == b"authorization" and value[:7] == b"Bearer ":
            self.token = value[7:]

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        if self.path == b"/events":
            self.stream()
        else:
            self.task = asyncio.create_task(self.reply())

    async def reply(self) -> None:
        status, out = await self.route()
        head = b"HTTP/1.1 %d -\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % (status, len(out))
        self.transport.write(head + out)

    async def route(self) -> tuple[int, bytes]:
        if self.path == b"/ready":
            return 200, b'{"ready":true}'
        if self.path == b"/pass":
            return await pass_on()
        citizen = citizen_of(self.token)
        if citizen is None:
            return 401, b'{"error":"invalid token"}'
        if self.path == b"/me":
            return await me(citizen)
        return await open_case(citizen, self.body) if self.path == b"/cases" else (404, b"{}")

    def stream(self) -> None:
        citizen = citizen_of(self.token)
        if citizen is None:
            self.transport.write(b"HTTP/1.1 401 -\r\nContent-Length: 0\r\n\r\n")
            return
        self.streams.add(self)
        self.transport.write(
            b'HTTP/1.1 200 -\r\nContent-Type: text/event-stream\r\n\r\ndata: {"citizen":%d}\n\n' % citizen
        )


async def main() -> None:
    await Statement.open(SELECT_CITIZEN, INSERT_CASE)
    loop = asyncio.get_running_loop()
    await loop.create_server(Door, "127.0.0.1", int(os.environ["BENCH_PORT"]), backlog=2048)
    while True:
        await asyncio.sleep(15)
        for door in Door.streams:
            door.transport.write(b": still here\n\n")


uvloop.run(main())
