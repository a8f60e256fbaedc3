-- A data key for every subject, wrapped by the region's key: what is one person's can be rewrapped, and erased, alone.
SET LOCAL lock_timeout = '4s';

-- Null: from before; number and name lie under the installation's key until the worker gives the row its own.
ALTER TABLE subjects ADD COLUMN data_key bytea;
