import { PgDialect } from 'drizzle-orm/pg-core';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { listedFindings, listedSpec } from '../../src/domain/listing.ts';
import { selects } from '../../src/domain/labels.ts';
import {
  EVERYBODY,
  TENANT_SORTS,
  type TenantFilter,
  type TenantSort,
} from '../../src/domain/tenant-filter.ts';
import type { Place } from '../../src/reconciler/cursor.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { pageQuery } from '../../src/store/tenant-pages.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { fleet, seedFleet, type Seeded } from './fleet.ts';

/** Enough that a plan which reads all of it would be another one. */
const MANY = 10_000;

let database: TestDatabase;
let store: Store;
let tenants: Seeded[];

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  tenants = fleet(MANY);
  await seedFleet(store.pool, tenants);
}, 120_000);
afterAll(async () => {
  await store.close();
  await database.drop();
});

/** The ids that the filter means, page by page, until there are no more or `enough`. */
async function listed(
  sort: TenantSort,
  filter: TenantFilter,
  { limit, enough }: { limit: number; enough: number },
): Promise<string[]> {
  const ids: string[] = [];
  let after: Place | null = null;
  do {
    const page = await store.desk.page({ sort, filter, after, limit });
    ids.push(...page.items.map(({ tenant }) => tenant.id));
    after = page.next;
  } while (after !== null && ids.length < enough);
  return ids;
}

/** What a listing tells of a tenant, once for all cases. */
const told = new Map<Seeded, { marks: string[]; drift: string[]; words: string }>();
function toldOf(one: Seeded) {
  let known = told.get(one);
  if (known === undefined) {
    const { marks, drift } = listedFindings(one.conditions, one.drift);
    told.set(one, (known = { marks, drift, words: listedSpec(one.spec, new Date()).words }));
  }
  return known;
}

const isMeant =
  ({ ids, ready, marks, mode, labels, drift, words }: TenantFilter) =>
  (one: Seeded): boolean => {
    const found = toldOf(one);
    return (
      (ids === null || ids.includes(one.id)) &&
      (ready.length === 0 || ready.includes(one.ready)) &&
      marks.every((mark) => found.marks.includes(mark)) &&
      (mode === null || one.spec.mode === mode) &&
      selects(labels, one.spec.labels) &&
      (drift === null ||
        (typeof drift === 'string'
          ? found.drift.some((path) => path.startsWith(drift))
          : found.drift.length > 0 === drift)) &&
      (words === null || found.words.includes(words.toLowerCase()))
    );
  };

const RANK = { False: 0, Unknown: 1, True: 2 };
const KEYS: Record<TenantSort, (one: Seeded) => string | number> = {
  id: ({ id }) => id,
  name: ({ spec, id }) => `${spec.name.toLowerCase()}\n${id}`,
  ready: ({ ready }) => RANK[ready],
  since: ({ unreadySince }) => unreadySince?.getTime() ?? Infinity,
  next: ({ nextRunAt }) => nextRunAt.getTime(),
};
const byKey = (sort: TenantSort) => (a: Seeded, b: Seeded) => {
  const [x, y] = [KEYS[sort](a), KEYS[sort](b)];
  if (x !== y) return x < y ? -1 : 1;
  return a.id < b.id ? -1 : 1;
};

const FILTERS: [string, Partial<TenantFilter>][] = [
  ['nothing', {}],
  ['readiness', { ready: ['False'] }],
  ['two kinds of readiness', { ready: ['False', 'Unknown'] }],
  ['a condition', { marks: ['RoleReady=False'] }],
  ['a condition and its reason', { marks: ['RoleReady=False/LevelsMissing'] }],
  ['two conditions', { marks: ['RoleReady=False', 'UmbrellaIntegrated=Unknown'] }],
  ['a condition that is as it should be', { marks: ['RoleReady=True'] }],
  ['a mode', { mode: 'alert' }],
  ['a label', { labels: [{ key: 'team', value: 'north' }] }],
  ['a label that nobody has', { labels: [{ key: 'team', value: 'nowhere' }] }],
  ['a label of any value', { labels: [{ key: 'vip', value: null }] }],
  [
    'two labels',
    {
      labels: [
        { key: 'vip', value: null },
        { key: 'team', value: 'north' },
      ],
    },
  ],
  ['drift', { drift: true }],
  ['no drift', { drift: false }],
  ['how the path of drift begins', { drift: 'role.levels.Comp' }],
  ['a word of the name', { words: 'MANAGED it 77' }],
  ['a word of the company', { words: 'company-123' }],
  ['a word with signs that mean something to others', { words: '100%_' }],
  ['ids', { ids: ['tenant-00042', 'tenant-00007', 'nobody'] }],
  [
    'several things',
    { ready: ['False'], mode: 'repair', drift: true, words: 'it', labels: [{ key: 'team', value: 'north' }] },
  ],
];
const CASES = FILTERS.flatMap(([name, filter]) =>
  TENANT_SORTS.map((sort): [string, TenantSort, TenantFilter] => [name, sort, { ...EVERYBODY, ...filter }]),
);

describe('the tenants of a fleet of 10,000', () => {
  test.each(CASES)(
    'by %s, sorted by %s, are those that are meant, once each and in order',
    async (_, sort, filter) => {
      const meant = tenants
        .filter(isMeant(filter))
        .toSorted(byKey(sort))
        .map(({ id }) => id);
      const ids = await listed(sort, filter, { limit: 200, enough: 600 });
      expect(ids.slice(0, 600)).toEqual(meant.slice(0, 600));
    },
  );

  test.each(CASES)(
    'by %s, sorted by %s, are found without reading every wide row',
    async (_, sort, filter) => {
      for (const after of [null, (await store.desk.page({ sort, filter, after: null, limit: 3 })).next]) {
        const { sql, params } = new PgDialect().sqlToQuery(
          pageQuery({ sort, filter, after, limit: 50 }, null),
        );
        const { rows } = await store.pool.query<{ 'QUERY PLAN': unknown }>(
          `explain (format json) ${sql}`,
          params,
        );
        const scans = JSON.stringify(rows[0]!['QUERY PLAN']).match(
          /"Node Type":"Seq Scan"[^}]*?"Relation Name":"(?:tenants|statuses)"/g,
        );
        expect(scans).toBeNull();
      }
    },
  );

  it('come once each whatever the size of a page is, where many are alike', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...TENANT_SORTS),
        fc.integer({ min: 1, max: 7 }),
        async (sort, limit) => {
          const filter = { ...EVERYBODY, words: 'company-12' };
          const meant = tenants
            .filter(isMeant(filter))
            .toSorted(byKey(sort))
            .map(({ id }) => id);
          expect(await listed(sort, filter, { limit, enough: Infinity })).toEqual(meant);
        },
      ),
      { numRuns: 10 },
    );
  });
});
