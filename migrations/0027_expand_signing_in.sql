-- App sessions outlive their access tokens: a generation a session counts which refresh token comes next; and what a session is shown by.
SET LOCAL lock_timeout = '4s';

ALTER TABLE sessions ADD COLUMN device text NOT NULL DEFAULT '';   -- coarse: a browser and a system, or an app's own name

CREATE TABLE refresh_families (
    region     text NOT NULL,
    session_id text NOT NULL,
    secret     bytea NOT NULL,              -- sealed: what every refresh token of the session is computed from
    generation integer NOT NULL DEFAULT 1,  -- of the token that is to be shown next; any older one was used
    rotated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, session_id)
);

-- How often somebody tried lately: one row for each kind of try and whoever tries, counted by one statement.
CREATE TABLE sign_in_tries (
    region     text NOT NULL,
    kind       text NOT NULL,
    who        bytea NOT NULL,              -- keyed hash of an address block, a device, a person or a session
    began_at   timestamptz NOT NULL DEFAULT now(),
    ends_at    timestamptz NOT NULL,        -- of the window; then counting begins anew
    count      integer NOT NULL DEFAULT 1,
    PRIMARY KEY (region, kind, who)
);
CREATE INDEX sign_in_tries_by_end ON sign_in_tries (region, ends_at);

-- A pseudonymous account of a provider (国家网络身份认证 网号) is a person's from the moment they proved their number: once.
CREATE TABLE subject_links (
    region     text NOT NULL,
    account_id text NOT NULL,               -- the subject of kind account, which a provider's pseudonym names
    subject_id text NOT NULL,               -- whose it is
    provider   text NOT NULL,               -- where the pseudonym is from
    proved_by  text NOT NULL,               -- where the number was proved
    level      smallint NOT NULL CHECK (level BETWEEN 1 AND 3),  -- how surely; no later sign-in counts for more
    bound_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, account_id),
    UNIQUE (region, subject_id, provider)   -- one pseudonym of each provider
);
