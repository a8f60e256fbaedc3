"""Signing recipes: platforms as declarations, each checked by code that is not ours."""

import base64
import contextlib
import hashlib
import hmac
import json
import re
import time

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from gmssl_pyx import sm2_key_generate, sm2_verify, sm3_hash, sm3_hmac
from hypothesis import given
from hypothesis import strategies as st

from onestop.gateway.auth.recipes import PLACES, Attempt, Kitchen, Outgoing
from onestop.gateway.auth.signed import Signing
from onestop.gateway.manifest import BadManifest, Params, Signed
from tests.gateway.keys import ec_key, ed_key, pem, rsa_key
from tests.gateway.peer import OPERATIONS, VALUES, asked, line, manifest, peer

pytestmark = pytest.mark.anyio

OTHER_CHARSET = OPERATIONS.replace('response_codec = "json"', 'response_codec = "json"\ncharset = "gb18030"')

X_TIF = """
[auth]
kind = "signed"
base = "{timestamp}{secret.token}{nonce}{timestamp}"
digest = "sha256"
headers.x-tif-paasid = "{config.paasid}"
headers.x-tif-timestamp = "{timestamp}"
headers.x-tif-nonce = "{nonce}"
headers.x-tif-signature = "{signature}"
"""
PAY = """
[auth]
kind = "signed"
base = "{params}&key={secret}"
digest = "md5"
encoding = "hex_upper"
body = { appid = "{app_key}", nonce_str = "{nonce}", sign = "{signature}" }
"""
OPEN_PLATFORM = """
[auth]
kind = "signed"
base = "{params}"
digest = "rsa-sha256"
encoding = "base64"
query = { app_id = "{app_key}", sign_type = "RSA2", timestamp = "{time(%Y-%m-%d %H:%M:%S)}", sign = "{signature}" }
params = { leave_out = ["sign"] }
"""
LINES = """
[auth]
kind = "signed"
base = "{method}\\n{path}\\n{body_sha256}"
headers = { X-Sign = "{signature}" }
"""
DATED = """
[auth]
kind = "signed"
base = "date: {date}\\n{method} {target}"
digest = "hmac-sha512"
encoding = "base64"
headers = { Date = "{date}", Authorization = 'hmac username="{app_key}", signature="{signature}"' }
"""
MY_INFO = """
[auth]
kind = "signed"
base = "{method}&{url}&{params}"
digest = "rsa-pss-sha256"
encoding = "base64"
headers.Authorization = '''
PKI_SIGN app_id="{app_key}",timestamp="{timestamp_ms}",nonce="{nonce}",signature="{signature}"'''
params = { of = ["query", "auth"], extra = { app_id = "{app_key}", nonce = "{nonce}", timestamp = "{timestamp_ms}" } }
"""
HEADER = '[auth]\nkind = "signed"\nbase = "{nonce}{body}"\nheaders = { X-Nonce = "{nonce}", X-Sign = "{signature}" }\n'


def with_digest(digest, encoding="hex", base="{nonce}{body}"):
    return HEADER.replace("{nonce}{body}", base) + f'digest = "{digest}"\nencoding = "{encoding}"\n'


# Refusals first: what cannot be used is said when the line opens, by name.


