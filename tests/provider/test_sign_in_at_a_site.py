"""Signing in at a site: what is refused, who hears of it, and that a code is good once."""

from datetime import timedelta
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest

from identity.conftest import CHEN, CLERK, LIN, PORTAL
from onestop.provider import rules, service_clients
from tests.provider.conftest import BACK, claims_in, told_back

pytestmark = pytest.mark.anyio


async def test_a_citizen_signs_in_and_the_site_learns_what_its_purpose_allows(register, lin, chen):
    site = await register()
    tokens = await site.signs_in(lin)
    assert (tokens["token_type"], tokens["expires_in"], tokens["scope"]) == ("Bearer", 300, "openid insurance")
    told = claims_in(tokens["id_token"])
    assert (told["iss"], told["aud"], told["nonce"], told["acr"]) == (PORTAL, site.id, "n-1", rules.ACR + "3")
    assert not {"name", "id_number"} & told.keys()
    access = claims_in(tokens["access_token"])
    assert (access["aud"], access["client_id"], access["sub"]) == (PORTAL + "/oauth/userinfo", site.id, told["sub"])
    info = (await site.userinfo(tokens["access_token"])).json()
    assert info == {"sub": told["sub"], "name": LIN.name, "id_number": {"type": "citizen_id", "number": LIN.number}}
    other = await site.signs_in(chen)
    assert claims_in(other["id_token"])["sub"] != told["sub"]
    assert (await site.userinfo(other["access_token"])).json()["name"] == CHEN.name
    assert lin.subject_id not in str(told)


async def test_a_purpose_that_was_not_asked_for_tells_nothing(register, lin):
    site = await register()
    tokens = await site.signs_in(lin, scope="openid")
    assert (await site.userinfo(tokens["access_token"])).json().keys() == {"sub"}
    tokens = await site.signs_in(lin, scope="openid greeting")
    info = (await site.userinfo(tokens["access_token"])).json()
    assert info["id_number_masked"] == "9901********0221"
    assert LIN.number not in str(info)


async def test_sites_of_two_sectors_know_a_person_by_different_names(register, lin):
    site, sister, stranger = await register(), await register(), await register(sector="other.example.cn")
    subs = [claims_in((await one.signs_in(lin))["id_token"])["sub"] for one in (site, sister, stranger)]
    assert subs[0] == subs[1] != subs[2]
    sids = [claims_in((await one.signs_in(lin))["id_token"])["sid"] for one in (site, sister)]
    assert sids[0] != sids[1]


async def test_sign_in_and_every_release_stand_in_the_persons_data_use_alone(register, lin, chen, pool):
    site = await register()
    tokens = await site.signs_in(lin)
    await site.userinfo(tokens["access_token"])
    rows = await pool.fetch(
        "SELECT subject, actor, content FROM data_uses WHERE actor = $1 ORDER BY id", f"client:{site.id}"
    )
    assert [row["subject"] for row in rows] == [lin.subject_id, lin.subject_id]
    first, second = (msgspec.json.decode(row["content"])[0] for row in rows)
    assert (first["outcome"], first["fields"], first["adapter"]) == ("signed_in", ["sub"], "renshe")
    assert (second["outcome"], second["fields"]) == ("site_told", ["id_number", "name"])
    assert (second["basis"], second["purpose"]) == ("社会保险法第四条", "查询社会保险")
    acts = await pool.fetch("SELECT action FROM audit_entries WHERE subject = $1 AND actor = $2", lin.subject_id,
                            f"client:{site.id}")  # fmt: skip
    assert [row["action"] for row in acts] == ["client.signed_in"]


# ---- requests


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"client_id": "nobody"}, "client"),
        ({"client_id": ...}, "client"),
        ({"redirect_uri": ...}, "redirect_uri"),
        ({"redirect_uri": BACK + "/"}, "redirect_uri"),
        ({"redirect_uri": BACK + "?a=1"}, "redirect_uri"),
        ({"redirect_uri": BACK.upper()}, "redirect_uri"),
        ({"redirect_uri": "https://rs.example.cn.evil.example/back"}, "redirect_uri"),
        ({"redirect_uri": "https://rs.example.cn/%62ack"}, "redirect_uri"),
        ({"request_uri": rules.REQUEST_URI + "invented"}, "request_uri"),
    ],
)
async def test_who_asks_without_a_name_or_an_exact_way_back_is_answered_to_the_person(register, lin, changed, reason):
    site = await register()
    answer = await lin.goes("/oauth/authorize?" + str(httpx.QueryParams(site.request(**changed))))
    assert (answer.status_code, answer.json()["code"]) == (400, "provider.request_unusable")
    assert "location" not in answer.headers


async def test_a_parameter_twice_is_answered_to_the_person(register, lin):
    query = str(httpx.QueryParams((await register()).request())) + "&state=s-2"
    assert (await lin.goes("/oauth/authorize?" + query)).json()["code"] == "provider.request_unusable"


