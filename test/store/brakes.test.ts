import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, test } from 'vitest';
import { PARASOL, type Scope } from '../../src/domain/access.ts';
import type { BrakeBounds, Sighting } from '../../src/domain/brake.ts';
import { EVERY_EVENT } from '../../src/reconciler/event-log.ts';
import type { BrakeView, Claim } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { LEAVING, newId, openingFor, resultOf, statusOf, writeOf } from './fixtures.ts';

let database: TestDatabase;
/** Two replicas. */
let stores: [Store, Store];
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  stores = [createStore(database.url), createStore(database.url)];
  [store] = stores;
});
afterEach(() => store.pool.query('truncate tenants, events, brakes cascade'));
afterAll(async () => {
  await Promise.all(stores.map((one) => one.close()));
  await database.drop();
});

const BOUNDS: BrakeBounds = { windowMs: 60 * 60_000, share: 0.2, least: 5 };
const OFF = 'members.*.active different';
const shows = (signature = OFF, counts = true): Sighting => ({ signature, counts });

const DECIDED = { generation: 1, decisions: 0 };

let claims: Claim[];
let ids: string[];

/** A fleet in mode `repair`, every tenant of it claimed. */
const fleetOf = async (count: number): Promise<void> => {
  ids = Array.from({ length: count }, (_, index) => `t${String(index).padStart(2, '0')}`);
  const repairing = (id: string) => writeOf(id, { spec: { ...writeOf(id).spec, mode: 'repair' } });
  const applied = await store.desk.apply(ids.map(repairing));
  expect(applied.ok).toBe(true);
  const taken = await store.claims.take('owner', count, 30_000);
  claims = ids.map((id) => taken.find(({ claim }) => claim.tenantId === id)!.claim);
};
beforeEach(() => fleetOf(20));

const sight = (index: number, seen: Sighting[], bounds = BOUNDS) =>
  stores[index % 2]!.reconciles.sight(claims[index]!, seen, { ...bounds, brakeId: newId() });
/** The first `count` tenants show it, one after the other. */
const show = async (count: number, from = 0, seen = [shows()]) => {
  for (let index = from; index < from + count; index += 1) await sight(index, seen);
};
const brakes = () => store.desk.brakes(10);
const brake = async (): Promise<BrakeView> => (await brakes())[0]!;
const on = async () => (await brakes()).filter(({ state }) => state === 'on').length;
const release = async (tenant: string | null, withoutCanary = false) =>
  store.desk.releaseBrake((await brake()).id, tenant, { by: 'Jo', reason: 'seen', withoutCanary });
const intent = () => ({ id: newId(), key: `member:${newId()}`, action: 'change', request: {} });
const openIntent = (index: number) =>
  store.reconciles.openIntent(claims[index]!, intent(), {
    ...DECIDED,
    deleting: false,
    perHour: 1_000,
    takesAway: false,
    rotation: null,
  });
const fleetEvents = async () =>
  (
    await store.pool.query<{ type: string }>('select type from events where tenant_id is null order by id')
  ).rows.map(({ type }) => type);
/** As if it had come so long ago. */
const age = (minutes: number) =>
  store.pool.query(`update sightings set since = since - $1 * interval '1 minute'`, [minutes]);

