import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Result } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, resultOf, runOf, runOut, statusOf } from './fixtures.ts';

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events cascade');
  await given(store, 'acme');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** A run of acme ends; its id. */
async function ran(change: Partial<Result> = {}): Promise<string> {
  await runOut(store, 'acme');
  const result = resultOf(change);
  expect(await store.reconciles.record(await claimOf(store, 'acme'), result)).toBe(true);
  return result.run.id;
}

const drift = {
  path: 'role',
  kind: 'missing' as const,
  desired: 'Umbrella',
  observed: 'none',
  since: '2026-01-01T00:00:00.000Z',
  action: 'create-role',
  accepted: null,
};
const kept = async () => {
  const { rows } = await store.pool.query<{ run_id: string }>('select run_id from run_findings order by 1');
  return rows.map(({ run_id }) => run_id);
};
const saw = async (run: string) => (await store.desk.run('acme', run))?.saw;

describe('what a run saw', () => {
  it('is kept where it differs from the run before, and found for every run after that', async () => {
    const first = await ran();
    const steady = await ran();
    const changed = await ran({ status: statusOf({ drift: [drift] }), calls: { 'POST system/members': 1 } });
    const last = await ran({ status: statusOf({ drift: [drift] }) });
    expect(await kept()).toEqual([first, changed]);
    expect(await saw(first)).toMatchObject({ since: first, drift: [], calls: { 'GET system/members': 2 } });
    expect(await saw(steady)).toMatchObject({ since: first, drift: [] });
    expect(await saw(changed)).toMatchObject({ since: changed, drift: [drift] });
    expect(await saw(last)).toMatchObject({ since: changed, calls: { 'POST system/members': 1 } });
  });

  it('is kept by a process that does not know the last run, only where it differs', async () => {
    const first = await ran();
    const fresh = createStore(database.url);
    await runOut(fresh, 'acme');
    await fresh.reconciles.record(await claimOf(fresh, 'acme'), resultOf());
    await fresh.close();
    expect(await kept()).toEqual([first]);
  });

  it('is kept of each run that wrote to a vendor', async () => {
    const first = await ran();
    const writes = { run: runOf({ writes: 1 }), events: [{ type: 'Repaired', message: 'x' }] };
    const wrote = await ran(writes);
    expect(await kept()).toEqual([first, wrote]);
  });

  it('outlives its run as long as later runs rest on it, and no longer', async () => {
    const old = runOf({ finishedAt: '2020-01-01T00:00:00.000Z' });
    const first = await ran({ run: old });
    const steady = await ran({ run: runOf({ finishedAt: '2099-01-01T00:00:00.000Z' }) });
    await store.housekeeping.prune(86_400_000, 100);
    expect(await store.desk.run('acme', first)).toBeNull();
    expect(await saw(steady)).toMatchObject({ since: first });
    // The run of that row goes as well: what comes after it rests on another one.
    await store.pool.query(`update runs set finished_at = '2020-01-01' where id = $1`, [steady]);
    const changed = await ran({
      run: runOf({ finishedAt: '2099-01-01T00:00:00.000Z' }),
      status: statusOf({ drift: [drift] }),
    });
    await store.housekeeping.prune(86_400_000, 100);
    expect(await kept()).toEqual([changed]);
  });

  it('is of no run of another tenant', async () => {
    await given(store, 'globex');
    const run = await ran();
    expect(await store.desk.run('globex', run)).toBeNull();
  });
});
