-- Drift that people accepted: of one path, as it was observed then, until a time. A run takes such a difference as it
-- is; one that became another, or went away, makes the acceptance void.
CREATE TABLE "acceptances" (
	"id" text PRIMARY KEY NOT NULL,
	"tenant_id" text NOT NULL,
	"path" text NOT NULL,                                    -- as the status tells it, such as role.levels.….delete
	"kind" text NOT NULL,
	"desired" text NOT NULL,                                 -- what was wanted then, for whoever reads it later
	"observed" text NOT NULL,                                -- what is accepted: another value is drift
	"subject" text NOT NULL,                                 -- the company, console, role and members that it speaks of
	"by" text NOT NULL,
	"reason" text NOT NULL,
	"accepted_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"announced_at" timestamp with time zone,                 -- when it was told that it is about to expire
	"ended_at" timestamp with time zone,
	"ended" text,
	"because" text,                                          -- why it ended, in words
	CONSTRAINT "acceptances_tenant_id_tenants_id_fk" FOREIGN KEY ("tenant_id") REFERENCES "public"."tenants"("id") ON DELETE cascade,
	CONSTRAINT "acceptances_kind" CHECK ("acceptances"."kind" in ('missing', 'excess', 'different')),
	CONSTRAINT "acceptances_ended" CHECK (("acceptances"."ended_at" is null and "acceptances"."ended" is null) or ("acceptances"."ended_at" is not null and "acceptances"."ended" in ('withdrawn', 'replaced', 'expired', 'void')))
);
--> statement-breakpoint
CREATE UNIQUE INDEX "acceptances_one_live" ON "acceptances" USING btree ("tenant_id","path") WHERE "acceptances"."ended_at" is null;
--> statement-breakpoint
CREATE INDEX "acceptances_of_tenant" ON "acceptances" USING btree ("tenant_id","accepted_at");
