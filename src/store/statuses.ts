import { sql } from 'drizzle-orm';
import { check, integer, pgTable } from 'drizzle-orm/pg-core';
import type { Condition, IntegrationMemory, Truth } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { Plan } from '../domain/action.ts';
import type { StoredStatus } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import { statusOf, type Findings, type UndatedFacts } from './findings.ts';
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
    facts: jsonb<UndatedFacts>('facts').notNull(),
    memory: jsonb<IntegrationMemory>('memory').notNull(),
    conditions: jsonb<Condition[]>('conditions').notNull(),
    drift: jsonb<Drift[]>('drift').notNull(),
    plan: jsonb<Plan>('plan').notNull(),
    /** Of the last look; one that showed nothing else than the look before changes this alone. */
    observedAt: instant('observed_at').notNull(),
    /** The run that wrote all but `observed_at`. */
    version: text('version').notNull(),
  },
  (table) => [check('statuses_ready', sql`${table.ready} in ('True', 'False', 'Unknown')`)],
);

export const toFindings = (row: typeof statuses.$inferSelect): Findings => ({
  observedGeneration: row.observedGeneration,
  facts: row.facts,
  memory: row.memory,
  conditions: row.conditions,
  drift: row.drift,
  plan: row.plan,
});

export const toStatus = (row: typeof statuses.$inferSelect): StoredStatus =>
  statusOf(toFindings(row), iso(row.observedAt));
