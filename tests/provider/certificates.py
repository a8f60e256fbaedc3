"""Certificates that callers of tests show."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID


def certificate(name: str = "rs.example.cn", *, days: int = 1, ago: int = 0) -> x509.Certificate:
    """Make a certificate of that name, good for so many days, from so many days ago."""
    key = ec.generate_private_key(ec.SECP256R1())
    told = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    begins = datetime.now(UTC) - timedelta(days=ago, minutes=1)
    made = x509.CertificateBuilder(issuer_name=told, subject_name=told, public_key=key.public_key(), serial_number=7)
    return made.not_valid_before(begins).not_valid_after(begins + timedelta(days=days)).sign(key, hashes.SHA256())


def der(made: x509.Certificate) -> bytes:
    return made.public_bytes(Encoding.DER)


def pem(made: x509.Certificate) -> bytes:
    return made.public_bytes(Encoding.PEM)
