-- The effect ledger: every effect on a department stands here before it is sent, and the ledger is its own queue.

CREATE TABLE effects (
    region        text NOT NULL,
    id            text NOT NULL,
    case_id       text NOT NULL,
    step          text NOT NULL,
    adapter       text NOT NULL,
    operation     text NOT NULL,
    version       text NOT NULL,               -- of the adapter's manifest
    key           text NOT NULL,               -- what the department knows this effect by
    state         text NOT NULL DEFAULT 'intended'
                  CHECK (state IN ('intended', 'sent', 'done', 'refused', 'unknown', 'desk')),
    answer        text NOT NULL DEFAULT 'none' -- of the department, where it answers later
                  CHECK (answer IN ('none', 'awaited', 'received')),
    attempt       integer NOT NULL DEFAULT 0,
    payload       bytea NOT NULL,              -- sealed
    intended_at   timestamptz NOT NULL DEFAULT now(),
    next_at       timestamptz DEFAULT now(),   -- when a worker looks at it again; null: nobody needs to
    lease_until   timestamptz,
    worker        text,                        -- who holds the lease; a thawed worker's write is refused by it
    sent_at       timestamptz,
    settled_at    timestamptz,
    reference     text,                        -- the department's own number for it
    result        bytea,                       -- sealed
    problem       jsonb,
    trace_id      text,
    PRIMARY KEY (region, id),
    UNIQUE (region, adapter, key)
);
CREATE INDEX effects_due ON effects (region, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX effects_by_case ON effects (region, case_id);

-- Departments' callbacks, kept by their nonce so that a replayed one is known.
CREATE TABLE callbacks_seen (
    region      text NOT NULL,
    adapter     text NOT NULL,
    nonce       text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, adapter, nonce)
);
