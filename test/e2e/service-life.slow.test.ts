import { randomBytes } from 'node:crypto';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { seedMany, seedScenario } from '../../src/simulator/index.ts';
import { createEmptyDatabase } from '../support/postgres.ts';
import { surviveWithoutDatabase } from './database-trouble.ts';
import {
  database,
  expectNothingLeft,
  folder,
  launchService,
  run,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  type Database,
  type Service,
} from './harness.ts';

expectNothingLeft();
// On a busy machine each process takes seconds to start.
vi.setConfig({ testTimeout: 90_000 });

describe('a configuration that cannot be used', () => {
  test('is told whole, with each variable, and no secret of it', async () => {
    await using data = await folder();
    await writeFile(join(data.path, 'token'), 'too-short-to-be-a-token');
    const ran = await run(['serve'], {
      env: {
        DATABASE_URL: 'mysql://somebody:p4ssw0rd@db/parasol',
        PARASOL_DATA: join(data.path, 'never-made'),
        PARASOL_PORT: '80800',
        PARASOL_KEK: 'hunter2',
        PARASOL_ADMIN_TOKEN_FILE: join(data.path, 'token'),
        PARASOL_LOG_LEVEL: 'loud',
        PARASOL_CONCURRENCY: '0',
        PARASOL_RETENTION: 'forever',
        PARASOL_DRAIN_FILE: join(data.path, 'nothing-here'),
      },
    });
    expect(ran).toMatchObject({ code: 4, stdout: '' });
    for (const variable of [
      'DATABASE_URL',
      'PARASOL_PORT',
      'PARASOL_KEK',
      'PARASOL_ADMIN_TOKEN_FILE',
      'PARASOL_LOG_LEVEL',
      'PARASOL_CONCURRENCY',
      'PARASOL_RETENTION',
      'PARASOL_DRAIN_FILE',
    ]) {
      expect(ran.stderr).toMatch(new RegExp(`^ +${variable}$`, 'm'));
    }
    expect(ran.stderr).not.toMatch(/p4ssw0rd|hunter2|too-short-to-be-a-token/);
    expect(await readdir(data.path)).toEqual(['token']);
  });
});

/** Every row of every table, to see whether anything was changed. */
async function rows(db: Database): Promise<Record<string, unknown[]>> {
  const tables = await db.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  const all: Record<string, unknown[]> = {};
  for (const { name } of tables) {
    const found = await db.query<{ row: unknown }>(`select to_jsonb(t) as row from "${name}" t order by 1`);
    all[name] = found.map(({ row }) => row);
  }
  return all;
}

describe('the key-encryption key', () => {
  test('another one, or none, ends the start with a clear error and changes nothing', async () => {
    await using db = await database();
    await using data = await folder();
    await using vendors = await simulator();
    seedScenario(vendors.world, 'acme', 'healthy');
    const options = { databaseUrl: db.url, data: data.path };
    await using service = await startService(options);
    await service.client.apply([tenantOf(vendors, 'acme')], false);
    await statusWhen(service, 'acme', 'ready', ({ ready }) => ready === 'True');
    expect(await service.stop()).toMatchObject({ code: 0 });

    const before = await rows(db);
    expect(before['credentials']).toHaveLength(4);
    await using wrong = launchService({ ...options, kek: randomBytes(32).toString('base64') });
    await using none = launchService({ ...options, kek: null });
    expect(await wrong.ended).toMatchObject({ code: 1 });
    expect(wrong.stderr()).toMatch(/sealed under/);
    expect(await none.ended).toMatchObject({ code: 1 });
    expect(none.stderr()).toMatch(
      /There is no key to open the sealed credentials with: PARASOL_KEK is not set/,
    );
    expect(await rows(db)).toEqual(before);
    expect(await readdir(data.path)).toEqual([]);
  });
});

