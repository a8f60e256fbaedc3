import asyncio
import re
import time
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest

from identity.conftest import LIN, PORTAL, FakeProvider, Open, Said
from onestop.identity import errors
from onestop.identity.models import FLOW_COOKIE, SESSION_COOKIE
from onestop.identity.providers import Connection, Providers, read_providers
from onestop.outbound.addresses import AllowList
from onestop.outbound.transport import open_client
from onestop.settings import BadSettings

pytestmark = pytest.mark.anyio


@pytest.fixture
async def outside():
    """The national platform's side of a browser: knows no cookies of the portal."""
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def national_portal(open_portal: Open, national):
    client = open_client(allow=AllowList(["127.0.0.1/32"]), timeout_s=5)
    portal = await open_portal(Providers(read_providers(national), client))
    yield portal
    await client.aclose()


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


async def pick(outside, location: str, person: str) -> str:
    """Open the platform's page and press a person's button; return where it leads."""
    page = await outside.get(location)
    assert page.status_code == 200, page.text
    name = re.search(r'name="request" value="([^"]+)"', page.text)[1]
    answer = await outside.post(
        urlsplit(location)._replace(query="").geturl(), data={"request": name, "person": person}
    )
    assert answer.status_code == 303
    return answer.headers["location"]


async def begin(browser, return_to="/") -> str:
    begun = await browser.get("/auth/sign-in", params={"return_to": return_to})
    assert begun.status_code == 303, begun.text
    return begun.headers["location"]


