import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'drizzle-orm';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  atLeisure,
  LOST_WORDS,
  openDatabase,
  openPool,
  StoreError,
  toStoreError,
} from '../../src/store/database.ts';
import { createStore } from '../../src/store/index.ts';
import { network, type Network } from '../support/network.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

async function link(): Promise<Network> {
  const made = await network(database.url);
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

/** As the service has it, through a network that the test takes away. */
function opened(url: string, options: pg.PoolConfig = {}) {
  const lost: Error[] = [];
  const pool = openPool({ connectionString: url, ...options }, (error) => lost.push(error));
  onTestFinished(() => pool.end());
  return { pool, db: openDatabase(pool), lost };
}

const failed = (doing: Promise<unknown>): Promise<StoreError> =>
  doing.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => toStoreError(error) as StoreError,
  );

describe('a connection whose transaction cannot begin', () => {
  it('is not kept: after twelve of them the database is there as before', async () => {
    const wire = await link();
    const { pool, db } = opened(wire.url, { connectionTimeoutMillis: 2_000 });
    wire.cutAt('begin', 12);
    for (let times = 0; times < 12; times += 1) {
      const error = await failed(db.transaction((tx) => tx.execute(sql`select 1`)));
      expect(error).toMatchObject({ name: 'StoreError', passes: true });
    }
    expect(wire.cutsLeft()).toBe(0);
    expect(pool.totalCount).toBe(0);
    expect((await db.transaction((tx) => tx.execute(sql`select 1 as one`))).rows).toEqual([{ one: 1 }]);
  });

  it.each([
    ['commit', null, { passes: true }],
    // What went wrong first is told, not that it could not be taken back.
    ['rollback', new Error('what went wrong'), { message: 'what went wrong' }],
  ])('is not kept either where its %s is lost', async (words, wrong, told) => {
    const wire = await link();
    const { pool, db } = opened(wire.url);
    wire.cutAt(words, 1);
    const doing = db.transaction(async (tx) => {
      await tx.execute(sql`select 1`);
      if (wrong) throw wrong;
    });
    expect(await failed(doing)).toMatchObject(told);
    expect(pool.totalCount).toBe(0);
  });

  it('goes back where nothing but the work of it failed', async () => {
    const { pool, db } = opened(database.url);
    await expect(db.transaction(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1]);
  });
});

describe('an answer that does not come', () => {
  it('breaks the connection at its time, and nothing else is sent on it', async () => {
    const wire = await link();
    const { pool, db } = opened(`${wire.url}?query_timeout=300`);
    expect((await pool.query<{ one: number }>('select 1 as one')).rows).toEqual([{ one: 1 }]);
    wire.freeze();
    const late = { name: 'StoreError', code: 'ETIMEDOUT', passes: true };
    expect(await failed(pool.query('select 2'))).toMatchObject(late);
    expect(pool.totalCount).toBe(0);
    wire.restore();
    const inside = db.transaction(async (tx) => {
      await tx.execute(sql`select 3`);
      wire.freeze();
      await tx.execute(sql`select 4`);
    });
    expect(await failed(inside)).toMatchObject(late);
    wire.restore();
    expect(pool.totalCount).toBe(0);
    expect((await pool.query<{ five: number }>('select 5 as five')).rows).toEqual([{ five: 5 }]);
  });

  it('is waited for longer where the statement needs that', async () => {
    const { pool } = opened(database.url, { query_timeout: 300, statement_timeout: 200 });
    const long = `select 1 as one from pg_sleep(0.5)`;
    expect(await failed(pool.query(long))).toMatchObject({ code: '57014', passes: true });
    for (const ms of [0, 5_000]) {
      const { rows } = await atLeisure(pool, ms, (client) => client.query<{ one: number }>(long));
      expect(rows).toEqual([{ one: 1 }]);
    }
    // Whoever comes next has the bounds as they were.
    expect(await failed(pool.query(long))).toMatchObject({ code: '57014' });
  });

  it('is told as missing soon, by one look however many ask, and as there as soon as it is', async () => {
    const wire = await link();
    const store = createStore(wire.url);
    onTestFinished(() => store.close());
    expect(await store.health()).toMatchObject({ ok: true });
    wire.swallow();
    const started = performance.now();
    const looks = await Promise.all(Array.from({ length: 30 }, () => store.health()));
    expect(looks.filter(({ ok }) => ok)).toEqual([]);
    expect(performance.now() - started).toBeLessThan(6_000);
    expect(wire.connections()).toBeLessThan(2);
    wire.restore();
    expect(await store.health()).toMatchObject({ ok: true });
  });

  it('does not hold up the end', async () => {
    const wire = await link();
    const store = createStore(wire.url);
    const unlisten = await store.claims.onTrigger(() => undefined);
    const release = await store.occupancy.share({
      owner: 'me',
      onLost: () => undefined,
      onReturn: async () => undefined,
    });
    await store.pool.query('select 1');
    wire.freeze();
    const waiting = failed(store.desk.tenant('acme'));
    await sleep(50);
    const started = performance.now();
    await unlisten();
    await release?.();
    await store.close();
    expect(performance.now() - started).toBeLessThan(8_000);
    expect(await waiting).toMatchObject({ name: 'StoreError', passes: true });
  });
});

