import { and, inArray, or, sql, type AnyColumn, type SQL } from 'drizzle-orm';
import type { Scope } from '../domain/access.ts';
import type { LabelSelector } from '../domain/labels.ts';
import { listings } from './listings.ts';
import { tenants } from './tenants.ts';

const SPEC_LABELS = sql`${tenants.spec} -> 'labels'`;

/**
 * The rows of those tenants that exist for the bearer of a scope, for a `where`: by the column that holds the
 * tenant's id, and by the labels where the same row has them as `jsonb`. Undefined: all rows. What outlives its
 * tenant is seen by who is bound to the tenant's id; its labels went with it.
 *
 * ```ts
 * db.select().from(events).where(and(eq(events.type, type), visibleTo(caller.scope, events.tenantId)));
 * db.select().from(listings).where(visibleTo(caller.scope, listings.tenantId, sql`${listings.labels}`));
 * ```
 */
export function visibleTo(
  scope: Scope | null,
  tenantId: AnyColumn = tenants.id,
  labels: SQL | null = tenantId === tenants.id ? SPEC_LABELS : null,
): SQL | undefined {
  if (scope === null) return undefined;
  const carried = carriesAll(scope.labels, labels ?? sql`${listings.labels}`);
  return or(
    sql`false`,
    scope.tenants.length > 0 ? inArray(tenantId, scope.tenants) : undefined,
    carried && labels === null
      ? sql`exists (select 1 from ${listings} where ${listings.tenantId} = ${tenantId} and ${carried})`
      : carried,
  );
}

/** Undefined: no labels name nobody. */
const carriesAll = (labels: LabelSelector[], column: SQL): SQL | undefined =>
  and(
    ...labels.map(({ key, value }) =>
      value === null ? sql`${column} ? ${key}` : sql`${column} ->> ${key} = ${value}`,
    ),
  );
