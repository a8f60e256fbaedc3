"""Tokens: fetched once, renewed in time, dropped when refused, told to nobody else."""

import asyncio
import base64
import json
import time

import pytest
from jwcrypto import jwk as their_jwk
from jwcrypto import jwt as their_jwt

from onestop.gateway.auth import tokens
from onestop.gateway.line import CallFailed, Line, Where
from onestop.gateway.manifest import BadManifest
from onestop.outbound.addresses import AllowList
from tests.gateway.keys import ec_key, pem, public_pem, rsa_key
from tests.gateway.peer import ALLOW, OPERATIONS, VALUES, line, manifest, peer
from tests.gateway.work import until

pytestmark = pytest.mark.anyio

OAUTH = '[auth]\nkind = "oauth2_client_credentials"\n'
LOGIN = """
[auth]
kind = "login"
path = "/login"
request_body = { user = "{secret.username}", password = "{secret.password}" }
token = "data.token"
expires_in = "data.expires"
"""
TOLD = {"client_id": "us", "client_secret": "s+/%ecret", "username": "u", "password": "p"}


class Office:
    """Gives numbered tokens at one path and answers at the others who shows one of the good ones."""

    def __init__(self, *, at="/oauth/token", life=300.0, refuses=(), read=None):
        self.at, self.life, self.refuses = at, life, refuses
        self.given = 0
        self.good = set()
        self.asked_for = []
        self.refused = 0
        self.read = read or (lambda seen: seen.headers.get("authorization", "").removeprefix("Bearer "))

    def __call__(self, seen):
        if seen.path == self.at:
            self.asked_for.append(seen)
            self.given += 1
            token = f"token-{self.given}"
            self.good.add(token)
            answer = {"access_token": token, "token_type": "Bearer", "expires_in": self.life}
            return 200, answer | {"data": {"token": token, "expires": self.life}}
        if self.read(seen) in self.good and seen.path not in self.refuses:
            return 200, {"said": "ok"}
        self.refused += 1
        return 401, {"error": "invalid_token"}

    def forget(self):
        self.good.clear()


async def ask(opened, operation="ask"):
    return (await opened.ask(operation, dict(VALUES), 5.0)).kind


# Refusals first.


@pytest.mark.parametrize(
    ("text", "told", "says"),
    [
        (OAUTH, {"client_secret": "s"}, "'client_id'"),
        (OAUTH + 'client_auth = "private_key_jwt"', {"client_id": "c"}, "'client_key'"),
        (OAUTH + 'client_auth = "private_key_jwt"', {"client_id": "c", "client_key": pem(rsa_key())}, "key for ES256"),
        (OAUTH + 'client_auth = "tls"', {"client_id": "c"}, "no client_certificate"),
        (LOGIN, TOLD, "how a request carries the {token}"),
        (LOGIN + 'headers = { A = "{token}{signature}" }', TOLD, "no place {signature}"),
        (LOGIN + 'headers = { A = "{token}" }', {"username": "u"}, "'password'"),
    ],
)
async def test_what_is_missing_is_said_when_the_line_opens(text, told, says):
    async with peer() as served:
        with pytest.raises(BadManifest) as refused:
            async with line(text, told, served):
                pass
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "answer",
    [
        (401, {"error": "invalid_client", "hint": "hunter2"}),
        (200, {"token_type": "Bearer"}),
        (200, {"access_token": "", "token_type": "Bearer"}),
        (200, {"access_token": "x" * 20_000}),
        (200, {"access_token": "x", "token_type": "mac"}),
        (200, {"access_token": "x", "expires_in": "soon"}),
        (200, b"<html>hunter2"),
        (302, {}),
    ],
)
async def test_no_token_is_no_call_and_says_so_without_the_answers_words(answer, capsys):
    async with peer(lambda _: answer) as served, line(OAUTH, TOLD, served) as opened:
        with pytest.raises(CallFailed) as failed:
            await ask(opened, "send")
    assert (failed.value.kind, failed.value.sent) == ("no_token", False)
    said = str(failed.value) + "".join(capsys.readouterr())
    assert "hunter2" not in said
    assert TOLD["client_secret"] not in said
    assert {seen.path for seen in served.asked} == {"/oauth/token"}