class TestAtTheNationalPlatform:
    async def test_a_provider_that_is_not_set_up_is_refused_by_code(self, national_portal):
        async with national_portal.browser() as browser:
            begun = await browser.get("/auth/sign-in?provider=nobody", headers={"accept": "application/json"})
            assert (begun.status_code, begun.json()["code"]) == (404, "identity.provider_unknown")

    async def test_a_citizen_signs_in_and_out(self, national_portal, outside):
        async with national_portal.browser() as browser:
            back = await pick(outside, await begin(browser, "/me?tab=1"), "lin")
            done = await browser.get(back)
            assert (done.status_code, done.headers["location"]) == (303, "/me?tab=1")
            cookie = next(c for c in done.headers.get_list("set-cookie") if c.startswith(SESSION_COOKIE + "="))
            assert {"Secure", "HttpOnly", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))
            assert "Domain" not in cookie
            me = (await browser.get("/v1/me")).json()
            assert (me["name"], me["number_masked"]) == ("林晓舟", "9901********0221")
            assert (me["role"], me["level"]) == ("citizen", 3)
            out = await browser.post("/auth/sign-out")
            assert out.status_code == 303
            home = await outside.get(out.headers["location"])
            assert (home.status_code, home.headers["location"]) == (303, PORTAL + "/")
            assert SESSION_COOKIE not in browser.cookies
            browser.cookies.set(SESSION_COOKIE, cookie.split(";")[0].partition("=")[2])
            assert (await browser.get("/v1/me")).status_code == 401

    async def test_staff_come_in_with_role_and_department(self, national_portal, outside):
        for person, role, department in [
            ("window03", "clerk", "zwfw"),
            ("desk-weijian", "department", "weijian"),
            ("governance", "governance", None),
            ("operator", "operator", None),
        ]:
            async with national_portal.browser() as browser:
                await browser.get(await pick(outside, await begin(browser), person))
                me = (await browser.get("/v1/me")).json()
                assert (me["role"], me["department"], me["number_type"]) == (role, department, "account")

    async def test_a_person_who_turns_back_is_told_so(self, national_portal, outside):
        async with national_portal.browser() as browser:
            back = await pick(outside, await begin(browser), "")
            assert query(back)["error"] == "access_denied"
            refused = await browser.get(back)
            assert (refused.status_code, refused.json()["code"]) == (403, "identity.sign_in_refused")

    async def test_an_answer_works_once(self, national_portal, outside):
        async with national_portal.browser() as browser:
            back = await pick(outside, await begin(browser), "lin")
            answers = await asyncio.gather(*(browser.get(back) for _ in range(4)))
            assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400]
            again = await browser.get(back)
            assert (again.status_code, again.json()["code"]) == (400, "identity.flow_unknown")

    async def test_an_answer_in_another_browser_is_refused_and_still_waits_for_its_own(self, national_portal, outside):
        async with national_portal.browser() as lin, national_portal.browser() as chen:
            back = await pick(outside, await begin(lin), "lin")
            await begin(chen)
            refused = await chen.get(back)
            assert (refused.status_code, refused.json()["code"]) == (400, "identity.flow_unknown")
            assert SESSION_COOKIE not in chen.cookies
            async with national_portal.browser() as bare:
                assert (await bare.get(back)).status_code == 400
            assert (await lin.get(back)).status_code == 303

    async def test_two_tabs_of_one_browser_do_not_undo_each_other(self, national_portal, outside):
        async with national_portal.browser() as browser:
            first, second = await begin(browser, "/first"), await begin(browser, "/second")
            assert (await browser.get(await pick(outside, first, "lin"))).headers["location"] == "/first"
            assert (await browser.get(await pick(outside, second, "lin"))).headers["location"] == "/second"

    async def test_signing_in_again_ends_the_session_before(self, national_portal, outside):
        async with national_portal.browser() as browser:
            await browser.get(await pick(outside, await begin(browser), "lin"))
            before = browser.cookies[SESSION_COOKIE]
            await browser.get(await pick(outside, await begin(browser), "lin"))
            assert browser.cookies[SESSION_COOKIE] != before
            national_portal.sessions._held.clear()
            assert await national_portal.sessions.resolve(None, before) is None

    async def test_the_page_speaks_the_persons_language_and_needs_no_script(self, national_portal, outside):
        async with national_portal.browser() as browser:
            for header, lang, title in [
                ("zh-CN", "zh-CN", "统一身份认证"),
                ("en-GB", "en", "National identity"),
            ]:
                begun = await browser.get("/auth/sign-in", headers={"accept-language": header})
                page = await outside.get(begun.headers["location"])
                assert f'lang="{lang}"' in page.text
                assert title in page.text
                assert "<script" not in page.text
                assert "990102199203140221" not in page.text
                assert PORTAL in page.headers["content-security-policy"]

    @pytest.mark.parametrize(
        ("changed", "expected"),
        [
            ({"redirect_uri": "https://evil.test/auth/callback"}, None),
            ({"redirect_uri": PORTAL + "/auth/callback/"}, None),
            ({"client_id": "other"}, None),
            ({"code_challenge": None}, "invalid_request"),
            ({"code_challenge_method": None}, "invalid_request"),
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "profile"}, "invalid_scope"),
        ],
    )
    async def test_the_platform_refuses_requests_that_do_not_hold(self, national_portal, outside, changed, expected):
        async with national_portal.browser() as browser:
            location = urlsplit(await begin(browser))
        told = {name: value for name, value in (query(location.geturl()) | changed).items() if value is not None}
        answer = await outside.get(location._replace(query="").geturl(), params=told)
        if expected is None:
            assert answer.status_code == 400
            assert "location" not in answer.headers
        else:
            back = query(answer.headers["location"])
            assert (back["error"], back["state"]) == (expected, told["state"])
            assert back["iss"]

    async def test_the_platform_gives_tokens_for_a_code_once_and_only_with_the_verifier(
        self, national_portal, national, outside
    ):
        provider, *_ = read_providers(national)
        async with national_portal.browser() as browser:

            async def redeem(verifier=None, secret=provider.client_secret, times=1, uri=PORTAL + "/auth/callback"):
                from authlib.oauth2.rfc7636 import create_s256_code_challenge

                location = urlsplit(await begin(browser))
                told = query(location.geturl()) | {"code_challenge": create_s256_code_challenge("v" * 43)}
                back = await pick(outside, location._replace(query=str(httpx.QueryParams(told))).geturl(), "lin")
                form = {"grant_type": "authorization_code", "code": query(back)["code"], "redirect_uri": uri}
                form |= {"code_verifier": verifier} if verifier else {}
                for _ in range(times):
                    answer = await outside.post(
                        provider.issuer + "/token", data=form, auth=(provider.client_id, secret)
                    )
                return answer

            good = await redeem("v" * 43)
            assert good.status_code == 200
            assert good.headers["cache-control"] == "no-store"
            for answer, error in [
                (await redeem(), "invalid_grant"),
                (await redeem("w" * 43), "invalid_grant"),
                (await redeem("v" * 43, times=2), "invalid_grant"),
                (await redeem("v" * 43, uri="https://evil.test"), "invalid_grant"),
                (await redeem("v" * 43, secret="wrong"), "invalid_client"),
            ]:
                assert answer.json()["error"] == error
                assert answer.status_code == (401 if error == "invalid_client" else 400)

    async def test_a_code_shown_twice_takes_back_what_it_bought(self, national_portal, national, outside):
        provider, *_ = read_providers(national)
        connection = national_portal.sign_in._providers.get(None)
        verifier = "v" * 43
        url = await connection.authorization_url(
            redirect_uri=PORTAL + "/auth/callback", state="s", nonce="n", verifier=verifier
        )
        code = query(await pick(outside, url, "lin"))["code"]
        reply = await connection.redeem(code, redirect_uri=PORTAL + "/auth/callback", verifier=verifier)
        shown = {"authorization": f"Bearer {reply.access_token}"}
        assert (await outside.get(provider.issuer + "/userinfo", headers=shown)).status_code == 200
        with pytest.raises(errors.SignInRefused):
            await connection.redeem(code, redirect_uri=PORTAL + "/auth/callback", verifier=verifier)
        assert (await outside.get(provider.issuer + "/userinfo", headers=shown)).status_code == 401

    async def test_the_platform_sends_nobody_to_an_unregistered_page_after_signing_out(self, national, outside):
        provider, *_ = read_providers(national)
        for told in ({}, {"post_logout_redirect_uri": "https://evil.test/"}, {"id_token_hint": "a.b.c"}):
            answer = await outside.get(provider.issuer + "/end_session", params=told)
            assert answer.status_code == 200
            assert "location" not in answer.headers

    async def test_a_network_number_is_bound_and_then_signs_the_person_in(self, national_portal, national, outside):
        assert [one.tells for one in read_providers(national)] == ["number", "pseudonym"]

        async def through(browser, person, told):
            begun = await browser.get("/auth/sign-in?" + told)
            done = await browser.get(await pick(outside, begun.headers["location"], person))
            assert done.status_code == 303, done.text
            return (await browser.get("/v1/me")).json()

        async with national_portal.browser() as browser, national_portal.browser() as elsewhere:
            account = await through(browser, "chen", "provider=network")
            assert (account["level"], account["number_type"], account["name"]) == (0, "account", "")
            person = await through(browser, "chen", "provider=national&bind=true")
            assert (person["level"], person["name"]) == (3, "陈立")
            there = await through(elsewhere, "chen", "provider=network")
            assert there["subject_id"] == person["subject_id"] != account["subject_id"]
            # Another citizen's number is another account, and nobody's.
            other = await through(elsewhere, "lin", "provider=network")
            assert other["level"] == 0
            assert other["subject_id"] not in (account["subject_id"], person["subject_id"])

    async def test_the_platform_gives_a_code_to_the_client_it_was_made_for_alone(
        self, national_portal, national, outside
    ):
        portal, network = read_providers(national)
        connection = national_portal.sign_in._providers.get("network")
        url = await connection.authorization_url(
            redirect_uri=PORTAL + "/auth/callback", state="s", nonce="n", verifier="v" * 43
        )
        code = query(await pick(outside, url, "lin"))["code"]
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": PORTAL + "/auth/callback"}
        form["code_verifier"] = "v" * 43
        for client, status in ((portal, 400), (network, 200)):
            answer = await outside.post(
                client.issuer + "/token", data=form, auth=(client.client_id, client.client_secret)
            )
            assert answer.status_code == status
        shown = {"authorization": f"Bearer {answer.json()['access_token']}"}
        assert set((await outside.get(network.issuer + "/userinfo", headers=shown)).json()) == {"sub"}


