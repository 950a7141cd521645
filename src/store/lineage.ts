import { and, arrayContains, sql } from 'drizzle-orm';
import { boolean, check, pgTable } from 'drizzle-orm/pg-core';
import { inWords, RESTORED } from '../domain/brake.ts';
import type { Lineage, NewEvent } from '../reconciler/ports.ts';
import { alone, brakes, IS_ON, sightings } from './brakes.ts';
import { text } from './columns.ts';
import type { Database, Executor } from './database.ts';
import { addEvents } from './events.ts';
import { lockTenants, tenants } from './tenants.ts';

/**
 * Which database this is: one row. A dump that is restored, a server that went back in time and a standby that took
 * its place all carry the row of what they were taken from, and are something else by what PostgreSQL says of them.
 */
export const lineage = pgTable(
  'lineage',
  { only: boolean('only').primaryKey().default(true), identity: text('identity').notNull() },
  (table) => [check('lineage_only', sql`${table.only}`)],
);

/** The server, its timeline, the database, and the table of tenants, which a dump makes anew. */
const IDENTITY = sql<string>`concat_ws('/',
  (select system_identifier from pg_control_system()),
  left(pg_walfile_name(pg_current_wal_lsn()), 8),
  (select oid from pg_database where datname = current_database()),
  'tenants'::regclass::oid)`;

async function compared(tx: Executor): Promise<{ identity: string; known: string | null }> {
  const { rows } = await tx.execute<{ identity: string; known: string | null }>(
    sql`select ${IDENTITY} as identity, (select identity from lineage) as known`,
  );
  return rows[0]!;
}

export const createLineage = (db: Database): Lineage => ({
  async check(brakeId) {
    const { identity, known } = await compared(db);
    if (identity === known) return null;
    return db.transaction(async (tx) => {
      const there = await tx.select({ id: tenants.id }).from(tenants);
      // Tenants are locked before the brake is, as by a run that counts.
      const all = await lockTenants(
        tx,
        there.map(({ id }) => id),
      );
      await alone(tx);
      // Another replica may have been first.
      const { identity, known } = await compared(tx);
      if (identity === known) return null;
      await tx
        .insert(lineage)
        .values({ identity })
        .onConflictDoUpdate({ target: lineage.only, set: { identity } });
      if (known === null || all.length === 0) return null;
      const again = { since: sql`now()`, counts: false, goneAt: null };
      await tx
        .insert(sightings)
        .select(
          tx
            .select({
              tenantId: tenants.id,
              signature: sql<string>`${RESTORED}`.as('signature'),
              since: sql<Date>`now()`.as('since'),
              counts: sql<boolean>`false`.as('counts'),
              goneAt: sql<null>`null::timestamptz`.as('gone_at'),
            })
            .from(tenants),
        )
        .onConflictDoUpdate({ target: [sightings.tenantId, sightings.signature], set: again });
      // What was seen since an earlier restore may be of after this backup: it counts from now.
      await tx
        .update(brakes)
        .set({ endedAt: sql`now()` })
        .where(and(IS_ON, arrayContains(brakes.signatures, [RESTORED])));
      await tx
        .insert(brakes)
        .values({ id: brakeId, signatures: [RESTORED], counted: all.length, fleet: all.length });
      const news: NewEvent = {
        type: 'DatabaseRestored',
        message:
          'The database is another one than it was, as after a restore, and may be older than what was done since: ' +
          `nothing is changed in a tenant as long as ${inWords(RESTORED)}.`,
        data: { brake: brakeId, tenants: all.length },
      };
      await addEvents(tx, null, [news]);
      return news;
    });
  },
});
