"""SQL of logout notices: a constant and the one function that runs it."""

import msgspec

from onestop.db import Connection, Db, execute, many


class DueNotice(msgspec.Struct, frozen=True, kw_only=True):
    """A notice that is to be sent now; `backchannel_logout` None: its client takes none any more."""

    client: str
    session_id: str
    subject_id: str
    sector: str
    backchannel_logout: str | None
    attempts: int
    over: bool  # whether this was its last attempt


# Sessions that end by themselves are not told of: nobody signed out, and the site's own session has its own end.
WRITE_NOTICES = """
    WITH ended AS (
        UPDATE client_grants SET told = true, ended_at = coalesce(ended_at, now()), why = coalesce(why, 'signed_out')
         WHERE region = $1 AND id IN (
               SELECT g.id FROM sessions AS s
                 JOIN client_grants AS g ON g.region = s.region AND g.session_id = s.id
                WHERE s.region = $1 AND s.revoked_at > now() - interval '1 day' AND NOT g.told
                LIMIT 1000)
        RETURNING client, session_id, subject_id)
    INSERT INTO logout_notices (region, client, session_id, subject_id)
    SELECT DISTINCT $1, e.client, e.session_id, e.subject_id
      FROM ended AS e JOIN clients AS c ON c.id = e.client
     WHERE c.backchannel_logout IS NOT NULL AND c.revoked_at IS NULL
    ON CONFLICT (region, client, session_id) DO NOTHING
"""


async def write_notices(db: Connection, region: str) -> int:
    """Owe each client with an address for it that somebody signed out; once for a client and a session."""
    return await execute(db, WRITE_NOTICES, region)


# Taken by moving its next time on: a worker that dies in between has lost nothing but that time.
CLAIM_NOTICES = """
    UPDATE logout_notices AS n
       SET attempts = n.attempts + 1, next_at = now() + least(5 * 2 ^ n.attempts, 3600) * interval '1 s'
      FROM clients AS c
     WHERE n.region = $1 AND c.id = n.client AND n.state = 'due' AND (n.client, n.session_id) IN (
           SELECT client, session_id FROM logout_notices
            WHERE region = $1 AND state = 'due' AND next_at <= now()
            ORDER BY next_at LIMIT 50 FOR UPDATE SKIP LOCKED)
    RETURNING n.client, n.session_id, n.subject_id, c.sector, n.attempts,
              CASE WHEN c.revoked_at IS NULL THEN c.backchannel_logout END AS backchannel_logout,
              n.made_at < now() - interval '1 day' AS over
"""


async def claim_notices(db: Db, region: str) -> list[DueNotice]:
    """Take up to 50 notices whose time has come; each comes again, later and later, until it is settled."""
    return await many(db, DueNotice, CLAIM_NOTICES, region)


SETTLE_NOTICE = """
    UPDATE logout_notices SET state = $4, settled_at = now()
     WHERE region = $1 AND client = $2 AND session_id = $3 AND state = 'due'
"""


async def settle_notice(db: Db, region: str, client: str, session_id: str, state: str) -> None:
    """Say that a notice was taken, or is given up."""
    await execute(db, SETTLE_NOTICE, region, client, session_id, state)
