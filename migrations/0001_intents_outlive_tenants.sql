-- An intent outlives its tenant until retention takes it: the fleet's cap counts what was done within the last
-- hour, and removing tenants must not make room for more.
ALTER TABLE "intents" DROP CONSTRAINT "intents_tenant_id_tenants_id_fk";
--> statement-breakpoint
ALTER TABLE "intents" ALTER COLUMN "tenant_id" DROP NOT NULL;
--> statement-breakpoint
ALTER TABLE "intents" ADD CONSTRAINT "intents_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE set null;
