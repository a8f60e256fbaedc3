-- A clerk begins an application for somebody at the window, who confirms it with a code on a device of their own.
SET LOCAL lock_timeout = '4s';

-- One row a time somebody was served so: also where nothing came of it, for that is what the limit counts.
CREATE TABLE window_visits (
    region         text NOT NULL,
    id             text NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    clerk          text NOT NULL,             -- subject
    department     text NOT NULL,
    subject        text NOT NULL,             -- who is served
    case_id        text,
    code_index     bytea,                     -- blind index of case and code; null: no code was made
    content_digest bytea,                     -- SHA-256 of what the code confirms
    code_until     timestamptz,
    attempts_left  smallint NOT NULL DEFAULT 0,
    confirmed_at   timestamptz,
    PRIMARY KEY (region, id),
    UNIQUE (region, case_id)
);
CREATE INDEX window_visits_by_clerk ON window_visits (region, clerk, at);
