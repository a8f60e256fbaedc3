-- What workers do again and again and fail at: any gateway tells it in /healthz, whoever's process it is.
SET LOCAL lock_timeout = '4s';

CREATE TABLE failing_rounds (
    worker  text NOT NULL,                    -- the process
    name    text NOT NULL,                    -- of the work, and whose part of it
    times   integer NOT NULL,                 -- in a row
    told_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (worker, name)
);
