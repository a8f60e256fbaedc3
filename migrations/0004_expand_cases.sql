-- Cases (办件): one application, its steps at the departments, what happened to it, and what came out.

CREATE TABLE cases (
    region       text NOT NULL,
    id           text NOT NULL,
    number       text NOT NULL,
    claim_code   text NOT NULL,
    subject      text NOT NULL,               -- whose case it is
    actor        text NOT NULL,               -- who opened it
    item         text NOT NULL,
    state        text NOT NULL CHECK (state IN (
                 'draft', 'submitted', 'in_progress', 'correcting', 'decided', 'closed', 'declined', 'withdrawn')),
    outcome      text CHECK (outcome IN ('granted', 'partly', 'denied')),
    version      integer NOT NULL DEFAULT 1,
    answers      bytea NOT NULL,              -- sealed: the form, every value with its source
    opened_at    timestamptz NOT NULL DEFAULT now(),
    submitted_at timestamptz,
    due_on       date,
    decided_at   timestamptz,
    trace_id     text,
    PRIMARY KEY (region, id),
    UNIQUE (region, number)
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
    due_on      date,
    started_at  timestamptz,
    settled_at  timestamptz,
    effect_id   text,
    reference   text,
    result      bytea,                        -- sealed
    problem     jsonb,
    PRIMARY KEY (region, case_id, code)
);
CREATE INDEX case_steps_open ON case_steps (region, due_on) WHERE state IN ('in_progress', 'at_desk', 'correcting');

CREATE TABLE case_events (
    region   text NOT NULL,
    case_id  text NOT NULL,
    seq      integer NOT NULL,
    at       timestamptz NOT NULL DEFAULT now(),
    type     text NOT NULL,
    by_whom  text NOT NULL,
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
    department  text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('handle', 'find_out')),
    state       text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered')),
    due_on      date NOT NULL,
    opened_at   timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    answered_by text,
    PRIMARY KEY (region, id),
    UNIQUE (region, case_id, step, kind)
);
CREATE INDEX desk_tasks_open ON desk_tasks (region, department, due_on, id) WHERE state = 'open';

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
    signature  text NOT NULL,                 -- detached JWS over the digest
    issued_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, id),
    UNIQUE (region, number),
    UNIQUE (region, case_id, kind)
);