describe('what tenants show', () => {
  it('sets the brake once, by whoever counts last, however many replicas count at once', async () => {
    const seen = await Promise.all(ids.map((_, index) => sight(index, [shows()])));
    // Whoever was counted before may act; all others are held by what they were answered.
    expect(seen.filter((one) => one!.brake === null)).toHaveLength(4);
    expect(seen.flatMap((one) => one!.news)).toHaveLength(1);
    expect(await brakes()).toMatchObject([{ state: 'on', counted: 5, fleet: 20, held: ids }]);
    expect(await fleetEvents()).toEqual(['BrakeSet']);
  });

  it('sets one brake for all that came alike at once', async () => {
    await show(5, 0, [shows('a missing'), shows('b missing'), shows('c missing', false)]);
    expect(await brakes()).toMatchObject([{ signatures: ['a missing', 'b missing'] }]);
  });

  test.each<[string, () => Promise<unknown>]>([
    ['are too few', () => show(4)],
    ['showed it from the first', () => show(10, 0, [shows(OFF, false)])],
    [
      'came to it too slowly',
      async () => {
        await show(4);
        await age(61);
        await show(4, 4);
      },
    ],
    [
      'differ each in a way of its own',
      async () => {
        for (let index = 0; index < 20; index += 1) await sight(index, [shows(`${index} missing`)]);
      },
    ],
    [
      'say the same again',
      async () => {
        await show(4);
        await show(4);
      },
    ],
  ])('sets no brake where they %s', async (_, happens) => {
    await happens();
    expect(await brakes()).toEqual([]);
    expect(await fleetEvents()).toEqual([]);
  });

  it('is counted though it was repaired meanwhile', async () => {
    for (let index = 0; index < 4; index += 1) {
      await sight(index, [shows()]);
      await sight(index, []);
    }
    expect(await brakes()).toEqual([]);
    expect((await sight(4, [shows()]))!.brake).toMatchObject({ signatures: [OFF] });
    expect((await brake()).held).toEqual(['t04']);
  });

  it('is read in the snapshot, with the brake that holds', async () => {
    await show(5);
    await sight(6, [shows('a missing')]);
    const snapshots = await Promise.all([4, 6, 7].map((index) => store.reconciles.snapshot(ids[index]!)));
    expect(snapshots.map((one) => [one!.sighted, one!.tenant.brake?.signatures])).toEqual([
      [[OFF], [OFF]],
      [['a missing'], undefined],
      [[], undefined],
    ]);
    expect(snapshots[0]!.tenant.brake).toEqual({
      id: (await brake()).id,
      signatures: [OFF],
      setAt: (await brake()).setAt,
    });
  });

  it('is not kept by whoever lost the claim', async () => {
    await store.pool.query('update tenants set claim_token = claim_token + 1');
    expect(await sight(0, [shows()])).toBeNull();
    const { rows } = await store.pool.query('select from sightings');
    expect(rows).toEqual([]);
  });

  it('goes with time once it is gone, and not while it counts', async () => {
    await show(2);
    await sight(0, []);
    await store.housekeeping.prune(1, 10);
    const left = async () => (await store.pool.query('select from sightings')).rows.length;
    expect(await left()).toBe(2);
    await store.pool.query(
      `update sightings set since = since - interval '40 days', gone_at = gone_at - interval '40 days'`,
    );
    await store.housekeeping.prune(1, 10);
    expect(await left()).toBe(1);
  });
});

describe('the last doors, for a run that planned before the brake was set', () => {
  /** Every tenant but the first six shows it and was told of no brake; then the brake is set. */
  const planned = async () => {
    await show(10, 6, [shows(OFF, false)]);
    await show(5);
  };

  it('let no intent be committed for whoever shows it, and go on for the others', async () => {
    await planned();
    expect(await openIntent(6)).toMatchObject({
      granted: false,
      because: 'braked',
      brake: { signatures: [OFF] },
    });
    expect(await openIntent(0)).toMatchObject({ granted: false, because: 'braked' });
    expect(await openIntent(5)).toEqual({ granted: true });
  });

  it('let no write leave', async () => {
    await planned();
    expect(await store.claims.confirm(claims[6]!, 1_000, DECIDED)).toBe(false);
    expect(await store.claims.confirm(claims[5]!, 1_000, DECIDED)).toBe(true);
  });

  it('open no hand-off, record the rest, and have the tenant run again', async () => {
    await planned();
    const opening = () => ({ ...openingFor(), automation: null });
    for (const index of [6, 5]) {
      expect(
        await store.reconciles.record(
          claims[index]!,
          resultOf({ handoffs: [opening()], status: statusOf() }),
        ),
      ).toBe(true);
    }
    const live = await store.desk.handoffs({ tenant: null, live: true });
    expect(live.map(({ tenantId }) => tenantId)).toEqual(['t05']);
    const again = await store.claims.take('owner', 20, 30_000);
    expect(again.map(({ claim }) => claim.tenantId)).toEqual(['t06']);
  });
});

