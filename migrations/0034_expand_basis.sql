-- What people were told of the use of their data, and what they consented to: by purpose, with the words' hash and time.
SET LOCAL lock_timeout = '4s';

-- The words of every notice that was ever in use here; small, replicated.
CREATE TABLE notice_texts (
    purpose  text NOT NULL,
    version  int NOT NULL,
    lang     text NOT NULL,
    hash     text NOT NULL,
    body     text NOT NULL,
    since    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (purpose, version, lang)
);

CREATE TABLE notices_shown (
    region   text NOT NULL,
    subject  text NOT NULL,
    purpose  text NOT NULL,
    version  int NOT NULL,
    lang     text NOT NULL,
    hash     text NOT NULL,
    first_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, subject, purpose, version, lang)
);

CREATE TABLE consents (
    region      text NOT NULL,
    id          text NOT NULL,
    subject     text NOT NULL,
    purpose     text NOT NULL,
    version     int NOT NULL,             -- of the notice consented to
    notice_hash text NOT NULL,
    lang        text NOT NULL,
    given_by    text NOT NULL,            -- the subject, or a child's guardian
    given_at    timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz,
    ended_at    timestamptz,
    ended_by    text,
    ended_why   text CHECK (ended_why IN ('withdrawn', 'replaced')),
    PRIMARY KEY (region, id),
    CHECK ((ended_at IS NULL) = (ended_why IS NULL))
);
-- One consent to a purpose at any time.
CREATE UNIQUE INDEX consents_live ON consents (region, subject, purpose) WHERE ended_at IS NULL;
CREATE INDEX consents_ended ON consents (region, ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE guardians (
    region      text NOT NULL,
    id          text NOT NULL,
    ward        text NOT NULL,
    guardian    text NOT NULL,
    begins_at   timestamptz NOT NULL DEFAULT now(),
    ends_at     timestamptz,
    recorded_by text NOT NULL,
    evidence    text NOT NULL,            -- which document was seen: one of a closed list
    PRIMARY KEY (region, id)
);
CREATE INDEX guardians_of ON guardians (region, ward);
CREATE INDEX guardians_by ON guardians (region, guardian);