@pytest.mark.parametrize("token", [None, "", True, {"a": 1}, "a\r\nX-Evil: 1", "x" * 20_000])
async def test_a_login_that_gives_no_usable_token_is_no_call(token):
    text = LOGIN + 'headers = { X-Token = "{token}" }'
    answer = 200, {"data": {"token": token, "expires": 60}}
    async with peer(lambda _: answer) as served, line(text, TOLD, served) as opened:
        with pytest.raises(CallFailed) as failed:
            await ask(opened)
    assert failed.value.kind in ("no_token", "unmappable")
    assert {seen.path for seen in served.asked} == {"/login"}


async def test_a_token_endpoint_on_an_address_that_is_not_allowed_is_not_asked():
    async with peer() as served, peer() as elsewhere:
        where = Where(served.url, TOLD, token_url=f"{elsewhere.url}/token")
        opened = Line(manifest(OAUTH), where, AllowList(["127.0.0.2/32"]))
        try:
            with pytest.raises(CallFailed, match="no_token"):
                await ask(opened)
        finally:
            await opened.close()
    assert served.asked == elsewhere.asked == []


@pytest.mark.parametrize("url", ["ftp://x/token", "nowhere", "http://user:hunter2@127.0.0.1/t"])
async def test_a_token_address_that_is_none_is_refused_without_its_words(url):
    with pytest.raises(BadManifest) as refused:
        Line(manifest(OAUTH), Where("http://127.0.0.1", TOLD, token_url=url), ALLOW)
    assert "token_url" in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_a_department_that_refuses_every_token_is_not_flooded_with_fetching():
    office = Office(refuses={"/ask"})
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert [await ask(opened) for _ in range(6)] == ["denied"] * 6
    assert office.given == 2, "the first, and one fresh one"
    assert office.refused == 7, "each call once, and one of them once more"


async def test_two_departments_never_get_each_others_token():
    one, other = Office(), Office()
    other.given = 100
    async with (
        peer(one) as first,
        peer(other) as second,
        line(OAUTH, TOLD, first, id="one") as to_one,
        line(OAUTH, TOLD, second, id="other") as to_other,
    ):
        assert [await ask(to_one), await ask(to_other), await ask(to_one)] == ["ok"] * 3
    assert {seen.headers["authorization"] for seen in first.asked if seen.path == "/ask"} == {"Bearer token-1"}
    assert {seen.headers["authorization"] for seen in second.asked if seen.path == "/ask"} == {"Bearer token-101"}


# How a client proves itself.


async def test_basic_is_the_percent_encoded_pair():
    office = Office()
    text = OAUTH + 'scope = "a b"\naudience = "x"\nresource = "urn:r"\nextra = { tenant = "t" }'
    async with peer(office) as served, line(text, TOLD, served) as opened:
        assert await ask(opened) == "ok"
    seen = office.asked_for[0]
    assert base64.b64decode(seen.headers["authorization"].removeprefix("Basic ")) == b"us:s%2B%2F%25ecret"
    assert seen.form == {
        "grant_type": "client_credentials", "scope": "a b", "audience": "x", "resource": "urn:r", "tenant": "t",
    }  # fmt: skip


async def test_post_is_two_members():
    office = Office()
    async with peer(office) as served, line(OAUTH + 'client_auth = "post"', TOLD, served) as opened:
        assert await ask(opened) == "ok"
    assert office.asked_for[0].form == {
        "grant_type": "client_credentials", "client_id": "us", "client_secret": "s+/%ecret",
    }  # fmt: skip
    assert "authorization" not in office.asked_for[0].headers