it('lets no work leave for an automation while it holds the tenant', async () => {
  const handoff = openingFor();
  const spec = { ...writeOf('t06').spec, mode: 'repair' as const };
  const webhooks = { ...spec.handoffs, 'delete-key': { webhook: handoff.automation.webhook } };
  await store.desk.apply([writeOf('t06', { expected: 1, spec: { ...spec, handoffs: webhooks } })]);
  await store.reconciles.record(claims[6]!, resultOf({ handoffs: [handoff] }));
  await store.pool.query(`update tenants set next_run_at = now() where id = 't06'`);
  const [again] = await store.claims.take('owner', 1, 30_000);
  claims[6] = again!.claim;
  await show(5, 6);
  expect(await store.deliveries.begin(handoff.id, null)).toEqual({ go: false, because: 'held' });
  await release('t06');
  // Nothing holds it any more; that there is nothing to sign with is another matter.
  expect(await store.deliveries.begin(handoff.id, null)).toEqual({ go: false, because: 'settled' });
});

describe('a release', () => {
  beforeEach(() => show(10));

  it('is for one tenant first, whose run follows, and holds the others still', async () => {
    expect(await release('t07')).toMatchObject({ ok: true, triggered: [{ tenant: 't07' }] });
    expect(await openIntent(7)).toEqual({ granted: true });
    expect(await store.claims.confirm(claims[7]!, 1_000, DECIDED)).toBe(true);
    expect(await openIntent(8)).toMatchObject({ granted: false });
    expect((await brake()).held).toEqual(ids.slice(0, 10).filter((id) => id !== 't07'));
    expect(await release('t07')).toEqual({ ok: false, because: 'not-held' });
    expect((await store.reconciles.snapshot('t07'))!.tenant).toMatchObject({ brake: null });
  });

  it('is for all after one went well, or where it is said that none did', async () => {
    expect(await release(null)).toEqual({ ok: false, because: 'no-canary' });
    await release('t07');
    expect(await release(null)).toEqual({ ok: false, because: 'canary-open', tenants: ['t07'] });
    const run = async (outcome: 'degraded' | 'succeeded') => {
      await store.pool.query(`update tenants set next_run_at = now() where id = 't07'`);
      const [taken] = await store.claims.take('owner', 1, 30_000);
      const now = new Date(Date.now() + 60_000).toISOString();
      const { run: ran, ...rest } = resultOf();
      await store.reconciles.record(taken!.claim, {
        ...rest,
        run: { ...ran, startedAt: now, finishedAt: now, outcome },
      });
    };
    await run('degraded');
    expect(await release(null)).toMatchObject({ because: 'canary-open' });
    await run('succeeded');
    expect(await release(null)).toMatchObject({ ok: true, triggered: { length: 10 } });
    expect(await brake()).toMatchObject({ state: 'released', held: [], released: { by: 'Jo' } });
    expect(await openIntent(8)).toEqual({ granted: true });
    expect(await release(null)).toEqual({ ok: false, because: 'released' });
    expect(await release('t08')).toEqual({ ok: false, because: 'released' });
  });

  test.each<[string, string, string]>([
    ['a tenant that does not show it', 't15', 'not-held'],
    ['a tenant that is none', 'nobody', 'no-tenant'],
  ])('is refused for %s', async (_, tenant, because) => {
    expect(await release(tenant)).toEqual({ ok: false, because });
  });

  it('is kept in the audit, for one and for all, and by whom', async () => {
    await release('t07');
    await release(null, true);
    await release('t08');
    const { id } = await brake();
    // It keeps what other tests did.
    const { rows } = await store.pool.query(
      `select tenant_id, subject, reason, after from audit
        where action = 'brake.release' and subject = $1 order by id`,
      [id],
    );
    expect(rows).toEqual([
      {
        tenant_id: 't07',
        subject: id,
        reason: 'seen',
        after: { by: 'Jo', withoutCanary: false, tenants: 1 },
      },
      {
        tenant_id: null,
        subject: id,
        reason: 'seen',
        after: { by: 'Jo', withoutCanary: true, tenants: 10 },
      },
    ]);
  });

  it('is not for who is bound to some tenants, nor is the fleet’s brake shown to them', async () => {
    const bound = store.desk.as({ ...PARASOL, scope: { tenants: ['t07'], labels: [] } });
    const { id } = await brake();
    const asked = { by: 'Jo', reason: 'seen', withoutCanary: true };
    for (const tenant of ['t07', null]) {
      expect(await bound.releaseBrake(id, tenant, asked)).toEqual({ ok: false, because: 'no-brake' });
    }
    expect(await bound.brakes(10)).toEqual([]);
    expect(await on()).toBe(1);
    const events = async (scope: Scope | null) => {
      const wanted = { ...EVERY_EVENT, types: ['BrakeSet'], scope };
      return (await store.eventLog.page({ before: null, limit: 10 }, wanted)).items.map(
        ({ tenant }) => tenant,
      );
    };
    expect(await events(null)).toEqual([null]);
    expect(await events({ tenants: ['t07'], labels: [] })).toEqual([]);
  });

  it('of a brake that is none is refused', async () => {
    const asked = { by: 'Jo', reason: '', withoutCanary: true };
    expect(await store.desk.releaseBrake('none', null, asked)).toEqual({ ok: false, because: 'no-brake' });
  });

  it('is not undone by those who were counted: only others set it again', async () => {
    await release(null, true);
    // They still show it, and say so again; that is known.
    await show(10);
    expect(await on()).toBe(0);
    await show(4, 10);
    expect(await on()).toBe(0);
    await show(1, 14);
    expect(await on()).toBe(1);
    expect(await fleetEvents()).toEqual(['BrakeSet', 'BrakeReleased', 'BrakeSet']);
  });

  it('is no licence for what was repaired and came again', async () => {
    await release(null, true);
    for (let index = 0; index < 5; index += 1) {
      await sight(index, []);
      await sight(index, [shows()]);
    }
    expect(await on()).toBe(1);
  });

  it('at the same time as a run of a tenant that it triggers waits for neither for ever', async () => {
    await Promise.all([
      release(null, true),
      ...ids.map((_, index) => sight(index, index % 2 === 0 ? [] : [shows('a missing')])),
    ]);
    expect((await brakes()).filter(({ signatures }) => signatures.includes(OFF))).toMatchObject([
      { state: expect.stringMatching('released|ended') },
    ]);
  });
});

