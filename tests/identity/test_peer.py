"""Sign-in against somebody else's provider: npm's oidc-provider, as a process. Skipped only where npm is not there."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest
from tests.ports import free_port

from identity.conftest import LIN, PORTAL, Open, wait_until_served
from onestop.identity.models import SESSION_COOKIE, Label, Provider
from onestop.identity.providers import Providers
from onestop.outbound.addresses import AllowList
from onestop.outbound.transport import open_client

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")]
HERE = Path(__file__).parent / "peer"
ALGORITHMS = ("RS256", "PS256", "ES256", "Ed25519", "EdDSA")
SECRET = "only-for-one-test-run"
REAL = "11010519491231002X"


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
    settings = json.dumps({**told, "accounts": accounts, "algorithms": ALGORITHMS})
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
    yield await open_portal(Providers(configured, client))
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
