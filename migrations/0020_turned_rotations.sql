-- A rotation that was led back, and then forward again, did not remember it: its key may be in Umbrella all the same.
UPDATE "rotations"
   SET "record" = jsonb_set("record", '{turned}', 'true')
 WHERE "ended_at" IS NULL
   AND ("record" -> 'reversed' = 'true' OR "record" @? '$.history[*].evidence ? (@ like_regex "took the rollback back: ")');
