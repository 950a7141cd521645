-- ── run_findings: what a run saw and which calls it made, where that differs from the run before ─────────
-- A steady run has no row here: it saw what the newest row before it tells, and its own row does not grow.
CREATE TABLE "run_findings" (
	"tenant_id" text NOT NULL,
	"run_id" text NOT NULL,
	"conditions" jsonb NOT NULL,
	"drift" jsonb NOT NULL,
	"calls" jsonb,                                           -- how many of each kind; null: from before it was kept
	CONSTRAINT "run_findings_tenant_id_run_id_pk" PRIMARY KEY("tenant_id","run_id"),
	CONSTRAINT "run_findings_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade
);
--> statement-breakpoint
-- What the last run of each tenant saw is what its status says.
INSERT INTO "run_findings" ("tenant_id", "run_id", "conditions", "drift")
SELECT "tenant_id", (SELECT max("id") FROM "runs" WHERE "runs"."tenant_id" = "statuses"."tenant_id"), "conditions", "drift"
  FROM "statuses"
 WHERE EXISTS (SELECT FROM "runs" WHERE "runs"."tenant_id" = "statuses"."tenant_id");
