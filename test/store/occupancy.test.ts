import pg from 'pg';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { createStore, type Store } from '../../src/store/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;
let one: Store;
let other: Store;

beforeAll(async () => {
  database = await createTestDatabase();
  one = createStore(database.url);
  other = createStore(database.url);
});
const releases: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const release of releases.splice(0)) await release();
});
afterAll(async () => {
  await Promise.all([one.close(), other.close()]);
  await database.drop();
});

async function share(
  store: Store,
  onReturn: (alone: boolean) => Promise<void> = async () => undefined,
): Promise<boolean> {
  const release = await store.occupancy.share({ owner: null, onLost: () => undefined, onReturn });
  if (release) releases.push(release);
  return release !== null;
}

it('any number of services share a database, and as long as one does nobody has it alone', async () => {
  expect(await share(one)).toBe(true);
  expect(await share(other)).toBe(true);
  const answer = await other.occupancy.alone();
  expect(answer).toMatchObject({ ok: false });
  expect(!answer.ok && answer.by).toHaveLength(2);
  expect(!answer.ok && answer.by[0]).toMatch(
    /^parasol from [0-9.:a-z ]+ since \d{4}-\d\d-\d\d \d\d:\d\d UTC$/,
  );
});

it('who has it alone keeps services out, and another like itself, until it lets go', async () => {
  const alone = await one.occupancy.alone();
  expect(alone.ok).toBe(true);
  expect(await share(other)).toBe(false);
  expect(await other.occupancy.alone()).toMatchObject({
    ok: false,
    by: [expect.stringMatching(/^parasol vault rekey from/)],
  });
  if (alone.ok) await alone.release();
  expect(await share(other)).toBe(true);
});

/** Ends the connections that show that the database is used, as a broken network does. */
async function cut(): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(
    `select pg_terminate_backend(pid) from pg_locks
      where locktype = 'advisory' and mode = 'ShareLock' and objsubid = 2 and pid <> pg_backend_pid()
        and database = (select oid from pg_database where datname = current_database())`,
  );
  await client.end();
}

it('a service whose connection broke shares it again, and is told', async () => {
  const onReturn = vi.fn<(alone: boolean) => Promise<void>>(async () => undefined);
  expect(await share(one, onReturn)).toBe(true);
  await cut();
  await vi.waitFor(() => expect(onReturn).toHaveBeenCalledWith(false), 10_000);
  expect(await other.occupancy.alone()).toMatchObject({ ok: false });
});

it('and is told where somebody has it alone meanwhile', async () => {
  const onReturn = vi.fn<(alone: boolean) => Promise<void>>(async () => undefined);
  expect(await share(one, onReturn)).toBe(true);
  await cut();
  const alone = await vi.waitFor(async () => {
    const answer = await other.occupancy.alone();
    if (!answer.ok) throw new Error('not free yet');
    return answer;
  });
  await vi.waitFor(() => expect(onReturn).toHaveBeenCalledWith(true), 10_000);
  await alone.release();
});
