"""SQL that finds challenges sealed with an older key, and writes them sealed anew; see `onestop.resealing`."""

SELECT_STALE_CHALLENGES = """
    SELECT ARRAY[id] AS key, reason, answer
      FROM use_challenges
     WHERE region = $1 AND id > ($2::text[])[1]
       AND (substring(reason FROM 1 FOR length($3::bytea)) <> $3 OR substring(answer FROM 1 FOR length($3)) <> $3)
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_CHALLENGES = """
    UPDATE use_challenges SET reason = n.reason, answer = n.answer
      FROM unnest($2::text[], $3::bytea[], $4::bytea[]) AS n (id, reason, answer)
     WHERE use_challenges.region = $1 AND use_challenges.id = n.id
"""
