"""Whatever place of a manifest names a secret or a constant, the sandbox has one, and a line opens with it."""

import pytest

from onestop.gateway.auth.needs import needs
from onestop.gateway.line import Line
from onestop.gateway.manifest import parse
from onestop.onboarding.conformance import Telling, conform
from onestop.onboarding.simulator import Simulator
from onestop.onboarding.simulator_secrets import sandbox_place, sandbox_secrets
from onestop.onboarding.simulator_server import SimulatorApp
from tests.gateway.department import manifest_text
from tests.onboarding.playing import LOOPBACK, listening

pytestmark = pytest.mark.anyio
LOGIN = """[auth]
kind = "login"
path = "/login"
codec = "form"
request_headers = { X-Office = "{config.office}" }
request_query = { tenant = "{secret.tenant}" }
request_body = { user = "{secret.login_user}", pass = "{secret.login_word}" }
token = "token"
headers = { X-Token = "{token}", X-App = "{secret.app_no}" }
"""
SIGNED = """[auth]
kind = "signed"
base = "{timestamp}{nonce}{secret.salt}{config.channel}{body}"
digest = "DIGEST"
encoding = "base64"
headers = { X-App = "{app_key}", X-Time = "{timestamp}", X-Nonce = "{nonce}", X-Sign = "{signature}" }
params.extra = { partner = "{secret.partner}" }
"""
MESSAGE = '[auth]\nkind = "http_signature"\nalgorithm = "ALGORITHM"\n'
JWT = """[auth]
kind = "self_signed_jwt"
algorithm = "ALGORITHM"
life_s = 60
claims = { iss = "{secret.issuer}", office = "{config.office}" }
headers = { kid = "{secret.kid}" }
"""
OAUTH = '[auth]\nkind = "oauth2_client_credentials"\nclient_auth = "private_key_jwt"\nalgorithm = "ALGORITHM"\n'
ALWAYS = '\n[always]\nheaders = { X-Sub = "{secret.subscription}" }\nquery = { ch = "{config.channel}" }\n'

KINDS = {
    "login": (LOGIN, {"tenant", "login_user", "login_word", "app_no"}, {"office"}),
    **{
        f"signed {digest}": (SIGNED.replace("DIGEST", digest), {"salt", "partner", "app_key", *own}, {"channel"})
        for digest, own in (
            ("hmac-sha256", ["app_secret"]), ("sha256", []), ("rsa-sha256", ["sign_key"]),
            ("ecdsa-sha256", ["sign_key"]), ("ed25519", ["sign_key"]),
        )
    },
    **{
        f"message {name}": (MESSAGE.replace("ALGORITHM", name), {"key_id", own}, set())
        for name, own in (
            ("hmac-sha256", "app_secret"), ("rsa-pss-sha512", "sign_key"), ("ecdsa-p256-sha256", "sign_key"),
            ("ed25519", "sign_key"),
        )
    },
    **{
        f"jwt {name}": (JWT.replace("ALGORITHM", name), {"issuer", "kid", "jwt_key"}, {"office"})
        for name in ("HS512", "RS256", "PS256", "ES256", "ES384", "EdDSA")
    },
    "token of the portal": ('[auth]\nkind = "onestop_token"\n', set(), set()),
    **{
        f"oauth {name}": (OAUTH.replace("ALGORITHM", name), {"client_id", "client_key"}, set())
        for name in ("ES256", "RS256")
    },
}  # fmt: skip


def made(tables):
    """Return the manifest of the tests' department with these tables instead of its way to show who calls."""
    text = (
        manifest_text("one")
        .decode()
        .replace('reply.reference = "number"', 'reply.reference = "number"\nreply.key = "key"', 1)
    )
    head, _, rest = text.partition("[department]")
    return parse(f"{head.partition('[auth]')[0]}{tables}\n[department]{rest}".encode())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_line_to_the_sandbox_opens_whatever_the_way_to_show_who_calls(kind):
    auth, secrets, config = KINDS[kind]
    manifest = made(auth + ALWAYS)
    found = needs(manifest)
    assert secrets | {"subscription"} <= found.secrets
    assert config | {"channel"} == found.config
    place = sandbox_place(manifest, "http://127.0.0.1:9")
    assert found.secrets <= place.secrets.keys()
    assert place.config.keys() == found.config
    await Line(manifest, place, LOOPBACK).close()


@pytest.mark.parametrize(
    "callback",
    [
        'kind = "standard_webhooks"',
        'kind = "token"',
        'kind = "signed"\ndigest = "hmac-sha256"\nbase = "{timestamp}{nonce}{body}"',
        'kind = "signed"\ndigest = "rsa-sha256"',
        'kind = "signed"\ndigest = "ed25519"',
        'kind = "http_signature"\nalgorithm = "ecdsa-p256-sha256"',
    ],
)
async def test_and_whatever_the_way_in_which_callbacks_are_signed(callback):
    manifest = made(f'[callback]\noperation = "apply"\n{callback}\n')
    place = sandbox_place(manifest, "http://127.0.0.1:9")
    assert needs(manifest).secrets <= place.secrets.keys()
    await Line(manifest, place, LOOPBACK).close()


AGREE = ["login", "signed hmac-sha256", "signed sha256", "signed rsa-sha256", "jwt ES256", "token of the portal"]


@pytest.mark.parametrize("kind", AGREE)
async def test_a_manifest_with_secrets_and_constants_of_its_own_agrees_with_its_simulator(kind):
    manifest = made(KINDS[kind][0] + ALWAYS)
    simulator = Simulator(manifest)
    async with listening(SimulatorApp(simulator)) as url:
        report = await conform(manifest, sandbox_place(manifest, url), LOOPBACK, Telling(effects=True, calls=1))
    assert [(check.name, check.reason, check.facts) for check in report.failed] == []
    stranger = next(check for check in report.checks if check.name == "stranger")
    assert stranger.result == "passed" or stranger.reason == "key_pair"


def test_a_constant_of_a_request_is_named_without_braces():
    text = manifest_text("one").decode()
    body = 'request.body = { id_number = "subject.number"'
    assert body in text
    manifest = parse(text.replace(body, body + ', office = "config.office"', 1).encode())
    assert needs(manifest).config == {"office"}


def test_every_process_makes_the_same_and_no_two_adapters_do():
    one, other = made(JWT.replace("ALGORITHM", "ES256")), made(JWT.replace("ALGORITHM", "ES256"))
    assert sandbox_secrets(one) == sandbox_secrets(other)
    two = parse(manifest_text("two"))
    assert not set(sandbox_secrets(one).values()) & set(sandbox_secrets(two).values())
