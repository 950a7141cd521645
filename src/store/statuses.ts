import { sql } from 'drizzle-orm';
import { check, integer, pgTable } from 'drizzle-orm/pg-core';
import type { Condition, IntegrationMemory, Truth } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { Plan } from '../domain/action.ts';
import type { PartTimes } from '../domain/part.ts';
import type { StoredStatus } from '../reconciler/ports.ts';
import { instant, iso, jsonb, text } from './columns.ts';
import { statusOf, type Findings, type Seen, type UndatedFacts } from './findings.ts';
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
    /** Of the last look; one that showed nothing else than the look before changes its times alone. */
    observedAt: instant('observed_at').notNull(),
    /** Of the parts that a brief look leaves out; one that lacks was seen by the last look. */
    partsAt: jsonb<PartTimes>('parts_at').notNull().default({}),
    /** The run that wrote all but these times. */
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

export const toSeen = ({
  observedAt,
  partsAt,
}: Pick<typeof statuses.$inferSelect, 'observedAt' | 'partsAt'>): Seen => ({
  observedAt: iso(observedAt),
  partsAt,
});

export const toStatus = (row: typeof statuses.$inferSelect): StoredStatus =>
  statusOf(toFindings(row), toSeen(row));