@pytest.mark.parametrize(
    ("changed", "error", "description"),
    [
        ({"response_type": "token"}, "unsupported_response_type", "response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type", "response_type"),
        ({"response_type": ...}, "unsupported_response_type", "response_type"),
        ({"response_mode": "fragment"}, "invalid_request", "response_mode"),
        ({"scope": "insurance"}, "invalid_scope", "openid"),
        ({"scope": ...}, "invalid_scope", "openid"),
        ({"scope": "openid profile"}, "invalid_scope", "purpose"),
        ({"code_challenge": ...}, "invalid_request", "pkce"),
        ({"code_challenge_method": "plain"}, "invalid_request", "pkce"),
        ({"code_challenge_method": ...}, "invalid_request", "pkce"),
        ({"code_challenge": "short"}, "invalid_request", "pkce"),
        ({"prompt": "none login"}, "invalid_request", "prompt"),
        ({"prompt": "create"}, "invalid_request", "prompt"),
        ({"max_age": "-1"}, "invalid_request", "max_age"),
        ({"max_age": "soon"}, "invalid_request", "max_age"),
        ({"nonce": "n" * 513}, "invalid_request", "nonce"),
        ({"login_hint": "x" * 129}, "invalid_request", "login_hint"),
        ({"acr_values": "x" * 257}, "invalid_request", "acr_values"),
        ({"dpop_jkt": "x"}, "invalid_request", "dpop_jkt"),
        ({"request": "a.b.c"}, "request_not_supported", "request"),
        ({"registration": "{}"}, "registration_not_supported", "registration"),
        ({"request_uri": "https://rs.example.cn/request"}, "request_uri_not_supported", "request_uri"),
        ({"id_token_hint": "a.b.c"}, "invalid_request", "id_token_hint"),
    ],
)
async def test_a_request_that_breaks_a_rule_is_answered_to_the_site(register, lin, changed, error, description):
    told = await (await register()).sends(lin, **changed)
    assert told == {"error": error, "error_description": description, "state": "s-1", "iss": PORTAL}


async def test_who_is_not_signed_in_goes_to_sign_in_and_comes_back_with_a_code(onestop, register):
    site = await register()
    async with onestop.http() as stranger:
        answer = await stranger.get("/oauth/authorize", params=site.request())
    there = urlsplit(answer.headers["location"])
    back = dict(parse_qsl(there.query))["return_to"]
    assert there.path == "/sign-in"
    assert len(back) < 512
    assert "insurance" not in back
    person = await onestop.signed_in(LIN)
    came = await person.goes(back)
    told = told_back(came.headers["location"])
    assert (told["state"], told["iss"]) == ("s-1", PORTAL)
    assert (await site.redeems(told["code"])).status_code == 200
    assert (await person.goes(back)).json()["code"] == "provider.request_unusable"


async def test_prompt_none_never_shows_a_page(onestop, register, lin):
    site = await register()
    async with onestop.http() as stranger:
        answer = await stranger.get("/oauth/authorize", params=site.request(prompt="none"))
    assert told_back(answer.headers["location"])["error"] == "login_required"
    assert "code" in await site.sends(lin, prompt="none")


async def test_a_level_that_is_too_low_leads_to_sign_in_once_and_then_to_a_refusal(onestop, register):
    site = await register(level=2)
    low = msgspec.structs.replace(LIN, level=1)
    person = await onestop.signed_in(low)
    asked = "/oauth/authorize?" + str(httpx.QueryParams(site.request()))
    back = dict(parse_qsl(urlsplit((await person.goes(asked)).headers["location"]).query))["return_to"]
    again = await onestop.signed_in(low)
    told = told_back((await again.goes(back)).headers["location"])
    assert told["error"] == "unmet_authentication_requirements"
    assert (await site.sends(person, prompt="none"))["error"] == "unmet_authentication_requirements"
    assert "code" in await site.sends(await onestop.signed_in(LIN))


async def test_acr_values_raise_what_is_asked_for(onestop, register):
    site = await register(level=0)
    person = await onestop.signed_in(msgspec.structs.replace(LIN, level=1))
    assert "code" in await site.sends(person, acr_values="elsewhere " + rules.ACR + "1")
    told = await site.sends(person, acr_values=rules.ACR + "2", prompt="none")
    assert told["error"] == "unmet_authentication_requirements"


