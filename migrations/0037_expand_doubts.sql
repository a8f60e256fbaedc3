-- A person says that what a department gave for their form is wrong: the department verifies it within a term (疑义校核).
SET LOCAL lock_timeout = '4s';

CREATE TABLE record_doubts (
    region      text NOT NULL,
    id          text NOT NULL,
    subject     text NOT NULL,
    case_id     text NOT NULL,
    field       text NOT NULL,
    department  text NOT NULL,            -- who gave the value, and verifies it
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'corrected', 'confirmed', 'refused')),
    said        bytea NOT NULL,           -- sealed: what is wrong, in the person's words
    opened_at   timestamptz NOT NULL DEFAULT now(),
    due_on      date NOT NULL,
    answered_at timestamptz,
    answered_by text,
    answer      bytea,                    -- sealed: the department's words
    PRIMARY KEY (region, id),
    CHECK ((state = 'open') = (answer IS NULL))
);
-- One open doubt about one value.
CREATE UNIQUE INDEX record_doubts_open ON record_doubts (region, case_id, field) WHERE state = 'open';
CREATE INDEX record_doubts_of_department ON record_doubts (region, department, id) WHERE state = 'open';
CREATE INDEX record_doubts_of_subject ON record_doubts (region, subject, id);
