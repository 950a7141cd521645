-- Umbrella API keys that Parasol rotates through KeyAdmin. Tenants share them, so that each is a row of its own
-- with a claim of its own; who uses it is told by the credentials.

-- ── umbrella_keys: one row a line of keys ────────────────────────────────────────────────────────────────
-- The row is its own queue, as a tenant's is. `identity` is of the key in use: once tenants were switched, of the
-- new one.
CREATE TABLE "umbrella_keys" (
	"id" text PRIMARY KEY NOT NULL,
	"origin" text NOT NULL,                                  -- the only place that it is used at
	"identity" text NOT NULL,                                -- SHA-256 of origin and client id
	"rotations" integer DEFAULT 0 NOT NULL,                  -- the number of the last rotation
	"rotation" jsonb,                                        -- the one under way, or the last one
	"past" jsonb DEFAULT '[]'::jsonb NOT NULL,               -- those that are over, newest last
	"requested" jsonb,                                       -- what a person asked for and nobody began
	"sealed" text,                                           -- the new pair until it is in use: JWE, bound to this row
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"next_run_at" timestamp with time zone DEFAULT now() NOT NULL,
	"claim_owner" text,                                      -- null: nobody works on it
	"claim_token" bigint DEFAULT 0 NOT NULL                  -- grows with each claim: the fence
);
--> statement-breakpoint
CREATE UNIQUE INDEX "umbrella_keys_identity" ON "umbrella_keys" USING btree ("identity");
--> statement-breakpoint
CREATE INDEX "umbrella_keys_due" ON "umbrella_keys" USING btree ("next_run_at");
--> statement-breakpoint

-- Which of Umbrella's keys a pair is of, so that those who share one are found; null: not looked at yet, or no
-- pair of Umbrella's. The client id itself is half of a pair and stands in no column.
ALTER TABLE "credentials" ADD COLUMN "key_identity" text;
--> statement-breakpoint
CREATE INDEX "credentials_of_key" ON "credentials" USING btree ("key_identity") WHERE "key_identity" is not null;
--> statement-breakpoint
-- Pairs in use that are still to be looked at: nearly always none.
CREATE INDEX "credentials_unidentified" ON "credentials" USING btree ("origin") WHERE "key_identity" is null and "state" = 'active' and "purpose" in ('umbrella-api', 'umbrella-key-admin');
