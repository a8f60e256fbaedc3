"""Verbs of certificates: issue in the transaction that decides a case, show to the holder, check for anyone."""

import base64
import hmac
from datetime import datetime
from typing import Any

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from onestop.basis.models import About, Release
from onestop.basis.service import Basis
from onestop.certificates import store
from onestop.certificates.errors import CertificateUnknown
from onestop.certificates.models import (
    CertificateRow,
    CertificateView,
    CheckCertificate,
    CheckResult,
    Completion,
    Held,
)
from onestop.clock import CHINA
from onestop.crypto import Keys, is_hash
from onestop.db import Connection, Db, Pool
from onestop.identity.service_keys import SigningKeys
from onestop.identity.sm2_tokens import Sm2SigningKey, sm2_verifies
from onestop.ids import new_id
from onestop.suites import INTL
from onestop.texts import Language, text

COMPLETION = "completion"
_TYPE = "certificate+jws"
_held_out = msgspec.json.Encoder()
_held_in = msgspec.json.Decoder(Held)


class Issuer:
    """Signs certificates with a key of this installation's own, ES256, Ed25519 or SM2; its public half is published."""

    def __init__(self, pool: Pool, keys: Keys, ed25519: bool = False) -> None:
        self.keys = keys
        # The JWS header names the algorithm, and so the suite: Ed25519 stands beside ES256 in `intl` alone.
        algorithm = "Ed25519" if ed25519 and keys.suite is INTL else keys.suite.signature
        self._signing = SigningKeys(pool, keys, "certificates", algorithm)

    async def load(self) -> None:
        """Read the key, making it at the first start."""
        await self._signing.load()

    def sign(self, body: dict[str, Any], kind: str = _TYPE) -> tuple[bytes, str]:
        """Return the bytes of the body and a JWS of that type over them with the payload left out."""
        header, payload, signature = self.token(body, kind).split(".")
        return _unpadded(payload), f"{header}..{signature}"

    def token(self, body: dict[str, Any], kind: str) -> str:
        """Return the body as a whole signed compact JWS of a type."""
        return self._signing.active.sign(body, kind)

    def opened(self, token: str, kind: str) -> dict[str, Any] | None:
        """Return the body of a token that one of this installation's published keys signed as of this type, or None."""
        return opened(token, kind, self._signing.jwks())

    def is_genuine(self, body: bytes, signature: str) -> bool:
        """Tell whether one of this installation's published keys signed these bytes."""
        header, _, rest = signature.partition("..")
        token = f"{header}.{_base64url(body)}.{rest}"
        return any(_verifies(token, key) for key in self._signing.jwks()["keys"])

    def jwks(self) -> dict[str, Any]:
        """Return the public keys certificates are checked with."""
        return self._signing.jwks()


def opened(token: str, kind: str, jwks: dict[str, Any]) -> dict[str, Any] | None:
    """Return the body of a compact JWS that one of the keys signed as of this type, or None; asks nobody.

    Nothing in the token chooses the key or the algorithm; a header with anything but the usual members is refused.
    """
    try:
        parts = [_canonical(part) for part in token.split(".")]
        header = _header.decode(parts[0])
    except (ValueError, msgspec.DecodeError, RecursionError):
        return None
    keys = [key for key in jwks["keys"] if (key["kid"], key["alg"]) == (header.kid, header.alg)]
    if len(parts) != 3 or header.typ != kind or not any(_verifies(token, key) for key in keys):
        return None
    body: dict[str, Any] = msgspec.json.decode(parts[1])
    return body


