import { and, eq, isNotNull, isNull, notInArray, sql } from 'drizzle-orm';
import { bigint, boolean, index, integer, pgTable, primaryKey } from 'drizzle-orm/pg-core';
import {
  allInWords,
  mostBefore,
  trips,
  type BrakeBounds,
  type Hold,
  type Sighting,
} from '../domain/brake.ts';
import { formatSpan } from '../domain/duration.ts';
import type { NewEvent, Sighted } from '../reconciler/ports.ts';
import { instant, text } from './columns.ts';
import type { Executor } from './database.ts';
import { LOCKS } from './database.ts';
import { addEvents } from './events.ts';
import { BRAKE, tenants } from './tenants.ts';

/**
 * The fleet's brake (design.md §7): in which ways each tenant differs, and the brakes that were set because many
 * came to differ alike. A fleet that conforms has no rows here, and a run that sees what the last one saw writes none.
 */

/** Each way in which a tenant differs, or did within the window: a repair that was made is still to be counted. */
export const sightings = pgTable(
  'sightings',
  {
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    signature: text('signature').notNull(),
    since: instant('since').notNull().defaultNow(),
    /** It was new to the tenant, and something would have been changed about it. */
    counts: boolean('counts').notNull(),
    /** Since when the tenant no longer differs so; null: it does. */
    goneAt: instant('gone_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenantId, table.signature] }),
    index('sightings_of_signature').on(table.signature, table.since),
    index('sightings_gone')
      .on(table.goneAt)
      .where(sql`gone_at is not null`),
  ],
);

export const IS_ON = sql.raw('released_at is null and ended_at is null');

export const brakes = pgTable(
  'brakes',
  {
    id: text('id').primaryKey(),
    signatures: text('signatures').array().notNull(),
    setAt: instant('set_at').notNull().defaultNow(),
    /** Tenants that had come to differ so, and tenants of the fleet, when it was set. */
    counted: integer('counted').notNull(),
    fleet: integer('fleet').notNull(),
    releasedAt: instant('released_at'),
    releasedBy: text('released_by'),
    reason: text('reason'),
    /** Nobody had seen before how one tenant took it. */
    withoutCanary: boolean('without_canary').notNull().default(false),
    /** No tenant differed so any more. */
    endedAt: instant('ended_at'),
  },
  (table) => [index('brakes_on').on(table.setAt).where(IS_ON)],
);

/** Tenants for which a brake was released before it was for all. */
export const brakeReleases = pgTable(
  'brake_releases',
  {
    brakeId: text('brake_id')
      .notNull()
      .references(() => brakes.id, { onDelete: 'cascade' }),
    tenantId: text('tenant_id')
      .notNull()
      .references(() => tenants.id, { onDelete: 'cascade' }),
    at: instant('at').notNull().defaultNow(),
    by: text('by').notNull(),
    reason: text('reason').notNull(),
    /** The number of the run that it triggered. */
    trigger: bigint('trigger', { mode: 'number' }).notNull(),
  },
  (table) => [primaryKey({ columns: [table.brakeId, table.tenantId] })],
);

/** The oldest brake that holds a tenant; null: none does. */
export async function brakeOf(tx: Executor, tenantId: string): Promise<Hold | null> {
  const [row] = await tx.select({ brake: BRAKE }).from(tenants).where(eq(tenants.id, tenantId));
  return row?.brake ?? null;
}

/** Whoever counts, sets, releases or ends is alone; who locks tenants too has locked them before. */
export const alone = (tx: Executor) =>
  tx.execute(sql`select pg_advisory_xact_lock(${LOCKS.space}, ${LOCKS.brake})`);

/**
 * Keeps in which ways a tenant, which is locked, differs now; sets the brake where that makes too many, and ends one
 * that nobody shows any more.
 */
export async function sight(
  tx: Executor,
  tenantId: string,
  seen: Sighting[],
  bounds: BrakeBounds & { brakeId: string },
): Promise<Sighted> {
  await alone(tx);
  const signatures = seen.map(({ signature }) => signature);
  const gone = await tx
    .update(sightings)
    .set({ goneAt: sql`now()` })
    .where(
      and(
        eq(sightings.tenantId, tenantId),
        isNull(sightings.goneAt),
        notInArray(sightings.signature, signatures),
      ),
    )
    .returning({ signature: sightings.signature });
  const came = await keep(tx, tenantId, seen);
  const news = [
    ...(came.length > 0 ? await setBrake(tx, came, bounds) : []),
    ...(gone.length > 0 ? await endBrakes(tx) : []),
  ];
  return { brake: await brakeOf(tx, tenantId), news };
}

/** The signatures that count and were not there before; one that had gone and came again counts again. */
async function keep(tx: Executor, tenantId: string, seen: Sighting[]): Promise<string[]> {
  if (seen.length === 0) return [];
  const came = await tx
    .insert(sightings)
    .values(seen.map((sighting) => ({ tenantId, ...sighting })))
    .onConflictDoUpdate({
      target: [sightings.tenantId, sightings.signature],
      set: { since: sql`now()`, counts: sql`excluded.counts`, goneAt: null },
      setWhere: isNotNull(sightings.goneAt),
    })
    .returning({ signature: sightings.signature, counts: sightings.counts });
  return came.filter(({ counts }) => counts).map(({ signature }) => signature);
}

/**
 * Those who came to differ so within the window and after it was last released: who was counted then and still
 * differs is known to whoever released it, and does not set it again.
 */
async function setBrake(
  tx: Executor,
  signatures: string[],
  { brakeId, ...bounds }: BrakeBounds & { brakeId: string },
): Promise<NewEvent[]> {
  const { rows: counted } = await tx.execute<{ signature: string; tenants: number }>(sql`
    select signature, count(*)::int as tenants from sightings
     where signature = any(${sql.param(signatures)}::text[]) and counts
       and since > now() - ${bounds.windowMs} * interval '1 millisecond'
       and since > coalesce(
         (select max(released_at) from brakes where sightings.signature = any(signatures)), '-infinity')
       and not exists (select from brakes where ${IS_ON} and sightings.signature = any(signatures))
     group by signature
    having count(*) >= ${bounds.least}`);
  if (counted.length === 0) return [];
  const [all] = await tx
    .select({ fleet: sql<number>`count(*)::int` })
    .from(tenants)
    .where(eq(tenants.deleting, false));
  const fleet = all?.fleet ?? 0;
  const many = counted.filter((one) => trips(one.tenants, fleet, bounds));
  if (many.length === 0) return [];
  const brake = {
    id: brakeId,
    signatures: many.map(({ signature }) => signature).toSorted((a, b) => a.localeCompare(b)),
    counted: Math.max(...many.map((one) => one.tenants)),
    fleet,
  };
  await tx.insert(brakes).values(brake);
  const news: NewEvent = {
    type: 'BrakeSet',
    message:
      `${brake.counted} of ${fleet} tenants came to differ alike within ${formatSpan(bounds.windowMs)}: ` +
      `${allInWords(brake.signatures)}. From now on nothing is changed in a tenant that differs so; ` +
      `at most ${mostBefore(fleet, bounds)} were changed before.`,
    data: { brake: brakeId, signatures: brake.signatures, counted: brake.counted, fleet },
  };
  await addEvents(tx, null, [news]);
  return [news];
}

/** Ends every brake that no tenant shows any more: the vendor mended it, or people did. */
async function endBrakes(tx: Executor): Promise<NewEvent[]> {
  const { rows: ended } = await tx.execute<{ id: string; signatures: string[] }>(sql`
    update brakes set ended_at = now()
     where ${IS_ON} and not exists (
       select from sightings where signature = any(brakes.signatures) and gone_at is null)
    returning id, signatures`);
  const news = ended.map(({ id, signatures }): NewEvent => ({
    type: 'BrakeEnded',
    message: `No tenant differs any more as the brake said: ${allInWords(signatures)}.`,
    data: { brake: id, signatures },
  }));
  await addEvents(tx, null, news);
  return news;
}

/** Ends what only a tenant showed that was deleted just now, in the same transaction. */
export async function forgetSightings(tx: Executor): Promise<void> {
  await alone(tx);
  await endBrakes(tx);
}
