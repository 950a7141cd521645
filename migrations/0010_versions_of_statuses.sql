-- A run that finds what the row holds writes the time of its look, and nothing else of it. `version` names the run
-- that wrote the rest: as long as it stands, a process that knows what it wrote need neither read nor send it again.
ALTER TABLE "statuses" ADD COLUMN "version" text;
--> statement-breakpoint
UPDATE "statuses" SET "version" = gen_random_uuid()::text;
--> statement-breakpoint
ALTER TABLE "statuses" ALTER COLUMN "version" SET NOT NULL;
