"""Onestop as a provider's client: pushed requests, a signature in place of a secret, tokens bound to a key."""

import hashlib
import json
import time
from base64 import urlsafe_b64encode
from urllib.parse import parse_qsl, urlsplit

import msgspec
import pytest
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from identity.conftest import FakeProvider, Open, Said
from identity.test_encrypted import KEY as OPENER
from identity.test_encrypted import sealed
from onestop.identity.models import Provider
from onestop.identity.providers import Providers, read_providers
from onestop.settings import BadSettings

pytestmark = pytest.mark.anyio
SIGNER = ECKey.generate_key("P-256", parameters={"kid": "client"}, private=True)
PUSHED = "urn:ietf:params:oauth:request_uri:1"


class Strict(FakeProvider):
    """A provider that asks for everything at once, and checks it; `nonce_step` says how often its nonce changes."""

    def __init__(self) -> None:
        super().__init__()
        self.metadata |= {"pushed_authorization_request_endpoint": f"{self.issuer}/par"}
        self.wants_nonce: dict[str, str] = {}
        self.proofs: list[dict[str, str]] = []
        self.keys: list[str] = []
        self.assertions: list[dict[str, object]] = []
        self.pushed: dict[str, str] = {}
        self.token_type = "DPoP"
        self.told_by_userinfo = {"sub": "abc"}

    @property
    def provider(self) -> Provider:
        return msgspec.structs.replace(
            super().provider,
            client_secret="",
            auth_method="private_key_jwt",
            client_key=json.dumps(SIGNER.as_dict(private=True)),
            id_token_key=json.dumps(OPENER.as_dict(private=True)),
            par=True,
            dpop=True,
        )

    async def request(self, method, url, *, content=None, headers=None):
        path = urlsplit(url).path
        if path not in ("/par", "/token", "/userinfo"):
            return await super().request(method, url, content=content, headers=headers)
        told = self._check_proof(method, url, headers, None if path != "/userinfo" else headers["Authorization"])
        side = "resource" if path == "/userinfo" else "server"
        if self.wants_nonce.get(side) not in (None, told.get("nonce")):
            status, wanted = (401 if side == "resource" else 400), self.wants_nonce[side]
            return Said({"error": "use_dpop_nonce"}, status, dpop_nonce=wanted)
        if path == "/userinfo":
            return Said(self.told_by_userinfo)
        form = dict(parse_qsl(content.decode()))
        assertion = jwt.decode(form.pop("client_assertion"), SIGNER, algorithms=["ES256"])
        assert assertion.header["kid"] == "client"
        self.assertions.append(assertion.claims)
        if path == "/par":
            self.pushed = form
            return Said({"request_uri": PUSHED, "expires_in": 60}, 201)
        self.nonce = self.pushed["nonce"]
        token = sealed(self.sign(self.id_claims("access")))
        return Said({"access_token": "access", "token_type": self.token_type, "id_token": token})

    def _check_proof(self, method, url, headers, authorization) -> dict[str, str]:
        header = jws.extract_compact(headers["DPoP"].encode()).headers()
        key = ECKey.import_key(header["jwk"])
        assert not key.is_private
        told = jwt.decode(headers["DPoP"], key, algorithms=["ES256"]).claims
        assert (header["typ"], told["htm"], told["htu"]) == ("dpop+jwt", method, url)
        assert abs(told["iat"] - time.time()) < 30
        if authorization is not None:
            assert authorization == "DPoP access"
            assert told["ath"] == urlsafe_b64encode(hashlib.sha256(b"access").digest()).rstrip(b"=").decode()
        self.proofs.append(told)
        self.keys.append(key.thumbprint())
        return told

    def answers(self, location: str) -> str:
        assert dict(parse_qsl(urlsplit(location).query)) == {"client_id": "onestop", "request_uri": PUSHED}
        return f"/auth/callback?code=abc&state={self.pushed['state']}&iss={self.issuer}"


@pytest.fixture
def fake() -> Strict:
    return Strict()


@pytest.fixture
async def portal(open_portal: Open, fake: Strict):
    return await open_portal(Providers([fake.provider], fake))


async def sign_in(portal, fake):
    async with portal.browser() as browser:
        begun = await browser.get("/auth/sign-in", params={"return_to": "/me"})
        assert begun.status_code == 303, begun.text
        return await browser.get(fake.answers(begun.headers["location"]))


