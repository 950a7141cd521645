import { readdir, readFile } from 'node:fs/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CONDITION_TYPES, type Condition, type Truth } from '../../src/domain/condition.ts';
import type { Drift } from '../../src/domain/drift.ts';
import { listedFindings, listedSpec } from '../../src/domain/listing.ts';
import { readiness } from '../../src/domain/readiness.ts';
import { tenantSpecSchema, type TenantSpec } from '../../src/domain/tenant.ts';
import { unsayAllOld } from '../../src/reconciler/calendar.ts';
import type { StoredStatus } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { claimOf, given, resultOf, runOut, specOf, statusOf, writeOf } from './fixtures.ts';

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

interface Row {
  name: string;
  mode: string;
  paused: boolean;
  labels: Record<string, string>;
  words: string;
  holds_ms: string;
  key_max_age_ms: string;
  ready: Truth;
  unready_since: Date | null;
  marks: string[];
  drift: string[];
  version: string;
}

/** The listing as it is stored; `version` is another after each write. */
async function listing(id = 'acme'): Promise<Row> {
  const { rows } = await store.pool.query<Row>(
    'select *, xmin::text as version from listings where tenant_id = $1',
    [id],
  );
  return rows[0]!;
}

/** What the listing must say, by the spec and the status alone. */
async function follows(id = 'acme') {
  const { tenant, status } = (await store.reconciles.snapshot(id))!;
  const now = new Date(status?.observedAt ?? tenant.updatedAt);
  const { holdsMs, keyMaxAgeMs, ...listed } = listedSpec(tenant.spec, now);
  return {
    ...listed,
    holds_ms: String(holdsMs),
    key_max_age_ms: String(keyMaxAgeMs),
    ...listedFindings(status?.conditions ?? [], status?.drift ?? []),
    ready: readiness(tenant, status, now).ready,
  };
}

const conditionsOf = (states: readonly Truth[], generation = 1): Condition[] =>
  CONDITION_TYPES.map((type, index) => ({
    type,
    status: states[index] ?? (type === 'Braked' || type === 'Paused' ? 'False' : 'True'),
    reason: `Reason${states[index] ?? ''}`,
    message: 'In words.',
    observedGeneration: generation,
    lastTransitionTime: '2026-01-01T00:00:00.000Z',
  }));

const driftAt = (path: string): Drift => ({
  path,
  kind: 'missing',
  desired: 'All',
  observed: 'None',
  since: '2026-01-01T00:00:00.000Z',
  action: 'handoff:grant-role-levels',
  accepted: null,
});

const seen = (states: readonly Truth[], change: Partial<StoredStatus> = {}): StoredStatus =>
  statusOf({
    conditions: conditionsOf(states, change.observedGeneration),
    observedAt: new Date().toISOString(),
    ...change,
  });

/** A run; what happens `meanwhile` is over before it records. */
async function run(
  status: StoredStatus | null,
  id = 'acme',
  meanwhile: () => Promise<void> = async () => undefined,
): Promise<void> {
  await runOut(store, id);
  const claim = await claimOf(store, id);
  await meanwhile();
  expect(await store.reconciles.record(claim, resultOf({ status }))).toBe(true);
}

async function apply(spec: TenantSpec): Promise<void> {
  const [known] = await store.desk.tenants([spec.id]);
  const applied = await store.desk.apply([
    writeOf(spec.id, { spec, expected: known?.tenant.generation ?? null }),
  ]);
  expect(applied.ok).toBe(true);
}

type Step =
  | { do: 'apply'; spec: Partial<TenantSpec> }
  | { do: 'run'; states: Truth[]; drift: string[] }
  /** A spec comes while a run is under way. */
  | { do: 'overtake'; states: Truth[]; name: string }
  | { do: 'blind' };

