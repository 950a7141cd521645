import type { NodePgDatabase, NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import { DrizzleQueryError } from 'drizzle-orm/errors';
import type { PgDatabase, PgTransactionConfig } from 'drizzle-orm/pg-core';
import pg from 'pg';
import type { Passing } from '../domain/passing.ts';
import { BEHIND_MS, codeOf, Connection, Pool, SESSION, unlessConflict } from './connection.ts';

export type Database = NodePgDatabase & { $client: pg.Pool };
/** The database, or a transaction on it. */
export type Executor = PgDatabase<NodePgQueryResultHKT>;

/** The channel that says which tenant was triggered. */
export const TRIGGER_CHANNEL = 'parasol_trigger';
/** The channel that says of which tenant something was committed that others may wait for. */
export const CHANGE_CHANNEL = 'parasol_change';
/** The channel that says which budget a vendor closed. */
export const CLOSED_CHANNEL = 'parasol_closed';
export const CHANNELS = [TRIGGER_CHANNEL, CHANGE_CHANNEL, CLOSED_CHANNEL] as const;
export type Channel = (typeof CHANNELS)[number];

/** Rows by as many as one statement may carry: its parameters are numbered in sixteen bits. */
export function* batches<T>(rows: readonly T[]): Generator<T[]> {
  for (let at = 0; at < rows.length; at += ROWS_AT_ONCE) yield rows.slice(at, at + ROWS_AT_ONCE);
}
const ROWS_AT_ONCE = 500;

/** Advisory locks that Parasol takes: `pg_advisory_lock(space, lock)`. */
export const LOCKS = {
  space: 0x70617261,
  migrate: 1,
  intents: 2,
  rotations: 3,
  occupancy: 4,
  brake: 5,
  /** A space of its own: `pg_advisory_lock(owners, hashtext(owner))`. */
  owners: 0x70617262,
} as const;

/** The database refused or could not be reached. `code` is PostgreSQL's SQLSTATE, or Node's error code. */
export class StoreError extends Error implements Passing {
  override readonly name = 'StoreError';
  readonly code: string | null;
  /** The unique constraint or check that was violated, where one was. */
  readonly constraint: string | null;
  constructor(message: string, code: string | null, constraint: string | null) {
    super(message);
    this.code = code;
    this.constraint = constraint;
  }

  /**
   * True where the same statement may work later, since it was the state of the database that it failed on: away, going
   * down or coming up, read only, out of connections or space, too busy to answer in time.
   */
  get passes(): boolean {
    return this.code !== null && PASSING.test(this.code);
  }
}

const PASSING = new RegExp(
  [
    // Connections, and what there is too little of; transactions that were taken back; locks that were not had.
    '08...|53...|40001|40P01|55P03',
    // Read only; idle for too long in a transaction or a session; cancelled, as by the timeout; down, up, or gone.
    '25006|25P03|25P04|57014|57P0[1235]',
    'ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|ENOENT',
    'E(?:HOST|NET)(?:UNREACH|DOWN)|ENOTFOUND|EAI_AGAIN',
  ]
    .map((codes) => `^(?:${codes})$`)
    .join('|'),
);

/** SQLSTATE: the connection failed. */
const LOST = '08006';

/** What the driver says of a connection that is gone or cannot be had. It gives no code; a test holds the words. */
export const LOST_WORDS = [
  'Connection terminated',
  'Connection terminated unexpectedly',
  'Connection terminated due to connection timeout',
  'Client has encountered a connection error and is not queryable',
  'Client was closed and is not queryable',
  'timeout expired',
  'timeout exceeded when trying to connect',
  'Cannot use a pool after calling end on the pool',
];

/**
 * An error without the statement's parameters: drizzle's own message and PostgreSQL's details carry rows, and a
 * log is no place for those.
 */
export function toStoreError(error: unknown): unknown {
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  if (error instanceof StoreError || !(cause instanceof Error)) return error;
  const code = codeOf(cause) ?? (LOST_WORDS.includes(cause.message) ? LOST : null);
  if (cause === error && code === null) return error;
  const constraint = cause instanceof pg.DatabaseError ? (cause.constraint ?? null) : null;
  // Where several addresses were tried, it has no message of its own.
  return new StoreError(cause.message || (code ?? ''), code, constraint);
}

/** The same methods, whose errors carry no rows. Each is made when it is asked for: a desk is made for each request. */
export function withStoreErrors<T extends object>(port: T): T {
  return new Proxy(port, {
    get(_, name) {
      const method: unknown = Reflect.get(port, name);
      if (typeof method !== 'function') return method;
      return (...parameters: unknown[]) => {
        const answer: unknown = Reflect.apply(method, port, parameters);
        return isPromise(answer)
          ? answer.then(undefined, (error: unknown) => Promise.reject(toStoreError(error)))
          : answer;
      };
    },
  });
}

/** A statement that drizzle has not sent yet is one too: to ask for its result sends it. */
const isPromise = (value: unknown): value is Promise<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';

/** How long a statement may take at the server, in milliseconds. */
const STATEMENT_MS = 30_000;

/**
 * A pool that survives the loss of its connections: an idle one that breaks is told and replaced, one whose answer is
 * late is broken. What needs longer says so (`atLeisure`).
 */
export function openPool(options: pg.PoolConfig, onError: (error: Error) => void): pg.Pool {
  const pool = new Pool({
    ...SESSION,
    application_name: 'parasol',
    max: 10,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS + BEHIND_MS,
    idle_in_transaction_session_timeout: 30_000,
    // To compile a statement takes longer than any of ours runs.
    options: '-c jit=off',
    ...options,
  });
  pool.on('error', onError);
  // A connection may break between two statements of a transaction, where the pool does not listen for it.
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

/** A connection whose statements may take so long, in milliseconds, each; 0: as long as they take. It is used once. */
export async function atLeisure<T>(
  pool: pg.Pool,
  ms: number,
  use: (client: pg.PoolClient) => Promise<T>,
): Promise<T> {
  const client = await pool.connect();
  try {
    if (client instanceof Connection) await client.allow(ms);
    else await client.query(`set statement_timeout = ${Math.trunc(ms)}`);
    return await use(client);
  } finally {
    // It goes, and with it the setting and every lock.
    client.release(true);
  }
}

/** Over a pool, transactions are done again where the server took them back: they may have no effect elsewhere. */
export function openDatabase<T extends pg.Pool | pg.PoolClient>(client: T): NodePgDatabase & { $client: T } {
  const db = drizzle({ client }) as NodePgDatabase & { $client: T };
  if (client instanceof pg.Pool) db.transaction = (run, config) => inTransaction(client, run, config);
  return db;
}

type Transaction = Parameters<Parameters<NodePgDatabase['transaction']>[0]>[0];

/**
 * A transaction, and the connection that it is on. That goes back to the pool in any case, and is used no more where
 * it may not have ended: drizzle's own way keeps the connection whose `begin` failed, until none is left.
 */
export const inTransaction = <R>(
  pool: pg.Pool,
  run: (tx: Transaction, client: pg.PoolClient) => Promise<R>,
  config?: PgTransactionConfig,
): Promise<R> => unlessConflict.execute(() => once(pool, run, config));

async function once<R>(
  pool: pg.Pool,
  run: (tx: Transaction, client: pg.PoolClient) => Promise<R>,
  config: PgTransactionConfig | undefined,
): Promise<R> {
  const client = await pool.connect();
  const thrown: unknown[] = [];
  let ended = false;
  try {
    const result = await openDatabase(client).transaction(
      (tx) =>
        run(tx, client).catch((error: unknown) => {
          thrown.push(error);
          throw error;
        }),
      config,
    );
    ended = true;
    return result;
  } catch (error) {
    if (thrown.length === 0) throw error;
    // Another one is that of the rollback, and tells less.
    ended = error === thrown[0];
    throw thrown[0];
  } finally {
    client.release(!ended);
  }
}
