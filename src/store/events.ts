import { and, desc, eq, isNotNull, lt, sql, type SQL } from 'drizzle-orm';
import { bigint, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { EventView, NewEvent, Page } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import { batches, CHANGE_CHANNEL, type Executor } from './database.ts';

/**
 * What happened, in words; append only. It outlives its tenant, so that an auditor still finds it. `position` is its
 * place in the log (`event-log.ts`), given once it is committed; readers let it be given, and read what has one.
 */
export const events = pgTable(
  'events',
  {
    id: bigint('id', { mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** Null: it is the fleet's. */
    tenantId: text('tenant_id'),
    at: instant('at').notNull().defaultNow(),
    type: text('type').notNull(),
    message: text('message').notNull(),
    data: jsonb<Record<string, unknown>>('data'),
    position: bigint('position', { mode: 'number' }),
  },
  (table) => [
    index('events_of_tenant').on(table.tenantId, table.position),
    uniqueIndex('events_position').on(table.position),
    index('events_unplaced')
      .on(table.id)
      .where(sql`${table.position} is null`),
  ],
);

/** Of a tenant, or of the fleet (null). Who follows the tenant or the log hears of it once it is committed. */
export const addEvents = (tx: Executor, tenantId: string | null, added: NewEvent[]): Promise<void> =>
  addEventsOf(
    tx,
    added.map((event) => ({ tenantId, ...event })),
  );

/** Events of many tenants. */
export async function addEventsOf(
  tx: Executor,
  added: (NewEvent & { tenantId: string | null })[],
): Promise<void> {
  for (const some of batches(added)) {
    await tx
      .insert(events)
      .values(some.map(({ tenantId, type, message, data }) => ({ tenantId, type, message, data })))
      .returning({ told: sql`pg_notify(${CHANGE_CHANNEL}, ${events.tenantId})` });
  }
}

export const toEvent = (row: typeof events.$inferSelect): EventView => ({
  id: String(row.position),
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
    .where(and(eq(events.tenantId, tenantId), isNotNull(events.position), sql`${events.type} ~ ${OF_KEYS}`))
    .orderBy(desc(events.position));
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
        page.before === null ? isNotNull(events.position) : lt(events.position, Number(page.before)),
        visible,
      ),
    )
    .orderBy(desc(events.position))
    .limit(page.limit + 1);
  const items = rows.slice(0, page.limit).map(toEvent);
  return { items, next: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
}
