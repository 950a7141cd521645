import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import type { SealedText } from '../../src/reconciler/ports.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import { credentialOf, given } from './fixtures.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let store: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
beforeEach(async () => {
  await store.pool.query('truncate tenants, events, vault_checks cascade');
  await given(store, 'acme');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const A = 'aaaaaaaaaaaaaaaa';
const B = 'bbbbbbbbbbbbbbbb';
/** A text whose first part says this; what follows is anything. */
const text = (header: unknown): string =>
  `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${randomBytes(8).toString('base64url')}`;

async function keep(...sealed: string[]): Promise<void> {
  for (const one of sealed) {
    const added = await store.desk.addCredential('acme', credentialOf({ sealed: one }), {
      events: [],
      cause: 'test',
    });
    if (!added.ok) throw new Error(added.because);
  }
}

it('tells under which key a text is sealed from its header, of whatever length, and from nothing else', async () => {
  const headers = Array.from({ length: 12 }, (_, index) => ({
    alg: 'A256GCMKW',
    kid: A,
    origin: `https://ünïcode.example/${'x'.repeat(index)}`,
  }));
  await keep(...headers.map(text), text({ kid: B }));
  await keep(
    '',
    'eyJ.sealed',
    '!!!.x',
    'eyJraWQ',
    text({ kid: 'no key' }),
    text({ none: true }),
    `x.${text({ kid: A })}`,
  );
  expect(await store.keyring.counts()).toEqual([
    { kid: A, count: 12 },
    { kid: B, count: 1 },
    { kid: null, count: 7 },
  ]);
});

it('gives every text once, in pages, by whether it is under a key', async () => {
  await keep(...Array.from({ length: 7 }, (_, index) => text({ kid: index % 2 ? A : B })), 'nonsense');
  const all = async (which: Parameters<Store['keyring']['page']>[0]) => {
    const found: SealedText[] = [];
    for (;;) {
      const page = await store.keyring.page(which, found.at(-1) ?? null, 2);
      if (page.length === 0) return found;
      expect(page.length).toBeLessThanOrEqual(2);
      found.push(...page);
    }
  };
  const [under, others] = [await all({ under: A }), await all({ notUnder: A })];
  expect([under.length, others.length]).toEqual([3, 5]);
  expect(new Set([...under, ...others].map(({ id }) => id)).size).toBe(8);
  for (const { table, sealed } of under) {
    expect(table).toBe('credentials');
    expect(JSON.parse(Buffer.from(sealed.split('.')[0]!, 'base64url').toString())).toEqual({ kid: A });
  }
});

it('replaces a text only where it is still the one that was read', async () => {
  await keep('one', 'two');
  const [one, two] = await store.keyring.page({ notUnder: A }, null, 9);
  expect(
    await store.keyring.replace([
      { ...one!, by: 'ONE' },
      { ...two!, sealed: 'another', by: 'TWO' },
    ]),
  ).toBe(1);
  const left = await store.keyring.page({ notUnder: A }, null, 9);
  expect(left.map(({ sealed }) => sealed)).toEqual(['ONE', 'two']);
  expect(await store.keyring.replace([])).toBe(0);
});

it('two first starts with different keys: one is the first, and both are told which', async () => {
  const other = createStore(database.url);
  try {
    const [one, two] = await Promise.all([store.keyring.first(A, 'a'), other.keyring.first(B, 'b')]);
    expect(one).toHaveLength(1);
    expect(two).toEqual(one);
  } finally {
    await other.close();
  }
});

it('knows every table that has a column of sealed texts', async () => {
  const { rows } = await store.pool.query<{ name: string }>(
    `select table_name as name from information_schema.columns
      where table_schema = 'public' and column_name like '%sealed%' order by 1`,
  );
  // Another one must be named in the keyring first, or a change of key would pass it by.
  expect(rows.map(({ name }) => name)).toEqual([
    'answer_keys',
    'credentials',
    'umbrella_keys',
    'vault_checks',
  ]);
});
