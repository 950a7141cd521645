import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, resultOf, rowCounts, runOut, specOf, writeOf } from './fixtures.ts';
import { fleet, seedFleet } from './fleet.ts';

let database: TestDatabase;
let store: Store;
let other: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  other = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events cascade');
});
afterAll(async () => {
  await Promise.all([store.close(), other.close()]);
  await database.drop();
});

const LEASE = 30_000;
const ids = (taken: { claim: { tenantId: string } }[]) => taken.map(({ claim }) => claim.tenantId).toSorted();

describe('taking tenants', () => {
  it('gives each due tenant to one owner, however many ask at once', async () => {
    const all = Array.from({ length: 40 }, (_, index) => `t${String(index).padStart(2, '0')}`);
    await given(store, ...all);
    const taken = await Promise.all(
      Array.from({ length: 8 }, (_, index) =>
        (index % 2 ? store : other).claims.take(`owner-${index}`, 10, LEASE),
      ),
    );
    expect(ids(taken.flat())).toEqual(all);
    expect(await store.claims.take('late', 10, LEASE)).toEqual([]);
  });

  it('gives half of the slots to those that somebody asked for, and the others to who waited longest', async () => {
    const late = Array.from({ length: 12 }, (_, index) => `late${String(index).padStart(2, '0')}`);
    await given(store, ...late, 'asked-a', 'asked-b', 'asked-c');
    // The calendar's, after an hour in which nothing ran; and people's, of just now.
    await store.pool.query(`update tenants set handled_seq = trigger_seq`);
    for (const [index, id] of late.entries()) {
      await store.pool.query(
        `update tenants set next_run_at = now() - interval '1 hour' + $2 * interval '1 second' where id = $1`,
        [id, index],
      );
    }
    for (const id of ['asked-a', 'asked-b', 'asked-c']) await store.desk.trigger(id, 'manual');
    const first = ids(await store.claims.take('owner', 4, LEASE));
    expect(first.filter((id) => id.startsWith('asked'))).toHaveLength(2);
    expect(first.filter((id) => id.startsWith('late'))).toEqual(['late00', 'late01']);
    const one = ids(await store.claims.take('owner', 1, LEASE));
    expect(one).toEqual([expect.stringMatching(/^asked/)]);
    expect(ids(await store.claims.take('owner', 20, LEASE))).toEqual(late.slice(2));
  });

  it('takes none where there is no free slot, and none that is not due', async () => {
    await given(store, 'acme');
    expect(await store.claims.take('owner', 0, LEASE)).toEqual([]);
    const claim = await claimOf(store, 'acme');
    await store.reconciles.record(claim, resultOf());
    expect(await store.claims.take('owner', 10, LEASE)).toEqual([]);
    expect(await store.claims.nextDueInMs()).toBeGreaterThan(3_000_000);
  });

  it('takes a tenant whose owner let the lease run out, and the old claim is worth nothing then', async () => {
    await given(store, 'acme');
    const old = await claimOf(store, 'acme', 'dead');
    await runOut(store, 'acme');
    const claim = await claimOf(other, 'acme', 'alive');
    expect(claim.token).toBe(old.token + 1);
    expect(await store.claims.heartbeat([old], LEASE)).toEqual([old]);
    expect(await store.claims.confirm(old, 1_000, { generation: 1, decisions: 0 })).toBe(false);
    const before = await rowCounts(store);
    expect(await store.reconciles.record(old, resultOf())).toBe(false);
    expect(await rowCounts(store)).toEqual(before);
    expect(await store.reconciles.record(claim, resultOf())).toBe(true);
  });

  it('finds ten due tenants among thousands by the index of what is due', async () => {
    await seedFleet(store.pool, fleet(3_000));
    await store.pool.query(
      `update tenants set next_run_at = now() + case when id >= 'tenant-00010' then interval '1 hour' else '0' end`,
    );
    await store.pool.query('analyze tenants');
    const { rows } = await store.pool.query<{ 'QUERY PLAN': string }>(
      'explain select id from tenants where next_run_at <= now() order by next_run_at limit 10 for update skip locked',
    );
    expect(rows.map((row) => row['QUERY PLAN']).join('\n')).toContain('tenants_due');
  });
});

describe('a claim', () => {
  it('is extended by heartbeats, and confirmed for as long as a write may take', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    await runOut(store, 'acme');
    expect(await store.claims.heartbeat([claim], LEASE)).toEqual([]);
    expect(await store.claims.nextDueInMs()).toBeGreaterThan(20_000);
    expect(await store.claims.confirm(claim, 60_000, { generation: 1, decisions: 0 })).toBe(true);
    expect(await store.claims.nextDueInMs()).toBeGreaterThan(50_000);
  });

  it('is not confirmed for a spec that is no longer the tenant’s', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    await store.desk.apply([writeOf('acme', { expected: 1, spec: specOf('acme', { name: 'Other' }) })]);
    expect(await store.claims.confirm(claim, 1_000, { generation: 1, decisions: 0 })).toBe(false);
    expect(await store.claims.confirm(claim, 1_000, { generation: 2, decisions: 0 })).toBe(true);
  });

  it('is not confirmed once a person decided something, nor while a pause holds', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const pause = (until: string | null) =>
      store.desk.pause('acme', { by: 'Jo', reason: 'a freeze', until }, [], 'paused');
    const confirmed = (decisions: number) => store.claims.confirm(claim, 1_000, { generation: 1, decisions });
    expect(await confirmed(0)).toBe(true);
    await pause(null);
    expect([await confirmed(0), await confirmed(1)]).toEqual([false, false]);
    // Its time is up: by the database's clock it holds nothing any more, told or not.
    await pause('2026-01-01T00:00:00.000Z');
    expect([await confirmed(1), await confirmed(2)]).toEqual([false, true]);
    await pause('2999-01-01T00:00:00.000Z');
    expect(await confirmed(3)).toBe(false);
    await store.desk.resume('acme', { by: 'Jo', reason: 'thawed' }, [], 'resumed');
    expect([await confirmed(3), await confirmed(4)]).toEqual([false, true]);
  });

  it('is not confirmed where the mode writes nothing', async () => {
    await store.desk.apply([writeOf('acme', { spec: { ...specOf('acme'), mode: 'observe' } })]);
    const claim = await claimOf(store, 'acme');
    expect(await store.claims.confirm(claim, 1_000, { generation: 1, decisions: 0 })).toBe(false);
  });

  it('that is given back leaves the tenant due at once', async () => {
    await given(store, 'acme');
    await store.claims.release(await claimOf(store, 'acme'), 0);
    expect(ids(await other.claims.take('next', 1, LEASE))).toEqual(['acme']);
  });
});

