import { eq, sql } from 'drizzle-orm';
import { index, pgTable } from 'drizzle-orm/pg-core';
import type { Caller } from '../domain/access.ts';
import type { BulkDecision, BulkOrder, BulkOutcome, BulkRow, DecideBulk } from '../reconciler/ports.ts';
import { EVERYBODY } from '../domain/tenant-filter.ts';
import type { Hold } from '../domain/brake.ts';
import type { Pause } from '../domain/pause.ts';
import { addAudits } from './audit.ts';
import { BRAKE_NOW } from './brake-sql.ts';
import { instant, iso, jsonb, text, toJson } from './columns.ts';
import { TRIGGER_CHANNEL, type Executor } from './database.ts';
import { addEventsOf } from './events.ts';
import { addRotations, rotations, toRotation } from './rotations.ts';
import { rowOf, type Json } from './rows.ts';
import { demandsOf } from './tenant-pages.ts';
import { PAUSE_NOW, tenants, toTenant } from './tenants.ts';

/**
 * What dry runs found: the exact tenants, of one order, of one caller. Used once; from then on it names nobody, so that
 * whoever did not get the answer and confirms again is told that it was done.
 */
export const confirmations = pgTable(
  'confirmations',
  {
    token: text('token').primaryKey(),
    /** The token of the caller, or the caller's name where none was shown. */
    caller: text('caller').notNull(),
    order: jsonb<unknown>('order').notNull(),
    tenants: text('tenants').array().notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [index('confirmations_expiry').on(table.expiresAt)],
);

const GOOD_FOR = '10 minutes';
/** As long as the answer to an `Idempotency-Key`. */
const KNOWN_AS_DONE_FOR = '1 day';

/**
 * Looks, or does all of it in the caller's transaction: `confirmed` is the token of the look that it rests on, null:
 * this is that look.
 */
export async function bulk(
  tx: Executor,
  caller: Caller,
  order: BulkOrder,
  decide: DecideBulk,
  confirmed: string | null,
): Promise<BulkOutcome> {
  const before = confirmed === null ? [] : await redeem(tx, caller, order, confirmed);
  if (!Array.isArray(before)) return { outcome: 'unconfirmed', ...before };
  const found = await meant(tx, caller, order, confirmed !== null);
  const missing = (order.filter.ids ?? []).filter((id) => !found.some((one) => one.id === id));
  // Where other demands are made too, one that is named and not meant may still be there.
  if (missing.length > 0) {
    const there = await meant(tx, caller, { ...order, filter: { ...EVERYBODY, ids: missing } }, false);
    const ids = missing.filter((id) => !there.some((one) => one.id === id));
    if (ids.length > 0) return { outcome: 'missing', ids };
  }
  const decided = found.map((one) => ({ ...one, decision: decide(one.tenant, one.rotation) }));
  const chosen = decided.filter(({ decision }) => decision.do !== 'refuse');
  const ids = chosen.map(({ id }) => id);
  if (confirmed === null) {
    const confirmation = ids.length === 0 ? null : await remember(tx, caller, order, ids);
    return { outcome: 'looked', tenants: decided.map((one) => rowFor(one, null)), confirmation };
  }
  const came = ids.filter((id) => !before.includes(id));
  const went = before.filter((id) => !ids.includes(id));
  if (came.length + went.length > 0) return { outcome: 'changed', came, went };
  await tx
    .update(confirmations)
    .set({ tenants: [], expiresAt: sql`now() + ${KNOWN_AS_DONE_FOR}::interval` })
    .where(eq(confirmations.token, confirmed));
  const triggers = await carryOut(tx, caller, order, chosen);
  return { outcome: 'done', tenants: decided.map((one) => rowFor(one, triggers.get(one.id) ?? null)) };
}

interface Found {
  id: string;
  name: string;
  tenant: ReturnType<typeof toTenant>;
  rotation: ReturnType<typeof toRotation> | null;
}

interface FoundRow extends Record<string, unknown> {
  tenant: Json;
  pause: Pause | null;
  brake: Hold | null;
  rotation: Json | null;
}

/** In the order of their ids, as whoever locks several tenants does: two such never wait for each other. */
async function meant(tx: Executor, caller: Caller, { filter }: BulkOrder, locked: boolean): Promise<Found[]> {
  const rows = await tx.execute<FoundRow>(sql`
    select row_to_json(tenants) as tenant, ${sql.raw(PAUSE_NOW)} as pause, ${sql.raw(BRAKE_NOW)} as brake,
           (select row_to_json(r) from rotations as r
             where r.tenant_id = tenants.id and ended_at is null) as rotation
      from tenants join listings on listings.tenant_id = tenants.id
     where ${demandsOf(filter, caller.scope)}
     order by tenants.id collate "C"
       ${locked ? sql`for update of tenants` : sql``}`);
  return rows.rows.map(({ tenant: row, pause, brake, rotation }) => {
    const tenant = toTenant({ ...rowOf(tenants, row), pause, brake });
    const live = rotation && toRotation(rowOf(rotations, rotation));
    return { id: tenant.id, name: tenant.spec.name, tenant, rotation: live };
  });
}

const callerOf = ({ tokenId, name }: Caller): string => tokenId ?? name;
const orderOf = ({ command, filter }: BulkOrder) => ({ command, filter });

async function remember(tx: Executor, caller: Caller, order: BulkOrder, ids: string[]) {
  await tx.execute(sql`delete from confirmations where expires_at < now()`);
  const [kept] = await tx
    .insert(confirmations)
    .values({
      token: order.token,
      caller: callerOf(caller),
      order: orderOf(order),
      tenants: ids,
      expiresAt: sql`now() + ${GOOD_FOR}::interval`,
    })
    .returning();
  if (!kept) throw new Error('a confirmation was not kept');
  return { token: kept.token, expiresAt: iso(kept.expiresAt) };
}

/** Who was confirmed; locked, so that nobody else acts on it. */
async function redeem(
  tx: Executor,
  caller: Caller,
  order: BulkOrder,
  token: string,
): Promise<string[] | { because: 'unknown' | 'other' | 'done' }> {
  const { rows } = await tx.execute<{ tenants: string[]; same: boolean }>(sql`
    select tenants, "order" = ${toJson(orderOf(order))}::jsonb as same
      from confirmations
     where token = ${token} and caller = ${callerOf(caller)} and expires_at > now()
       for update`);
  const [kept] = rows;
  if (!kept) return { because: 'unknown' };
  if (!kept.same) return { because: 'other' };
  return kept.tenants.length === 0 ? { because: 'done' } : kept.tenants;
}

type Chosen = Found & { decision: BulkDecision };

async function carryOut(
  tx: Executor,
  caller: Caller,
  { command, reason, cause }: BulkOrder,
  chosen: Chosen[],
): Promise<Map<string, number>> {
  const begun = chosen.flatMap(({ decision }) => (decision.do === 'begin' ? [decision] : []));
  await addRotations(
    tx,
    begun.map(({ rotation }) => rotation),
  );
  await addEventsOf(
    tx,
    begun.map(({ rotation, event }) => ({ tenantId: rotation.tenantId, ...event })),
  );
  await addAudits(
    tx,
    caller,
    chosen.map(({ id, decision }) =>
      decision.do === 'begin'
        ? {
            action: 'rotation.request',
            tenantId: id,
            subject: decision.rotation.id,
            reason,
            after: { by: decision.rotation.by, cause: decision.rotation.cause, among: chosen.length },
          }
        : { action: 'tenant.reconcile', tenantId: id, reason, after: { among: chosen.length } },
    ),
  );
  const { rows } = await tx.execute<{ id: string; trigger: string }>(sql`
    update tenants
       set trigger_seq = trigger_seq + 1,
           trigger_cause = ${cause},
           next_run_at = case when claim_owner is null then least(next_run_at, now()) else next_run_at end,
           failures = case when ${command === 'rotate'} then 0 else failures end
     where id = any(${sql.param(chosen.map(({ id }) => id))}::text[])
    returning id, trigger_seq as trigger, pg_notify(${TRIGGER_CHANNEL}, id)`);
  return new Map(rows.map(({ id, trigger }) => [id, Number(trigger)]));
}

const rowFor = ({ id, name, decision }: Chosen, trigger: number | null): BulkRow => ({
  id,
  name,
  refused: decision.do === 'refuse' ? decision.because : null,
  trigger,
  rotation: decision.do === 'begin' && trigger !== null ? decision.rotation.id : null,
});
