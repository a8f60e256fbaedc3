"""SQL that finds keys of anchors sealed under an older root key, and seals them anew; see `onestop.resealing`."""

SELECT_STALE_KEYS = """
    SELECT ARRAY[kid] AS key, sealed
      FROM audit_keys
     WHERE region = $1 AND kid > ($2::text[])[1] AND substring(sealed FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY kid
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_KEYS = """
    UPDATE audit_keys SET sealed = n.sealed
      FROM unnest($2::text[], $3::bytea[]) AS n (kid, sealed)
     WHERE audit_keys.region = $1 AND audit_keys.kid = n.kid
"""
