"""SQL that finds subjects and signing keys sealed with an older key, and writes them sealed anew; see `resealing`."""

SELECT_STALE_SUBJECTS = """
    SELECT ARRAY[id] AS key, number_type, number, name
      FROM subjects
     WHERE region = $1 AND id > ($2::text[])[1]
       AND (substring(number FROM 1 FOR length($3::bytea)) <> $3 OR substring(name FROM 1 FOR length($3)) <> $3)
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_SUBJECTS = """
    UPDATE subjects SET number = n.number, name = n.name, number_index = n.number_index
      FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[]) AS n (id, number, name, number_index)
     WHERE subjects.region = $1 AND subjects.id = n.id
"""

# Signing keys belong to the installation, not to a region.
SELECT_STALE_KEYS = """
    SELECT ARRAY[kid] AS key, private_jwk
      FROM signing_keys
     WHERE $1::text IS NOT NULL AND kid > ($2::text[])[1]
       AND substring(private_jwk FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY kid
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_KEYS = """
    UPDATE signing_keys SET private_jwk = n.private_jwk
      FROM unnest($2::text[], $3::bytea[]) AS n (kid, private_jwk)
     WHERE $1::text IS NOT NULL AND signing_keys.kid = n.kid
"""
