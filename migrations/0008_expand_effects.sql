-- Effects that departments fetch themselves or find in files, how far several calls came, and what is set aside or overdue.

ALTER TABLE effects
    ADD COLUMN channel    text NOT NULL DEFAULT 'call' -- how it reaches its department
                          CHECK (channel IN ('call', 'pull', 'file')),
    ADD COLUMN batch      text,                        -- the file it went out in
    ADD COLUMN progress   bytea,                       -- sealed: what the steps of several calls have saved so far
    ADD COLUMN outcome    text,                        -- the last one that was told to its case
    ADD COLUMN faults     smallint NOT NULL DEFAULT 0, -- how often handling it raised; at five it is set aside
    ADD COLUMN tries_from timestamptz;                 -- since when it is tried, where a person sent it again

-- A worker takes each department's due effects apart: one department's backlog is not in the others' way.
CREATE INDEX effects_due_of ON effects (region, adapter, next_at) WHERE next_at IS NOT NULL;
DROP INDEX effects_due;
CREATE INDEX effects_offered ON effects (region, adapter, id) WHERE channel <> 'call' AND next_at IS NOT NULL;
-- What an operator and the public status look at: few among very many.
CREATE INDEX effects_open ON effects (region, state, id) WHERE state IN ('intended', 'sent', 'unknown', 'desk');
CREATE INDEX effects_settled ON effects (region, adapter, settled_at) WHERE state = 'done';

ALTER TABLE desk_tasks ADD COLUMN escalated_at timestamptz; -- told to the operator as overdue

-- Numbers of the files effects go out in.
CREATE SEQUENCE effect_files;
CREATE INDEX effects_in_files ON effects (region, adapter, batch) WHERE channel = 'file' AND state = 'sent' AND answer = 'none';
