import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { RESTORED } from '../../src/domain/brake.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { BOUNDS, claimOf, given, intent, newId } from './fixtures.ts';

/** A database that was restored is told by what PostgreSQL says of it, and holds its tenants (rulings 14). */

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, intents, brakes, lineage cascade');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const check = () => store.lineage.check(newId());
const held = async () => (await store.desk.brakes(10)).map(({ state, held }) => ({ state, held }));
/** As a dump is restored that has the tables made anew. */
const restore = () => store.pool.query(`update lineage set identity = identity || '0'`);

it('the same database is nothing to tell, however often it is looked at', async () => {
  await given(store, 'acme');
  expect(await check()).toBeNull();
  expect(await check()).toBeNull();
  expect(await held()).toEqual([]);
});

it('another one holds every tenant, tells so once, and lets no write leave', async () => {
  await given(store, 'acme', 'beta');
  await check();
  await restore();
  expect(await check()).toMatchObject({ type: 'DatabaseRestored', data: { tenants: 2 } });
  expect(await check()).toBeNull();
  expect(await held()).toEqual([{ state: 'on', held: ['acme', 'beta'] }]);
  const claim = await claimOf(store, 'acme');
  expect(await store.reconciles.openIntent(claim, intent(), BOUNDS)).toMatchObject({
    granted: false,
    because: 'braked',
  });
  expect((await store.reconciles.snapshot('acme'))!.sighted).toEqual([RESTORED]);
});

it('holds them anew where it is restored again, whoever was let go before', async () => {
  await given(store, 'acme');
  await check();
  await restore();
  await check();
  const [first] = await store.desk.brakes(1);
  const asked = { by: 'Jo', reason: 'looked', withoutCanary: true };
  await store.desk.releaseBrake(first!.id, null, asked);
  await restore();
  await check();
  expect(await held()).toEqual([
    { state: 'on', held: ['acme'] },
    { state: 'released', held: [] },
  ]);
});

it('counts anew where it is restored before the last one was over: what was seen in between may be of after the backup', async () => {
  await given(store, 'acme');
  await check();
  await restore();
  await check();
  await restore();
  await check();
  expect(await held()).toEqual([
    { state: 'on', held: ['acme'] },
    { state: 'ended', held: [] },
  ]);
});

it('of an empty fleet there is nothing to hold', async () => {
  await check();
  await restore();
  expect(await check()).toBeNull();
  expect(await held()).toEqual([]);
});

it('is one and the same for all who look at once', async () => {
  await given(store, 'acme');
  await check();
  await restore();
  const told = await Promise.all([check(), check(), check()]);
  expect(told.filter((news) => news !== null)).toHaveLength(1);
});
