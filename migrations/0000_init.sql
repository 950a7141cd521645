-- Parasol's first schema.
--
-- Conventions: ids are text (a slug for a tenant, UUID v7 elsewhere, so that they sort by time); what is only
-- ever read as a whole is jsonb; every state has a check; times carry their zone. Everything that belongs to a
-- tenant goes with its row, except events, which outlive it. No column holds a secret in the clear.

-- ── tenants: how each should be, and the claim to run it ─────────────────────────────────────────────────
-- The row is the queue. `next_run_at` is when the tenant is due; while it is claimed it is when the claim runs
-- out, so that an expired lease is simply due again. Rows are claimed with FOR UPDATE SKIP LOCKED.
CREATE TABLE "tenants" (
	"id" text PRIMARY KEY NOT NULL,
	"spec" jsonb NOT NULL,
	"company_identity" text NOT NULL,                        -- ConnectWise's site and company
	"console_identity" text,                                 -- Umbrella's console, once it is known
	"generation" integer DEFAULT 1 NOT NULL,                 -- grows with each change of spec
	"deleting" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"updated_at" timestamp with time zone DEFAULT now() NOT NULL,
	"next_run_at" timestamp with time zone DEFAULT now(),    -- null: waits for a trigger
	"claim_owner" text,                                      -- null: nobody runs it
	"claim_token" bigint DEFAULT 0 NOT NULL,                 -- grows with each claim: the fence
	"trigger_seq" bigint DEFAULT 0 NOT NULL,                 -- the last trigger
	"run_seq" bigint DEFAULT 0 NOT NULL,                     -- the last trigger when the present run began
	"handled_seq" bigint DEFAULT 0 NOT NULL,                 -- the last trigger that a finished run answered
	"trigger_cause" text,
	"failures" integer DEFAULT 0 NOT NULL                    -- failed runs in a row
);
--> statement-breakpoint
CREATE UNIQUE INDEX "tenants_company_identity" ON "tenants" USING btree ("company_identity");
--> statement-breakpoint
CREATE UNIQUE INDEX "tenants_console_identity" ON "tenants" USING btree ("console_identity") WHERE "console_identity" is not null;
--> statement-breakpoint
CREATE INDEX "tenants_due" ON "tenants" USING btree ("next_run_at") WHERE "next_run_at" is not null;
--> statement-breakpoint
-- Every run rewrites the row twice: room on the page for it, and a vacuum that does not wait for a fifth of
-- the table.
ALTER TABLE "tenants" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
--> statement-breakpoint