@pytest.mark.parametrize(
    ("text", "told", "says"),
    [
        (HEADER, {}, "secret 'app_secret'"),
        (HEADER.replace("{nonce}{body}", "{nonse}"), {"app_secret": "s"}, "auth.base: there is no place {nonse}"),
        (HEADER.replace("{nonce}{body}", "{signature}"), {"app_secret": "s"}, "no place {signature}"),
        (HEADER.replace("{nonce}{body}", "{token}"), {"app_secret": "s"}, "no place {token}"),
        (HEADER.replace("{nonce}{body}", "{nonce.__class__}"), {"app_secret": "s"}, "no place {nonce.__class__}"),
        (HEADER.replace("{nonce}{body}", "{nonce!r}"), {"app_secret": "s"}, "no place {nonce!r}"),
        (HEADER.replace("{nonce}{body}", "{0}"), {"app_secret": "s"}, "no place {0}"),
        (HEADER.replace("{nonce}{body}", "a { b"), {"app_secret": "s"}, "a brace stands alone"),
        (HEADER.replace('"{nonce}"', '"{secret.other}"'), {"app_secret": "s"}, "secret 'other'"),
        (HEADER.replace('"{nonce}"', '"{config.other}"'), {"app_secret": "s"}, "lacks 'other'"),
        (with_digest("rsa-sha256"), {}, "secret 'sign_key'"),
        (with_digest("rsa-sha256"), {"sign_key": "hunter2"}, "'sign_key' is no private key"),
        (with_digest("rsa-sha256"), {"sign_key": pem(ec_key())}, "'sign_key' is not a key for rsa-sha256"),
        (with_digest("sm2-sm3"), {"sign_key": "00" * 31, "sign_public_key": "00"}, "no SM2 private key"),
        (PAY + 'params = { pair = "{name}:{valeu}" }', {"app_key": "a", "app_secret": "s"}, "no place {valeu}"),
    ],
)
async def test_a_recipe_that_cannot_be_used_is_refused_by_name(text, told, says):
    async with peer() as served:
        with pytest.raises(BadManifest) as refused:
            async with line(text, told, served):
                pass
    assert says in str(refused.value)
    assert str(refused.value).startswith("adapter peer: ")
    assert "hunter2" not in str(refused.value) + repr(refused.value.__cause__) + repr(refused.value.__context__)
    assert served.asked == []


async def test_a_missing_optional_package_is_said_in_words(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "gmssl_pyx", None)
    with pytest.raises(BadManifest, match=r"pip install 'onestop\[gm\]'"):
        await asked(with_digest("sm2-sm3"), {"sign_key": "01" * 32, "sign_public_key": "01" * 64})


async def test_the_chinese_platform_signature_is_a_declaration():
    told = {"token": "tokentoken", "app_key": "a"}
    seen = await asked(X_TIF, told, config={"paasid": "yunxi"})
    stamp, nonce = seen.headers["x-tif-timestamp"], seen.headers["x-tif-nonce"]
    assert seen.headers["x-tif-paasid"] == "yunxi"
    assert abs(int(stamp) - time.time()) < 5
    assert re.fullmatch(r"[0-9a-f]{24}", nonce)
    assert seen.headers["x-tif-signature"] == hashlib.sha256(f"{stamp}tokentoken{nonce}{stamp}".encode()).hexdigest()


def test_the_chinese_platform_signature_is_the_published_one():
    spec = manifest(X_TIF).auth
    signing = Signing(spec, Kitchen({"token": "tokentoken"}, {"paasid": "x"}))
    at = Attempt(Outgoing("GET", "http://x", "/", "", [], b""), nonce="M0mc5pgk", stamp="1720489942")
    base = signing._base.fill(at)
    signature = signing._encode(signing._sign(base.encode()))
    assert signature == "f9f325af479587694e1cc4a79ee85f8b303f4ba63494d6ed1cf9200eb224bade"


@pytest.mark.parametrize("operation", ["ask", "form"])
async def test_a_payment_platforms_parameter_signature_goes_into_the_body(operation):
    seen = await asked(PAY, {"app_key": "wx1", "app_secret": "k" * 32}, operation)
    told = seen.json if operation == "ask" else seen.form
    assert told["number"] == "k-1"
    assert told["empty"] == ""
    signed = "&".join(f"{k}={v}" for k, v in sorted(told.items()) if v and k != "sign") + "&key=" + "k" * 32
    assert signed.startswith("appid=wx1&name=林晓舟&nonce_str=")
    assert told["sign"] == hashlib.md5(signed.encode()).hexdigest().upper()


async def test_an_open_platforms_rsa2_signature_goes_into_the_query():
    seen = await asked(OPEN_PLATFORM, {"app_key": "2021", "sign_key": pem(rsa_key())}, "look")
    told = seen.query
    signed = "&".join(f"{k}={v}" for k, v in sorted(told.items()) if k != "sign")
    assert "name=林晓舟" in signed
    assert re.search(r"timestamp=\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", signed)
    rsa_key().public_key().verify(
        base64.b64decode(told["sign"]), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
    )  # fmt: skip


async def test_a_key_may_be_the_bare_base64_that_platforms_hand_out():
    bare = "".join(pem(rsa_key()).strip().splitlines()[1:-1])
    seen = await asked(OPEN_PLATFORM, {"app_key": "2021", "sign_key": bare}, "look")
    assert seen.query["sign"]


