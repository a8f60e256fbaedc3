-- What each department itself calls a subject: told by its answers, sealed under the subject's data key.
SET LOCAL lock_timeout = '4s';

CREATE TABLE subject_department_ids (
    region     text NOT NULL,
    subject_id text NOT NULL,
    department text NOT NULL,                 -- the adapter that told it
    value      bytea NOT NULL,                -- sealed
    learnt_at  timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz,                   -- when the department last called the subject something else
    PRIMARY KEY (region, subject_id, department)
);
