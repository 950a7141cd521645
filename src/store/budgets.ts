import { randomUUID } from 'node:crypto';
import { pgTable } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import {
  give,
  UNUSED,
  windowsBy,
  type Asked,
  type Budget,
  type BudgetState,
  type Given,
  type Shares,
} from '../domain/budget.ts';
import type { BudgetLedger } from '../reconciler/ports.ts';
import { instant, jsonb, text, toJson } from './columns.ts';
import { CLOSED_CHANNEL } from './database.ts';
import type { Listener } from './listener.ts';
import { together } from './together.ts';

/**
 * What was taken of each budget, and until when its vendor wants to be left alone: one row for all replicas, by the
 * database's clock.
 *
 * What is taken is decided by the domain on the row as it was last seen, and written if nobody else wrote since; who
 * comes second sees the row and decides anew. So whoever stops in the middle holds nobody up, and one round trip
 * serves as many runs as ask at that moment.
 */
export const budgets = pgTable('budgets', {
  scope: text('scope').primaryKey(),
  /** Another one with each change. */
  version: text('version').notNull(),
  taken: jsonb<BudgetState['taken']>('taken').notNull().default([]),
  closedUntil: instant('closed_until').notNull(),
  queuedUntil: instant('queued_until').notNull(),
  usedAt: instant('used_at').notNull().defaultNow(),
});

const NOW_MS = 'extract(epoch from clock_timestamp())::float8 * 1000';
const ms = (column: string) => `extract(epoch from ${column})::float8 * 1000`;
const STATE = `version, taken, ${ms('closed_until')} as "closedUntil", ${ms('queued_until')} as "queuedUntil"`;

const READ = `select scope, ${STATE}, ${NOW_MS} as now from unnest((select $1::text[])) as asked (scope)
  left join budgets using (scope)`;

/** By how much the time that was reckoned with may be wrong, in milliseconds. */
const CLOCK_MS = 1_000;
/** How long a measurement of the database's clock stands against one that took longer, in milliseconds. */
const MEASURED_MS = 60_000;

/**
 * Writes all that was decided, or nothing if one of the rows is not as it was known, or the time was not; then it tells
 * the rows as they are. A crash of the database may forget what was taken in its last moments, which is worth that no
 * call waits for its disk.
 */
const WRITE = `
  with quick as materialized (
    select set_config('synchronous_commit', 'off', true) as set
  ), given as materialized (
    select * from quick, unnest((select $1::text[]), $2::text[], $3::jsonb[], $4::float8[])
      as given (scope, known, taken_now, queued_ms)
  ), locked as materialized (
    select scope, ${STATE} from budgets
     where scope = any ((select $1::text[])::text[])
     order by scope collate "C"
       for update
  ), as_known as materialized (
    select not exists (select from given left join locked using (scope) where version is distinct from known)
           and abs($5 - ${NOW_MS}) < ${CLOCK_MS} as it
  ), changed as (
    update budgets
       set version = $6, taken = taken_now, queued_until = to_timestamp(queued_ms / 1000), used_at = now()
      from given
     where (select it from as_known) and budgets.scope = given.scope
    returning budgets.scope
  ), made as (
    insert into budgets (scope, version, taken, closed_until, queued_until)
    select scope, $6, taken_now, to_timestamp(0), to_timestamp(queued_ms / 1000) from given
     where (select it from as_known) and known is null
    on conflict do nothing
    returning scope
  ), done as (
    select (select count(*) from changed) + (select count(*) from made) = (select count(*) from given) as written
  )
  select ${NOW_MS} as now, given.scope, locked.version, locked.taken, "closedUntil", "queuedUntil"
    from done left join (given left join locked using (scope)) on not written`;

const CLOSE = `
  with closed as (
    insert into budgets (scope, version, closed_until, queued_until)
    values ($1, $2, now() + $3 * interval '1 millisecond', to_timestamp(0))
    on conflict (scope) do update
       set version = excluded.version, used_at = now(),
           closed_until = greatest(budgets.closed_until, excluded.closed_until)
    returning closed_until
  )
  select ceil(extract(epoch from closed_until - clock_timestamp()) * 1000)::float8 as left,
         pg_notify('${CLOSED_CHANNEL}', $1)
    from closed`;

