"""The city of the run at scale: four departments of the test's own, each with one item of one step."""

import secrets as random_bytes
from collections.abc import Sequence
from pathlib import Path

import msgspec

from onestop.identity.models import Identified
from onestop.resources import shipped

from .applicants import MARK, Applicant, Tally, _tree
from .checker import Application, Bundle, Database, Entry, Fault, check
from .city import HOST, City
from .scale_department import KINDS, SECRET

ROOT = Path(__file__).parents[2]
_OFFSETS = dict(zip(KINDS, (11, 12, 13, 14), strict=True))
_CODES = (
    "11990100MB9T1000X4",
    "11990100MB9T1001X5",
    "11990100MB9T1002X6",
    "11990100MB9T1003X7",
)  # social credit codes with their check digits
_HOW = {
    "bykey": 'idempotent = "key"',
    "bylookup": 'idempotent = "lookup"\nlookup = "find"',
    "bycall": 'idempotent = "key"\nanswer = "callback"',
    "bypull": 'idempotent = "key"\nanswer = "pull"',
}
_MANIFEST = """
manifest = 1
id = "{kind}"
version = "1.0.0"
region = "990100"
[department]
code = "{code}"
name = {{ zh = "规模测试局{kind}", en = "Bureau {kind}" }}
officer = {{ zh = "科长", en = "Head of section" }}
contact = "x@example.com"
system = {{ id = "sys-{kind}", zh = "系统", en = "System" }}
{callback}
[[operations]]
id = "apply"
kind = "submit"
{how}
"""
_COMMON = """
title = { zh = "办", en = "Do" }
method = "POST"
purpose = { zh = "办事", en = "To serve" }
basis = { zh = "测试", en = "Test" }
total_s = 1.5
request.body = { key = "key", phone = "payload.phone" }
reply.key = "key"
reply.reference = "number"
reply.found = "number"
reply.outcome = { path = "status", map = { ok = "completed", wait = "pending" } }
reply.fields = { number = "number" }
"""
_FIND = '[[operations]]\nid = "find"\nkind = "lookup"\npath = "/find"\nidempotent = "safe"\n'
_ITEM = """
code = "{kind}"
kind = "single"
name = {{ zh = "{kind}", en = "{kind}" }}
plain = {{ zh = "测试", en = "Test" }}
basis = {{ zh = "测试", en = "Test" }}
lead = "{kind}"
promised_days = 5
legal_days = 20
[[fields]]
code = "contact.phone"
type = "phone"
label = {{ zh = "联系电话", en = "Telephone" }}
[[components]]
code = "apply"
name = {{ zh = "办理", en = "Doing it" }}
adapter = "{kind}"
operation = "apply"
days = 5
inputs = {{ phone = "answers.contact.phone" }}
results = {{ number = {{ zh = "编号", en = "Number" }} }}
"""


def bundle(kind: str) -> Bundle:
    """Return what is applied for at one department."""
    return Bundle(steps={"apply": kind}, results={"apply": (("number", "number"),)})


class ScaleCity(City):
    """Two gateways, two workers, four departments of its own."""

    share = 0.1  # of the answers that are lost after the effect

    def settings(self, port: int) -> dict[str, str]:
        return super().settings(port) | {
            "ONESTOP_ADAPTERS_DIR": str(self.folder / "adapters"),
            "ONESTOP_ITEMS_DIR": str(self.folder / "items"),
            "ONESTOP_ENVIRONMENT_FILE": str(self.folder / "scale.toml"),
            "ONESTOP_LOG_LEVEL": "warning",
        }

    def prepare(self) -> None:
        """Write manifests, items and where the departments are."""
        adapters, items = self.folder / "adapters", self.folder / "items"
        adapters.mkdir()
        items.mkdir()
        for shipped_adapter in shipped("adapters").glob("*/manifest.toml"):
            (adapters / shipped_adapter.parent.name).symlink_to(shipped_adapter.parent)
        lines = []
        for nth, kind in enumerate(KINDS):
            callback = '[callback]\noperation = "apply"\n' if kind == "bycall" else ""
            text = _MANIFEST.format(kind=kind, code=_CODES[nth], how=_HOW[kind], callback=callback)
            text += 'path = "/apply"\n' + _COMMON + _FIND + _COMMON
            (adapters / kind).mkdir()
            (adapters / kind / "manifest.toml").write_text(text, "utf-8")
            (items / f"{kind}.toml").write_text(_ITEM.format(kind=kind), "utf-8")
            if kind != "bypull":
                url = f"http://{HOST}:{self.base + _OFFSETS[kind]}"
                lines.append(f'[adapters.{kind}]\nurl = "{url}"\ncallback_secret = "{SECRET}"\n')
        (self.folder / "scale.toml").write_text("".join(lines), "utf-8")

    async def departments(self) -> list[tuple[str, int, str | None, tuple[str, ...]]]:
        """Return name, port, probe and command of each department."""
        who = Identified(
            number_type="account", number="bypull", name="取件", role="department", department="bypull", level=1
        )
        token = (await self.parts.sessions.issue_bearer(who)).token
        found: list[tuple[str, int, str | None, tuple[str, ...]]] = []
        for kind in KINDS:
            port = self.base + _OFFSETS[kind]
            told = ("--port", str(port), "--folder", str(self.folder), "--portal", self.url, "--token", token)
            probe = None if kind == "bypull" else f"http://{HOST}:{port}/_health"
            module = ("tests.crash.scale_department", kind, *told, "--share", str(self.share))
            found.append((kind, port, probe, module))
        return found

    def environ(self, rest: dict[str, str]) -> dict[str, str]:
        return rest | {"PYTHONPATH": str(ROOT)}


class OneStep(Applicant):
    """Somebody who applies for an item of one step, in one call."""

    def __init__(self, nth: int, *rest: object) -> None:
        super().__init__(nth, *rest)  # type: ignore[arg-type]
        self.kind = KINDS[nth % len(KINDS)]

    async def apply(self, tally: Tally, *, again: bool) -> None:
        wanted = {
            "item": self.kind,
            "answers": _tree({MARK: self.mark}),
            "submit": True,
            "declarations": ["all_true"],
        }
        key = {"Idempotency-Key": random_bytes.token_hex(16)}
        replies = [await self._send(tally, "POST", "/v1/cases", wanted, key)]
        if again:
            replies.append(await self._send(tally, "POST", "/v1/cases", wanted, key))
            tally.repeated += 1
        for reply in replies:
            assert reply.status_code == 201, reply.text
            self.told.add(reply.json()["id"])
        self.acknowledged = True


def compare(
    applicants: Sequence[OneStep], accounts: Sequence[Application], db: Database, entries: Sequence[Entry]
) -> list[Fault]:
    """Compare the three accounts, one item after another."""
    faults: list[Fault] = []
    item_of = {one.mark: one.kind for one in applicants}
    for kind in KINDS:
        marks = {mark for mark, item in item_of.items() if item == kind}
        cases = [case for case in db.cases if case.mark in marks]
        ids = {case.id for case in cases}
        part = msgspec.structs.replace(
            db,
            cases=cases,
            steps=[step for step in db.steps if step.case_id in ids],
            rows=[row for row in db.rows if row.adapter == kind],
        )
        own = [one for one in accounts if one.mark in marks]
        faults += check(own, part, [entry for entry in entries if entry.department == kind], bundle(kind))
    known = set(item_of)
    faults += [Fault("stray_case", case.id) for case in db.cases if case.mark not in known]
    return faults
