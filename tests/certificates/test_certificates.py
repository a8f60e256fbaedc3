"""Certificates: signed, shown to the holder, checked by number and code, telling nothing else."""

import base64

import msgspec
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from onestop.basis import purposes
from onestop.basis.service import Basis
from onestop.certificates import service
from onestop.certificates.errors import CertificateUnknown
from onestop.certificates.models import CheckCertificate, Completion, ComponentResult, Words
from onestop.crypto import Keys

pytestmark = pytest.mark.anyio
REGION = "990100"


@pytest.fixture
async def issuer(pool, keys):
    await pool.execute("TRUNCATE signing_keys")
    issuer = service.Issuer(pool, keys)
    await issuer.load()
    return issuer


def completion(number):
    return Completion(
        number=number,
        case_number="99010020260302000000170",
        item=Words("新生儿出生一件事", "Having a baby"),
        outcome="granted",
        holder="林**",
        issued_at="2026-03-09T10:00:00+00:00",
        region=REGION,
        components=[
            ComponentResult(
                code="register_birth",
                name=Words("出生登记", "Registration"),
                department=Words("公安局", "Police"),
                state="completed",
            )
        ],
    )


async def issue(pool, issuer, number, case_id, subject="sub_lin", code="K7M42Q9P"):
    async with pool.acquire() as db, db.transaction():
        return await service.issue(db, issuer, REGION, completion(number), code, case_id=case_id, subject=subject)


async def check(pool, issuer, number, code):
    return await service.check(
        pool, issuer, Basis(pool, REGION, purposes.load()), REGION, CheckCertificate(number=number, code=code), "zh"
    )


async def test_an_unknown_number_and_a_wrong_code_get_the_same_answer(pool, issuer):
    number = "9901002026030200000017011"
    await issue(pool, issuer, number, "case_1")
    wrong = await check(pool, issuer, number, "AAAA-AAAA")
    unknown = await check(pool, issuer, "9901002026030200000099011", "K7M4-2Q9P")
    assert wrong == unknown
    assert wrong.valid is False
    assert wrong.item is None


async def test_number_and_code_prove_a_certificate_and_nothing_personal_is_told(pool, issuer):
    number = "9901002026030200000018012"
    await issue(pool, issuer, number, "case_2")
    for code in ("K7M4-2Q9P", "k7m42q9p"):
        told = await check(pool, issuer, number, code)
        assert (told.valid, told.outcome, told.issued_on) == (True, "granted", "2026-03-09")
        assert "林" not in str(told)


async def test_an_altered_body_or_signature_is_not_genuine(pool, issuer, keys):
    number = "9901002026030200000019013"
    certificate_id = await issue(pool, issuer, number, "case_3")
    row = await pool.fetchrow("SELECT body, signature FROM certificates WHERE id = $1", certificate_id)
    held = service._open(issuer, await service.store.by_number(pool, REGION, number))
    forged = service.Held(body=held.body.replace(b"granted", b"denied!"), code=held.code)
    sealed = keys.seal(service._held_out.encode(forged), f"certificates.body:{certificate_id}")
    await pool.execute("UPDATE certificates SET body = $2 WHERE id = $1", certificate_id, sealed)
    assert (await check(pool, issuer, number, "K7M4-2Q9P")).valid is False
    await pool.execute(
        "UPDATE certificates SET body = $2, signature = 'e30..AAAA' WHERE id = $1", certificate_id, row["body"]
    )
    assert (await check(pool, issuer, number, "K7M4-2Q9P")).valid is False


async def test_a_revoked_certificate_is_told_as_revoked(pool, issuer):
    number = "9901002026030200000020014"
    await issue(pool, issuer, number, "case_4")
    await pool.execute("UPDATE certificates SET revoked_at = now() WHERE number = $1", number)
    told = await check(pool, issuer, number, "K7M4-2Q9P")
    assert (told.valid, told.revoked) == (False, True)


async def test_a_case_has_one_certificate_and_only_its_holder_sees_it(pool, issuer):
    number = "9901002026030200000021015"
    assert await issue(pool, issuer, number, "case_5") is not None
    assert await issue(pool, issuer, "9901002026030200000022016", "case_5") is None
    assert (
        await service.show(pool, issuer, Basis(pool, REGION, purposes.load()), REGION, "case_5", "sub_lin")
    ).number == number
    with pytest.raises(CertificateUnknown):
        await service.show(pool, issuer, Basis(pool, REGION, purposes.load()), REGION, "case_5", "sub_chen")


