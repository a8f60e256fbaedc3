"""Tokens that are bound to a key: of no use to whoever has the token and not the key, on any instance."""

import base64
import time

import pytest
from joserfc.jwk import ECKey

from onestop.provider import rules
from tests.provider.certificates import certificate, der
from tests.provider.conftest import BACK, PORTAL, b64, claims_in

pytestmark = pytest.mark.anyio
TOKEN = PORTAL + "/oauth/token"
STRANGER = ECKey.generate_key("P-256", private=True)


async def test_the_first_proof_is_answered_with_a_nonce_and_uses_nothing_up(register, lin):
    site = await register(binding="dpop")
    code = await site.code(lin)
    refused = await site.redeems(code, dpop=True)
    assert (refused.status_code, refused.json()["error"]) == (400, "use_dpop_nonce")
    tokens = (await site.redeems(code, dpop=True)).json()
    assert tokens["token_type"] == "DPoP"
    assert claims_in(tokens["access_token"])["cnf"] == {"jkt": site.own_key.thumbprint()}
    refused = await site.userinfo(tokens["access_token"], dpop=True, nonce=...)
    assert (refused.status_code, refused.json()["error"]) == (401, "use_dpop_nonce")
    assert refused.headers["www-authenticate"].startswith('DPoP realm="onestop", error="use_dpop_nonce"')
    assert (await site.userinfo(tokens["access_token"], dpop=True)).json()["name"] == "林晓舟"


async def test_a_nonce_of_one_instance_is_good_on_another_and_none_is_invented(elsewhere, register, lin):
    site = await register()
    tokens = await site.signs_in(lin, dpop=True)
    site.nonce = elsewhere.provider.proofs.nonce()
    assert (await site.userinfo(tokens["access_token"], dpop=True)).status_code == 200
    good = site.nonce
    for wrong in ("", "x", good[:-1], good + "A", b64(b"\0" * 22), good.upper()):
        site.nonce = wrong or None
        refused = await site.userinfo(tokens["access_token"], dpop=True)
        assert (refused.status_code, refused.json()["error"]) == (401, "use_dpop_nonce")


