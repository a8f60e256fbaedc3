-- The life of adapters: versions with their states, runs, places, secrets, windows, agreements, templates, notices.
-- None of it grows with citizens, so none carries a region: these are reference tables, small, and read into memory.

CREATE TABLE adapters (
    id              text PRIMARY KEY,
    owner           text NOT NULL,             -- the department, as sessions name it
    department_code text NOT NULL,             -- its unified social credit code; no version may change it
    portal          text NOT NULL DEFAULT 'open' CHECK (portal IN ('open', 'agreed')),
    approves        text NOT NULL DEFAULT 'owner' CHECK (approves IN ('owner', 'automatic')),
    automatic_per_day integer,                 -- what may be agreed without anybody's look
    created_by      text NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE adapter_versions (
    adapter     text NOT NULL REFERENCES adapters (id),
    version     text NOT NULL,
    state       text NOT NULL DEFAULT 'draft'
                CHECK (state IN ('draft', 'testing', 'approved', 'trial', 'live', 'deprecated', 'quarantined', 'retired')),
    manifest    bytea NOT NULL,                -- the TOML as it came
    digest      bytea NOT NULL,                -- SHA-256 of it
    signature   text,                          -- detached JWS over the manifest
    made_by     text NOT NULL,
    made_at     timestamptz NOT NULL DEFAULT now(),
    approved_by text,
    subjects    bytea[] NOT NULL DEFAULT '{}', -- blind indices of the people a trial serves
    template    text,
    template_version integer,
    template_values jsonb,
    revision    bigint NOT NULL DEFAULT 1,     -- counts every change; the entity tag
    state_at    timestamptz NOT NULL DEFAULT now(),
    live_until  timestamptz,                   -- when it was last live, where it is not now
    PRIMARY KEY (adapter, version)
);
CREATE UNIQUE INDEX adapter_versions_one_live ON adapter_versions (adapter) WHERE state = 'live';
CREATE UNIQUE INDEX adapter_versions_one_trial ON adapter_versions (adapter) WHERE state = 'trial';
CREATE INDEX adapter_versions_served ON adapter_versions (state)
 WHERE state IN ('trial', 'live', 'deprecated', 'quarantined');

-- Append-only by habit, as the audit is.
CREATE TABLE adapter_moves (
    id         text PRIMARY KEY,
    adapter    text NOT NULL,
    version    text NOT NULL,
    move       text NOT NULL,
    from_state text,
    to_state   text NOT NULL,
    digest     bytea NOT NULL,                 -- of the manifest that was moved
    by_whom    text NOT NULL,
    by_role    text NOT NULL,
    why        text NOT NULL DEFAULT '',
    at         timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX adapter_moves_by_version ON adapter_moves (adapter, version, id);

CREATE TABLE conformance_runs (
    id      text PRIMARY KEY,
    adapter text NOT NULL,
    version text NOT NULL,
    digest  bytea NOT NULL,
    against text NOT NULL CHECK (against IN ('sandbox', 'live')),
    passed  boolean NOT NULL,
    report  jsonb NOT NULL,
    at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX conformance_runs_by_digest ON conformance_runs (adapter, digest, against, id);

-- What the owner has to know; a fault that many processes meet is told once a day.
CREATE TABLE adapter_notices (
    id      text PRIMARY KEY,
    adapter text NOT NULL,
    version text,
    kind    text NOT NULL,
    params  jsonb NOT NULL DEFAULT '{}',
    at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX adapter_notices_by_adapter ON adapter_notices (adapter, at, id);

CREATE TABLE adapter_places (
    adapter     text NOT NULL,
    environment text NOT NULL CHECK (environment IN ('sandbox', 'live')),
    url         text NOT NULL,
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (adapter, environment)
);

CREATE TABLE adapter_secrets (
    adapter     text NOT NULL,
    environment text NOT NULL CHECK (environment IN ('sandbox', 'live')),
    id          text NOT NULL,
    name        text NOT NULL,
    value       bytea NOT NULL,                -- sealed
    fingerprint text NOT NULL,
    not_before  timestamptz NOT NULL,          -- from when we sign with it; it is believed before that
    not_after   timestamptz,                   -- told, or the certificate's own
    certificate boolean NOT NULL DEFAULT false,
    set_by      text NOT NULL,
    set_at      timestamptz NOT NULL DEFAULT now(),
    removed_at  timestamptz,
    PRIMARY KEY (adapter, environment, id)
);

-- The keys departments sign their manifests with: public halves.
CREATE TABLE department_keys (
    department text NOT NULL,
    kid        text NOT NULL,
    public_jwk jsonb NOT NULL,
    set_by     text NOT NULL,
    set_at     timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    PRIMARY KEY (department, kid)
);

CREATE TABLE maintenance_windows (
    id      text PRIMARY KEY,
    adapter text NOT NULL,
    begins  timestamptz NOT NULL,
    ends    timestamptz NOT NULL,
    note_zh text NOT NULL DEFAULT '',
    note_en text NOT NULL DEFAULT '',
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    CHECK (ends > begins)
);
CREATE INDEX maintenance_windows_by_adapter ON maintenance_windows (adapter, ends);

CREATE TABLE agreements (
    id         text PRIMARY KEY,
    adapter    text NOT NULL,
    consumer   text NOT NULL,                  -- an item's code, `overview`, or department:<id>
    operation  text NOT NULL,                  -- an operation's id, or * for all
    purpose_zh text NOT NULL,
    purpose_en text NOT NULL,
    per_day    integer,
    per_second double precision,
    begins     timestamptz NOT NULL,
    ends       timestamptz,
    state      text NOT NULL CHECK (state IN ('proposed', 'active', 'refused', 'ended')),
    asked_by   text NOT NULL,
    asked_at   timestamptz NOT NULL DEFAULT now(),
    decided_by text,
    decided_at timestamptz,
    why        text NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX agreements_one_active ON agreements (adapter, consumer, operation) WHERE state = 'active';
CREATE INDEX agreements_by_adapter ON agreements (adapter, id);

CREATE TABLE quota_counts (
    agreement text NOT NULL,
    day       date NOT NULL,                   -- China Standard Time
    calls     bigint NOT NULL,
    PRIMARY KEY (agreement, day)
);

CREATE TABLE adapter_templates (
    name       text NOT NULL,
    version    integer NOT NULL,
    body       text NOT NULL,
    parameters jsonb NOT NULL,
    made_by    text NOT NULL,
    made_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);

-- One row: counts every change that a gateway must follow, so that looking costs one small read.
CREATE TABLE registry_mark (
    id     boolean PRIMARY KEY DEFAULT true CHECK (id),
    number bigint NOT NULL DEFAULT 0
);
INSERT INTO registry_mark (number) VALUES (0);
