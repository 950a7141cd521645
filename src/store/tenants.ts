import { sql } from 'drizzle-orm';
import { bigint, boolean, check, index, integer, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Deletion } from '../domain/deletion.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import type { StoredTenant } from '../reconciler/ports.ts';
import { instant, iso, isoOrNull, jsonb, text } from './columns.ts';

/**
 * How each tenant should be, and on the same row the claim to run it: so that a claim, its fence and what a
 * run recorded are one row in one transaction.
 */
export const tenants = pgTable(
  'tenants',
  {
    id: text('id').primaryKey(),
    spec: jsonb<TenantSpec>('spec').notNull(),
    companyIdentity: text('company_identity').notNull(),
    consoleIdentity: text('console_identity'),
    generation: integer('generation').notNull().default(1),
    deleting: boolean('deleting').notNull().default(false),
    deletion: jsonb<Deletion>('deletion'),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    /** When it is due; while it is claimed, when the claim runs out: an expired lease is simply due again. */
    nextRunAt: instant('next_run_at').defaultNow(),
    claimOwner: text('claim_owner'),
    claimToken: bigint('claim_token', { mode: 'number' }).notNull().default(0),
    /** Of the last trigger; of the last trigger when the present run began; of the last one answered. */
    triggerSeq: bigint('trigger_seq', { mode: 'number' }).notNull().default(0),
    runSeq: bigint('run_seq', { mode: 'number' }).notNull().default(0),
    handledSeq: bigint('handled_seq', { mode: 'number' }).notNull().default(0),
    triggerCause: text('trigger_cause'),
    failures: integer('failures').notNull().default(0),
  },
  (table) => [
    uniqueIndex('tenants_company_identity').on(table.companyIdentity),
    uniqueIndex('tenants_console_identity')
      .on(table.consoleIdentity)
      .where(sql`${table.consoleIdentity} is not null`),
    check('tenants_deletion', sql`${table.deleting} = (${table.deletion} is not null)`),
    index('tenants_due')
      .on(table.nextRunAt)
      .where(sql`${table.nextRunAt} is not null`),
    index('tenants_failing')
      .on(table.id)
      .where(sql`${table.failures} > 0`),
  ],
);

/** A tenant as the ports know it; while a run is under way, when the next one comes is not known yet. */
export const toTenant = (row: typeof tenants.$inferSelect): StoredTenant => ({
  id: row.id,
  spec: row.spec,
  generation: row.generation,
  createdAt: iso(row.createdAt),
  updatedAt: iso(row.updatedAt),
  deleting: row.deleting,
  deletion: row.deletion,
  triggerSeq: row.triggerSeq,
  handledSeq: row.handledSeq,
  failures: row.failures,
  nextReconcileAt: row.claimOwner === null ? isoOrNull(row.nextRunAt) : null,
});