@pytest.mark.parametrize(
    ("more", "told", "key"),
    [
        (
            'client_auth = "private_key_jwt"',
            {"client_key": pem(ec_key())},
            their_jwk.JWK.from_pem(public_pem(ec_key()).encode()),
        ),
        (
            'client_auth = "private_key_jwt"\nalgorithm = "PS256"',
            {"client_key": pem(rsa_key())},
            their_jwk.JWK.from_pem(public_pem(rsa_key()).encode()),
        ),
        (
            'client_auth = "client_secret_jwt"',
            {"client_secret": "s" * 32},
            their_jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")),
        ),
    ],
)
async def test_an_assertion_is_for_the_token_endpoint_and_good_once(more, told, key):
    office = Office(at="/realms/city/token")
    seen = []
    async with peer() as served, peer(office) as issuer:
        url = f"{issuer.url}/realms/city/token"
        office.read = lambda _: None
        for _ in range(2):
            async with line(OAUTH + more, {"client_id": "us", **told}, served, token_url=url) as opened:
                assert await ask(opened) == "ok"
        seen = [asked.form for asked in office.asked_for]
    assert {form["client_assertion_type"] for form in seen} == {
        "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    }
    read = [json.loads(their_jwt.JWT(jwt=form["client_assertion"], key=key).claims) for form in seen]
    assert {(claims["iss"], claims["sub"], claims["aud"]) for claims in read} == {("us", "us", url)}
    assert len({claims["jti"] for claims in read}) == 2
    assert all(0 < claims["exp"] - time.time() <= 60 for claims in read)


async def test_an_assertion_below_the_departments_own_address_names_it_in_full():
    office = Office(at="/gate/oauth/token")
    told = {"client_id": "us", "client_key": pem(ec_key())}
    async with peer(office) as served:
        at = f"{served.url}/gate"
        async with line(OAUTH + 'client_auth = "private_key_jwt"', told, served, url=at) as opened:
            assert await ask(opened) == "ok"
    key = their_jwk.JWK.from_pem(public_pem(ec_key()).encode())
    claims = json.loads(their_jwt.JWT(jwt=office.asked_for[0].form["client_assertion"], key=key).claims)
    assert claims["aud"] == f"{at}/oauth/token"


# A token's life.


async def test_a_hundred_calls_at_once_fetch_one_token():
    office = Office()
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert set(await asyncio.gather(*(ask(opened) for _ in range(80)))) == {"ok"}
    assert office.given == 1


async def test_who_gives_up_waiting_does_not_take_the_token_from_the_others():
    office = Office()

    async def slow(seen):
        if seen.path == office.at:
            await asyncio.sleep(0.2)
        return office(seen)

    async with peer(slow) as served, line(OAUTH, TOLD, served) as opened:
        hurried = asyncio.ensure_future(opened.ask("ask", dict(VALUES), 0.05))
        patient = asyncio.ensure_future(ask(opened))
        with pytest.raises(CallFailed, match="no_token"):
            await hurried
        assert await patient == "ok"
    assert office.given == 1


async def test_a_refusal_of_the_old_token_does_not_spoil_the_new_one():
    office = Office()
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened) == "ok"
        old = opened.credentials.mark
        office.forget()
        assert await ask(opened) == "ok"
        assert opened.credentials.spoiled(old), "that call may be repeated with what is here now"
        assert opened.credentials.ready
        assert await ask(opened) == "ok"
    assert office.given == 2


class Passing:
    """The time as tokens see it, with what a test lets pass."""

    time = staticmethod(time.time)
    ahead = 0.0

    def monotonic(self):
        return time.monotonic() + self.ahead


@pytest.fixture
def passing(monkeypatch):
    found = Passing()
    monkeypatch.setattr(tokens, "time", found)
    return found


async def fetched(served, office, times):
    """Wait until a token has been asked for so often."""

    async def so_often():
        return sum(seen.path == office.at for seen in served.asked) >= times

    await until(so_often, 10)


async def test_a_token_is_renewed_before_it_ends_while_calls_go_on_with_the_old_one(passing):
    office = Office(life=100.0)  # renewed from 75 s on, used until 95 s
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened) == "ok"
        passing.ahead = 80.0
        assert opened.credentials.ready
        assert await ask(opened) == "ok"
        await fetched(served, office, 2)

        async def is_here():
            return opened.credentials.mark == 2

        await until(is_here, 10)
        passing.ahead = 96.0
        assert opened.credentials.ready
        assert office.given == 2
        assert await ask(opened) == "ok"
    used = [seen.headers["authorization"] for seen in served.asked if seen.path == "/ask"]
    assert used == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    assert office.refused == 0


