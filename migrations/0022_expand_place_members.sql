-- What else is told of a department's system by API: further addresses, the token endpoint, constants. NULL: not told.

ALTER TABLE adapter_places
    ADD COLUMN replicas  text[],
    ADD COLUMN token_url text,
    ADD COLUMN config    jsonb NOT NULL DEFAULT '{}';
