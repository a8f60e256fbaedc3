-- The processes that call departments, and how many calls to each one may have under way: their sum is what a manifest declares.
-- No citizen's row, so no region. A row is written anew every round, so it is small and nothing is indexed but its key.

CREATE TABLE line_shares (
    process    text PRIMARY KEY,
    serves     boolean NOT NULL,                -- answers people, who wait; not a worker
    host       text NOT NULL,                   -- machine, process number, when it began: on that machine one can tell that it ended
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    held       jsonb NOT NULL DEFAULT '{}',     -- calls it may have under way, by adapter, or adapter/operation
    wanted     jsonb NOT NULL DEFAULT '{}'      -- calls it lately had use for, by the same names; left out: none
) WITH (fillfactor = 50);
