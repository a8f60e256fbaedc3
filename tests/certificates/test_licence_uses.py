"""Use codes: one department, one purpose, one case, once; everything else is refused by its own name."""

import asyncio
import secrets

import pytest
from joserfc import jws
from joserfc.jwk import KeySet

from onestop.audit import service as audit
from onestop.certificates import store_uses
from onestop.crypto import digest
from onestop.overview.service_data_use import one_use
from tests.certificates.conftest import MARRIAGE

pytestmark = pytest.mark.anyio


class Use:
    """A marriage certificate, a case of its holder, and a code for the police."""

    def __init__(self, room, licence, case_id):
        self.room, self.licence, self.case_id, self.code = room, licence, case_id, ""

    async def make(self, who="lin", **changes):
        body = {"purpose": "family", "item": "birth", "case": self.case_id, "taker": "gongan", **changes}
        made = await self.room.post(who, f"/v1/me/licences/{self.licence['id']}/use-codes", body)
        if made.status_code == 201:
            self.code = made.json()["code"]
        return made

    async def redeem(self, who="gongan", **changes):
        body = {"code": self.code, "item": "birth", "case": self.case_id, **changes}
        return await self.room.post(who, "/v1/licence-uses", body)


@pytest.fixture
async def use(room, lin):
    licence = await room.marriage()
    made = Use(room, licence, (await lin.open())["id"])
    assert (await made.make()).status_code == 201
    return made


def refusal(answer):
    assert "fields" not in answer.json()
    assert MARRIAGE["spouse_id"] not in answer.text
    return answer.status_code, answer.json()["code"]


# ---- refusals


async def test_a_code_is_made_for_a_purpose_a_case_of_ones_own_and_a_department_with_a_part_in_it(use, chen):
    others = (await chen.open())["id"]
    assert refusal(await use.make(purpose="curiosity")) == (422, "licence.purpose_unknown")
    for wrong in ({"case": others}, {"taker": "shuiwu"}, {"item": "quick"}, {"item": "nothing"}):
        assert refusal(await use.make(**wrong)) == (422, "licence.matter_unknown"), wrong
    assert refusal(await use.make(who="chen")) == (404, "licence.unknown")
    assert (await use.make(who="gongan")).status_code == 403


async def test_another_department_an_unknown_code_and_another_matter_are_refused_by_name(use, chen):
    assert refusal(await use.redeem(code="A" * 24)) == (404, "licence.code_unknown")
    for who in ("minzheng", "weijian"):
        assert refusal(await use.redeem(who=who)) == (403, "licence.code_other_taker")
    assert refusal(await use.redeem(item="quick")) == (409, "licence.code_other_matter")
    assert refusal(await use.redeem(case=(await chen.open())["id"])) == (409, "licence.code_other_matter")
    assert (await use.redeem(who="lin")).status_code == 403
    assert (await use.redeem()).status_code == 200, "none of these used it up"


async def test_a_code_whose_minutes_are_over_is_refused(use):
    await use.room.pool.execute("UPDATE licence_use_codes SET expires_at = now()")
    assert refusal(await use.redeem()) == (409, "licence.code_expired")


async def test_a_licence_that_ended_meanwhile_is_not_given_and_the_code_is_not_used_up(use):
    name = use.licence["identifier"]
    await use.room.change("minzheng", "suspend", "investigation", identifier=name)
    assert refusal(await use.redeem()) == (409, "licence.suspended")
    assert refusal(await use.make()) == (409, "licence.suspended")
    await use.room.change("minzheng", "restore", "resolved", identifier=name)
    assert (await use.redeem()).status_code == 200


async def test_of_a_thousand_replays_none_is_accepted_and_of_many_at_once_one(use):
    answers = await asyncio.gather(*[use.redeem() for _ in range(40)])
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 39
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"licence.code_used"}
    licences = use.room.office.licences
    found = await store_uses.code(licences.pool, licences.region, digest(use.code.encode()))
    async with licences.pool.acquire() as db:
        again = [await store_uses.redeem(db, licences.region, found.id, "gongan", "x") for _ in range(960)]
    assert not any(again)
    on_record = "SELECT count(*) FROM audit_entries WHERE action = 'licence.used' AND object = $1"
    assert await licences.pool.fetchval(on_record, use.licence["identifier"]) == 1


async def test_what_cannot_be_put_on_record_is_not_handed_over_and_the_code_stays(use):
    pool = use.room.pool
    await pool.execute("ALTER TABLE audit_entries ADD CONSTRAINT none_used CHECK (action <> 'licence.used') NOT VALID")
    try:
        refused = await use.redeem()
    finally:
        await pool.execute("ALTER TABLE audit_entries DROP CONSTRAINT none_used")
    assert refused.status_code == 500
    assert "fields" not in refused.json()
    assert (await use.redeem()).status_code == 200


# ---- what is given


async def test_the_fields_of_the_purpose_are_given_whole_and_nothing_else(use):
    given = (await use.redeem()).json()
    assert {one["code"]: one["value"] for one in given["fields"]} == {
        "holder": "林晓舟",
        "number": MARRIAGE["certificate_no"],
        "registered_on": MARRIAGE["registered_on"],
        "spouse_name": MARRIAGE["spouse_name"],
        "spouse_id": MARRIAGE["spouse_id"],
    }
    await use.make(purpose="status")
    less = await use.redeem()
    assert [one["code"] for one in less.json()["fields"]] == ["holder", "registered_on"]
    assert MARRIAGE["spouse_name"] not in less.text
    keys = KeySet.import_key_set((await use.room.get("", "/v1/certificate-keys")).json())
    signed = jws.deserialize_compact(less.json()["signed"], keys, ["ES256"])
    assert signed.headers()["typ"] == "licence-use+jws"
    assert b"gongan" in signed.payload


async def test_the_use_stands_in_the_holders_ledger_with_taker_purpose_and_case(use):
    await use.redeem()
    newest = (await audit.own_data_uses(use.room.pool, use.room.office.region, "sub_lin"))[0]
    [one] = newest.uses
    assert (newest.actor, newest.object) == ("department:gongan", use.case_id)
    assert (one.adapter, one.outcome, one.purpose) == ("gongan", "told", "核验家庭关系")
    said = one_use(use.room.office, one, "en")
    assert (said.purpose, said.basis) == ("To verify the family relation", "Regulations on Marriage Registration")
    assert "spouse_id" in one.fields
    assert MARRIAGE["spouse_id"] not in str(newest)
    assert await audit.own_data_uses(use.room.pool, use.room.office.region, "sub_nobody") == []


async def test_a_code_is_kept_as_a_hash_and_the_same_request_brings_the_same_code(use):
    row = await use.room.pool.fetchrow("SELECT * FROM licence_use_codes")
    assert use.code not in str(dict(row))
    path = f"/v1/me/licences/{use.licence['id']}/use-codes"
    body = {"purpose": "family", "item": "birth", "case": use.case_id, "taker": "gongan"}
    key = {"idempotency-key": secrets.token_hex(8)}
    first, again = [await use.room.post("lin", path, body, **key) for _ in range(2)]
    assert first.json() == again.json()
    assert first.headers["cache-control"] == "no-store"


async def test_a_state_nobody_can_confirm_is_given_as_unknown(use):
    await use.room.age(use.licence)
    use.room.departments.away.add("marriage")
    given = (await use.redeem()).json()
    assert (given["standing"]["state"], given["standing"]["last_known"]) == ("unknown", "valid")
