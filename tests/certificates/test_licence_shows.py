"""A licence shown: signed, for a minute, the scene's fields; checked by anybody, here or by the published keys."""

import base64
import json
import time

import pytest
import time_machine
from joserfc import jws
from joserfc.jwk import ECKey, KeySet

from tests.certificates.conftest import MARRIAGE

pytestmark = pytest.mark.anyio


async def show(room, licence, scene="married", who="lin"):
    return await room.post(who, f"/v1/me/licences/{licence['id']}/presentations", {"scene": scene})


async def check(room, token):
    return await room.post("", "/v1/licence-checks", {"presentation": token})


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.fixture
async def licence(room):
    return await room.marriage()


async def test_only_the_holder_shows_only_scenes_of_the_type_and_only_what_is_valid(room, licence):
    assert (await show(room, licence, who="chen")).json()["code"] == "licence.unknown"
    assert (await show(room, licence, "naked")).json()["code"] == "licence.scene_unknown"
    await room.change("minzheng", "suspend", "lost", identifier=licence["identifier"])
    refused = await show(room, licence)
    assert (refused.status_code, refused.json()["code"]) == (409, "licence.suspended")


async def test_the_token_holds_the_scenes_fields_and_lives_a_minute(room, licence):
    shown = (await show(room, licence)).json()
    claims = json.loads(base64.urlsafe_b64decode(shown["token"].split(".")[1] + "=="))
    assert claims["fields"] == {"holder": "林晓舟", "registered_on": "2019-05-20"}
    assert claims["exp"] - claims["iat"] == 60
    assert shown["address"].split("#") == ["http://127.0.0.1:8000/verify/licence", shown["token"]]
    for hidden in (MARRIAGE["spouse_name"], MARRIAGE["spouse_id"], MARRIAGE["certificate_no"]):
        assert hidden not in json.dumps(claims, ensure_ascii=False)


async def test_anybody_checks_it_here_and_learns_only_what_it_holds(room, licence):
    token = (await show(room, licence)).json()["token"]
    told = await check(room, token)
    assert (told.status_code, told.json()["standing"]["state"]) == (200, "valid")
    assert {one["code"] for one in told.json()["fields"]} == {"holder", "registered_on"}
    assert MARRIAGE["spouse_name"] not in told.text
    assert (await check(room, token)).status_code == 200, "a second person may look within the minute"


async def test_the_published_keys_alone_prove_it(room, licence):
    token = (await show(room, licence)).json()["token"]
    keys = KeySet.import_key_set((await room.get("", "/v1/certificate-keys")).json())
    proven = jws.deserialize_compact(token, keys, ["ES256"])
    assert proven.headers()["typ"] == "licence-show+jws"
    assert json.loads(proven.payload)["licence"] == licence["identifier"]


async def test_what_ended_between_show_and_check_is_a_clear_problem_without_a_field(room, licence):
    token = (await show(room, licence)).json()["token"]
    await room.change("minzheng", "revoke", "issued_in_error", identifier=licence["identifier"])
    told = await check(room, token)
    assert (told.status_code, told.json()["code"]) == (409, "licence.revoked")
    assert "error" not in told.text, "why it ended is the holder's"
    assert "林晓舟" not in told.text


async def test_after_its_minute_it_shows_nothing(room, licence):
    token = (await show(room, licence)).json()["token"]
    with time_machine.travel(time.time() + 61):
        told = await check(room, token)
    assert (told.status_code, told.json()["code"]) == (409, "licence.show_expired")
    assert "林晓舟" not in told.text


async def test_hostile_tokens_are_refused_all_with_the_same_words(room, licence, office):
    token = (await show(room, licence)).json()["token"]
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    kid = json.loads(base64.urlsafe_b64decode(header + "=="))["kid"]
    own = ECKey.generate_key("P-256", private=True)
    usual = {"alg": "ES256", "kid": kid, "typ": "licence-show+jws"}
    longer = part(claims | {"exp": claims["exp"] + 9999})
    hostile = [
        f"{header}.{longer}.{signature}",
        f"{part({'alg': 'none', 'kid': kid, 'typ': usual['typ']})}.{longer}.AA",
        f"{header}.{payload}.{signature[:-4]}AAAA",
        f"{header}.{payload}.AA",
        f"{part([])}.{payload}.{signature}",
        f"{part('x')}.{payload}.{signature}",
        f"{'W' * 400}.{payload}.{signature}",
        base64.urlsafe_b64encode(b"[" * 1200).decode().rstrip("=") + f".{payload}.{signature}",
        jws.serialize_compact(usual, json.dumps(claims).encode(), own, ["ES256"]),
        jws.serialize_compact(usual | {"jwk": own.as_dict(private=False)}, json.dumps(claims).encode(), own, ["ES256"]),
        office.issuer.token(claims, "licence-use+jws"),
        office.issuer.token(claims, "certificate+jws"),
        office.issuer.token(claims | {"licence": "1.2.156.3005.2.x"}, "licence-show+jws"),
        office.issuer.token(claims | {"licence": licence["identifier"][:-1] + "?"}, "licence-show+jws"),
    ]
    odd = [{"alg": name} for name in ("HS256", "RS256", "ES384", "SGD_SM3_SM2", "es256")]
    odd += [{"crit": ["exp"]}, {"jku": "http://x.test"}, {"x5u": "http://x.test"}, {"b64": False}, {"zip": "DEF"}]
    hostile += [f"{part(usual | more)}.{payload}.{signature}" for more in odd]
    for token in hostile:
        told = await check(room, token)
        assert (told.status_code, told.json()["code"]) == (422, "licence.show_not_genuine"), token
    for shape in ("", "a.b", "a.b.c.d", "x" * 5000, None, 1):
        assert 400 <= (await check(room, shape)).status_code < 500


async def test_a_show_is_on_record_without_what_it_showed(room, licence):
    await show(room, licence)
    row = await room.pool.fetchrow(
        "SELECT subject, detail FROM audit_entries WHERE action = 'licence.shown' AND object = $1",
        licence["identifier"],
    )
    assert (row["subject"], row["detail"]) == ("sub_lin", {"scene": "married"})


async def test_an_unconfirmed_state_is_shown_as_such(room, licence):
    await room.age(licence)
    room.departments.away.add("marriage")
    token = (await show(room, licence)).json()["token"]
    told = (await check(room, token)).json()
    assert told["standing"]["state"] == "unknown"
    assert "not be confirmed" in told["says"]
