-- The frame: what a request leaves behind whatever room it goes to: its key, its audit entry, whose data it read, its trace.

-- Safe repetition: the key commits together with what it made, and is kept as long.
CREATE TABLE idempotency_keys (
    region     text NOT NULL,
    principal  text NOT NULL,              -- session subject and role; keys of two people never meet
    route      text NOT NULL,              -- method and path
    key        text NOT NULL,
    body_hash  bytea NOT NULL,             -- SHA-256 of the body as it came
    status     smallint NOT NULL,
    reply      bytea NOT NULL,             -- the sealed body of the answer, replayed as it was
    headers    jsonb NOT NULL DEFAULT '{}',
    made_id    text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, principal, route, key)
);

-- Who did what. Append-only by grant and by habit: no statement of onestop updates or deletes here.
CREATE TABLE audit_entries (
    region    text NOT NULL,
    id        text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    actor     text NOT NULL,
    subject   text,
    action    text NOT NULL,
    object    text,
    trace_id  text,
    detail    jsonb NOT NULL DEFAULT '{}', -- never personal data
    PRIMARY KEY (region, id)
);
CREATE INDEX audit_entries_by_object ON audit_entries (region, object, id);

-- Whose data was read, by whom, why: one row a request, one element of `uses` a department.
CREATE TABLE data_uses (
    region    text NOT NULL,
    id        text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    subject   text NOT NULL,
    actor     text NOT NULL,
    object    text,                        -- the case it was read for, where there is one
    trace_id  text,
    uses      jsonb NOT NULL,              -- [{adapter, operation, version, outcome, purpose, basis}]
    PRIMARY KEY (region, id)
);
CREATE INDEX data_uses_by_subject ON data_uses (region, subject, id);

-- Why a request went as it did: the chain of decisions and the waterfall, without personal data, kept for days.
CREATE TABLE traces (
    region    text NOT NULL,
    trace_id  text NOT NULL,
    id        text NOT NULL,
    at        timestamptz NOT NULL DEFAULT now(),
    principal text,
    route     text NOT NULL,
    outcome   text NOT NULL,
    took_ms   double precision NOT NULL,
    records   jsonb NOT NULL,
    PRIMARY KEY (region, trace_id, id)
);
CREATE INDEX traces_by_age ON traces USING brin (at);

-- What one installation knows of itself: the sandbox's clock among it.
CREATE TABLE installation (
    name       text PRIMARY KEY,
    value      jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- Official case numbers are handed out in blocks, so that a case costs no extra statement.
CREATE SEQUENCE case_serials INCREMENT BY 1000;
