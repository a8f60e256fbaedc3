"""Opening a draft: what departments gave, what they could not, and the key."""

import asyncio

import pytest

from onestop.cases import service
from onestop.cases.errors import CaseUnknown, FormInvalid, NotDraft, VersionStale
from onestop.http.errors import KeyReused
from onestop.items.errors import ItemUnknown

from .conftest import BIRTH, FILL

pytestmark = pytest.mark.anyio


def leaves(answers):
    return {f"{g}.{n}": view for g, group in answers.items() for n, view in group.items()}


async def test_an_unknown_item_or_situation_opens_nothing(lin, departments):
    with pytest.raises(ItemUnknown):
        await lin.open(item="nothing")
    with pytest.raises(FormInvalid) as refused:
        await lin.open(situation={"weather": True})
    assert [fault.pointer for fault in refused.value.errors] == ["/situation/weather"]
    assert departments.asked == []


async def test_every_value_says_who_when_and_why_or_is_null_and_says_whether_it_is_required(lin):
    case = await lin.open()
    assert case["state"] == "draft"
    assert case["parts"]["complete"] is True
    for code, view in leaves(case["answers"]).items():
        if view["value"] is None:
            assert "required" in view, code
        else:
            assert view["source"], code
            assert view["as_of"], code
            assert view["basis"], code
    name = case["answers"]["mother"]["name"]
    assert (name["value"], name["source"], name["as_of"], name["editable"]) == (
        "林晓舟",
        "公安局",
        "2026-03-02T08:00:00+08:00",
        False,
    )
    assert case["answers"]["mother"]["id_number"]["value"] == "9901********0221"
    assert case["answers"]["mother"]["insured"]["value"] is True
    assert case["answers"]["baby"]["name"] == {"value": None, "label": "孩子姓名", "editable": True, "required": True}
    assert case["fields"] == {"prefilled": 12, "to_fill": 3}
    assert case["action"]["kind"] == "fill"


async def test_a_department_that_is_away_leaves_its_fields_open_to_fill_by_hand(lin, departments):
    departments.away = {"birth_records", "household"}
    case = await lin.open()
    assert case["parts"]["complete"] is False
    states = {part["want"]: part["state"] for part in case["parts"]["parts"]}
    assert states == {
        "household": "unavailable",
        "medical_insurance": "ok",
        "marriage": "ok",
        "birth_records": "unavailable",
    }
    # The name is then the one the sign-in vouched for; the address nobody could give is asked.
    assert case["answers"]["mother"]["name"]["source"] == "登录身份核验"
    assert case["answers"]["mother"]["address"]["required"] is True
    changed = await lin.change(case, {"mother": {"address": "书院路18号"}, "baby": {"sex": "female"}})
    assert changed.answers["mother"]["address"].source == "申请人"


async def test_a_value_its_field_cannot_hold_is_asked_for_instead(lin, departments):
    departments.data = {**BIRTH, "birth_records": {"records": [{"sex": "unknown", "born_on": "2999-01-01"}]}}
    case = await lin.open()
    assert case["answers"]["baby"]["sex"]["value"] is None
    assert case["answers"]["baby"]["born_on"]["value"] is None


async def test_the_situation_fills_what_no_department_knows(lin, departments):
    departments.away = {"medical_insurance"}
    case = await lin.open(situation={"mother_insured": False})
    assert case["answers"]["mother"]["insured"]["value"] is False
    departments.away = set()
    case = await lin.open(situation={"mother_insured": False})
    assert case["answers"]["mother"]["insured"]["value"] is True  # the department knows better


async def test_another_citizens_case_reads_as_absent(lin, chen):
    case = await lin.open()
    with pytest.raises(CaseUnknown):
        await chen.case(case["id"])
    with pytest.raises(CaseUnknown):
        await chen.change(case, FILL)
    with pytest.raises(CaseUnknown):
        await chen.submit(case["id"], case["version"])
    assert (await service.own_cases(chen.office, chen.session, "zh", before=None, limit=10)).data == []


