import { sql, type SQL } from 'drizzle-orm';
import type { Scope } from '../domain/access.ts';
import type { Condition } from '../domain/condition.ts';
import type { Hold } from '../domain/brake.ts';
import type { PartTimes } from '../domain/part.ts';
import type { Observed } from '../domain/readiness.ts';
import type { Pause } from '../domain/pause.ts';
import { EVERYBODY, type TenantFilter, type TenantSort } from '../domain/tenant-filter.ts';
import type { Desk, TenantRow } from '../reconciler/ports.ts';
import { isoOrNull, keepable, toJson } from './columns.ts';
import { datedConditions } from './findings.ts';
import type { Executor } from './database.ts';
import { listings, RANK, SINCE } from './listings.ts';
import { rowOf, type Json } from './rows.ts';
import { BRAKE_NOW } from './brake-sql.ts';
import { PAUSE_NOW, tenants, toTenant } from './tenants.ts';
import { visibleTo } from './visible.ts';

/** What a filter demands of a row of `listings`; true for none. */
function meets({ ids, ready, marks, mode, labels, drift, words }: TenantFilter): SQL {
  const exact = labels.filter(({ value }) => value !== null);
  const present = labels.filter(({ value }) => value === null).map(({ key }) => key);
  const demands = [
    ids && sql`listings.tenant_id = any(${array(ids)})`,
    ready.length > 0 &&
      sql`${sql.raw(RANK)} = any(array[${sql.raw(ready.map((truth) => RANKS[truth]).join(', '))}])`,
    marks.length > 0 && sql`listings.marks @> ${array(marks)}`,
    mode && sql`listings.mode = ${mode}`,
    ...exact.map(({ key, value }) => sql`listings.labels @> ${toJson({ [key]: value })}::jsonb`),
    present.length > 0 && sql`listings.labels ?& ${array(present)}`,
    drift === false && sql`listings.drift = '{}'`,
    drift !== null && drift !== false && sql`listings.drift <> '{}'`,
    typeof drift === 'string' &&
      sql`exists (select from unnest(listings.drift) as path where starts_with(path, ${keepable(drift)}))`,
    words !== null && sql`strpos(listings.words, ${keepable(words.toLowerCase())}) > 0`,
  ].filter((demand) => typeof demand === 'object' && demand !== null);
  return demands.length === 0 ? sql`true` : sql.join(demands, sql` and `);
}

/** The same, and that the tenant exists for the bearer of a scope. */
export function demandsOf(filter: TenantFilter, scope: Scope | null): SQL {
  const visible = visibleTo(scope, listings.tenantId, sql`${listings.labels}`);
  return visible ? sql`${meets(filter)} and ${visible}` : meets(filter);
}

const RANKS = { False: 0, Unknown: 1, True: 2 } as const;
const array = (items: readonly string[]) => sql`${sql.param(items.map(keepable))}::text[]`;

/** By what each sort orders, in which row, and that value as a cursor carries it. */
const SORTS: Record<TenantSort, { key: string; of: 'listings' | 'tenants'; text: string; type: string }> = {
  id: { key: 'listings.tenant_id', of: 'listings', text: 'by', type: 'text' },
  name: { key: 'listings.words', of: 'listings', text: 'by', type: 'text' },
  ready: { key: `(${RANK})`, of: 'listings', text: 'by::text', type: 'integer' },
  since: { key: SINCE, of: 'listings', text: timeText('by'), type: 'timestamptz' },
  next: { key: 'tenants.next_run_at', of: 'tenants', text: timeText('by'), type: 'timestamptz' },
};

/** To the microsecond: a rounded one would show a row twice, or skip one. */
function timeText(time: string): string {
  return `case when isfinite(${time}) then to_char(${time} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') else 'infinity' end`;
}

