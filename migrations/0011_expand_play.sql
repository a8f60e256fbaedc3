-- How departments' answers depart from what was known, how probes went, and the bad days ordered of simulators.
-- None of it grows with citizens, and nothing of an answer's content is kept: paths and names of types only.

CREATE TABLE drift_findings (
    adapter   text NOT NULL,
    version   text NOT NULL,
    operation text NOT NULL,
    path      text NOT NULL,
    kind      text NOT NULL CHECK (kind IN ('vanished', 'type_changed', 'null_new', 'enum_new', 'member_new', 'format_changed')),
    breaking  boolean NOT NULL,
    expected  text NOT NULL,
    got       text NOT NULL,
    seen      bigint NOT NULL DEFAULT 0,
    first_at  timestamptz NOT NULL DEFAULT now(),
    last_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (adapter, version, operation, path, kind)
);
CREATE INDEX drift_findings_by_time ON drift_findings (adapter, last_at);

-- One row for each thing that is asked regularly; whoever moves `next_at` on asks it.
CREATE TABLE probe_results (
    adapter   text NOT NULL,
    operation text NOT NULL,                   -- 'probe' is the health path
    next_at   timestamptz NOT NULL,
    at        timestamptz,
    outcome   text NOT NULL DEFAULT 'new',
    failures  integer NOT NULL DEFAULT 0,      -- in a row
    took_ms   integer NOT NULL DEFAULT 0,
    PRIMARY KEY (adapter, operation)
);

CREATE TABLE simulator_scenarios (
    adapter text PRIMARY KEY,
    ordered jsonb NOT NULL,
    set_by  text NOT NULL,
    set_at  timestamptz NOT NULL DEFAULT now()
);
