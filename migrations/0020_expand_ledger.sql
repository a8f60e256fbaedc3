-- The ledger can be proven: a row carries its leaf, a sealer puts leaves into a tree, and signed anchors say what it was.
SET LOCAL lock_timeout = '4s';

-- `xact` is the transaction that wrote the row: the sealer looks again at everything of transactions that were not yet
-- over. The default is the same for all rows that are there, so no table is written anew. Those rows have no leaf: the
-- sealer works it out when it takes them.
ALTER TABLE audit_entries
    ADD COLUMN leaf bytea,
    ADD COLUMN xact bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint);
CREATE INDEX audit_entries_by_xact ON audit_entries USING brin (xact) WITH (pages_per_range = 32, autosummarize = on);

-- `content` takes the place of `uses`: the leaf is over its exact bytes, and text costs a fourth of jsonb to write.
ALTER TABLE data_uses
    ADD COLUMN content text,
    ADD COLUMN leaf bytea,
    ADD COLUMN xact bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
    ALTER COLUMN uses DROP NOT NULL;
-- A case's row is two to three thousand bytes: compressing each costs more than all the hashing.
ALTER TABLE data_uses SET (toast_tuple_target = 8160);
CREATE INDEX data_uses_by_xact ON data_uses USING brin (xact) WITH (pages_per_range = 32, autosummarize = on);

-- How far a region's tree has grown. Its row is the lock between sealers; nothing else takes it.
CREATE TABLE audit_heads (
    region text PRIMARY KEY,
    size   bigint NOT NULL DEFAULT 0,     -- leaves in the tree
    upto   bigint NOT NULL DEFAULT 0      -- every row of transactions before this one is in the tree
);

-- The tree's leaves in order: which entry stands where.
CREATE TABLE audit_leaves (
    region   text NOT NULL,
    position bigint NOT NULL,
    id       text NOT NULL,
    leaf     bytea NOT NULL,
    PRIMARY KEY (region, position),
    UNIQUE (region, id)
);

-- Every eighth level of the tree's complete parts, so that a proof reads hundreds of rows and not all of them.
CREATE TABLE audit_nodes (
    region text NOT NULL,
    level  smallint NOT NULL,             -- 8, 16, …: over 2^level leaves
    nth    bigint NOT NULL,
    hash   bytea NOT NULL,
    PRIMARY KEY (region, level, nth)
);

-- What the tree was, signed; each holds the hash of the one before.
CREATE TABLE audit_anchors (
    region text NOT NULL,
    number bigint NOT NULL,
    size   bigint NOT NULL,
    at     timestamptz NOT NULL,
    body   text NOT NULL,                 -- as signed and published, with its signature
    PRIMARY KEY (region, number)
);
