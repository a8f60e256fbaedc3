"""Conformance: green against the demo's own department processes, red and naming the fault where one was planted."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from demo.conftest import Town
from demo.test_departments import calm
from onestop.gateway.line import Where
from onestop.gateway.manifest import Manifest
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.conformance_models import Report, shown
from onestop.onboarding.conformance_report import html
from onestop.onboarding.simulator import Simulator, Told
from onestop.onboarding.simulator_requests import Request
from onestop.onboarding.simulator_server import SimulatorApp
from tests.onboarding.playing import FOLDER, LIN, LOOPBACK, MANIFESTS, listening, shipped_one
from tests.ports import free_port

pytestmark = pytest.mark.anyio
WITH_SYSTEM = sorted(name for name, manifest in MANIFESTS.items() if not manifest.desk)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("conform"))
    yield town
    town.close()


def unhurried(manifest: Manifest) -> Manifest:
    """Return a manifest without the department's own pace, which the tests do not wait for."""
    return msgspec.structs.replace(manifest, limits=msgspec.structs.replace(manifest.limits, per_second=None))


async def run(manifest: Manifest, url: str, secrets: dict[str, str], **told: Any) -> Report:
    examples = FOLDER / manifest.id / "examples"
    telling = Telling(**{"effects": True, "examples": examples, "calls": 3, **told})
    report = await conform(manifest, Where(url, secrets), LOOPBACK, telling)
    unfilled = [said for check in shown(report).checks for said in (check.zh, check.en, check.fix_en) if "{" in said]
    assert unfilled == [], "a sentence was not told what it speaks of"
    return report


def named(report: Report) -> set[tuple[str, str]]:
    return {(check.name, check.reason) for check in report.failed}


@pytest.mark.parametrize("adapter", WITH_SYSTEM)
async def test_every_department_process_conforms_to_its_manifest(city, adapter):
    running = calm(city, adapter)
    if adapter in ("renshe", "yibao"):
        running.call.control("/_set", {"delay_ms": 100})
    report = await run(unhurried(MANIFESTS[adapter]), running.url, running.secrets)
    assert [(c.name, c.operation, c.reason, c.facts) for c in report.failed] == []
    assert report.passed
    assert report.count("passed") >= 10


# --- planted faults ---------------------------------------------------------------------------------------------------


class Crooked(Simulator):
    """A department with one fault; `spoil` changes what it answers."""

    spoil: Callable[["Crooked", Request, Told], Told] = lambda self, request, told: told

    def answer(self, request: Request) -> Told:
        return type(self).spoil(self, request, super().answer(request))


@asynccontextmanager
async def crooked(adapter: str, spoil: Callable[[Crooked, Request, Told], Told]) -> AsyncIterator[tuple[str, Crooked]]:
    manifest, examples = shipped_one(adapter)
    kind = type("Crooked", (Crooked,), {"spoil": spoil})
    simulator = kind(unhurried(manifest), examples=examples)
    async with listening(SimulatorApp(simulator)) as url:
        yield url, simulator


async def report_on(adapter: str, spoil: Callable[[Crooked, Request, Told], Told], **told: Any) -> Report:
    async with crooked(adapter, spoil) as (url, simulator):
        return await run(simulator.manifest, url, simulator.secrets, **told)


def replaced(old: bytes, new: bytes) -> Callable[[Crooked, Request, Told], Told]:
    def spoil(_: Crooked, __: Request, told: Told) -> Told:
        told.body = told.body.replace(old, new)
        return told

    return spoil


async def test_a_straight_simulator_is_green():
    report = await report_on("gongan", lambda _, __, told: told)
    assert report.passed


async def test_a_renamed_field_is_named():
    report = await report_on("renshe", replaced(b'"employer"', b'"employer_name"'))
    assert {("shape", "differs"), ("mapping", "empty")} <= named(report)
    assert "insurance.employer: vanished" in next(c for c in report.failed if c.name == "shape").facts["where"]
    assert next(c for c in report.failed if c.name == "mapping").facts["fields"] == "employer"


async def test_a_changed_type_is_named():
    def spoil(_: Crooked, __: Request, told: Told) -> Told:
        told.body = re.sub(rb'"pension_months":\s*(\d+)', rb'"pension_months":"\1"', told.body)
        return told

    report = await report_on("renshe", spoil)
    where = next(c for c in report.failed if c.name == "shape").facts["where"]
    assert "insurance.pension_months: type_changed (number → text)" in where


async def test_a_wrong_secret_that_is_believed_is_named():
    class Believing:
        def faults(self, _: Request) -> list[Any]:
            return []

        always_faults = faults
        token_path = None

    def spoil(self: Crooked, request: Request, told: Told) -> Told:
        self.guard = Believing()  # type: ignore[assignment]
        return Simulator.answer(self, request)

    report = await report_on("renshe", spoil)
    assert ("stranger", "believed") in named(report)


