"""The portal without its departments' systems, and browsers of several people."""

from collections.abc import AsyncIterator, Awaitable, Callable
from http.cookies import SimpleCookie
from pathlib import Path

import httpx
import pytest

from onestop.app import open_portal
from onestop.crypto import Keys
from onestop.db import Pool
from onestop.http.desk import FrontDesk
from onestop.identity.models import SESSION_COOKIE, Identified, Role
from onestop.identity.service import Sessions
from onestop.settings import Settings

BASE = "http://127.0.0.1:8000"
LIN = "990102199203140221"
CHEN = "990103198506300175"


class Browser:
    """A browser: it keeps cookies, sends an Origin with its forms, and follows nothing by itself."""

    def __init__(self, desk: FrontDesk, lang: str = "zh-CN") -> None:
        self.cookies: dict[str, str] = {}
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(desk), base_url=BASE)  # type: ignore[arg-type]
        self._headers = {"accept": "text/html,application/xhtml+xml", "accept-language": lang}

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return self._keep(await self._client.get(path, headers=self._headers | self._cookie() | headers))

    async def post(self, path: str, fields: dict[str, str], *, origin: str = BASE) -> httpx.Response:
        headers = self._headers | self._cookie() | {"origin": origin}
        return self._keep(await self._client.post(path, data=fields, headers=headers))

    def _cookie(self) -> dict[str, str]:
        return {"cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items())} if self.cookies else {}

    def _keep(self, reply: httpx.Response) -> httpx.Response:
        for line in reply.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return reply

    async def close(self) -> None:
        await self._client.aclose()


SignedIn = Callable[..., Awaitable[Browser]]


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys live as long as the module's database, which holds what they sealed."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def keys(state_dir: Path) -> Keys:
    return Keys.load(state_dir)


@pytest.fixture(scope="module")
def settings(state_dir: Path, dsn: str) -> Settings:
    return Settings(profile="demo", state_dir=state_dir, database_url=dsn, log_level="error")


@pytest.fixture(scope="module")
async def portal(settings: Settings) -> AsyncIterator[FrontDesk]:
    """One portal for a module's tests: opening it costs more than most of them."""
    async with open_portal(settings) as desk:
        yield desk


@pytest.fixture
async def visitor(portal: FrontDesk) -> AsyncIterator[Browser]:
    browser = Browser(portal)
    yield browser
    await browser.close()


@pytest.fixture
async def as_person(portal: FrontDesk, pool: Pool, keys: Keys, settings: Settings) -> AsyncIterator[SignedIn]:
    """Return what opens a browser in which a person is signed in."""
    sessions = Sessions(pool, keys, settings)
    opened: list[Browser] = []

    async def sign_in(
        number: str = LIN, name: str = "林晓舟", role: Role = "citizen", desk: str | None = None, level: int = 3
    ) -> Browser:
        kind = "citizen_id" if role == "citizen" else "account"
        who = Identified(number_type=kind, number=number, name=name, role=role, department=desk, level=level)
        secret, _ = await sessions.open_cookie(who, provider="test")
        browser = Browser(portal)
        browser.cookies[SESSION_COOKIE] = secret
        opened.append(browser)
        return browser

    yield sign_in
    for browser in opened:
        await browser.close()
