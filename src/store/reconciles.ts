import { and, eq, sql } from 'drizzle-orm';
import type { Claim, Reconciles } from '../reconciler/ports.ts';
import { changeCredentials, credentialsOf, markProved, toCredential } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { LOCKS, TRIGGER_CHANNEL } from './database.ts';
import { addEvents } from './events.ts';
import { changeHandoffs, listHandoffs } from './handoffs.ts';
import { addIntent, intentsOfLastHour, openIntentsOf, settleIntents } from './intents.ts';
import { addOwned, ownedBy } from './owned.ts';
import { addRun } from './runs.ts';
import { putStatus, statuses, toStatus } from './statuses.ts';
import { tenants, toTenant } from './tenants.ts';

const ONE_SNAPSHOT = { isolationLevel: 'repeatable read', accessMode: 'read only' } as const;

export const createReconciles = (db: Database): Reconciles => ({
  snapshot: (tenantId) =>
    db.transaction(async (tx) => {
      const [row] = await tx
        .select()
        .from(tenants)
        .leftJoin(statuses, eq(statuses.tenantId, tenants.id))
        .where(eq(tenants.id, tenantId));
      if (!row) return null;
      const held = await credentialsOf(tx, tenantId);
      return {
        tenant: toTenant(row.tenants),
        status: row.statuses && toStatus(row.statuses),
        credentials: held.map(toCredential),
        sealed: Object.fromEntries(
          held.filter(({ state }) => state !== 'dead').map(({ id, sealed }) => [id, sealed]),
        ),
        handoffs: await listHandoffs(tx, { tenant: tenantId, live: true }),
        intents: await openIntentsOf(tx, tenantId),
        owned: await ownedBy(tx, tenantId),
      };
    }, ONE_SNAPSHOT),

  openIntent: (claim, intent, { generation, deleting, perHour }) =>
    db.transaction(async (tx) => {
      const row = await lockClaimed(tx, claim);
      if (!row) return { granted: false, because: 'claim-lost' };
      if (row.generation !== generation || row.deleting !== deleting) {
        return { granted: false, because: 'spec-changed' };
      }
      const known = await openIntentsOf(tx, claim.tenantId);
      if (known.some(({ key }) => key === intent.key)) return { granted: false, because: 'already-open' };
      // Counted by one at a time, or two tenants would both be the last that the cap allows.
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCKS.space}, ${LOCKS.intents})`);
      if ((await intentsOfLastHour(tx)) >= perHour) return { granted: false, because: 'cap' };
      await addIntent(tx, claim.tenantId, intent);
      return { granted: true };
    }),

  record: (claim, result) =>
    db.transaction(async (tx) => {
      const { tenantId } = claim;
      const row = await lockClaimed(tx, claim);
      if (!row) return false;
      await addEvents(tx, tenantId, result.events);
      if (result.forget) {
        if (!row.deleting) throw new Error(`tenant ${tenantId} is not being deleted, so it is not forgotten`);
        // Intents outlive the tenant, for the fleet's cap.
        await settleIntents(tx, tenantId, result.intents);
        await tx.delete(tenants).where(eq(tenants.id, tenantId));
        return true;
      }
      if (result.status) await putStatus(tx, tenantId, result.status);
      await changeCredentials(tx, tenantId, result.credentials);
      await markProved(tx, tenantId, result.provedAt);
      await changeHandoffs(tx, tenantId, result.handoffs);
      await settleIntents(tx, tenantId, result.intents);
      await addOwned(tx, tenantId, result.owned);
      await addRun(tx, tenantId, result.run);
      const triggered = row.triggerSeq > row.runSeq;
      await tx
        .update(tenants)
        .set({
          claimOwner: null,
          handledSeq: row.runSeq,
          // Counted on from the row: a spec or a key that came during the run forgot the failures before it.
          failures: sql`least(${result.next.failures}::int, ${tenants.failures} + 1)`,
          nextRunAt: triggered ? sql`now()` : sql`now() + ${result.next.inMs} * interval '1 millisecond'`,
        })
        .where(eq(tenants.id, tenantId));
      if (triggered) await tx.execute(sql`select pg_notify(${TRIGGER_CHANNEL}, ${tenantId})`);
      return true;
    }),
});

/** The tenant's row, locked until the transaction ends; null where the claim is no longer this one. */
async function lockClaimed(tx: Executor, claim: Claim) {
  const [row] = await tx
    .select({
      deleting: tenants.deleting,
      generation: tenants.generation,
      triggerSeq: tenants.triggerSeq,
      runSeq: tenants.runSeq,
    })
    .from(tenants)
    .where(
      and(
        eq(tenants.id, claim.tenantId),
        eq(tenants.claimToken, claim.token),
        eq(tenants.claimOwner, claim.owner),
      ),
    )
    .for('update');
  return row ?? null;
}
