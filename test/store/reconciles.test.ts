import { requested } from '../../src/domain/rotation.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { NewIntent, Result } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  claimOf,
  credentialOf,
  given,
  newId,
  resultOf,
  rowCounts,
  runOf,
  statusOf,
  writeOf,
} from './fixtures.ts';

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, intents cascade');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const record = async (result: Partial<Result>) =>
  store.reconciles.record(await claimOf(store, 'acme'), resultOf(result));
const snapshot = async () => (await store.reconciles.snapshot('acme'))!;
const dueNow = () => store.desk.trigger('acme', 'test');
const opening = {
  change: 'open' as const,
  kind: 'grant-role-levels' as const,
  subject: 'Umbrella',
  content: { title: 'Set levels', why: '', steps: [], closedBy: '' },
  deadline: '2026-02-01T00:00:00.000Z',
};
const intent = (key = 'role:Umbrella'): NewIntent => ({ id: newId(), key, action: 'create', request: {} });
const BOUNDS = { generation: 1, deleting: false, rotation: null, perHour: 10 };

describe('recording a run', () => {
  it('writes all of it at once, or nothing', async () => {
    await given(store, 'acme');
    const before = await rowCounts(store);
    const runId = newId();
    await store.pool.query(
      `insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
       values ($1, 'acme', 'x', now(), now(), 'succeeded', 0, 0, '', '[]')`,
      [runId],
    );
    const claim = await claimOf(store, 'acme');
    const result = resultOf({
      run: runOf({ id: runId }),
      events: [{ type: 'T', message: 'm' }],
      handoffs: [{ ...opening, id: newId() }],
    });
    await expect(store.reconciles.record(claim, result)).rejects.toThrow(/duplicate key/);
    expect(await rowCounts(store)).toEqual({ ...before, runs: before['runs']! + 1 });
    expect((await snapshot()).status).toBeNull();
  });

  it('keeps the earlier status where the run observed nothing', async () => {
    await given(store, 'acme');
    await record({ status: statusOf({ observedGeneration: 1 }) });
    await dueNow();
    await record({ status: null });
    expect((await snapshot()).status?.observedGeneration).toBe(1);
  });

  describe('of several tenants at once', () => {
    const claimAll = async (...ids: string[]) => {
      await given(store, ...ids);
      const taken = await store.claims.take('owner', 100, 30_000);
      return taken.map(({ claim }) => claim).toSorted((a, b) => (a.tenantId < b.tenantId ? -1 : 1));
    };
    const recorded = async () => {
      const { rows } = await store.pool.query<{ id: string; summary: string; claim_owner: string | null }>(
        'select tenants.id, summary, claim_owner from runs join tenants on tenants.id = tenant_id order by 1',
      );
      return rows;
    };

    it('gives each its own run, status, proofs and next time', async () => {
      const claims = await claimAll('a', 'b', 'c');
      const ends = await Promise.all(
        claims.map((claim, index) =>
          store.reconciles.record(
            claim,
            resultOf({
              run: runOf({ summary: `run of ${claim.tenantId}`, reads: index }),
              status: index === 2 ? null : statusOf({ observedGeneration: index + 7 }),
              next: { inMs: (index + 1) * 3_600_000, failures: 0 },
            }),
          ),
        ),
      );
      expect(ends).toEqual([true, true, true]);
      expect(await recorded()).toEqual(
        ['a', 'b', 'c'].map((id) => ({ id, summary: `run of ${id}`, claim_owner: null })),
      );
      const { rows } = await store.pool.query(
        `select tenants.id, observed_generation,
                round(extract(epoch from next_run_at - now()) / 3600)::int as hours
           from tenants left join statuses on tenant_id = id order by 1`,
      );
      expect(rows).toEqual([
        { id: 'a', observed_generation: 7, hours: 1 },
        { id: 'b', observed_generation: 8, hours: 2 },
        { id: 'c', observed_generation: null, hours: 3 },
      ]);
    });

    it('writes nothing of one whose claim was lost, and all of the others', async () => {
      const [a, b, c] = await claimAll('a', 'b', 'c');
      const lost = { ...b!, token: b!.token - 1 };
      const ends = await Promise.all(
        [a!, lost, c!].map((claim) => store.reconciles.record(claim, resultOf({}))),
      );
      expect(ends).toEqual([true, false, true]);
      expect((await recorded()).map(({ id }) => id)).toEqual(['a', 'c']);
    });

    it('fails for one that cannot be written, and for no other', async () => {
      const claims = await claimAll('a', 'b', 'c');
      const ends = await Promise.allSettled(
        claims.map((claim, index) =>
          store.reconciles.record(claim, resultOf({ run: runOf(index === 1 ? { startedAt: 'never' } : {}) })),
        ),
      );
      expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      expect((await recorded()).map(({ id }) => id)).toEqual(['a', 'c']);
    });

    it('waits for a row that somebody holds, while the others are written', async () => {
      const [a, b, c] = await claimAll('a', 'b', 'c');
      const holder = await store.pool.connect();
      await holder.query('begin');
      await holder.query(`select from tenants where id = 'b' for update`);
      const held = store.reconciles.record(b!, resultOf({}));
      expect(
        await Promise.all([a!, c!].map((claim) => store.reconciles.record(claim, resultOf({})))),
      ).toEqual([true, true]);
      await holder.query('commit');
      holder.release();
      expect(await held).toBe(true);
    });
  });

  it('forgets a tenant only where its deletion was asked for; its events stay', async () => {
    await given(store, 'acme');
    await expect(record({ forget: true })).rejects.toThrow(/not being deleted/);
    await store.pool.query('update tenants set claim_owner = null, next_run_at = now()');
    await store.desk.requestDelete('acme', null, [], 'deletion');
    await record({ forget: true, events: [{ type: 'Deleted', message: 'gone' }] });
    expect(await store.reconciles.snapshot('acme')).toBeNull();
    const { items } = await store.desk.events('acme', { before: null, limit: 5 });
    expect(items[0]).toMatchObject({ type: 'Deleted' });
  });

  it('opens a hand-off once while it is live, again once it ended, and tells each change', async () => {
    await given(store, 'acme');
    const id = newId();
    await record({ handoffs: [{ ...opening, id }] });
    await dueNow();
    await record({ handoffs: [{ ...opening, id: newId() }] });
    expect((await snapshot()).handoffs.map((handoff) => handoff.id)).toEqual([id]);
    await dueNow();
    const next = newId();
    await record({
      handoffs: [
        { ...opening, id: next },
        { change: 'close', id, evidence: 'seen' },
      ],
    });
    expect((await snapshot()).handoffs.map((handoff) => handoff.id)).toEqual([next]);
    const { items } = await store.desk.events('acme', { before: null, limit: 20 });
    expect(items.map(({ type }) => type).filter((type) => type.startsWith('Handoff'))).toEqual([
      'HandoffOpened',
      'HandoffClosed',
      'HandoffOpened',
    ]);
  });

  it('lets a promoted pair take the place of the one in use, and says both', async () => {
    const old = credentialOf({ state: 'active', fingerprint: 'old' });
    await store.desk.apply([writeOf('acme', { credentials: [old] })]);
    const candidate = credentialOf({ fingerprint: 'new' });
    await store.desk.addCredential('acme', candidate, { events: [], cause: 'given' });
    await record({ credentials: [{ id: candidate.id, state: 'active', because: 'it proved itself' }] });
    const states = (await snapshot()).credentials.map(({ fingerprint, state }) => `${fingerprint} ${state}`);
    expect(states).toEqual(['old superseded', 'new active']);
    const { items } = await store.desk.events('acme', { before: null, limit: 20 });
    expect(items.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['CredentialActivated', 'CredentialSuperseded']),
    );
  });
});

