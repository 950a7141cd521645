import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HELD_MS, windowsOf, type Given, type Want } from '../../src/domain/budget.ts';
import type { BudgetLedger } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

const ALL = { connectwise: 1, umbrella: 1 };

let database: TestDatabase;
const stores: Store[] = [];

/** One more replica, with connections of its own. */
function replica(): BudgetLedger & { store: Store } {
  const store = createStore(database.url);
  stores.push(store);
  return { ...store.budgets(ALL), store };
}

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
});
afterAll(() => database.drop());

let scopes = 0;
const want = (kind: Want['kind'], calls: number | null = null, scope = `test ${++scopes}`): Want => ({
  scope,
  kind,
  calls,
});
const working = { urgent: false, turn: null };
const inLine = { urgent: false, turn: 0 };
const waitOf = (given: Given): number => (given.given ? 0 : given.waitMs);
const callsOf = (given: Given): number => (given.given ? given.calls.reduce((all, one) => all + one, 0) : 0);

describe('a budget that replicas share', () => {
  test('gives all of them together what the vendor allows, and tells the others when there is more', async () => {
    const replicas = [replica(), replica(), replica()];
    const one = want('umbrella-customers', 1);
    const [window] = windowsOf('umbrella-customers', ALL);
    const given = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        replicas[index % 3]!.take({ wants: [one], urgent: false, turn: null }),
      ),
    );
    expect(given.reduce((all, each) => all + callsOf(each), 0)).toBe(window!.calls - window!.reserve);
    for (const refused of given.filter((each) => !each.given)) {
      expect(refused).toMatchObject({ given: false, scope: one.scope, closed: false });
      expect(refused.waitMs).toBeGreaterThan(HELD_MS);
      expect(refused.waitMs).toBeLessThanOrEqual(window!.slots * window!.slotMs);
    }
    const urgent = await Promise.all(
      Array.from({ length: 10 }, () => replica().take({ wants: [one], urgent: true, turn: null })),
    );
    expect(urgent.reduce((all, each) => all + callsOf(each), 0)).toBe(window!.reserve);
  });

  test('is what it was for a replica that starts anew', async () => {
    const one = want('umbrella-token', 17);
    expect(callsOf(await replica().take({ wants: [one], ...working }))).toBe(17);
    expect(await replica().take({ wants: [{ ...one, calls: 1 }], ...working })).toMatchObject({
      given: false,
    });
  });

  test('is given by blocks where nobody says how much is needed', async () => {
    expect(await replica().take({ wants: [want('connectwise')], ...working })).toEqual({
      given: true,
      calls: [20],
    });
  });

  test('that is short leaves what was wanted beside it untouched', async () => {
    const ledger = replica();
    const [short, plenty] = [want('umbrella-token', 17), want('connectwise', 850)];
    await ledger.take({ wants: [short], ...working });
    expect(await ledger.take({ wants: [short, plenty], ...inLine })).toMatchObject({
      given: false,
      scope: short.scope,
    });
    expect(await ledger.take({ wants: [plenty], ...working })).toMatchObject({ given: true, calls: [850] });
  });

  test('lets whoever waits have a turn, in the order in which they came, whatever replica they ask', async () => {
    const one = want('umbrella-token', 1);
    await replica().take({ wants: [{ ...one, calls: 17 }], ...working });
    const turns: number[] = [];
    for (let asked = 0; asked < 4; asked += 1) {
      const given = await replica().take({ wants: [one], ...inLine });
      if (!given.given) turns.push(given.turn);
    }
    expect(turns).toHaveLength(4);
    expect(turns).toEqual([...new Set(turns)].toSorted((a, b) => a - b));
  });
});

describe('a budget that its vendor closed', () => {
  test('is closed for every replica, which hears of it, and a shorter wait does not open it', async () => {
    const [first, second] = [replica(), replica()];
    const one = want('connectwise');
    await second.take({ wants: [one], ...working });
    const heard = Promise.withResolvers<string | null>();
    await second.onClosed((scope) => {
      if (scope !== null) heard.resolve(scope);
    });
    expect(await first.close(one, 30_000)).toBeGreaterThan(29_000);
    expect(await first.close(one, 1_000)).toBeGreaterThan(29_000);
    expect(await heard.promise).toBe(one.scope);
    for (const ledger of [first, second, replica()]) {
      const given = await ledger.take({ wants: [one], urgent: true, turn: null });
      expect(given).toMatchObject({ given: false, closed: true });
      expect(waitOf(given)).toBeGreaterThan(28_000);
    }
  });

  test('is open again once the wait is over', async () => {
    const ledger = replica();
    const one = want('connectwise');
    await ledger.close(one, 200);
    const refused = await ledger.take({ wants: [one], ...working });
    expect(refused).toMatchObject({ given: false });
    await sleep(250);
    expect(await ledger.take({ wants: [one], ...working })).toMatchObject({ given: true });
  });
});

test('budgets that nobody used for hours are forgotten', async () => {
  const ledger = replica();
  const [old, used] = [want('connectwise'), want('connectwise')];
  await ledger.take({ wants: [old, used], ...working });
  await ledger.store.pool.query(`update budgets set used_at = now() - interval '3 hours' where scope = $1`, [
    old.scope,
  ]);
  await ledger.store.housekeeping.prune(86_400_000, 1_000);
  const { rows } = await ledger.store.pool.query('select scope from budgets where scope = any($1)', [
    [old.scope, used.scope],
  ]);
  expect(rows).toEqual([{ scope: used.scope }]);
  // Whoever remembers a row that is gone makes it anew.
  expect(await ledger.take({ wants: [old], ...working })).toMatchObject({ given: true });
});
