-- ── budgets: how much was asked of each vendor by all replicas together, and until when it is left alone ──
-- Written with each block of calls that is taken; rows that nobody used for two hours go.
CREATE TABLE "budgets" (
	"scope" text PRIMARY KEY NOT NULL,                       -- a ConnectWise company, or a family of operations of an Umbrella key
	"version" text NOT NULL,                                 -- another one with each change
	"taken" jsonb DEFAULT '[]'::jsonb NOT NULL,              -- of each window: [[slot, calls], …]
	"closed_until" timestamp with time zone NOT NULL,        -- the vendor asked for that
	"queued_until" timestamp with time zone NOT NULL,        -- tenants wait in line until then
	"used_at" timestamp with time zone DEFAULT now() NOT NULL
) WITH (fillfactor = 50);
