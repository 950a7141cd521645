import { and, desc, eq, isNull, sql } from 'drizzle-orm';
import { check, index, pgTable, uniqueIndex } from 'drizzle-orm/pg-core';
import {
  ROTATION_CAUSES,
  ROTATION_PHASES,
  type Rotation,
  type RotationCause,
  type RotationPhase,
  type Wish,
} from '../domain/rotation.ts';
import { instant, isoOrNull, jsonb, text } from './columns.ts';
import { batches, type Executor } from './database.ts';
import { HELD, tenants } from './tenants.ts';

/** A rotation as a run leaves it; what the fleet and people decide has columns of its own, which no run writes. */
export type RotationRecord = Omit<Rotation, 'admittedAt' | 'wish'>;

const oneOf = (values: readonly string[]) => sql.raw(values.map((value) => `'${value}'`).join(', '));

/** Rotations of integration keys, those that ended included: they are an auditor's evidence. */
export const rotations = pgTable(
  'rotations',
  {
    id: text('id').primaryKey(),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    phase: text('phase').$type<RotationPhase>().notNull(),
    cause: text('cause').$type<RotationCause>().notNull(),
    record: jsonb<RotationRecord>('record').notNull(),
    requestedAt: instant('requested_at').notNull(),
    admittedAt: instant('admitted_at'),
    endedAt: instant('ended_at'),
    wish: jsonb<Wish>('wish'),
  },
  (table) => [
    check('rotations_phase', sql`${table.phase} in (${oneOf(ROTATION_PHASES)})`),
    check('rotations_cause', sql`${table.cause} in (${oneOf(ROTATION_CAUSES)})`),
    uniqueIndex('rotations_one_live')
      .on(table.tenantId)
      .where(sql`ended_at is null`),
    index('rotations_waiting')
      .on(table.requestedAt)
      .where(sql`ended_at is null`),
    index('rotations_of_tenant').on(table.tenantId, table.id),
  ],
);

export const toRotation = ({ record, admittedAt, wish }: typeof rotations.$inferSelect): Rotation => ({
  ...record,
  admittedAt: isoOrNull(admittedAt),
  wish,
});

/** Keeps rotations that wait to begin; the caller holds their tenants' locks, and none has one under way. */
export async function addRotations(tx: Executor, added: readonly Rotation[]): Promise<void> {
  for (const some of batches(added)) {
    await tx.insert(rotations).values(
      some.map(({ admittedAt: _a, wish: _w, ...record }) => ({
        id: record.id,
        tenantId: record.tenantId,
        phase: record.phase,
        cause: record.cause,
        record,
        requestedAt: new Date(record.requestedAt),
      })),
    );
  }
}

/**
 * Keeps a rotation as it is now; a wish that this run heeded is no longer one, a later one stays. One that a person
 * asked for while a run began another by itself is the one that stands. The caller holds the tenant's lock.
 */
export async function keepRotation(tx: Executor, rotation: Rotation, heeded: Wish | null): Promise<void> {
  const live = await liveRotation(tx, rotation.tenantId);
  if (live && live.id !== rotation.id) return;
  const { admittedAt, wish: _, ...record } = rotation;
  const kept = {
    phase: rotation.phase,
    cause: rotation.cause,
    record,
    endedAt: rotation.endedAt === null ? null : new Date(rotation.endedAt),
  };
  await tx
    .insert(rotations)
    .values({
      id: rotation.id,
      tenantId: rotation.tenantId,
      requestedAt: new Date(rotation.requestedAt),
      admittedAt: admittedAt === null ? null : new Date(admittedAt),
      ...kept,
    })
    .onConflictDoUpdate({
      target: rotations.id,
      set: {
        ...kept,
        wish: sql`case when ${rotations.wish} ->> 'at' is not distinct from ${heeded?.at ?? null}::text then null else ${rotations.wish} end`,
      },
    });
}

/** Those that replace a key that works: the others wait for nobody. */
const ORDINARY = sql`cause in ('age', 'given', 'request')`;

/**
 * Lets a rotation begin if fewer than `limit` are in flight, and the older ones that wait have room too; a tenant in
 * which nothing may be changed holds nobody up. The caller holds the fleet's lock. Null: it waits.
 */
export async function admit(tx: Executor, rotationId: string, limit: number | null): Promise<string | null> {
  const [row] = await tx
    .select({ admittedAt: rotations.admittedAt, requestedAt: rotations.requestedAt })
    .from(rotations)
    .where(and(eq(rotations.id, rotationId), isNull(rotations.endedAt)));
  if (!row) return null;
  if (row.admittedAt) return row.admittedAt.toISOString();
  if (limit !== null) {
    const [counted] = await tx
      .select({
        inFlight: sql<number>`count(*) filter (where admitted_at is not null)::int`,
        older: sql<number>`count(*) filter (where admitted_at is null and not (${HELD}) and (requested_at, rotations.id) < (${row.requestedAt}, ${rotationId}))::int`,
      })
      .from(rotations)
      .innerJoin(tenants, eq(tenants.id, rotations.tenantId))
      .where(and(isNull(rotations.endedAt), ORDINARY));
    if (!counted || counted.inFlight + counted.older >= limit) return null;
  }
  const [admitted] = await tx
    .update(rotations)
    .set({ admittedAt: sql`now()` })
    .where(eq(rotations.id, rotationId))
    .returning({ admittedAt: rotations.admittedAt });
  return isoOrNull(admitted?.admittedAt ?? null);
}

/** When a person last asked something of a rotation that has not ended; null: nothing is asked. */
export async function wishedAt(tx: Executor, rotationId: string): Promise<string | null> {
  const [row] = await tx.select({ wish: rotations.wish }).from(rotations).where(eq(rotations.id, rotationId));
  return row?.wish?.at ?? null;
}

/** The rotation of a tenant that has not ended; null: none. */
export async function liveRotation(tx: Executor, tenantId: string): Promise<Rotation | null> {
  const [row] = await tx
    .select()
    .from(rotations)
    .where(and(eq(rotations.tenantId, tenantId), isNull(rotations.endedAt)));
  return row ? toRotation(row) : null;
}

/** Every rotation of a tenant, newest first. */
export async function rotationsOf(tx: Executor, tenantId: string): Promise<Rotation[]> {
  const rows = await tx
    .select()
    .from(rotations)
    .where(eq(rotations.tenantId, tenantId))
    .orderBy(desc(rotations.requestedAt), desc(rotations.id));
  return rows.map(toRotation);
}
