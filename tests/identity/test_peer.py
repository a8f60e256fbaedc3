"""Sign-in against somebody else's provider: npm's oidc-provider, as a process. Skipped only where npm is not there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey
from tests.ports import free_port

from identity.conftest import LIN, PORTAL, Open, wait_until_served
from onestop.identity import client_keys
from onestop.identity.models import SESSION_COOKIE, Label, Provider
from onestop.identity.providers import Providers
from onestop.outbound.addresses import AllowList
from onestop.outbound.transport import open_client

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")]
HERE = Path(__file__).parent / "peer"
ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
SECRET = "only-for-one-test-run"
REAL = "11010519491231002X"
SIGNER = ECKey.generate_key("P-256", parameters={"kid": "client"}, private=True)
OPENER = ECKey.generate_key("P-521", private=True)


@pytest.fixture(scope="module")
def issuer(server):
    """The provider's process; yields its issuer."""
    folder = subprocess.run([HERE / "install"], check=True, capture_output=True, text=True).stdout.strip()
    port = free_port()
    accounts = {
        "lin": {"name": LIN.name, "id_number": {"type": "citizen_id", "number": LIN.number}, "role": "operator"},
        "real": {"name": "某人", "id_number": {"type": "citizen_id", "number": REAL}},
    }
    told = {"port": port, "redirect_uri": PORTAL + "/auth/callback", "home": PORTAL + "/", "secret": SECRET}
    keys = [client_keys.public(SIGNER, "sig"), client_keys.public(OPENER, "enc")]
    settings = json.dumps({**told, "accounts": accounts, "algorithms": ALGORITHMS, "keys": keys})
    process = subprocess.Popen(
        ["node", HERE / "provider.mjs", folder, settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until_served(process, f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
async def portal(open_portal: Open, issuer: str):
    client = open_client(allow=AllowList(["127.0.0.1/32"]), timeout_s=5)
    configured = [
        Provider(
            name=f"peer-{alg.lower()}",
            issuer=issuer,
            client_id=f"onestop-{alg}",
            client_secret=SECRET,
            auth_method="client_secret_post" if alg == "ES256" else "client_secret_basic",
            scopes=("openid", "profile", "id_number"),
            level=2,
            label=Label("别家", "somebody else"),
        )
        for alg in ALGORITHMS
    ]
    strict = Provider(
        name="peer-strict",
        issuer=issuer,
        client_id="onestop-strict",
        auth_method="private_key_jwt",
        client_key=json.dumps(SIGNER.as_dict(private=True)),
        id_token_key=OPENER.as_pem(private=True).decode(),
        par=True,
        dpop=True,
        scopes=("openid", "profile", "id_number"),
        level=2,
        label=Label("别家", "somebody else"),
    )
    yield await open_portal(Providers([*configured, strict], client))
    await client.aclose()


@pytest.fixture
async def outside():
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        yield client


async def walk(outside: httpx.AsyncClient, url: str, login: str | None) -> str:
    """Do what a person does at the provider: log in, agree; return the address that leads back to the portal."""
    page = await outside.get(url)
    for _ in range(12):
        if page.is_redirect:
            url = urljoin(str(page.url), page.headers["location"])
            if url.startswith(PORTAL):
                return url
            page = await outside.get(url)
            continue
        assert page.status_code == 200, page.text
        if login is None:
            [abort] = re.findall(r'href="([^"]+/abort)"', page.text)
            page = await outside.get(urljoin(str(page.url), abort))
            continue
        [action] = re.findall(r'<form[^>]* action="([^"]+)"', page.text)
        prompt = re.search(r'name="prompt" value="([^"]+)"', page.text)[1]
        page = await outside.post(
            urljoin(str(page.url), action), data={"prompt": prompt, "login": login, "password": "any"}
        )
    raise AssertionError("the provider led nowhere")


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_a_citizen_signs_in_and_out_with_every_algorithm(portal, outside, alg):
    async with portal.browser() as browser:
        begun = await browser.get(f"/auth/sign-in?provider=peer-{alg.lower()}&return_to=/me")
        back = await walk(outside, begun.headers["location"], "lin")
        assert dict(parse_qsl(urlsplit(back).query))["iss"]
        done = await browser.get(back)
        assert (done.status_code, done.headers.get("location")) == (303, "/me"), done.text
        me = (await browser.get("/v1/me")).json()
        assert (me["name"], me["number_masked"], me["level"]) == (LIN.name, "9901********0221", 2)
        assert me["role"] == "citizen"  # whatever this provider says
        out = await browser.post("/auth/sign-out")
        page = await outside.get(out.headers["location"])
        assert page.status_code == 200
        assert "/session/end/confirm" in page.text
        assert SESSION_COOKIE not in browser.cookies


async def test_everything_at_once_at_somebody_elses_provider(portal, outside):
    """PAR, private_key_jwt, DPoP with the server's nonce, an ID token encrypted by ECDH-ES to P-521, and max_age."""
    connection = portal.sign_in._providers.get("peer-strict")
    seen: list[tuple[str, dict[str, str], int]] = []
    ask = connection._ask

    async def noting(method, url, headers, content=None):
        answer = await ask(method, url, headers, content)
        seen.append((urlsplit(url).path, dict(headers), answer.status_code))
        return answer

    connection._ask = noting
    async with portal.browser() as browser:
        begun = await browser.get("/auth/sign-in?provider=peer-strict&level=2&return_to=/me")
        asked = dict(parse_qsl(urlsplit(begun.headers["location"]).query))
        assert set(asked) == {"client_id", "request_uri"}
        done = await browser.get(await walk(outside, begun.headers["location"], "lin"))
        assert (done.status_code, done.headers.get("location")) == (303, "/me"), done.text
        me = (await browser.get("/v1/me")).json()
        assert (me["name"], me["number_masked"], me["level"]) == (LIN.name, "9901********0221", 2)
        out = await browser.post("/auth/sign-out")
        assert (await outside.get(out.headers["location"])).status_code == 200
    told = [(path, status) for path, headers, status in seen if "DPoP" in headers]
    # The first proof had no nonce, and the provider said which; what was learnt there is shown in all that follow.
    assert told[:2] == [("/request", 400), ("/request", 201)]
    assert ("/token", 200) in told
    assert all("authorization" not in {name.lower() for name in headers} or path == "/me" for path, headers, _ in seen)


async def test_the_provider_takes_no_token_and_no_code_from_whoever_lacks_the_key(portal, outside):
    from onestop.identity.dpop import Prover, new_key
    from onestop.identity.errors import ProviderFailed, SignInRefused

    connection = portal.sign_in._providers.get("peer-strict")
    uri = PORTAL + "/auth/callback"
    ours, thief = Prover(new_key()), Prover(new_key())
    told = {"redirect_uri": uri, "state": "s" * 43, "nonce": "n" * 43, "verifier": "v" * 43}
    url = await connection.authorization_url(**told, prover=ours)
    code = dict(parse_qsl(urlsplit(await walk(outside, url, "lin")).query))["code"]
    with pytest.raises((SignInRefused, ProviderFailed)):
        await connection.redeem(code, redirect_uri=uri, verifier="v" * 43, prover=thief)
    url = await connection.authorization_url(**told, prover=ours)
    code = dict(parse_qsl(urlsplit(await walk(outside, url, "lin")).query))["code"]
    reply = await connection.redeem(code, redirect_uri=uri, verifier="v" * 43, prover=ours)
    claims = await connection.claims(reply, "n" * 43)
    assert (await connection.userinfo(reply.access_token, claims["sub"], ours))["sub"] == "lin"
    with pytest.raises(ProviderFailed):
        await connection.userinfo(reply.access_token, claims["sub"], thief)
    with pytest.raises(ProviderFailed):
        await connection.userinfo(reply.access_token, claims["sub"])


async def test_a_person_who_turns_back_is_not_signed_in(portal, outside):
    async with portal.browser() as browser:
        begun = await browser.get("/auth/sign-in?provider=peer-es256")
        refused = await browser.get(await walk(outside, begun.headers["location"], None))
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.sign_in_refused")


async def test_a_real_person_is_refused_in_the_demo(portal, outside, pool):
    count = "SELECT (SELECT count(*) FROM subjects) + (SELECT count(*) FROM sessions)"
    before = await pool.fetchval(count)
    async with portal.browser() as browser:
        begun = await browser.get("/auth/sign-in?provider=peer-es256")
        refused = await browser.get(await walk(outside, begun.headers["location"], "real"))
        assert (refused.status_code, refused.json()["code"]) == (422, "sandbox.real_identity")
    assert await pool.fetchval(count) == before


async def test_an_answer_is_not_taken_twice_nor_in_another_browser(portal, outside):
    async with portal.browser() as browser, portal.browser() as other:
        begun = await browser.get("/auth/sign-in?provider=peer-rs256")
        await other.get("/auth/sign-in?provider=peer-rs256")
        back = await walk(outside, begun.headers["location"], "lin")
        assert (await other.get(back)).status_code == 400
        assert (await browser.get(back)).status_code == 303
        assert (await browser.get(back)).status_code == 400


async def test_the_provider_refuses_a_request_without_pkce(portal, outside):
    async with portal.browser() as browser:
        location = urlsplit((await browser.get("/auth/sign-in?provider=peer-es256")).headers["location"])
        told = [(k, v) for k, v in parse_qsl(location.query) if not k.startswith("code_challenge")]
        answer = await outside.get(location._replace(query=str(httpx.QueryParams(told))).geturl())
        back = answer.headers["location"]
        assert dict(parse_qsl(urlsplit(back).query))["error"] == "invalid_request"
        refused = await browser.get(back)
        assert (refused.status_code, refused.json()["code"]) == (403, "identity.sign_in_refused")


async def test_a_code_is_no_use_with_another_verifier(portal, outside):
    connection = portal.sign_in._providers.get("peer-es256")
    uri = PORTAL + "/auth/callback"
    from onestop.identity.errors import SignInRefused

    url = await connection.authorization_url(redirect_uri=uri, state="s" * 43, nonce="n" * 43, verifier="v" * 43)
    code = dict(parse_qsl(urlsplit(await walk(outside, url, "lin")).query))["code"]
    with pytest.raises(SignInRefused):
        await connection.redeem(code, redirect_uri=uri, verifier="w" * 43)
