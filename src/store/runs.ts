import { and, desc, eq, lt, sql, type SQL } from 'drizzle-orm';
import { check, index, integer, pgTable } from 'drizzle-orm/pg-core';
import type { Page, RunRecord } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** One row a reconcile. */
export const runs = pgTable(
  'runs',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    trigger: text('trigger').notNull(),
    startedAt: instant('started_at').notNull(),
    finishedAt: instant('finished_at').notNull(),
    outcome: text('outcome').$type<RunRecord['outcome']>().notNull(),
    reads: integer('reads').notNull(),
    writes: integer('writes').notNull(),
    summary: text('summary').notNull(),
    actions: jsonb<RunRecord['actions']>('actions').notNull(),
  },
  (table) => [
    check('runs_outcome', sql`${table.outcome} in ('succeeded', 'degraded', 'failed')`),
    index('runs_of_tenant').on(table.tenantId, table.id),
  ],
);

export const toRun = (row: typeof runs.$inferSelect): RunRecord => ({
  id: row.id,
  trigger: row.trigger,
  startedAt: iso(row.startedAt),
  finishedAt: iso(row.finishedAt),
  outcome: row.outcome,
  reads: row.reads,
  writes: row.writes,
  summary: row.summary,
  actions: row.actions,
});

/** One run of a tenant; null: there is none, or no longer. `visible`: `visibleTo`. */
export async function runOf(
  tx: Executor,
  tenantId: string,
  id: string,
  visible?: SQL,
): Promise<RunRecord | null> {
  const [row] = await tx
    .select()
    .from(runs)
    .where(and(eq(runs.tenantId, tenantId), eq(runs.id, id), visible));
  return row ? toRun(row) : null;
}

/** A page of a tenant's runs, newest first (their ids sort by time). `visible`: `visibleTo`. */
export async function pageOfRuns(
  tx: Executor,
  tenantId: string,
  page: { before: string | null; limit: number },
  visible?: SQL,
): Promise<Page<RunRecord>> {
  const rows = await tx
    .select()
    .from(runs)
    .where(
      and(eq(runs.tenantId, tenantId), page.before === null ? undefined : lt(runs.id, page.before), visible),
    )
    .orderBy(desc(runs.id))
    .limit(page.limit + 1);
  const items = rows.slice(0, page.limit).map(toRun);
  return { items, next: rows.length > page.limit ? (items.at(-1)?.id ?? null) : null };
}