async def test_a_request_is_pushed_signed_and_bound_and_the_browser_carries_nothing_of_it(portal, fake):
    assert (await sign_in(portal, fake)).headers["location"] == "/me"
    assert fake.pushed["code_challenge_method"] == "S256"
    # The code is bound to the key that every proof of this sign-in, and of no other, is made with.
    assert {fake.pushed["dpop_jkt"]} == set(fake.keys)
    [first, second] = fake.assertions
    assert first["aud"] == second["aud"] == fake.issuer
    assert first["iss"] == first["sub"] == "onestop"
    assert first["jti"] != second["jti"]
    assert 0 < first["exp"] - first["iat"] <= 60
    assert len({proof["jti"] for proof in fake.proofs}) == len(fake.proofs)
    keys = set(fake.keys)
    await sign_in(portal, fake)
    assert len(set(fake.keys)) == len(keys) + 1


async def test_a_nonce_the_server_asks_for_is_shown_at_once_and_kept(portal, fake):
    fake.claims.pop("id_number")  # so that userinfo is asked
    fake.wants_nonce = {"server": "s-1", "resource": "r-1"}
    assert (await sign_in(portal, fake)).status_code == 303
    assert [proof.get("nonce") for proof in fake.proofs] == [None, "s-1", "s-1", None, "r-1"]
    fake.proofs.clear()
    fake.wants_nonce = {"server": "s-2", "resource": "r-1"}
    assert (await sign_in(portal, fake)).status_code == 303
    assert [proof.get("nonce") for proof in fake.proofs] == ["s-1", "s-2", "s-2", "r-1"]


async def test_a_server_that_never_takes_a_nonce_is_asked_twice_and_no_more(portal, fake):
    fake.wants_nonce = {"server": "s-1"}
    asked = fake._check_proof

    def moving(*told):
        found = asked(*told)
        fake.wants_nonce["server"] = f"s-{len(fake.proofs)}"
        return {**found, "nonce": "old"}

    fake._check_proof = moving
    async with portal.browser() as browser:
        refused = await browser.get("/auth/sign-in")
        assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed")
    assert len(fake.proofs) == 2


async def test_a_token_that_is_not_bound_where_it_should_be_is_refused(portal, fake, pool):
    fake.token_type = "Bearer"
    before = await pool.fetchval("SELECT count(*) FROM sessions")
    refused = await sign_in(portal, fake)
    assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed")
    assert await pool.fetchval("SELECT count(*) FROM sessions") == before


async def test_an_id_token_in_the_clear_is_refused_where_it_was_to_come_encrypted(portal, fake):
    from onestop.identity.errors import BadToken

    connection = portal.sign_in._providers.get(None)
    assert connection.opened(sealed("x.y.z")) == "x.y.z"
    with pytest.raises(BadToken) as refused:
        connection.opened(fake.sign(fake.id_claims("access")))
    assert refused.value.reason == "not_encrypted"


async def test_another_instance_finishes_what_one_began(open_portal: Open, fake):
    here, there = [await open_portal(Providers([fake.provider], fake)) for _ in range(2)]
    async with here.browser() as browser:
        begun = await browser.get("/auth/sign-in")
        back = fake.answers(begun.headers["location"])
        async with there.browser(
            origin="https://portal.test",
            cookie=f"{next(iter(browser.cookies.jar)).name}={next(iter(browser.cookies.jar)).value}",
        ) as same:
            assert (await same.get(back)).status_code == 303


async def test_a_provider_without_a_place_for_pushed_requests_is_refused(portal, fake):
    async with portal.browser() as browser:
        for missing in (None, "http://idp.test/par"):
            fake.metadata["pushed_authorization_request_endpoint"] = missing
            portal.sign_in._providers.get(None)._metadata = None
            refused = await browser.get("/auth/sign-in")
            assert (refused.status_code, refused.json()["code"]) == (502, "identity.provider_failed"), missing


async def test_only_public_halves_are_published(portal):
    async with portal.browser() as browser:
        keys = (await browser.get("/auth/client-jwks.json")).json()["keys"]
    assert [(key["kid"], key["use"], key["alg"], key["crv"]) for key in keys] == [
        ("client", "sig", "ES256", "P-256"),
        ("ours", "enc", "ECDH-ES", "P-521"),
    ]
    assert not [key for key in keys if "d" in key]


@pytest.mark.parametrize(
    "told",
    [
        "auth_method='private_key_jwt'",
        "auth_method='private_key_jwt'\nclient_key='x'",
        "client_secret=''",
        "client_secret='s'\nid_token_key='x'",
    ],
)
def test_an_identity_file_whose_keys_are_none_is_refused_without_repeating_them(tmp_path, told):
    path = tmp_path / "identity.toml"
    path.write_text(f"[[provider]]\nname='a'\nissuer='i'\nclient_id='c'\nlabel={{zh='',en=''}}\n{told}\n")
    with pytest.raises(BadSettings, match="a: "):
        read_providers(path)
