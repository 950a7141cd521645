-- The numbers of a fleet are counted over every tenant, as often as somebody opens a dashboard.
-- Thousands of tenants have the very same marks: those are counted by this, without comparing what they say.
ALTER TABLE "listings" ADD COLUMN "alike" bigint GENERATED ALWAYS AS (hash_array_extended("marks", 0)) STORED;
--> statement-breakpoint
-- Keys are counted by their age from the index alone; their rows are wide.
DROP INDEX "credentials_one_active";
--> statement-breakpoint
CREATE UNIQUE INDEX "credentials_one_active" ON "credentials" USING btree ("tenant_id","purpose") INCLUDE ("created_at") WHERE "state" = 'active';
