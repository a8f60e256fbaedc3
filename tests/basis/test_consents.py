"""Consents over HTTP: given to exact words, for one purpose, withdrawn by one call, and looked at by every release."""

import asyncio
import secrets
from datetime import date

import msgspec
import pytest

from onestop.basis import purposes
from onestop.basis.purposes import Purposes, hashes
from onestop.gateway.fanout import Person
from onestop.identity.models import Identified
from tests.basis.test_purposes import own
from tests.overview.conftest import ANA, BEN, World
from tests.overview.conftest import world as world

pytestmark = pytest.mark.anyio
PATH = "/v1/me/consents/own"
CLERK = "demo clerk"


def child(born_on: str) -> str:
    """Return an invented child's number."""
    body = f"990102{born_on}011"
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return body + "10X98765432"[sum(int(digit) * weight for digit, weight in zip(body, weights, strict=True)) % 11]


async def basis_of(world: World, covers: str, tmp_path, **told):
    """Let a purpose of the test's own rest on consent; return the portal's basis."""
    basis = await world.desk.app.dependencies["basis"].dependency()
    basis.purposes = purposes.load(own(tmp_path, covers=covers, **told))
    return basis


async def sign_in(world: World, number: str, **told) -> None:
    who = Identified(number_type=told.pop("number_type", "citizen_id"), number=number, name="测试", **told)
    world._tokens[number] = (await world.desk._sessions.issue_bearer(who)).token


async def ask(world: World, who: str, method: str, path: str, body=None):
    async with world.client(who) as client:
        return await client.request(method, path, json=body, headers={"idempotency-key": secrets.token_hex(8)})


async def given(world: World, who: str, path: str = PATH):
    """Consent to the notice as it is shown."""
    every = "/".join(path.split("/")[:-1])
    shown = next(one for one in (await ask(world, who, "GET", every)).json()["data"] if one["purpose"] == "own")
    return await ask(world, who, "PUT", path, {"notice": shown["notice"]["hash"]})


async def states(world: World, who: str) -> dict[str, tuple[str, str | None]]:
    answer = await ask(world, who, "POST", "/v1/me/lookups", {"wants": ["one", "two"]})
    return {part["want"]: (part["state"], part.get("problem", {}).get("code")) for part in answer.json()["parts"]}


async def test_a_look_up_that_rests_on_consent_is_not_asked_without_and_stops_with_the_withdrawal(world, tmp_path):
    await basis_of(world, '{ room = "lookups", adapter = "two" }', tmp_path)
    refused = {"one": ("ok", None), "two": ("denied", "basis.missing")}
    assert await states(world, ANA) == refused
    assert not world.departments["two"].asked, "what is not released is not asked for"
    assert (await given(world, ANA)).json()["consent"]["state"] == "given"
    assert await states(world, ANA) == {"one": ("ok", None), "two": ("ok", None)}
    assert await states(world, BEN) == refused, "another's consent is nobody else's"
    assert (await given(world, ANA)).json()["consent"]["state"] == "given", "the same again changes nothing"
    withdrawn = (await ask(world, ANA, "DELETE", PATH)).json()["consent"]
    assert (withdrawn["state"], "撤回前已经提供的不受影响" in withdrawn["says"]) == ("withdrawn", True)
    assert await states(world, ANA) == refused
    assert (await ask(world, ANA, "DELETE", PATH)).status_code == 200


async def test_a_withdrawal_holds_for_a_call_that_is_under_way(world, tmp_path):
    await basis_of(world, '{ room = "lookups", adapter = "slow" }', tmp_path)
    await given(world, ANA)
    asking = asyncio.create_task(ask(world, ANA, "POST", "/v1/me/lookups", {"wants": ["slow"], "deadline_ms": 5000}))
    async with asyncio.timeout(20):
        while not world.departments["slow"].asked:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await ask(world, ANA, "DELETE", PATH)
    [part] = (await asking).json()["parts"]
    assert (part["state"], part["problem"]["code"], part.get("data")) == ("denied", "basis.missing", None)
    # The same where the part comes after the answer.
    await given(world, ANA)
    late = await ask(world, ANA, "POST", "/v1/me/lookups", {"wants": ["slow"], "deadline_ms": 50})
    await ask(world, ANA, "DELETE", PATH)
    for _ in range(200):
        [part] = (await ask(world, ANA, "GET", late.json()["completion"]["href"])).json()["parts"]
        if part["state"] != "pending":
            break
        await asyncio.sleep(0.05)
    assert (part["state"], part.get("data")) == ("denied", None)


async def test_no_case_is_filled_without_consent_and_no_certificate_shown_without_a_purpose(world, tmp_path):
    basis = await basis_of(world, '{ room = "cases", adapter = "one" }', tmp_path)

    async def filled() -> bool:
        case = (await ask(world, ANA, "POST", "/v1/cases", {"item": "permit"})).json()
        return case["answers"]["record"]["one"].get("value") is not None

    assert not await filled()
    await given(world, ANA)
    assert await filled()

    shipped = [one for one in basis.purposes.all.values() if one.code != "certificate"]
    basis.purposes = Purposes(shipped, basis.purposes.classes.values())
    case = (await ask(world, ANA, "POST", "/v1/cases", {"item": "permit"})).json()
    refused = await ask(world, ANA, "GET", f"/v1/cases/{case['id']}/certificate")
    assert (refused.status_code, refused.json()["code"], refused.json()["stage"]) == (403, "basis.missing", "basis")


