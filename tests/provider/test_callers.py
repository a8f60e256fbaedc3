"""How a site proves who it is: in the one way it is registered for, with a proof that is new and meant for onestop."""

import base64
import time
from urllib.parse import quote

import pytest
from joserfc.jwk import ECKey

from onestop.provider.callers import ASSERTION_TYPE
from onestop.provider.certificates import Certificates
from onestop.settings import BadSettings, Settings
from tests.provider.certificates import certificate, der, pem
from tests.provider.conftest import PORTAL

pytestmark = pytest.mark.anyio
STRANGER = ECKey.generate_key("P-256", private=True)


async def asks(instance, form, **headers):
    """Ask for something that is refused only once the client has proven itself."""
    async with instance.http(**headers) as http:
        answer = await http.post("/oauth/token", data={"grant_type": "none", **form})
    return answer.json()["error"], answer.json()["error_description"], answer.status_code


KNOWN = ("unsupported_grant_type", "grant_type", 400)


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


async def test_a_site_with_a_secret_is_known_by_it_alone(onestop, register):
    site, other = await register(), await register()
    assert await asks(onestop, {}, authorization=basic(site.id, site.secret)) == KNOWN
    for wrong in ("", site.secret + "x", other.secret):
        assert await asks(onestop, {}, authorization=basic(site.id, wrong)) == ("invalid_client", "secret", 401)
    for header in ("Basic !!!", "Basic " + base64.b64encode(b"nocolon").decode()):
        assert await asks(onestop, {}, authorization=header) == ("invalid_client", "basic", 401)
    assert await asks(onestop, {"client_id": site.id}) == ("invalid_client", "method", 401)
    posted = {"client_id": site.id, "client_secret": site.secret}
    assert await asks(onestop, posted) == ("invalid_client", "method", 401)
    told = await asks(onestop, {"client_id": other.id}, authorization=basic(site.id, site.secret))
    assert told == ("invalid_client", "client_id", 401)


async def test_a_refused_client_is_told_how_to_prove_itself(onestop):
    async with onestop.http(authorization=basic("nobody", "x")) as http:
        answer = await http.post("/oauth/token", data={"grant_type": "none"})
    assert answer.headers["www-authenticate"] == 'Basic realm="onestop"'
    assert answer.json()["error_uri"] == "/problems/provider.client_refused"


def shown(assertion: str, **more: str) -> dict[str, str]:
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}


