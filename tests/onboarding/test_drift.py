"""Drift: a changed answer is found by sampling and by probes, the version is held back, the one before takes over."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onestop.gateway.manifest import parse
from onestop.gateway.operations import Answer
from onestop.onboarding import drift, service_overrides, store, store_overrides, store_play
from onestop.onboarding.drift import DriftWatch, Watched
from onestop.onboarding.drift_shapes import breaking, compare, from_schema, learn, mapped_paths
from onestop.onboarding.errors import AdapterAbsent
from onestop.onboarding.probes import Prober
from onestop.onboarding.service import Life
from onestop.onboarding.simulator_examples import as_reply
from tests.gateway.department import department
from tests.onboarding.conftest import LIN, ONE, OPERATOR, TWO, ZHOU, manifest
from tests.onboarding.playing import MANIFESTS, shipped_one
from tests.onboarding.test_registry import serving

pytestmark = pytest.mark.anyio
SCHEMA = """
[operations.schema]
type = "object"
required = ["data"]
[operations.schema.properties.data]
type = "object"
required = ["id_number", "as_of", "answer"]
[operations.schema.properties.data.properties]
id_number = { type = "string" }
as_of = { type = "string", format = "date-time" }
answer = { type = ["string", "null"] }
"""


class City:
    """A department whose answers change on order, its versions, a gateway, and a watch over it."""

    def __init__(self) -> None:
        self.change: dict[str, Any] = {}
        self.room: Any
        self.here: Any
        self.watch: DriftWatch

    async def behave(self, path: str, _: dict[str, str], body: bytes) -> tuple[int, bytes]:
        told = json.loads(body)
        data = {"id_number": told.get("id_number"), "as_of": "2026-03-02T08:00:00+08:00", "answer": path}
        data = {name: value for name, value in {**data, **self.change}.items() if value is not Ellipsis}
        return 200, json.dumps({"data": data}).encode()

    async def ask(self, times: int = 1) -> Any:
        for n in range(times):
            part = await self.here.ask((LIN, ZHOU)[n % 2])
        return part

    async def state(self, version: str) -> str:
        return (await store.version(self.room.pool, "one", version)).state

    async def kinds(self) -> list[tuple[str, str, bool]]:
        return [(f.kind, f.path, f.breaking) for f in await store_play.findings(self.room.pool, "one", 1)]


def with_schema(version: str = "1.0.0") -> str:
    """Return a manifest whose query has a schema."""
    text = manifest("one", version)
    first, rest = text.split("[[operations]]", 2)[1], text.split("[[operations]]", 2)[2:]
    head = text.split("[[operations]]", 1)[0]
    return head + "[[operations]]" + first + SCHEMA + "".join("[[operations]]" + part for part in rest)


@pytest.fixture
async def city(room, keys, told, dsn) -> AsyncIterator[City]:
    await room.pool.execute("TRUNCATE drift_findings, probe_results")
    made = City()
    made.room = room
    async with AsyncExitStack() as stack:
        served = await stack.enter_async_context(department(made.behave))
        await room.push(ONE, with_schema("0.1.0"))
        await room.place("one", f"http://127.0.0.1:{served.port}")
        await room.live(with_schema())
        made.here = await stack.enter_async_context(serving(dsn, keys, told))
        made.watch = DriftWatch(room.life, lambda: made.here.gateway.lines, one_in=2)
        made.watch.attach()
        yield made


# ---- what is no drift


async def test_answers_as_the_schema_says_are_no_finding_and_another_departments_drift_is_absent(city):
    await city.ask(5)
    city.change = {"answer": None, "remark": "new"}
    await city.ask(5)
    await city.watch.round()
    assert await city.kinds() in ([], [("member_new", "data.remark", False)])
    assert await city.state("1.0.0") == "live"
    with pytest.raises(AdapterAbsent):
        await drift.view(city.room.life, TWO, "one")


async def test_two_odd_answers_hold_nothing_back(city):
    city.change = {"as_of": 20260302}
    await city.ask(2)
    await city.watch.round()
    assert await city.state("1.0.0") == "live"


async def test_sampling_looks_at_few_answers_and_never_blocks(city):
    line = city.here.gateway.lines["one"]
    answer = Answer("ok", as_reply(200, {}, b'{"data":{}}'))
    city.watch._one_in = 50
    for _ in range(10_000):
        city.watch.take(line, "query", answer)
    assert len(city.watch._queue) <= 256
    begun = time.perf_counter()
    for _ in range(10_000):
        city.watch.take(line, "query", answer)
    assert (time.perf_counter() - begun) / 10_000 < 20e-6


# ---- what is


async def test_a_changed_type_holds_the_version_back_and_says_so_to_everybody(city):
    assert (await city.ask()).state == "ok"
    city.change = {"as_of": 20260302}
    begun = time.monotonic()
    await city.ask(2)
    await city.watch.round()  # the first finding: from now on every answer is looked at
    await city.ask(3)
    await city.watch.round()
    assert ("type_changed", "data.as_of", True) in await city.kinds()
    assert await city.state("1.0.0") == "quarantined"
    await city.here.follows(lambda gateway: "one" in gateway.shown.stopped)
    part = await city.ask()
    assert (part.state, part.problem.code) == ("unavailable", "adapter.quarantined")
    assert time.monotonic() - begun < 10
    notices = (await city.room.life.notices(ONE, "one", "en")).data
    told = next(notice.sentence for notice in notices if notice.kind == "drift")
    assert "data.as_of" in told
    assert LIN not in told


async def test_the_version_before_takes_over_where_there_is_one(city):
    await city.room.live(with_schema("2.0.0").replace('path = "/query"', 'path = "/second"'))
    await city.here.follows(lambda gateway: gateway.lines["one"].manifest.version == "2.0.0")
    city.watch.attach()
    city.change = {"as_of": 20260302}
    await city.ask()
    await city.watch.round()
    await city.ask(3)
    city.change = {}
    await city.watch.round()
    assert (await city.state("2.0.0"), await city.state("1.0.0")) == ("quarantined", "live")
    await city.here.follows(lambda gateway: gateway.lines["one"].manifest.version == "1.0.0")
    assert (await city.ask()).state == "ok"


async def test_two_probes_that_agree_are_enough(city):
    example = """