async def test_consent_is_given_to_exact_words_and_a_duty_asks_for_none(world, tmp_path, pool):
    basis = await basis_of(world, '{ room = "lookups", adapter = "two" }', tmp_path)
    await pool.execute("TRUNCATE consents, notices_shown, notice_texts")

    async def refused(method, purpose, body=None):
        answer = await ask(world, ANA, method, f"/v1/me/consents/{purpose}", body)
        return answer.status_code, answer.json()["code"]

    words = {"notice": "0" * 64}
    assert await refused("PUT", "own", words) == (409, "basis.notice_changed")
    assert await refused("PUT", "nothing", words) == (404, "basis.purpose_unknown")
    assert await refused("DELETE", "nothing") == (404, "basis.purpose_unknown")
    assert await refused("PUT", "own-affairs", words) == (409, "basis.no_consent_asked")
    assert await refused("DELETE", "own-affairs") == (409, "basis.no_consent_asked")
    shown = (await ask(world, ANA, "GET", "/v1/me/consents")).json()["data"]
    assert [one["purpose"] for one in shown if one["consent"]] == ["housing-fund-handover", "own"]
    assert all(one["law"]["source"] and one["notice"]["text"] and one["retention"]["name"] for one in shown)
    kept = await pool.fetch("SELECT purpose, version, lang, hash FROM notices_shown WHERE purpose = 'own'")
    assert [tuple(row) for row in kept] == [("own", 1, "zh", hashes(basis.purposes.all["own"])["zh"])]
    # Other words and no more done: the consent holds. More is done: it is asked anew.
    await given(world, ANA)
    for holds_from, state in ((1, "given"), (2, "outdated")):
        await basis_of(
            world,
            '{ room = "lookups", adapter = "two" }',
            tmp_path,
            version=2,
            words="新的告知",
            more=f'kind = "consent"\nholds_from = {holds_from}',
        )
        assert (await ask(world, ANA, "GET", PATH)).json()["consent"]["state"] == state
        assert (await states(world, ANA))["two"][0] == ("ok" if state == "given" else "denied")
    acts = await pool.fetch("SELECT action FROM audit_entries WHERE object = 'own' ORDER BY at")
    assert [row["action"] for row in acts][-1:] == ["consent.given"]


async def states_under(world: World, number: str) -> dict[str, tuple[str, str | None]]:
    """What would be shown of a child: by the verb, since no child below fourteen asks alone (R-055)."""
    overview = await world.desk.app.dependencies["overview"].dependency()
    sessions = world.desk._sessions
    subject = await sessions.person(
        await sessions.know(Identified(number_type="citizen_id", number=number, name="测试"))
    )
    trace = secrets.token_hex(16)
    answer, _ = await overview.look_up(
        ("one", "two"), subject.id, subject.id, Person.of(subject, {}), level=3, budget_ms=5000, lang="en",
        deadline=asyncio.get_running_loop().time() + 5, trace_id=trace, traceparent=f"00-{trace}-{trace[:16]}-01",
    )  # fmt: skip
    told = msgspec.to_builtins(answer)["parts"]
    return {part["want"]: (part["state"], (part.get("problem") or {}).get("code")) for part in told}


async def test_for_a_child_a_guardian_on_record_consents_while_they_are_one(world, tmp_path):
    await basis_of(world, '{ room = "lookups", adapter = "two" }', tmp_path)
    kid, grown = child(f"{date.today().year - 6}0105"), child("20010105")
    await sign_in(world, kid)
    await sign_in(world, CLERK, number_type="account", role="clerk", department="one")
    refused = await given(world, kid)
    assert (refused.status_code, refused.json()["code"]) == (403, "basis.guardian_needed")
    named = {"ward": {"number": kid, "name": "小"}, "guardian": {"number": ANA, "name": "林晓舟"}}
    told = {**named, "evidence": "birth_certificate"}
    for who in (ANA, BEN):
        assert (await ask(world, who, "POST", "/v1/guardians", told)).status_code == 403
    wrong = {**told, "ward": {"number": grown, "name": "大"}}
    assert (await ask(world, CLERK, "POST", "/v1/guardians", wrong)).json()["errors"][0]["code"] == "basis.no_child"
    made = (await ask(world, CLERK, "POST", "/v1/guardians", told)).json()
    [ward] = (await ask(world, ANA, "GET", "/v1/me/wards")).json()["data"]
    assert (ward["id"], ward["number_masked"][4:-4]) == (made["ward"], "********")
    path = f"/v1/me/wards/{ward['id']}/consents/own"
    for method, body in (("PUT", {"notice": "0" * 64}), ("DELETE", None)):
        answer = await ask(world, BEN, method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (404, "basis.ward_unknown")
    assert (await given(world, ANA, path)).json()["consent"]["by_guardian"] is True
    assert (await states_under(world, kid))["two"] == ("ok", None)
    assert (await ask(world, CLERK, "DELETE", f"/v1/guardians/{made['id']}")).json()["ends_at"]
    assert (await states_under(world, kid))["two"] == ("denied", "basis.missing"), "it ended with the guardian"
    again = await ask(world, CLERK, "DELETE", f"/v1/guardians/{made['id']}")
    assert (again.status_code, again.json()["code"]) == (404, "basis.guardian_unknown")
    assert (await ask(world, ANA, "DELETE", path)).status_code == 404
