import { and, eq, sql } from 'drizzle-orm';
import type { Waiting } from '../domain/waiting.ts';
import type { Claim, NewEvent } from '../reconciler/ports.ts';
import type { Executor } from './database.ts';
import { addEvents } from './events.ts';
import { tenants } from './tenants.ts';

/**
 * Gives a claim back of a tenant that waits for a vendor's budget. What was triggered meanwhile asks at once, and is
 * told to wait itself. False: the claim was lost.
 */
export async function deferTenant(
  tx: Executor,
  { tenantId, token, owner }: Claim,
  waiting: Waiting,
  inMs: number,
  events: NewEvent[],
): Promise<boolean> {
  const { rowCount } = await tx
    .update(tenants)
    .set({
      claimOwner: null,
      waiting,
      nextRunAt: sql`case when ${tenants.triggerSeq} > ${tenants.runSeq} then now()
                          else now() + ${inMs} * interval '1 millisecond' end`,
    })
    .where(and(eq(tenants.id, tenantId), eq(tenants.claimToken, token), eq(tenants.claimOwner, owner)));
  if (rowCount !== 1) return false;
  await addEvents(tx, tenantId, events);
  return true;
}

/** Of a tenant whose row is locked. */
export async function keepWaiting(tx: Executor, tenantId: string, waiting: Waiting | null): Promise<void> {
  await tx.update(tenants).set({ waiting }).where(eq(tenants.id, tenantId));
}
