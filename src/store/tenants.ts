import { getTableColumns, inArray, sql } from 'drizzle-orm';
import { bigint, boolean, check, index, integer, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import type { Hold } from '../domain/brake.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Pause } from '../domain/pause.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import type { Waiting } from '../domain/waiting.ts';
import type { StoredTenant } from '../reconciler/ports.ts';
import { BRAKE_NOW, HELD_BY_BRAKE } from './brake-sql.ts';
import { instant, iso, isoOrNull, jsonb, text } from './columns.ts';
import type { Executor } from './database.ts';

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
    /** A person's, apart from the spec's. */
    pause: jsonb<Omit<Pause, 'leftMs'>>('pause'),
    /** Grows with each thing that people decide apart from the spec, so that a run under way sees that they did. */
    decisions: integer('decisions').notNull().default(0),
    createdAt: instant('created_at').notNull().defaultNow(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
    /** When it is due; while it is claimed, when the claim runs out: an expired lease is simply due again. */
    nextRunAt: instant('next_run_at').defaultNow(),
    claimOwner: text('claim_owner'),
    claimToken: bigint('claim_token', { mode: 'number' }).notNull().default(0),
    /** Until then who had the claim before, and lost its session or broke off a run, may still be at work. */
    takeoverUntil: instant('takeover_until'),
    /** Of the last trigger; of the last trigger when the present run began; of the last one answered. */
    triggerSeq: bigint('trigger_seq', { mode: 'number' }).notNull().default(0),
    runSeq: bigint('run_seq', { mode: 'number' }).notNull().default(0),
    handledSeq: bigint('handled_seq', { mode: 'number' }).notNull().default(0),
    triggerCause: text('trigger_cause'),
    failures: integer('failures').notNull().default(0),
    /** For a vendor's budget. */
    waiting: jsonb<Waiting>('waiting'),
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
    index('tenants_asked')
      .on(table.nextRunAt)
      .where(sql`${table.triggerSeq} > ${table.handledSeq}`),
    index('tenants_paused')
      .on(table.id)
      .where(sql`${table.pause} is not null`),
    index('tenants_waiting')
      .on(table.id)
      .where(sql`${table.waiting} is not null`),
    index('tenants_failing')
      .on(table.id)
      .where(sql`${table.failures} > 0`),
  ],
);

/** A tenant's pause, and how much is left of it now. */
export const PAUSE_NOW = `tenants.pause || jsonb_build_object('leftMs',
    ceil(extract(epoch from (tenants.pause ->> 'until')::timestamptz - now()) * 1000)::bigint)`;
export const PAUSE = sql<Pause | null>`${sql.raw(PAUSE_NOW)}`;

/** The fleet's brake that holds a tenant. */
export const BRAKE = sql<Hold | null>`${sql.raw(BRAKE_NOW)}`;

/** A tenant's row as it is read. */
export const tenantColumns = { ...getTableColumns(tenants), pause: PAUSE, brake: BRAKE };
export type TenantRow = Omit<typeof tenants.$inferSelect, 'pause'> & {
  pause: Pause | null;
  brake: Hold | null;
};

/** `whyNoWrite` in SQL: whether no write may leave for a tenant. */
export const NO_WRITE_NOW = `(tenants.spec ->> 'mode' <> 'repair' or coalesce((tenants.spec -> 'paused')::boolean, false)
    or (tenants.pause is not null and coalesce((tenants.pause ->> 'until')::timestamptz > now(), true))
    or ${HELD_BY_BRAKE})`;
export const NO_WRITE = sql<boolean>`${sql.raw(NO_WRITE_NOW)}`;
/** `whyHeld` in SQL: whether nothing of a tenant may be changed. */
export const HELD = sql<boolean>`(tenants.deleting or ${NO_WRITE})`;

/** A tenant as the ports know it; while a run is under way, when the next one comes is not known yet. */
export const toTenant = (row: TenantRow): StoredTenant => ({
  id: row.id,
  spec: row.spec,
  generation: row.generation,
  decisions: row.decisions,
  pause: row.pause,
  createdAt: iso(row.createdAt),
  updatedAt: iso(row.updatedAt),
  deleting: row.deleting,
  deletion: row.deletion,
  brake: row.brake,
  triggerSeq: row.triggerSeq,
  handledSeq: row.handledSeq,
  failures: row.failures,
  nextReconcileAt: row.claimOwner === null ? isoOrNull(row.nextRunAt) : null,
  waiting: row.waiting,
});

/** In the order of their ids, as whoever locks several tenants does: two such never wait for each other. */
export async function lockTenants(tx: Executor, ids: string[]): Promise<string[]> {
  const locked = await tx
    .select({ id: tenants.id })
    .from(tenants)
    .where(inArray(tenants.id, ids))
    .orderBy(sql`${tenants.id} collate "C"`)
    .for('update');
  return locked.map(({ id }) => id);
}
