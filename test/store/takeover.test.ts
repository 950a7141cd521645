import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { createStore, ownerInSession, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { BOUNDS, claimOf, given, intent, resultOf, runOut } from './fixtures.ts';

/** What becomes of the tenants of a replica whose session with the database is gone (rulings 10). */

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
const releases: (() => Promise<void>)[] = [];
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, intents cascade');
});
afterEach(async () => {
  for (const release of releases.splice(0)) await release();
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** Shows that an owner lives, until what it returns is called. */
async function inSession(name: string): Promise<{ owner: string; end: () => Promise<void> }> {
  const owner = ownerInSession(name);
  const release = await store.occupancy.share({
    owner,
    onLost: () => undefined,
    onReturn: async () => undefined,
  });
  releases.push(release!);
  return { owner, end: release! };
}

it('its tenants are due as soon as its session is gone, and its claims are worth nothing once they were taken', async () => {
  await given(store, 'acme');
  const { owner, end } = await inSession('dead');
  const old = await claimOf(store, 'acme', owner);
  expect(await store.claims.takeOver()).toBe(0);
  await end();
  expect(await store.claims.takeOver()).toBe(1);
  const claim = await claimOf(store, 'acme', (await inSession('alive')).owner);
  expect(claim.token).toBe(old.token + 1);
  expect(await store.claims.confirm(old, 1_000, { generation: 1, decisions: 0 })).toBe(false);
  expect(await store.reconciles.record(old, resultOf())).toBe(false);
  expect(await store.claims.takeOver()).toBe(0);
  expect(await store.reconciles.record(claim, resultOf())).toBe(true);
});

it('an owner that never showed a session, as an earlier release’s, keeps its tenants as long as its lease holds', async () => {
  await given(store, 'acme');
  await claimOf(store, 'acme', 'host:1:abc');
  expect(await store.claims.takeOver()).toBe(0);
});

it('a second session of the same owner keeps its tenants when the first is gone', async () => {
  await given(store, 'acme');
  const first = await inSession('returning');
  await inSession('returning');
  await claimOf(store, 'acme', first.owner);
  await first.end();
  expect(await store.claims.takeOver()).toBe(0);
});

it('what takes something away waits until the lease would have run out; what gives does not', async () => {
  await given(store, 'acme');
  const { owner, end } = await inSession('dead');
  await claimOf(store, 'acme', owner);
  await end();
  await store.claims.takeOver();
  const claim = await claimOf(store, 'acme', (await inSession('alive')).owner);
  const takes = { ...BOUNDS, takesAway: true };
  const verdict = await store.reconciles.openIntent(claim, intent('member:a:change'), takes);
  expect(verdict).toMatchObject({ granted: false, because: 'taken-over' });
  const leftMs = !verdict.granted && verdict.because === 'taken-over' ? verdict.leftMs : 0;
  expect(leftMs).toBeGreaterThan(20_000);
  expect(leftMs).toBeLessThanOrEqual(30_000);
  expect(await store.reconciles.openIntent(claim, intent('member:b'), BOUNDS)).toEqual({ granted: true });
  await store.pool.query(`update tenants set takeover_until = now() - interval '1 second'`);
  expect(await store.reconciles.openIntent(claim, intent('member:a:change'), takes)).toEqual({
    granted: true,
  });
});

it('a run that was broken off is due at once, and what takes something away waits for its lease all the same', async () => {
  await given(store, 'acme');
  await given(store, 'other');
  const old = await claimOf(store, 'acme', 'broken off');
  const kept = await claimOf(store, 'other', 'broken off');
  await store.claims.abandon([old, { ...kept, token: kept.token - 1 }]);
  const claim = await claimOf(store, 'acme', 'alive');
  const takes = { ...BOUNDS, takesAway: true };
  expect(await store.reconciles.openIntent(claim, intent('member:a:change'), takes)).toMatchObject({
    granted: false,
    because: 'taken-over',
  });
  expect(await store.reconciles.openIntent(claim, intent('member:b'), BOUNDS)).toEqual({ granted: true });
  // A claim that is somebody else's by now stays theirs.
  expect(await store.reconciles.openIntent(kept, intent('member:a:change'), takes)).toEqual({
    granted: true,
  });
});

it('a lease that ran out by itself holds nothing back', async () => {
  await given(store, 'acme');
  const { owner, end } = await inSession('dead');
  await claimOf(store, 'acme', owner);
  await end();
  await runOut(store, 'acme');
  expect(await store.claims.takeOver()).toBe(0);
  const claim = await claimOf(store, 'acme', (await inSession('alive')).owner);
  const takes = { ...BOUNDS, takesAway: true };
  expect(await store.reconciles.openIntent(claim, intent('member:a:change'), takes)).toEqual({
    granted: true,
  });
});
