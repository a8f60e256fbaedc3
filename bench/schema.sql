-- What every peer writes to; each peer has a database of its own with these tables. onestop brings its own.
CREATE TABLE citizens (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    district text NOT NULL,
    assurance text NOT NULL,
    updated_at timestamptz NOT NULL
);
INSERT INTO citizens
SELECT n, 'Citizen ' || n, '9901' || lpad((n % 24)::text, 2, '0'), 'high', timestamptz '2026-01-01' + n * interval '1 second'
  FROM generate_series(1, 100000) AS n;

CREATE TABLE cases (
    id uuid PRIMARY KEY,
    citizen_id bigint NOT NULL,
    item text NOT NULL,
    state text NOT NULL,
    answers jsonb NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX cases_of_citizen ON cases (citizen_id, opened_at DESC);

CREATE TABLE effects (
    case_id uuid NOT NULL,
    department text NOT NULL,
    key text NOT NULL UNIQUE,
    state text NOT NULL,
    answer jsonb,
    settled_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (case_id, department)
);

CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id uuid NOT NULL,
    actor bigint NOT NULL,
    action text NOT NULL,
    detail jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
