-- When the parts of a status were seen that a brief look leaves out: what such a look shows again changes times alone.
ALTER TABLE "statuses" ADD COLUMN "parts_at" jsonb DEFAULT '{}'::jsonb NOT NULL;
