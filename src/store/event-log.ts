import { and, asc, desc, eq, gt, inArray, lte, sql, type SQL } from 'drizzle-orm';
import { bigint, boolean, check, pgTable } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import type { EventFilter, EventLog, LoggedEvent, LogHead } from '../reconciler/ports.ts';
import { CHANGE_CHANNEL, type Database } from './database.ts';
import { events, toEvent } from './events.ts';
import type { Listener } from './listener.ts';
import { listings } from './listings.ts';
import { visibleTo } from './visible.ts';

/** How far the positions of events go; one row, whose lock gives them out. */
export const eventLog = pgTable(
  'event_log',
  {
    only: boolean('only').primaryKey().default(true),
    placed: bigint('placed', { mode: 'number' }).notNull(),
    pruned: bigint('pruned', { mode: 'number' }).notNull(),
  },
  (table) => [check('event_log_only', sql`${table.only}`)],
);

/** Events that get their place at once; what is more gets it in the next turn. */
const MOST_PLACED = 5_000;

/**
 * Two statements in one round trip and one transaction: the second one's snapshot is taken under the first one's
 * lock, so that it sees every event that got a place before, and gives later places to what was committed later.
 */
const PLACE = `
  select from event_log for update;
  with unplaced as (
    select id, row_number() over (order by id) as n
      from (select id from events where position is null order by id limit ${MOST_PLACED}) as batch
  ), given as (
    update events set position = event_log.placed + n
      from unplaced, event_log
     where events.id = unplaced.id
    returning position
  )
  update event_log set placed = placed + (select count(*) from given) where exists (select from given)`;

const HEAD = `
  select placed::float8, pruned::float8, exists (select from events where position is null) as more from event_log`;

/** Gives every committed event its place; how far the log goes now. Costs one small read where there is none. */
export async function placeEvents(database: pg.Pool | pg.PoolClient): Promise<LogHead> {
  for (;;) {
    const { rows } = await database.query<LogHead & { more: boolean }>({
      name: 'parasol_log_head',
      text: HEAD,
    });
    const [row] = rows;
    if (!row) throw new Error('the table event_log has lost its row');
    const { more, ...head } = row;
    if (!more) return head;
    await database.query(PLACE);
  }
}

/** Which rows are wanted; undefined: all. */
const wanted = ({ tenant, types, labels, scope }: EventFilter): SQL | undefined =>
  and(
    tenant === null ? undefined : eq(events.tenantId, tenant),
    types.length === 0 ? undefined : inArray(events.type, [...types]),
    ...labels.map(({ key, value }) =>
      value === null
        ? sql`${listings.labels} ? ${key}`
        : sql`${listings.labels} @> ${JSON.stringify({ [key]: value })}::jsonb`,
    ),
    visibleTo(scope, events.tenantId, sql`${listings.labels}`),
  );

export function createEventLog(db: Database, listener: Listener): EventLog {
  const pool = db.$client;

  const select = (where: SQL | undefined, filter: EventFilter) =>
    db
      .select({ row: events, labels: listings.labels })
      .from(events)
      .leftJoin(listings, eq(listings.tenantId, events.tenantId))
      .where(and(wanted(filter), where));

  return {
    head: () => placeEvents(pool),

    async after(place, { placed }, filter, limit) {
      const rows = await select(and(gt(events.position, place), lte(events.position, placed)), filter)
        .orderBy(asc(events.position))
        .limit(limit);
      const logged = rows.map(({ row, labels }): LoggedEvent => ({
        place: Number(row.position),
        event: toEvent(row),
        labels,
      }));
      return { events: logged, through: logged.length < limit ? placed : logged.at(-1)!.place };
    },

    async page({ before, limit }, filter) {
      const { placed } = await placeEvents(pool);
      const rows = await select(lte(events.position, before === null ? placed : before - 1), filter)
        .orderBy(desc(events.position))
        .limit(limit + 1);
      const items = rows.slice(0, limit).map(({ row }) => toEvent(row));
      return { items, next: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
    },

    onChange: (listen) => listener.add(CHANGE_CHANNEL, listen),
  };
}
