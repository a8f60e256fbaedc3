-- Placeholder until the identity room brings its tables.
SELECT 1;
