import { and, desc, eq, lt, sql, type SQL } from 'drizzle-orm';
import { bigint, index, pgTable } from 'drizzle-orm/pg-core';
import type { EventView, NewEvent, Page } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';

/** What happened, in words; append only. It outlives its tenant, so that an auditor still finds it. */
export const events = pgTable(
  'events',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    tenantId: text('tenant_id').notNull(),
    at: instant('at').notNull().defaultNow(),
    type: text('type').notNull(),
    message: text('message').notNull(),
    data: jsonb<Record<string, unknown>>('data'),
  },
  (table) => [index('events_of_tenant').on(table.tenantId, table.id)],
);

export async function addEvents(tx: Executor, tenantId: string, added: NewEvent[]): Promise<void> {
  if (added.length === 0) return;
  await tx.insert(events).values(added.map(({ type, message, data }) => ({ tenantId, type, message, data })));
}

const toEvent = (row: typeof events.$inferSelect): EventView => ({
  id: String(row.id),
  tenant: row.tenantId,
  at: iso(row.at),
  type: row.type,
  message: row.message,
  data: row.data,
});

const OF_KEYS = '^(Rotation|Rollback|Umbrella|Credential|Secret|Handoff)';

/** Every event of a tenant that is about a key or a hand-off, newest first. */
export async function keyEvents(tx: Executor, tenantId: string): Promise<EventView[]> {
  const rows = await tx
    .select()
    .from(events)
    .where(and(eq(events.tenantId, tenantId), sql`${events.type} ~ ${OF_KEYS}`))
    .orderBy(desc(events.id));
  return rows.map(toEvent);
}

/** A page of a tenant's events, newest first; a `before` that is no event's id finds nothing. `visible`: `visibleTo`. */
export async function pageOfEvents(
  tx: Executor,
  tenantId: string,
  page: { before: string | null; limit: number },
  visible?: SQL,
): Promise<Page<EventView>> {
  if (page.before !== null && !/^\d{1,15}$/.test(page.before)) return { items: [], next: null };
  const rows = await tx
    .select()
    .from(events)
    .where(
      and(
        eq(events.tenantId, tenantId),
        page.before === null ? undefined : lt(events.id, Number(page.before)),
        visible,
      ),
    )
    .orderBy(desc(events.id))
    .limit(page.limit + 1);
  const items = rows.slice(0, page.limit).map(toEvent);
  return { items, next: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
}
