"""SQL that finds certificates and licences sealed with an older key, and seals them anew; see `onestop.resealing`."""

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

SELECT_STALE_SNAPSHOTS = """
    SELECT ARRAY[id] AS key, body
      FROM licences
     WHERE region = $1 AND id > ($2::text[])[1] AND substring(body FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_SNAPSHOTS = """
    UPDATE licences SET body = n.body
      FROM unnest($2::text[], $3::bytea[]) AS n (id, body)
     WHERE licences.region = $1 AND licences.id = n.id
"""

SELECT_STALE_COPIES = """
    SELECT ARRAY[id] AS key, about
      FROM licence_copies
     WHERE region = $1 AND id > ($2::text[])[1] AND substring(about FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_COPIES = """
    UPDATE licence_copies SET about = n.about
      FROM unnest($2::text[], $3::bytea[]) AS n (id, about)
     WHERE licence_copies.region = $1 AND licence_copies.id = n.id
"""
