import { afterAll, beforeAll, expect, it } from 'vitest';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { fleet, seedFleet } from './fleet.ts';
import { resultOf } from './fixtures.ts';

/** What runs ask all day long reads their own rows, however many tenants there are. */

const TENANTS = 10_000;
const AT_ONCE = 8;

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  // One connection, so that it has planned its statements for any values by the time they are looked at.
  store = createStore({ connectionString: database.url, max: 1 });
  // All due, as after an outage: then a tenth of all seems a lot.
  const nextRunAt = new Date('2026-01-01T00:00:00Z');
  await seedFleet(
    store.pool,
    fleet(TENANTS).map((one) => ({ ...one, nextRunAt })),
  );
  await store.pool.query('analyze');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

async function takeAndRecord(): Promise<void> {
  const taken = await store.claims.take('owner', AT_ONCE, 30_000);
  expect(taken).toHaveLength(AT_ONCE);
  await Promise.all(taken.map(({ claim }) => store.reconciles.snapshot(claim.tenantId)));
  await Promise.all(
    taken.map(({ claim }) => store.reconciles.record(claim, resultOf({ events: [], status: null }))),
  );
}

/** How often all tenants were read through. */
async function readThrough(): Promise<number> {
  await store.pool.query('select pg_stat_force_next_flush()');
  const { rows } = await store.pool.query<{ times: string }>(
    `select seq_scan as times from pg_stat_user_tables where relname = 'tenants'`,
  );
  return Number(rows[0]!.times);
}

it('to take, read and record some of many tenants reads no other', async () => {
  // PostgreSQL plans a statement for any values from its sixth time on.
  for (let time = 0; time < 8; time += 1) await takeAndRecord();
  const before = await readThrough();
  for (let time = 0; time < 4; time += 1) await takeAndRecord();
  expect((await readThrough()) - before).toBe(0);
});
