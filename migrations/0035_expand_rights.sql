-- What a person may ask of what is held of them: erasing it all by two people's word; and what the retention round did.
SET LOCAL lock_timeout = '4s';

-- Null: not erased. Of an erased subject no key, number, name or index is left; its id stands in the sealed ledger.
ALTER TABLE subjects ADD COLUMN erased_at timestamptz;

CREATE TABLE erasures (
    region      text NOT NULL,
    id          text NOT NULL,
    subject     text NOT NULL,
    state       text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'done')),
    asked_at    timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    done_at     timestamptz,
    PRIMARY KEY (region, id),
    UNIQUE (region, subject),
    CHECK ((state = 'done') = (done_at IS NOT NULL AND approved_by IS NOT NULL))
);

CREATE TABLE retention_runs (
    region  text NOT NULL,
    id      text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    class   text NOT NULL,
    days    int NOT NULL,
    deleted int NOT NULL,
    PRIMARY KEY (region, id)
);
CREATE INDEX sessions_ended ON sessions (region, expires_at);
CREATE INDEX completions_by_subject ON completions (region, subject);
CREATE INDEX cases_drafts ON cases (region, opened_at) WHERE state = 'draft';
CREATE INDEX cases_ended ON cases (region, coalesce(decided_at, submitted_at, opened_at))
    WHERE state IN ('decided', 'withdrawn');
