import { eq, sql } from 'drizzle-orm';
import type { Executor } from './database.ts';
import { TRIGGER_CHANNEL } from './database.ts';
import { tenants } from './tenants.ts';

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
    .set({
      triggerSeq: sql`${tenants.triggerSeq} + 1`,
      triggerCause: cause,
      nextRunAt: sql`case when ${tenants.claimOwner} is null then least(${tenants.nextRunAt}, now()) else ${tenants.nextRunAt} end`,
      ...(resetBackoff ? { failures: 0 } : {}),
    })
    .where(eq(tenants.id, id))
    .returning({ triggerSeq: tenants.triggerSeq, told: sql`pg_notify(${TRIGGER_CHANNEL}, ${tenants.id})` });
  return row?.triggerSeq ?? null;
}
