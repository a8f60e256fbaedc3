"""SQL that finds effects and secrets sealed with an older key, and writes them sealed anew; see `onestop.resealing`."""

SELECT_STALE_EFFECTS = """
    SELECT ARRAY[id] AS key, payload, result, progress
      FROM effects
     WHERE region = $1 AND id > ($2::text[])[1]
       AND (substring(payload FROM 1 FOR length($3::bytea)) <> $3
            OR substring(result FROM 1 FOR length($3)) <> $3 OR substring(progress FROM 1 FOR length($3)) <> $3)
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_EFFECTS = """
    UPDATE effects SET payload = n.payload, result = n.result, progress = n.progress
      FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[]) AS n (id, payload, result, progress)
     WHERE effects.region = $1 AND effects.id = n.id
"""

# Secrets belong to the installation, not to a region.
SELECT_STALE_SECRETS = """
    SELECT ARRAY[adapter, environment, id] AS key, value
      FROM adapter_secrets
     WHERE $1::text IS NOT NULL
       AND (adapter, environment, id) > (($2::text[])[1], ($2::text[])[2], ($2::text[])[3])
       AND substring(value FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY adapter, environment, id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_SECRETS = """
    UPDATE adapter_secrets SET value = n.value
      FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[]) AS n (adapter, environment, id, value)
     WHERE $1::text IS NOT NULL AND adapter_secrets.adapter = n.adapter
       AND adapter_secrets.environment = n.environment AND adapter_secrets.id = n.id
"""
