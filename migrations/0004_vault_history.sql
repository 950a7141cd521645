-- A pair that has been dead for long keeps its row, and with it its history; its ciphertext goes.
ALTER TABLE "credentials" ALTER COLUMN "sealed" DROP NOT NULL;
--> statement-breakpoint
ALTER TABLE "credentials" ADD COLUMN "destroyed_at" timestamp with time zone; -- when the ciphertext went
--> statement-breakpoint
-- Nothing else goes by time, whatever is asked of the table.
ALTER TABLE "credentials" ADD CONSTRAINT "credentials_destroyed" CHECK (("sealed" is null) = ("destroyed_at" is not null) and ("sealed" is not null or "state" = 'dead'));
--> statement-breakpoint
-- Dead pairs whose ciphertext is still there, by the time of their death.
CREATE INDEX "credentials_dead" ON "credentials" USING btree ("state_since") WHERE state = 'dead' and sealed is not null;
--> statement-breakpoint
-- The history of key-encryption keys: one that was replaced keeps its row. `sealed` is there as long as anything
-- may be sealed under the key; from `retired_at` on nothing new is.
ALTER TABLE "vault_checks" ALTER COLUMN "sealed" DROP NOT NULL;
--> statement-breakpoint
ALTER TABLE "vault_checks" ADD COLUMN "retired_at" timestamp with time zone;
