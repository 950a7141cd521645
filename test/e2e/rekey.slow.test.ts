import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { scenarioSecrets, seedScenario } from '../../src/simulator/index.ts';
import { createStore } from '../../src/store/index.ts';
import { checkVault, createVault, parseKek, type Kek } from '../../src/vault/index.ts';
import { given } from '../store/fixtures.ts';
import {
  database,
  expectNothingLeft,
  folder,
  KEK,
  launchService,
  reconciled,
  run,
  simulator,
  startProgram,
  startService,
  statusWhen,
  tenantOf,
  until,
  type Database,
} from './harness.ts';
import { network } from '../support/network.ts';

expectNothingLeft();

const kekOf = (text: string): Kek => {
  const parsed = parseKek(text);
  if (!parsed.ok) throw parsed.error;
  return parsed.value;
};
const fresh = () => randomBytes(32).toString('base64');

/** A key in every spelling in which it might be told. */
const spellings = (text: string): string[] =>
  (['hex', 'base64', 'base64url'] as const).flatMap((spelling) => {
    const key = Buffer.from(kekOf(text).key);
    return [key.toString(spelling), key.toString(spelling).toUpperCase()];
  });

describe('a key that Parasol made itself', () => {
  test('is changed where no service runs, and the next start goes on as if nothing had happened', async () => {
    await using data = await folder();
    await using vendors = await simulator();
    seedScenario(vendors.world, 'acme', 'healthy');
    const env = { PARASOL_DATA: data.path };
    const said: string[] = [];
    const vault = async (...args: string[]) => {
      const ran = await run([...args], { env });
      said.push(ran.stdout, ran.stderr);
      return ran;
    };
    // Whoever only looks makes no database.
    expect(await vault('vault', 'rekey')).toMatchObject({ code: 4 });
    expect(await vault('vault')).toMatchObject({ code: 4 });
    expect(await readdir(data.path)).toEqual([]);

    const options = { databaseUrl: null, data: data.path, kek: null };
    {
      await using service = await startService(options);
      await service.client.apply([tenantOf(vendors, 'acme')], false);
      await statusWhen(service, 'acme', 'ready', ({ ready }) => ready === 'True');
      const refused = await vault('vault', 'rekey');
      expect(refused).toMatchObject({ code: 4, stdout: '' });
      expect(refused.stderr.replaceAll(/\s+/g, ' ')).toMatch(
        /The database is in use \(parasol from .*\): stop every service first\. Nothing was changed\./,
      );
      expect((await vault('vault')).stdout).toMatch(/[0-9a-f]{16} +\S+ +\d{4}-\d\d-\d\d +in use +4\n/);
      const metrics = await service.get('/metrics');
      expect(metrics.text).toMatch(/^parasol_kek_age_seconds\{kid="[0-9a-f]{16}"\} \d/m);
      expect(await service.stop()).toMatchObject({ code: 0 });
    }
    const old = (await readFile(join(data.path, 'kek'), 'utf8')).trim();
    const changed = await vault('vault', 'rekey');
    expect(changed).toMatchObject({ code: 0 });
    expect(changed.stdout).toContain('4 pairs are sealed under the key');
    const made = (await readFile(join(data.path, 'kek'), 'utf8')).trim();
    expect(made).not.toBe(old);
    expect((await readFile(join(data.path, `kek.${kekOf(old).id}`), 'utf8')).trim()).toBe(old);
    expect(await readdir(data.path)).not.toContain('kek.new');

    await using service = await startService(options);
    const status = await reconciled(service, 'acme');
    expect(status.ready).toBe('True');
    expect(status.keys.filter(({ state }) => state === 'active')).toHaveLength(4);
    const shown = await vault('vault');
    expect(shown.stdout).toMatch(new RegExp(`${kekOf(old).id} .* retired on .* 0\n`));
    expect(shown.stdout).toMatch(new RegExp(`${kekOf(made).id} .* in use +4\n`));
    said.push(service.stdout(), service.stderr());
    expect(await service.stop()).toMatchObject({ code: 0 });

    await using wrong = launchService({ ...options, kek: old });
    expect(await wrong.ended).toMatchObject({ code: 1 });
    expect(wrong.stderr().replaceAll(/\s+/g, ' ')).toContain(`the key ${kekOf(old).id} was retired on`);

    said.push(wrong.stdout(), wrong.stderr());
    const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets('acme');
    const secrets = [
      ...spellings(old),
      ...spellings(made),
      managementKey.privateKey,
      integrationKey.privateKey,
      umbrellaApiKey.secret,
      umbrellaKeyAdmin.secret,
    ];
    for (const secret of secrets) expect(said.join('\n')).not.toContain(secret);
  });
});

