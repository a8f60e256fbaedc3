-- Staff and machines are subjects as people and organisations are: known by a number that their house gave out.
SET LOCAL lock_timeout = '4s';

ALTER TABLE subjects DROP CONSTRAINT subjects_kind_check;
ALTER TABLE subjects ADD CONSTRAINT subjects_kind_check
    CHECK (kind IN ('person', 'organisation', 'staff', 'machine', 'account')) NOT VALID;
ALTER TABLE subjects VALIDATE CONSTRAINT subjects_kind_check;