[[operations.examples]]
name = "good"
values = { subject = { number = "990102199203140221" } }
body = '{"data":{"id_number":"990102199203140221","as_of":"2026-03-02T08:00:00+08:00","answer":"x"}}'
"""
    text = with_schema("2.0.0")
    cut = text.index("[[operations]]", text.index("[operations.schema]"))
    await city.room.live(text[:cut] + example + text[cut:])
    await city.here.follows(lambda gateway: gateway.lines["one"].manifest.version == "2.0.0")
    city.watch.attach()
    prober = Prober(city.room.life, lambda: city.here.gateway.lines, city.watch, None)
    lanes = []
    asked = city.here.gateway.lines["one"].admission.enter
    city.here.gateway.lines["one"].admission.enter = lambda call, now: lanes.append(call.lane) or asked(call, now)
    await prober.round(every_s=0.01)
    assert lanes == ["batch"], "a probe takes no place that a citizen waits for"
    assert [(p.operation, p.outcome, p.failures) for p in await store_play.probes(city.room.pool, "one")] == [
        ("query", "ok", 0)
    ]
    city.change = {"id_number": ...}
    for _ in range(2):
        await asyncio.sleep(0.02)
        await prober.round(every_s=0.01)
    await city.watch.round()
    assert ("vanished", "data.id_number", True) in await city.kinds()
    assert await city.state("2.0.0") == "quarantined"
    assert (await store_play.probes(city.room.pool, "one"))[0].failures == 2


async def test_a_department_that_cannot_be_probed_or_watched_is_no_matter_of_the_others(city, monkeypatch):
    [line] = city.here.gateway.lines.values()
    prober = Prober(city.room.life, lambda: {"broken": broken, "one": line}, city.watch, None)
    broken = SimpleNamespace(
        manifest=SimpleNamespace(id="broken", version="1", probe=None, operations=line.manifest.operations)
    )
    broken.sample = line.sample = None
    whole = drift.known_shape

    def known(one, operation, folder):
        if one is broken:
            raise LookupError("a defect of ours")
        return whole(one, operation, folder)

    monkeypatch.setattr(drift, "known_shape", known)
    asked = []
    monkeypatch.setattr(prober, "_queries", lambda one: asked.append(one) or (1 / 0 if one is broken else []))
    await prober.round()
    assert asked == [broken, line]
    watch = DriftWatch(city.room.life, lambda: {"broken": broken, "one": line})
    watch.attach()
    assert {key[0] for key in watch._watched} == {"one"}


async def test_a_watch_outlives_a_database_that_is_away(city, monkeypatch):
    city.change = {"as_of": 20260302}
    await city.ask(6)
    away = [asyncpg.CannotConnectNowError("starting up")]
    hold_back = city.watch.hold_back

    async def held(*about):
        if away:
            raise away.pop()
        await hold_back(*about)

    monkeypatch.setattr(city.watch, "hold_back", held)
    await city.watch.round()
    assert await city.state("1.0.0") == "live"
    await city.watch.round()
    assert await city.state("1.0.0") == "quarantined", "what could not be written then is written now"


class OfFile(SimpleNamespace):
    """A watch whose only version stands in a file, as the processes of one installation have it."""

    async def drifted(self) -> None:
        """Find the same change in a process that knows nothing of what the others did."""
        [line] = self.city.here.gateway.lines.values()
        watched = Watched(line, line.manifest.operation("query"), None)
        await DriftWatch(self.life, dict).hold_back(watched, "type_changed", "data.as_of")

    async def words(self) -> list[tuple[str, str, str]]:
        rows = await store_overrides.overrides(self.city.room.pool, "one")
        return [(row.operation, row.state, row.set_by) for row in rows]

    async def notices(self) -> list[str]:
        return [one.kind for one in (await self.life.notices(OPERATOR, "one", "en")).data]


@pytest.fixture
async def of_file(city) -> OfFile:
    pool = city.room.pool
    await pool.execute("TRUNCATE line_overrides")
    await pool.execute("DELETE FROM adapter_versions")
    files = {"one": with_schema().encode()}
    return OfFile(city=city, life=Life(pool, city.room.life.keys, city.room.life.settings, files, lambda _: None))


async def test_a_version_of_a_file_has_its_line_stopped_for_a_day_by_whom_everybody_sees(of_file):
    await of_file.drifted()
    assert await of_file.words() == [("", "stopped", "drift-watch")]
    [row] = await store_overrides.overrides(of_file.city.room.pool, "one")
    assert "data.as_of" in row.reason
    assert timedelta(hours=23) < row.until - datetime.now(UTC) <= timedelta(hours=24)
    await of_file.city.here.follows(lambda gateway: gateway.stop("one", "query") is not None)
    told = (await of_file.life.notices(OPERATOR, "one", "en")).data
    assert "data.as_of" in next(one.sentence for one in told if one.kind == "drift_file")


async def test_a_stop_that_an_operator_lifted_is_not_set_again_by_another_process(of_file):
    await of_file.drifted()
    await of_file.life.commit(lambda db: service_overrides.end_override(of_file.life, db, OPERATOR, "one", None))
    await of_file.drifted()
    assert await of_file.words() == []
    await of_file.city.room.pool.execute("UPDATE adapter_notices SET at = at - interval '25 hours'")
    await of_file.drifted()
    assert await of_file.words() == [("", "stopped", "drift-watch")], "a day later it is looked at anew"


async def test_an_operators_own_word_is_not_replaced_by_the_watch(of_file):
    told = service_overrides.SetOverride(
        state="passing", reason="agreed by telephone", until=datetime.now(UTC) + timedelta(hours=1), operation="query"
    )
    await of_file.life.commit(lambda db: service_overrides.set_override(of_file.life, db, OPERATOR, "one", told))
    await of_file.drifted()
    assert await of_file.words() == [("query", "passing", "operator")]
    assert "drift_file_left" in await of_file.notices()


async def test_a_probe_that_is_not_due_is_asked_by_nobody(city):
    assert await store_play.claim_probe(city.room.pool, "one", "query", 60)
    assert not await store_play.claim_probe(city.room.pool, "one", "query", 60)


async def test_the_view_holds_findings_probes_and_what_ends(city):
    await store_play.add_finding(
        city.room.pool, "one", "1.0.0", "query", "data.x", "member_new", False, "nothing", "text", 3
    )
    found = await drift.view(city.room.life, ONE, "one")
    assert [(f.path, f.seen) for f in found.findings] == [("data.x", 3)]


# ---- shapes


def test_every_kind_of_change_is_told_apart():
    base = learn([{"a": "2026-01-01", "b": 1, "c": {"d": "x"}, "e": [{"f": 1}]}])
    changed = compare(base, {"a": "20260101", "b": "1", "c": {}, "e": [{"f": None}], "g": 1})
    assert {(f.kind, f.path) for f in changed} == {
        ("format_changed", "a"), ("type_changed", "b"), ("vanished", "c.d"), ("null_new", "e[].f"), ("member_new", "g"),
    }  # fmt: skip
    schema = from_schema({"type": "object", "properties": {"s": {"type": "string", "enum": ["A", "B"]}}})
    assert [(f.kind, f.path) for f in compare(schema, {"s": "C"})] == [("enum_new", "s")]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from("abcd"), VALUES))
def test_what_a_shape_was_learnt_from_is_never_a_finding(value):
    for xml in (False, True):
        found = compare(learn([value, value], xml=xml), value, xml=xml)
        assert [f for f in found if f.kind != "member_new"] == []


@pytest.mark.parametrize("adapter", sorted(name for name, m in MANIFESTS.items() if not m.desk))
def test_no_shipped_example_drifts_from_the_others(adapter):
    from onestop.onboarding.simulator import Simulator

    manifest_, examples = shipped_one(adapter)
    for book in Simulator(manifest_, examples=examples).books.values():
        trees = [book.tree(e.body) for e in book.examples if e.good]
        xml = book.operation.response_codec in ("xml", "soap")
        for tree in trees:
            found = compare(learn(trees, xml=xml), tree, xml=xml)
            assert [f for f in found if breaking(book.operation, f)] == []


def test_what_a_record_reads_from_around_it_is_read_where_it_stands():
    inner = '{ n = "n", whole = "../data.total", m = { each = "m", fields = "../k" } }'
    fields = f'{{ l = {{ each = "data.l", fields = {inner} }} }}'
    source = with_schema().replace('{ answer = "data.answer" }', fields)
    read = mapped_paths(parse(source.encode()).operation("query"))
    assert {"data.total", "data.l[].n", "data.l[].k", "data.l[].m"} <= read
    assert not any(".." in path for path in read)


def test_nothing_of_an_answer_is_in_a_finding():
    base = learn([{"name": "林晓舟", "on": "2026-01-01"}])
    found = compare(base, {"name": ["秘密"], "on": "secret words here"})
    assert found
    assert not any(word in msgspec.json.encode(found).decode() for word in ("秘密", "secret words", "林晓舟"))


def test_the_manifests_here_can_be_read():
    assert parse(with_schema().encode()).operation("query").schema
