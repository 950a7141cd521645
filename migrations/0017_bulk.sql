-- Commands for many tenants are looked at first, and confirmed by the token of that look.

-- ── confirmations: what a dry run found, until its caller confirms it ────────────────────────────────────
-- Used once, and deleted with what it confirms; those that nobody used go with the next dry run.
CREATE TABLE "confirmations" (
	"token" text PRIMARY KEY NOT NULL,
	"caller" text NOT NULL,                                  -- the id of the caller's token
	"order" jsonb NOT NULL,                                  -- the command and whom it was asked for
	"tenants" text[] NOT NULL,                               -- exactly these
	"expires_at" timestamp with time zone NOT NULL
);
--> statement-breakpoint
CREATE INDEX "confirmations_expiry" ON "confirmations" USING btree ("expires_at");
--> statement-breakpoint
-- For the fleet's numbers: paused by a person, nearly always few.
CREATE INDEX "tenants_paused" ON "tenants" USING btree ("id") WHERE "pause" is not null;
