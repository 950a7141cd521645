import type pg from 'pg';
import { PARASOL, type Caller } from '../domain/access.ts';
import type { Shares } from '../domain/budget.ts';
import type {
  BudgetLedger,
  Claims,
  Deliveries,
  DeliveryQueue,
  Desk,
  EventLog,
  Housekeeping,
  Keyring,
  Lineage,
  Occupancy,
  Reconciles,
  Requests,
  Tokens,
  UmbrellaKeys,
} from '../reconciler/ports.ts';
import { createBudgets } from './budgets.ts';
import { createClaims } from './claims.ts';
import { openDatabase, openPool, toStoreError, withStoreErrors } from './database.ts';
import { createDeliveries } from './deliveries.ts';
import { createDesk } from './desk.ts';
import { createHousekeeping } from './housekeeping.ts';
import { createKeyring } from './keyring.ts';
import { createEventLog } from './event-log.ts';
import { createLineage } from './lineage.ts';
import { createListener } from './listener.ts';
import { createOccupancy } from './occupancy.ts';
import { createQueue } from './queue.ts';
import { createReconciles } from './reconciles.ts';
import { createRequests } from './requests.ts';
import { createTenantRecords } from './tenant-record.ts';
import { createTokens } from './tokens.ts';
import { createUmbrellaKeys } from './umbrella-keys.ts';

export { StoreError } from './database.ts';
export { startEmbedded } from './embedded.ts';
export { migrate, pendingMigrations } from './migrate.ts';
export { ownerInSession } from './occupancy.ts';

export type Health = { ok: true; latencyMs: number } | { ok: false; detail: string };

export interface Store {
  claims: Claims;
  reconciles: Reconciles;
  desk: Desk;
  eventLog: EventLog;
  deliveries: Deliveries;
  queue: DeliveryQueue;
  tokens: Tokens;
  requests: Requests;
  umbrellaKeys: UmbrellaKeys;
  keyring: Keyring;
  occupancy: Occupancy;
  lineage: Lineage;
  housekeeping: Housekeeping;
  /** The budgets that all replicas share, of which ours are these shares. */
  budgets(shares: Shares): BudgetLedger;
  /** For the migrator. */
  pool: pg.Pool;
  /** Whether the database answers and takes writes, and how fast; never throws. */
  health(): Promise<Health>;
  /** Lets every connection go; waits a moment for what is under way on them. */
  close(): Promise<void>;
}

export interface StoreOptions {
  /** Where a connection that broke while nobody used it is told; such a loss never ends the process. */
  onError?: (error: Error) => void;
}

/** Everything that is kept in PostgreSQL. Connects when it is first used; what it throws carries no rows. */
export function createStore(
  connection: string | pg.PoolConfig,
  { onError = () => undefined }: StoreOptions = {},
): Store {
  const config = typeof connection === 'string' ? { connectionString: connection } : connection;
  const pool = openPool(config, onError);
  const db = openDatabase(pool);
  const listener = createListener(config, onError);
  const queue = createQueue(config, pool, onError);
  const recordOf = createTenantRecords(pool);
  const deskOf = (caller: Caller): Desk =>
    withStoreErrors({ ...createDesk(db, caller, recordOf), as: deskOf });
  let looking: Promise<Health> | null = null;
  return {
    claims: withStoreErrors(createClaims(pool, listener)),
    reconciles: withStoreErrors(createReconciles(db, queue)),
    desk: deskOf(PARASOL),
    eventLog: withStoreErrors(createEventLog(db, listener)),
    deliveries: withStoreErrors(createDeliveries(db)),
    queue,
    tokens: withStoreErrors(createTokens(db)),
    requests: withStoreErrors(createRequests(db)),
    umbrellaKeys: withStoreErrors(createUmbrellaKeys(db)),
    keyring: withStoreErrors(createKeyring(db)),
    occupancy: withStoreErrors(createOccupancy(config, onError)),
    lineage: withStoreErrors(createLineage(db)),
    housekeeping: withStoreErrors(createHousekeeping(db)),
    budgets: (shares) => withStoreErrors(createBudgets(pool, listener, shares)),
    pool,
    health() {
      // Probes of a database that does not answer must not take its connections from everybody else.
      looking ??= look(pool).finally(() => {
        looking = null;
      });
      return looking;
    },
    async close() {
      await queue.stop();
      await listener.close();
      await pool.end();
    },
  };
}

/** Whoever asks for it waits three seconds at most. */
const LOOK = {
  text: `select current_setting('transaction_read_only') = 'on' as "readOnly"`,
  query_timeout: 2_500,
};

async function look(pool: pg.Pool): Promise<Health> {
  const started = performance.now();
  try {
    const { rows } = await pool.query<{ readOnly: boolean }>(LOOK);
    if (rows[0]?.readOnly !== false) return { ok: false, detail: 'it takes no writes' };
    return { ok: true, latencyMs: performance.now() - started };
  } catch (error) {
    const known = toStoreError(error);
    return { ok: false, detail: known instanceof Error ? known.message : 'the database does not answer' };
  }
}
