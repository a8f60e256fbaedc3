-- A challenge that nobody answers is called to mind, then goes to the next person; each time stands here for its person.
SET LOCAL lock_timeout = '4s';

ALTER TABLE use_challenges
    ADD COLUMN level   smallint NOT NULL DEFAULT 0,                -- with whom it is: 0 the accountable officer
    ADD COLUMN next_on date NOT NULL DEFAULT '2000-01-01';         -- when to look at it next; long ago: as soon as may be
CREATE INDEX use_challenges_by_next ON use_challenges (region, next_on, id) WHERE state = 'open';

CREATE TABLE challenge_moves (
    region    text NOT NULL,
    challenge text NOT NULL,
    nth       smallint NOT NULL,                                   -- place in the plan of the terms
    kind      text NOT NULL CHECK (kind IN ('reminder', 'escalation')),
    level     smallint NOT NULL,                                   -- with whom it was then
    at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (region, challenge, nth)
);
