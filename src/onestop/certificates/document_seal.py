"""The seal on documents: PAdES (ETSI EN 319 142, baseline B) with a key of this installation's own, by pyHanko.

The key is ES256 whatever the suite, since PAdES knows no SM2. Its certificate is made of the key alone, the same in
every process: self-signed, published, to be trusted by who takes documents; an installation for real people has one
from a licensed authority instead.
"""

import hashlib
import io
from datetime import UTC, datetime
from typing import Final

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from joserfc.jwk import ECKey

from onestop.crypto import Keys
from onestop.db import Pool
from onestop.identity.service_keys import SigningKeys

FIELD: Final = "Seal"
_FROM, _TO = datetime(2025, 1, 1, tzinfo=UTC), datetime(2055, 1, 1, tzinfo=UTC)


class DocumentSeal:
    """Seals PDF documents."""

    def __init__(self, pool: Pool, keys: Keys, region: str) -> None:
        self._signing = SigningKeys(pool, keys, "documents")
        self._region = region
        self._certificate: x509.Certificate | None = None
        self._key = b""  # PKCS #8, DER

    async def load(self) -> None:
        """Read the key, making it at the first start, and make its certificate."""
        await self._signing.load()
        self._key = _private(self._signing)
        self._certificate = _certificate(self._key, self._signing.active.kid, self._region)

    @property
    def certificate(self) -> x509.Certificate:
        """Return the certificate that documents are checked with."""
        assert self._certificate is not None
        return self._certificate

    def pem(self) -> str:
        """Return the certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def seal(self, pdf: bytes, reason: str) -> bytes:
        """Return the document with a certifying signature over all of it; takes some 50 ms of CPU, asks no network."""
        from asn1crypto import keys as asn1_keys
        from asn1crypto import x509 as asn1_x509
        from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
        from pyhanko.sign.fields import MDPPerm, SigSeedSubFilter
        from pyhanko.sign.signers import PdfSignatureMetadata, PdfSigner, SimpleSigner
        from pyhanko_certvalidator.registry import SimpleCertificateStore

        told = self.certificate.public_bytes(serialization.Encoding.DER)
        signer = SimpleSigner(
            signing_cert=asn1_x509.Certificate.load(told),
            signing_key=asn1_keys.PrivateKeyInfo.load(self._key),
            cert_registry=SimpleCertificateStore(),  # type: ignore[no-untyped-call]  # it has no types
        )
        meta = PdfSignatureMetadata(
            field_name=FIELD,
            md_algorithm="sha256",
            subfilter=SigSeedSubFilter.PADES,
            reason=reason,
            certify=True,
            docmdp_permissions=MDPPerm.NO_CHANGES,
        )
        out = PdfSigner(meta, signer).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)))
        return bytes(out.getvalue())


def _private(signing: SigningKeys) -> bytes:
    """Return the private key as PKCS #8."""
    key = ECKey.import_key(msgspec.json.decode(signing.active.private_bytes()))
    return bytes(key.as_der(private=True))


def _certificate(key: bytes, kid: str, region: str) -> x509.Certificate:
    """Make the certificate of a key; the same key gives the same bytes (RFC 6979)."""
    private = serialization.load_der_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"onestop {region} document seal")])
    usage = x509.KeyUsage(
        digital_signature=True, content_commitment=True, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=False, crl_sign=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(int.from_bytes(hashlib.sha256(kid.encode()).digest()[:15]))
        .not_valid_before(_FROM)
        .not_valid_after(_TO)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256(), ecdsa_deterministic=True)
    )
