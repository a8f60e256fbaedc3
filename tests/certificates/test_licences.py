"""Licences through the front desk: fetched, issued by a decision, changed by their issuer; nobody else sees them."""

import pytest

from onestop.audit import service as audit
from onestop.certificates import rules_licences as rules
from tests.certificates.conftest import MARRIAGE, SHOP

pytestmark = pytest.mark.anyio
OWN = "/v1/me/licences"


# ---- refusals


async def test_another_persons_licence_reads_as_absent_and_nobody_comes_without_signing_in(room):
    licence = await room.marriage()
    for path in (f"{OWN}/{licence['id']}", f"{OWN}/lic_0"):
        refused = await room.get("chen", path)
        assert (refused.status_code, refused.json()["code"]) == (404, "licence.unknown")
    assert (await room.get("chen", OWN)).json()["data"] == []
    assert (await room.get("", OWN)).status_code == 401
    assert (await room.get("minzheng", OWN)).status_code == 403
    assert (await room.change("lin", "revoke", "cancelled", identifier=licence["identifier"])).status_code == 403


async def test_an_unknown_type_is_refused_by_name(room):
    refused = await room.post("lin", "/v1/me/licence-fetches", {"types": ["nothing"]})
    assert (refused.status_code, refused.json()["code"]) == (404, "licence.type_unknown")
    assert (await room.get("", "/v1/licence-types/nothing")).json()["code"] == "licence.type_unknown"


async def test_only_the_issuer_changes_a_licence_and_to_others_it_is_absent(room):
    licence = await room.marriage()
    for who in ("weijian", "gongan"):
        refused = await room.change(who, "revoke", "cancelled", identifier=licence["identifier"])
        assert (refused.status_code, refused.json()["code"]) == (404, "licence.unknown")
    assert (await room.one(licence))["standing"]["state"] == "valid"


async def test_a_change_says_which_why_and_only_what_belongs_to_it(room):
    licence = await room.marriage()
    name = licence["identifier"]
    for body in (
        {"change": "revoke", "reason": "cancelled"},
        {"change": "revoke", "reason": "cancelled", "identifier": name, "type": "marriage_certificate", "number": "1"},
        {"change": "revoke", "reason": "resolved", "identifier": name},
        {"change": "revoke", "reason": "cancelled", "identifier": name, "fields": {"office": "x"}},
        {"change": "supersede", "reason": "renewed", "identifier": name, "fields": {"colour": "x"}},
    ):
        refused = await room.post("minzheng", "/v1/licence-changes", body)
        assert (refused.status_code, refused.json()["code"]) == (422, "licence.change_unfounded"), body
        assert refused.json()["errors"][0]["detail"]
    refused = await room.change("minzheng", "restore", "resolved", identifier=name)
    assert (refused.status_code, refused.json()["code"]) == (409, "licence.change_not_allowed")


# ---- the catalogue


async def test_the_catalogue_is_open_and_says_what_is_seen_when(room):
    listed = (await room.get("", "/v1/licence-types")).json()["data"]
    assert [one["code"] for one in listed] == sorted(one["code"] for one in listed)
    one = (await room.get("", "/v1/licence-types/marriage_certificate", lang="zh")).json()
    assert (one["name"], one["issuer"]["id"], one["comes_from"]) == ("结婚证", "minzheng", ["department"])
    assert len(one["type_code"]) == 21
    [scene] = [scene for scene in one["scenes"] if scene["code"] == "married"]
    assert scene["fields"] == ["持证主体", "登记日期"]


# ---- fetched from the issuer


async def test_a_fetched_licence_is_a_signed_snapshot_with_an_identifier_that_names_nobody(room):
    licence = await room.marriage()
    assert rules.is_identifier(licence["identifier"])
    assert MARRIAGE["certificate_no"] not in licence["identifier"]
    whole = await room.one(licence)
    assert {one["code"]: one["value"] for one in whole["fields"]}["spouse_id"] == "9901********0351"
    assert [one["kind"] for one in whole["history"]] == ["fetched"]
    row = await room.office.pool.fetchrow("SELECT body, signature FROM licences WHERE id = $1", licence["id"])
    assert MARRIAGE["spouse_name"].encode() not in row["body"]
    assert whole["signature"] == row["signature"]


async def test_the_same_again_makes_no_second_licence_and_other_words_make_the_next_version(room):
    first = await room.marriage()
    again = await room.marriage()
    assert (again["id"], again["version"]) == (first["id"], 1)
    room.departments.data["marriage"]["office"] = "云溪市民政局婚姻登记处"
    second = await room.marriage()
    assert (second["version"], second["id"] != first["id"]) == (2, True)
    assert second["identifier"].split(".")[5:8] == first["identifier"].split(".")[5:8], "type, issuer and serial stay"
    old = await room.one(first)
    assert (old["standing"]["state"], old["standing"]["reason"]) == ("superseded", "details_changed")
    assert [(one["version"], one["kind"]) for one in old["history"]] == [
        (2, "issued"),
        (1, "superseded"),
        (1, "fetched"),
    ]


async def test_many_fetches_at_once_make_one_licence(room):
    import asyncio

    await asyncio.gather(*[room.fetch("lin", "marriage_certificate") for _ in range(8)])
    assert len((await room.get("lin", OWN)).json()["data"]) == 1


