"""WS-Security tokens in SOAP headers, read back as XML."""

import base64
import hashlib
from datetime import UTC, datetime

import pytest
from lxml import etree

from onestop.gateway.auth.recipes import Kitchen, Outgoing
from onestop.gateway.auth.ws_security import UsernameToken
from tests.gateway.peer import VALUES, asked, line, manifest, peer

pytestmark = pytest.mark.anyio

_OASIS = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-"
PROFILE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-username-token-profile-1.0#"
NS = {
    "s": "http://schemas.xmlsoap.org/soap/envelope/",
    "e": _OASIS + "secext-1.0.xsd",
    "u": _OASIS + "utility-1.0.xsd",
}


def security(seen):
    envelope = etree.fromstring(seen.body)
    assert [etree.QName(part).localname for part in envelope] == ["Header", "Body"]
    assert envelope.find("s:Body/{urn:test}Ask", NS).text == "林晓舟"
    return envelope.find("s:Header/e:Security", NS)


async def test_a_username_token_with_its_password():
    seen = await asked('[auth]\nkind = "ws_security"', {"username": "a<b", "password": "p&q"}, "soap")
    found = security(seen)
    assert found.get(f"{{{NS['s']}}}mustUnderstand") == "1"
    assert found.findtext("e:UsernameToken/e:Username", namespaces=NS) == "a<b"
    assert found.findtext("e:UsernameToken/e:Password", namespaces=NS) == "p&q"
    assert found.find("e:UsernameToken/e:Password", NS).get("Type") == PROFILE + "PasswordText"
    created = datetime.fromisoformat(found.findtext("u:Timestamp/u:Created", namespaces=NS))
    expires = datetime.fromisoformat(found.findtext("u:Timestamp/u:Expires", namespaces=NS))
    assert (expires - created).total_seconds() == 300
    assert abs((datetime.now(UTC) - created).total_seconds()) < 5


async def test_a_username_token_with_a_digest_is_good_once():
    text = '[auth]\nkind = "ws_security"\npassword = "digest"\ntimestamp = false'
    nonces = set()
    async with peer() as served, line(text, {"username": "u", "password": "口令"}, served) as opened:
        for _ in range(2):
            await opened.ask("soap", dict(VALUES), 5.0)
    for seen in served.asked:
        token = security(seen).find("e:UsernameToken", NS)
        nonce = base64.b64decode(token.findtext("e:Nonce", namespaces=NS))
        created = token.findtext("u:Created", namespaces=NS)
        assert token.find("e:Password", NS).get("Type") == PROFILE + "PasswordDigest"
        expected = hashlib.sha1(nonce + created.encode() + "口令".encode()).digest()
        assert base64.b64decode(token.findtext("e:Password", namespaces=NS)) == expected
        assert security(seen).find("u:Timestamp", NS) is None
        nonces.add(nonce)
    assert len(nonces) == 2


@pytest.mark.parametrize(
    "header", [b"<e:Header>", b'<e:Header xmlns:x="http://x/y">', b"<e:Header><x/>"]
)  # fmt: skip
def test_a_header_that_is_there_already_is_kept(header):
    token = UsernameToken(
        manifest('[auth]\nkind = "ws_security"').auth, Kitchen({"username": "u", "password": "p"}, {})
    )
    body = b'<?xml version="1.0"?><e:Envelope xmlns:e="%s">%s</e:Header><e:Body/></e:Envelope>'
    out = Outgoing("POST", "http://x", "/", "", [], body % (NS["s"].encode(), header))
    token.apply(out)
    envelope = etree.fromstring(out.body)
    assert len(envelope.findall("s:Header", NS)) == 1
    assert envelope.find("s:Header/e:Security/e:UsernameToken", NS) is not None
