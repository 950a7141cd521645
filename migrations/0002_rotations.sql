-- Rotations of integration keys: one under way for each tenant, and all that ended, as evidence for an auditor.

-- ── rotations: a new key beside the old one, until the old one has gone ──────────────────────────────────
CREATE TABLE "rotations" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"phase" text NOT NULL,
	"cause" text NOT NULL,
	"record" jsonb NOT NULL,                                 -- members, fingerprints, what was seen and when
	"requested_at" timestamp with time zone NOT NULL,
	"admitted_at" timestamp with time zone,                  -- when the fleet's limit let it begin
	"ended_at" timestamp with time zone,
	"wish" jsonb,                                            -- what a person asks of it: written by people only
	CONSTRAINT "rotations_phase" CHECK ("phase" in ('Pending', 'PreparingMember', 'AwaitingKey', 'Verifying', 'AwaitingInstall', 'AwaitingAdoption', 'Overlap', 'RetiringOld', 'Completed', 'RetirementUnproved', 'RolledBack', 'Failed')),
	CONSTRAINT "rotations_cause" CHECK ("cause" in ('first', 'invalid', 'age', 'given', 'request', 'compromise')),
	CONSTRAINT "rotations_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX "rotations_one_live" ON "rotations" USING btree ("tenant_id") WHERE ended_at is null;
--> statement-breakpoint
-- For the fleet's limit: those in flight, and those that wait, the oldest first.
CREATE INDEX "rotations_waiting" ON "rotations" USING btree ("requested_at") WHERE ended_at is null;
--> statement-breakpoint
CREATE INDEX "rotations_of_tenant" ON "rotations" USING btree ("tenant_id","id");
--> statement-breakpoint

-- A pair that was proved, and waits for Umbrella to use it.
ALTER TABLE "credentials" DROP CONSTRAINT "credentials_state";
--> statement-breakpoint
ALTER TABLE "credentials" ADD CONSTRAINT "credentials_state" CHECK ("state" in ('candidate', 'proved', 'active', 'superseded', 'refused', 'dead'));
--> statement-breakpoint

-- When the pair that a hand-off is about was shown, once, and to whom.
ALTER TABLE "handoffs" ADD COLUMN "revealed_at" timestamp with time zone;
--> statement-breakpoint
ALTER TABLE "handoffs" ADD COLUMN "revealed_to" text;
--> statement-breakpoint

-- What a token may do beyond its name: reading a key is a permission of its own, which not even the administrator has.
ALTER TABLE "tokens" ADD COLUMN "may_reveal" boolean DEFAULT false NOT NULL;
