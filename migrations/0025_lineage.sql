-- Which database this is, so that one that was restored is told: what it knows may be older than what was done since.
CREATE TABLE "lineage" (
	"only" boolean PRIMARY KEY DEFAULT true NOT NULL,
	"identity" text NOT NULL,
	CONSTRAINT "lineage_only" CHECK ("lineage"."only")
);