async def test_prompt_login_and_max_age_want_a_session_that_was_opened_since(onestop, register, lin, pool):
    site = await register()
    for changed in ({"prompt": "login"}, {"max_age": "0"}):
        asked = "/oauth/authorize?" + str(httpx.QueryParams(site.request(**changed)))
        await pool.execute("UPDATE sessions SET created_at = created_at - interval '5 s' WHERE id = $1", lin.session_id)
        back = dict(parse_qsl(urlsplit((await lin.goes(asked)).headers["location"]).query))["return_to"]
        assert (await lin.goes(back)).headers["location"].startswith("/sign-in")  # the old session will not do
        fresh = await onestop.signed_in(LIN)
        assert "code" in told_back((await fresh.goes(back)).headers["location"])
    assert "code" in await site.sends(lin, max_age="3600")


async def test_staff_and_apps_are_not_signed_in_at_sites(onestop, register):
    site = await register()
    assert (await site.sends(await onestop.signed_in(CLERK)))["error"] == "access_denied"
    bearer = await onestop.token_of(LIN)
    async with onestop.http(authorization=f"Bearer {bearer}") as app:
        answer = await app.get("/oauth/authorize", params=site.request(prompt="none"))
    assert told_back(answer.headers["location"])["error"] == "login_required"


async def test_another_person_than_the_one_hinted_at_is_not_signed_in(register, lin, chen):
    site = await register()
    hint = (await site.signs_in(lin))["id_token"]
    assert "code" in await site.sends(lin, id_token_hint=hint)
    assert (await site.sends(chen, id_token_hint=hint))["error"] == "login_required"
    other = await register()
    assert (await other.sends(lin, id_token_hint=hint))["error"] == "invalid_request"


# ---- pushed requests


async def test_a_pushed_request_is_used_once_by_its_own_client(register, lin):
    site, other = await register(), await register()
    form = {name: value for name, value in site.request().items() if name != "client_id"}
    pushed = await site.calls("/oauth/par", form)
    assert (pushed.status_code, pushed.json()["expires_in"]) == (201, 90)
    told = {"client_id": site.id, "request_uri": pushed.json()["request_uri"]}
    stolen = await lin.goes("/oauth/authorize?" + str(httpx.QueryParams(told | {"client_id": other.id})))
    assert stolen.json()["code"] == "provider.request_unusable"
    url = "/oauth/authorize?" + str(httpx.QueryParams(told | {"scope": "openid greeting"}))  # not looked at
    code = told_back((await lin.goes(url)).headers["location"])["code"]
    assert (await site.redeems(code)).json()["scope"] == "openid insurance"
    assert (await lin.goes(url)).json()["code"] == "provider.request_unusable"


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"request_uri": "urn:x"}, "invalid_request"),
        ({"scope": "openid profile"}, "invalid_scope"),
    ],
)
async def test_what_cannot_be_asked_for_cannot_be_pushed(register, changed, error):
    site = await register()
    answer = await site.calls("/oauth/par", site.request(**changed))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


async def test_a_pushed_request_is_over_after_its_time(register, lin, pool):
    site = await register()
    reference = (await site.calls("/oauth/par", site.request())).json()["request_uri"]
    await pool.execute("UPDATE authorization_requests SET expires_at = now()")
    told = str(httpx.QueryParams({"client_id": site.id, "request_uri": reference}))
    assert (await lin.goes("/oauth/authorize?" + told)).json()["code"] == "provider.request_unusable"


# ---- codes and refresh tokens


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"redirect_uri": BACK + "/"}, "redirect_uri"),
        ({"code_verifier": "v" * 43}, "code_verifier"),
        ({"code_verifier": ""}, "code_verifier"),
    ],
)
async def test_a_code_is_no_use_with_anything_else_than_it_was_asked_with(register, lin, changed, reason):
    site = await register()
    code = await site.code(lin)
    answer = await site.redeems(code, **changed)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["error_description"] == reason
    assert (await site.redeems(code)).json()["error"] == "invalid_grant"  # one guess
    assert (await site.redeems("invented")).json()["error"] == "invalid_grant"


async def test_another_client_cannot_redeem_a_code_nor_spoil_it(register, lin):
    site, other = await register(), await register()
    code = await site.code(lin)
    other.verifier = site.verifier
    assert (await other.redeems(code)).json()["error"] == "invalid_grant"
    assert (await site.redeems(code)).status_code == 200


async def test_a_code_that_comes_twice_ends_what_the_first_gave(register, lin):
    site = await register()
    code = await site.code(lin)
    tokens = (await site.redeems(code)).json()
    assert (await site.redeems(code)).json()["error"] == "invalid_grant"
    assert (await site.userinfo(tokens["access_token"])).status_code == 401
    assert (await site.refreshes(tokens["refresh_token"])).json()["error"] == "invalid_grant"


async def test_a_code_is_over_after_a_minute(register, lin, pool):
    site = await register()
    code = await site.code(lin)
    await pool.execute("UPDATE authorization_codes SET expires_at = now()")
    assert (await site.redeems(code)).json()["error"] == "invalid_grant"


