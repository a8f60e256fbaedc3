-- onestop as OpenID provider: the clients people are signed in for, what each sign-in gave, and what was used up.
SET LOCAL lock_timeout = '4s';

-- A departmental site or a front end that signs people in here. Reference data: it does not grow with citizens.
CREATE TABLE clients (
    id                 text PRIMARY KEY,
    department         text NOT NULL,              -- who owns it and answers for it
    name_zh            text NOT NULL,
    name_en            text NOT NULL,
    auth_method        text NOT NULL
                       CHECK (auth_method IN ('private_key_jwt', 'client_secret_basic', 'tls_client_auth', 'none')),
    redirect_uris      text[] NOT NULL,            -- compared character by character
    logout_uris        text[] NOT NULL DEFAULT '{}',
    backchannel_logout text,                       -- where it is told that a person signed out
    sector             text NOT NULL,              -- clients of one sector see the same name for a person
    purposes           jsonb NOT NULL,             -- what for, on what legal basis, which claims
    level              smallint NOT NULL CHECK (level BETWEEN 0 AND 3), -- the least real-name level 实名等级
    binding            text NOT NULL CHECK (binding IN ('none', 'dpop', 'tls')), -- what its tokens must be bound to
    keys               jsonb,                      -- public JWK set of private_key_jwt
    tls_subject        text,                       -- RFC 4514 name in the certificate of tls_client_auth
    secret_hash        bytea,                      -- SHA-256 of client_secret_basic
    old_secret_hash    bytea,                      -- the one before, for as long as both hold
    old_secret_until   timestamptz,
    made_by            text NOT NULL,
    made_at            timestamptz NOT NULL DEFAULT now(),
    changed_at         timestamptz NOT NULL DEFAULT now(),
    revoked_at         timestamptz
);
CREATE INDEX clients_by_department ON clients (department, id);

-- What a client asks when it sends somebody here: pushed by itself, or kept while the person signs in.
CREATE TABLE authorization_requests (
    region     text NOT NULL,
    id_hash    bytea NOT NULL,                     -- SHA-256 of the reference
    client     text NOT NULL,
    asked      bytea NOT NULL,                     -- sealed: the parameters
    pushed     boolean NOT NULL,
    begun_at   timestamptz,                        -- since when its person is on the way; null: nobody came with it
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (region, id_hash)
);
CREATE INDEX authorization_requests_by_expiry ON authorization_requests (region, expires_at);

-- One person signed in at one client: what its tokens may tell, for as long as the session at onestop lives.
CREATE TABLE client_grants (
    region     text NOT NULL,
    id         text NOT NULL,
    client     text NOT NULL,
    subject_id text NOT NULL,
    session_id text NOT NULL,
    scope      text[] NOT NULL,
    level      smallint NOT NULL,
    auth_time  timestamptz NOT NULL,
    bound_to   text,                               -- `jkt:` or `x5t:` and the thumbprint; null: bearer tokens
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ended_at   timestamptz,
    why        text,                               -- why it ended before its time
    told       boolean NOT NULL DEFAULT false,     -- whether a logout notice was written for it
    PRIMARY KEY (region, id)
);
CREATE INDEX client_grants_by_session ON client_grants (region, session_id);
CREATE INDEX client_grants_by_subject ON client_grants (region, subject_id, id);
CREATE INDEX client_grants_by_expiry ON client_grants (region, expires_at);

CREATE TABLE authorization_codes (
    region       text NOT NULL,
    code_hash    bytea NOT NULL,
    grant_id     text NOT NULL,
    client       text NOT NULL,
    redirect_uri text NOT NULL,
    challenge    text NOT NULL,                    -- PKCE, S256
    nonce        text,
    bound_to     text,                             -- the key it was asked with, where the client named one
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    PRIMARY KEY (region, code_hash)
);
CREATE INDEX authorization_codes_by_expiry ON authorization_codes (region, expires_at);

CREATE TABLE refresh_tokens (
    region     text NOT NULL,
    token_hash bytea NOT NULL,
    grant_id   text NOT NULL,
    client     text NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,                        -- since when another one stands in its place
    PRIMARY KEY (region, token_hash)
);
CREATE INDEX refresh_tokens_by_expiry ON refresh_tokens (region, expires_at);

-- Names of proofs and assertions that were taken once, until they would be too old anyway.
CREATE TABLE used_proofs (
    region     text NOT NULL,
    proof_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (region, proof_hash)
);
CREATE INDEX used_proofs_by_expiry ON used_proofs (region, expires_at);

-- What a client is still owed: that somebody it had signed in has signed out.
CREATE TABLE logout_notices (
    region     text NOT NULL,
    client     text NOT NULL,
    session_id text NOT NULL,
    subject_id text NOT NULL,
    attempts   integer NOT NULL DEFAULT 0,
    state      text NOT NULL DEFAULT 'due' CHECK (state IN ('due', 'taken', 'given_up')),
    next_at    timestamptz NOT NULL DEFAULT now(),
    made_at    timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    PRIMARY KEY (region, client, session_id)
);
CREATE INDEX logout_notices_due ON logout_notices (region, next_at) WHERE state = 'due';

-- What somebody was shown before a site learnt anything of them, and went on from: the notice of PIPL 17 and 35.
CREATE TABLE client_notices (
    region     text NOT NULL,
    subject_id text NOT NULL,
    client     text NOT NULL,
    purpose    text NOT NULL,                      -- the purpose's code
    version    text NOT NULL,                      -- of what was shown: its words, basis and claims
    noticed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, subject_id, client, purpose, version)
);