async def test_a_renewal_that_fails_costs_no_call(passing):
    office = Office(life=100.0)
    broken = []

    def behave(seen):
        return (503, {}) if seen.path == office.at and broken else office(seen)

    async with peer(behave) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened) == "ok"
        broken.append(True)
        passing.ahead = 80.0
        assert await ask(opened) == "ok"
        await fetched(served, office, 2)
        assert await ask(opened) == "ok"


# A token that is refused.


@pytest.mark.parametrize("operation", ["ask", "send"])
async def test_a_forgotten_token_is_fetched_anew_and_the_call_repeated_once(operation):
    office = Office()
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened, operation) == "ok"
        office.forget()
        assert await ask(opened, operation) == "ok"
    assert (office.given, office.refused) == (2, 1)


async def test_many_calls_refused_at_once_fetch_one_new_token():
    office = Office()
    async with peer(office) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened) == "ok"
        office.forget()
        assert set(await asyncio.gather(*(ask(opened) for _ in range(20)))) == {"ok"}
    assert office.given == 2


async def test_a_submission_is_not_repeated_after_a_refusal_that_is_no_401():
    text = 'errors = [{ status = 200, path = "code", equals = "expired", outcome = "denied" }]'
    operations = manifest_operations(text)
    calls = []

    def behave(seen):
        if seen.path == "/oauth/token":
            return 200, {"access_token": f"t{len(calls)}", "expires_in": 300}
        calls.append(seen)
        return 200, {"code": "expired"} if len(calls) % 2 else {"said": "ok"}

    async with peer(behave) as served, line(OAUTH, TOLD, served, operations=operations) as opened:
        assert await ask(opened, "send") == "denied"
        assert len(calls) == 1
    calls.clear()
    async with peer(behave) as served, line(OAUTH, TOLD, served, operations=operations) as opened:
        assert await ask(opened, "ask") == "ok", "what may be repeated is"
        assert len(calls) == 2


def manifest_operations(more):
    return OPERATIONS.replace('reply.fields = { said = "said" }', 'reply.fields = { said = "said" }\n' + more)


# Logins.


@pytest.mark.parametrize(
    ("more", "read"),
    [
        ('headers = { X-Token = "T {token}" }', lambda seen: seen.headers.get("x-token", "").removeprefix("T ")),
        ('query = { access_token = "{token}" }', lambda seen: seen.query.get("access_token")),
        ('body = { token = "{token}" }', lambda seen: seen.json.get("token")),
    ],
)
async def test_a_logins_token_is_carried_as_declared(more, read):
    office = Office(at="/login", read=read)
    async with peer(office) as served, line(LOGIN + more, TOLD, served) as opened:
        assert [await ask(opened) for _ in range(3)] == ["ok"] * 3
        office.forget()
        assert await ask(opened) == "ok"
    assert (office.given, office.refused) == (2, 1)
    assert office.asked_for[0].json == {"user": "u", "password": "p"}


async def test_a_login_by_get_with_a_moment_in_its_query():
    text = """
[auth]
kind = "login"
method = "GET"
path = "/login"
codec = "none"
request_headers = { X-User = "{secret.username}" }
request_query = { t = "{timestamp}", n = "{nonce}" }
token = "access_token"
headers = { Authorization = "Bearer {token}" }
"""
    office = Office(at="/login")
    async with peer(office) as served, line(text, TOLD, served) as opened:
        assert await ask(opened) == "ok"
    seen = office.asked_for[0]
    assert (seen.method, seen.headers["x-user"], seen.body) == ("GET", "u", b"")
    assert abs(int(seen.query["t"]) - time.time()) < 5


async def test_an_open_operation_waits_for_no_token():
    async with peer(lambda seen: (200, {"said": "ok"})) as served, line(OAUTH, TOLD, served) as opened:
        assert await ask(opened, "open") == "ok"
    assert [seen.path for seen in served.asked] == ["/open"]


def test_a_tokens_bounds_are_told():
    assert tokens._MOST_TOKEN == 16_384