async def test_two_effects_for_one_key_are_named():
    def spoil(self: Crooked, request: Request, told: Told) -> Told:
        if request.method == "POST" and b"mother" in request.body:
            self.memory.clear()
            count = self.__dict__["count"] = self.__dict__.get("count", 0) + 1
            told.body = told.body.replace(b"990102202511180465", f"99010220251118{count:03}5".encode())
        return told

    report = await report_on("gongan", spoil)
    assert ("same_key", "twice") in named(report)


async def test_a_look_up_that_lies_is_named():
    def forgetful(self: Crooked, request: Request, told: Told) -> Told:
        self.memory.clear()
        return told

    def finds_all(self: Crooked, request: Request, told: Told) -> Told:
        if request.method == "GET" and told.status == 404:
            example = self.books["by_serial"].saying("completed")
            assert example is not None
            told.status, told.body = example.status, example.body
        return told

    assert ("look_up", "lost") in named(await report_on("renshe", forgetful))
    assert ("unknown_key", "found") in named(await report_on("renshe", finds_all))


async def test_an_answer_about_another_person_is_named():
    report = await report_on("renshe", replaced(b"990102199008210351", LIN.encode()))
    assert ("subject", "other") in named(report)


async def test_a_silent_and_a_slow_system_are_named():
    report = await run(MANIFESTS["renshe"], "http://127.0.0.1:9", {"api_key": "x", "callback_secret": "x"})
    assert named(report) == {("reachable", "unreachable")}

    def slow(_: Crooked, __: Request, told: Told) -> Told:
        told.delay_s = 0.17
        return told

    async with crooked("gjj", slow) as (url, simulator):
        operations = [msgspec.structs.replace(o, total_s=0.2) for o in simulator.manifest.operations]
        hurried = msgspec.structs.replace(simulator.manifest, operations=operations)
        report = await run(hurried, url, simulator.secrets)
    assert ("time", "slow") in named(report)


async def test_answers_that_break_the_schema_are_named_and_nothing_is_fetched():
    manifest = MANIFESTS["renshe"]
    member = {"type": "object", "required": ["status", "grade"], "properties": {"status": {"type": "integer"}}}
    schema = {"type": "object", "properties": {"insurance": member}}
    fetching = {"$ref": "http://127.0.0.1:9/schema.json"}
    for told, where in (
        (schema, {"insurance/status: type", "insurance: required"}),
        (fetching, {"schema: ReferencingError", "schema: ValidationError", "schema: ValueError"}),
    ):
        operations = [msgspec.structs.replace(o, schema=told) if o.kind == "query" else o for o in manifest.operations]
        async with crooked("renshe", lambda _, __, answer: answer) as (url, simulator):
            report = await run(msgspec.structs.replace(manifest, operations=operations), url, simulator.secrets)
        found = next(c for c in report.failed if c.name == "schema").facts["where"]
        assert set(found.split("; ")) & where


async def test_nothing_with_an_effect_is_sent_unless_it_may_be():
    async with crooked("gongan", lambda _, __, told: told) as (url, simulator):
        report = await run(simulator.manifest, url, simulator.secrets, effects=False)
        assert len(simulator.memory) == 0
    assert report.passed
    assert [c.operation for c in report.checks if c.name == "effect"] == ["register_birth"]


async def test_callbacks_are_heard_and_a_wrong_signature_is_named(free_tcp_port):
    manifest, examples = shipped_one("renshe")
    for wrong, expected in ((False, "passed"), (True, "failed")):
        app = SimulatorApp(Simulator(manifest, examples=examples), f"http://127.0.0.1:{free_tcp_port}")
        app.simulator.scenario.order(msgspec.structs.replace(app.simulator.scenario.ordered, callback_ms=20))
        secrets = dict(app.simulator.secrets) | ({"callback_secret": "other"} if wrong else {})
        async with listening(app) as url:
            report = await run(manifest, url, secrets, listen=free_tcp_port)
        assert [c.result for c in report.checks if c.name == "callback"] == [expected]


@pytest.fixture
def free_tcp_port() -> int:
    return free_port()


async def test_the_report_says_everything_in_both_languages_and_prints():
    report = await report_on("renshe", replaced(b'"employer"', b'"employer_name"'))
    told = shown(report)
    assert told.counts["failed"] == len(report.failed) > 0
    for check in told.checks:
        assert check.zh
        assert not check.zh.startswith("conformance.")
        assert not re.search(r"\{\w+\}", check.en), check.en
        assert bool(check.fix_en) == (check.result == "failed")
    page = html(told, "zh")
    assert "@media print" in page
    assert "employer" in page


async def test_the_command_ends_with_five_where_a_manifest_does_not_conform(tmp_path):
    import sys

    async def command(*args: str) -> int | None:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "onestop", "--lang", "en", "adapter", "conform", "renshe", *args,
            cwd=tmp_path, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return await process.wait()

    report = tmp_path / "report.json"
    assert await command("--against", "simulator", "--report", str(report)) == 0
    assert msgspec.json.decode(report.read_bytes())["passed"] is True
    page = tmp_path / "report.html"
    assert await command("--against", "http://127.0.0.1:9", "--report", str(page)) == 5
    assert "unreachable" in page.read_text() or "无法连接" in page.read_text() or "no connection" in page.read_text()
