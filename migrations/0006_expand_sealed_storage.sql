-- Sealed bytes do not compress: store them as they are instead of trying at every write. Rows written before stay as they are.
SET LOCAL lock_timeout = '4s';

ALTER TABLE cases ALTER answers SET STORAGE EXTERNAL;
ALTER TABLE case_steps ALTER result SET STORAGE EXTERNAL;
ALTER TABLE effects ALTER payload SET STORAGE EXTERNAL, ALTER result SET STORAGE EXTERNAL;
ALTER TABLE idempotency_keys ALTER reply SET STORAGE EXTERNAL;
ALTER TABLE completions ALTER parts SET STORAGE EXTERNAL;
ALTER TABLE completion_parts ALTER part SET STORAGE EXTERNAL;
ALTER TABLE certificates ALTER body SET STORAGE EXTERNAL;
