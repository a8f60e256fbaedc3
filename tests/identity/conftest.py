"""A portal of identity's controllers alone, browsers that visit it, and providers: a fake one and real processes."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from litestar import get
from litestar.di import NamedDependency, Provide
from tests.ports import free_port

import onestop
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.demo.accounts import find_person
from onestop.http import app_parts
from onestop.identity.access import provide_citizen, provide_clerk, provide_session
from onestop.identity.models import Identified, Label, Provider, Session
from onestop.identity.providers import Providers
from onestop.identity.routes import CONTROLLERS, SignInController
from onestop.identity.service import Sessions
from onestop.identity.service_refresh import AppSessions
from onestop.identity.service_sign_in import SignIn, TokenDesk
from onestop.identity.throttles import LIMITS, Limit, Throttles
from onestop.identity.tokens import half_hash
from onestop.settings import Settings

PORTAL = "https://portal.test"
LIN = Identified(number_type="citizen_id", number="990102199203140221", name="林晓舟", level=3)
CHEN = Identified(number_type="citizen_id", number="990103198506300175", name="陈立", level=3)
CLERK = Identified(
    number_type="account", number="demo window03", name="窗口03", role="clerk", department="zwfw", level=3
)


@get("/only/citizens", opt={"roles": ("citizen",)})
async def only_citizens(session: NamedDependency[Session]) -> str:
    return str(session.subject_id)


@get("/only/by-dependency", opt={"roles": ("citizen", "clerk")})
async def by_dependency(clerk: NamedDependency[Session]) -> str:
    return str(clerk.subject_id)


class Portal:
    """One instance of onestop, as far as identity goes."""

    def __init__(self, pool: Pool, keys: Keys, settings: Settings, providers: Providers, limits: Any = LIMITS) -> None:
        self.settings = settings
        self.sessions = Sessions(pool, keys, settings)
        self.throttles = Throttles(pool, keys, settings, limits)
        self.sign_in = SignIn(pool, keys, settings, providers, self.sessions, self.throttles)
        self.apps = AppSessions(pool, keys, settings, self.sessions, self.throttles)
        desk = TokenDesk(self.sessions, self.apps, settings, find_person, self.throttles)
        given = {
            "sign_in": self.sign_in,
            "sessions": self.sessions,
            "app_sessions": self.apps,
            "token_desk": desk,
            "throttles": self.throttles,
        }
        self.app = app_parts.build(
            [*CONTROLLERS, SignInController, only_citizens, by_dependency],
            settings=settings,
            pool=pool,
            sessions=self.sessions,
            shared=given,
            dependencies={
                "session": Provide(provide_session),
                "citizen": Provide(provide_citizen),
                "clerk": Provide(provide_clerk),
            },
        )

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """A browser on a page of the portal; with `authorization` it is an app."""
        told = headers or {"origin": PORTAL}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=PORTAL, headers=told)


Open = Callable[..., Any]
# One database and one address for a whole module: what is counted is told in test_throttles.
NO_LIMITS = {kind: Limit(1_000_000, 600.0) for kind in LIMITS}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    """The installation's keys, as long as its database: one module."""
    return Keys.load(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return msgspec.structs.replace(settings, public_url=PORTAL)


@pytest.fixture
async def open_portal(pool: Pool, keys: Keys, settings: Settings) -> AsyncIterator[Open]:
    async def opener(providers: Providers, limits: Any = NO_LIMITS, **changed: Any) -> Portal:
        portal = Portal(pool, keys, msgspec.structs.replace(settings, **changed), providers, limits)
        await stack.enter_async_context(portal.sessions)
        await stack.enter_async_context(portal.app.app.lifespan())
        return portal

    async with AsyncExitStack() as stack:
        yield opener


@pytest.fixture
async def sessions(pool: Pool, keys: Keys, settings: Settings) -> AsyncIterator[Sessions]:
    async with Sessions(pool, keys, settings) as sessions:
        yield sessions


class Said:
    """A fake provider's answer, as httpx would give it."""

    def __init__(self, told: Any, status: int = 200, **headers: str) -> None:
        self.status_code = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.content = told if isinstance(told, bytes) else json.dumps(told).encode()


class FakeProvider:
    """A provider in this process whose every answer a test may bend; it speaks to onestop as an httpx client."""

    issuer = "https://idp.test"

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", parameters={"kid": "k1"}, private=True)
        self.published = [self.key]
        self.metadata: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }
        self.claims: dict[str, Any] = {
            "sub": "abc",
            "name": LIN.name,
            "id_number": {"type": "citizen_id", "number": LIN.number},
        }
        self.told_by_userinfo: dict[str, Any] = {"sub": "abc"}
        self.nonce: str | None = None
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self.bend: Callable[[dict[str, Any]], str] | None = None

    @property
    def provider(self) -> Provider:
        return Provider(
            name="fake", issuer=self.issuer, client_id="onestop", client_secret="secret", label=Label("假", "fake")
        )

    def providers(self) -> Providers:
        return Providers([self.provider], self)

    async def request(self, method: str, url: str, *, content: Any = None, headers: Any = None) -> Said:
        path = url.removeprefix(self.issuer)
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return Said(self.metadata)
        if path == "/jwks":
            return Said({"keys": [key.as_dict(private=False) for key in self.published]})
        if path == "/userinfo":
            return Said(self.told_by_userinfo)
        self.forms.append(dict(parse_qsl(content.decode())))
        claims = self.id_claims("access")
        token = self.bend(claims) if self.bend else self.sign(claims)
        return Said({"access_token": "access", "token_type": "Bearer", "id_token": token})

    def id_claims(self, access_token: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.issuer,
            "aud": "onestop",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "at_hash": half_hash(access_token, "ES256"),
            **self.claims,
        }

    def sign(self, claims: dict[str, Any], **header: Any) -> str:
        return jwt.encode({"alg": "ES256", "kid": "k1", **header}, claims, self.key, ["ES256"])

    def answers(self, location: str) -> str:
        """Play the person who says yes: return the address the browser comes back to."""
        told = dict(parse_qsl(urlsplit(location).query))
        self.nonce = told["nonce"]
        return f"/auth/callback?code=abc&state={told['state']}&iss={self.issuer}"


@pytest.fixture
def fake() -> FakeProvider:
    return FakeProvider()


def wait_until_served(process: subprocess.Popen[bytes], url: str) -> None:
    for _ in range(300):
        assert process.poll() is None, "the provider ended before it served"
        try:
            if httpx.get(url, trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the provider did not serve in time")


@pytest.fixture(scope="module")
def national(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The demo's national platform, as a process; yields the portal's identity file."""
    folder, port = tmp_path_factory.mktemp("national"), free_port()
    told = ["--port", str(port), "--state", str(folder), "--portal", PORTAL]
    # The package under test, whether it is installed or only on pytest's path.
    environ = {**os.environ, "PYTHONPATH": str(Path(onestop.__file__).parent.parent)}
    process = subprocess.Popen([sys.executable, "-m", "onestop.demo.identity_provider", *told], env=environ)
    try:
        wait_until_served(process, f"http://127.0.0.1:{port}/.well-known/openid-configuration")
        yield folder / "identity.toml"
    finally:
        process.terminate()
        process.wait(10)


def new_secret() -> str:
    return secrets.token_urlsafe(32)
