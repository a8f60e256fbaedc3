"""SQL that finds what of a case is sealed with an older key, and writes it sealed anew; see `onestop.resealing`."""

SELECT_STALE_ANSWERS = """
    SELECT ARRAY[id] AS key, answers
      FROM cases
     WHERE region = $1 AND id > ($2::text[])[1] AND substring(answers FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_ANSWERS = """
    UPDATE cases SET answers = n.answers
      FROM unnest($2::text[], $3::bytea[]) AS n (id, answers)
     WHERE cases.region = $1 AND cases.id = n.id
"""

SELECT_STALE_RESULTS = """
    SELECT ARRAY[case_id, code] AS key, result
      FROM case_steps
     WHERE region = $1 AND (case_id, code) > (($2::text[])[1], ($2::text[])[2])
       AND substring(result FROM 1 FOR length($3::bytea)) <> $3
     ORDER BY case_id, code
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_RESULTS = """
    UPDATE case_steps SET result = n.result
      FROM unnest($2::text[], $3::text[], $4::bytea[]) AS n (case_id, code, result)
     WHERE case_steps.region = $1 AND case_steps.case_id = n.case_id AND case_steps.code = n.code
"""

SELECT_STALE_DOUBTS = """
    SELECT ARRAY[id] AS key, said, answer
      FROM record_doubts
     WHERE region = $1 AND id > ($2::text[])[1]
       AND (substring(said FROM 1 FOR length($3::bytea)) <> $3 OR substring(answer FROM 1 FOR length($3)) <> $3)
     ORDER BY id
     LIMIT $4
       FOR UPDATE SKIP LOCKED
"""

UPDATE_SEALED_DOUBTS = """
    UPDATE record_doubts SET said = n.said, answer = n.answer
      FROM unnest($2::text[], $3::bytea[], $4::bytea[]) AS n (id, said, answer)
     WHERE record_doubts.region = $1 AND record_doubts.id = n.id
"""
