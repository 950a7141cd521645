-- Events get a place in one log that a follower can rely on. Their ids cannot be that: an id is given before its
-- transaction commits, so that who has seen 12 may see 11 appear afterwards. A position is given once the event
-- is committed, to all that have none, by one at a time: who has read up to a position misses nothing before it.

ALTER TABLE "events" ADD COLUMN "position" bigint;             -- null: committed, and nobody has read it yet
--> statement-breakpoint
-- All that is there is committed.
UPDATE "events" SET "position" = "id";
--> statement-breakpoint
CREATE UNIQUE INDEX "events_position" ON "events" USING btree ("position");
--> statement-breakpoint
CREATE INDEX "events_unplaced" ON "events" USING btree ("id") WHERE "position" is null;
--> statement-breakpoint
-- Pages go by position too, so that everybody sees one order.
DROP INDEX "events_of_tenant";
--> statement-breakpoint
CREATE INDEX "events_of_tenant" ON "events" USING btree ("tenant_id","position");
--> statement-breakpoint

-- ── event_log: how far the positions go; one row, whose lock gives them out ──────────────────────────────
CREATE TABLE "event_log" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"placed" bigint NOT NULL,                                -- the last position that was given
	"pruned" bigint NOT NULL,                                -- the last one that retention has taken
	CONSTRAINT "event_log_only" CHECK ("only")
);
--> statement-breakpoint
INSERT INTO "event_log" ("placed", "pruned") SELECT coalesce(max("id"), 0), coalesce(min("id") - 1, 0) FROM "events";
