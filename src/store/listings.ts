import { sql } from 'drizzle-orm';
import { bigint, boolean, check, index, pgTable } from 'drizzle-orm/pg-core';
import type { Truth } from '../domain/condition.ts';
import type { Labels } from '../domain/labels.ts';
import { listedSpec } from '../domain/listing.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import { instant, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** What is worst comes first. */
export const RANK = `case "ready" when 'False' then 0 when 'Unknown' then 1 else 2 end`;
/** Not ready for longest comes first, and what is ready last. */
export const SINCE = `coalesce("unready_since", 'infinity'::timestamptz)`;

/**
 * What lists, filters and counts read: one narrow row a tenant, apart from the rows that every run rewrites. It is
 * written with what it follows from, in the same transaction, and only where it differs.
 */
export const listings = pgTable(
  'listings',
  {
    tenantId: text('tenant_id')
      .primaryKey()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    name: text('name').notNull(),
    mode: text('mode').$type<TenantSpec['mode']>().notNull(),
    paused: boolean('paused').notNull(),
    labels: jsonb<Labels>('labels').notNull(),
    words: text('words').notNull(),
    holdsMs: bigint('holds_ms', { mode: 'number' }).notNull(),
    keyMaxAgeMs: bigint('key_max_age_ms', { mode: 'number' }).notNull(),
    /** Of the last run; `Unknown` from another spec on, and once it was too long ago. */
    ready: text('ready').$type<Truth>().notNull(),
    unreadySince: instant('unready_since'),
    marks: text('marks').array().notNull(),
    /** The same where `marks` are: to count those that are alike without comparing what they say. */
    alike: bigint('alike', { mode: 'bigint' }).generatedAlwaysAs(sql`hash_array_extended(marks, 0)`),
    drift: text('drift').array().notNull(),
  },
  (table) => [
    check('listings_ready', sql`${table.ready} in ('True', 'False', 'Unknown')`),
    check('listings_unready_since', sql`(${table.unreadySince} is null) = (${table.ready} = 'True')`),
    index('listings_by_name').on(table.words),
    index('listings_by_ready').on(sql.raw(`(${RANK})`), table.tenantId),
    index('listings_by_since').on(sql.raw(`(${SINCE})`), table.tenantId),
    index('listings_of_mode').on(table.mode, table.tenantId),
    index('listings_labels').using('gin', table.labels),
    index('listings_marks').using('gin', table.marks),
    index('listings_drifting')
      .on(table.tenantId)
      .where(sql`drift <> '{}'`),
  ],
);

/** A tenant of which the spec was written; `fresh`: another generation than before, of which nothing was seen yet. */
export interface ToList {
  spec: TenantSpec;
  now: Date;
  fresh: boolean;
}

/** Rows of one statement. */
const BATCH = 500;

/** Lists tenants as their specs have them. */
export async function listSpecs(tx: Executor, specs: readonly ToList[]): Promise<void> {
  for (const isFresh of [true, false]) {
    const rows = specs.filter(({ fresh }) => fresh === isFresh);
    for (let from = 0; from < rows.length; from += BATCH) {
      await listAlike(tx, rows.slice(from, from + BATCH), isFresh);
    }
  }
}

const OF_SPEC = ['name', 'mode', 'paused', 'labels', 'words', 'holds_ms', 'key_max_age_ms'];
const rowOf = (table: string) => sql.raw(`(${OF_SPEC.map((column) => `${table}.${column}`).join(', ')})`);

async function listAlike(tx: Executor, specs: readonly ToList[], fresh: boolean): Promise<void> {
  const excluded = (column: string) => sql.raw(`excluded.${column}`);
  const unseen = {
    ready: excluded('ready'),
    unreadySince: sql`coalesce(${listings.unreadySince}, excluded.unready_since)`,
  };
  await tx
    .insert(listings)
    .values(
      specs.map(({ spec, now }) => ({
        tenantId: spec.id,
        ...listedSpec(spec, now),
        ready: 'Unknown' as const,
        unreadySince: now,
        marks: [],
        drift: [],
      })),
    )
    .onConflictDoUpdate({
      target: listings.tenantId,
      set: {
        name: excluded('name'),
        mode: excluded('mode'),
        paused: excluded('paused'),
        labels: excluded('labels'),
        words: excluded('words'),
        holdsMs: excluded('holds_ms'),
        keyMaxAgeMs: excluded('key_max_age_ms'),
        ...(fresh ? unseen : {}),
      },
      setWhere: sql`${fresh} or ${rowOf('listings')} is distinct from ${rowOf('excluded')}`,
    });
}

/**
 * Lists what runs saw, as a part of the statement that records them: `locked` has the tenants, `given` their
 * findings; null marks and drift are those that are listed. Where nothing differs nothing is written.
 */
export const LIST_FINDINGS = `
  update listings
     set ready = seen.ready,
         marks = coalesce(seen.marks, listings.marks),
         drift = coalesce(seen.drift, listings.drift),
         unready_since = case when seen.ready <> 'True' then coalesce(listings.unready_since, seen.at) end
    from (
      select locked.id, marks::text[], drifting::text[] as drift, observed_at as at,
             -- A spec that came during the run was not seen by it.
             case when generation > observed_generation then 'Unknown' else ready end as ready
        from locked join given on tenant_id = locked.id
       where observed_generation is not null
    ) as seen
   where listings.tenant_id = seen.id
     and (listings.ready, listings.marks, listings.drift) is distinct from
         (seen.ready, coalesce(seen.marks, listings.marks), coalesce(seen.drift, listings.drift))`;

/**
 * Unsays what was seen too long ago to hold, where nothing ran since: $1 tenants at most. A row that is held is
 * being changed, and looked at the next time.
 */
export const UNSAY_OLD = `
  with late as materialized (
    select tenants.id
      from tenants
      join listings on listings.tenant_id = tenants.id and listings.ready <> 'Unknown'
      join statuses on statuses.tenant_id = tenants.id
     where statuses.observed_at < now() - holds_ms * interval '1 millisecond'
     order by tenants.id collate "C"
     limit $1
       for update of tenants skip locked
  )
  update listings set ready = 'Unknown', unready_since = coalesce(unready_since, now())
    from late where listings.tenant_id = late.id`;
