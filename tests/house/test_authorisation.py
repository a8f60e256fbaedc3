"""Who may enter which route: docs/authorisation.md is what the app says, and only these routes are open.

`WRITE_DOCS=1 pytest tests/house/test_authorisation.py` writes the page anew.
"""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from litestar import Litestar

from house.pages import DOCS
from onestop.app import open_portal
from onestop.http.gate import matrix
from onestop.http.streams import EventStream
from onestop.settings import Settings

pytestmark = pytest.mark.anyio

PAGE = DOCS / "authorisation.md"
# A route that opens to everybody is a decision: it is made here too.
OPEN = {
    ("GET", "/"),
    ("GET", "/assets/vendor/{name}"),
    ("GET", "/assets/{name}"),
    ("GET", "/auth/callback"),
    ("GET", "/auth/client-jwks.json"),  # public halves, which providers fetch
    ("GET", "/auth/jwks.json"),
    ("GET", "/auth/sign-in"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/.well-known/openid-configuration"),
    ("GET", "/explain/shared/{token}"),  # by a link with a secret, for a day
    ("GET", "/healthz"),
    ("GET", "/http-assets/{name}"),
    ("GET", "/items/{code}"),
    ("GET", "/livez"),
    ("GET", "/oauth/authorize"),  # answers nothing without a session
    ("GET", "/oauth/end-session"),  # ends only the session that the token shown is of
    ("GET", "/oauth/jwks.json"),
    ("GET", "/oauth/userinfo"),  # with an access token
    ("GET", "/problems"),
    ("GET", "/problems/{code}"),
    ("GET", "/readyz"),
    ("GET", "/schema"),
    ("GET", "/schema/manifest.json"),
    ("GET", "/schema/openapi.json"),
    ("GET", "/sign-in"),
    ("GET", "/status"),  # counts and times, nobody's data
    ("GET", "/v1/audit/anchors"),  # sizes and hashes, nobody's data
    ("GET", "/v1/audit/keys"),
    ("GET", "/v1/certificate-keys"),
    ("GET", "/v1/document-certificate"),
    ("GET", "/v1/items"),
    ("GET", "/v1/licence-types"),  # the catalogue, nobody's licence
    ("GET", "/v1/licence-types/{code}"),
    ("GET", "/v1/items/{code}"),
    ("GET", "/v1/public/status"),  # the same for programs
    ("GET", "/verify"),
    ("GET", "/verify/licence"),
    ("POST", "/auth/sign-out"),  # ends whatever session there is
    ("POST", "/cases/{case_id}/form"),  # keeps what was typed after a session ran out, then asks to sign in
    ("POST", "/cases/{case_id}/steps/{code}"),  # the same
    ("POST", "/oauth/authorize"),
    ("POST", "/oauth/end-session"),
    ("POST", "/oauth/introspect"),  # the client proves itself, here and below
    ("POST", "/oauth/par"),
    ("POST", "/oauth/revoke"),
    ("POST", "/oauth/token"),
    ("POST", "/v1/auth/refreshes"),  # by a refresh token alone
    ("POST", "/oauth/userinfo"),
    ("POST", "/v1/auth/tokens"),  # refused in production
    ("POST", "/v1/callbacks/{adapter}"),  # signed by the department
    ("POST", "/v1/callbacks/{adapter}/{told}"),  # likewise
    ("POST", "/v1/certificate-checks"),  # with number and code only
    ("POST", "/v1/licence-checks"),  # what the token itself holds
    ("POST", "/verify"),  # the same as a page
    ("POST", "/verify/licence"),  # as /v1/licence-checks
    # A department played to callers who are nobody here; in production only by its own key.
    ("DELETE", "/simulators/{adapter}"),
    ("DELETE", "/simulators/{adapter}/{rest}"),
    ("GET", "/simulators/{adapter}"),
    ("GET", "/simulators/{adapter}/{rest}"),
    ("PATCH", "/simulators/{adapter}"),
    ("PATCH", "/simulators/{adapter}/{rest}"),
    ("POST", "/simulators/{adapter}"),
    ("POST", "/simulators/{adapter}/{rest}"),
    ("PUT", "/simulators/{adapter}"),
    ("PUT", "/simulators/{adapter}/{rest}"),
}
HEAD = """# Who may enter where

Written from the app by `WRITE_DOCS=1 .venv/bin/pytest tests/house/test_authorisation.py`; the same test compares it.
Roles: `citizen` 群众, `clerk` 窗口人员, `department` 部门, `governance` 数据治理, `operator` 运维; "signed in" means
any of them. A route that says nothing of itself is closed. "for others": open also to whoever acts under a mandate
([mandates.md](mandates.md)), who is let in nowhere else. This table says who may enter; whose things they see there
is in the WHERE of the statement: another person's case reads as absent.

| method | route | who |
| --- | --- | --- |
"""


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys live as long as the module's database, which holds what they sealed."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def app(state_dir: Path, dsn: str) -> AsyncIterator[Litestar]:
    settings = Settings(profile="demo", state_dir=state_dir, database_url=dsn, log_level="error")
    async with open_portal(settings) as desk:
        assert isinstance(desk.app, Litestar)
        yield desk.app


def who(roles: tuple[str, ...] | frozenset[str] | None, public: bool = False) -> str:
    return "**everybody**" if public else ", ".join(sorted(roles)) if roles else "signed in"


def page(app: Litestar) -> str:
    streams: tuple[EventStream, ...] = app.state["streams"]
    found = [
        (rule.path, rule.method, who(rule.roles, rule.public) + (", for others" if rule.acting else ""))
        for rule in matrix(app)
    ]
    found += [(stream.template, "GET", who(stream.roles)) for stream in streams]
    return HEAD + "".join(f"| {method} | `{path}` | {roles} |\n" for path, method, roles in sorted(set(found)))


async def test_the_page_says_what_the_app_does(app: Litestar) -> None:
    told = page(app)
    if os.environ.get("WRITE_DOCS"):
        PAGE.write_text(told, "utf-8")
    assert PAGE.read_text("utf-8") == told, "run: WRITE_DOCS=1 .venv/bin/pytest tests/house/test_authorisation.py"


async def test_whoever_acts_for_somebody_enters_only_routes_for_citizens(app: Litestar) -> None:
    acting = [rule for rule in matrix(app) if rule.acting]
    assert acting
    assert {rule.roles for rule in acting if rule.path != "/v1/me"} == {("citizen",)}
    assert not [rule for rule in acting if rule.public]


async def test_only_the_listed_routes_are_open(app: Litestar) -> None:
    assert {(rule.method, rule.path) for rule in matrix(app) if rule.public} == OPEN