async def test_who_is_no_longer_married_holds_no_certificate_and_who_never_was_none_either(room):
    licence = await room.marriage()
    room.departments.data["marriage"]["status"] = "divorced"
    [after] = (await room.fetch("lin", "marriage_certificate"))["data"]
    assert (after["standing"]["state"], after["standing"]["reason"]) == ("revoked", "not_listed")
    assert (await room.fetch("chen", "marriage_certificate"))["parts"][0]["found"] == 0
    room.departments.data["marriage"]["status"] = "married"
    [back] = (await room.fetch("lin", "marriage_certificate"))["data"]
    assert (back["id"], back["standing"]["state"]) == (licence["id"], "valid")


async def test_every_record_of_a_list_is_a_licence_in_the_state_the_issuer_tells(room):
    closed = SHOP | {"uscc": "92990103MA9T000274", "status": "closed"}
    odd = SHOP | {"uscc": "92990103MA9T000283", "status": "of a kind nobody declared"}
    room.departments.data["business"] = {"businesses": [SHOP, closed, odd, {"name": "no number"}]}
    fetched = await room.fetch("chen", "business_licence")
    assert {one["number"]: one["standing"]["state"] for one in fetched["data"]} == {
        SHOP["uscc"]: "valid",
        closed["uscc"]: "revoked",
    }
    assert fetched["parts"][0]["found"] == 2


async def test_what_was_asked_stands_in_the_holders_ledger_and_in_nobody_elses(room):
    before = len(await audit.own_data_uses(room.pool, room.office.region, "sub_chen"))
    await room.marriage()
    newest = (await audit.own_data_uses(room.pool, room.office.region, "sub_lin"))[0]
    assert (newest.object, newest.uses[0].adapter) == ("licences:marriage_certificate", "minzheng")
    assert len(await audit.own_data_uses(room.pool, room.office.region, "sub_chen")) == before


# ---- how it stands


async def test_an_old_word_is_asked_again_and_unknown_where_the_issuer_is_away(room):
    licence = await room.marriage()
    await room.age(licence)
    [listed] = (await room.get("lin", OWN)).json()["data"]
    assert (listed["standing"]["state"], listed["standing"]["last_known"]) == ("unknown", "valid")
    room.departments.away.add("marriage")
    away = await room.one(licence)
    assert (away["standing"]["state"], away["standing"]["says"]) == ("unknown", "State to be confirmed by the issuer")
    assert (await room.fetch("lin", "marriage_certificate"))["complete"] is False
    room.departments.away.clear()
    assert (await room.one(licence))["standing"]["state"] == "valid"
    asked = len(room.departments.asked)
    await room.one(licence)
    assert len(room.departments.asked) == asked, "a fresh word is not asked for again"


async def test_an_issuers_word_reaches_every_holder_of_the_number_and_is_not_undone_by_its_register(room):
    licence = await room.marriage()
    number = {"type": "marriage_certificate", "number": MARRIAGE["certificate_no"]}
    suspended = await room.change("minzheng", "suspend", "investigation", **number)
    assert suspended.json()["data"] == [{"identifier": licence["identifier"], "state": "suspended"}]
    assert (await room.marriage())["standing"]["state"] == "suspended", "the register still lists it"
    await room.change("minzheng", "restore", "resolved", **number)
    assert (await room.one(licence))["standing"]["state"] == "valid"
    assert (await room.change("minzheng", "revoke", "issued_in_error", **number)).status_code == 200
    assert (await room.marriage())["standing"]["state"] == "revoked"
    kinds = [one["kind"] for one in (await room.one(licence))["history"]]
    assert kinds == ["revoked", "restored", "suspended", "fetched"]
    acts = await room.pool.fetch(
        "SELECT action FROM audit_entries WHERE object = $1 ORDER BY id", licence["identifier"]
    )  # fmt: skip
    assert [row["action"] for row in acts] == ["licence.suspended", "licence.restored", "licence.revoked"]


async def test_an_issuer_replaces_a_licence_and_a_repeated_request_changes_nothing_more(room):
    licence = await room.marriage()
    body = {"change": "supersede", "reason": "renewed", "identifier": licence["identifier"], "fields": {"office": "新"}}
    first = await room.post("minzheng", "/v1/licence-changes", body, **{"idempotency-key": "change-1"})
    again = await room.post("minzheng", "/v1/licence-changes", body, **{"idempotency-key": "change-1"})
    assert first.json() == again.json()
    assert again.headers["idempotent-replay"] == "true"
    [now] = (await room.get("lin", OWN)).json()["data"]
    assert (now["version"], now["identifier"]) == (2, first.json()["data"][0]["identifier"])


# ---- issued with a decision


async def test_the_decision_of_a_department_issues_the_licence_once(room, lin):
    await room.born(lin)
    [licence] = (await room.get("lin", OWN)).json()["data"]
    assert (licence["type"], licence["holder"], licence["number"]) == ("birth_certificate", "周沐禾", "Y990000123")
    whole = await room.one(licence)
    assert {one["code"]: one["value"] for one in whole["fields"]}["sex"] == "Female"
    assert [one["kind"] for one in whole["history"]] == ["issued"]
    assert (await room.get("chen", OWN)).json()["data"] == []


async def test_a_declined_part_issues_nothing(room, lin):
    from tests.cases.conftest import tell

    case_id = await lin.submitted()
    await tell(room.office, case_id, "issue_birth_certificate", "declined")
    assert (await room.get("lin", OWN)).json()["data"] == []
