import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { seedScenario } from '../../src/simulator/index.ts';
import { surviveWithoutDatabase } from './database-trouble.ts';
import {
  expectNothingLeft,
  folder,
  launchService,
  processesIn,
  reconciled,
  run,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  verdict,
  type ServiceOptions,
} from './harness.ts';

expectNothingLeft();

/** As a first user starts it: its own database, its own key, its own token. */
const onItsOwn = (data: string): ServiceOptions => ({ databaseUrl: null, data, kek: null, token: null });

const serverOf = async (data: string): Promise<string> =>
  (await readFile(join(data, 'postgres/cluster/postmaster.pid'), 'utf8')).split('\n')[0] ?? '';

describe('a service with a database of its own', () => {
  test('that is killed is started again on the same server, with the same token and keys that open', async () => {
    await using data = await folder();
    await using vendors = await simulator();
    seedScenario(vendors.world, 'acme', 'healthy');
    await using first = await startService(onItsOwn(data.path));
    await first.client.apply([tenantOf(vendors, 'acme')], false);
    await statusWhen(first, 'acme', 'ready', ({ ready }) => ready === 'True');
    for (const file of ['admin-token', 'kek']) {
      expect((await stat(join(data.path, file))).mode & 0o777).toBe(0o600);
    }
    const said = () => first.lines().filter(({ msg }) => /Back it up/.test(msg ?? ''));
    expect(said()).toHaveLength(1);
    expect(first.lines()).toContainEqual(expect.objectContaining({ file: join(data.path, 'admin-token') }));
    const server = await serverOf(data.path);
    await first.kill();
    expect(await processesIn(data.path)).toContain(Number(server));

    await using again = await startService(onItsOwn(data.path));
    expect(await serverOf(data.path)).toBe(server);
    expect(again.token).toBe(first.token);
    expect(again.lines().filter(({ msg }) => /Back it up/.test(msg ?? ''))).toEqual([]);
    const status = await reconciled(again, 'acme');
    expect(status).toMatchObject({ ready: 'True', lastRun: { outcome: 'succeeded' } });
    expect(verdict(status, 'ManagementKeyValid')).toBe('True Valid');
    // As a person on this machine: the command line finds the token's file.
    const env = { PARASOL_URL: again.url, PARASOL_DATA: data.path };
    expect(await run(['get'], { env })).toMatchObject({ code: 0 });

    expect(await again.stop()).toEqual({ code: 0, signal: null });
    expect(await processesIn(data.path)).toEqual([]);
    const kek = (await readFile(join(data.path, 'kek'), 'utf8')).trim();
    for (const service of [first, again]) {
      const log = service.stdout() + service.stderr();
      expect(log).not.toContain(service.token);
      expect(log).not.toContain(kek);
    }
  });

  test.each(['while initdb runs', 'while the server starts', 'while it migrates'] as const)(
    'that is asked to end %s ends, and leaves no server behind',
    async (when) => {
      await using data = await folder();
      await using starting = launchService(onItsOwn(data.path));
      const there = async (place: string, name: RegExp) =>
        (await readdir(join(data.path, place)).catch(() => [])).some((entry) => name.test(entry));
      await until(when, () =>
        when === 'while initdb runs'
          ? there('postgres', /^cluster\.\d+$/)
          : when === 'while the server starts'
            ? there('postgres/cluster', /^postmaster\.pid$/)
            : there('.', /^kek$/),
      );
      starting.signal('SIGTERM');
      await starting.ended;
      expect(await processesIn(data.path)).toEqual([]);
    },
  );
});

describe('a network that swallows everything between service and database', () => {
  test('is survived', async () => {
    await expect(surviveWithoutDatabase('freeze')).resolves.toBe('survived');
  });
});