async def test_a_site_with_a_key_signs_for_each_call(onestop, register):
    site = await register("private_key_jwt")
    assert await asks(onestop, shown(site.assertion())) == KNOWN
    assert await asks(onestop, shown(site.assertion(aud=[PORTAL + "/oauth/token"]), client_id=site.id)) == KNOWN
    assert await asks(onestop, shown(site.assertion(iat=...))) == KNOWN
    assert await asks(onestop, shown(site.assertion(header={"typ": "client-authentication+jwt"}))) == KNOWN


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"iss": "other"}, "unknown"),
        ({"sub": "other"}, "iss"),
        ({"aud": "https://other.example"}, "aud"),
        ({"aud": [PORTAL, "https://other.example"]}, "aud"),
        ({"aud": []}, "aud"),
        ({"aud": PORTAL + "/oauth/par"}, "aud"),  # for another endpoint
        ({"exp": int(time.time()) - 60}, "expired"),
        ({"exp": int(time.time()) + 86_400}, "far_future"),
        ({"iat": int(time.time()) + 86_400}, "iat"),
        ({"nbf": int(time.time()) + 86_400}, "iat"),
        ({"jti": ...}, "claims"),
        ({"jti": ""}, "jti"),
        ({"jti": "x" * 257}, "jti"),
        ({"exp": ...}, "claims"),
        ({"key": STRANGER}, "signature"),
        ({"header": {"typ": "at+jwt"}}, "typ"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_assertion_for_anything_else_is_refused(onestop, register, changed, reason):
    site = await register("private_key_jwt")
    assert await asks(onestop, shown(site.assertion(**changed))) == ("invalid_client", reason, 401)


async def test_an_assertion_is_taken_once_on_all_instances(onestop, elsewhere, register):
    site = await register("private_key_jwt")
    assertion = site.assertion()
    assert await asks(onestop, shown(assertion)) == KNOWN
    for instance in (onestop, elsewhere):
        assert await asks(instance, shown(assertion)) == ("invalid_client", "replay", 401)


async def test_two_proofs_at_once_are_one_too_many(onestop, register):
    site, keyed = await register(), await register("private_key_jwt")
    told = await asks(onestop, shown(keyed.assertion()), authorization=basic(site.id, site.secret))
    assert told == ("invalid_request", "two_proofs", 400)
    told = await asks(onestop, shown(keyed.assertion()) | {"client_assertion_type": "urn:x"})
    assert told == ("invalid_client", "assertion_type", 401)
    assert await asks(onestop, shown("not a token")) == ("invalid_client", "form", 401)
    assert await asks(onestop, {}) == ("invalid_client", "missing", 401)


async def test_a_public_client_says_its_name(onestop, register):
    site = await register("none")
    assert await asks(onestop, {"client_id": site.id}) == KNOWN
    assert await asks(onestop, {"client_id": site.id}, authorization=basic(site.id, "")) == (
        "invalid_client", "method", 401,
    )  # fmt: skip


# ---- certificates


async def test_a_site_with_a_certificate_is_known_by_the_name_in_it(open_instance, register):
    behind = await open_instance(client_certificate_header="Client-Cert", trusted_proxies=("127.0.0.0/8",))
    site = await register("tls_client_auth", tls_subject="CN=rs.example.cn")
    form = {"client_id": site.id}

    def header(made):
        return ":" + base64.b64encode(der(made)).decode() + ":"

    assert await asks(behind, form, **{"client-cert": header(certificate())}) == KNOWN
    assert await asks(behind, form, **{"client-cert": quote(pem(certificate()))}) == KNOWN
    assert await asks(behind, form) == ("invalid_client", "certificate", 401)
    for made, reason in (
        (certificate("other.example.cn"), "certificate_subject"),
        (certificate(days=1, ago=3), "certificate_time"),
        (certificate(ago=-2), "certificate_time"),
    ):
        assert await asks(behind, form, **{"client-cert": header(made)}) == ("invalid_client", reason, 401)
    assert await asks(behind, form, **{"client-cert": ":rubbish:"}) == ("invalid_client", "certificate", 401)


def scope(*headers: tuple[bytes, bytes], client: tuple[str, int] | None = ("10.1.2.3", 4), **more: object):
    return {"headers": list(headers), "client": client, **more}


def test_the_header_of_a_stranger_is_not_looked_at():
    made = certificate()
    header = (b"client-cert", b":" + base64.b64encode(der(made)) + b":")
    told = Settings(client_certificate_header="Client-Cert", trusted_proxies=("10.1.0.0/16",))
    assert Certificates(told).shown(scope(header)) == der(made)
    for client in (("10.2.0.1", 1), ("unix", 1), None):
        assert Certificates(told).shown(scope(header, client=client)) is None
    assert Certificates(told).shown(scope(header, header)) is None  # which of them is the proxy's?
    assert Certificates(Settings(client_certificate_header="Client-Cert")).shown(scope(header)) is None
    assert Certificates(Settings(trusted_proxies=("10.1.0.0/16",))).shown(scope(header)) is None
    with pytest.raises(BadSettings):
        Certificates(Settings(trusted_proxies=("proxy.example",)))


def test_the_certificate_of_the_connection_itself_goes_first():
    made, other = certificate(), certificate("other.example.cn")
    told = Settings(client_certificate_header="Client-Cert", trusted_proxies=("10.1.0.0/16",))
    header = (b"client-cert", b":" + base64.b64encode(der(other)) + b":")
    tls = {"tls": {"client_cert_chain": [pem(made).decode()]}}
    assert Certificates(told).shown(scope(header, extensions=tls)) == der(made)
