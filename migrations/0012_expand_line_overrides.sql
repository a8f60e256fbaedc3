-- An operator's word on a line for some hours: stopped, or passing although its breaker is open. Small, so no region.

CREATE TABLE line_overrides (
    adapter   text NOT NULL,
    operation text NOT NULL DEFAULT '',        -- '' means every operation of the adapter
    state     text NOT NULL CHECK (state IN ('stopped', 'passing')),
    reason    text NOT NULL CHECK (reason <> ''),
    until     timestamptz NOT NULL,
    set_by    text NOT NULL,
    set_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (adapter, operation)
);
CREATE INDEX line_overrides_by_end ON line_overrides (until);