describe('an intent', () => {
  it('is there after its owner died, and stays until somebody says what became of it', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const opened = intent();
    expect(await store.reconciles.openIntent(claim, opened, BOUNDS)).toEqual({ granted: true });
    expect((await snapshot()).intents).toMatchObject([{ id: opened.id, key: opened.key, outcome: 'open' }]);
    expect(await store.reconciles.openIntent(claim, intent(), BOUNDS)).toEqual({
      granted: false,
      because: 'already-open',
    });
    await store.reconciles.record(
      claim,
      resultOf({ intents: [{ id: opened.id, outcome: 'unknown', note: 'lost' }] }),
    );
    expect((await snapshot()).intents).toMatchObject([{ id: opened.id, outcome: 'unknown' }]);
    await dueNow();
    await record({ intents: [{ id: opened.id, outcome: 'applied', note: 'found' }] });
    expect((await snapshot()).intents).toEqual([]);
  });

  it.each([
    ['another spec', { ...BOUNDS, generation: 2 }, 'spec-changed'],
    ['a tenant that is being deleted by now', { ...BOUNDS, deleting: true }, 'spec-changed'],
    ['a cap of none', { ...BOUNDS, rotation: null, perHour: 0 }, 'cap'],
  ])('is refused for %s', async (_, bounds, because) => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const verdict = await store.reconciles.openIntent(claim, intent(), bounds);
    expect(verdict).toEqual({ granted: false, because });
    expect((await snapshot()).intents).toEqual([]);
  });

  it('is refused to whoever lost the claim', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const stale = { ...claim, token: claim.token - 1 };
    expect(await store.reconciles.openIntent(stale, intent(), BOUNDS)).toEqual({
      granted: false,
      because: 'claim-lost',
    });
  });

  it('counts against one cap for the whole fleet, however many ask at once', async () => {
    const tenants = Array.from({ length: 12 }, (_, index) => `t${index}`);
    await given(store, ...tenants);
    const taken = await store.claims.take('owner', 20, 30_000);
    const verdicts = await Promise.all(
      taken.map(({ claim }) =>
        store.reconciles.openIntent(claim, intent(), { ...BOUNDS, rotation: null, perHour: 5 }),
      ),
    );
    expect(verdicts.filter(({ granted }) => granted)).toHaveLength(5);
    expect(verdicts.filter((one) => !one.granted && one.because === 'cap')).toHaveLength(7);
  });
});