const PAIRS = 6_000;
const idOf = (at: number) => `0190-${String(at).padStart(6, '0')}`;
const privateOf = (id: string) => `PRIVATE-SENTINEL-${id}`;
const boundOf = (credentialId: string) =>
  ({
    tenantId: 'acme',
    credentialId,
    purpose: 'integration',
    origin: 'https://na.myconnectwise.net',
  }) as const;

/** A database as a service with this key has left it after years. */
async function filled(db: Database, key: Kek): Promise<void> {
  const store = createStore(db.url);
  try {
    await given(store, 'acme');
    expect(await checkVault(key, store.keyring)).toMatchObject({ ok: true });
  } finally {
    await store.close();
  }
  const vault = createVault(key);
  const ids = Array.from({ length: PAIRS }, (_, index) => idOf(index));
  const sealed = await Promise.all(
    ids.map((id) => vault.seal({ publicHalf: id, privateHalf: new Secret(privateOf(id)) }, boundOf(id))),
  );
  await db.query(
    `insert into credentials (id, tenant_id, purpose, state, fingerprint, origin, sealed, state_because)
     select id, 'acme', 'integration', 'superseded', id, 'https://na.myconnectwise.net', sealed, ''
       from unnest($1::text[], $2::text[]) as t (id, sealed)`,
    [ids, sealed],
  );
}

/** Holds a row, so that whoever writes it waits in the middle of its work; lets go when the test has seen enough. */
async function stoppedAt<T>(
  db: Database,
  statement: string,
  use: (stopped: () => Promise<boolean>) => Promise<T>,
): Promise<T> {
  const holder = await db.pool.connect();
  try {
    await holder.query('begin');
    await holder.query(statement);
    return await use(async () => {
      const [row] = await db.query<{ waits: number }>(
        `select count(*)::int as waits from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`,
      );
      return row!.waits > 0;
    });
  } finally {
    await holder.query('rollback');
    holder.release();
    await until('what waited is over', async () => {
      const [row] = await db.query<{ busy: number }>(
        `select count(*)::int as busy from pg_stat_activity
          where datname = current_database() and application_name like 'parasol%'`,
      );
      return row!.busy === 0;
    });
  }
}

/** How many pairs each key opens, to what was sealed. */
async function opened(db: Database, keys: readonly Kek[]): Promise<number[]> {
  const rows = await db.query<{ id: string; sealed: string }>('select id, sealed from credentials');
  return Promise.all(
    keys.map(async (key) => {
      const vault = createVault(key);
      const pairs = await Promise.all(
        rows.map(({ id, sealed }) => vault.open(sealed, boundOf(id)).catch(() => null)),
      );
      return rows.filter(({ id }, index) => pairs[index]?.privateHalf.reveal() === privateOf(id)).length;
    }),
  );
}

