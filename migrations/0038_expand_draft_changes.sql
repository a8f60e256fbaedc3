-- When a form was last written: a draft is kept for so many days from then.
SET LOCAL lock_timeout = '4s';

-- Null: not since this column is there; the day it was opened counts.
ALTER TABLE cases ADD COLUMN changed_at timestamptz;