const truths = fc.array(fc.constantFrom<Truth>('True', 'True', 'True', 'False', 'Unknown'), {
  maxLength: CONDITION_TYPES.length,
});
const words = fc.constantFrom('Acme', 'ÉCLAIR "42"', 'Back\\slash', 'Straße');
const steps: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('apply' as const),
    spec: fc.record(
      {
        name: words,
        mode: fc.constantFrom<TenantSpec['mode']>('observe', 'repair'),
        paused: fc.boolean(),
        every: fc.constantFrom('5s', '15m', '0 6 * * *'),
        labels: fc.constantFrom<Record<string, string>>({}, { team: 'north' }, { team: 'a/b', vip: 'yes' }),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({
    do: fc.constant('run' as const),
    states: truths,
    drift: fc.array(fc.constantFrom('role', 'role.levels.A/B.edit', 'a "quoted\\" one', 'role'), {
      maxLength: 4,
    }),
  }),
  fc.record({ do: fc.constant('overtake' as const), states: truths, name: words }),
  fc.record({ do: fc.constant('blind' as const) }),
);

async function take(step: Step): Promise<void> {
  const { generation, spec } = (await store.reconciles.snapshot('acme'))!.tenant;
  switch (step.do) {
    case 'apply':
      return apply(tenantSpecSchema.parse({ ...spec, ...step.spec }));
    case 'run':
      return run(seen(step.states, { observedGeneration: generation, drift: step.drift.map(driftAt) }));
    case 'blind':
      return run(null);
    case 'overtake': {
      const status = seen(step.states, { observedGeneration: generation });
      return run(status, 'acme', () => apply({ ...spec, name: step.name }));
    }
  }
}

describe('the listing of a tenant', () => {
  it('says what spec and status say, after any history', { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 8 }), async (history) => {
        await store.pool.query('truncate tenants cascade');
        await given(store, 'acme');
        for (const step of history) {
          const before = await listing();
          await take(step);
          const after = await listing();
          expect(after).toMatchObject(await follows());
          expect(after.unready_since === null).toBe(after.ready === 'True');
          // Once it is not ready, it is so since then.
          const stays = before.unready_since !== null && after.ready !== 'True';
          expect(stays ? after.unready_since : null).toEqual(stays ? before.unready_since : null);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('is left alone by a run that found everything as it was, alone or with others', async () => {
    await given(store, 'acme', 'bolt');
    const status = seen(['True', 'False'], { drift: [driftAt('role')] });
    for (const id of ['acme', 'bolt']) await run(status, id);
    const before = await listing();
    await Promise.all(['acme', 'bolt'].map((id) => runOut(store, id)));
    const taken = await store.claims.take('owner', 10, 30_000);
    await Promise.all(
      taken.map(({ claim }) =>
        store.reconciles.record(
          claim,
          resultOf({ status: { ...status, observedAt: '2026-02-01T00:00:00Z' } }),
        ),
      ),
    );
    expect(await listing()).toEqual(before);
    await run({ ...status, drift: [] });
    expect((await listing()).version).not.toBe(before.version);
  });

  it('is Unknown once what was seen holds no longer, and again as it was seen with the next run', async () => {
    await given(store, 'acme', 'bolt', 'new');
    const old = { observedAt: new Date(Date.now() - 2 * 3_600_000).toISOString() };
    await run(seen([], old));
    await run(seen([]), 'bolt');
    expect([(await listing()).ready, (await listing('bolt')).ready]).toEqual(['True', 'True']);
    expect(await unsayAllOld(store.housekeeping)).toBe(1);
    expect(await unsayAllOld(store.housekeeping)).toBe(0);
    expect(await listing()).toMatchObject({ ready: 'Unknown', unready_since: expect.any(Date) });
    expect((await listing('bolt')).ready).toBe('True');
    await run(seen([]));
    expect(await listing()).toMatchObject({ ready: 'True', unready_since: null });
  });

  it('was made for the tenants that were there before there were listings', async () => {
    await given(store, 'acme', 'bolt', 'new', 'stale');
    await apply({
      ...specOf('acme'),
      name: 'Éclair & Söhne',
      every: '5s',
      labels: { team: 'north' },
      paused: true,
    });
    const broken = seen(['True', 'False', 'Unknown'], {
      drift: ['role', 'a', 'role'].map(driftAt),
      observedGeneration: 2,
    });
    await run(broken);
    await run(seen([]), 'bolt');
    await run(seen([]), 'stale');
    await apply({ ...specOf('stale'), name: 'Another' });
    const ids = ['acme', 'bolt', 'new', 'stale'];
    const written = await Promise.all(ids.map(listing));
    await store.pool.query('delete from listings');
    const folder = new URL('../../migrations/', import.meta.url);
    const file = (await readdir(folder)).find((name) => name.endsWith('_listings.sql'))!;
    const migration = await readFile(new URL(file, folder), 'utf8');
    const filling = migration
      .split('--> statement-breakpoint')
      .filter((part) => /^\s*(INSERT|--.*\s+DO)/.test(part));
    expect(filling).toHaveLength(2);
    for (const statement of filling) await store.pool.query(statement);
    const made = await Promise.all(ids.map(listing));
    const told = (rows: Row[]) => rows.map(({ version: _v, unready_since: _u, ...row }) => row);
    expect(told(made)).toEqual(told(written));
    // Not ready since the first condition that is not True became so; never looked at: since it was made.
    expect(made[0]!.unready_since).toEqual(new Date('2026-01-01T00:00:00.000Z'));
    expect(made[1]!.unready_since).toBeNull();
    expect(made[2]!.unready_since).toEqual(written[2]!.unready_since);
  });
});