class TestAtAProviderThatErrs:
    @pytest.fixture
    async def portal(self, open_portal: Open, fake: FakeProvider):
        return await open_portal(fake.providers())

    async def sign_in(self, portal, fake, back=None):
        async with portal.browser() as browser:
            location = await begin(browser)
            answer = fake.answers(location)
            return await browser.get(back(answer) if back else answer)

    async def reason(self, portal, fake) -> str:
        begun = await portal.sign_in.begin(None, "/")
        answer = urlsplit(fake.answers(begun.location)).query.encode()
        with pytest.raises(errors.BadToken) as refusal:
            await portal.sign_in.finish(answer, browser=begun.browser)
        return refusal.value.reason

    async def test_a_request_carries_state_nonce_and_pkce(self, portal, fake):
        async with portal.browser() as browser:
            told = query(await begin(browser))
            assert (told["response_type"], told["code_challenge_method"]) == ("code", "S256")
            assert len(told["code_challenge"]) == 43
            assert min(len(told["state"]), len(told["nonce"])) >= 43
            assert told["redirect_uri"] == PORTAL + "/auth/callback"
            assert browser.cookies[FLOW_COOKIE] not in str(told)

    async def test_the_good_answer_is_taken_so_the_refusals_below_mean_something(self, portal, fake):
        assert (await self.sign_in(portal, fake)).status_code == 303
        assert len(fake.forms[0]["code_verifier"]) >= 43

    async def test_only_the_hash_of_the_state_is_stored(self, portal, fake, pool):
        async with portal.browser() as browser:
            told = query(await begin(browser))
            stored = await pool.fetchval("SELECT string_agg(f::text, ' ') FROM sign_in_flows f")
            for secret in (told["state"], told["nonce"], browser.cookies[FLOW_COOKIE]):
                assert secret not in stored
                assert secret.encode().hex() not in stored

    async def test_a_sign_in_older_than_ten_minutes_is_over(self, portal, fake, pool):
        async with portal.browser() as browser:
            back = fake.answers(await begin(browser))
            await pool.execute("UPDATE sign_in_flows SET expires_at = expires_at - interval '601 seconds'")
            assert (await browser.get(back)).json()["code"] == "identity.flow_unknown"
            assert not fake.forms

    @pytest.mark.parametrize("told", ["", "&iss=https://evil.test", "&iss=https://idp.test/", "&iss="])
    async def test_an_answer_of_another_issuer_is_refused_before_its_code_is_sent(self, portal, fake, told):
        refused = await self.sign_in(portal, fake, lambda answer: answer.partition("&iss=")[0] + told)
        assert (refused.status_code, refused.json()["code"]) == (400, "identity.issuer_mixed")
        assert not fake.forms

    async def test_no_issuer_is_taken_where_none_was_promised(self, portal, fake):
        fake.metadata["authorization_response_iss_parameter_supported"] = False
        taken = await self.sign_in(portal, fake, lambda answer: answer.partition("&iss=")[0])
        assert taken.status_code == 303

    @pytest.mark.parametrize("return_to", ["https://evil.test", "//evil.test", "/\\evil.test", "/\t/evil.test"])
    async def test_no_sign_in_leads_to_another_host(self, portal, fake, return_to):
        async with portal.browser() as browser:
            refused = await browser.get("/auth/sign-in", params={"return_to": return_to})
            assert (refused.status_code, refused.json()["code"]) == (400, "identity.bad_return")

    async def test_an_unknown_provider_is_not_found(self, portal):
        async with portal.browser() as browser:
            assert (await browser.get("/auth/sign-in?provider=nobody")).status_code == 404

    @pytest.mark.parametrize(
        ("changed", "reason"),
        [
            ({"nonce": "another"}, "nonce"),
            ({"nonce": None}, "nonce"),
            ({"aud": "another"}, "aud"),
            ({"iss": "https://evil.test"}, "iss"),
            ({"exp": 1}, "expired"),
            ({"at_hash": "AAAA"}, "at_hash"),
            ({"azp": "another"}, "azp"),
        ],
    )
    async def test_an_id_token_that_does_not_hold_lets_nobody_in(self, portal, fake, pool, changed, reason):
        fake.bend = lambda claims: fake.sign(claims | changed)
        before = await pool.fetchval("SELECT count(*) FROM sessions")
        refused = await self.sign_in(portal, fake)
        assert (refused.status_code, refused.json()["code"]) == (401, "identity.bad_token")
        assert "set-cookie" not in refused.headers
        assert await self.reason(portal, fake) == reason
        assert await pool.fetchval("SELECT count(*) FROM sessions") == before

    async def test_a_real_persons_number_is_refused_and_nothing_is_stored(self, portal, fake, pool):
        count = "SELECT (SELECT count(*) FROM subjects) + (SELECT count(*) FROM sessions)"
        before = await pool.fetchval(count)
        fake.claims["id_number"] = {"type": "citizen_id", "number": "11010519491231002X"}
        refused = await self.sign_in(portal, fake)
        assert (refused.status_code, refused.json()["code"]) == (422, "sandbox.real_identity")
        assert await pool.fetchval(count) == before

    async def test_the_same_number_is_one_subject_at_any_provider(self, portal, fake):
        async with portal.browser() as browser:
            await browser.get(fake.answers(await begin(browser)))
            me = (await browser.get("/v1/me")).json()
        assert me["subject_id"] == await portal.sessions.know(LIN)

    async def test_userinfo_adds_but_never_overrides_and_speaks_of_the_same_subject(self, portal, fake):
        number = fake.claims.pop("id_number")
        fake.told_by_userinfo = {"sub": "abc", "name": "陈立", "id_number": number}
        async with portal.browser() as browser:
            assert (await browser.get(fake.answers(await begin(browser)))).status_code == 303
            me = (await browser.get("/v1/me")).json()
            assert (me["name"], me["number_masked"]) == ("林晓舟", "9901********0221")
        fake.told_by_userinfo["sub"] = "somebody else"
        refused = await self.sign_in(portal, fake)
        assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed")

    async def test_a_key_made_since_is_fetched_once_and_invented_ids_do_not_make_us_ask(self, portal, fake):
        from joserfc.jwk import ECKey

        await self.sign_in(portal, fake)
        connection = portal.sign_in._providers.get(None)
        fake.key = ECKey.generate_key("P-256", parameters={"kid": "k2"}, private=True)
        fake.published.append(fake.key)
        fake.bend = lambda claims: fake.sign(claims, kid="k2")
        asked = fake.asked.count("/jwks")
        connection._keys = (connection._keys[0] - 11, connection._keys[1])
        assert (await self.sign_in(portal, fake)).status_code == 303
        assert fake.asked.count("/jwks") == asked + 1
        fake.bend = lambda claims: fake.sign(claims, kid="invented")
        for _ in range(5):
            assert await self.reason(portal, fake) == "unknown_key"
        assert fake.asked.count("/jwks") == asked + 1

    @pytest.mark.parametrize(
        "changed",
        [
            {"issuer": "https://evil.test"},
            {"issuer": None},
            {"token_endpoint": "http://idp.test/token"},
            {"authorization_endpoint": "javascript:alert(1)"},
            {"jwks_uri": None},
            {"jwks_uri": "http://idp.test/jwks"},
            {"end_session_endpoint": "http://evil.test/"},
            {"code_challenge_methods_supported": ["plain"]},
            {"code_challenge_methods_supported": "S256"},
            {"authorization_response_iss_parameter_supported": "yes"},
            {"response_types_supported": 7},
            {"userinfo_endpoint": 7},
            {"userinfo_endpoint": "http://idp.test/userinfo"},
        ],
    )
    async def test_metadata_that_do_not_hold_stop_a_sign_in(self, portal, fake, changed):
        fake.metadata |= changed
        async with portal.browser() as browser:
            refused = await browser.get("/auth/sign-in")
            assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed")

    @pytest.mark.parametrize(
        "said",
        [
            Said(b"", 500),
            Said(b"not json"),
            Said(b"\xff\xfe"),
            Said(b"[" * 20_000),
            Said(b'{"a":"' + b"a" * 300_000 + b'"}'),
            Said([]),
            Said({"access_token": "a", "token_type": "Bearer"}),
            Said({"access_token": "a", "token_type": "DPoP", "id_token": "a.b.c"}),
            Said({"error": "invalid_client"}, 401),
            Said({}, 302),
        ],
    )
    async def test_nonsense_from_the_token_endpoint_is_the_providers_failure(self, portal, fake, said, monkeypatch):
        ask = fake.request

        async def bent(method, url, **kwargs):
            return said if url.endswith("/token") else await ask(method, url, **kwargs)

        fake.request = bent
        portal.sign_in._providers.get(None)._client = fake
        refused = await self.sign_in(portal, fake)
        assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed")

    async def test_a_code_the_provider_no_longer_takes_is_told_as_such(self, portal, fake):
        ask = fake.request

        async def bent(method, url, **kwargs):
            return Said({"error": "invalid_grant"}, 400) if url.endswith("/token") else await ask(method, url, **kwargs)

        fake.request = bent
        assert (await self.sign_in(portal, fake)).json()["code"] == "identity.sign_in_refused"

    async def test_a_silent_provider_costs_five_seconds_at_most(self, portal, fake, monkeypatch):
        monkeypatch.setattr("onestop.identity.provider_calls._TOTAL_S", 0.2)

        async def silent(method, url, **kwargs):
            await asyncio.sleep(60)

        fake.request = silent
        began = time.monotonic()
        async with portal.browser() as browser:
            refused = await browser.get("/auth/sign-in")
        assert (refused.status_code, refused.json()["code"]) == (504, "identity.provider_silent")
        assert time.monotonic() - began < 2

    async def test_a_session_ends_even_where_the_provider_is_gone(self, portal, fake):
        async with portal.browser() as browser:
            await browser.get(fake.answers(await begin(browser)))
            portal.sign_in._providers.get(None)._metadata = None

            async def gone(method, url, **kwargs):
                return Said(b"", 503)

            fake.request = gone
            out = await browser.post("/auth/sign-out")
            assert (out.status_code, out.headers["location"]) == (303, "/")
            assert (await browser.get("/v1/me")).status_code == 401

    async def test_another_sites_page_signs_nobody_out(self, portal, fake):
        async with portal.browser() as browser:
            await browser.get(fake.answers(await begin(browser)))
            refused = await browser.post("/auth/sign-out", headers={"origin": "https://evil.test"})
            assert (refused.status_code, refused.json()["code"]) == (403, "request.cross_site")
            assert (await browser.get("/v1/me")).status_code == 200

    async def test_an_app_signs_out_without_a_redirect(self, portal, fake):
        issued = await portal.sessions.issue_bearer(LIN)
        headers = {"authorization": f"Bearer {issued.token}"}
        async with portal.browser() as browser:
            assert (await browser.post("/auth/sign-out", headers=headers)).status_code == 204
            assert (await browser.get("/v1/me", headers=headers)).status_code == 401

    async def test_yesterdays_metadata_serve_while_a_provider_is_away(self, fake):
        connection = Connection(fake.provider, fake)
        told = await connection.metadata()
        connection._metadata = (connection._metadata[0] - 4000, told)

        async def gone(method, url, **kwargs):
            return Said(b"", 503)

        fake.request = gone
        assert await connection.metadata() == told
        connection._metadata = (connection._metadata[0] - 90_000, told)
        with pytest.raises(errors.ProviderFailed):
            await connection.metadata()


