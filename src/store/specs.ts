import { and, asc, eq, gt, inArray, sql } from 'drizzle-orm';
import type { Scope } from '../domain/access.ts';
import type { HeldCredential } from '../domain/credential.ts';
import type { Desk, StoredTenant } from '../reconciler/ports.ts';
import { credentials, toCredential } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { toJson } from './columns.ts';
import { listings } from './listings.ts';
import { tenantColumns, tenants, toTenant, type TenantRow } from './tenants.ts';
import { visibleTo } from './visible.ts';

/** Whole specs of a part of the fleet: for files of them, and for what no file has any more. */
export async function pageOfSpecs(
  db: Database,
  { labels, after, limit }: Parameters<Desk['specs']>[0],
  scope: Scope | null,
): ReturnType<Desk['specs']> {
  const carried = labels.map(({ key, value }) =>
    value === null
      ? sql`${listings.labels} ? ${key}`
      : sql`${listings.labels} @> ${toJson({ [key]: value })}::jsonb`,
  );
  return db.transaction(
    async (tx) => {
      const rows = await tx
        .select(tenantColumns)
        .from(tenants)
        .innerJoin(listings, eq(listings.tenantId, tenants.id))
        .where(and(...carried, after === null ? undefined : gt(tenants.id, after), visibleTo(scope)))
        .orderBy(asc(tenants.id))
        .limit(limit + 1);
      const items = await withCredentials(tx, rows.slice(0, limit));
      return { items, next: rows.length > limit ? (items.at(-1)?.tenant.id ?? null) : null };
    },
    { isolationLevel: 'repeatable read', accessMode: 'read only' },
  );
}

/** Tenants with every credential that they ever had, oldest first. */
export async function withCredentials(
  tx: Executor,
  rows: TenantRow[],
): Promise<{ tenant: StoredTenant; credentials: HeldCredential[] }[]> {
  if (rows.length === 0) return [];
  const ids = rows.map(({ id }) => id);
  const held = await tx
    .select()
    .from(credentials)
    .where(inArray(credentials.tenantId, ids))
    .orderBy(asc(credentials.createdAt), asc(credentials.id));
  const byTenant = Map.groupBy(held, ({ tenantId }) => tenantId);
  return rows.map((row) => ({
    tenant: toTenant(row),
    credentials: (byTenant.get(row.id) ?? []).map(toCredential),
  }));
}
