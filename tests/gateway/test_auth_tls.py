"""TLS to departments: whose certificate is believed, who we are, and how old a version may be."""

import ssl
import tempfile

import pytest

from onestop.gateway.line import CallFailed
from onestop.gateway.manifest import BadManifest
from tests.gateway.keys import cert_pem, certificate, ec_key, pem, server_context
from tests.gateway.peer import VALUES, line, peer

pytestmark = pytest.mark.anyio

AUTHORITY = ec_key("authority")
ISSUER = certificate(AUTHORITY, "test authority")
OTHERS = certificate(ec_key("others"), "another authority")
CLIENT = certificate(ec_key("client"), "onestop", (AUTHORITY, ISSUER))
OWN = '[tls]\ntrust = "own"\n'
MUTUAL = OWN + "client_certificate = true\n"
CA = {"ca": cert_pem(ISSUER)}
ME = CA | {"client_cert": cert_pem(CLIENT), "client_cert_key": pem(ec_key("client"))}


def server(**more):
    return server_context(AUTHORITY, ISSUER, host=more.pop("host", "127.0.0.1"), **more)


async def failure(text, told, context):
    async with peer(tls=context) as served, line(text, told, served) as opened:
        with pytest.raises(CallFailed) as failed:
            await opened.ask("ask", dict(VALUES), 3.0)
    return failed.value, served


@pytest.mark.parametrize(
    ("text", "told", "says"),
    [
        (OWN, {}, "secret 'ca'"),
        (OWN, {"ca": "hunter2"}, "'ca' holds no certificate"),
        (MUTUAL, CA, "secret 'client_cert'"),
        (MUTUAL, CA | {"client_cert": "hunter2", "client_cert_key": "hunter2"}, "'client_cert_key' are no certificate"),
        (MUTUAL, ME | {"client_cert_key": pem(ec_key("server"))}, "'client_cert_key' are no certificate"),
    ],
)
async def test_what_cannot_be_used_is_said_when_the_line_opens(text, told, says):
    async with peer(tls=server()) as served:
        with pytest.raises(BadManifest) as refused:
            async with line(text, told, served):
                pass
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


async def test_an_unknown_authority_is_not_believed():
    failed, served = await failure("", {}, server())
    assert (failed.kind, failed.sent) == ("unreachable", False)
    failed, served = await failure(OWN, {"ca": cert_pem(OTHERS)}, server())
    assert (failed.kind, failed.sent, served.asked) == ("unreachable", False, [])


async def test_the_certificate_of_another_host_is_not_believed():
    failed, served = await failure(OWN, CA, server(host="127.0.0.2"))
    assert (failed.kind, failed.sent, served.asked) == ("unreachable", False, [])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize(("newest", "minimum"), [("TLSv1_1", "1.2"), ("TLSv1_2", "1.3")])
async def test_a_server_that_speaks_only_an_older_version_is_refused(newest, minimum):
    context = server()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion[newest]
    context.set_ciphers("ALL:@SECLEVEL=0")
    failed, served = await failure(OWN + f'minimum = "{minimum}"', CA, context)
    assert (failed.kind, failed.sent, served.asked) == ("unreachable", False, [])


async def test_a_server_that_asks_who_we_are_refuses_nobody_in_particular():
    context = server(asks=True)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # there the handshake itself fails
    failed, served = await failure(OWN, CA, context)
    assert (failed.kind, failed.sent, served.asked) == ("unreachable", False, [])
    failed, served = await failure(OWN, CA, server(asks=True))  # in 1.3 it is told only after the request
    assert (failed.kind, served.asked) == ("cut", [])


@pytest.mark.parametrize("together", [False, True])
async def test_our_certificate_is_shown_where_it_is_asked_for(together):
    told = ME
    if together:
        told = CA | {"client_cert": ME["client_cert"] + ME["client_cert_key"]}
    async with peer(tls=server(asks=True)) as served, line(MUTUAL, told, served) as opened:
        assert (await opened.ask("ask", dict(VALUES), 3.0)).kind == "ok"
    assert len(served.asked) == 1


async def test_no_key_is_left_in_a_file(tmp_path, monkeypatch):
    # A folder of its own: other tests write to the common one at the same time.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with peer(tls=server(asks=True)) as served, line(MUTUAL, ME, served) as opened:
        assert (await opened.ask("ask", dict(VALUES), 3.0)).kind == "ok"
        assert not list(tmp_path.iterdir())


async def test_a_token_is_fetched_with_our_certificate_from_another_host():
    def issuer(seen):
        return 200, {"access_token": "t-1", "token_type": "Bearer", "expires_in": 60}

    text = '[auth]\nkind = "oauth2_client_credentials"\nclient_auth = "tls"\n' + MUTUAL
    async with (
        peer(tls=server(asks=True)) as served,
        peer(issuer, tls=server(asks=True)) as tokens,
        line(text, ME | {"client_id": "us"}, served, token_url=f"{tokens.url}/token?realm=city") as opened,
    ):
        assert (await opened.ask("ask", dict(VALUES), 3.0)).kind == "ok"
    assert [seen.target for seen in tokens.asked] == ["/token?realm=city"]
    assert tokens.asked[0].form == {"grant_type": "client_credentials", "client_id": "us"}
    assert "authorization" not in tokens.asked[0].headers
    assert served.asked[0].headers["authorization"] == "Bearer t-1"
