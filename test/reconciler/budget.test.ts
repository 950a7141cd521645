import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Shares } from '../../src/domain/budget.ts';
import type { Timers } from '../../src/providers/index.ts';
import { createOwnLedger } from '../../src/providers/http/own-ledger.ts';
import { createCommands } from '../../src/reconciler/create-commands.ts';
import { createLive } from '../../src/reconciler/live.ts';
import { createLoop, LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import { reconcile, type ReconcileEnd } from '../../src/reconciler/reconcile.ts';
import { createEnvelopes } from '../../src/vault/index.ts';
import { TestClock } from '../providers/harness.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { log, scene, useStore } from './harness.ts';
import { SharedKey } from './shared-key.ts';
import { haveStandingClock, setStandingClock } from './standing-clock.ts';

const LIMITS = { repairsPerHour: 60, rotationsInFlight: 20 };

describe('thirteen tenants of one Umbrella key, whose budget carries fewer', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
    await haveStandingClock(database.url);
  });
  afterAll(() => database.drop());

  /** About eleven lists of customers a minute. */
  const SHARES: Shares = { connectwise: 1, umbrella: 0.4 };

  test('are looked at in turns, as often as that carries, and are told so; and as wanted again once it carries all', async () => {
    const clock = new TestClock();
    await using shared = await SharedKey.of(database.url, clock, { children: 12, customers: 900 });
    const ledger = createOwnLedger(clock, SHARES);
    /** What a run waits for in its middle passes at once; no call takes as long as it may. */
    const timers: Timers = {
      after(ms, callback) {
        if (ms > 10_000) return () => undefined;
        clock.advance(ms);
        const due = setImmediate(callback);
        return () => clearImmediate(due);
      },
    };
    const replicas = [shared.replica(() => ledger, timers), shared.replica(() => ledger, timers)];
    const [{ store }] = replicas as [(typeof replicas)[0]];
    await setStandingClock(store.pool, clock.now());
    await shared.apply(store, '1m');

    const ends: ReconcileEnd[] = [];
    /** Lets time pass as the loops of both replicas see it, one due tenant after the other. */
    const pass = async (minutes: number) => {
      const until = clock.now().getTime() + minutes * 60_000;
      while (clock.now().getTime() < until) {
        await setStandingClock(store.pool, clock.now());
        for (const [index, deps] of replicas.entries()) {
          for (const claimed of await deps.claims.take(`replica ${index}`, 7, 30_000)) {
            ends.push(
              await reconcile(deps, claimed, { ...LOOP_DEFAULTS, ...LIMITS }, new AbortController().signal),
            );
          }
        }
        clock.advance(1_000);
      }
    };
    const runs = async () => {
      const { rows } = await store.pool.query<{ tenant_id: string; n: number }>(
        'select tenant_id, count(*)::int as n from runs group by 1 order by 1',
      );
      return Object.fromEntries(rows.map(({ tenant_id, n }) => [tenant_id, n]));
    };
    const eventsOf = async (type: string) => {
      const { rows } = await store.pool.query<{ tenant_id: string; message: string }>(
        'select tenant_id, message from events where type = $1 order by tenant_id, id',
        [type],
      );
      return rows;
    };

    await pass(20);
    const before = await runs();
    await pass(15);
    const commands = createCommands({
      desk: store.desk,
      deliveries: store.deliveries,
      envelopes: createEnvelopes(),
      vault: shared.vault,
      clock,
      ids: { next: () => 'id' },
      live: createLive({ eventLog: store.eventLog, desk: store.desk, clock, log }),
    });
    const { rows: stretched } = await store.pool.query<{ id: string }>(
      `select id from tenants where waiting ->> 'everyMs' is not null and not (waiting -> 'served')::boolean`,
    );
    const status = await commands.status(stretched[0]!.id);
    expect(status).toMatchObject({
      ok: true,
      value: {
        waiting: { budget: 'umbrella-customers', every: expect.stringMatching(/^\dm/) },
        nextReconcileAt: expect.any(String),
      },
    });
    const { waiting } = await store.housekeeping.census();
    expect(waiting.filter(({ stretched }) => stretched)).toEqual([
      { budget: 'umbrella-customers', stretched: true, count: expect.any(Number) },
    ]);
    await pass(15);
    const after = await runs();
    const during = shared.tenants.map((id) => after[id]! - before[id]!);
    // Nobody starves, the parent with its nine pages as little as its children, whom it does not starve either.
    expect(Math.min(...during)).toBeGreaterThanOrEqual(4);
    expect(Math.max(...during) / Math.min(...during)).toBeLessThanOrEqual(1.5);
    // The vendors never had to refuse, and no look by the calendar was cut once it was known how long its list is.
    expect(shared.simulator.world.journal.query().filter(({ status }) => status === 429)).toEqual([]);
    const { rows: cut } = await store.pool.query<{ tenant_id: string; summary: string }>(
      `select tenant_id, summary from runs as cut
        where outcome <> 'succeeded' and trigger = 'schedule'
          and exists (select from runs as before
                       where before.tenant_id = cut.tenant_id and before.id < cut.id and before.outcome = 'succeeded')`,
    );
    expect(cut).toEqual([]);

    const told = await eventsOf('IntervalStretched');
    // At first by the tokens of a minute, then by the lists of half an hour; not at each look.
    expect(new Set(told.map((event) => event.tenant_id))).toEqual(new Set(shared.tenants));
    expect(told.length).toBeLessThanOrEqual(3 * shared.tenants.length);
    expect(told[0]!.message).toMatch(
      /^More lists of customers by its Umbrella key are wanted than the vendor allows: instead of every 1m it is looked at about every \dm/,
    );
    await shared.apply(store, '30m');
    await pass(125);
    expect(await eventsOf('IntervalStretched')).toHaveLength(told.length);
    const kept = await eventsOf('IntervalKept');
    expect(kept.map((event) => event.tenant_id)).toEqual(told.map((event) => event.tenant_id));
    expect((await store.housekeeping.census()).waiting).toEqual([]);
    expect(ends.filter(({ end }) => end !== 'recorded' && end !== 'deferred')).toEqual([]);
  }, 120_000);
});

