"""Encrypted and signed messages: sealed and opened by jwcrypto and GmSSL on the other side."""

import base64
import hmac
import json

import gmssl_pyx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwcrypto import jwe as their_jwe
from jwcrypto import jwk as their_jwk
from jwcrypto import jws as their_jws

from onestop.gateway.bodies import protection
from onestop.gateway.manifest import BadManifest, Jose, Sm4
from onestop.gateway.operations import prepare
from onestop.outbound.models import Reply
from tests.gateway.keys import ec_key, ed_key, pem, public_pem, rsa_key
from tests.gateway.peer import OPERATION, OPERATIONS, VALUES, line, manifest, peer

pytestmark = pytest.mark.anyio


def key(private, **more):
    made = their_jwk.JWK.from_pem(pem(private).encode())
    return their_jwk.JWK(**(made.export(as_dict=True) | more))


OURS, THEIRS = ec_key("ours"), ec_key("theirs")
TOLD = {"decrypt_key": pem(OURS), "verify_key": public_pem(THEIRS)}
PERSON = b'{"said": "ok"}'
BOTH = Jose(layers=("jwe", "jws"))


def signed(payload=PERSON, private=THEIRS, alg="ES256", **header):
    made = their_jws.JWS(payload)
    made.allowed_algs = [*made.allowed_algs, alg]
    made.add_signature(key(private), alg, json.dumps({"alg": alg} | header))
    return made.serialize(compact=True)


def encrypted(payload, private=OURS, alg="ECDH-ES", enc="A256GCM", **header):
    made = their_jwe.JWE(payload, json.dumps({"alg": alg, "enc": enc} | header))
    made.add_recipient(key(private))
    return made.serialize(compact=True)


def opened(spec, text, told=None):
    return protection.opener(spec, told or TOLD)(text.encode() if isinstance(text, str) else text)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def with_header(text, **more):
    """Change a compact text's header without its signature: what a hostile sender would try."""
    head, _, rest = text.partition(".")
    header = json.loads(base64.urlsafe_b64decode(head + "=="))
    return part({name: value for name, value in (header | more).items() if value is not None}) + "." + rest


def by_public_key():
    """Return a JWS whose HMAC is made with the signer's public key as text."""
    head = part({"alg": "HS256"}) + "." + part({"said": "ok"})
    mac = hmac.digest(public_pem(THEIRS).encode(), head.encode(), "sha256")
    return head + "." + base64.urlsafe_b64encode(mac).decode().rstrip("=")


# Refusals first: keys and declarations.


@pytest.mark.parametrize(
    ("spec", "told", "says"),
    [
        (BOTH, {"verify_key": public_pem(THEIRS)}, "secret 'decrypt_key'"),
        (BOTH, {"decrypt_key": pem(OURS)}, "secret 'verify_key'"),
        (BOTH, TOLD | {"decrypt_key": public_pem(OURS)}, "public key where a private one is needed"),
        (BOTH, TOLD | {"verify_key": "-----BEGIN hunter2"}, "'verify_key' is no key"),
        (BOTH, TOLD | {"verify_key": "a shared secret"}, "'verify_key' is no key for protection.algorithms"),
        (Jose(layers=("jws",), algorithms=("HS256",)), TOLD, "'verify_key' is no key for"),
        (Jose(layers=("jws",), algorithms=("HS256", "ES256")), TOLD, "mixes shared secrets"),
        (Jose(layers=("jws",), algorithms=()), TOLD, "mixes shared secrets"),
        (Jose(layers=()), TOLD, "protection.layers"),
        (Jose(layers=("jws", "jws")), TOLD, "protection.layers"),
        (Jose(layers=("jwe",), key_management=("RSA1_5",)), TOLD, "RSA1_5 is not taken"),
        (Jose(layers=("jwe",), key_management=("dir",)), TOLD, "dir is not taken"),
        (Jose(layers=("jwe",), key_management=("PBES2-HS256+A128KW",)), TOLD, "PBES2-HS256"),
        (Jose(layers=("jwe",), key_management=("RSA-OAEP",)), TOLD, "no key for protection.key_management"),
        (Sm4(), {"sm4_key": "00" * 16}, "secret 'sm4_iv'"),
        (Sm4(), {"sm4_key": "hunter2", "sm4_iv": "00" * 16}, "'sm4_key' is not 32 hex digits"),
    ],
)
def test_a_declaration_or_a_key_that_opens_a_hole_is_refused(spec, told, says):
    with pytest.raises(BadManifest) as refused:
        protection.opener(spec, told)
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


