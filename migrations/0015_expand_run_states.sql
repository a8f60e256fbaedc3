-- A conformance run takes as long as the department takes: it goes on after its request, beats while it works, and is
-- found interrupted where its process is gone.
ALTER TABLE conformance_runs
    ADD COLUMN state     text NOT NULL DEFAULT 'ended' CHECK (state IN ('running', 'ended', 'interrupted')),
    ADD COLUMN by_whom   text NOT NULL DEFAULT '-',
    ADD COLUMN done      integer NOT NULL DEFAULT 0,  -- operations looked at
    ADD COLUMN of        integer NOT NULL DEFAULT 0,  -- of so many
    ADD COLUMN operation text,                        -- the one that is looked at now
    ADD COLUMN beat_at   timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN ended_at  timestamptz,
    ADD COLUMN fault     text;                        -- why it was interrupted: restart, time, error
CREATE UNIQUE INDEX conformance_runs_one_under_way ON conformance_runs (adapter, against) WHERE state = 'running';
