-- As soon as a replica's session is gone, another takes its tenants over, long before their leases run out. Until then
-- the one that lost its session may still be at work, so that nothing is taken away from anybody.
ALTER TABLE "tenants" ADD COLUMN "takeover_until" timestamp with time zone;