describe('a brake ends by itself', () => {
  beforeEach(() => show(6));

  it('once no tenant shows it any more', async () => {
    for (let index = 0; index < 5; index += 1) await sight(index, []);
    expect(await on()).toBe(1);
    expect((await sight(5, []))!.news).toMatchObject([{ type: 'BrakeEnded' }]);
    expect(await brakes()).toMatchObject([{ state: 'ended', held: [] }]);
    expect(await fleetEvents()).toEqual(['BrakeSet', 'BrakeEnded']);
    expect(await release(null, true)).toEqual({ ok: false, because: 'ended' });
  });

  it('once the last one that showed it was deleted', async () => {
    for (let index = 0; index < 5; index += 1) await sight(index, []);
    await store.desk.requestDelete('t05', LEAVING, [], 'deletion');
    await store.reconciles.record(
      claims[5]!,
      resultOf({ forget: { type: 'TenantDeleted', message: 'gone' } }),
    );
    expect(await brakes()).toMatchObject([{ state: 'ended' }]);
  });

  it('and is set again at once where it comes again within the window', async () => {
    for (let index = 0; index < 6; index += 1) await sight(index, []);
    expect(await on()).toBe(0);
    expect((await sight(0, [shows()]))!.brake).toMatchObject({ signatures: [OFF] });
  });
});

it('is counted for metrics while it is on', async () => {
  expect((await store.housekeeping.census()).braked).toBe(0);
  await show(5);
  expect((await store.housekeeping.census()).braked).toBe(1);
  await release(null, true);
  expect((await store.housekeeping.census()).braked).toBe(0);
});
