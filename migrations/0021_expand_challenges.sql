-- A person disputes an entry of the ledger about them; the office that is accountable for it answers within a term.
SET LOCAL lock_timeout = '4s';

CREATE TABLE use_challenges (
    region      text NOT NULL,
    id          text NOT NULL,
    use_id      text NOT NULL,
    subject     text NOT NULL,
    department  text NOT NULL,            -- whose use of the data is disputed, and who answers
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'upheld', 'rejected')),
    reason      bytea NOT NULL,           -- sealed: the person's own words
    opened_at   timestamptz NOT NULL DEFAULT now(),
    due_on      date NOT NULL,
    answered_at timestamptz,
    answered_by text,
    answer      bytea,                    -- sealed: the office's words
    PRIMARY KEY (region, id),
    UNIQUE (region, use_id, department),  -- one use is disputed once
    CHECK ((state = 'open') = (answer IS NULL))
);
CREATE INDEX use_challenges_open ON use_challenges (region, department, due_on, id) WHERE state = 'open';
