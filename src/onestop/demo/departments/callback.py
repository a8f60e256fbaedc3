"""人社局, social security: takes a submission now, answers later by a signed callback repeated until it is heard."""

import asyncio
import random
import secrets
import time
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from onestop.demo.departments import auth
from onestop.demo.departments.desk import Desk, Effect, Refusal
from onestop.demo.departments.ledger import Entry
from onestop.demo.departments.wire import Reply, Request, decoded, json_reply
from onestop.demo.people import is_id_number

IdNumber = Annotated[str, Meta(min_length=18, max_length=18)]
Name = Annotated[str, Meta(min_length=1, max_length=60)]

_REFUSALS: dict[str, tuple[int, str]] = {
    "unauthenticated": (401, "bad_api_key"),
    "bad_request": (400, "bad_request"),
    "unknown_path": (404, "unknown_path"),
    "not_found": (404, "person_not_found"),
    "no_such_serial": (404, "serial_not_found"),
    "differs": (422, "record_differs"),
    "moved": (404, "record_moved"),
    "duplicate": (409, "duplicate_serial"),
    "broken": (500, "internal"),
}
_STATUS = {"pending": "accepted", "done": "completed", "moved": "transferred"}
CALLBACK = "callback"
_TIMEOUT_S = 5.0
_LONGEST_WAIT_S = 30.0


class InsuranceQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose insurance months are asked for."""

    id_number: IdNumber


class Submission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A first social security card for `holder`, asked for by `applicant`."""

    serial: Annotated[str, Meta(min_length=1, max_length=64)]
    service: Literal["social_security_card"]
    applicant_id: IdNumber
    applicant_name: Name
    holder_id: IdNumber
    holder_name: Name
    phone: str | None = None
    post_to: str | None = None


class Renshe:
    """The social security system and its outgoing callbacks."""

    def __init__(self, desk: Desk, portal: str) -> None:
        self._desk = desk
        self._url = f"{portal}/v1/callbacks/renshe"
        self._calls: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Take up the callbacks that were not heard before the restart; needs a running loop."""
        heard = {(e.key, e.outcome) for e in self._desk.ledger.entries if e.operation == CALLBACK}
        for entry in self._desk.ledger.entries:
            if entry.operation == "social_security_card" and entry.outcome != "duplicate":
                self._owe(entry, heard)

    async def answer(self, request: Request) -> Reply:
        """Serve the query, submissions and their look-up."""
        auth.require(request.headers.get("x-api-key"), self._desk.secrets["api_key"])
        match request.method, request.path.split("/"):
            case "POST", ["", "social-insurance", "query"]:
                return await self._insurance(request)
            case "POST", ["", "submissions"]:
                return await self._submit(request)
            case "GET", ["", "submissions", serial]:
                entry = self._desk.ledger.by_key.get(serial)
                if entry is None:
                    raise Refusal("no_such_serial", "没有该流水号对应的业务")
                return json_reply(self._told(entry, self._desk.phase(entry)))
        raise Refusal("unknown_path", "接口不存在")

    def refuse(self, refusal: Refusal) -> Reply:
        """Answer with a status, a code and a sentence."""
        status, code = _REFUSALS[refusal.kind]
        return json_reply({"code": code, "message": refusal.sentence, **refusal.facts}, status)

    async def _insurance(self, request: Request) -> Reply:
        number = _read(request, InsuranceQuery).id_number
        found = await self._desk.consult(request, number, lambda facts: facts.social_insurance)
        content = {
            "id_number": number,
            "name": self._desk.name(request, number),
            "as_of": self._desk.as_of(request),
            "insurance": found,
        }
        return json_reply(content)

    async def _submit(self, request: Request) -> Reply:
        asked: Submission = _read(request, Submission)
        if not is_id_number(asked.holder_id):
            raise Refusal("bad_request", "持卡人公民身份号码校验码不正确", field="holder_id")

        def make() -> Effect:
            card_no = f"云A{990000 + self._desk.ledger.count('social_security_card') + 1:08d}"
            return card_no, {"card_no": card_no}

        entry, new = await self._desk.take(
            request,
            "social_security_card",
            asked.serial,
            (asked.applicant_id, asked.holder_id),
            make,
            due_ms=self._desk.faults.manners.delay_ms,
            receipt="RS9901",
            replays=False,
        )
        self._owe(entry, set())
        return json_reply(self._told(entry, "pending"), 202, effect=new)

    def _told(self, entry: Entry, phase: str) -> dict[str, Any]:
        told = {"serial": entry.key, "receipt": entry.facts["receipt"], "status": _STATUS.get(phase, phase)}
        names = {
            "done": ("card_no",),
            "extended": ("due_on",),
            "declined": ("reason",),
            "correction": ("corrections",),
            "moved": ("region",),
        }
        return told | {name: entry.facts[name] for name in names.get(phase, ())}

    def _owe(self, entry: Entry, heard: set[tuple[str, str]]) -> None:
        """Start one task for each answer this submission still has to send."""
        due = [(entry.outcome, entry.due)]
        if entry.outcome == "extended":
            due.append(("done", entry.due + self._desk.faults.manners.extension_ms / 1000))
        for phase, at in due:
            if (entry.key, _STATUS.get(phase, phase)) not in heard:
                task = asyncio.get_running_loop().create_task(self._call_back(entry, phase, at))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)

    async def _call_back(self, entry: Entry, phase: str, at: float) -> None:
        await asyncio.sleep(max(0.0, at - time.time()))
        wait = 0.5
        while not (self._up() and await self._heard(entry, phase)):
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))
            wait = min(wait * 2, _LONGEST_WAIT_S)
        self._desk.ledger.append(
            at=datetime.now(UTC).isoformat(timespec="milliseconds"),
            operation=CALLBACK,
            key=entry.key,
            person=entry.person,
            outcome=_STATUS.get(phase, phase),
        )

    def _up(self) -> bool:
        """Tell whether this system works at all: one that hangs or fails calls nobody back."""
        return self._desk.fault_in_force() not in ("timeout", "error")

    async def _heard(self, entry: Entry, phase: str) -> bool:
        body = msgspec.json.encode({**self._told(entry, phase), "sent_at": self._desk.now()})
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        base = f"{timestamp}\n{nonce}\n".encode() + body
        headers = {
            "Content-Type": "application/json",
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Signature": auth.signature(self._desk.secrets["callback_secret"], base).hex(),
        }
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return 200 <= await post(self._url, headers, body) < 300
        except (OSError, TimeoutError, ValueError, EOFError):
            return False


async def post(url: str, headers: dict[str, str], body: bytes) -> int:
    """Send one POST on a connection of its own and return the status; enough for a callback, and starts fast.

    Raises:
        OSError, EOFError, ValueError: nobody answered, or not in HTTP.
    """
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    reader, writer = await asyncio.open_connection(parts.hostname, port, ssl=parts.scheme == "https" or None)
    try:
        head = {"Host": parts.netloc, "Content-Length": str(len(body)), "Connection": "close", **headers}
        lines = [f"POST {parts.path or '/'} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items()), "", ""]
        writer.write("\r\n".join(lines).encode("latin-1") + body)
        await writer.drain()
        status_line = await reader.readuntil(b"\r\n")
        return int(status_line.split()[1])
    except IndexError as fault:
        raise ValueError("not an HTTP answer") from fault
    finally:
        writer.close()


def _read(request: Request, shape: type[Any]) -> Any:
    try:
        return decoded(request.body, shape)
    except ValueError as fault:
        raise Refusal("bad_request", str(fault)) from fault
