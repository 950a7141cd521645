import { requested } from '../../src/domain/rotation.ts';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { destroyAllDead } from '../../src/reconciler/calendar.ts';
import { CREDENTIAL_STATES } from '../../src/domain/credential.ts';
import type { Result } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import {
  BOUNDS,
  claimOf,
  credentialOf,
  given,
  GONE,
  intent,
  LEAVING,
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
  await store.pool.query('truncate tenants, events, intents, vault_checks cascade');
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
    await record({ forget: GONE });
    expect(await store.reconciles.snapshot('acme')).not.toBeNull();
    await store.pool.query('update tenants set claim_owner = null, next_run_at = now()');
    await store.desk.requestDelete('acme', LEAVING, [], 'deletion');
    await record({ forget: GONE });
    expect(await store.reconciles.snapshot('acme')).toBeNull();
    const { items } = await store.desk.events('acme', { before: null, limit: 5 });
    expect(items.map(({ type }) => type).filter((type) => type === GONE.type)).toEqual([GONE.type]);
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

  const dead = async (daysAgo: number, change: Parameters<typeof credentialOf>[0] = {}): Promise<string> => {
    const credential = credentialOf(change);
    const added = await store.desk.addCredential('acme', credential, { events: [], cause: 'test' });
    expect(added.ok).toBe(true);
    await record({ credentials: [{ id: credential.id, state: 'dead', because: 'it was refused' }] });
    await age(credential.id, daysAgo);
    return credential.id;
  };
  /** As if its state had come so long ago. */
  const age = (id: string, days: number) =>
    store.pool.query(
      `update credentials set state_since = now() - $2 * interval '1 day', created_at = now() - interval '400 days' where id = $1`,
      [id, days],
    );
  const destroyed = async () =>
    (await store.desk.history('acme'))!.credentials
      .filter(({ destroyedAt }) => destroyedAt !== null)
      .map(({ id }) => id);
  const DAY = 86_400_000;

  it('is the sealed text of a pair that has been dead for long, counted from its death; its history stays', async () => {
    await given(store, 'acme');
    const young = await dead(119, { fingerprint: 'young' });
    const old = await dead(121, { fingerprint: 'old' });
    expect(await store.housekeeping.destroyDead(120 * DAY, 10)).toBe(1);
    expect(await destroyed()).toEqual([old]);
    expect((await store.desk.history('acme'))!.credentials.find(({ id }) => id === old)).toMatchObject({
      fingerprint: 'old',
      member: 'umbrella-a',
      purpose: 'integration',
      state: 'dead',
      because: 'it was refused',
      destroyedAt: expect.any(String),
    });
    const { rows } = await store.pool.query<{ id: string }>(
      'select id from credentials where sealed is not null',
    );
    expect(rows).toEqual([{ id: young }]);
    const { items } = await store.desk.events('acme', { before: null, limit: 50 });
    const told = items.filter(({ type }) => type === 'CredentialDestroyed');
    expect(told).toMatchObject([
      { data: { fingerprint: 'old', purpose: 'integration', member: 'umbrella-a' } },
    ]);
    expect(told[0]!.message).toMatch(
      /^The sealed text of the integration key old of umbrella-a, dead since \d{4}-\d\d-\d\d, was destroyed; its history stays\.$/,
    );
  });

  it('never is that of a pair in any other state, however old', async () => {
    await given(store, 'acme');
    const states = CREDENTIAL_STATES.filter((state) => state !== 'dead');
    for (const state of states) {
      const { id } = credentialOf();
      await store.desk.addCredential('acme', credentialOf({ id, fingerprint: state }), {
        events: [],
        cause: 'test',
      });
      if (state !== 'candidate') await record({ credentials: [{ id, state, because: '' }] });
      await age(id, 4_000);
    }
    expect(await destroyAllDead(store.housekeeping, 1)).toBe(0);
    expect(await destroyed()).toEqual([]);
    // Nor may a statement that somebody types.
    for (const state of states) {
      await expect(
        store.pool.query('update credentials set sealed = null, destroyed_at = now() where state = $1', [
          state,
        ]),
      ).rejects.toThrow('credentials_destroyed');
    }
  });

  it('goes in batches until none is left, and what is left of it is read like any other', async () => {
    await given(store, 'acme');
    for (let count = 0; count < 5; count += 1) await dead(200, { fingerprint: `f${count}` });
    expect(Object.values((await snapshot()).sealed)).toHaveLength(5);
    expect(await store.housekeeping.destroyDead(120 * DAY, 2)).toBe(2);
    expect(await destroyAllDead(store.housekeeping, 120 * DAY)).toBe(3);
    expect(await destroyed()).toHaveLength(5);
    expect(await snapshot()).toMatchObject({ credentials: { length: 5 } });
    expect((await snapshot()).sealed).toEqual({});
    expect((await store.desk.tenant('acme'))!.credentials).toHaveLength(5);
    expect(await store.desk.tenants(['acme'])).toMatchObject([{ credentials: { length: 5 } }]);
    // A run says again what it knew: no second event, and the row stays as it is.
    const { id } = (await snapshot()).credentials[0]!;
    await dueNow();
    expect(await record({ credentials: [{ id, state: 'dead', because: 'still refused' }] })).toBe(true);
    expect(await destroyAllDead(store.housekeeping, 120 * DAY)).toBe(0);
  });

  it('waits for nobody: what a run holds is looked at the next time', async () => {
    await given(store, 'acme');
    const id = await dead(200);
    const client = await store.pool.connect();
    try {
      await client.query('begin');
      await client.query('select from credentials where id = $1 for update', [id]);
      expect(await store.housekeeping.destroyDead(120 * DAY, 10)).toBe(0);
      await client.query('rollback');
    } finally {
      client.release();
    }
    expect(await store.housekeeping.destroyDead(120 * DAY, 10)).toBe(1);
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
        { mode: 'repair', ready: 'False', count: 1 },
        { mode: 'repair', ready: null, count: 1 },
      ]),
      handoffs: [{ kind: 'grant-role-levels', state: 'open', overdue: false, count: 1 }],
      rotations: [{ phase: 'Pending', stuck: true, count: 1 }],
      late: 0,
      waiting: [],
      openIntents: 0,
      braked: 0,
      keks: [],
    });
    await store.keyring.first('aaaa', 'sealed');
    await store.keyring.begin('bbbb', 'sealed');
    const [old, young] = (await store.keyring.keys()).map(({ kid, createdAt }) => ({ kid, createdAt }));
    const stored = async () =>
      (await store.housekeeping.census()).keks
        .map(({ kid, createdAt }) => ({ kid, createdAt: new Date(createdAt).toISOString() }))
        .toSorted((a, b) => a.kid.localeCompare(b.kid));
    expect(await stored()).toEqual([old, young]);
    await store.keyring.finish('bbbb');
    expect(await stored()).toEqual([young]);
  });
});