async def test_anyone_with_the_public_key_can_check_the_signature_without_onestop(pool, issuer):
    await issue(pool, issuer, "9901002026030200000023017", "case_6")
    shown = await service.show(pool, issuer, Basis(pool, REGION, purposes.load()), REGION, "case_6", "sub_lin")
    header, signature = shown.signature.split("..")
    [public] = issuer.jwks()["keys"]
    assert "d" not in public
    told = jws.deserialize_compact(f"{header}.{shown.payload}.{signature}", ECKey.import_key(public), ["ES256"])
    assert told.payload == base64.urlsafe_b64decode(shown.payload + "=" * (-len(shown.payload) % 4))
    assert shown.certificate["holder"] == "林**"


async def test_a_certificate_of_the_other_suite_is_genuine_and_an_altered_one_is_not(pool, issuer, keys, tmp_path):
    number = "9901002026030200000024018"
    await issue(pool, issuer, number, "case_7")
    sm = service.Issuer(pool, Keys(keys._folder, "sm"))
    await sm.load()
    other = "9901002026030200000025019"
    certificate_id = await issue(pool, sm, other, "case_8")
    row = await pool.fetchrow("SELECT signature, digest FROM certificates WHERE id = $1", certificate_id)
    header, signature = row["signature"].split("..")
    assert msgspec.json.decode(base64.urlsafe_b64decode(header + "=="))["alg"] == "SGD_SM3_SM2"
    assert row["digest"][0] == 2
    for asked in (number, other):
        assert (await check(pool, sm, asked, "K7M4-2Q9P")).valid
    forged = signature[:-8] + ("A" * 8 if signature[-8:] != "A" * 8 else "B" * 8)
    await pool.execute("UPDATE certificates SET signature = $2 WHERE id = $1", certificate_id, f"{header}..{forged}")
    assert not (await check(pool, sm, other, "K7M4-2Q9P")).valid
    assert all("d" not in key for key in sm.jwks()["keys"])


async def test_a_token_is_opened_as_of_its_type_only_and_under_either_suite(pool, issuer, keys):
    sm = service.Issuer(pool, Keys(keys._folder, "sm"))
    old = issuer.token({"a": 1}, "licence-show+jws")
    await sm.load()
    new = sm.token({"a": 2}, "licence-show+jws")
    assert msgspec.json.decode(base64.urlsafe_b64decode(new.split(".")[0] + "=="))["alg"] == "SGD_SM3_SM2"
    for token, body in ((old, {"a": 1}), (new, {"a": 2})):
        assert sm.opened(token, "licence-show+jws") == body
        assert sm.opened(token, "licence+jws") is None
        head, payload, signature = token.split(".")
        assert sm.opened(f"{head}.{payload}A.{signature}", "licence-show+jws") is None
        assert sm.opened(f"{head}.{payload}.{signature[:-8]}AAAAAAAA", "licence-show+jws") is None


async def test_certificates_of_es256_and_ed25519_are_genuine_side_by_side_and_by_their_own_algorithm_alone(
    pool, issuer, keys
):
    number, other = "9901002026030200000026017", "9901002026030200000027018"
    await issue(pool, issuer, number, "case_9")
    newer = service.Issuer(pool, keys, ed25519=True)
    await newer.load()
    certificate_id = await issue(pool, newer, other, "case_10")
    signature = await pool.fetchval("SELECT signature FROM certificates WHERE id = $1", certificate_id)
    header, _, rest = signature.partition("..")
    told = msgspec.json.decode(base64.urlsafe_b64decode(header + "=="))
    published = {key["kid"]: key for key in newer.jwks()["keys"]}
    assert (told["alg"], published[told["kid"]]["crv"]) == ("Ed25519", "Ed25519")
    assert {key["alg"] for key in published.values()} >= {"ES256", "Ed25519"}
    assert all("d" not in key for key in published.values())
    for asked in (number, other):
        assert (await check(pool, newer, asked, "K7M4-2Q9P")).valid
    # A header that names the other algorithm over the same key's signature counts for nothing.
    lying = base64.urlsafe_b64encode(msgspec.json.encode({**told, "alg": "ES256"})).rstrip(b"=").decode()
    for bad in (f"{lying}..{rest}", f"{header}..{rest[:-8]}{'A' * 8}"):
        await pool.execute("UPDATE certificates SET signature = $2 WHERE id = $1", certificate_id, bad)
        assert not (await check(pool, newer, other, "K7M4-2Q9P")).valid
    await issuer.load()  # back to ES256: both stay
    await pool.execute("UPDATE certificates SET signature = $2 WHERE id = $1", certificate_id, signature)
    for asked in (number, other):
        assert (await check(pool, issuer, asked, "K7M4-2Q9P")).valid
