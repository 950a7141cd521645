import type { NodePgDatabase, NodePgQueryResultHKT } from 'drizzle-orm/node-postgres';
import { drizzle } from 'drizzle-orm/node-postgres';
import { DrizzleQueryError } from 'drizzle-orm/errors';
import type { PgDatabase } from 'drizzle-orm/pg-core';
import pg from 'pg';

export type Database = NodePgDatabase & { $client: pg.Pool };
/** The database, or a transaction on it. */
export type Executor = PgDatabase<NodePgQueryResultHKT>;

/** The channel that says which tenant was triggered. */
export const TRIGGER_CHANNEL = 'parasol_trigger';
/** The channel that says of which tenant something was committed that others may wait for. */
export const CHANGE_CHANNEL = 'parasol_change';
export const CHANNELS = [TRIGGER_CHANNEL, CHANGE_CHANNEL] as const;
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
} as const;

/** The database refused or could not be reached. `code` is PostgreSQL's SQLSTATE, or Node's error code. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly code: string | null;
  /** The unique constraint or check that was violated, where one was. */
  readonly constraint: string | null;
  constructor(message: string, code: string | null, constraint: string | null) {
    super(message);
    this.code = code;
    this.constraint = constraint;
  }
}

/**
 * An error without the statement's parameters: drizzle's own message and PostgreSQL's details carry rows, and a
 * log is no place for those.
 */
export function toStoreError(error: unknown): unknown {
  const cause = error instanceof DrizzleQueryError ? error.cause : error;
  if (!(cause instanceof Error) || (cause === error && !('code' in cause))) return error;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : null;
  const constraint = cause instanceof pg.DatabaseError ? (cause.constraint ?? null) : null;
  return new StoreError(cause.message, code, constraint);
}

/** The same methods, whose errors carry no rows. */
export function withStoreErrors<T extends object>(port: T): T {
  const wrapped = Object.entries(port).map(([name, method]: [string, unknown]) => [
    name,
    typeof method !== 'function'
      ? method
      : async (...parameters: unknown[]) => {
          try {
            return await (method as (...parameters: unknown[]) => Promise<unknown>).apply(port, parameters);
          } catch (error) {
            throw toStoreError(error);
          }
        },
  ]);
  return Object.fromEntries(wrapped) as T;
}

/** A pool that survives the loss of its connections: an idle one that breaks is told and replaced. */
export function openPool(options: pg.PoolConfig, onError: (error: Error) => void): pg.Pool {
  const pool = new pg.Pool({
    application_name: 'parasol',
    max: 10,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    ...options,
  });
  pool.on('error', onError);
  // A connection may break between two statements of a transaction, where the pool does not listen for it.
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

export const openDatabase = <T extends pg.Pool | pg.PoolClient>(client: T): NodePgDatabase & { $client: T } =>
  drizzle({ client }) as NodePgDatabase & { $client: T };