describe('two replicas that run at the same time', () => {
  let database: TestDatabase;
  beforeAll(async () => {
    database = await createTestDatabase();
  });
  afterAll(() => database.drop());

  test('keep together within a budget that carries few of their tenants, which wait without a slot or a claim', async () => {
    const clock = { now: () => new Date() };
    await using shared = await SharedKey.of(database.url, clock, {
      children: 19,
      customers: 3,
      withAdmin: true,
    });
    const replicas = [1, 2].map(() =>
      shared.replica((store) => store.budgets({ connectwise: 1, umbrella: 1 })),
    );
    const [{ store }] = replicas as [(typeof replicas)[0]];
    await shared.apply(store, '15m');
    // Due by the calendar: nobody waits for them.
    await store.pool.query('update tenants set handled_seq = trigger_seq');
    const loops = replicas.map((deps, index) =>
      createLoop(
        { ...deps, log },
        { ...LOOP_DEFAULTS, ...LIMITS, owner: `replica ${index}`, concurrency: 4 },
      ),
    );
    await Promise.all(loops.map((loop) => loop.start()));
    try {
      for (;;) {
        const { rows } = await store.pool.query<{ due: number }>(
          `select count(*)::int as due from tenants where next_run_at <= now() or claim_owner is not null`,
        );
        if (rows[0]!.due === 0) break;
        await sleep(20);
      }
      expect(loops.map((loop) => loop.running())).toEqual([0, 0]);
      const { rows: waiting } = await store.pool.query<{ until: string; failures: number; kind: string }>(
        `select waiting ->> 'until' as until, waiting ->> 'kind' as kind, failures from tenants where waiting is not null`,
      );
      const { rows: ran } = await store.pool.query('select outcome from runs');
      expect(ran.length).toBeGreaterThan(0);
      expect(ran.every(({ outcome }) => outcome === 'succeeded')).toBe(true);
      expect(waiting.length + ran.length).toBe(shared.tenants.length);
      // Each has a turn of its own, and none failed.
      expect(new Set(waiting.map(({ until }) => until)).size).toBe(waiting.length);
      expect(new Set(waiting.map(({ kind }) => kind))).toEqual(new Set(['umbrella-api-keys']));
      expect(waiting.every(({ failures }) => failures === 0)).toBe(true);
      expect(shared.simulator.world.journal.query().filter(({ status }) => status === 429)).toEqual([]);
    } finally {
      await Promise.all(loops.map((loop) => loop.drain(5_000)));
    }
  }, 60_000);
});

describe('a tenant whose vendor asked for a pause', () => {
  useStore();
  afterEach(() => undefined);

  test('waits for it untold, keeps what is known of it, and runs when it is over', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    acme.world.addFault({
      when: { company: 'acme', times: 1 },
      effect: { kind: 'rateLimit', retryAfterSeconds: 90 },
    });
    await acme.reconcile();
    const calls = acme.calls().length;
    const { conditions } = (await acme.record()).status!;
    acme.clock.advance(30_000);
    expect(await acme.reconcile()).toMatchObject({
      end: 'deferred',
      waiting: { kind: 'connectwise', closed: true, everyMs: null },
    });
    expect(acme.calls()).toHaveLength(calls);
    const record = await acme.record();
    expect(record.status!.conditions).toEqual(conditions);
    expect(record.tenant).toMatchObject({
      failures: 0,
      nextReconcileAt: new Date(acme.clock.now().getTime() + 60_000).toISOString(),
    });
    acme.clock.advance(60_000);
    expect(await acme.reconcile()).toMatchObject({ end: 'recorded', run: { outcome: 'succeeded' } });
    expect((await acme.record()).tenant.waiting).toBeNull();
  });
});