interface PageRow extends Record<string, unknown> {
  key: string;
  tenant: Json;
  pause: Pause | null;
  brake: Hold | null;
  unready_since: Date | null;
  drift: number;
  conditions: Condition[] | null;
  observed_at: Date | null;
  parts_at: PartTimes | null;
}

/**
 * Which tenants a page shows is decided by narrow rows and an index of the sort; only theirs are read whole. `next`
 * is the last row's place.
 */
export const pageOfTenants = async (
  db: Executor,
  page: Parameters<Desk['page']>[0],
  scope: Scope | null,
): ReturnType<Desk['page']> => {
  const { limit } = page;
  const { rows } = await db.execute<PageRow>(pageQuery(await narrowed(db, page), scope));
  const shown = rows.slice(0, limit);
  const last = rows.length > limit ? shown.at(-1) : undefined;
  return {
    items: shown.map(toRow),
    next: last ? { key: last.key, id: String(last.tenant['id']) } : null,
  };
};

/** So few that they are looked up one by one; of more, the first in order come soon. */
const FEW = 500;

/**
 * What is due next stands in the wide rows, and PostgreSQL cannot tell how rare a word is: it would look for the
 * last who has it through all of them. Where few have it, they are found first.
 */
async function narrowed(
  db: Executor,
  page: Parameters<Desk['page']>[0],
): Promise<Parameters<Desk['page']>[0]> {
  const { sort, filter } = page;
  if (sort !== 'next' || filter.words === null) return page;
  const { rows } = await db.execute<{ id: string }>(
    sql`select tenant_id as id from listings where ${meets(filter)} limit ${FEW + 1}`,
  );
  if (rows.length > FEW) return page;
  return { ...page, filter: { ...EVERYBODY, ids: rows.map(({ id }) => id) } };
}

export function pageQuery(
  { sort, filter, after, limit }: Parameters<Desk['page']>[0],
  scope: Scope | null,
): SQL {
  const { key, of, text, type } = SORTS[sort];
  const by = sql.raw(key);
  const id = sql.raw(of === 'tenants' ? 'tenants.id' : 'listings.tenant_id');
  const demands = [
    demandsOf(filter, scope),
    ...(of === 'tenants' ? [sql`next_run_at is not null`] : []),
    ...(after === null
      ? []
      : [sql`(${by}, ${id}) > (${keepable(after.key)}::${sql.raw(type)}, ${keepable(after.id)}::text)`]),
  ];
  return sql`
    with page as materialized (
      select listings.tenant_id, ${by} as by, unready_since, cardinality(drift) as drift
        from listings ${of === 'tenants' ? sql`join tenants on tenants.id = listings.tenant_id` : sql``}
       where ${sql.join(demands, sql` and `)}
       order by ${by}, ${id}
       limit ${limit + 1}
    )
    select ${sql.raw(text)} as key, row_to_json(tenants) as tenant, ${sql.raw(PAUSE_NOW)} as pause, ${sql.raw(BRAKE_NOW)} as brake,
           page.unready_since, page.drift,
           statuses.conditions, statuses.observed_at, statuses.parts_at
      from page
      join tenants on tenants.id = page.tenant_id
      left join statuses on statuses.tenant_id = page.tenant_id
     order by page.by, page.tenant_id`;
}

const toRow = ({ tenant, pause, brake, unready_since, drift, ...row }: PageRow): TenantRow => ({
  tenant: toTenant({ ...rowOf(tenants, tenant), pause, brake }),
  observed: toObserved(row),
  unreadySince: unready_since && isoOrNull(new Date(unready_since)),
  drift,
});

function toObserved({
  conditions,
  observed_at,
  parts_at,
}: Pick<PageRow, 'conditions' | 'observed_at' | 'parts_at'>): Observed {
  if (!conditions || !observed_at || !parts_at) return null;
  const observedAt = new Date(observed_at).toISOString();
  return { conditions: datedConditions(conditions, { observedAt, partsAt: parts_at }), observedAt };
}
