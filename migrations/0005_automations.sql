-- Work that is given to a tenant's automation, and how its answer is known and opened.

-- State, address, attempts and the last error; null: a person does it, and nobody else ever did.
ALTER TABLE "handoffs" ADD COLUMN "automation" jsonb;
--> statement-breakpoint

-- ── answer_keys: one a hand-off, the same for every attempt to deliver it ────────────────────────────────
CREATE TABLE "answer_keys" (
	"id" text PRIMARY KEY NOT NULL,                          -- the hand-off's
	"token_hash" text NOT NULL,                              -- SHA-256 of the token that the answer comes with
	"sealed" text,                                           -- the token and the one-time private key; null: destroyed
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "answer_keys_id_handoffs_id_fk" FOREIGN KEY ("id") REFERENCES "public"."handoffs"("id") ON DELETE cascade
);
--> statement-breakpoint
CREATE UNIQUE INDEX "answer_keys_token" ON "answer_keys" USING btree ("token_hash");
