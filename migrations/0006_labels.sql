-- Every stored spec has the default of a setting that was not there when it was written: what is applied again
-- unchanged must not count as a change.
UPDATE "tenants" SET "spec" = "spec" || '{"labels": {}}'::jsonb WHERE NOT "spec" ? 'labels';
