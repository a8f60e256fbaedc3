-- A handle counts its late parts itself: two that came at one moment were given the same number, and a stream that had
-- told the first never told the second.
ALTER TABLE completions ADD COLUMN came integer NOT NULL DEFAULT 0;
