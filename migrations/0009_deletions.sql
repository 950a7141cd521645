-- How the end of a tenant was asked for: since when, by whom and why, and whether it is waited for until it was
-- seen. Null: it is not being deleted.
ALTER TABLE "tenants" ADD COLUMN "deletion" jsonb;
--> statement-breakpoint

-- Of those that wait at this moment nobody wrote down who asked.
UPDATE "tenants"
   SET "deletion" = jsonb_build_object(
         'since', to_char("updated_at" AT TIME ZONE 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
         'by', null, 'reason', null, 'unseen', false)
 WHERE "deleting";
--> statement-breakpoint
ALTER TABLE "tenants" ADD CONSTRAINT "tenants_deletion" CHECK ("tenants"."deleting" = ("tenants"."deletion" is not null));