async def test_method_path_and_body_hash():
    seen = await asked(LINES, {"app_secret": "s3"})
    base = f"POST\n/ask\n{hashlib.sha256(seen.body).hexdigest()}"
    assert seen.headers["x-sign"] == hmac.new(b"s3", base.encode(), "sha256").hexdigest()


async def test_a_date_header_and_the_target_with_its_query():
    seen = await asked(DATED, {"app_key": "me", "app_secret": "s3"}, "look")
    base = f"date: {seen.headers['date']}\nGET {seen.target}"
    mac = base64.b64encode(hmac.new(b"s3", base.encode(), "sha512").digest()).decode()
    assert seen.headers["authorization"] == f'hmac username="me", signature="{mac}"'
    assert seen.target == "/look?number=k-1&name=%E6%9E%97%E6%99%93%E8%88%9F"


async def test_parameters_that_are_signed_but_stand_in_one_header():
    seen = await asked(MY_INFO, {"app_key": "STG2", "sign_key": pem(rsa_key())}, "look")
    told = dict(re.findall(r'(\w+)="([^"]*)"', seen.headers["authorization"]))
    params = {**seen.query, "app_id": "STG2", "nonce": told["nonce"], "timestamp": told["timestamp"]}
    listed = "&".join(f"{k}={v}" for k, v in sorted(params.items()))
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    base = f"GET&{seen.url.partition('?')[0]}&{listed}".encode()
    rsa_key().public_key().verify(base64.b64decode(told["signature"]), base, pss, hashes.SHA256())


async def test_parameters_may_be_percent_encoded():
    text = HEADER.replace("{nonce}{body}", "{params}") + (
        'params = { pair = "{name_encoded}={value_encoded}", join = "\\n", of = ["query"] }'
    )
    seen = await asked(text, {"app_secret": "s"}, "look")
    base = "name=%E6%9E%97%E6%99%93%E8%88%9F\nnumber=k-1"
    assert seen.headers["x-sign"] == hmac.new(b"s", base.encode(), "sha256").hexdigest()


SM2_PUBLIC, SM2_PRIVATE = sm2_key_generate()


def _rsa_sha1(raw, data):
    rsa_key().public_key().verify(raw, data, padding.PKCS1v15(), hashes.SHA1())
    return True


def _ecdsa(raw, data):
    ec_key().public_key().verify(raw, data, ec.ECDSA(hashes.SHA256()))
    return True


def _ed(raw, data):
    ed_key().public_key().verify(raw, data)
    return True


@pytest.mark.parametrize(
    ("digest", "told", "genuine"),
    [
        ("hmac-sha1", {"app_secret": "s"}, lambda raw, data: raw == hmac.new(b"s", data, "sha1").digest()),
        ("hmac-md5", {"app_secret": "s"}, lambda raw, data: raw == hmac.new(b"s", data, "md5").digest()),
        ("hmac-sha512", {"app_secret": "s"}, lambda raw, data: raw == hmac.new(b"s", data, "sha512").digest()),
        ("hmac-sm3", {"app_secret": "s" * 32}, lambda raw, data: raw == sm3_hmac(b"s" * 32, data)),
        ("sha1", {}, lambda raw, data: raw == hashlib.sha1(data).digest()),
        ("sha512", {}, lambda raw, data: raw == hashlib.sha512(data).digest()),
        ("sm3", {}, lambda raw, data: raw == sm3_hash(data)),
        ("rsa-sha1", {"sign_key": pem(rsa_key())}, _rsa_sha1),
        ("ecdsa-sha256", {"sign_key": pem(ec_key())}, _ecdsa),
        ("ed25519", {"sign_key": pem(ed_key())}, _ed),
        (
            "sm2-sm3",
            {"sign_key": SM2_PRIVATE.hex(), "sign_public_key": SM2_PUBLIC.hex()},
            lambda raw, data: sm2_verify(SM2_PUBLIC, data, raw),
        ),
    ],
)
@pytest.mark.parametrize("encoding", ["hex", "base64url"])
async def test_every_digest_is_one_that_others_can_check(digest, told, genuine, encoding):
    seen = await asked(with_digest(digest, encoding), told)
    text = seen.headers["x-sign"]
    raw = bytes.fromhex(text) if encoding == "hex" else base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert genuine(raw, seen.headers["x-nonce"].encode() + seen.body)
    with pytest.raises((InvalidSignature, AssertionError)):
        assert genuine(raw, seen.body)


