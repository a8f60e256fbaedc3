"""The bytes of an entry are those the documentation tells, however the row was written."""

import hashlib
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onestop.audit import canonical, service
from onestop.audit.models import Use

pytestmark = pytest.mark.anyio

texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
USE = Use(adapter="gongan", basis="法", fields=("a", "b"), operation="ask", outcome="read", purpose="办事", version="1")


def plain(value: object) -> bytes:
    """Return JSON as the documentation asks for it, by another library."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


@given(actor=texts, thing=st.none() | texts, detail=st.dictionaries(texts, values, max_size=4))
def test_an_act_is_sorted_json_without_spaces(actor, thing, detail):
    told = canonical.of_act("990100", "aud_1", actor, None, "a", thing, None, canonical.sorted_json(detail))
    members = {"action": "a", "actor": actor, "detail": detail, "id": "aud_1", "object": thing}
    assert told == plain(members | {"region": "990100", "subject": None, "trace_id": None})


def test_a_use_is_sorted_json_without_spaces():
    row = service.use_row("990100", [service.use_entry(USE)], subject="s", actor="a", object=None, trace_id="t")
    told = canonical.of_use("990100", row[0], "s", "a", None, "t", row[5])
    assert told == plain(json.loads(told))
    assert row[6] == hashlib.sha256(told).digest()


def test_a_leaf_is_of_the_digest_and_the_microseconds():
    at = datetime(2026, 3, 2, 8, 0, 0, 123456, tzinfo=UTC)
    micro = 1_772_438_400_123_456
    assert canonical.microseconds(at) == micro
    assert canonical.leaf(b"{}", at) == hashlib.sha256(
        b"\0" + hashlib.sha256(b"{}").digest() + micro.to_bytes(8, "big")
    ).digest()  # fmt: skip


async def test_each_statement_writes_the_leaf_of_what_it_writes(pool):
    await service.record(pool, "990100", actor="a", action="x", detail={"b": 1, "a": "是"})
    await service.record(pool, "990100", actor="a", action="y", subject="s", uses=[service.use_entry(USE)])
    await service.data_used(pool, "990100", [service.use_entry(USE)], subject="s", actor="a")
    await service.DataUses(pool, "990100").note([service.use_entry(USE)] * 2, subject="s", actor="b", trace_id="t")
    acts, uses = await rows_of(pool)
    assert (len(acts), len(uses)) == (2, 3)
    assert [row["leaf"] for row in acts] == [leaf_of_act(row) for row in acts]
    assert [row["leaf"] for row in uses] == [leaf_of_use(row) for row in uses]


async def test_what_a_person_is_shown_is_theirs_with_the_fields(pool):
    found = await service.own_data_uses(pool, "990100", "s", limit=2)
    assert [one.subject for one in found] == ["s", "s"]
    assert found[0].uses[0].fields == ("a", "b")
    assert await service.own_data_use(pool, "990100", "another", found[0].id) is None
    assert await service.own_data_use(pool, "990100", "s", found[0].id) == found[0]


async def test_rows_of_before_are_shown_as_well(pool):
    old = '[{"adapter":"x","operation":"o","version":"1","outcome":"read","purpose":"p","basis":"b"}]'
    insert = "INSERT INTO data_uses (region, id, subject, actor, uses) VALUES ('990100', 'use_0', 'old', 'a', $1)"
    await pool.execute(insert, json.loads(old))
    (found,) = await service.own_data_uses(pool, "990100", "old")
    assert (found.uses[0].adapter, found.uses[0].fields) == ("x", ())


async def rows_of(pool):
    acts = await pool.fetch("SELECT * FROM audit_entries ORDER BY id LIMIT 1000")
    uses = await pool.fetch("SELECT * FROM data_uses ORDER BY id LIMIT 1000")
    return acts, uses


def leaf_of_act(row) -> bytes:
    named = ("region", "id", "actor", "subject", "action", "object", "trace_id")
    under = (row["mandate"], row["beneficiary"])
    told = canonical.of_act(*(row[name] for name in named), canonical.sorted_json(row["detail"]), *under)
    return canonical.leaf(told, row["at"])


def leaf_of_use(row) -> bytes:
    named = ("region", "id", "subject", "actor", "object", "trace_id", "content", "mandate", "beneficiary")
    return canonical.leaf(canonical.of_use(*(row[name] for name in named)), row["at"])