NESTED = encrypted(signed())
HOSTILE = {
    "for another key": encrypted(signed(), ec_key("else")),
    "signed by another": encrypted(signed(private=ec_key("else"))),
    "only signed": signed(),
    "only encrypted": encrypted(PERSON.decode()),
    "swapped": signed(encrypted(PERSON.decode()).encode()),
    "not signed": encrypted(part({"alg": "none"}) + "." + part({"said": "ok"}) + "."),
    "none with a signature": encrypted(with_header(signed(), alg="none")),
    "an HMAC by the public key": encrypted(by_public_key()),
    "another algorithm": encrypted(signed(alg="ES384", private=ec.generate_private_key(ec.SECP384R1()))),
    "its own key": encrypted(signed(jwk=key(ec_key("else")).export_public(as_dict=True), private=ec_key("else"))),
    "a key's address": encrypted(signed(jku="http://127.0.0.1/keys")),
    "a certificate's address": encrypted(signed(x5u="http://127.0.0.1/cert")),
    "an unknown member": encrypted(signed(foo="bar")),
    "an empty part": encrypted(signed()).replace(".", "..", 1),
    "padding": encrypted(signed()) + "==",
    "one more part": encrypted(signed()) + ".AAAA",
    "a header of a megabyte": part({"alg": "ECDH-ES", "enc": "A256GCM", "typ": "x" * 1_000_000}) + ".A.A.A.A",
    "compressed": encrypted(signed(), zip="DEF"),
    "by a password": with_header(NESTED, alg="PBES2-HS256+A128KW", p2c=10_000_000, p2s="AAAA"),
    "a key beside the message": encrypted(signed(), jwk=key(OURS).export_public(as_dict=True)),
    "critical": with_header(NESTED, crit=["exp"], exp=1),
    "without its own half": with_header(NESTED, epk=None),
    "another curve": with_header(NESTED, epk={"kty": "EC", "crv": "P-521", "x": "AA", "y": "AA"}),
    "not on the curve": with_header(NESTED, epk={"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}),
    "cut": NESTED[:-4],
    "nothing": "",
    "no text": "{}",
    "bytes": "\xff\x00",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_text_that_is_not_theirs_for_us_is_refused_in_one_word(text):
    with pytest.raises(protection.NotOpened) as refused:
        opened(BOTH, text)
    assert str(refused.value).startswith("protection: the text cannot be opened with our keys")


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        (Jose(layers=("jws",), algorithms=("PS256",)), signed(private=rsa_key(), alg="RS256")),
        (Jose(layers=("jwe",), key_management=("RSA-OAEP-256",)), encrypted("{}", rsa_key(), "RSA-OAEP")),
        (Jose(layers=("jwe",), content_encryption=("A256GCM",)), encrypted("{}", rsa_key(), "RSA-OAEP", "A128GCM")),
    ],
)
def test_the_right_key_by_an_algorithm_that_is_not_declared_is_refused(spec, text):
    told = {"decrypt_key": pem(rsa_key()), "verify_key": public_pem(rsa_key())}
    with pytest.raises(protection.NotOpened):
        opened(spec, text, told)
    assert opened(Jose(layers=spec.layers), text, told)


def test_a_text_that_is_too_large_is_not_looked_at():
    with pytest.raises(protection.NotOpened, match="too large"):
        opened(BOTH, "A" * 8_388_609)


def test_an_expected_order_is_the_only_one():
    inside_out = Jose(layers=("jws", "jwe"))
    assert opened(inside_out, signed(encrypted(PERSON.decode()).encode())) == PERSON
    with pytest.raises(protection.NotOpened):
        opened(inside_out, NESTED)


# What opens.


@pytest.mark.parametrize("enc", ["A256GCM", "A128GCM", "A256CBC-HS512", "A128CBC-HS256"])
@pytest.mark.parametrize(
    ("alg", "private"),
    [
        ("ECDH-ES", OURS),
        ("ECDH-ES+A128KW", OURS),
        ("ECDH-ES+A256KW", OURS),
        ("RSA-OAEP", rsa_key()),
        ("RSA-OAEP-256", rsa_key()),
    ],
)
def test_every_way_of_encrypting_that_is_declared_by_default_is_opened(alg, private, enc):
    text = encrypted(signed(), private, alg, enc)
    assert opened(BOTH, text, TOLD | {"decrypt_key": pem(private)}) == PERSON


@pytest.mark.parametrize(
    ("alg", "private"),
    [("ES256", THEIRS), ("RS256", rsa_key()), ("PS256", rsa_key()), ("EdDSA", ed_key())],
)
def test_every_way_of_signing_that_is_declared_by_default_is_believed(alg, private):
    spec = Jose(layers=("jws",))
    assert opened(spec, signed(private=private, alg=alg), {"verify_key": public_pem(private)}) == PERSON


def test_a_shared_secret_only_where_it_is_declared():
    spec = Jose(layers=("jws",), algorithms=("HS256",))
    made = their_jws.JWS(PERSON)
    secret = their_jwk.JWK(kty="oct", k=base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("="))
    made.add_signature(secret, "HS256", json.dumps({"alg": "HS256"}))
    assert opened(spec, made.serialize(compact=True), {"verify_key": "s" * 32}) == PERSON


def test_the_key_id_selects_within_the_set_and_nowhere_else():
    one, two = key(THEIRS, kid="one"), key(ec_key("else"), kid="two")
    told = {"verify_key": json.dumps({"keys": [k.export_public(as_dict=True) for k in (one, two)]})}
    spec = Jose(layers=("jws",))
    assert opened(spec, signed(kid="one"), told) == PERSON
    assert opened(spec, signed(kid="two", private=ec_key("else")), told) == PERSON
    assert opened(spec, signed(), told) == PERSON
    for text in (signed(kid="two"), signed(kid="three"), signed(private=ec_key("third"))):
        with pytest.raises(protection.NotOpened):
            opened(spec, text, told)


def test_two_keys_are_good_while_one_replaces_the_other():
    told = TOLD | {"next_decrypt_key": pem(ec_key("next")), "next_verify_key": public_pem(ec_key("n2"))}
    for ours in (OURS, ec_key("next")):
        for theirs in (THEIRS, ec_key("n2")):
            assert opened(BOTH, encrypted(signed(private=theirs), ours), told) == PERSON


@pytest.mark.parametrize("layers", [("jwe", "jws"), ("jws", "jwe"), ("jwe",), ("jws",)])
@pytest.mark.parametrize(("ours", "theirs"), [(ec_key(), ec_key("t")), (rsa_key(), rsa_key("t"))])
def test_what_we_seal_others_open(layers, ours, theirs):
    spec = Jose(layers=layers)
    told = {"sign_key": pem(ours), "encrypt_key": key(theirs, kid="their-kid").export_public()}
    text = protection.sealer(spec, told)(PERSON).decode()
    for layer in layers:
        if layer == "jwe":
            read = their_jwe.JWE()
            read.deserialize(text, key(theirs))
            assert json.loads(read.objects["protected"])["kid"] == "their-kid"
        else:
            read = their_jws.JWS()
            read.deserialize(text, key(ours))
        text = read.payload.decode()
    assert text.encode() == PERSON


# SM4, against the standard's own example and GmSSL.
SM4_KEY = "0123456789abcdeffedcba9876543210"
SM4 = {"sm4_key": SM4_KEY, "sm4_iv": "000102030405060708090a0b0c0d0e0f"}


def test_the_standards_own_block_is_ours():
    sealed = protection.sealer(Sm4(mode="ecb", encoding="hex"), SM4)(bytes.fromhex(SM4_KEY))
    assert sealed.decode()[:32] == "681edf34d206965e86b3e94f536e4246"


@pytest.mark.parametrize("encoding", ["base64", "hex"])
@pytest.mark.parametrize(("mode", "iv"), [("cbc", "secret"), ("cbc", "prefix"), ("gcm", "prefix"), ("ecb", "secret")])
@pytest.mark.parametrize("body", [b"", PERSON, b"x" * 16, "林晓舟".encode() * 1000])
def test_what_we_seal_we_open(mode, iv, encoding, body):
    spec = Sm4(mode=mode, iv=iv, encoding=encoding)
    assert protection.opener(spec, SM4)(protection.sealer(spec, SM4)(body)) == body


def test_gmssl_opens_and_seals_the_same():
    private, iv = bytes.fromhex(SM4_KEY), bytes.fromhex(SM4["sm4_iv"])
    cbc = protection.sealer(Sm4(), SM4)(PERSON)
    assert gmssl_pyx.sm4_cbc_padding_decrypt(private, iv, base64.b64decode(cbc)) == PERSON
    theirs = base64.b64encode(gmssl_pyx.sm4_cbc_padding_encrypt(private, iv, PERSON))
    assert protection.opener(Sm4(), SM4)(theirs) == PERSON
    raw = base64.b64decode(protection.sealer(Sm4(mode="gcm"), SM4)(PERSON))
    assert gmssl_pyx.sm4_gcm_decrypt(private, iv=raw[:12], aad=b"", ciphertext=raw[12:-16], tag=raw[-16:]) == PERSON


@pytest.mark.parametrize(
    "text", [b"", b"!", b"AAAA", base64.b64encode(b"x" * 16), base64.b64encode(b"x" * 64), b"\xff"]
)
@pytest.mark.parametrize("mode", ["cbc", "gcm", "ecb"])
def test_what_was_not_sealed_with_our_key_is_refused(mode, text):
    with pytest.raises(protection.NotOpened, match="protection: the text cannot be opened with our key"):
        protection.opener(Sm4(mode=mode), SM4)(text)


def test_two_seals_of_one_body_differ():
    for spec in (Sm4(mode="gcm"), Sm4(iv="prefix")):
        assert len({protection.sealer(spec, SM4)(PERSON) for _ in range(5)}) == 5


# In an operation, over a real socket.
WHOLE = OPERATIONS.replace(
    'reply.fields = { said = "said" }',
    'reply.fields = { said = "said" }\nreply.protection = { kind = "jose", layers = ["jwe", "jws"] }',
)
MEMBER = OPERATIONS.replace(
    'reply.fields = { said = "said" }',
    'reply.fields = { said = "said" }\n'
    'reply.protection = { kind = "sm4", member = "data.text" }\n'
    'request.protection = { kind = "sm4", into = "text" }\n'
    'errors = [{ path = "code", equals = "404", outcome = "not_found", reason = "msg" }]',
).replace('codec = "soap"', 'codec = "soap12"')


async def test_an_encrypted_answer_is_read_and_a_plain_one_is_not():
    replies = [NESTED.encode(), b'{"said": "ok"}', HOSTILE["signed by another"].encode()]
    async with peer(lambda _: (200, replies.pop(0))) as served, line("", TOLD, served, operations=WHOLE) as opened:
        answers = [await opened.ask("ask", dict(VALUES), 5.0) for _ in range(3)]
    assert [answer.kind for answer in answers] == ["ok", "bad_reply", "bad_reply"]
    assert answers[0].fields == {"said": "ok"}
    assert answers[1].reason.startswith("protection: ")


SEVERAL = OPERATION.format(id="ask", kind="query", method="POST", idempotent="safe", codec="json", more="").replace(
    'said = "said" }', 'said = "said", first = "steps.one.said" }'
) + (
    'reply.protection = { kind = "jose", layers = ["jwe", "jws"] }\n'
    '[[operations.steps]]\nid = "one"\npath = "/one"\nidempotent = "safe"\nsave = { said = "said" }\n'
    '[[operations.steps]]\nid = "two"\npath = "/two"\nidempotent = "safe"\n'
)


@pytest.mark.parametrize("plain", [None, 0, 1])
async def test_of_several_calls_each_answer_is_opened_and_a_plain_one_is_not_believed(plain):
    replies = [PERSON if nth == plain else NESTED.encode() for nth in range(2)]
    async with peer(lambda _: (200, replies.pop(0))) as served, line("", TOLD, served, operations=SEVERAL) as opened:
        answer = await opened.ask("ask", dict(VALUES), 5.0)
    if plain is None:
        assert answer.fields == {"said": "ok", "first": "ok"}
    else:
        assert (answer.kind, answer.fields, len(served.asked)) == ("bad_reply", None, plain + 1)


async def test_a_line_without_the_keys_does_not_open():
    async with peer() as served:
        with pytest.raises(BadManifest, match="secret 'decrypt_key'"):
            async with line("", {}, served, operations=WHOLE):
                pass


def json_only(text):
    """Drop the operations that have no JSON request."""
    head, *operations = text.split("\n[[operations]]")
    kept = [part for part in operations if 'request_codec = "json"' in part]
    return "\n[[operations]]".join([head, *kept])


async def test_a_member_is_sealed_and_opened_and_nothing_beside_it_is_believed():
    private, iv = bytes.fromhex(SM4_KEY), bytes.fromhex(SM4["sm4_iv"])
    text = base64.b64encode(gmssl_pyx.sm4_cbc_padding_encrypt(private, iv, PERSON)).decode()
    replies = [
        {"code": "200", "said": "forged", "data": {"text": text}},
        {"code": "200", "said": "forged", "data": {"text": None}},
        {"code": "200", "said": "forged"},
        {"code": "404", "msg": "nobody", "data": None},
        {"code": "200", "data": {"text": "AAAA"}},
    ]
    async with (
        peer(lambda _: (200, replies.pop(0))) as served,
        line("", SM4, served, operations=json_only(MEMBER)) as opened,
    ):
        answers = [await opened.ask("ask", dict(VALUES), 5.0) for _ in range(5)]
    assert [answer.kind for answer in answers] == ["ok", "bad_reply", "bad_reply", "not_found", "bad_reply"]
    assert answers[0].fields == {"said": "ok"}
    assert answers[3].reason == "nobody"
    sent = base64.b64decode(served.asked[0].json["text"])
    assert json.loads(gmssl_pyx.sm4_cbc_padding_decrypt(private, iv, sent))["name"] == "林晓舟"
    assert set(served.asked[0].json) == {"text"}


async def test_a_manifest_that_is_only_looked_at_needs_no_keys_and_reads_nothing():
    prepared = prepare(manifest("", operations=WHOLE))["ask"]
    reply = Reply(200, [], NESTED.encode(), reused=False, connect_s=0, started=0, written=0, first_byte=0, ended=0)
    answer = prepared.answer(reply, None)
    assert answer.kind == "bad_reply"
    assert "no keys are told" in answer.reason
