-- Cases (办件): one application, its steps at the departments, what happened to it, and what came out.

CREATE TABLE cases (
    region       text NOT NULL,
    id           text NOT NULL,
    number       text NOT NULL,               -- official, with a check character
    claim_code   text NOT NULL,               -- short, to be said aloud
    subject      text NOT NULL,               -- whose case it is
    actor        text NOT NULL,               -- who opened it
    item         text NOT NULL,
    state        text NOT NULL CHECK (state IN (
                 'draft', 'submitted', 'in_progress', 'correcting', 'decided', 'withdrawn')),
    outcome      text CHECK (outcome IN ('granted', 'partly', 'denied')),
    version      integer NOT NULL DEFAULT 1,
    answers      bytea NOT NULL,              -- sealed: the form, every value with its source
    opened_at    timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    due_on       date,                        -- the bundle's own promise; every step has another
    decided_at   timestamptz,
    trace_id     text,
    PRIMARY KEY (region, id),
    UNIQUE (region, number),
    CHECK ((state = 'decided') = (outcome IS NOT NULL))
);
CREATE INDEX cases_by_subject ON cases (region, subject, id);

CREATE TABLE case_steps (
    region      text NOT NULL,
    case_id     text NOT NULL,
    code        text NOT NULL,
    position    smallint NOT NULL,
    department  text NOT NULL,
    adapter     text NOT NULL,                -- 'desk' where the department has no system
    operation   text NOT NULL,
    needs       text[] NOT NULL DEFAULT '{}', -- steps whose results this one takes
    state       text NOT NULL CHECK (state IN (
                'waiting', 'in_progress', 'completed', 'declined', 'correcting', 'at_desk', 'not_started', 'withdrawn')),
    promised_days integer NOT NULL,           -- working days
    due_on      date NOT NULL,                -- of a step that waits: a forecast
    started_at  timestamptz,
    settled_at  timestamptz,
    round       smallint NOT NULL DEFAULT 1,  -- one more with every resubmission
    effect_id   text,                         -- of this round
    heard       text,                         -- the last outcome heard of this round: the same one again changes nothing
    reference   text,
    result      bytea,                        -- sealed: what the department gave, and its sentence
    PRIMARY KEY (region, case_id, code)
);
CREATE INDEX case_steps_open ON case_steps (region, due_on)
    WHERE state IN ('waiting', 'in_progress', 'at_desk', 'correcting');

CREATE TABLE case_events (
    region   text NOT NULL,
    case_id  text NOT NULL,
    seq      integer NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    type     text NOT NULL,
    by_whom  text NOT NULL,                   -- applicant, clerk, onestop, or the department
    step     text,
    data     jsonb NOT NULL DEFAULT '{}',     -- never personal data
    trace_id text,
    PRIMARY KEY (region, case_id, seq)
);
CREATE INDEX case_events_recent ON case_events USING brin (at);

-- Work of a person: a department without a system, or an effect whose outcome only a person can find out.
CREATE TABLE desk_tasks (
    region      text NOT NULL,
    id          text NOT NULL,
    case_id     text NOT NULL,
    step        text NOT NULL,
    round       smallint NOT NULL DEFAULT 1,
    department  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('handle', 'find_out')),
    reason      text NOT NULL,                -- why a person: a key below `task.reason.` in the texts
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'dropped')),
    due_on      date NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    answered_by text,
    PRIMARY KEY (region, id)
);
CREATE INDEX desk_tasks_open ON desk_tasks (region, department, due_on, id) WHERE state = 'open';
-- One open task a step: whatever brought it to the desk, one person answers it once.
CREATE UNIQUE INDEX desk_tasks_of_step ON desk_tasks (region, case_id, step) WHERE state = 'open';

-- Certificates (证照, 办结凭证): signed, and checkable by anyone who holds number and code.
CREATE TABLE certificates (
    region     text NOT NULL,
    id         text NOT NULL,
    number     text NOT NULL,
    kind       text NOT NULL,
    case_id    text NOT NULL,
    subject    text NOT NULL,
    body       bytea NOT NULL,                -- sealed
    digest     bytea NOT NULL,                -- SHA-256 of the body
    code_index bytea NOT NULL,                -- blind index of number and check code
    signature  text NOT NULL,                 -- detached JWS over the body
    issued_at  timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    PRIMARY KEY (region, id),
    UNIQUE (region, number),
    UNIQUE (region, case_id, kind)
);
