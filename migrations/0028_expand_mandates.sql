-- Who may act for whom: mandates, what became of them, and the sessions in which somebody acts under one.
SET LOCAL lock_timeout = '4s';

-- Scope and period never change: a narrower mandate is another row. Only the state moves, and what was spent.
CREATE TABLE mandates (
    region         text NOT NULL,
    id             text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('guardian', 'officer', 'handler', 'agent')),
    principal      text NOT NULL,            -- subject for whom is acted
    actor          text NOT NULL,            -- subject who acts
    parent_id      text,                     -- handed on from
    state          text NOT NULL CHECK (state IN ('offered', 'accepted', 'live', 'refused', 'ended')),
    version        integer NOT NULL DEFAULT 1,
    scope          jsonb NOT NULL,           -- matters and limits; never personal data
    hand_on        smallint NOT NULL DEFAULT 0,
    level          smallint NOT NULL CHECK (level BETWEEN 0 AND 3),
    begins_at      timestamptz NOT NULL,
    ends_at        timestamptz,              -- null: as long as the department says so
    offered_at     timestamptz NOT NULL DEFAULT now(),
    accepted_at    timestamptz,
    confirmed_at   timestamptz,
    ended_at       timestamptz,
    ended_by       text CHECK (ended_by IN ('principal', 'actor', 'department', 'above')),
    told           bytea,                    -- sealed: the actor as the giver named them
    adapter        text,                     -- the department that says so; null: given by somebody
    operation      text,
    source_version text,
    as_of          timestamptz,              -- when the department's data stood so, where it tells
    valid_until    timestamptz,              -- until then its answer is believed
    cases          integer NOT NULL DEFAULT 0, -- submitted under it
    fen            bigint NOT NULL DEFAULT 0,  -- fees of those, in fen
    PRIMARY KEY (region, id),
    CHECK (principal <> actor),
    CHECK ((state = 'ended') = (ended_by IS NOT NULL)),
    CHECK ((adapter IS NULL) = (valid_until IS NULL))
);
CREATE INDEX mandates_by_principal ON mandates (region, principal, id);
CREATE INDEX mandates_by_actor ON mandates (region, actor, id);
CREATE INDEX mandates_by_parent ON mandates (region, parent_id) WHERE parent_id IS NOT NULL;
-- A department says the same of two people once.
CREATE UNIQUE INDEX mandates_of_departments ON mandates (region, kind, principal, actor)
    WHERE adapter IS NOT NULL AND state = 'live';

-- Every state a mandate was in: who moved it, and at which real-name level.
CREATE TABLE mandate_moves (
    region     text NOT NULL,
    mandate_id text NOT NULL,
    version    integer NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    move       text NOT NULL,
    by_whom    text NOT NULL,                -- a subject, or a department's adapter
    level      smallint,                     -- null: a department
    PRIMARY KEY (region, mandate_id, version)
);

-- `opened_from` is the actor's own session: they go back to it, and end together.
ALTER TABLE sessions
    ADD COLUMN mandate_id  text,
    ADD COLUMN opened_from text;
CREATE INDEX sessions_by_mandate ON sessions (region, mandate_id) WHERE mandate_id IS NOT NULL;
CREATE INDEX sessions_by_actor ON sessions (region, actor_id, id) WHERE mandate_id IS NOT NULL;
CREATE INDEX sessions_opened_from ON sessions (region, opened_from) WHERE opened_from IS NOT NULL;

-- Under which mandate a case was opened, and who gains by it. Null beneficiary: the subject.
ALTER TABLE cases
    ADD COLUMN mandate     text,
    ADD COLUMN beneficiary text;
ALTER TABLE completions ADD COLUMN mandate text;
