"""SQL of notices: a constant and the one function that runs it."""

from onestop.db import Connection, Db, execute

INSERT_NOTICES = """
    INSERT INTO client_notices (region, subject_id, client, purpose, version)
    SELECT $1, $2, $3, purpose, version FROM unnest($4::text[], $5::text[]) AS shown (purpose, version) LIMIT 20
    ON CONFLICT DO NOTHING
"""


async def insert_notices(
    db: Connection, region: str, subject_id: str, client: str, purposes: list[str], versions: list[str]
) -> int:
    """Write which purposes, in which words, somebody was shown; return how many were new."""
    return await execute(db, INSERT_NOTICES, region, subject_id, client, purposes, versions)


COUNT_NOTICES = """
    SELECT count(*) FROM client_notices
     WHERE region = $1 AND subject_id = $2 AND client = $3
       AND (purpose, version) IN (SELECT * FROM unnest($4::text[], $5::text[]))
"""


async def count_notices(
    db: Db, region: str, subject_id: str, client: str, purposes: list[str], versions: list[str]
) -> int:
    """Count which of these somebody was shown before."""
    found: int = await db.fetchval(COUNT_NOTICES, region, subject_id, client, purposes, versions)
    return found