/** Nothing that is older counts any more: of the longest window and the longest wait. */
export const PRUNE_BUDGETS = `
  delete from budgets where scope in (
    select scope from budgets where used_at < now() - interval '2 hours' limit $1 for update skip locked)`;

/** Groups of one statement. */
const MOST_TOGETHER = 64;
/** Budgets that a process remembers, the oldest going first: more than a fleet uses within a minute. */
const MOST_KNOWN = 20_000;

interface Row extends BudgetState {
  /** Null: what was decided is in force, and known. */
  scope: string | null;
  version: string | null;
  now: number;
}
interface Measured {
  aheadMs: number;
  tookMs: number;
  at: number;
}
/** As text, which is a quarter of what the numbers take: a process remembers thousands of budgets. */
interface Known {
  version: string | null;
  taken: string;
  closedUntil: number;
  queuedUntil: number;
}

const stateOf = ({ taken, closedUntil, queuedUntil }: Known): BudgetState => ({
  taken: JSON.parse(taken) as BudgetState['taken'],
  closedUntil,
  queuedUntil,
});

/** The ledger of all replicas of one database. */
export function createBudgets(pool: pg.Pool, listener: Listener, shares: Shares): BudgetLedger {
  const windowsFor = windowsBy(shares);
  const known = new Map<string, Known>();
  /** What the database's clock is ahead of this process's, in milliseconds; the longer it took, the less is it known. */
  let clock: Measured | null = null;

  function keep(scope: string, one: Known): void {
    known.delete(scope);
    known.set(scope, one);
    for (const oldest of known.keys()) {
      if (known.size <= MOST_KNOWN) break;
      known.delete(oldest);
    }
  }

  async function query(statement: pg.QueryConfig): Promise<{ rows: Row[]; measured: Measured }> {
    const sent = performance.now();
    const { rows } = await pool.query<Row>(statement);
    const at = performance.now();
    const measured = { aheadMs: rows[0]!.now - (sent + at) / 2, tookMs: at - sent, at };
    if (clock === null || measured.tookMs <= clock.tookMs || at - clock.at > MEASURED_MS) clock = measured;
    for (const { scope, version, taken, closedUntil, queuedUntil } of rows) {
      if (scope === null) continue;
      const state = version === null ? UNUSED : { taken, closedUntil, queuedUntil };
      keep(scope, { ...state, version, taken: toJson(state.taken) });
    }
    return { rows, measured };
  }

  async function taken(asked: Asked[]): Promise<Given[]> {
    const scopes = [...new Set(asked.flatMap(({ wants }) => wants.map(({ scope }) => scope)))];
    for (;;) {
      const unknown = clock === null ? scopes : scopes.filter((scope) => !known.has(scope));
      if (unknown.length > 0) await query({ name: 'parasol_budgets', text: READ, values: [unknown] });
      const now = performance.now() + (clock?.aheadMs ?? 0);
      const before = new Map(scopes.map((scope) => [scope, known.get(scope)!]));
      const after = new Map(scopes.map((scope) => [scope, stateOf(before.get(scope)!)]));
      const given = asked.map((one) => give(one, after, windowsFor, now));
      const version = randomUUID();
      const states = scopes.map((scope) => {
        const state = after.get(scope)!;
        return { ...state, version, taken: toJson(state.taken) };
      });
      const { rows, measured } = await query({
        name: 'parasol_take_budgets',
        text: WRITE,
        values: [
          scopes,
          scopes.map((scope) => before.get(scope)!.version),
          states.map(({ taken }) => taken),
          states.map(({ queuedUntil }) => queuedUntil),
          now,
          version,
        ],
      });
      if (rows[0]?.scope !== null) {
        // It may have been the time that was wrong.
        clock = measured;
        continue;
      }
      for (const [index, scope] of scopes.entries()) keep(scope, states[index]!);
      return given;
    }
  }

  return {
    take: together(taken, MOST_TOGETHER),
    async close({ scope }: Budget, forMs) {
      const values = [scope, randomUUID(), forMs];
      const { rows } = await pool.query<{ left: number }>(CLOSE, values);
      known.delete(scope);
      return Math.max(0, rows[0]?.left ?? forMs);
    },
    onClosed: (listen) => listener.add(CLOSED_CHANNEL, listen),
  };
}
