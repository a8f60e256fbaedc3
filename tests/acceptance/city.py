"""A whole city run by its own command, and what people outside do with it, over HTTP alone."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import onestop
from onestop.demo import people, supervisor
from onestop.demo.folder import Folder
from onestop.demo.secrets import control_door
from onestop.demo.visitor import Answer, Visitor
from tests.ports import free_port

SOURCE = str(Path(onestop.__file__).parents[1])
START_S = 90
WANTS = [d.query for d in people.departments() if d.query]
ENDED = ("completed", "declined", "not_started", "withdrawn")
_MEMBERS = {"type", "title", "status", "detail", "instance", "code", "stage", "who_acts", "retry", "request_id"}
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_TYPED = {
    "mother.insured": True,
    "baby.name": "周沐禾",
    "baby.sex": "female",
    "baby.born_on": "2025-11-18",
    "birth.hospital": "云溪市妇幼保健院",
    "contact.phone": "15400000001",
    "guidance.station": "liuan",
}
Found = TypeVar("Found")


def fresh_key() -> str:
    """Return an idempotency key nobody has used."""
    return f"acc-{secrets.token_hex(12)}"


def until(look: Callable[[], Found | None], patience_s: float, pause_s: float = 0.1) -> Found:
    """Look again and again until there is something to see; fails when patience ends."""
    end = time.monotonic() + patience_s
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < end, f"nothing came within {patience_s} s"
        time.sleep(pause_s)


class City:
    """One running demo, in a folder of its own."""

    def __init__(self) -> None:
        # Not pytest's own folder: that is closed to others, and PostgreSQL runs as somebody else where we are root.
        self._top = Path(tempfile.mkdtemp(prefix="onestop-acceptance-", dir="/tmp"))
        self._top.chmod(0o711)
        self.state = self._top / "state"
        self.port = free_port(100)
        self.url = f"http://{supervisor.HOST}:{self.port}"
        self._tokens: dict[tuple[str, str, str | None], str] = {}
        environ = {name: value for name, value in os.environ.items() if not name.startswith("ONESTOP_")}
        with (self._top / "demo.out").open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "onestop", "demo", "--port", str(self.port), "--state", str(self.state)],
                env=environ | {"PYTHONPATH": SOURCE},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )

    def wait(self) -> None:
        """Wait until the whole city answers."""
        until(lambda: self._ready() or self._process.poll() is not None, START_S)
        assert self._ready(), self.said()

    def _ready(self) -> bool:
        record = Folder(self.state).read()
        return record is not None and record.state == "ready"

    def said(self) -> str:
        """Return what the command printed."""
        return (self._top / "demo.out").read_text("utf-8", "replace")

    def stop(self) -> int:
        """End the city as a terminal would and return the command's exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(30)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            shutil.rmtree(self._top, ignore_errors=True)

    def logs(self) -> dict[str, str]:
        """Return every process's log by file name."""
        return {path.name: path.read_text("utf-8", "replace") for path in (self.state / "logs").iterdir()}

    # ---- people ------------------------------------------------------------------------------------------------------

    def token(self, person: str, role: str = "citizen", department: str | None = None) -> str:
        """Return a bearer token in somebody's name."""
        wanted = {"person": person, "role": role} | ({"department": department} if department else {})
        answer = Visitor(self.url).post("/v1/auth/tokens", wanted)
        assert answer.status == 201, answer
        token: str = answer.json()["access_token"]
        return token

    def visitor(
        self, person: str, role: str = "citizen", department: str | None = None, *, lang: str = "zh-CN"
    ) -> Visitor:
        """Return somebody who is signed in; their token is asked for once."""
        known = (person, role, department)
        if known not in self._tokens:
            self._tokens[known] = self.token(*known)
        return Visitor(self.url, lang=lang, token=self._tokens[known])

    def clerk(self, department: str = "zwfw") -> Visitor:
        """Return somebody at a department's desk."""
        return self.visitor("window03", "clerk", department)

    # ---- departments -------------------------------------------------------------------------------------------------

    def control(self, department: str, path: str, order: dict[str, Any] | None = None) -> Any:
        """Give an order at a department's control door; read where there is none."""
        url, secret = control_door(self.state, department)
        door = Visitor(url)
        asked = {"x_sandbox_control": secret}
        answer = door.get(path, **asked) if order is None else door.post(path, order, **asked)
        assert answer.status == 200, answer
        return answer.json()

    def ledger(self, department: str) -> list[dict[str, Any]]:
        """Return a department's own ledger."""
        entries: list[dict[str, Any]] = self.control(department, "/_ledger")["entries"]
        return entries

    def effects_of(self, department: str, case_id: str) -> list[dict[str, Any]]:
        """Return what a department did for a case: the entries that changed anything."""
        mark = case_id.partition("_")[2]
        return [e for e in self.ledger(department) if e["key"].startswith(mark) and e.get("effect_id")]

    @contextmanager
    def failing(self, department: str, mode: str, **how: Any) -> Iterator[None]:
        """Let a department misbehave for as long as this lasts."""
        self.control(department, "/_fail", {"mode": mode, "for_s": 120, **how})
        try:
            yield
        finally:
            self.control(department, "/_heal", {})

    @contextmanager
    def hung(self, department: str) -> Iterator[None]:
        """Stop a department's process where it stands: connections open, and nobody answers."""
        record = Folder(self.state).read()
        assert record is not None
        pid = record.processes[department]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def kill(self, department: str) -> None:
        """Kill a department's process; the supervisor starts another within a second or so."""
        record = Folder(self.state).read()
        assert record is not None
        os.kill(record.processes[department], signal.SIGKILL)

    def await_department(self, department: str) -> None:
        """Wait until a department's system answers again."""

        def answers() -> bool:
            with suppress(Exception):
                return Visitor(control_door(self.state, department)[0]).get("/_health").status == 200
            return False

        until(answers, 20)

    # ---- the birth bundle --------------------------------------------------------------------------------------------

    def open_birth(self, visitor: Visitor) -> tuple[dict[str, Any], str]:
        """Open a draft and return it with its ETag."""
        answer = visitor.post("/v1/cases", {"item": "birth"}, idempotency_key=fresh_key())
        assert answer.status == 201, answer.body.decode()
        return answer.json(), answer.headers["etag"]

    def fill_birth(self, visitor: Visitor, case: dict[str, Any], etag: str) -> str:
        """Type what no department gave and return the new ETag."""
        typed: dict[str, dict[str, Any]] = {}
        for group, fields in case["answers"].items():
            for name, answer in fields.items():
                if answer.get("value") is None and f"{group}.{name}" in _TYPED:
                    typed.setdefault(group, {})[name] = _TYPED[f"{group}.{name}"]
        answer = visitor.patch(f"/v1/cases/{case['id']}/answers", {"answers": typed}, if_match=etag)
        assert answer.status == 200, answer.body.decode()
        assert answer.json()["fields"]["to_fill"] == 0
        return answer.headers["etag"]

    def submit_birth(self, visitor: Visitor) -> str:
        """Open, fill and submit a birth bundle; return the case's id."""
        case, etag = self.open_birth(visitor)
        etag = self.fill_birth(visitor, case, etag)
        answer = visitor.post(
            f"/v1/cases/{case['id']}/submission",
            {"declarations": ["all_true"]},
            if_match=etag,
            idempotency_key=fresh_key(),
        )
        assert answer.status == 202, answer.body.decode()
        return str(case["id"])

    def answer_desk(self, number: str, outcome: str = "completed", **more: Any) -> dict[str, Any]:
        """Answer the desk's task of a case, as the clerk of the department without a system."""
        clerk = self.clerk()
        tasks = clerk.get("/v1/tasks?limit=200").json()["data"]
        [task] = [one for one in tasks if one["case_number"] == number]
        body = {"outcome": outcome, **more}
        answer = clerk.post(f"/v1/tasks/{task['id']}/answer", body, idempotency_key=fresh_key())
        assert answer.status == 200, answer.body.decode()
        answered: dict[str, Any] = answer.json()
        return answered