describe('the end of a pool', () => {
  it('tells of no connection that was lost, since none was', async () => {
    const lost: Error[] = [];
    const pool = openPool({ connectionString: database.url }, (error) => lost.push(error));
    await Promise.all([pool.query('select 1'), pool.query('select pg_sleep(0.1)')]);
    await pool.end();
    await sleep(50);
    expect(lost).toEqual([]);
  });
});

describe('what PostgreSQL takes back for the sake of others', () => {
  it('is done again: a deadlock', async () => {
    const { pool, db } = opened(database.url);
    await pool.query('create table pairs (id integer primary key, n integer not null)');
    await pool.query('insert into pairs values (1, 0), (2, 0)');
    const other = new pg.Client({ connectionString: database.url });
    await other.connect();
    // Nobody but us finds the deadlock, and so nobody else is the victim.
    await other.query(`set deadlock_timeout = '1h'`);
    await other.query('begin; update pairs set n = n + 10 where id = 2');
    let tries = 0;
    let theirs: Promise<unknown> = Promise.resolve();
    await db.transaction(async (tx) => {
      tries += 1;
      await tx.execute(sql`update pairs set n = n + 1 where id = 1`);
      if (tries === 1)
        theirs = other.query('update pairs set n = n + 10 where id = 1').then(() => other.query('commit'));
      await tx.execute(sql`update pairs set n = n + 1 where id = 2`);
    });
    await theirs;
    await other.end();
    // On a busy machine we may be back before the other one has woken up.
    expect(tries).toBeGreaterThan(1);
    expect((await pool.query('select n from pairs')).rows).toEqual([{ n: 11 }, { n: 11 }]);
  });

  it('is done again: a serialization failure, at the end or before', async () => {
    const { pool, db } = opened(database.url);
    await pool.query('create table sums (n integer not null)');
    await pool.query('insert into sums values (1)');
    let tries = 0;
    await db.transaction(
      async (tx) => {
        tries += 1;
        await tx.execute(sql`select n from sums`);
        if (tries === 1) await pool.query('update sums set n = n + 10');
        await tx.execute(sql`update sums set n = n + 1`);
      },
      { isolationLevel: 'repeatable read' },
    );
    expect(tries).toBe(2);
    expect((await pool.query('select n from sums')).rows).toEqual([{ n: 12 }]);
  });

  it('is done again where a statement is all of it, and told where that never ends', async () => {
    const { pool } = opened(database.url);
    await pool.query('create sequence tries');
    const conflict = (until: number) => `do $$ begin
      if nextval('tries') < ${until} then raise exception 'not now' using errcode = '40001'; end if; end $$`;
    await pool.query(conflict(3));
    expect(await failed(pool.query(conflict(1_000)))).toMatchObject({ code: '40001', passes: true });
    expect((await pool.query(`select last_value::int as n from tries`)).rows).toEqual([{ n: 9 }]);
  });
});

describe('whether the same may work later', () => {
  it.each([
    '08006',
    '08001',
    '53300',
    '57P01',
    '57P02',
    '57P03',
    '25006',
    '57014',
    '40001',
    '40P01',
    'ECONNREFUSED',
    'ECONNRESET',
    'ETIMEDOUT',
    'ENOTFOUND',
  ])('is so of %s', (code) => {
    expect(new StoreError('', code, null).passes).toBe(true);
  });
  it.each(['23505', '42P01', '22P02', '0A000', '28P01', null, 'ERR_INVALID_ARG_TYPE', 'X08006'])(
    'is not of %s',
    (code) => {
      expect(new StoreError('', code, null).passes).toBe(false);
    },
  );

  it('is known of a connection that is gone by the words of the driver, which are still these', () => {
    const require = createRequire(import.meta.url);
    const own = dirname(require.resolve('pg'));
    const pool = createRequire(require.resolve('pg')).resolve('pg-pool');
    const source = [join(own, 'client.js'), pool].map((file) => readFileSync(file, 'utf8')).join('\n');
    for (const words of LOST_WORDS) {
      expect(source).toContain(`'${words}'`);
      expect(toStoreError(new Error(words))).toMatchObject({ name: 'StoreError', passes: true });
    }
    expect(toStoreError(new TypeError('x is not a function'))).toBeInstanceOf(TypeError);
  });
});