async def test_a_refresh_token_is_replaced_and_its_second_use_ends_the_sign_in(register, lin, chen):
    site = await register()
    others = await site.signs_in(chen)
    first = await site.signs_in(lin)
    second = (await site.refreshes(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert "nonce" not in claims_in(second["id_token"])
    stolen = await site.refreshes(first["refresh_token"])
    assert (stolen.status_code, stolen.json()["error"]) == (400, "invalid_grant")
    assert (await site.refreshes(second["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await site.userinfo(second["access_token"])).status_code == 401
    assert (await site.userinfo(others["access_token"])).status_code == 200  # nobody else's


async def test_another_client_cannot_refresh_nor_end_a_sign_in_by_trying(register, lin):
    site, other = await register(), await register()
    tokens = await site.signs_in(lin)
    for _ in range(2):
        assert (await other.refreshes(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert (await site.refreshes(tokens["refresh_token"])).status_code == 200


async def test_a_refresh_gives_no_more_than_was_given(register, lin):
    site = await register()
    tokens = await site.signs_in(lin, scope="openid greeting")
    answer = await site.refreshes(tokens["refresh_token"], scope="openid insurance")
    assert answer.json()["error"] == "invalid_scope"


async def test_signing_out_at_onestop_ends_every_token_of_the_session_on_every_instance(
    onestop, elsewhere, register, lin
):
    site, other = await register(), elsewhere
    tokens = await site.signs_in(lin)
    assert (await site.userinfo(tokens["access_token"], at=other)).status_code == 200
    await onestop.sessions.revoke(lin.session_id)
    assert (await site.userinfo(tokens["access_token"], at=other)).status_code == 401
    assert (await site.refreshes(tokens["refresh_token"], at=other)).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("grant", ["password", "client_credentials", "implicit", ""])
async def test_no_other_grant_is_offered(register, grant):
    site = await register()
    answer = await site.calls("/oauth/token", {"grant_type": grant})
    assert (answer.status_code, answer.json()["error"]) == (400, "unsupported_grant_type")


# ---- introspection and revocation


async def test_a_token_is_worth_something_to_its_own_client_only(register, lin):
    site, other = await register(), await register()
    tokens = await site.signs_in(lin)
    told = (await site.calls("/oauth/introspect", {"token": tokens["access_token"]})).json()
    assert (told["active"], told["client_id"], told["scope"]) == (True, site.id, "openid insurance")
    assert (await site.calls("/oauth/introspect", {"token": tokens["refresh_token"]})).json()["active"] is True
    for token in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], "x", ""):
        assert (await other.calls("/oauth/introspect", {"token": token})).json() == {"active": False}


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
async def test_what_is_revoked_holds_on_no_instance_any_more(elsewhere, register, lin, which):
    site, stranger, other = await register(), await register(), elsewhere
    tokens = await site.signs_in(lin)
    assert (await stranger.calls("/oauth/revoke", {"token": tokens[which]})).status_code == 200
    assert (await site.userinfo(tokens["access_token"], at=other)).status_code == 200  # not theirs to end
    assert (await site.calls("/oauth/revoke", {"token": tokens[which]})).status_code == 200
    assert (await site.userinfo(tokens["access_token"], at=other)).status_code == 401
    assert (await site.refreshes(tokens["refresh_token"], at=other)).json()["error"] == "invalid_grant"
    told = await site.calls("/oauth/introspect", {"token": tokens["access_token"]}, at=other)
    assert told.json() == {"active": False}
    assert (await site.calls("/oauth/revoke", {"token": "nobodys"})).status_code == 200


async def test_a_revoked_client_is_none_and_its_tokens_are_over(onestop, register, lin, pool):
    site = await register()
    tokens = await site.signs_in(lin)
    async with pool.acquire() as db, db.transaction():
        await service_clients.revoke(db, onestop.settings, site.id, by="test")
    assert (await site.userinfo(tokens["access_token"])).status_code == 401
    onestop.provider.clients._held.clear()  # five seconds later
    answer = await site.refreshes(tokens["refresh_token"])
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    asked = await lin.goes("/oauth/authorize?" + str(httpx.QueryParams(site.request())))
    assert asked.json()["code"] == "provider.request_unusable"


async def test_what_is_over_is_forgotten(register, lin, pool, onestop):
    from onestop.provider import store

    site = await register()
    await site.signs_in(lin)
    await store.delete_old(pool, onestop.settings.region)
    await pool.execute("UPDATE used_proofs SET expires_at = now()")
    await store.delete_old_proofs(pool, onestop.settings.region)
    assert await pool.fetchval("SELECT count(*) FROM used_proofs") == 0
    for table in ("authorization_codes", "refresh_tokens", "client_grants"):
        await pool.execute(f"UPDATE {table} SET expires_at = expires_at - $1::interval", timedelta(days=9))
    assert await store.delete_old(pool, onestop.settings.region) >= 3
