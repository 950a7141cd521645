-- The fleet's brake: where many tenants come to differ alike, nothing is changed in them until somebody looked.
-- A fleet that conforms has no rows here.

-- ── sightings: each way in which a tenant differs, or did within the brake's window ──────────────────────
-- Nothing to fill in: what a tenant shows already is kept by its next run, and is not new to it.
CREATE TABLE "sightings" (
	"tenant_id" text NOT NULL,
	"signature" text NOT NULL,                               -- the same words in every tenant: members.*.active different
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"counts" boolean NOT NULL,                               -- new to the tenant, and a repair would change something
	"gone_at" timestamp with time zone,                      -- null: it still differs so
	CONSTRAINT "sightings_tenant_id_signature_pk" PRIMARY KEY("tenant_id","signature"),
	CONSTRAINT "sightings_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- How many came to differ so, and since when.
CREATE INDEX "sightings_of_signature" ON "sightings" USING btree ("signature","since");
--> statement-breakpoint
-- For retention.
CREATE INDEX "sightings_gone" ON "sightings" USING btree ("gone_at") WHERE gone_at is not null;
--> statement-breakpoint

-- ── brakes: each stop of the fleet, on as long as it was neither released nor ended ──────────────────────
CREATE TABLE "brakes" (
	"id" text PRIMARY KEY NOT NULL,
	"signatures" text[] NOT NULL,                            -- it holds every tenant that shows one of these
	"set_at" timestamp with time zone DEFAULT now() NOT NULL,
	"counted" integer NOT NULL,                              -- tenants that had come to differ so when it was set
	"fleet" integer NOT NULL,                                -- tenants that there were
	"released_at" timestamp with time zone,                  -- for all tenants
	"released_by" text,
	"reason" text,
	"without_canary" boolean DEFAULT false NOT NULL,         -- nobody had seen how one tenant took it
	"ended_at" timestamp with time zone                      -- no tenant differed so any more
);
--> statement-breakpoint
-- Those that are on: nearly always none, and asked for by every run.
CREATE INDEX "brakes_on" ON "brakes" USING btree ("set_at") WHERE released_at is null and ended_at is null;
--> statement-breakpoint

-- ── brake_releases: tenants that were released before all were ───────────────────────────────────────────
CREATE TABLE "brake_releases" (
	"brake_id" text NOT NULL,
	"tenant_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"by" text NOT NULL,
	"reason" text NOT NULL,
	"trigger" bigint NOT NULL,                               -- the number of the run that followed
	CONSTRAINT "brake_releases_brake_id_tenant_id_pk" PRIMARY KEY("brake_id","tenant_id"),
	CONSTRAINT "brake_releases_brake_id_brakes_id_fk" FOREIGN KEY ("brake_id") REFERENCES "public"."brakes"("id") ON DELETE cascade,
	CONSTRAINT "brake_releases_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- An event may be the fleet's, and no tenant's.
ALTER TABLE "events" ALTER COLUMN "tenant_id" DROP NOT NULL;