describe('two services that start at once on an empty database', () => {
  test('migrate it once, share the tenants, and run each exactly as often as it was asked for', async () => {
    await using db = await database(createEmptyDatabase);
    await using first = await folder();
    await using second = await folder();
    await using vendors = await simulator();
    const ids = seedMany(vendors.world, 12);
    // A call takes long enough that neither service can do it all before the other looks.
    vendors.world.addFault({ effect: { kind: 'latency', ms: 30 } });
    const env = { PARASOL_LOG_LEVEL: 'debug', PARASOL_CONCURRENCY: '2' };
    const [one, two] = await Promise.all([
      startService({ databaseUrl: db.url, data: first.path, env }),
      startService({ databaseUrl: db.url, data: second.path, env }),
    ]);
    await using _one = one;
    await using _two = two;
    const tenants = ids.map((id) => tenantOf(vendors, id));
    await one.client.apply(tenants, false);
    for (const id of ids) await statusWhen(two, id, 'ready', ({ ready }) => ready === 'True');

    const runs = await db.query<{ id: string; runs: number }>(
      'select tenant_id as id, count(*)::int as runs from runs group by 1 order by 1',
    );
    expect(runs).toEqual(ids.map((id) => ({ id, runs: 1 })));
    const ran = (service: Service) =>
      service.lines().filter((line) => line['part'] === 'loop' && 'outcome' in line).length;
    await until('every run was told by one of them', () => ran(one) + ran(two) === ids.length);
    expect(ran(one)).toBeGreaterThan(0);
    expect(ran(two)).toBeGreaterThan(0);
    const ends = await Promise.all([one.stop(), two.stop()]);
    expect(ends.map(({ code }) => code)).toEqual([0, 0]);
  });
});

/** A service with one tenant, whose run is held by ConnectWise. */
async function heldRun(drain: string) {
  const resources = new AsyncDisposableStack();
  try {
    const db = resources.use(await database());
    const data = resources.use(await folder());
    const vendors = resources.use(await simulator());
    seedScenario(vendors.world, 'acme', 'healthy');
    const service = resources.use(
      await startService({ databaseUrl: db.url, data: data.path, env: { PARASOL_DRAIN: drain } }),
    );
    vendors.world.addFault({
      when: { operation: '/system/mySecurity', actor: 'parasol' },
      effect: { kind: 'hangBefore' },
    });
    await service.client.apply([tenantOf(vendors, 'acme')], false);
    expect(await vendors.world.waitForHang()).toMatchObject({ company: 'acme' });
    return { db, vendors, service, [Symbol.asyncDispose]: () => resources.disposeAsync() };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

const claims = (db: Database) =>
  db.query<{ owner: string | null; due: boolean; runs: number }>(
    `select claim_owner as owner, next_run_at <= now() as due,
            (select count(*)::int from runs where tenant_id = tenants.id) as runs
       from tenants`,
  );

describe('a service that is asked to end', () => {
  test('answers probes until the run under way has ended and was recorded, and then ends', async () => {
    await using held = await heldRun('1h');
    const { db, service, vendors } = held;
    service.signal('SIGTERM');
    await until('it says that it drains', () => service.lines().some(({ msg }) => msg === 'draining'));
    expect((await service.get('/healthz')).status).toBe(200);
    // Nobody sends work any more to a service that takes none.
    const ready = await service.get('/readyz');
    expect(ready.status).toBe(503);
    expect(JSON.parse(ready.text)).toMatchObject({
      parts: [
        { part: 'database', ok: true },
        { part: 'migrations', ok: true },
        { part: 'loop', ok: false },
      ],
    });
    expect(service.running()).toBe(true);

    vendors.world.clearFaults();
    vendors.world.releaseHangs();
    expect(await service.ended).toEqual({ code: 0, signal: null });
    expect(await claims(db)).toEqual([{ owner: null, due: false, runs: 1 }]);
    expect(service.lines().at(-1)).toMatchObject({ msg: 'ended' });
  });

  test('does not wait for ever: at its deadline it gives the tenant back, due at once', async () => {
    await using held = await heldRun('200ms');
    const { db, service } = held;
    expect(await service.stop()).toEqual({ code: 0, signal: null });
    expect(await claims(db)).toEqual([{ owner: null, due: true, runs: 0 }]);
    expect(service.stderr()).toBe('');
  });

  test('ends at once where it is asked twice', async () => {
    await using held = await heldRun('1h');
    const { service } = held;
    service.signal('SIGTERM');
    await until('it says that it drains', () => service.lines().some(({ msg }) => msg === 'draining'));
    service.signal('SIGTERM');
    expect(await service.ended).toMatchObject({ signal: null, code: 1 });
  });
});

describe('a database that cannot be reached for a while', () => {
  test('is survived where connections break', async () => {
    await expect(surviveWithoutDatabase('cut')).resolves.toBe('survived');
  });
});