async def test_every_attempt_is_signed_anew():
    calls = []

    def cuts_the_fifth(request):
        calls.append(request)
        if len(calls) == 5:
            raise ConnectionError  # the server hangs up without an answer
        return 200, {"said": "ok"}

    async with peer(cuts_the_fifth) as served, line(HEADER, {"app_secret": "s"}, served) as opened:
        for _ in range(5):  # one call in five may be repeated
            assert (await opened.ask("ask", dict(VALUES), 5.0)).kind == "ok"
    first, second = (seen.headers for seen in served.asked[4:])
    assert first["x-nonce"] != second["x-nonce"]
    assert first["x-sign"] != second["x-sign"]
    assert second["x-sign"] == hmac.new(b"s", (second["x-nonce"]).encode() + calls[5].body, "sha256").hexdigest()


async def test_a_body_that_was_changed_or_a_wrong_secret_is_seen_by_the_department():
    seen = await asked(HEADER, {"app_secret": "wrong"})
    right = hmac.new(b"right", seen.headers["x-nonce"].encode() + seen.body, "sha256").hexdigest()
    assert seen.headers["x-sign"] != right
    changed = hmac.new(b"wrong", seen.headers["x-nonce"].encode() + seen.body + b" ", "sha256").hexdigest()
    assert seen.headers["x-sign"] != changed


async def test_bytes_that_are_no_text_are_signed_as_they_are():
    async with peer() as served, line(HEADER, {"app_secret": "s"}, served, operations=OTHER_CHARSET) as opened:
        await opened.ask("ask", dict(VALUES), 5.0)
    seen = served.asked[0]
    assert json.loads(seen.body.decode("gb18030"))["name"] == "林晓舟"
    mac = hmac.new(b"s", seen.headers["x-nonce"].encode() + seen.body, "sha256").hexdigest()
    assert seen.headers["x-sign"] == mac


async def test_members_go_into_a_body_of_another_charset():
    async with (
        peer() as served,
        line(PAY, {"app_key": "a", "app_secret": "s"}, served, operations=OTHER_CHARSET) as one,
    ):
        await one.ask("ask", dict(VALUES), 5.0)
    assert json.loads(served.asked[0].body.decode("gb18030"))["sign"]


async def test_a_body_that_cannot_carry_a_member_is_not_sent():
    async with peer() as served, line(PAY, {"app_key": "a", "app_secret": "s"}, served) as opened:
        with pytest.raises(Exception, match="unmappable: CannotCarry"):
            await opened.ask("soap", dict(VALUES), 5.0)
    assert served.asked == []


@given(st.text(max_size=60))
def test_any_text_means_itself_once_its_braces_are_doubled(text):
    at = Attempt(Outgoing("GET", "http://x", "/p", "", [], b""))
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert Kitchen({}, {}).recipe(doubled, "x").fill(at) == text


@given(st.text(alphabet="{}().!:[]_secretnonce%Y", max_size=30))
def test_no_text_reaches_anything_but_the_places_on_the_list(text):
    at = Attempt(Outgoing("GET", "http://x", "/p", "", [], b""))
    with contextlib.suppress(BadManifest):
        recipe = Kitchen({"e": "1"}, {}).recipe(text, "x")
        assert all(name in PLACES or name.startswith("time") for name in recipe.names)
        assert isinstance(recipe.fill(at), str)


@given(st.binary(max_size=200))
def test_any_bytes_are_signed_as_they_are(body):
    spec = manifest(HEADER).auth
    out = Outgoing("POST", "http://x", "/p", "", [], body)
    Signing(spec, Kitchen({"app_secret": "s"}, {})).apply(out)
    told = dict(out.headers)
    assert told["X-Sign"] == hmac.new(b"s", told["X-Nonce"].encode() + body, "sha256").hexdigest()


def test_doubled_braces_are_braces():
    kitchen = Kitchen({}, {})
    at = Attempt(Outgoing("GET", "http://x", "/p", "", [], b""))
    assert kitchen.recipe("{{{method}}} {path}", "x").fill(at) == "{GET} /p"


def test_a_declaration_keeps_its_order_of_defaults():
    assert Signed(base="{body}").params == Params()
