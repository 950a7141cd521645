import { afterAll, beforeAll, expect, test } from 'vitest';
import { PARASOL } from '../../src/domain/access.ts';
import { createStore, StoreError, type Store } from '../../src/store/index.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { specOf, writeOf } from './fixtures.ts';

/** What the database itself holds of the audit, whoever writes into it. */

let database: Awaited<ReturnType<typeof createTestDatabase>>;
let store: Store;
beforeAll(async () => {
  database = await createTestDatabase();
  store = createStore(database.url);
});
afterAll(async () => {
  await store.close();
  await database.drop();
});

const entries = async () =>
  (await store.pool.query<Record<string, unknown>>('select * from audit order by id')).rows;

test.each([
  "update audit set actor = 'nobody'",
  'update audit set reason = null where false',
  'delete from audit',
  'delete from audit where id = 1',
  'truncate audit',
  'truncate audit restart identity cascade',
  "insert into audit (id, actor, action) overriding system value select id, actor, action from audit on conflict (id) do update set actor = 'nobody'",
  'merge into audit using (select max(id) as id from audit) as last on audit.id = last.id when matched then delete',
  'with gone as (delete from audit returning id) select count(*) from gone',
  'insert into audit (actor, action) values (null, null)',
])('it is added to and never changed: %s', async (statement) => {
  await store.desk.as({ ...PARASOL, name: 'ada' }).trigger('none', 'nothing');
  await store.pool.query("insert into audit (actor, action) values ('ada', 'test')");
  const before = await entries();
  await expect(store.pool.query(statement)).rejects.toThrow(/append-only|not-null/);
  expect(await entries()).toEqual(before);
});

test('that holds for who owns the table, too: these tests do, as the service does', async () => {
  const { rows } = await store.pool.query(
    "select tableowner = current_user as owned from pg_tables where tablename = 'audit'",
  );
  expect(rows).toEqual([{ owned: true }]);
});

test('an entry is there exactly if its change is', async () => {
  const desk = store.desk.as({
    name: 'ci',
    tokenId: 'token-1',
    role: 'admin',
    scope: null,
    from: '10.0.0.7',
    requestId: 'request-1',
    idempotencyKey: 'key-1',
  });
  await store.requests.begin({ tokenId: 'token-1', key: 'key-1', requestId: 'request-1', hash: 'hash' });
  expect(await desk.apply([writeOf('one')])).toMatchObject({ ok: true });
  expect((await entries()).at(-1)).toMatchObject({
    actor: 'ci',
    token_id: 'token-1',
    role: 'admin',
    address: '10.0.0.7',
    request_id: 'request-1',
    idempotency_key: 'key-1',
    action: 'tenant.create',
    tenant_id: 'one',
  });
  const before = await entries();
  // The second is the company of the first: the set is refused after its first tenant was written.
  const refused = await desk.apply([
    writeOf('a-first'),
    writeOf('b-second', { spec: specOf('b-second', { companyId: 'one' }) }),
  ]);
  expect(refused).toMatchObject({ ok: false, refusal: { because: 'company-taken' } });
  expect(await entries()).toEqual(before);
});

test('one that cannot be written takes its change back', async () => {
  await store.pool.query('alter table audit add constraint broken check (false) not valid');
  try {
    await expect(store.desk.apply([writeOf('never')])).rejects.toThrow(StoreError);
    expect(await store.desk.tenant('never')).toBeNull();
  } finally {
    await store.pool.query('alter table audit drop constraint broken');
  }
});
