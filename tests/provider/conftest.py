"""An onestop with the provider, people who are signed in at it, and sites that send people there."""

import base64
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey
from litestar.di import Provide

from identity.conftest import CHEN, LIN, PORTAL
from onestop.crypto import Keys
from onestop.db import Pool, open_pool
from onestop.http import app_parts
from onestop.identity.access import provide_session
from onestop.identity.models import SESSION_COOKIE, Identified
from onestop.identity.routes import CONTROLLERS as IDENTITY
from onestop.identity.service import Sessions
from onestop.provider import routes, routes_clients, service_clients
from onestop.provider.callers import ASSERTION_TYPE
from onestop.provider.models import NewClient, Purpose
from onestop.provider.service import Provider
from onestop.provider.service_exchange import Terms
from onestop.settings import Settings

BACK = "https://rs.example.cn/back"
OPERATOR = Identified(number_type="account", number="demo operator", name="运维", role="operator", level=3)
PURPOSE = Purpose(
    code="insurance",
    zh="查询社会保险",
    en="To look up social insurance",
    basis_zh="社会保险法第四条",
    basis_en="Social Insurance Law, art. 4",
    claims=("name", "id_number"),
)
MASKED = Purpose(
    code="greeting", zh="称呼", en="To address you", basis_zh="测试", basis_en="Test", claims=("id_number_masked",)
)


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def told_back(location: str) -> dict[str, str]:
    """Return what an answer carries back to the site."""
    return dict(parse_qsl(urlsplit(location).query))


def claims_in(token: str) -> dict[str, Any]:
    """Read a token's claims; what a site's library checks is checked in `test_peers`."""
    part = token.split(".")[1]
    found: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def agreed(department: str, adapter: str, operation: str) -> Terms | None:
    """renshe may ask gongan about households, and for nothing else."""
    holds = (department, adapter, operation) == ("renshe", "gongan", "household")
    return Terms("agr_1", "核对户籍信息") if holds else None