async def test_a_refused_address_is_a_silent_provider(fake):
    client = open_client(allow=AllowList([]), timeout_s=1)
    provider = msgspec.structs.replace(fake.provider, issuer="http://127.0.0.1:1")
    with pytest.raises(errors.ProviderSilent, match="address_refused"):
        await Connection(provider, client).metadata()
    await client.aclose()


@pytest.mark.parametrize(
    "text",
    [
        "provider = 1",
        "[[provider]]\nname = 'x'",
        "x = [",
        "[[provider]]\nname='a'\nissuer='i'\nclient_id='c'\nclient_secret='s'\nlabel={zh='',en=''}\nextra=1",
        "[[provider]]\nname='a'\nissuer='i'\nclient_id='c'\nclient_secret='s'\nlabel={zh='',en=''}\n" * 2,
    ],
)
def test_an_identity_file_with_faults_is_refused(tmp_path, text):
    path = tmp_path / "identity.toml"
    path.write_text(text)
    with pytest.raises(BadSettings):
        read_providers(path)


def test_no_secret_shows_when_a_provider_is_printed(fake):
    assert "secret" not in repr(fake.provider)


def test_the_registration_is_readable_by_its_owner_alone_and_keeps_its_secret(tmp_path):
    from onestop.demo.accounts import register

    first = register(tmp_path, 8001)
    path = tmp_path / "identity.toml"
    assert path.stat().st_mode & 0o077 == 0
    assert register(tmp_path, 8001) == first
    assert [one.issuer for one in register(tmp_path, 9001)] == ["http://127.0.0.1:9001"] * 2
