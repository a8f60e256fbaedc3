"""Tokens for a department: for one call's person, actor, purpose and case, by agreement, three minutes long."""

import time
from typing import Any

import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from identity.conftest import CHEN, LIN, PORTAL
from onestop.identity import service_machine_keys as machine_keys
from onestop.identity.service_machine_keys import NewMachineKey
from onestop.provider.service_exchange import ACCESS_TOKEN, EXCHANGE, JWT
from tests.provider.conftest import claims_in

pytestmark = pytest.mark.anyio


def form(token: str, **changed: Any) -> dict[str, str]:
    told = {
        "grant_type": EXCHANGE,
        "subject_token": token,
        "subject_token_type": ACCESS_TOKEN,
        "audience": "gongan",
        "scope": "household",
        "purpose": "insurance",
        "case": "2026-SB-0001",
    } | changed
    return {name: value for name, value in told.items() if value is not ...}


@pytest.fixture(scope="module")
async def machine(onestop):
    """Ask at the token endpoint as a department's own system, by a key of its department."""

    async def asking(department: str, asked: dict[str, str]):
        async with onestop.pool.acquire() as db, db.transaction():
            made = await machine_keys.make(db, onestop.settings, department, NewMachineKey(label="test"), by="test")
        async with onestop.http(authorization=f"Bearer {made.key}") as http:
            return await http.post("/oauth/token", data=asked)

    return asking


async def test_a_department_learns_offline_for_whom_by_whom_and_for_what_it_is_called(onestop, register, lin, chen):
    site = await register()
    tokens = await site.signs_in(lin)
    answer = await site.calls("/oauth/token", form(tokens["access_token"], requested_token_type=JWT))
    assert answer.status_code == 200, answer.text
    given = answer.json()
    assert (given["token_type"], given["expires_in"], given["issued_token_type"]) == ("Bearer", 180, JWT)
    assert not {"refresh_token", "id_token"} & given.keys()
    async with onestop.http() as http:  # what the department does: the JWKS, and a library
        keys = KeySet.import_key_set((await http.get("/oauth/jwks.json")).json())
    read = jwt.decode(given["access_token"], keys, algorithms=["ES256"])
    assert read.header["typ"] == "at+jwt"
    told = read.claims
    assert (told["iss"], told["aud"]) == (PORTAL, "urn:onestop:department:gongan")
    assert (told["scope"], told["purpose"], told["case"]) == ("household", "insurance", "2026-SB-0001")
    assert told["act"] == {"sub": f"client:{site.id}", "department": "renshe"}
    assert told["agreement"] == "agr_1"
    assert told["id_number"] == {"type": "citizen_id", "number": LIN.number}
    assert 120 <= told["exp"] - told["iat"] <= 300
    assert told["sub"] not in (lin.subject_id, claims_in(tokens["access_token"])["sub"])
    other = await site.calls("/oauth/token", form((await site.signs_in(chen))["access_token"]))
    assert claims_in(other.json()["access_token"])["id_number"]["number"] == CHEN.number


async def test_a_purpose_without_the_number_does_not_tell_it(register, lin):
    site = await register()
    tokens = await site.signs_in(lin, scope="openid greeting")
    answer = await site.calls("/oauth/token", form(tokens["access_token"], purpose="greeting"))
    assert "id_number" not in claims_in(answer.json()["access_token"])
    assert LIN.number not in answer.text


async def test_it_stands_in_the_persons_data_use_under_agreement_and_case(register, lin, pool):
    site = await register()
    await site.calls("/oauth/token", form((await site.signs_in(lin))["access_token"]))
    row = await pool.fetchrow(
        "SELECT subject, object, content FROM data_uses WHERE actor = $1 ORDER BY id DESC LIMIT 1", f"client:{site.id}"
    )
    [use] = msgspec.json.decode(row["content"])
    assert (row["subject"], row["object"]) == (lin.subject_id, "2026-SB-0001")
    assert (use["adapter"], use["operation"], use["outcome"]) == ("gongan", "household", "vouched")
    assert (use["purpose"], use["fields"]) == ("核对户籍信息", ["id_number", "sub"])


