-- Every time somebody was shown a whole number: what the limit is counted by, and what a supervisor reads.
SET LOCAL lock_timeout = '4s';

CREATE TABLE unmaskings (
    region     text NOT NULL,
    id         text NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    actor      text NOT NULL,
    role       text NOT NULL,
    department text,
    subject    text NOT NULL,
    object     text NOT NULL,                -- the case it was for
    reason     text NOT NULL,                -- one of a closed list: never personal data
    PRIMARY KEY (region, id)
);
CREATE INDEX unmaskings_by_actor ON unmaskings (region, actor, at);
CREATE INDEX unmaskings_by_subject ON unmaskings (region, subject, id);
