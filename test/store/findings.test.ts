import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Condition } from '../../src/domain/condition.ts';
import type { Facts } from '../../src/domain/observation.ts';
import { ago } from '../../src/domain/told.ts';
import type { StoredStatus } from '../../src/reconciler/ports.ts';
import { findingsOf, isSame, seenOf, statusOf as withTimes } from '../../src/store/findings.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { factsOf, at as NOW } from '../domain/fixtures.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, GONE, LEAVING, newId, resultOf, runOf, statusOf } from './fixtures.ts';

describe('what a status says, apart from when', () => {
  const throughJson = (status: StoredStatus) =>
    JSON.parse(JSON.stringify(findingsOf(status))) as ReturnType<typeof findingsOf>;

  it('is stored without the times of its look, and read with them', () => {
    fc.assert(
      fc.property(factsOf(), fc.constantFrom(NOW, '2026-03-10T09:00:00.000Z'), (facts, observedAt) => {
        const status = statusOf({ facts, observedAt });
        expect(withTimes(throughJson(status), seenOf(status))).toEqual(JSON.parse(JSON.stringify(status)));
      }),
    );
  });

  const then = '2026-01-01T00:15:00.000Z';
  const look = (settingsAt: string, umbrellaAt: string, observedAt: string): StoredStatus => {
    const seen = (at: string) => ({ at, observedAt: at, source: 'a key', credentialId: 'key-1' });
    const because = (type: Condition['type'], at: string): Condition => ({
      type,
      status: 'True',
      reason: 'Seen',
      message: `It was seen ${ago(at)}, and Umbrella ${ago(umbrellaAt)}.`,
      observedGeneration: 1,
      lastTransitionTime: then,
    });
    return statusOf({
      facts: {
        members: { value: { items: [], controlSeen: true }, ...seen(observedAt) },
        roles: { value: { items: [], controlSeen: true }, ...seen(settingsAt) },
        umbrellaAccess: { value: { accepted: true }, ...seen(umbrellaAt) },
        candidates: {},
      },
      conditions: [because('MembersReady', observedAt), because('RoleReady', settingsAt)],
      observedAt,
    });
  };

  it.each([
    ['whole looks', look(then, then, then), look(NOW, NOW, NOW)],
    ['brief looks', look(NOW, then, '2026-03-01T00:00:00.000Z'), look(NOW, then, '2026-03-01T00:15:00.000Z')],
    ['a brief look and one that saw a part anew', look(then, then, NOW), look(NOW, then, NOW)],
  ])('is the same after %s that showed the same', (_, one, other) => {
    expect(JSON.stringify(throughJson(one).facts)).not.toContain('observedAt');
    expect(throughJson(one).facts).toEqual(throughJson(other).facts);
    for (const status of [one, other]) expect(withTimes(throughJson(status), seenOf(status))).toEqual(status);
  });

  it('says of which part an age is, so that the words of a condition stay as they are', () => {
    const role = (status: StoredStatus) => throughJson(status).conditions[1]!.message;
    expect(role(look(then, NOW, '2026-03-01T00:00:00.000Z'))).toBe(
      'It was seen {ago:settings}, and Umbrella {ago:umbrella}.',
    );
    expect(role(look(NOW, then, NOW))).toMatch(/^It was seen \{ago:settings\}/);
    expect(throughJson(look(then, then, NOW)).conditions[0]!.message).toMatch(/^It was seen \{ago\}/);
  });

  it('is the same wherever JSON says the same, and nowhere else', () => {
    const value = fc.jsonValue({ maxDepth: 3 });
    fc.assert(
      fc.property(value, value, (one, other) => {
        const copy = (what: unknown): unknown => JSON.parse(JSON.stringify(what));
        expect(isSame(one, copy(one))).toBe(true);
        const differ = JSON.stringify(sorted(one)) !== JSON.stringify(sorted(other));
        expect(isSame(one, other)).toBe(!differ);
        expect(isSame([one, { a: one }], [one, { a: other }])).toBe(!differ);
        expect(isSame({ a: one, b: undefined }, { a: copy(one) })).toBe(true);
        expect(isSame({ a: one, b: null }, { a: one })).toBe(false);
        expect(isSame({ a: one }, { a: one, b: other })).toBe(false);
      }),
    );
  });
});

/** Keys in one order; JSON knows no `-0`. */
function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, part]) => [name, sorted(part)] as const)
      .toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

