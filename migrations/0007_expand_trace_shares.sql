-- Why: a failing request is explained to people without an account here, such as a department's vendor, by a link.

CREATE TABLE trace_shares (
    region      text        NOT NULL,
    id          text        NOT NULL, -- shr_…
    token_hash  bytea       NOT NULL, -- SHA-256; the token itself is told once and kept nowhere
    trace_id    text        NOT NULL,
    made_by     text        NOT NULL, -- principal
    subject     text        NOT NULL, -- whose cases' parts, done by the worker, are shown with it
    principal   text,                 -- whose requests are shown; NULL: everybody's
    department  text,                 -- only this department's parts; NULL: all
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    PRIMARY KEY (region, id),
    UNIQUE (region, token_hash)
);
CREATE INDEX trace_shares_of_a_trace ON trace_shares (region, trace_id, id);
