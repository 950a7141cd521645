import { eq, inArray, sql } from 'drizzle-orm';
import type { Executor } from './database.ts';
import { TRIGGER_CHANNEL } from './database.ts';
import { tenants } from './tenants.ts';

const triggered = (cause: string) => ({
  triggerSeq: sql`${tenants.triggerSeq} + 1`,
  triggerCause: cause,
  nextRunAt: sql`case when ${tenants.claimOwner} is null then least(${tenants.nextRunAt}, now()) else ${tenants.nextRunAt} end`,
});

/**
 * Asks for a run in the caller's transaction, so that a cause is never committed without its trigger.
 * A tenant that waits becomes due at once; one that runs keeps its lease, and `record` sees the higher number
 * and makes it due again: one more run, however many triggers. `resetBackoff`: the spec or a key changed, so
 * that earlier failures say nothing any more. Returns the trigger's number; null: no such tenant.
 */
export async function triggerTenant(
  tx: Executor,
  id: string,
  cause: string,
  resetBackoff: boolean,
): Promise<number | null> {
  const [row] = await tx
    .update(tenants)
    .set({ ...triggered(cause), ...(resetBackoff ? { failures: 0 } : {}) })
    .where(eq(tenants.id, id))
    .returning({ triggerSeq: tenants.triggerSeq, told: sql`pg_notify(${TRIGGER_CHANNEL}, ${tenants.id})` });
  return row?.triggerSeq ?? null;
}

/** The same for many tenants, which are locked; their triggers' numbers. */
export async function triggerTenants(
  tx: Executor,
  ids: string[],
  cause: string,
): Promise<{ tenant: string; trigger: number }[]> {
  if (ids.length === 0) return [];
  const rows = await tx
    .update(tenants)
    .set(triggered(cause))
    .where(inArray(tenants.id, ids))
    .returning({ tenant: tenants.id, trigger: tenants.triggerSeq });
  await tx.execute(
    sql`select pg_notify(${TRIGGER_CHANNEL}, id) from unnest(${sql.param(ids)}::text[]) as id`,
  );
  return rows;
}
