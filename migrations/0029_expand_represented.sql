-- Who did what for whom, and who gains: on every act, use of data, event and effect. Null mandate: for oneself.
SET LOCAL lock_timeout = '4s';

-- Null beneficiary: the subject. Neither is in the leaf of a row that has none, so older leaves stay what they are.
ALTER TABLE audit_entries ADD COLUMN mandate text, ADD COLUMN beneficiary text;
ALTER TABLE data_uses ADD COLUMN mandate text, ADD COLUMN beneficiary text;
CREATE INDEX data_uses_by_mandate ON data_uses (region, mandate, id) WHERE mandate IS NOT NULL;

-- Null actor: no person did it, but a department or onestop itself.
ALTER TABLE case_events ADD COLUMN actor text, ADD COLUMN mandate text;
ALTER TABLE effects
    ADD COLUMN subject     text,
    ADD COLUMN actor       text,
    ADD COLUMN mandate     text,
    ADD COLUMN beneficiary text;
