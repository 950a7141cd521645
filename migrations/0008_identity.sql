-- Who may do what, and who did it.

-- ── tokens: a role, and perhaps the tenants that it is bound to ──────────────────────────────────────────
-- Until now there were the bootstrap tokens only: the administrator's, and the one that may reveal.
ALTER TABLE "tokens" ADD COLUMN "role" text DEFAULT 'admin' NOT NULL;
--> statement-breakpoint
UPDATE "tokens" SET "role" = 'revealer' WHERE "may_reveal";
--> statement-breakpoint
ALTER TABLE "tokens" ALTER COLUMN "role" DROP DEFAULT;
--> statement-breakpoint
ALTER TABLE "tokens" ADD CONSTRAINT "tokens_role" CHECK ("tokens"."role" in ('viewer', 'operator', 'rotator', 'admin', 'revealer'));
--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "scope" jsonb;                     -- { tenants, labels }; null: bound to none, sees all
--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "created_by" text;                 -- the token that made it; null: the configuration
--> statement-breakpoint
ALTER TABLE "tokens" ADD COLUMN "last_used_at" timestamp with time zone; -- to the minute
--> statement-breakpoint
CREATE UNIQUE INDEX "tokens_name" ON "tokens" USING btree ("name");
--> statement-breakpoint

-- ── audit: who changed what, in the transaction of the change; kept for ever ─────────────────────────────
CREATE TABLE "audit" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "audit_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,                                   -- the token's name, or parasol itself
	"token_id" text,                                         -- no foreign key: it outlives its token
	"role" text,                                             -- the token's, at that time
	"address" text,                                          -- where the request came from
	"request_id" text,                                       -- as in the answer and in the log
	"idempotency_key" text,
	"action" text NOT NULL,                                  -- such as tenant.replace
	"tenant_id" text,                                        -- no foreign key: it outlives its tenant
	"subject" text,                                          -- a hand-off, a rotation, a purpose
	"reason" text,
	"before" jsonb,                                          -- what was changed; secrets as fingerprints
	"after" jsonb
);
--> statement-breakpoint
CREATE INDEX "audit_of_tenant" ON "audit" USING btree ("tenant_id","id");
--> statement-breakpoint
CREATE INDEX "audit_of_actor" ON "audit" USING btree ("actor","id");
--> statement-breakpoint
CREATE INDEX "audit_of_action" ON "audit" USING btree ("action","id");
--> statement-breakpoint
-- Whether a request that is asked again was done already.
CREATE INDEX "audit_of_key" ON "audit" USING btree ("token_id","idempotency_key") WHERE "audit"."idempotency_key" is not null;
--> statement-breakpoint
-- Whoever must remove a row all the same takes the trigger away first, as the table's owner.
CREATE FUNCTION "audit_is_append_only"() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'the audit is append-only: % is refused', TG_OP USING ERRCODE = 'restrict_violation';
END
$$;
--> statement-breakpoint
CREATE TRIGGER "audit_append_only" BEFORE UPDATE OR DELETE OR TRUNCATE ON "audit"
	FOR EACH STATEMENT EXECUTE FUNCTION "audit_is_append_only"();
