-- Departments call back under their own acceptance number too: effects are found by it.
SET LOCAL lock_timeout = '4s';

CREATE INDEX effects_by_reference ON effects (region, adapter, reference) WHERE reference IS NOT NULL;
