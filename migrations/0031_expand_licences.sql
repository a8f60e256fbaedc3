-- E-licences (电子证照): references to the issuer's current record, each with a signed snapshot; how they are used, shown, copied.
SET LOCAL lock_timeout = '4s';

CREATE TABLE licences (
    region       text NOT NULL,
    id           text NOT NULL,
    identifier   text NOT NULL,              -- 电子证照标识: type, issuer, serial, version, check; nothing of the holder
    type         text NOT NULL,
    serial       text NOT NULL,              -- the same for all versions
    version      smallint NOT NULL,
    number_index bytea NOT NULL,             -- blind index of the type and the issuer's own number
    department   text NOT NULL,              -- who issues
    subject      text NOT NULL,              -- in whose list it stands
    case_id      text,                       -- the case that was decided, where one was
    state        text NOT NULL CHECK (state IN ('valid', 'suspended', 'revoked', 'superseded')),
    reason       text,                       -- why it is not valid: one of a closed list
    body         bytea NOT NULL,             -- sealed: the signed snapshot
    digest       bytea NOT NULL,
    signature    text NOT NULL,              -- detached JWS over the snapshot
    as_of        timestamptz NOT NULL,       -- when the issuer last changed what it says
    asked_at     timestamptz NOT NULL,       -- when the issuer last said so
    valid_from   date NOT NULL,
    valid_to     date,                       -- NULL: for good
    issued_at    timestamptz NOT NULL DEFAULT now(),
    changed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, id),
    UNIQUE (region, identifier),
    UNIQUE (region, subject, number_index, version)
);
CREATE INDEX licences_by_subject ON licences (region, subject, id);
CREATE INDEX licences_by_number ON licences (region, number_index);
-- One version of a licence holds at a time, whoever writes first.
CREATE UNIQUE INDEX licences_current ON licences (region, serial) WHERE state <> 'superseded';

CREATE TABLE licence_events (
    region     text NOT NULL,
    licence_id text NOT NULL,
    seq        integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    kind       text NOT NULL,                -- issued, fetched, suspended, restored, revoked, superseded
    by_whom    text NOT NULL,                -- onestop, or the department
    reason     text,
    PRIMARY KEY (region, licence_id, seq)
);

-- 用证码: what lets one department use one licence once, for one purpose in one matter.
CREATE TABLE licence_use_codes (
    region      text NOT NULL,
    id          text NOT NULL,
    code_hash   bytea NOT NULL,              -- SHA-256: the code itself is with the holder
    licence_id  text NOT NULL,
    subject     text NOT NULL,
    item        text NOT NULL,
    case_id     text NOT NULL,
    purpose     text NOT NULL,
    taker       text NOT NULL,               -- the department that may redeem it
    made_at     timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz NOT NULL,
    redeemed_at timestamptz,
    redeemed_by text,
    PRIMARY KEY (region, id),
    UNIQUE (region, code_hash)
);

-- 加注件: copies for one purpose and one taker. The file is made anew when it is fetched; what it is for stands here.
CREATE TABLE licence_copies (
    region     text NOT NULL,
    id         text NOT NULL,
    licence_id text NOT NULL,
    subject    text NOT NULL,
    about      bytea NOT NULL,               -- sealed: purpose and taker, in the holder's words
    made_at    timestamptz NOT NULL DEFAULT now(),
    expires_on date NOT NULL,
    PRIMARY KEY (region, id)
);
CREATE INDEX licence_copies_by_licence ON licence_copies (region, licence_id, id);
