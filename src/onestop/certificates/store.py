"""SQL of certificates."""

from onestop.certificates.models import CertificateRow
from onestop.db import Connection, Db, execute, one

INSERT_CERTIFICATE = """
    INSERT INTO certificates (region, id, number, kind, case_id, subject, body, digest, code_index, signature)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT DO NOTHING
"""


async def insert_certificate(
    db: Connection,
    region: str,
    id: str,
    number: str,
    kind: str,
    case_id: str,
    subject: str,
    body: bytes,
    digest: bytes,
    code_index: bytes,
    signature: str,
) -> bool:
    """Write a certificate; False where the case has one of this kind."""
    args = (region, id, number, kind, case_id, subject, body, digest, code_index, signature)
    return await execute(db, INSERT_CERTIFICATE, *args) == 1


SELECT_OWN_CERTIFICATE = """
    SELECT id, number, kind, case_id, subject, body, digest, code_index, signature, issued_at, revoked_at
      FROM certificates
     WHERE region = $1 AND case_id = $2 AND kind = $3 AND subject = $4
"""


async def own_certificate(db: Db, region: str, case_id: str, kind: str, subject: str) -> CertificateRow | None:
    """Read the certificate of one of a subject's own cases."""
    return await one(db, CertificateRow, SELECT_OWN_CERTIFICATE, region, case_id, kind, subject)


# Open to anyone who holds the number: what is answered is decided by the code.
SELECT_CERTIFICATE_BY_NUMBER = """
    SELECT id, number, kind, case_id, subject, body, digest, code_index, signature, issued_at, revoked_at
      FROM certificates
     WHERE region = $1 AND number = $2
"""


async def by_number(db: Db, region: str, number: str) -> CertificateRow | None:
    """Read a certificate by its number."""
    return await one(db, CertificateRow, SELECT_CERTIFICATE_BY_NUMBER, region, number)
