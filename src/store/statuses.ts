import { sql } from 'drizzle-orm';
import { check, integer, pgTable } from 'drizzle-orm/pg-core';
import { ready } from '../domain/condition.ts';
import type { Condition, IntegrationMemory, Truth } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { Facts } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import type { StoredStatus } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** What the last run that observed anything left behind: one row a tenant. */
export const statuses = pgTable(
  'statuses',
  {
    tenantId: text('tenant_id')
      .primaryKey()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    observedGeneration: integer('observed_generation').notNull(),
    /** The conditions summed up, so that lists and counts need no more. */
    ready: text('ready').$type<Truth>().notNull(),
    facts: jsonb<Facts>('facts').notNull(),
    memory: jsonb<IntegrationMemory>('memory').notNull(),
    conditions: jsonb<Condition[]>('conditions').notNull(),
    drift: jsonb<Drift[]>('drift').notNull(),
    plan: jsonb<Plan>('plan').notNull(),
    observedAt: instant('observed_at').notNull(),
  },
  (table) => [check('statuses_ready', sql`${table.ready} in ('True', 'False', 'Unknown')`)],
);

export const toStatus = (row: typeof statuses.$inferSelect): StoredStatus => ({
  observedGeneration: row.observedGeneration,
  facts: row.facts,
  memory: row.memory,
  conditions: row.conditions,
  drift: row.drift,
  plan: row.plan,
  observedAt: iso(row.observedAt),
});

/**
 * Writes a status in place. A column that did not change keeps its stored value, and with it the value's place
 * outside the row, so that a quiet run of a tenant with a large status rewrites its facts' times and no more.
 */
export async function putStatus(tx: Executor, tenantId: string, status: StoredStatus): Promise<void> {
  const kept = (column: string) =>
    sql.raw(
      `case when statuses.${column} is distinct from excluded.${column} then excluded.${column} else statuses.${column} end`,
    );
  await tx
    .insert(statuses)
    .values({
      tenantId,
      ...status,
      ready: ready(status.conditions),
      observedAt: new Date(status.observedAt),
    })
    .onConflictDoUpdate({
      target: statuses.tenantId,
      set: {
        observedGeneration: sql`excluded.observed_generation`,
        ready: sql`excluded.ready`,
        observedAt: sql`excluded.observed_at`,
        facts: kept('facts'),
        memory: kept('memory'),
        conditions: kept('conditions'),
        drift: kept('drift'),
        plan: kept('plan'),
      },
    });
}
