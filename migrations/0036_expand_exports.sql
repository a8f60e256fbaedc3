-- A person's copy of everything that is held of them: made in the background, signed, kept for days only.
SET LOCAL lock_timeout = '4s';

CREATE TABLE exports (
    region     text NOT NULL,
    id         text NOT NULL,
    subject    text NOT NULL,
    lang       text NOT NULL,
    state      text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'succeeded', 'failed')),
    asked_at   timestamptz NOT NULL DEFAULT now(),
    begun_at   timestamptz,
    done_at    timestamptz,
    file       bytea,                     -- sealed
    PRIMARY KEY (region, id),
    CHECK ((state = 'succeeded') = (file IS NOT NULL))
);
-- One at a time for one person.
CREATE UNIQUE INDEX exports_open ON exports (region, subject) WHERE state IN ('queued', 'running');
CREATE INDEX exports_asked ON exports (region, asked_at);
