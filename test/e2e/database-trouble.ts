import { expect } from 'vitest';
import { seedScenario } from '../../src/simulator/index.ts';
import {
  database,
  folder,
  isSettled,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  until,
  verdict,
  type Service,
} from './harness.ts';
import { network } from '../support/network.ts';

interface Part {
  part: string;
  ok: boolean;
}

/** The parts of the service that do not work now, as its probe tells. */
async function notReady(service: Service): Promise<string[]> {
  const { status, text } = await service.get('/readyz');
  const { parts } = JSON.parse(text) as { parts: Part[] };
  const failing = parts.filter(({ ok }) => !ok).map(({ part }) => part);
  expect(status).toBe(failing.length === 0 ? 200 : 503);
  return failing;
}

/**
 * A service whose database goes away in the middle of a run: it stays alive, says that it is not ready and why,
 * loses nothing, and does what was asked for meanwhile when the database is back.
 */
export async function surviveWithoutDatabase(trouble: 'cut' | 'freeze'): Promise<'survived'> {
  await using db = await database();
  await using data = await folder();
  await using vendors = await simulator();
  await using link = await network(db.url);
  seedScenario(vendors.world, 'acme', 'healthy');
  seedScenario(vendors.world, 'birch', 'level-missing');
  await using service = await startService({ databaseUrl: link.url, data: data.path });
  await service.client.apply([tenantOf(vendors, 'acme'), tenantOf(vendors, 'birch')], false);
  await statusWhen(service, 'acme', 'ready', ({ ready }) => ready === 'True');
  await statusWhen(service, 'birch', 'observed', isSettled);
  const earlier = await service.client.handoffs({ live: true });
  expect(earlier).toHaveLength(1);
  expect(await notReady(service)).toEqual([]);

  vendors.world.addFault({
    when: { company: 'birch', operation: '/system/mySecurity', actor: 'parasol' },
    effect: { kind: 'hangBefore' },
  });
  await service.client.reconcile('birch', 'under way');
  expect(await vendors.world.waitForHang()).toMatchObject({ company: 'birch' });
  link[trouble]();
  vendors.world.clearFaults();
  vendors.world.releaseHangs();
  // Asked for meanwhile, by somebody who reaches the database.
  await db.query(
    `update tenants set trigger_seq = trigger_seq + 1, trigger_cause = 'meanwhile', next_run_at = now()
      where id = 'acme'`,
  );

  await until('the database is told as missing', async () => (await notReady(service)).includes('database'));
  await until('the loop is told as standing', async () => (await notReady(service)).includes('loop'));
  expect((await service.get('/healthz')).status).toBe(200);

  link.restore();
  await until('it is ready again', async () => (await notReady(service)).length === 0);
  const acme = await statusWhen(service, 'acme', 'what was asked for meanwhile is done', isSettled);
  expect(acme.lastRun).toMatchObject({ trigger: 'meanwhile', outcome: 'succeeded' });
  // Time passes: the lease of a run that could not be recorded runs out.
  await db.query(`update tenants set next_run_at = now() where id = 'birch'`);
  const birch = await statusWhen(service, 'birch', 'what was under way is done', isSettled);
  expect(verdict(birch, 'RoleReady')).toBe('False LevelsMissing');
  expect(await service.client.handoffs({ live: true })).toEqual(earlier);
  expect(await service.stop()).toMatchObject({ code: 0 });
  return 'survived';
}
