"""SQL that finds certificates sealed with an older key, and writes them sealed anew; see `onestop.resealing`."""

SELECT_STALE_BODIES = """
    SELECT ARRAY[id] AS key, body
      FROM certificates
     WHERE region = $1 AND id > ($2::text[])[1] AND substring(body FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_BODIES = """
    UPDATE certificates SET body = n.body
      FROM unnest($2::text[], $3::bytea[]) AS n (id, body)
     WHERE certificates.region = $1 AND certificates.id = n.id
"""
