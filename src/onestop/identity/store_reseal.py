"""SQL that finds subjects and signing keys sealed with an older key, and writes them sealed anew; see `resealing`."""

# Under a data key a seal begins with the suite alone, which is the header's lower seven bits.
SELECT_STALE_SUBJECTS = """
    SELECT ARRAY[id] AS key, region, number_type, number, name, data_key
      FROM subjects
     WHERE region = $1 AND id > ($2::text[])[1] AND erased_at IS NULL
       AND (data_key IS NULL OR substring(data_key FROM 1 FOR length($3::bytea)) <> $3
            OR get_byte(number, 0) <> get_byte($3, 0) & 127 OR get_byte(name, 0) <> get_byte($3, 0) & 127)
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_SUBJECTS = """
    UPDATE subjects SET number = n.number, name = n.name, number_index = n.number_index, data_key = n.data_key
      FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::bytea[])
           AS n (id, number, name, number_index, data_key)
     WHERE subjects.region = $1 AND subjects.id = n.id
"""

SELECT_STALE_DEPARTMENT_IDS = """
    SELECT ARRAY[d.subject_id, d.department] AS key, d.region, d.value, s.data_key
      FROM subject_department_ids d JOIN subjects s ON s.region = d.region AND s.id = d.subject_id
     WHERE d.region = $1 AND (d.subject_id, d.department) > (($2::text[])[1], ($2::text[])[2])
       AND get_byte(d.value, 0) <> get_byte($3::bytea, 0) & 127
     ORDER BY d.subject_id, d.department
     LIMIT $4
       FOR UPDATE OF d SKIP LOCKED
"""

UPDATE_SEALED_DEPARTMENT_IDS = """
    UPDATE subject_department_ids AS d SET value = n.value
      FROM unnest($2::text[], $3::text[], $4::bytea[]) AS n (subject_id, department, value)
     WHERE d.region = $1 AND d.subject_id = n.subject_id AND d.department = n.department
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
