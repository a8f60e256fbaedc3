-- Completion handles: a composite answer that went out incomplete, and the parts that came later.

CREATE TABLE completions (
    region     text NOT NULL,
    id         text NOT NULL,
    subject    text NOT NULL,
    parts      bytea NOT NULL,                -- sealed: the answer as it went out
    expected   text[] NOT NULL,               -- wants that were still pending
    holds_until timestamptz NOT NULL,         -- after this a part that has not come will not
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, id)
);

CREATE TABLE completion_parts (
    region        text NOT NULL,
    completion_id text NOT NULL,
    want          text NOT NULL,
    seq           integer NOT NULL,
    part          bytea NOT NULL,             -- sealed
    at            timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, completion_id, want)
);