def _verifies(token: str, key: dict[str, Any]) -> bool:
    if key.get("alg") == Sm2SigningKey.algorithm:
        return sm2_verifies(token, key)
    kind = ECKey if key.get("alg") == "ES256" else OKPKey
    try:
        jws.deserialize_compact(token, kind.import_key(key), [key["alg"]])
    except (JoseError, ValueError):
        return False
    return True


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class _Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of a token of ours; one with more members is none."""

    alg: str
    kid: str
    typ: str


_header = msgspec.json.Decoder(_Header)


def _canonical(part: str) -> bytes:
    """Decode base64url that is the only spelling of its bytes; ValueError for any other."""
    data = _unpadded(part)
    if _base64url(data) != part:
        raise ValueError("another spelling")
    return data


def _unpadded(text_: str) -> bytes:
    return base64.urlsafe_b64decode(text_ + "=" * (-len(text_) % 4))


def body_context(certificate_id: str) -> str:
    """Return what a certificate is sealed for."""
    return f"certificates.body:{certificate_id}"


_CODE = "certificates.code"


def _coded(number: str, code: str) -> str:
    return f"{number}:{code.replace('-', '').upper()}"


async def issue(
    db: Connection, issuer: Issuer, region: str, completion: Completion, code: str, *, case_id: str, subject: str
) -> str | None:
    """Write the certificate of a decided case, in the deciding transaction; None where it has one already.

    `code` is eight characters that let whoever is given them check it.
    """
    body, signature = issuer.sign(msgspec.to_builtins(completion))
    certificate_id = new_id("cert")
    held = _held_out.encode(Held(body=body, code=code))
    new = await store.insert_certificate(
        db,
        region,
        certificate_id,
        completion.number,
        COMPLETION,
        case_id,
        subject,
        issuer.keys.seal(held, body_context(certificate_id)),
        issuer.keys.hash(body),
        issuer.keys.blind_index(_coded(completion.number, code), _CODE),
        signature,
    )
    return certificate_id if new else None


def _open(issuer: Issuer, row: CertificateRow) -> Held:
    return _held_in.decode(issuer.keys.unseal(row.body, body_context(row.id)))


async def show(db: Db, issuer: Issuer, basis: Basis, region: str, case_id: str, subject: str) -> CertificateView:
    """Return the completion certificate of one of the holder's own cases.

    Rule: R-130.

    Raises:
        CertificateUnknown: the case is not decided, or not the holder's.
        BasisMissing: there is no legal basis for showing it now.
    """
    await basis.check(About(subject=subject), _release("show", "holder"))
    row = await store.own_certificate(db, region, case_id, COMPLETION, subject)
    if row is None:
        raise CertificateUnknown(case_id)
    held = _open(issuer, row)
    return CertificateView(
        number=row.number,
        code=f"{held.code[:4]}-{held.code[4:]}",
        certificate=msgspec.json.decode(held.body),
        signature=row.signature,
        payload=_base64url(held.body),
        issued_at=row.issued_at,
        revoked_at=row.revoked_at,
        links={"case": f"/v1/cases/{case_id}", "check": "/v1/certificate-checks", "keys": "/v1/certificate-keys"},
    )


def _release(operation: str, consumer: str) -> Release:
    return Release(room="certificates", adapter="onestop", operation=operation, consumer=consumer)


async def check(
    db: Db, issuer: Issuer, basis: Basis, region: str, asked: CheckCertificate, lang: Language
) -> CheckResult:
    """Tell whether a certificate is genuine. An unknown number and a wrong code are told apart by nobody.

    Rule: R-130.

    Raises:
        BasisMissing: there is no legal basis for telling that of the holder now.
    """
    row = await store.by_number(db, region, asked.number)
    indices = issuer.keys.blind_indices(_coded(asked.number, asked.code), _CODE)
    if row is None or not any(hmac.compare_digest(row.code_index, index) for index in indices):
        return CheckResult(valid=False, says=text("certificates.not_valid", lang))
    body = _open(issuer, row).body
    genuine = is_hash(body, row.digest) and issuer.is_genuine(body, row.signature)
    if not genuine:
        return CheckResult(valid=False, says=text("certificates.not_valid", lang))
    await basis.check(About(subject=row.subject), _release("check", "public"))
    told = msgspec.json.decode(body, type=Completion)
    revoked = row.revoked_at is not None
    return CheckResult(
        valid=not revoked,
        says=text("certificates.revoked" if revoked else "certificates.valid", lang),
        kind=row.kind,
        item=told.item.en if lang == "en" else told.item.zh,
        outcome=told.outcome,
        issued_on=datetime.fromisoformat(told.issued_at).astimezone(CHINA).date().isoformat(),
        revoked=revoked,
    )