@pytest.mark.parametrize(
    ("changed", "error", "reason"),
    [
        ({"audience": "minzheng"}, "invalid_target", "agreement"),
        ({"scope": "passport"}, "invalid_target", "agreement"),
        ({"scope": ...}, "invalid_target", "agreement"),
        ({"audience": ...}, "invalid_target", "audience"),
        ({"audience": "https://evil.example"}, "invalid_target", "audience"),
        ({"scope": "household passport"}, "invalid_scope", "scope"),
        ({"purpose": "greeting"}, "invalid_scope", "purpose"),
        ({"purpose": ...}, "invalid_scope", "purpose"),
        ({"case": ...}, "invalid_request", "case"),
        ({"case": "x" * 121}, "invalid_request", "case"),
        ({"case": "a case"}, "invalid_request", "case"),
        ({"subject_token_type": "urn:x"}, "invalid_request", "subject_token_type"),
        ({"requested_token_type": "urn:x"}, "invalid_request", "requested_token_type"),
        ({"actor_token": "x"}, "invalid_request", "actor_token"),
        ({"resource": "https://gongan.example"}, "invalid_request", "resource"),
        ({"subject_token": "x"}, "invalid_request", "subject_token_form"),
        ({"subject_token": ...}, "invalid_request", "subject_token_form"),
    ],
)
async def test_nothing_is_given_for_anything_else_than_was_agreed(register, lin, changed, error, reason):
    site = await register()
    answer = await site.calls("/oauth/token", form((await site.signs_in(lin))["access_token"], **changed))
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.json()["error_description"] == reason


async def test_a_department_without_an_agreement_gets_nothing(register, lin):
    site = await register(department="zwfw")
    answer = await site.calls("/oauth/token", form((await site.signs_in(lin))["access_token"]))
    assert answer.json()["error"] == "invalid_target"


async def test_nobody_exchanges_a_token_of_somebody_elses_site(register, lin):
    site, sister = await register(), await register()
    tokens = await site.signs_in(lin)
    refused = await sister.calls("/oauth/token", form(tokens["access_token"]))
    assert refused.json()["error_description"] == "subject_token_client"
    for token in (tokens["id_token"], tokens["refresh_token"]):
        assert (await site.calls("/oauth/token", form(token))).json()["error"] == "invalid_request"


async def test_a_token_for_a_department_goes_no_further(register, lin):
    site = await register()
    given = (await site.calls("/oauth/token", form((await site.signs_in(lin))["access_token"]))).json()["access_token"]
    again = await site.calls("/oauth/token", form(given))
    assert again.json()["error_description"] == "subject_token_aud"
    assert (await site.userinfo(given)).json()["error_description"] == "aud"


async def test_after_the_sign_out_there_is_no_token_for_a_department(onestop, register):
    site = await register()
    person = await onestop.signed_in(LIN)
    token = (await site.signs_in(person))["access_token"]
    given = (await site.calls("/oauth/token", form(token))).json()["access_token"]
    police = await register(department="gongan")
    assert (await police.calls("/oauth/introspect", {"token": given})).json()["act"]["department"] == "renshe"
    await onestop.sessions.revoke(person.session_id)
    assert (await site.calls("/oauth/token", form(token))).json()["error_description"] == "subject_token_ended"
    assert (await police.calls("/oauth/introspect", {"token": given})).json() == {"active": False}


async def test_a_bound_token_is_exchanged_by_its_key_only_and_what_is_given_is_bound_to_it(register, lin):
    site = await register()
    token = (await site.signs_in(lin, dpop=True))["access_token"]
    assert (await site.calls("/oauth/token", form(token))).json()["error_description"] == "subject_token_binding"
    answer = await site.calls("/oauth/token", form(token), dpop=True)
    assert answer.json()["token_type"] == "DPoP"
    assert claims_in(answer.json()["access_token"])["cnf"] == {"jkt": site.own_key.thumbprint()}


async def test_a_departments_own_system_exchanges_tokens_of_its_departments_sites(register, lin, machine):
    site = await register()
    token = (await site.signs_in(lin))["access_token"]
    answer = await machine("renshe", form(token))
    assert answer.status_code == 200, answer.text
    told = claims_in(answer.json()["access_token"])
    assert told["act"]["department"] == "renshe"
    assert told["act"]["sub"].startswith("mk_")
    assert told["client_id"] == site.id
    stranger = await machine("gongan", form(token))
    assert stranger.json()["error_description"] == "subject_token_client"
    other = await machine("renshe", {"grant_type": "authorization_code", "code": "x"})
    assert (other.status_code, other.json()["error"]) == (401, "invalid_client")  # a machine key is no client


async def test_an_access_token_that_is_over_is_not_exchanged(monkeypatch, onestop, register, lin):
    site = await register()
    real = time.time
    monkeypatch.setattr("onestop.provider.issuer.time.time", lambda: real() - 400)
    token = (await site.signs_in(lin))["access_token"]
    monkeypatch.undo()
    assert (await site.calls("/oauth/token", form(token))).json()["error_description"] == "subject_token_expired"