-- ── statuses: what the last run found ────────────────────────────────────────────────────────────────────
CREATE TABLE "statuses" (
	"tenant_id" text PRIMARY KEY NOT NULL,
	"observed_generation" integer NOT NULL,
	"ready" text NOT NULL,                                   -- the conditions summed up, for lists
	"facts" jsonb NOT NULL,                                  -- what was last seen, with time and source
	"memory" jsonb NOT NULL,                                 -- what was learned and outlives every run
	"conditions" jsonb NOT NULL,
	"drift" jsonb NOT NULL,
	"plan" jsonb NOT NULL,
	"observed_at" timestamp with time zone NOT NULL,
	CONSTRAINT "statuses_ready" CHECK ("ready" in ('True', 'False', 'Unknown')),
	CONSTRAINT "statuses_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- Rewritten in place by every run that observed something; no index but the key, so that updates stay HOT.
ALTER TABLE "statuses" SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
--> statement-breakpoint

-- ── credentials: key pairs, sealed by the vault ──────────────────────────────────────────────────────────
CREATE TABLE "credentials" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"purpose" text NOT NULL,
	"state" text NOT NULL,
	"fingerprint" text NOT NULL,                             -- names the pair everywhere else
	"member" text,                                           -- the API member that it was given for
	"origin" text NOT NULL,                                  -- the only place that it may be sent to
	"sealed" text NOT NULL,                                  -- JWE, bound to tenant, id, purpose and origin
	"handoff_id" text,                                       -- the hand-off that it was submitted to
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"state_since" timestamp with time zone DEFAULT now() NOT NULL,
	"state_because" text NOT NULL,
	"last_proved_at" timestamp with time zone,
	CONSTRAINT "credentials_state" CHECK ("state" in ('candidate', 'active', 'superseded', 'refused', 'dead')),
	CONSTRAINT "credentials_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- At most one pair is in use for each purpose of a tenant.
CREATE UNIQUE INDEX "credentials_one_active" ON "credentials" USING btree ("tenant_id","purpose") WHERE "state" = 'active';
--> statement-breakpoint
CREATE INDEX "credentials_of_tenant" ON "credentials" USING btree ("tenant_id");
--> statement-breakpoint

-- ── handoffs: work that only a person can do ─────────────────────────────────────────────────────────────
CREATE TABLE "handoffs" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"kind" text NOT NULL,
	"subject" text NOT NULL,                                 -- a role, a member, a fingerprint
	"state" text DEFAULT 'open' NOT NULL,
	"content" jsonb NOT NULL,                                -- title, steps, what closes it; safe to show
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"deadline" timestamp with time zone NOT NULL,
	"overdue_since" timestamp with time zone,
	"claimed_by" text,
	"claimed_at" timestamp with time zone,
	"submitted_by" text,
	"submitted_at" timestamp with time zone,
	"attested" boolean DEFAULT false NOT NULL,               -- said by a person, shown by nothing
	"closed_at" timestamp with time zone,
	"evidence" text,
	CONSTRAINT "handoffs_state" CHECK ("state" in ('open', 'claimed', 'submitted', 'closed', 'withdrawn')),
	CONSTRAINT "handoffs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- The same work is asked for once at a time.
CREATE UNIQUE INDEX "handoffs_one_live" ON "handoffs" USING btree ("tenant_id","kind","subject") WHERE state in ('open', 'claimed', 'submitted');
--> statement-breakpoint
CREATE INDEX "handoffs_live" ON "handoffs" USING btree ("deadline") WHERE state in ('open', 'claimed', 'submitted');
--> statement-breakpoint
CREATE INDEX "handoffs_of_tenant" ON "handoffs" USING btree ("tenant_id");
--> statement-breakpoint

-- ── intents: what was about to be done outside, committed before it was done ─────────────────────────────
CREATE TABLE "intents" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"key" text NOT NULL,                                     -- can be looked up outside: member:umbrella-a
	"action" text NOT NULL,
	"request" jsonb,
	"outcome" text DEFAULT 'open' NOT NULL,                  -- unknown: the answer was lost; still open
	"note" text,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"settled_at" timestamp with time zone,
	CONSTRAINT "intents_outcome" CHECK ("outcome" in ('open', 'unknown', 'applied', 'not-applied')),
	CONSTRAINT "intents_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX "intents_one_open" ON "intents" USING btree ("tenant_id","key") WHERE outcome in ('open', 'unknown');
--> statement-breakpoint
-- For the fleet's cap: how many were opened within the last hour.
CREATE INDEX "intents_opened" ON "intents" USING btree ("opened_at");
--> statement-breakpoint
CREATE INDEX "intents_of_tenant" ON "intents" USING btree ("tenant_id");
--> statement-breakpoint

-- ── owned_objects: what Parasol may write outside, and why ───────────────────────────────────────────────
CREATE TABLE "owned_objects" (
	"tenant_id" text NOT NULL,
	"kind" text NOT NULL,
	"name" text NOT NULL,
	"external_id" bigint NOT NULL,
	"how" text NOT NULL,
	"since" timestamp with time zone NOT NULL,
	CONSTRAINT "owned_objects_tenant_id_kind_name_pk" PRIMARY KEY("tenant_id","kind","name"),
	CONSTRAINT "owned_objects_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint

-- ── runs: one row a reconcile ────────────────────────────────────────────────────────────────────────────
CREATE TABLE "runs" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"trigger" text NOT NULL,
	"started_at" timestamp with time zone NOT NULL,
	"finished_at" timestamp with time zone NOT NULL,
	"outcome" text NOT NULL,
	"reads" integer NOT NULL,
	"writes" integer NOT NULL,
	"summary" text NOT NULL,
	"actions" jsonb NOT NULL,
	CONSTRAINT "runs_outcome" CHECK ("outcome" in ('succeeded', 'degraded', 'failed')),
	CONSTRAINT "runs_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
CREATE INDEX "runs_of_tenant" ON "runs" USING btree ("tenant_id","id");
--> statement-breakpoint

-- ── events: what happened, in words; append only ─────────────────────────────────────────────────────────
-- No foreign key: the history of a deleted tenant stays.
CREATE TABLE "events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"tenant_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"type" text NOT NULL,
	"message" text NOT NULL,
	"data" jsonb
);
--> statement-breakpoint
CREATE INDEX "events_of_tenant" ON "events" USING btree ("tenant_id","id");
--> statement-breakpoint

-- ── tokens: who may use the API, by hash ─────────────────────────────────────────────────────────────────
CREATE TABLE "tokens" (
	"id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"hash" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone
);
--> statement-breakpoint
CREATE UNIQUE INDEX "tokens_hash" ON "tokens" USING btree ("hash");
--> statement-breakpoint

-- ── vault_checks: a known text under each key-encryption key, to tell the wrong key at start ─────────────
CREATE TABLE "vault_checks" (
	"kid" text PRIMARY KEY NOT NULL,
	"sealed" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