describe('a change of key that is killed', () => {
  test('again and again, loses no pair, lets no service start, and ends when it is run once more', async () => {
    await using db = await database();
    await using data = await folder();
    const [old, next] = [KEK, fresh()];
    const keys = [kekOf(old), kekOf(next)] as const;
    await filled(db, keys[0]);
    await writeFile(join(data.path, 'next'), `${next}\n`, { mode: 0o600 });
    const env = { DATABASE_URL: db.url, PARASOL_DATA: data.path, PARASOL_KEK: old };
    const args = ['vault', 'rekey', '--new-kek-file', join(data.path, 'next')];
    const said: string[] = [];

    const split: number[][] = [];
    for (const held of [
      `select from vault_checks where kid = '${keys[0].id}'`,
      ...[0, 1_300, 4_100, PAIRS - 1].map((at) => `select from credentials where id = '${idOf(at)}'`),
    ]) {
      split.push(
        await stoppedAt(db, `${held} for update`, async (stopped) => {
          await using changing = startProgram(args, { env });
          await until('it waits for the row', async () => (await stopped()) || !changing.running());
          expect([changing.running(), changing.stderr()]).toEqual([true, expect.any(String)]);
          await changing.kill();
          said.push(changing.stdout(), changing.stderr());
          return opened(db, keys);
        }),
      );
    }
    for (const [before = 0, after = 0] of split) expect(before + after).toBe(PAIRS);
    expect(split.map(([, after]) => after)).toEqual([0, 0, 1_250, 4_000, 5_750]);
    // What was sent before the death was committed after it: an answer that nobody heard.
    expect(await opened(db, keys)).toEqual([0, PAIRS]);

    for (const kek of [old, next]) {
      await using service = launchService({ databaseUrl: db.url, data: data.path, kek });
      expect(await service.ended).toMatchObject({ code: 1 });
      const words = service.stderr().replaceAll(/\s+/g, ' ');
      expect(words).toContain('The key-encryption key is being changed');
      expect(words).toContain('run `parasol vault rekey` again');
      said.push(service.stdout(), service.stderr());
    }
    const status = await run(['vault'], { env });
    expect(status.stdout.replaceAll(/\s+/g, ' ')).toContain('no service starts until that has ended');

    const third = await run(['vault', 'rekey'], { env: { ...env, PARASOL_NEW_KEK: fresh() } });
    expect(third).toMatchObject({ code: 4, stdout: '' });
    expect(third.stderr.replaceAll(/\s+/g, ' ')).toContain('give those two. Nothing was changed.');

    const ended = await run(args, { env });
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stdout.replaceAll(/\s+/g, ' ')).toContain(
      `${PAIRS} pairs are sealed under the key ${keys[1].id} now`,
    );
    expect(await opened(db, keys)).toEqual([0, PAIRS]);
    await using service = await startService({ databaseUrl: db.url, data: data.path, kek: next });
    expect((await service.get('/readyz')).status).toBe(200);
    said.push(status.stdout, third.stderr, ended.stdout, ended.stderr, service.stdout());
    expect(await service.stop()).toMatchObject({ code: 0 });
    for (const secret of [...spellings(old), ...spellings(next), 'PRIVATE-SENTINEL']) {
      expect(said.join('\n')).not.toContain(secret);
    }
    // The search would have found it.
    expect(`${said.join('\n')}${privateOf('x')}`).toContain('PRIVATE-SENTINEL');
  });

  test('what is missing is said, and nothing is changed', async () => {
    await using db = await database();
    await using data = await folder();
    await filled(db, kekOf(KEK));
    const env = { DATABASE_URL: db.url, PARASOL_DATA: data.path };
    for (const [given, expected] of [
      [{}, /There is no key to open the sealed credentials with/],
      [{ PARASOL_KEK: KEK }, /There is no new key: give one as PARASOL_NEW_KEK/],
      [{ PARASOL_KEK: KEK, PARASOL_NEW_KEK: 'hunter2' }, /PARASOL_NEW_KEK/],
      [{ PARASOL_KEK: KEK, PARASOL_NEW_KEK: KEK }, /The new key is the one in use/],
      [{ PARASOL_KEK: fresh(), PARASOL_NEW_KEK: fresh() }, /This is not the key that the credentials/],
    ] as const) {
      const ran = await run(['vault', 'rekey'], { env: { ...env, ...given } });
      expect(ran).toMatchObject({ code: 4, stdout: '' });
      expect(ran.stderr.replaceAll(/\s+/g, ' ')).toMatch(expected);
      expect(ran.stderr).not.toContain('hunter2');
    }
    expect(await opened(db, [kekOf(KEK)])).toEqual([PAIRS]);
    expect(await readdir(data.path)).toEqual([]);
  });
});

describe('a service that could not reach the database while the key was changed', () => {
  test('ends as soon as it can again, and says why', async () => {
    await using db = await database();
    await using data = await folder();
    await using line = await network(db.url);
    await using service = await startService({ databaseUrl: line.url, data: data.path });
    line.cut();
    const env = { DATABASE_URL: db.url, PARASOL_DATA: data.path, PARASOL_KEK: KEK, PARASOL_NEW_KEK: fresh() };
    await until('the database has noticed', async () => {
      const [row] = await db.query<{ held: number }>(
        `select count(*)::int as held from pg_locks
          where locktype = 'advisory' and database = (select oid from pg_database where datname = current_database())`,
      );
      return row?.held === 0;
    });
    expect(await run(['vault', 'rekey'], { env })).toMatchObject({ code: 0 });
    expect(service.running()).toBe(true);
    line.restore();
    expect(await service.ended).toEqual({ code: 1, signal: null });
    const last = service.lines().find(({ level }) => level === 60);
    expect(last?.msg).toContain('This is not the key that the credentials in the database are sealed under');
    expect(service.lines().at(-1)?.msg).toBe('ended');
  });
});
