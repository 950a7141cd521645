-- What somebody asked for is taken beside what waited longest, however much of that there is.
CREATE INDEX "tenants_asked" ON "tenants" USING btree ("next_run_at") WHERE "trigger_seq" > "handled_seq";