async def test_a_nonce_is_over_after_two_minutes(monkeypatch, onestop, register, lin):
    site = await register()
    tokens = await site.signs_in(lin, dpop=True)
    real = time.time
    monkeypatch.setattr("onestop.provider.proofs.time.time", lambda: real() - 130)
    site.nonce = onestop.provider.proofs.nonce()
    monkeypatch.undo()
    assert (await site.userinfo(tokens["access_token"], dpop=True)).json()["error"] == "use_dpop_nonce"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"key": STRANGER}, "key"),
        ({"htm": "POST"}, "htm"),
        ({"htu": TOKEN}, "htu"),
        ({"htu": "https://other.example/oauth/userinfo"}, "htu"),
        ({"htu": "::"}, "htu"),
        ({"iat": int(time.time()) - 200}, "iat"),
        ({"iat": int(time.time()) + 86_400}, "iat"),
        ({"ath": ...}, "ath"),
        ({"ath": b64(b"x" * 32)}, "ath"),
        ({"jti": ...}, "claims"),
        ({"jti": ""}, "jti"),
        ({"jti": 7}, "claims"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_stolen_token_with_any_other_proof_is_refused(register, lin, changed, reason):
    site = await register()
    tokens = await site.signs_in(lin, dpop=True)
    refused = await site.userinfo(tokens["access_token"], dpop=True, **changed)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_dpop_proof")
    assert refused.json()["error_description"] == reason


async def test_userinfo_is_answered_by_post_as_well(register, lin):
    site = await register()
    token = (await site.signs_in(lin))["access_token"]
    async with site.instance.http(authorization=f"Bearer {token}") as http:
        answer = await http.post("/oauth/userinfo")
    assert (answer.status_code, answer.json()["name"]) == (200, "林晓舟")


async def test_the_address_is_compared_without_query_and_case_of_the_host(register, lin):
    site = await register()
    tokens = await site.signs_in(lin, dpop=True)
    told = (PORTAL + "/oauth/userinfo").replace("portal", "PORTAL") + "?x=1#y"
    assert (await site.userinfo(tokens["access_token"], dpop=True, htu=told)).status_code == 200


async def test_a_bound_token_is_no_bearer_token_and_the_other_way_round(register, lin):
    site = await register()
    bound, bearer = await site.signs_in(lin, dpop=True), await site.signs_in(lin)
    for answer in (await site.userinfo(bound["access_token"]), await site.userinfo(bearer["access_token"], dpop=True)):
        assert (answer.status_code, answer.json()["error_description"]) == (401, "scheme")
    async with site.instance.http(authorization=f"DPoP {bound['access_token']}") as http:
        refused = await http.get("/oauth/userinfo")
    assert refused.json()["error_description"] == "proof"


async def test_a_proof_is_taken_once_on_all_instances(onestop, elsewhere, register, lin):
    site = await register()
    tokens = await site.signs_in(lin, dpop=True)
    told = {"jti": "the-same", "iat": int(time.time())}
    assert (await site.userinfo(tokens["access_token"], dpop=True, **told)).status_code == 200
    for instance in (onestop, elsewhere):
        again = await site.userinfo(tokens["access_token"], dpop=True, at=instance, **told)
        assert (again.status_code, again.json()["error_description"]) == (401, "replay")
    other = await register()
    others = await other.signs_in(lin, dpop=True)
    assert (await other.userinfo(others["access_token"], dpop=True, **told)).status_code == 200  # another key's name


async def test_two_proofs_are_one_too_many(register):
    site = await register("none")
    site.nonce = site.instance.provider.proofs.nonce()
    async with site.instance.http() as http:
        headers = [("dpop", site.proof(TOKEN)), ("dpop", site.proof(TOKEN))]
        answer = await http.post("/oauth/token", data={"client_id": site.id, "grant_type": "x"}, headers=headers)
    assert answer.json() == {
        "error": "invalid_dpop_proof",
        "error_description": "proof_twice",
        "error_uri": "/problems/provider.request_refused",
    }


async def test_a_code_asked_for_with_a_key_is_redeemed_with_that_key(register, lin):
    site = await register()
    site.nonce = site.instance.provider.proofs.nonce()
    code = await site.code(lin, dpop_jkt=site.own_key.thumbprint())
    assert (await site.redeems(code)).json()["error"] == "invalid_dpop_proof"
    code = await site.code(lin, dpop_jkt=site.own_key.thumbprint())
    assert (await site.redeems(code, dpop=True)).status_code == 200
    pushed = await site.calls("/oauth/par", site.request(), dpop=True)
    assert pushed.status_code == 201
    other = await site.calls("/oauth/par", site.request(dpop_jkt="x" * 43), dpop=True)
    assert other.json()["error_description"] == "dpop_jkt"


async def test_a_refresh_token_of_a_key_is_no_use_with_another_and_is_not_spoilt_by_trying(register, lin):
    site = await register("none")
    tokens = await site.signs_in(lin, dpop=True)
    own, site.own_key = site.own_key, STRANGER
    assert (await site.refreshes(tokens["refresh_token"], dpop=True)).json()["error_description"] == "binding"
    assert (await site.refreshes(tokens["refresh_token"])).json()["error_description"] == "binding"
    site.own_key = own
    assert (await site.refreshes(tokens["refresh_token"], dpop=True)).status_code == 200


async def test_a_client_that_must_prove_a_key_gets_nothing_without(register, lin):
    site = await register(binding="dpop")
    assert (await site.redeems(await site.code(lin))).json()["error"] == "invalid_dpop_proof"
    site = await register(binding="tls")
    assert (await site.redeems(await site.code(lin))).json()["error"] == "invalid_request"


async def test_a_token_bound_to_a_certificate_is_no_use_without_it(open_instance, register, lin):
    behind = await open_instance(client_certificate_header="Client-Cert", trusted_proxies=("127.0.0.0/8",))
    own, other = certificate(), certificate()  # the same name, another key

    def header(made):
        return {"client-cert": ":" + base64.b64encode(der(made)).decode() + ":"}

    site = await register("tls_client_auth", tls_subject="CN=rs.example.cn", binding="tls")
    code = await site.code(lin)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": site.verifier}
    tokens = (await site.calls("/oauth/token", form, at=behind, **header(own))).json()
    assert claims_in(tokens["access_token"])["cnf"] == {"x5t#S256": rules.thumbprint(der(own))}
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    for told, status in ((header(own), 200), (header(other), 401), ({}, 401)):
        async with behind.http(**bearer, **told) as http:
            assert (await http.get("/oauth/userinfo")).status_code == status
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    refused = await site.calls("/oauth/token", refresh, at=behind, **header(other))
    assert refused.json()["error_description"] == "binding"
    assert (await site.calls("/oauth/token", refresh, at=behind, **header(own))).status_code == 200


async def test_userinfo_without_a_token_says_what_is_wanted(onestop):
    async with onestop.http() as http:
        answer = await http.get("/oauth/userinfo")
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"] == 'Bearer realm="onestop", DPoP realm="onestop"'
    assert answer.json()["error_uri"] == "/problems/provider.token_refused"
