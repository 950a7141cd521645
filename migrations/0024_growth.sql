-- The audit is kept for ever. Whoever asks for the last hours of it is not to read all of the years before.
CREATE INDEX "audit_by_time" ON "audit" USING btree ("at");
--> statement-breakpoint
-- One statement records many runs, and cannot give the room of a row that it replaces to the next one: where all rows
-- of a page are of that statement, in place needs as much room again. What is there gets it as it is rewritten.
ALTER TABLE "statuses" SET (fillfactor = 50);
