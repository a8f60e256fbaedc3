"""The tour: the main job, done from outside over HTTP, twice; the second time a department fails after the effect.

It believes nothing it is told: at the end every department's own ledger is read through its control door and compared
with onestop's effect ledger. Any difference fails the tour.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from html import unescape
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from onestop.demo import people
from onestop.demo.visitor import Answer, Visitor

FAILING = "gongan"
STEPS = 12
_DEADLINE_MS = 2_500
_DEPARTMENTS_DONE_S = 20.0
_HEALED_S = 25.0
_LOOKS = 4  # minzheng is unreliable by nature; an answer that lacks it is asked for again
_REQUEST = re.compile(r'name="request" value="([^"]+)"')
_TYPED = {
    "baby.name": "周沐禾",
    "baby.sex": "female",
    "baby.born_on": "2025-11-18",
    "birth.hospital": "云溪市妇幼保健院",
    "contact.phone": "15400000001",
    "guidance.station": "liuan",
}

Control = Callable[[str, str, dict[str, Any] | None], Any]
"""Gives an order at a department's control door: department, path, order."""
Tell = Callable[..., None]
"""Called as `tell(step, took_s=…, **facts)` when a step has gone well."""


class Effect(Protocol):
    """What the tour needs of one row of the effect ledger."""

    @property
    def adapter(self) -> str: ...
    @property
    def operation(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def step(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def attempt(self) -> int: ...


Effects = Callable[[list[str]], Sequence[Effect]]


class TourFailed(Exception):
    """Something is not as it must be; `step` says where."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason


class Tour:
    """One tour through a running demo."""

    def __init__(self, url: str, control: Control, effects: Effects, tell: Tell) -> None:
        self._url = url
        self._control = control
        self._effects = effects
        self._tell = tell
        self._step = "start"
        self._cases: list[str] = []
        self._clerk = Visitor(url)

    def run(self) -> dict[str, Any]:
        """Take the whole tour and return what it found.

        Raises:
            TourFailed: something is not as it must be.
            Unreachable: the demo does not answer.
        """
        began = time.monotonic()
        self._control(FAILING, "/_heal", None)
        mother, other = Visitor(self._url), Visitor(self._url)
        self._timed("sign_in", lambda: self._sign_in(mother, "lin"))
        self._timed("affairs", lambda: self._affairs(mother))
        case = self._timed("prefill", lambda: self._open(mother))
        self._timed("fill", lambda: self._fill(mother, case))
        self._timed("submit", lambda: self._submit(mother, case, twice=True))
        self._timed("follow", lambda: self._follow(mother, case, _DEPARTMENTS_DONE_S))
        self._timed("desk", lambda: self._answer_desk(mother, case))
        self._timed("certificate", lambda: self._certificate(mother, case))
        self._timed("stranger", lambda: self._stranger(other, case))
        self._timed("partial", lambda: self._partial(other))
        self._timed("heal", lambda: self._second(other))
        compared = self._timed("ledgers", self._compare)
        return {"took_s": time.monotonic() - began, "cases": len(self._cases), "effects": compared["effects"]}

    def _timed(self, step: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self._step = step
        began = time.monotonic()
        facts = work()
        shown = {name: value for name, value in facts.items() if not name.startswith("_")}
        self._tell(step, took_s=time.monotonic() - began, **shown)
        return facts

    # ---- the steps ---------------------------------------------------------------------------------------------------

    def _sign_in(self, visitor: Visitor, person: str) -> dict[str, Any]:
        """Sign in as a browser does: to the provider, pick a person, back with a code."""
        page = visitor.follow(visitor.get("/auth/sign-in?return_to=/"))
        self._must(page, 200, "the sign-in page")
        request = _REQUEST.search(page.body.decode())
        if request is None:
            raise self._fail("the provider's page holds no request")
        form = f"request={quote(unescape(request[1]), safe='')}&person={person}".encode()
        back = visitor.post(page.url, form, content_type="application/x-www-form-urlencoded")
        # The page it leads to is the portal's; whether it is fine is another matter than being signed in.
        visitor.follow(back)
        me = self._must(visitor.get("/v1/me"), 200, "who am I")
        if re.search(r"\d{8}", me["number_masked"]):
            raise self._fail("the person number came back unmasked")
        return {"name": me["name"], "number": me["number_masked"]}

    def _affairs(self, visitor: Visitor) -> dict[str, Any]:
        """Ask every department at once; every part has a state, a source and an age."""
        wants = [d.query for d in people.departments() if d.query]
        looks = 0
        while True:
            looks += 1
            answer = self._look_up(visitor, wants)
            missing = [part["want"] for part in answer["parts"] if part["state"] != "ok"]
            if not missing:
                break
            if looks == _LOOKS:
                raise self._fail(f"after {looks} looks still without {', '.join(missing)}")
            time.sleep(0.3)
        for part in answer["parts"]:
            if not part.get("source", {}).get("department") or (part.get("found") and not part.get("as_of")):
                raise self._fail(f"{part['want']} does not say who gave it as of when")
        slowest = max(part["took_ms"] for part in answer["parts"])
        return {"departments": len(wants), "looks": looks, "slowest_ms": round(slowest)}

    def _look_up(self, visitor: Visitor, wants: list[str], deadline_ms: int = _DEADLINE_MS) -> dict[str, Any]:
        answer: dict[str, Any] = self._must(
            visitor.post("/v1/me/lookups", {"wants": wants, "deadline_ms": deadline_ms}), 200, "look-ups"
        )
        if [part["want"] for part in answer["parts"]] != wants:
            raise self._fail("not every question has exactly one part")
        return answer

    def _open(self, visitor: Visitor) -> dict[str, Any]:
        """Open the birth bundle; what departments know is filled in and says who said so, when."""
        reply = visitor.post("/v1/cases", {"item": "birth"}, idempotency_key=_key())
        case: dict[str, Any] = self._must(reply, 201, "opening a case")
        self._cases.append(case["id"])
        for name, answer in _answers(case):
            if answer.get("value") is not None and not (answer.get("source") and answer.get("as_of")):
                raise self._fail(f"{name} does not say who gave it as of when")
        fields = case["fields"]
        return {**fields, "number": case["number"], "_id": case["id"], "_etag": reply.headers["etag"], "_case": case}

    def _fill(self, visitor: Visitor, case: dict[str, Any]) -> dict[str, Any]:
        """Type what no department knows."""
        asked = [n for n, a in _answers(case["_case"]) if a.get("value") is None and n in _TYPED]
        typed: dict[str, dict[str, str]] = {}
        for name in asked:
            group, _, field = name.partition(".")
            typed.setdefault(group, {})[field] = _TYPED[name]
        path = f"/v1/cases/{case['_id']}/answers"
        reply = visitor.patch(path, {"answers": typed}, if_match=case["_etag"])
        filled = self._must(reply, 200, "filling the form")
        if filled["fields"]["to_fill"]:
            raise self._fail(f"{filled['fields']['to_fill']} fields are still open")
        stale = visitor.patch(path, {"answers": typed}, if_match=case["_etag"])
        self._must(stale, 412, "an edit of an old version")
        case["_etag"] = reply.headers["etag"]
        return {"typed": len(asked)}

    def _submit(self, visitor: Visitor, case: dict[str, Any], *, twice: bool) -> dict[str, Any]:
        """Submit, and press the button a second time: one submission."""
        path, body = f"/v1/cases/{case['_id']}/submission", {"declarations": ["all_true"]}
        headers = {"if_match": case["_etag"], "idempotency_key": _key()}
        reply = visitor.post(path, body, **headers)
        operation = self._must(reply, 202, "submitting")
        if twice:
            again = visitor.post(path, body, **headers)
            if self._must(again, 202, "submitting again")["id"] != operation["id"]:
                raise self._fail("the second press made a second submission")
            if again.headers.get("idempotent-replay") != "true":
                raise self._fail("the second press was not told to be a replay")
        return {"departments": len({step["department"]["id"] for step in operation["steps"]})}

    def _follow(self, visitor: Visitor, case: dict[str, Any], patience_s: float) -> dict[str, Any]:
        """Follow by events until every department has answered and only the desk is left."""
        seen = 0
        last: str | None = None
        until = time.monotonic() + patience_s
        path = f"/v1/cases/{case['_id']}"
        while time.monotonic() < until:
            for event in visitor.events(f"{path}/events", patience_s=until - time.monotonic(), last_id=last):
                seen, last = seen + 1, event["id"]
                if self._only_desk_left(visitor, path):
                    return {"events": seen}
        steps = self._must(visitor.get(path), 200, "the case")["steps"]
        raise self._fail(", ".join(f"{s['code']} {s['state']}" for s in steps if s["state"] != "completed"))

    def _only_desk_left(self, visitor: Visitor, path: str) -> bool:
        steps = self._must(visitor.get(path), 200, "the case")["steps"]
        wrong = [s for s in steps if s["state"] in ("declined", "correcting", "not_started")]
        if wrong:
            raise self._fail(", ".join(f"{s['code']} {s['state']} {s.get('reason') or ''}".strip() for s in wrong))
        return all(s["state"] == "completed" or (s["state"] == "at_desk" and _is_desk(s)) for s in steps)

    def _answer_desk(self, visitor: Visitor, case: dict[str, Any]) -> dict[str, Any]:
        """Answer the one step of a department without a system, as its clerk."""
        if self._clerk.get("/v1/me").status != 200:
            self._sign_in(self._clerk, "window03")
        task = next((t for t in self._tasks() if t["case_number"] == case["number"]), None)
        if task is None:
            raise self._fail("the desk has no task for the case")
        shown = self._must(self._clerk.get(f"/v1/tasks/{task['id']}"), 200, "the task")
        answer = {"outcome": "completed", "reference": f"YE-{case['number'][-6:]}"}
        self._must(
            self._clerk.post(f"/v1/tasks/{task['id']}/answer", answer, idempotency_key=_key()),
            200,
            "answering the task",
        )
        decided = self._must(visitor.get(f"/v1/cases/{case['_id']}"), 200, "the case")
        if (decided["state"], decided["outcome"]) != ("decided", "granted"):
            raise self._fail(f"the case is {decided['state']}, {decided['outcome']}")
        return {"clerk": "窗口03", "step": shown["step_name"]}

    def _tasks(self) -> Iterator[dict[str, Any]]:
        path: str | None = "/v1/tasks?limit=200"
        while path is not None:
            page = self._must(self._clerk.get(path), 200, "the desk's tasks")
            yield from page["data"]
            path = f"/v1/tasks?limit=200&cursor={quote(page['next_cursor'])}" if page["has_more"] else None

    def _certificate(self, visitor: Visitor, case: dict[str, Any]) -> dict[str, Any]:
        """Fetch the certificate; anybody who holds number and code finds it genuine, and a wrong code false."""
        held = self._must(visitor.get(f"/v1/cases/{case['_id']}/certificate"), 200, "the certificate")
        anybody = Visitor(self._url)
        path = urlsplit(held["links"]["check"]).path
        right = {"number": held["number"], "code": held["code"]}
        if not self._must(anybody.post(path, right), 200, "the check")["valid"]:
            raise self._fail("the certificate is not found genuine")
        wrong = right | {"code": "22222222" if not held["code"].startswith("2") else "33333333"}
        if self._must(anybody.post(path, wrong), 200, "the check")["valid"]:
            raise self._fail("a wrong code is found genuine")
        return {"number": held["number"]}

    def _stranger(self, visitor: Visitor, case: dict[str, Any]) -> dict[str, Any]:
        """Another citizen's case is the same as no case."""
        me = self._sign_in(visitor, "dilinuer")
        for path in (f"/v1/cases/{case['_id']}", f"/v1/cases/{case['_id']}/certificate"):
            self._must(visitor.get(path), 404, "somebody else's case")
        return {"name": me["name"]}

    def _partial(self, visitor: Visitor) -> dict[str, Any]:
        """One department says nothing: the others' answers are there in time, its own part says why it is not."""
        wants = ["household", "social_insurance", "medical_insurance", "housing_fund"]
        self._control(FAILING, "/_fail", {"mode": "timeout", "for_s": 60})
        began = time.monotonic()
        answer = self._look_up(visitor, wants, 1_000)
        took_ms = (time.monotonic() - began) * 1000
        self._control(FAILING, "/_heal", None)
        states = {part["want"]: part["state"] for part in answer["parts"]}
        if answer["complete"] or states["household"] not in ("pending", "unavailable"):
            raise self._fail(f"the silent department's part is {states['household']}")
        if any(state != "ok" for want, state in states.items() if want != "household"):
            raise self._fail(f"one silent department cost others: {states}")
        if took_ms > 1_600:
            raise self._fail(f"the answer took {took_ms:.0f} ms of a budget of 1000 ms")
        return {"took_ms": round(took_ms), "state": states["household"]}

    def _second(self, visitor: Visitor) -> dict[str, Any]:
        """The police cut the line after the effect: the case waits, heals, and there is one effect."""
        case = self._open(visitor)
        self._fill(visitor, case)
        self._control(FAILING, "/_fail", {"mode": "drop-after-effect", "for_s": 120})
        self._submit(visitor, case, twice=False)
        waited = self._until_unsure(case["_id"])
        self._control(FAILING, "/_heal", None)
        self._follow(visitor, case, _HEALED_S)
        self._answer_desk(visitor, case)
        [effect] = [e for e in self._effects([case["_id"]]) if e.adapter == FAILING]
        if effect.attempt < 2:
            raise self._fail("the cut line was not noticed: the effect was sent once only")
        return {"attempts": effect.attempt, "waited_ms": waited}

    def _until_unsure(self, case_id: str) -> int:
        """Wait until the failing department's effect was sent and its outcome is not known; return how long."""
        began = time.monotonic()
        while time.monotonic() - began < _HEALED_S:
            effects = [e for e in self._effects([case_id]) if e.adapter == FAILING]
            if effects and (effects[0].state == "unknown" or effects[0].attempt > 1):
                return round((time.monotonic() - began) * 1000)
            time.sleep(0.05)
        raise self._fail("the department's failure was never felt")

    def _compare(self) -> dict[str, Any]:
        """Hold every department's ledger against the effect ledger: one effect a key, and none that is not ours."""
        effects = self._effects(self._cases)
        if not effects:
            raise self._fail("the effect ledger is empty")
        ledgers: dict[str, list[dict[str, Any]]] = {}
        for effect in effects:
            if effect.state != "done":
                raise self._fail(f"{effect.adapter} {effect.step} is {effect.state}, not done")
            if effect.adapter not in ledgers:
                ledgers[effect.adapter] = self._control(effect.adapter, "/_ledger", None)["entries"]
            made = [e for e in ledgers[effect.adapter] if e["key"] == effect.key and e.get("effect_id")]
            if len(made) != 1:
                raise self._fail(f"{effect.adapter} has {len(made)} effects for the key of {effect.step}")
        known = {(effect.adapter, effect.key) for effect in effects}
        marks = {case_id.partition("_")[2] for case_id in self._cases}
        for adapter, entries in ledgers.items():
            for entry in entries:
                ours = any(entry["key"].startswith(mark) for mark in marks)
                if ours and (adapter, entry["key"]) not in known:
                    raise self._fail(f"{adapter} did something onestop knows nothing of: {entry['key']}")
        return {"effects": len(effects), "ledgers": len(ledgers)}

    # ---- small pieces ------------------------------------------------------------------------------------------------

    def _must(self, answer: Answer, status: int, what: str) -> Any:
        if answer.status != status:
            raise self._fail(f"{what} gave {answer}, not {status}{_faults(answer)}")
        return answer.json()

    def _fail(self, reason: str) -> TourFailed:
        return TourFailed(self._step, reason)


def _answers(case: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for group, fields in case["answers"].items():
        for name, answer in fields.items():
            yield f"{group}.{name}", answer


def _faults(answer: Answer) -> str:
    problem = answer.json()
    errors = problem.get("errors") if isinstance(problem, dict) else None
    return "".join(f"; {error.get('pointer')} {error.get('code')}" for error in errors or ())


def _is_desk(step: dict[str, Any]) -> bool:
    return people.department(step["department"]["id"]).port_offset is None


def _key() -> str:
    return f"tour-{secrets.token_hex(12)}"
