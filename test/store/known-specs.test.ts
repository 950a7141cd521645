import { afterAll, beforeAll, expect, it } from 'vitest';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { given } from './fixtures.ts';

let database: TestDatabase;
let store: Store;
beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
  await given(store, 'acme');
  await given(store, 'bolt');
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const specOf = async (id: string) => (await store.reconciles.snapshot(id))!.tenant.spec;
const change = (statement: string) => store.pool.query(statement);

it('is the very same spec run after run, as long as it stays, and holds one role for all that say the same', async () => {
  const first = await specOf('acme');
  expect(first).toMatchObject({ id: 'acme', connectwise: { role: { name: 'Umbrella' } } });
  expect(await specOf('acme')).toBe(first);
  expect((await specOf('bolt')).connectwise.role).toBe(first.connectwise.role);
  expect(() => (first.connectwise.role.tableSetup.length = 0)).toThrow(TypeError);
});

it('is another one as soon as the row holds another, whoever wrote it', async () => {
  const before = await specOf('acme');
  await change(`update tenants set spec = jsonb_set(spec, '{mode}', '"alert"') where id = 'acme'`);
  expect((await specOf('acme')).mode).toBe('alert');
  await change(
    `update tenants set spec = jsonb_set(spec, '{connectwise,role,name}', '"Other"') where id = 'acme'`,
  );
  expect((await specOf('acme')).connectwise.role.name).toBe('Other');
  expect((await specOf('bolt')).connectwise.role.name).toBe('Umbrella');
  expect(before.connectwise.role.name).toBe('Umbrella');
});

it('is not that of a tenant of the same name that was there before', async () => {
  await specOf('bolt');
  await change(`delete from tenants where id = 'bolt'`);
  expect(await store.reconciles.snapshot('bolt')).toBeNull();
  await given(store, 'bolt');
  await change(`update tenants set spec = jsonb_set(spec, '{name}', '"Bolt the second"') where id = 'bolt'`);
  expect((await specOf('bolt')).name).toBe('Bolt the second');
});
