import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PARASOL } from '../../src/domain/access.ts';
import type { FleetCount } from '../../src/domain/fleet.ts';
import { listedFindings } from '../../src/domain/listing.ts';
import { requested } from '../../src/domain/rotation.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { newId, specOf, writeOf } from './fixtures.ts';
import { fleet, seedFleet, type Seeded } from './fleet.ts';

let database: TestDatabase;
let store: Store;
let tenants: Seeded[];

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  tenants = fleet(1_200);
  await seedFleet(store.pool, tenants);
}, 60_000);
afterAll(async () => {
  await store.close();
  await database.drop();
});

const by = <T>(items: T[], key: (item: T) => string): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(items, key)].map(([name, some]) => [name, some.length]));

const named = <T extends { count: number }>(items: T[], name: (item: T) => string) =>
  Object.fromEntries(items.map((item) => [name(item), item.count]));

describe('the numbers of a fleet', () => {
  it.each([
    ['all of it', []],
    ['those with a label', [{ key: 'team', value: 'north' }]],
    ['those with a label of any value', [{ key: 'vip', value: null }]],
    ['nobody', [{ key: 'team', value: 'nowhere' }]],
  ])('are those of %s', async (_, labels) => {
    const meant = tenants.filter(({ spec }) =>
      labels.every(
        ({ key, value }) =>
          spec.labels[key] !== undefined && (value ?? spec.labels[key]) === spec.labels[key],
      ),
    );
    const counted: FleetCount = await store.desk.fleet(labels);
    expect(counted.tenants).toEqual({
      total: meant.length,
      ready: { True: 0, False: 0, Unknown: 0, ...by(meant, ({ ready }) => ready) },
      unseen: 0,
    });
    expect(counted.modes).toEqual({ observe: 0, alert: 0, repair: 0, ...by(meant, ({ spec }) => spec.mode) });
    expect(named(counted.conditions, ({ type, status, reason }) => `${type}=${status}/${reason}`)).toEqual(
      by(
        meant.flatMap(({ conditions }) =>
          listedFindings(conditions, []).marks.filter((mark) => mark.includes('/')),
        ),
        (mark) => mark,
      ),
    );
    const paths = by(
      meant.flatMap(({ drift }) => listedFindings([], drift).drift),
      (path) => path,
    );
    expect(named(counted.drift.paths, ({ path }) => path)).toEqual(paths);
    expect(counted.drift.tenants).toBe(meant.filter(({ drift }) => drift.length > 0).length);
    expect(counted.failing).toBe(meant.filter(({ failures }) => failures > 0).length);
    expect(counted.paused).toBe(meant.filter(({ spec }) => spec.paused).length);
    const oldest = meant.toSorted(
      (a, b) => a.observedAt.getTime() - b.observedAt.getTime() || (a.id < b.id ? -1 : 1),
    )[0];
    expect(counted.oldestEvidence).toEqual(
      oldest === undefined ? null : { tenant: oldest.id, at: oldest.observedAt.toISOString() },
    );
    const ages = counted.keys.filter(({ purpose }) => purpose === 'integration');
    expect(named(ages, ({ youngerThanDays }) => String(youngerThanDays))).toEqual(
      by(meant, ({ keyDays }) => String([30, 60, 90, 180].find((days) => keyDays < days) ?? null)),
    );
    expect(ages.reduce((sum, { pastMaxAge }) => sum + pastMaxAge, 0)).toBe(
      meant.filter(({ keyDays }) => keyDays >= 90).length,
    );
  });

  it('tell of tenants that nobody has seen, hand-offs by when they are due, rotations, pauses and what is late', async () => {
    const at = (hours: number) => new Date(Date.now() + hours * 3_600_000);
    const [a, b, c] = ['tenant-00000', 'tenant-00001', 'tenant-00002'];
    for (const [id, kind, state, deadline] of [
      [a, 'delete-key', 'open', at(-1)],
      [b, 'delete-key', 'claimed', at(23)],
      [c, 'delete-key', 'submitted', at(25)],
      [a, 'grant-role-levels', 'open', at(200)],
      [b, 'grant-role-levels', 'closed', at(-1)],
    ] as const) {
      await store.pool.query(
        `insert into handoffs (id, tenant_id, kind, subject, state, content, deadline) values ($1, $2, $3, '', $4, '{}', $5)`,
        [newId(), id, kind, state, deadline],
      );
    }
    const asked = {
      cause: 'request',
      by: 'Jo',
      reason: 'x',
      cutNow: false,
      at: at(0).toISOString(),
    } as const;
    await store.desk.requestRotation(requested({ id: newId(), tenantId: b, ...asked }), [], 'x');
    await store.pool.query(
      `update tenants set next_run_at = now() + case when id = '${c}' then interval '-2 minutes' else '1 hour' end,
              pause = case id when '${b}' then '{"by": "Jo", "reason": "x", "since": "2026-01-01T00:00:00Z", "until": null}'::jsonb
                              when '${c}' then '{"by": "Jo", "reason": "x", "since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}' end`,
    );
    const before = await store.desk.fleet([]);
    expect(before).toMatchObject({
      handoffs: [
        { kind: 'delete-key', overdue: 1, today: 1, week: 1, later: 0 },
        { kind: 'grant-role-levels', overdue: 0, today: 0, week: 0, later: 1 },
      ],
      rotations: { integration: [{ phase: 'Pending', count: 1 }], umbrella: [] },
      paused: tenants.filter(({ spec }) => spec.paused).length + 1,
      overdue: 1,
    });
    const spec = { ...specOf('new'), labels: {} };
    await store.desk.apply([writeOf('new', { spec })]);
    expect((await store.desk.fleet([])).tenants).toEqual({
      total: 1_201,
      ready: { ...before.tenants.ready, Unknown: before.tenants.ready.Unknown + 1 },
      unseen: 1,
    });
  });

  it('are those of the tenants that one may see', async () => {
    const scope = { tenants: ['tenant-00001'], labels: [{ key: 'vip', value: 'yes' }] };
    const bound = store.desk.as({ ...PARASOL, scope });
    expect((await bound.fleet([])).tenants.total).toBe(
      1 + tenants.filter(({ spec }) => spec.labels['vip'] === 'yes').length,
    );
  });
});
