"""Cases take licences by reference: no upload, the purpose's fields, still valid on submitting, nobody else's."""

import msgspec
import pytest

from onestop.audit import service as audit
from onestop.cases.errors import FormInvalid
from onestop.cases.service_licences import check_items
from onestop.certificates import service_types
from onestop.items import service as items
from onestop.items.errors import BadItem
from tests.cases.conftest import ITEMS, citizen, effects_of
from tests.certificates.conftest import MARRIAGE

pytestmark = pytest.mark.anyio
FIELD = "/answers/family/certificate"


def codes(refused):
    return [(one.pointer, one.code) for one in refused.value.errors]


async def opened(lin, **rest):
    case = await lin.open("taking", **rest)
    return case, case["answers"]["family"]["certificate"]


# ---- refusals


async def test_another_persons_another_types_and_an_ended_licence_are_not_taken(room, lin, chen):
    theirs = await room.marriage("chen")
    case, _ = await opened(lin)
    for odd in (theirs["id"], "lic_0", "no licence", "lic_" + "0" * 26):
        with pytest.raises(FormInvalid) as refused:
            await lin.change(case, {"family": {"certificate": odd}})
        assert codes(refused) == [(FIELD, "licence.not_here")], odd
    await room.born(lin)
    birth = (await room.get("lin", "/v1/me/licences")).json()["data"][0]
    with pytest.raises(FormInvalid) as refused:
        await lin.change(case, {"family": {"certificate": birth["id"]}})
    assert codes(refused) == [(FIELD, "licence.not_here")]
    own = await room.marriage()
    await room.change("minzheng", "suspend", "investigation", identifier=own["identifier"])
    with pytest.raises(FormInvalid) as refused:
        await lin.change(case, {"family": {"certificate": own["id"]}})
    assert codes(refused) == [(FIELD, "licence.ended")]


async def test_who_holds_none_is_asked_for_it_and_cannot_submit_without(room, lin):
    room.departments.data["marriage"] = None
    case, answer = await opened(lin)
    assert (answer["value"], answer["required"]) == (None, True)
    with pytest.raises(FormInvalid) as refused:
        await lin.submit(case["id"], case["version"])
    assert codes(refused) == [(FIELD, "form.required")]


async def test_a_licence_that_ended_since_it_was_taken_is_not_submitted(room, lin):
    licence = await room.marriage()
    case, _ = await opened(lin)
    await room.change("minzheng", "revoke", "cancelled", identifier=licence["identifier"])
    with pytest.raises(FormInvalid) as refused:
        await lin.submit(case["id"], case["version"])
    assert codes(refused) == [(FIELD, "licence.ended")]
    assert await effects_of(room.office, case["id"]) == {}


# ---- taken


async def test_on_opening_the_issuer_is_asked_and_the_licence_is_taken_without_a_question(room, lin):
    case, answer = await opened(lin, lang="en")
    [held] = (await room.get("lin", "/v1/me/licences")).json()["data"]
    assert answer["value"] == {
        "licence": held["id"],
        "identifier": held["identifier"],
        "name": "Marriage certificate",
    }
    assert (answer["source"], answer["editable"]) == ("your e-licence", True)
    assert MARRIAGE["spouse_id"] not in msgspec.json.encode(case).decode()
    uses = (await audit.own_data_uses(room.pool, room.office.region, "sub_lin"))[0]
    assert uses.object == case["id"]
    assert "licence.marriage_certificate" in {one.operation for one in uses.uses}


async def test_the_department_is_handed_the_purposes_fields_of_what_was_taken(room, lin):
    case, _ = await opened(lin)
    await lin.submit(case["id"], case["version"])
    [effect] = (await effects_of(room.office, case["id"])).values()
    row = await room.pool.fetchrow("SELECT payload FROM effects WHERE id = $1", effect.id)
    sent = msgspec.json.decode(room.office.keys.unseal(row["payload"], f"effects.payload.{effect.id}"))
    assert (sent["child_id"], sent["child_name"]) == (MARRIAGE["spouse_id"], MARRIAGE["spouse_name"])


async def test_another_of_ones_own_is_taken_instead_and_null_takes_it_back(room, lin):
    licence = await room.marriage()
    case, _ = await opened(lin)
    changed = await lin.change(case, {"family": {"certificate": None}})
    assert changed.answers["family"]["certificate"].value is None
    again = await lin.change({"id": case["id"], "version": changed.version}, {"family": {"certificate": licence["id"]}})
    assert again.answers["family"]["certificate"].value["licence"] == licence["id"]


async def test_the_birth_certificate_that_a_case_made_is_taken_by_the_next_one_and_read_at_the_desk(room, lin, office):
    await room.born(lin)
    case = await lin.open(
        "child-guidance",
        answers={"contact": {"phone": "15400000001"}, "guidance": {"station": "liuan"}},
        submit=True,
        declarations=("all_true",),
    )
    assert case["state"] == "submitted"
    from onestop.cases import service

    clerk = citizen(office, "sub_clerk", "clerk", "zwfw")
    task_id = await room.pool.fetchval("SELECT id FROM desk_tasks WHERE case_id = $1", case["id"])
    task = await service.task(office, clerk.session, clerk.context(), task_id)
    told = task.payload["孩子的出生医学证明"]
    assert "周沐禾" in told
    assert "2025-11-18" in told


def test_an_item_asks_only_for_licences_and_purposes_that_there_are(tmp_path):
    good = (ITEMS / "taking.toml").read_text("utf-8")
    types = service_types.load()
    for old, new in (('"marriage_certificate"', '"nothing"'), ('purpose = "family"', 'purpose = "curiosity"')):
        catalogue = items.Catalogue([items.parse(good.replace(old, new).encode(), "x.toml")])
        with pytest.raises(BadItem):
            check_items(catalogue, types)
    for old, new in (('purpose = "family"\n', ""), ('type = "licence"', 'type = "text"')):
        with pytest.raises(BadItem):
            items.parse(good.replace(old, new).encode(), "x.toml")
