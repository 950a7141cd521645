import { and, desc, eq, lte } from 'drizzle-orm';
import { pgTable, primaryKey } from 'drizzle-orm/pg-core';
import type { Condition } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { RunFindings } from '../reconciler/ports.ts';
import { jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';
import { tenants } from './tenants.ts';

/** What a run saw and which calls it made, where that differs from the run before: a steady run has no row. */
export const runFindings = pgTable(
  'run_findings',
  {
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    runId: text('run_id').notNull(),
    conditions: jsonb<Condition[]>('conditions').notNull(),
    drift: jsonb<Drift[]>('drift').notNull(),
    calls: jsonb<Record<string, number>>('calls'),
  },
  (table) => [primaryKey({ columns: [table.tenantId, table.runId] })],
);

/**
 * Keeps what runs saw, as a part of the statement that records them; beside a status that is as it was, only what
 * wrote to a vendor.
 */
export const KEEP_FINDINGS = `
  insert into run_findings (tenant_id, run_id, conditions, drift, calls)
  select locked.id, run_id, conditions, drift, calls
    from locked join given on tenant_id = locked.id
   where observed_generation is not null and known is null
     and (writes > 0 or not exists (
       select from statuses
        where statuses.tenant_id = locked.id
          and statuses.conditions = given.conditions and statuses.drift = given.drift))`;

/**
 * $1 rows at most that no run of their tenant rests on any more, since the runs themselves are gone. They are looked for
 * tenant by tenant, before the first run that is kept, and found by their place: how long the history is makes no
 * difference.
 */
export const PRUNE_FINDINGS = `
  delete from run_findings where ctid = any (array(
    select old.place
      from tenants
     cross join lateral (select min(id) as id from runs where runs.tenant_id = tenants.id) as first
     cross join lateral (
       select max(run_id) as run_id from run_findings
        where tenant_id = tenants.id and run_id <= first.id) as base
     cross join lateral (
       select ctid as place from run_findings
        where tenant_id = tenants.id and run_id < base.run_id
        order by run_id
        limit $1) as old
     limit $1))`;

/** What a run saw: its own findings, or those of the last run before it that differed; null: no longer kept. */
export async function findingsAt(tx: Executor, tenantId: string, runId: string): Promise<RunFindings | null> {
  const [row] = await tx
    .select()
    .from(runFindings)
    .where(and(eq(runFindings.tenantId, tenantId), lte(runFindings.runId, runId)))
    .orderBy(desc(runFindings.runId))
    .limit(1);
  return row ? { since: row.runId, conditions: row.conditions, drift: row.drift, calls: row.calls } : null;
}
