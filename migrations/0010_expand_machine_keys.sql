-- Machine keys: what a department's own systems present when they call us; only a hash is kept.

CREATE TABLE machine_keys (
    id           text PRIMARY KEY,
    department   text NOT NULL,
    environment  text NOT NULL CHECK (environment IN ('test', 'live')),
    label        text NOT NULL,
    key_hash     bytea NOT NULL UNIQUE,        -- SHA-256
    hint         text NOT NULL,                -- the last four characters
    made_by      text NOT NULL,
    made_at      timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX machine_keys_by_department ON machine_keys (department, id);
CREATE INDEX machine_keys_revoked ON machine_keys (revoked_at) WHERE revoked_at IS NOT NULL;
