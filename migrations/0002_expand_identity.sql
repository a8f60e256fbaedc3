-- Identity: who somebody is, how they came in, what keeps them in, and the keys that say so.

-- One row per (type, number) of a document; the number itself stands here only sealed.
CREATE TABLE subjects (
    region       text NOT NULL,
    id           text NOT NULL,
    kind         text NOT NULL CHECK (kind IN ('person', 'organisation', 'account')),
    number_type  text NOT NULL,
    number_index bytea NOT NULL,              -- blind index of type and number
    number       bytea NOT NULL,              -- sealed
    name         bytea NOT NULL,              -- sealed
    created_at   timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, id),
    UNIQUE (region, number_index)
);

-- What keeps somebody in: a browser's cookie (only its hash is here) or a signed bearer token (named by the row's id).
CREATE TABLE sessions (
    region      text NOT NULL,
    id          text NOT NULL,
    token_hash  bytea,                        -- SHA-256 of the cookie; null for a bearer
    subject_id  text NOT NULL,                -- whose affairs
    actor_id    text NOT NULL,                -- who acts; the same person unless a mandate says otherwise
    role        text NOT NULL CHECK (role IN ('citizen', 'clerk', 'department', 'governance', 'operator')),
    department  text,
    level       smallint NOT NULL CHECK (level BETWEEN 0 AND 3), -- real-name level 实名等级
    provider    text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('cookie', 'bearer')),
    id_token    bytea,                        -- sealed: shown to the provider again at sign-out
    created_at  timestamptz NOT NULL DEFAULT now(),
    seen_at     timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    revoked_at  timestamptz,
    PRIMARY KEY (region, id),
    UNIQUE (region, token_hash),
    CHECK ((kind = 'cookie') = (token_hash IS NOT NULL))
);
CREATE INDEX sessions_by_subject ON sessions (region, subject_id, id);
CREATE INDEX sessions_revoked ON sessions (region, revoked_at) WHERE revoked_at IS NOT NULL;

-- A sign-in under way: left by /auth/sign-in, taken once by /auth/callback, gone after ten minutes.
CREATE TABLE sign_in_flows (
    region       text NOT NULL,
    state_hash   bytea NOT NULL,              -- SHA-256 of the state parameter
    browser_hash bytea NOT NULL,              -- SHA-256 of the cookie of the browser that began it
    provider     text NOT NULL,
    secrets      bytea NOT NULL,              -- sealed: nonce, code verifier, way back
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz NOT NULL,
    PRIMARY KEY (region, state_hash)
);
CREATE INDEX sign_in_flows_by_expiry ON sign_in_flows (region, expires_at);

-- The keys this installation signs with: sealed, so that every instance with the root key shares them.
CREATE TABLE signing_keys (
    kid         text PRIMARY KEY,
    purpose     text NOT NULL,
    algorithm   text NOT NULL,
    public_jwk  jsonb NOT NULL,
    private_jwk bytea NOT NULL,               -- sealed
    created_at  timestamptz NOT NULL DEFAULT now(),
    retired_at  timestamptz                   -- signs no more; still verifies what it signed
);
CREATE UNIQUE INDEX signing_keys_active ON signing_keys (purpose) WHERE retired_at IS NULL;
