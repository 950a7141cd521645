-- A tenant that is due may have to wait for a vendor's budget; it keeps its place in the line.
ALTER TABLE "tenants" ADD COLUMN "waiting" jsonb;            -- { kind, since, until, closed, everyMs, served, calm }; null: there was enough
--> statement-breakpoint
-- For the fleet's numbers: nearly always few.
CREATE INDEX "tenants_waiting" ON "tenants" USING btree ("id") WHERE "waiting" is not null;