describe('a trigger', () => {
  const seqs = async () => {
    const record = await store.desk.tenant('acme');
    return { requested: record?.tenant.triggerSeq, handled: record?.tenant.handledSeq };
  };

  it('pulls a waiting tenant forward, and tells the run its cause', async () => {
    await given(store, 'acme');
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf());
    await store.desk.trigger('acme', 'manual: look');
    const [taken] = await store.claims.take('owner', 1, LEASE);
    expect(taken?.trigger).toBe('manual: look');
  });

  it('during a run, however often, causes exactly one more', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    for (let times = 0; times < 3; times += 1) await store.desk.trigger('acme', `manual: ${times}`);
    expect(await store.claims.take('other', 1, LEASE)).toEqual([]);
    await store.reconciles.record(claim, resultOf());
    expect(await seqs()).toEqual({ requested: 4, handled: 1 });
    await store.reconciles.record(await claimOf(store, 'acme'), resultOf());
    expect(await seqs()).toEqual({ requested: 4, handled: 4 });
    expect(await store.claims.take('owner', 1, LEASE)).toEqual([]);
  });

  it('of a changed spec forgets earlier failures; one by hand does not', async () => {
    await given(store, 'acme');
    const failures = async () => (await store.desk.tenant('acme'))?.tenant.failures;
    await store.reconciles.record(
      await claimOf(store, 'acme'),
      resultOf({ next: { inMs: 900_000, failures: 1 } }),
    );
    await store.desk.trigger('acme', 'manual');
    expect(await failures()).toBe(1);
    await store.desk.apply([writeOf('acme', { expected: 1, spec: specOf('acme', { name: 'Other' }) })]);
    expect(await failures()).toBe(0);
  });

  it('wakes whoever listens, also after the listener’s connection was lost', async () => {
    await given(store, 'acme');
    let heard = 0;
    let wake: () => void = () => undefined;
    const unlisten = await other.claims.onTrigger(() => {
      heard += 1;
      wake();
    });
    const next = () => new Promise<void>((resolve) => (wake = resolve));
    const first = next();
    await store.desk.trigger('acme', 'one');
    await first;
    // A new connection tells once by itself, since triggers may have been missed.
    const again = next();
    await store.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parasol listen' and datname = current_database()`,
    );
    await again;
    const last = next();
    await store.desk.trigger('acme', 'two');
    await last;
    expect(heard).toBeGreaterThanOrEqual(3);
    await unlisten();
  });
});

describe('a vendor that answers again', () => {
  const later = `update tenants set claim_owner = null, next_run_at = now() + interval '15 minutes'`;

  it('makes those of its tenants due that it failed, and wakes the loops; no others, and none that runs', async () => {
    await given(store, 'blind', 'unseen', 'well', 'elsewhere', 'runs');
    for (const { claim } of await store.claims.take('owner', 9, LEASE)) {
      const { status } = resultOf({});
      const reachable = status!.conditions.map((one) => ({ ...one, type: 'ConnectWiseReachable' as const }));
      const conditions = reachable.map((one) => ({
        ...one,
        status: claim.tenantId === 'unseen' ? ('Unknown' as const) : ('True' as const),
      }));
      await store.reconciles.record(claim, resultOf({ status: { ...status!, conditions } }));
    }
    await store.pool.query(later);
    await store.pool.query(`update tenants set failures = 3 where id in ('blind', 'elsewhere', 'runs')`);
    await store.pool.query(`update tenants set claim_owner = 'owner' where id = 'runs'`);
    await store.pool.query(
      `update tenants set spec = jsonb_set(spec, '{connectwise,site}', '"https://psa.example"') where id = 'elsewhere'`,
    );
    const woken = Promise.withResolvers<void>();
    const unlisten = await other.claims.onTrigger(() => woken.resolve());
    expect(await store.claims.recall('https://api-na.myconnectwise.net')).toBe(2);
    await woken.promise;
    await unlisten();
    expect(ids(await store.claims.take('owner', 9, LEASE))).toEqual(['blind', 'unseen']);
    await store.pool.query(later);
    expect(await store.claims.recall('https://psa.example')).toBe(1);
    expect(await store.claims.recall('https://nobody.example')).toBe(0);
  });
});
