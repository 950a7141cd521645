-- What lists, filters and counts of the fleet read, so that they need not read what every run rewrites.

-- ── listings: one narrow row a tenant ────────────────────────────────────────────────────────────────────
-- Follows from `tenants.spec` and `statuses`, is written in the transaction that changes either, and only where
-- it differs: a quiet run leaves it alone.
CREATE TABLE "listings" (
	"tenant_id" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"mode" text NOT NULL,
	"paused" boolean NOT NULL,                               -- by the spec
	"labels" jsonb NOT NULL,
	"words" text NOT NULL,                                   -- name, id and company, lower case: for searching and sorting
	"holds_ms" bigint NOT NULL,                              -- for how long what a run saw holds
	"key_max_age_ms" bigint NOT NULL,                        -- when an integration key is to be rotated
	"ready" text NOT NULL,                                   -- Unknown: of another spec, or seen too long ago
	"unready_since" timestamp with time zone,                -- null: it is ready
	"marks" text[] NOT NULL,                                 -- RoleReady=False, RoleReady=False/LevelsMissing, …
	"drift" text[] NOT NULL,                                 -- paths
	CONSTRAINT "listings_ready" CHECK ("listings"."ready" in ('True', 'False', 'Unknown')),
	CONSTRAINT "listings_unready_since" CHECK (("listings"."unready_since" is null) = ("listings"."ready" = 'True')),
	CONSTRAINT "listings_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
INSERT INTO "listings"
SELECT tenants.id, spec ->> 'name', spec ->> 'mode', (spec ->> 'paused')::boolean, spec -> 'labels',
       lower(concat_ws(E'\n', spec ->> 'name', tenants.id, spec #>> '{connectwise,companyId}')),
       greatest(4 * every.ms, 300000), max_age.ms, seen.ready,
       case when seen.ready <> 'True' then coalesce(
         (select min((c ->> 'lastTransitionTime')::timestamptz) from jsonb_array_elements(conditions) as c
           where c ->> 'type' not in ('Braked', 'Paused') and c ->> 'status' <> 'True' and c ->> 'reason' <> 'NothingMapped'),
         tenants.updated_at) end,
       array(select mark from jsonb_array_elements(conditions) with ordinality as c (one, place),
               lateral (values (0, one ->> 'type' || '=' || (one ->> 'status')),
                               (1, one ->> 'type' || '=' || (one ->> 'status') || '/' || (one ->> 'reason'))) as m (nth, mark)
              order by place, nth),
       array(select distinct d ->> 'path' collate "C" as path from jsonb_array_elements(drift) as d order by path)
  FROM tenants
  LEFT JOIN statuses ON statuses.tenant_id = tenants.id
 CROSS JOIN LATERAL (SELECT case when observed_generation >= generation then statuses.ready else 'Unknown' end AS ready) AS seen
 CROSS JOIN LATERAL (SELECT spec ->> 'every' AS every, spec #>> '{rotation,maxAge}' AS max_age) AS written
 -- Durations are a number and a unit. A cron expression is taken for a weekly one until its spec is applied again.
 CROSS JOIN LATERAL (SELECT case when written.every ~ '^\d+(ms|s|m|h|d|w)$' then
     substring(written.every from '^\d+')::bigint * ('{"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000}'::jsonb ->> substring(written.every from '[a-z]+$'))::bigint
     else 604800000 end AS ms) AS every
 CROSS JOIN LATERAL (SELECT
     substring(written.max_age from '^\d+')::bigint * ('{"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000, "w": 604800000}'::jsonb ->> substring(written.max_age from '[a-z]+$'))::bigint
     AS ms) AS max_age;
--> statement-breakpoint
-- In a database whose locale knows only English letters, `lower` leaves others as they are.
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN
    EXECUTE 'UPDATE listings SET words = lower(words COLLATE "und-x-icu")';
  END IF;
END $$;
--> statement-breakpoint
CREATE INDEX "listings_by_name" ON "listings" USING btree ("words");
--> statement-breakpoint
-- The worst first: False, Unknown, True.
CREATE INDEX "listings_by_ready" ON "listings" USING btree ((case "ready" when 'False' then 0 when 'Unknown' then 1 else 2 end),"tenant_id");
--> statement-breakpoint
-- Not ready for longest first, what is ready last.
CREATE INDEX "listings_by_since" ON "listings" USING btree ((coalesce("unready_since", 'infinity'::timestamptz)),"tenant_id");
--> statement-breakpoint
CREATE INDEX "listings_of_mode" ON "listings" USING btree ("mode","tenant_id");
--> statement-breakpoint
CREATE INDEX "listings_labels" ON "listings" USING gin ("labels");
--> statement-breakpoint
CREATE INDEX "listings_marks" ON "listings" USING gin ("marks");
--> statement-breakpoint
CREATE INDEX "listings_drifting" ON "listings" USING btree ("tenant_id") WHERE drift <> '{}';
--> statement-breakpoint
-- The fleet's failing tenants: nearly always few.
CREATE INDEX "tenants_failing" ON "tenants" USING btree ("id") WHERE "failures" > 0;
