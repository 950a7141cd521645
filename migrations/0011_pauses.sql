-- A pause that a person sets, apart from the spec, so that applying the spec does not undo it: by whom, why, since
-- when, and until when (absent of a value: until somebody resumes). Null: there is none.
ALTER TABLE "tenants" ADD COLUMN "pause" jsonb;
--> statement-breakpoint

-- Grows with each thing that people decide of a tenant apart from its spec: a run under way, which began with another
-- number, then writes nothing more.
ALTER TABLE "tenants" ADD COLUMN "decisions" integer DEFAULT 0 NOT NULL;
