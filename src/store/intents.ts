import { and, asc, eq, inArray, sql } from 'drizzle-orm';
import { check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { NewIntent, OpenIntent, Result } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

const UNSETTLED = sql.raw(`outcome in ('open', 'unknown')`);

/** What was about to be done outside, committed before it was done (design.md §3). */
export const intents = pgTable(
  'intents',
  {
    id: text('id').primaryKey(),
    /** Null: the tenant is gone; what was done for it still counts against the fleet's cap. */
    tenantId: text('tenant_id').references(() => tenants.id, { onDelete: 'set null' }),
    key: text('key').notNull(),
    action: text('action').notNull(),
    request: jsonb<unknown>('request'),
    outcome: text('outcome')
      .$type<'open' | 'unknown' | 'applied' | 'not-applied'>()
      .notNull()
      .default('open'),
    note: text('note'),
    openedAt: instant('opened_at').notNull().defaultNow(),
    settledAt: instant('settled_at'),
  },
  (table) => [
    check('intents_outcome', sql`${table.outcome} in ('open', 'unknown', 'applied', 'not-applied')`),
    uniqueIndex('intents_one_open').on(table.tenantId, table.key).where(UNSETTLED),
    index('intents_opened').on(table.openedAt),
    index('intents_of_tenant').on(table.tenantId),
  ],
);

/** Intents of a tenant of which it is not known yet what became, oldest first. */
export async function openIntentsOf(tx: Executor, tenantId: string): Promise<OpenIntent[]> {
  const rows = await tx
    .select()
    .from(intents)
    .where(and(eq(intents.tenantId, tenantId), inArray(intents.outcome, ['open', 'unknown'])))
    .orderBy(asc(intents.openedAt), asc(intents.id));
  return rows.map(toOpenIntent);
}

export const toOpenIntent = (row: typeof intents.$inferSelect): OpenIntent => ({
  id: row.id,
  key: row.key,
  action: row.action,
  openedAt: iso(row.openedAt),
  outcome: row.outcome === 'unknown' ? 'unknown' : 'open',
});

export async function addIntent(tx: Executor, tenantId: string, intent: NewIntent): Promise<void> {
  await tx.insert(intents).values({ ...intent, tenantId });
}

/** How many intents the whole fleet opened within the last hour, tenants that are gone by now among it. */
export async function intentsOfLastHour(tx: Executor): Promise<number> {
  const [row] = await tx
    .select({ count: sql<number>`count(*)::int` })
    .from(intents)
    .where(sql`${intents.openedAt} > now() - interval '1 hour'`);
  return row?.count ?? 0;
}

/** Says what became of intents; one whose outcome is unknown stays open to the next run. */
export async function settleIntents(
  tx: Executor,
  tenantId: string,
  settled: Result['intents'],
): Promise<void> {
  for (const { id, outcome, note } of settled) {
    await tx
      .update(intents)
      .set({ outcome, note, settledAt: outcome === 'unknown' ? null : sql`now()` })
      .where(and(eq(intents.id, id), eq(intents.tenantId, tenantId), UNSETTLED));
  }
}
