import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, newId, opened, openingFor, queuedIn, resultOf, runOf } from './fixtures.ts';

/** Deliveries to automations are queued with their cause. */

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
afterEach(async () => {
  await store.pool.query('truncate tenants cascade');
  if (await isThere()) await store.pool.query('delete from pgboss.job');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const isThere = async (): Promise<boolean> => {
  const { rows } = await store.pool.query<{ there: boolean }>(
    `select to_regclass('pgboss.job') is not null as there`,
  );
  return rows[0]!.there;
};

describe('a delivery', () => {
  it('is queued in the transaction that opens its hand-off, or not at all', async () => {
    await given(store, 'acme');
    const runId = newId();
    await store.pool.query(
      `insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
       values ($1, 'acme', 'x', now(), now(), 'succeeded', 0, 0, '', '[]')`,
      [runId],
    );
    const claim = await claimOf(store, 'acme');
    const handoff = openingFor();
    const broken = resultOf({ run: runOf({ id: runId }), handoffs: [handoff] });
    await expect(store.reconciles.record(claim, broken)).rejects.toThrow(/duplicate key/);
    expect(await queuedIn(store)).toEqual([]);
    expect(await store.desk.handoffs({ tenant: 'acme', live: false })).toEqual([]);

    await store.reconciles.record(claim, resultOf({ handoffs: [handoff] }));
    expect(await queuedIn(store)).toEqual([handoff.id]);
    expect(await store.desk.handoff(handoff.id)).toMatchObject({
      state: 'claimed',
      claimedBy: 'automation',
      automation: { state: 'delivering', attempts: 0, error: null },
    });
  });

  it('is not queued where the automation cannot be asked: people have it, and are told why', async () => {
    const id = await opened(store, openingFor(undefined, 'there is no secret to sign with'));
    expect(await queuedIn(store)).toEqual([]);
    expect(await store.desk.handoff(id)).toMatchObject({ state: 'open', automation: { state: 'failed' } });
    const { items } = await store.desk.events('acme', { before: null, limit: 5 });
    expect(items[0]).toMatchObject({ type: 'AutomationFailed' });
  });

  it('carries nothing but the hand-off’s id', async () => {
    const id = await opened(store);
    const { rows } = await store.pool.query<{ data: object }>('select data from pgboss.job');
    expect(rows).toEqual([{ data: { handoff: id } }]);
  });
});

it('costs nothing where nobody has an automation: neither schema nor library nor connection', async () => {
  const fresh = await createTestDatabase();
  const lonely = createStore(fresh.url);
  try {
    await lonely.queue.work({ deliver: async () => 'done', bury: async () => undefined });
    const { rows } = await lonely.pool.query<{ there: boolean; connections: number }>(
      `select to_regnamespace('pgboss') is not null as there, count(*)::int as connections
         from pg_stat_activity where datname = current_database() group by 1`,
    );
    expect(rows).toEqual([{ there: false, connections: 1 }]);
  } finally {
    await lonely.close();
    await fresh.drop();
  }
});
