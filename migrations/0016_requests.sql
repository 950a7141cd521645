-- ── requests: what was asked with an Idempotency-Key, and what was answered; kept for a day ──────────────
CREATE TABLE "requests" (
	"token_id" text NOT NULL,                                -- a key is one token's
	"key" text NOT NULL,
	"hash" text NOT NULL,                                    -- of method, address and body, keyed by the token itself
	"request_id" text NOT NULL,                              -- the attempt that may change something at present
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"until" timestamp with time zone NOT NULL,               -- until then that attempt is waited for
	"answer" jsonb,                                          -- { status, headers, body }; null: it is under way, or was lost
	CONSTRAINT "requests_token_id_key_pk" PRIMARY KEY("token_id","key")
);
--> statement-breakpoint
CREATE INDEX "requests_by_age" ON "requests" USING btree ("created_at");
