import { expect, test } from 'vitest';
import { seedScenario } from '../../src/simulator/index.ts';
import { copyDatabase } from '../support/postgres.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  reconciled,
  run,
  simulator,
  startService,
  statusWhen,
  tenantOf,
  verdict,
} from './harness.ts';

expectNothingLeft();

test('a database that is older than what was done since changes nothing in a tenant until its key was seen in use, or a person said so', async () => {
  await using db = await database();
  await using data = await folder();
  await using vendors = await simulator();
  const { world } = vendors;
  const wishes = { members: { adopt: true, dedicated: true } };
  for (const id of ['acme', 'beta']) seedScenario(world, id, 'healthy');
  await using first = await startService({ databaseUrl: db.url, data: data.path });
  await first.client.apply(
    ['acme', 'beta'].map((id) => tenantOf(vendors, id, wishes)),
    false,
  );
  for (const id of ['acme', 'beta']) {
    const status = await statusWhen(first, id, 'it was looked at', isSettled);
    expect(status).toMatchObject({ ready: 'True' });
  }
  await first.stop();
  await using older = await database(() => copyDatabase(db.url));

  // Since the backup acme went on to its other member, and that one was retired.
  world.deactivateMember('acme', 'umbrella-a');
  const { length: before } = world.journal.query({});
  await using service = await startService({ databaseUrl: older.url, data: data.path });
  expect(service.lines().map(({ event }) => event)).toContain('DatabaseRestored');
  const held = await reconciled(service, 'acme');
  expect(verdict(held, 'Braked')).toBe('True FleetBraked');
  const { plan } = await service.client.plan('acme');
  expect(plan.steps.length).toBeGreaterThan(0);
  expect([...new Set(plan.steps.map(({ state }) => state))]).toEqual(['held']);
  expect(await reconciled(service, 'beta')).toMatchObject({ ready: 'True' });
  expect(verdict(await service.client.status('beta'), 'Braked')).toMatch(/^False/);
  const writes = () =>
    world.journal
      .query({ actor: 'parasol' })
      .slice(before)
      .filter(({ method, operation }) => method !== 'GET' && operation?.includes('token') !== true);
  expect(writes()).toEqual([]);

  const told = await run(['brake'], { env: service.cli });
  expect(told.stdout).toContain('its active key was not seen in use since the database was restored');
  const [brake] = await service.client.brakes();
  expect(brake).toMatchObject({ state: 'on', held: ['acme'] });
  await service.client.releaseBrake(brake!.id, {
    by: 'Jo',
    reason: 'umbrella-a is to be used again',
    withoutCanary: true,
  });
  await statusWhen(service, 'acme', 'a person let it go', (status) =>
    verdict(status, 'Braked').startsWith('False'),
  );
  expect(writes().map(({ method, operation }) => `${method} ${operation}`)).toEqual([
    'PATCH /system/apiMembers/{id}',
  ]);
  expect(await service.stop()).toMatchObject({ code: 0 });
});