async def test_the_same_key_opens_one_case_and_says_the_same_again(lin, pool):
    first = await lin.open(key="k-1")
    again = await lin.open(key="k-1")
    assert again == first
    with pytest.raises(KeyReused):
        await lin.open(key="k-1", situation={"mother_insured": True})
    assert await pool.fetchval("SELECT count(*) FROM cases WHERE id = $1", first["id"]) == 1


async def test_two_citizens_with_one_key_have_two_cases(lin, chen):
    assert (await lin.open(key="same"))["id"] != (await chen.open(key="same"))["id"]


async def test_twenty_openings_at_once_under_one_key_are_one_case(lin, pool):
    before = await pool.fetchval("SELECT count(*) FROM cases")
    replies = await asyncio.gather(*(lin.open(key="k-20") for _ in range(20)))
    assert len({reply["id"] for reply in replies}) == 1
    assert await pool.fetchval("SELECT count(*) FROM cases") == before + 1


async def test_opening_leaves_an_audit_entry_an_event_and_the_uses_of_data(lin, pool):
    case = await lin.open()
    assert await pool.fetchval("SELECT action FROM audit_entries WHERE object = $1", case["id"]) == "case.opened"
    assert (
        await pool.fetchval("SELECT type FROM case_events WHERE case_id = $1", case["id"]) == "cn.onestop.case.opened"
    )
    uses = await pool.fetchval("SELECT content::jsonb FROM data_uses WHERE object = $1", case["id"])
    assert [use["adapter"] for use in uses] == ["gongan", "yibao", "minzheng", "weijian"]
    assert all(use["purpose"] and use["basis"] for use in uses)


async def test_nothing_personal_stands_in_the_clear(lin, pool):
    case = await lin.open()
    for table in ("cases", "case_events", "audit_entries", "data_uses", "idempotency_keys"):
        text = str([tuple(row) for row in await pool.fetch(f"SELECT * FROM {table}")])
        assert "林晓舟" not in text, table
        assert "990102199203140221" not in text, table
    assert case["number"]


async def test_all_of_a_change_is_taken_or_none_of_it(lin):
    case = await lin.open()
    with pytest.raises(FormInvalid) as refused:
        await lin.change(case, {"baby": {"name": "周沐禾", "born_on": "2020-02-30"}, "sky": {"colour": "blue"}})
    assert {(f.pointer, f.code) for f in refused.value.errors} == {
        ("/answers/baby/born_on", "form.not_editable"),
        ("/answers/sky/colour", "form.unknown"),
    }
    assert (await lin.case(case["id"])).answers["baby"]["name"].value is None


async def test_an_older_version_is_not_changed_and_a_null_takes_back_what_was_typed(lin):
    case = await lin.open()
    changed = await lin.change(case, {"baby": {"name": "周沐禾"}})
    assert changed.version == 2
    with pytest.raises(VersionStale):
        await lin.change(case, {"baby": {"name": "周小禾"}})
    again = await lin.change({"id": case["id"], "version": 2}, {"baby": {"name": None}})
    assert again.answers["baby"]["name"].value is None


async def test_a_submitted_form_no_longer_changes(lin):
    case_id = await lin.submitted()
    with pytest.raises(NotDraft):
        await lin.change({"id": case_id, "version": 3}, {"baby": {"name": "周小禾"}})


async def test_my_cases_come_newest_first_page_by_page(lin, pool):
    ids = [(await lin.open())["id"] for _ in range(3)]
    first = await service.own_cases(lin.office, lin.session, "zh", before=None, limit=2)
    assert [line.id for line in first.data] == [ids[2], ids[1]]
    assert first.has_more
    rest = await service.own_cases(lin.office, lin.session, "zh", before=first.next_cursor, limit=2)
    assert rest.data[0].id == ids[0]


async def test_official_numbers_are_unique_and_carry_their_check_character(lin):
    from onestop.cases.rules import is_number

    numbers = [(await lin.open())["number"] for _ in range(5)]
    assert len(set(numbers)) == 5
    assert all(map(is_number, numbers))
