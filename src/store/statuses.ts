import { sql } from 'drizzle-orm';
import { check, integer, pgTable } from 'drizzle-orm/pg-core';
import type { Condition, IntegrationMemory, Truth } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { Facts } from '../domain/observation.ts';
import type { Plan } from '../domain/action.ts';
import type { StoredStatus } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
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