class Instance:
    """One process of onestop, as far as the provider goes."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings) -> None:
        self.pool, self.keys, self.settings = pool, keys, settings
        self.sessions = Sessions(pool, keys, settings)
        self.provider = Provider(pool, keys, settings, self.sessions, agreed)
        self.desk = app_parts.build(
            [*IDENTITY, *routes.CONTROLLERS, routes.SignInAtController, *routes_clients.CONTROLLERS],
            settings=settings,
            pool=pool,
            sessions=self.sessions,
            shared={
                "sessions": self.sessions,
                "op": self.provider,
                "pool": pool,
                "keys": keys,
                "settings": settings,
                "sign_in": None,
                "token_desk": None,
                "app_sessions": None,
                "throttles": None,
            },
            dependencies={"session": Provide(provide_session)},
        )

    def http(self, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(self.desk)  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url=PORTAL, headers=headers)

    async def signed_in(self, who: Identified = LIN) -> "Person":
        secret, session = await self.sessions.open_cookie(who, provider="demo")
        return Person(self, secret, session.id, session.subject_id)

    async def token_of(self, who: Identified) -> str:
        return (await self.sessions.issue_bearer(who)).token


class Person:
    """Somebody at a browser, signed in at onestop."""

    def __init__(self, instance: Instance, cookie: str, session_id: str, subject_id: str) -> None:
        self.instance, self.cookie, self.session_id, self.subject_id = instance, cookie, session_id, subject_id

    async def goes(self, url: str) -> httpx.Response:
        async with self.instance.http(cookie=f"{SESSION_COOKIE}={self.cookie}", origin=PORTAL) as browser:
            return await browser.get(url)


class Site:
    """A departmental site: what a client's library does, in a few lines that a test can bend."""

    def __init__(self, instance: Instance, client_id: str, secret: str | None, key: ECKey | None) -> None:
        self.instance, self.id, self.secret, self.key = instance, client_id, secret, key
        self.own_key = ECKey.generate_key("P-256", private=True)  # of its DPoP proofs
        self.nonce: str | None = None
        self.verifier = ""

    # ---- asking

    def request(self, **changed: Any) -> dict[str, str]:
        self.verifier = secrets.token_urlsafe(48)
        asked = {
            "client_id": self.id,
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid insurance",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": b64(sha256(self.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        return {name: str(value) for name, value in (asked | changed).items() if value is not ...}

    async def sends(self, person: Person, **changed: Any) -> dict[str, str]:
        """Send somebody to onestop and return what came back."""
        answer = await person.goes("/oauth/authorize?" + str(httpx.QueryParams(self.request(**changed))))
        assert answer.status_code == 303, answer.text
        assert answer.headers["location"].startswith(BACK), answer.headers["location"]
        return told_back(answer.headers["location"])

    async def code(self, person: Person, **changed: Any) -> str:
        told = await self.sends(person, **changed)
        assert "code" in told, told
        return told["code"]

    # ---- proving itself

    def assertion(self, key: ECKey | None = None, header: dict[str, Any] | None = None, **changed: Any) -> str:
        now = int(time.time())
        told = {"iss": self.id, "sub": self.id, "aud": PORTAL, "jti": secrets.token_hex(8), "iat": now, "exp": now + 60}
        claims = {name: value for name, value in (told | changed).items() if value is not ...}
        head = {"alg": "ES256", **(header or {})}
        return jws.serialize_compact(head, msgspec.json.encode(claims), key or self.key, ["ES256"])

    def proven(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return the form members and the headers that say who calls."""
        if self.secret is not None:
            return {}, {"authorization": "Basic " + base64.b64encode(f"{self.id}:{self.secret}".encode()).decode()}
        if self.key is not None:
            return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": self.assertion()}, {}
        return {"client_id": self.id}, {}

    def proof(self, url: str, method: str = "POST", key: ECKey | None = None, **changed: Any) -> str:
        key = key or self.own_key
        told = {"jti": secrets.token_hex(8), "htm": method, "htu": url, "iat": int(time.time()), "nonce": self.nonce}
        claims = {name: value for name, value in (told | changed).items() if value not in (..., None)}
        head = {"alg": "ES256", "typ": "dpop+jwt", "jwk": key.as_dict(private=False)}
        head["jwk"].pop("kid", None)
        return jws.serialize_compact(head, msgspec.json.encode(claims), key, ["ES256"])

    # ---- calling

    async def calls(
        self, path: str, form: dict[str, str], *, dpop: bool = False, at: Instance | None = None, **headers: str
    ) -> httpx.Response:
        own, proving = self.proven()
        if dpop:
            headers["dpop"] = self.proof(PORTAL + path)
        async with (at or self.instance).http(**proving, **headers) as http:
            answer = await http.post(path, data={**own, **form})
        self.nonce = answer.headers.get("dpop-nonce", self.nonce)
        return answer

    async def redeems(
        self, code: str, *, dpop: bool = False, at: Instance | None = None, **changed: str
    ) -> httpx.Response:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "code_verifier": self.verifier}
        return await self.calls("/oauth/token", form | changed, dpop=dpop, at=at)

    async def refreshes(
        self, token: str, *, dpop: bool = False, at: Instance | None = None, **more: str
    ) -> httpx.Response:
        form = {"grant_type": "refresh_token", "refresh_token": token, **more}
        return await self.calls("/oauth/token", form, dpop=dpop, at=at)

    async def signs_in(self, person: Person, *, dpop: bool = False, **changed: Any) -> dict[str, Any]:
        """Do the whole of it and return the tokens."""
        if dpop and self.nonce is None:
            self.nonce = self.instance.provider.proofs.nonce()
        answer = await self.redeems(await self.code(person, **changed), dpop=dpop)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def userinfo(
        self, access_token: str, *, dpop: bool = False, at: Instance | None = None, **proof: Any
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {access_token}"}
        if dpop:
            ath = b64(sha256(access_token.encode()).digest())
            made = self.proof(PORTAL + "/oauth/userinfo", "GET", **({"ath": ath} | proof))
            headers = {"authorization": f"DPoP {access_token}", "dpop": made}
        async with (at or self.instance).http(**headers) as http:
            answer = await http.get("/oauth/userinfo")
        self.nonce = answer.headers.get("dpop-nonce", self.nonce)
        return answer


# One instance for a whole file: what it costs is the building of its app, not what tests do with it.


@pytest.fixture(scope="module")
async def pool(dsn: str) -> AsyncIterator[Pool]:
    pool = await open_pool(dsn, size=8, name="onestop test")
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, dsn: str) -> Settings:
    folder = tmp_path_factory.mktemp("state")
    return Settings(profile="demo", state_dir=folder, database_url=dsn, public_url=PORTAL, log_level="error")


@pytest.fixture(scope="module")
def keys(settings: Settings) -> Keys:
    """The keys that a whole portal of these settings would load."""
    return Keys.load(settings.state_dir)


@pytest.fixture(scope="module")
async def open_instance(pool: Pool, keys: Keys, settings: Settings) -> AsyncIterator[Callable[..., Any]]:
    async def opener(**changed: Any) -> Instance:
        instance = Instance(pool, keys, msgspec.structs.replace(settings, **changed))
        await stack.enter_async_context(instance.sessions)
        await stack.enter_async_context(instance.provider)
        await stack.enter_async_context(instance.desk.app.lifespan())  # type: ignore[attr-defined]
        return instance

    async with AsyncExitStack() as stack:
        yield opener


@pytest.fixture(scope="module")
async def onestop(open_instance: Callable[..., Any]) -> Instance:
    found: Instance = await open_instance()
    return found


@pytest.fixture(scope="module")
async def elsewhere(open_instance: Callable[..., Any]) -> Instance:
    """Another process of the same installation."""
    found: Instance = await open_instance()
    return found


async def noticed(instance: Instance, client_id: str, *people: Identified) -> None:
    """Have people read a client's notice already: what comes before that is `test_notice`'s."""
    client = await instance.provider.clients.find(client_id)
    assert client is not None
    for who in people:
        await instance.provider.notices.note(await instance.sessions.know(who), client, client.purposes)


Register = Callable[..., Any]


@pytest.fixture
def register(onestop: Instance) -> Register:
    """Register a site under a name nobody had before and return it."""

    async def registering(auth_method: str = "client_secret_basic", **changed: Any) -> Site:
        key = None
        if auth_method == "private_key_jwt":
            key = ECKey.generate_key("P-256", private=True)
            changed = {"keys": {"keys": [key.as_dict(private=False)]}} | changed
        told = {
            "id": f"site-{secrets.token_hex(4)}",
            "department": "renshe",
            "name_zh": "社保网站",
            "name_en": "Social insurance site",
            "auth_method": auth_method,
            "redirect_uris": (BACK,),
            "purposes": (PURPOSE, MASKED),
        }
        new = msgspec.convert(told | changed, NewClient)
        async with onestop.pool.acquire() as db, db.transaction():
            made = await service_clients.register(db, onestop.settings, new, by="test")
        await noticed(onestop, made.id, LIN, CHEN)
        return Site(onestop, made.id, made.secret, key)

    return registering


@pytest.fixture
async def lin(onestop: Instance) -> Person:
    return await onestop.signed_in(LIN)


@pytest.fixture
async def chen(onestop: Instance) -> Person:
    return await onestop.signed_in(CHEN)
