-- The key of anchors can be followed by another, and a tree by one of another suite: each anchor tells its tree.
SET LOCAL lock_timeout = '4s';

-- Keys after the first; none before it is announced by an anchor that the key before it signed. The private half is
-- sealed under a root key that the database never sees.
CREATE TABLE audit_keys (
    region    text NOT NULL,
    kid       text NOT NULL,
    announced bigint NOT NULL,            -- number of the anchor that announces it; 0: the region's first key
    made_at   timestamptz NOT NULL,
    sealed    bytea NOT NULL,             -- suite, private and public key
    PRIMARY KEY (region, kid)
);

ALTER TABLE audit_heads
    ADD COLUMN base  bigint NOT NULL DEFAULT 0,         -- where the tree begins; leaves before it are in an older one
    ADD COLUMN suite text NOT NULL DEFAULT 'intl';
ALTER TABLE audit_anchors
    ADD COLUMN base  bigint NOT NULL DEFAULT 0,
    ADD COLUMN suite text NOT NULL DEFAULT 'intl';
CREATE INDEX audit_anchors_by_tree ON audit_anchors (region, base, number);

-- `level` and `nth` count within a tree.
ALTER TABLE audit_nodes ADD COLUMN base bigint NOT NULL DEFAULT 0;
ALTER TABLE audit_nodes DROP CONSTRAINT audit_nodes_pkey, ADD PRIMARY KEY (region, base, level, nth);