describe('what is kept for a time', () => {
  it('goes in batches once it is old; what is young, or not settled, stays', async () => {
    await given(store, 'acme');
    const claim = await claimOf(store, 'acme');
    const [done, lost] = [intent('role:a'), intent('role:b')];
    await store.reconciles.openIntent(claim, done, BOUNDS);
    await store.reconciles.openIntent(claim, lost, BOUNDS);
    await store.reconciles.record(
      claim,
      resultOf({ intents: [{ id: done.id, outcome: 'applied', note: '' }] }),
    );
    await store.pool.query(`
      update runs set finished_at = now() - interval '40 days';
      update events set at = now() - interval '40 days';
      update intents set opened_at = now() - interval '40 days', settled_at = settled_at - interval '40 days'`);
    await dueNow();
    const today = new Date().toISOString();
    const run = runOf({ startedAt: today, finishedAt: today });
    await record({ run, events: [{ type: 'Young', message: 'stays' }] });
    while ((await store.housekeeping.prune(30 * 86_400_000, 2)) > 0);
    expect(await rowCounts(store)).toMatchObject({ runs: 1, events: 1, intents: 1 });
    expect((await snapshot()).intents).toMatchObject([{ id: lost.id }]);
  });

  it('is counted for metrics', async () => {
    await given(store, 'acme', 'birch');
    const rotation = requested({
      id: newId(),
      tenantId: 'acme',
      cause: 'age',
      by: null,
      reason: null,
      cutNow: false,
      at: '2026-01-01T00:00:00.000Z',
    });
    const stuck = statusOf({
      conditions: [
        {
          type: 'RotationHealthy',
          status: 'False',
          reason: 'AdoptionOverdue',
          message: 'Umbrella was not seen to use the new key.',
          observedGeneration: 1,
          lastTransitionTime: '2026-01-01T00:00:00.000Z',
        },
      ],
    });
    await record({
      status: stuck,
      handoffs: [{ ...opening, id: newId() }],
      rotation: { now: rotation, heeded: null },
    });
    expect(await store.housekeeping.census()).toEqual({
      tenants: expect.arrayContaining([
        { mode: 'observe', ready: 'False', count: 1 },
        { mode: 'observe', ready: null, count: 1 },
      ]),
      handoffs: [{ kind: 'grant-role-levels', state: 'open', overdue: false, count: 1 }],
      rotations: [{ phase: 'Pending', stuck: true, count: 1 }],
      late: 0,
      openIntents: 0,
    });
  });
});
