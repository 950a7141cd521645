import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import type pg from 'pg';
import type { fromDrizzle, PgBoss } from 'pg-boss';
import type { DeliveryQueue } from '../reconciler/ports.ts';
import { Connection, SESSION } from './connection.ts';
import { LOCKS, toStoreError, type Executor } from './database.ts';

const DELIVERIES = 'automation-deliveries';
const DEAD = 'automation-dead';

/** Five seconds to a quarter of an hour between attempts: an hour and a quarter in all, then people have it. */
const RETRIES = { retryLimit: 12, retryDelay: 5, retryBackoff: true, retryDelayMax: 900 } as const;
/** A worker that was killed gives no sign of life; its jobs are another's soon after. */
const LIFE = { heartbeatSeconds: 10, expireInSeconds: 120, watchSeconds: 10 } as const;
const POLL_SECONDS = 2;
/** One automation that keeps its callers waiting must not hold up all others. */
const WORKERS = 4;
/** How often it is looked whether another replica queued the first delivery of all. */
const LOOK_EVERY_MS = 30_000;
const STOP_WITHIN_MS = 20_000;
/** A statement of the library, of which the first ones make its tables; in milliseconds. */
const LONGEST_MS = 60_000;
/** What one who goes waits for a database that does not answer, in milliseconds. */
const FAREWELL_MS = 1_000;

export interface Queue extends DeliveryQueue {
  /** Before the first `send`: what keeps the queue is there. */
  ready(): Promise<void>;
  /** Queues a delivery, in the caller's transaction. */
  send(tx: Executor, handoffId: string): Promise<void>;
}

type Handlers = Parameters<DeliveryQueue['work']>[0];

/**
 * Deliveries in pg-boss, in a schema of its own. It is started, and its library loaded, with the first delivery that
 * is there to be made: who has no automation pays nothing for it.
 */
export function createQueue(config: pg.PoolConfig, pool: pg.Pool, onError: (error: Error) => void): Queue {
  let starting: Promise<Started> | null = null;
  let handlers: Handlers | null = null;
  let looking: NodeJS.Timeout | null = null;

  const ready = async (): Promise<Started> => {
    starting ??= start(config, pool, onError).then(async (started) => {
      if (handlers) await attend(started.boss, handlers, onError);
      return started;
    });
    try {
      return await starting;
    } catch (error) {
      // The database was away: the next delivery tries again.
      starting = null;
      throw toStoreError(error);
    }
  };

  const look = async (): Promise<void> => {
    try {
      if (await anyDue(pool)) await ready();
    } catch (error) {
      onError(error as Error);
    }
  };

  return {
    async ready() {
      await ready();
    },

    async send(tx, handoffId) {
      const { boss, fromDrizzle } = await ready();
      await boss.send(DELIVERIES, { handoff: handoffId }, { db: fromDrizzle(tx, sql) });
    },

    async work(given) {
      handlers = given;
      await look();
      looking = setInterval(() => {
        if (!starting) void look();
      }, LOOK_EVERY_MS);
      looking.unref();
    },

    async stop() {
      if (looking) clearInterval(looking);
      if (!starting) return;
      const answers = await Promise.race([isThere(pool), sleep(FAREWELL_MS, false, { ref: false })]);
      const stopped = starting.then(
        ({ boss }) => boss.stop({ graceful: answers, timeout: answers ? STOP_WITHIN_MS : FAREWELL_MS }),
        () => undefined,
      );
      starting = null;
      // Jobs that are under way are another worker's once their heartbeat is missed.
      await (answers ? stopped : Promise.race([stopped, sleep(FAREWELL_MS, undefined, { ref: false })]));
    },
  };
}

const isThere = (pool: pg.Pool): Promise<boolean> =>
  pool.query('select 1').then(
    () => true,
    () => false,
  );

async function anyDue(pool: pg.Pool): Promise<boolean> {
  const { rows } = await pool.query<{ due: boolean }>(
    `select exists (select 1 from handoffs
      where state in ('open', 'claimed', 'submitted') and automation ->> 'state' = 'delivering') as due`,
  );
  return rows[0]?.due ?? false;
}

const BOUNDED = { Client: Connection, query_timeout: LONGEST_MS };

interface Started {
  boss: PgBoss;
  fromDrizzle: typeof fromDrizzle;
}

async function start(
  config: pg.PoolConfig,
  pool: pg.Pool,
  onError: (error: Error) => void,
): Promise<Started> {
  const library = await import('pg-boss');
  const { connectionString } = config;
  const boss = new library.PgBoss({
    ...SESSION,
    ...(connectionString === undefined ? (config as object) : { connectionString }),
    // Its pool is made by itself, of such connections.
    ...BOUNDED,
    application_name: 'parasol',
    max: 2,
    schedule: false,
    superviseIntervalSeconds: LIFE.watchSeconds,
    monitorIntervalSeconds: LIFE.watchSeconds,
  });
  boss.on('error', onError);
  // Replicas that start it together take turns, as they do for every other table.
  const client = await pool.connect();
  try {
    await client.query('select pg_advisory_lock($1, $2)', [LOCKS.space, LOCKS.migrate]);
    await boss.start();
    const { retryLimit, retryDelay, retryBackoff, retryDelayMax } = RETRIES;
    await boss.createQueue(DEAD, { retryLimit, retryDelay, retryBackoff, retryDelayMax });
    await boss.createQueue(DELIVERIES, {
      ...RETRIES,
      expireInSeconds: LIFE.expireInSeconds,
      heartbeatSeconds: LIFE.heartbeatSeconds,
      deadLetter: DEAD,
      deleteAfterSeconds: 86_400,
    });
  } finally {
    client.release(true);
  }
  return { boss, fromDrizzle: library.fromDrizzle };
}

interface Job {
  handoff: string;
}

async function attend(
  boss: PgBoss,
  { deliver, bury }: Handlers,
  onError: (error: Error) => void,
): Promise<void> {
  await boss.work<Job>(DEAD, { pollingIntervalSeconds: POLL_SECONDS }, async (jobs) => {
    for (const { data } of jobs) await bury(data.handoff);
  });
  await boss.work<Job>(
    DELIVERIES,
    { pollingIntervalSeconds: POLL_SECONDS, batchSize: 10, localConcurrency: WORKERS, perJobResults: true },
    (jobs) =>
      Promise.all(
        jobs.map(async ({ id, data }) => {
          // One that breaks must not take the others of its batch with it.
          const ended = await deliver(data.handoff).catch((error: unknown) => {
            onError(error as Error);
            return { failed: 'once' as const };
          });
          if (ended === 'done') return { id, status: 'completed' as const };
          if ('laterMs' in ended) {
            await boss.send(DELIVERIES, data, { startAfter: Math.ceil(ended.laterMs / 1_000) });
            return { id, status: 'completed' as const };
          }
          return { id, status: ended.failed === 'once' ? ('failed' as const) : ('deadletter' as const) };
        }),
      ),
  );
}