describe('a look that shows what the last one showed', () => {
  let database: TestDatabase;
  let store: Store;
  /** Another process on the same database, which knows nothing of what this one knows. */
  let other: Store;

  beforeAll(async () => {
    database = await createTestDatabase();
    store = createStore(database.url);
    other = createStore(database.url);
  });
  beforeEach(async () => {
    await store.pool.query('truncate tenants, events, intents, vault_checks cascade');
    await given(store, 'acme');
  });
  afterAll(async () => {
    await store.close();
    await other.close();
    await database.drop();
  });

  const seenAt = (observedAt: string, change: Partial<StoredStatus> = {}): StoredStatus => {
    const customers = [{ id: 1, name: 'Contoso' }];
    const seen = { at: observedAt, observedAt, source: 'Umbrella key', credentialId: 'key-u' };
    const facts: Facts = { customers: { value: customers, ...seen }, candidates: {} };
    return statusOf({ facts, observedAt, ...change });
  };
  const FIRST = '2026-01-01T00:00:00.000Z';
  const THEN = '2026-01-01T00:15:00.000Z';
  const LATER = '2026-01-01T00:30:00.000Z';

  async function run(by: Store, status: StoredStatus): Promise<string> {
    await by.desk.trigger('acme', 'test');
    const claim = await claimOf(by, 'acme');
    await by.reconciles.snapshot('acme');
    const id = newId();
    expect(await by.reconciles.record(claim, resultOf({ run: runOf({ id }), status }))).toBe(true);
    return id;
  }
  const row = async () => {
    const { rows } = await store.pool.query<{ version: string; observed_at: Date; drift: unknown[] }>(
      'select version, observed_at, drift from statuses',
    );
    return rows[0]!;
  };
  const status = async (of: Store) => (await of.reconciles.snapshot('acme'))!.status;
  const drifted = (path: string): Partial<StoredStatus> => ({
    drift: [
      {
        path,
        kind: 'missing',
        desired: 'All',
        observed: 'None',
        since: FIRST,
        action: 'api:x',
        accepted: null,
      },
    ],
  });

  it('moves the time of the look, and writes nothing else of the status', async () => {
    const first = await run(store, seenAt(FIRST));
    await run(store, seenAt(THEN));
    expect(await row()).toMatchObject({ version: first, observed_at: new Date(THEN) });
    for (const reader of [store, other]) expect(await status(reader)).toEqual(seenAt(THEN));
    expect((await store.desk.tenant('acme'))!.status).toEqual(seenAt(THEN));
  });

  it('is told from one that shows something else, which is written whole', async () => {
    await run(store, seenAt(FIRST));
    const changed = await run(store, seenAt(THEN, drifted('role')));
    expect(await row()).toMatchObject({ version: changed, drift: [{ path: 'role' }] });
    expect(await status(store)).toEqual(seenAt(THEN, drifted('role')));
  });

  it('is one of what the row holds, not of what this process wrote before another did', async () => {
    await run(store, seenAt(FIRST));
    await run(other, seenAt(THEN, drifted('members.umbrella-a')));
    expect(await status(store)).toEqual(seenAt(THEN, drifted('members.umbrella-a')));
    await run(store, seenAt(LATER));
    expect(await status(other)).toEqual(seenAt(LATER));
  });

  it('is written whole where the row turned out to hold something else', async () => {
    await run(store, seenAt(FIRST));
    await store.desk.trigger('acme', 'test');
    const claim = await claimOf(store, 'acme');
    await store.reconciles.snapshot('acme');
    // An older database was restored in the middle of the run, say.
    await store.pool.query(`update statuses set version = 'older', drift = '[{"path":"role"}]'`);
    expect(await store.reconciles.record(claim, resultOf({ status: seenAt(THEN) }))).toBe(true);
    expect(await row()).toMatchObject({ drift: [] });
    expect(await status(other)).toEqual(seenAt(THEN));
  });

  it('makes the tenant ready again where time alone had unsaid that it was', async () => {
    const well = {
      conditions: [{ ...statusOf().conditions[0]!, status: 'True' as const, reason: 'LevelsExact' }],
    };
    const listed = async () =>
      (await store.pool.query<object>('select ready, marks from listings')).rows as unknown[];
    await run(store, seenAt(FIRST, well));
    const before = await listed();
    await store.pool.query(`update listings set ready = 'True', unready_since = null`);
    await run(store, seenAt(THEN, well));
    expect(await listed()).toEqual(before);
  });

  it('is remembered by nobody who could change it', async () => {
    await run(store, seenAt(FIRST));
    const known = (await status(store))!;
    expect(() => known.plan.steps.pop()).toThrow(TypeError);
    expect(() => (known.facts.customers!.value!.length = 0)).toThrow(TypeError);
  });

  it('is not mistaken for one of a tenant that was deleted and came again', async () => {
    await run(store, seenAt(FIRST));
    await store.desk.requestDelete('acme', LEAVING, [], 'deletion');
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf({ forget: GONE }));
    await given(store, 'acme');
    expect(await status(store)).toBeNull();
    await run(store, seenAt(THEN));
    expect(await status(other)).toEqual(seenAt(THEN));
  });
});