def case_of(visitor: Visitor, case_id: str) -> dict[str, Any]:
    """Return a case as its applicant sees it."""
    answer = visitor.get(f"/v1/cases/{case_id}")
    assert answer.status == 200, answer
    case: dict[str, Any] = answer.json()
    return case


def steps_of(case: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a case's steps by code."""
    return {step["code"]: step for step in case["steps"]}


def await_steps(
    visitor: Visitor, case_id: str, settled: Callable[[dict[str, dict[str, Any]]], bool], patience_s: float = 20
) -> dict[str, Any]:
    """Wait until the steps of a case stand as wanted; return the case."""

    def look() -> dict[str, Any] | None:
        case = case_of(visitor, case_id)
        return case if settled(steps_of(case)) else None

    return until(look, patience_s)


def only_desk_left(steps: Mapping[str, Mapping[str, Any]]) -> bool:
    """Tell whether every step has ended but the one that waits at the desk of the department without a system."""
    return all(s["state"] in ENDED or (s["state"] == "at_desk" and c == "parenting_guidance") for c, s in steps.items())


def events_of(visitor: Visitor, path: str, patience_s: float, most: int, last_id: str | None = None) -> list[Any]:
    """Return at most so many events of a stream."""
    found: list[Any] = []
    with closing(visitor.events(path, patience_s=patience_s, last_id=last_id)) as events:  # type: ignore[type-var]
        for event in events:
            found.append(event)
            if len(found) == most:
                break
    return found


def part(answer: Mapping[str, Any], want: str) -> dict[str, Any]:
    """Return the one part of a composite answer for a want."""
    [found] = [one for one in answer["parts"] if one["want"] == want]
    return dict(found)


def check_problem(answer: Answer, status: int, code: str, lang: str = "zh") -> dict[str, Any]:
    """Check that a refusal is whole, in its reader's language, and has a page to read; return it."""
    assert (answer.status, answer.json()["code"]) == (status, code), f"{answer} {answer.body.decode()}"
    problem: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() >= _MEMBERS
    assert problem["status"] == status
    assert problem["request_id"] == answer.headers["request-id"]
    assert answer.headers["traceparent"]
    for said in ("title", "detail"):
        assert problem[said], said
        assert bool(_CHINESE.search(problem[said])) == (lang == "zh"), problem[said]
        assert "{" not in problem[said], problem[said]
    for error in problem.get("errors", ()):
        assert error["detail"]
        assert not error["detail"].startswith("field."), error
    page = Visitor(answer.url, lang={"zh": "zh-CN", "en": "en"}[lang]).get(problem["type"], accept="text/html")
    assert page.status == 200
    assert problem["title"] in page.body.decode().replace("&#39;", "'").replace("&#34;", '"')
    return problem


def as_text(value: Any) -> str:
    """Return a value as one text to search in."""
    return json.dumps(value, ensure_ascii=False)
