import { describe, expect, test } from 'vitest';
import {
  demoCompanies,
  scenarioSecrets,
  seedDemo,
  seedMany,
  seedScenario,
  startSimulator,
  TROUBLES,
  World,
  type Trouble,
} from '../../src/simulator/index.ts';
import { MANAGEMENT_LEVELS, PROCEDURE_LEVELS } from '../../src/simulator/connectwise/catalogue.ts';
import { start, START, type Harness } from './harness.ts';

const clock = () => new Date(START);

async function integrationStatus(harness: Harness): Promise<number> {
  const pair = harness.secrets.integrationKey;
  return (await harness.connectwise('/system/mySecurity', { pair })).status;
}

test('the demo has one company for each trouble and one to rotate, and all can be seeded into one world', () => {
  const world = new World({ clock });
  seedDemo(world);
  expect(demoCompanies.map((one) => one.trouble)).toEqual([...TROUBLES, 'healthy']);
  expect(demoCompanies.map((one) => one.companyId).join(' ')).toBe(
    'acme birch cedar dune ember fjord grove harbor iris juniper kestrel lagoon meadow',
  );
  expect(world.listCompanies()).toHaveLength(13);
  const outcomes = demoCompanies.map(({ companyId }) => [companyId, world.runSync(companyId).outcome]);
  expect(Object.fromEntries(outcomes)).toEqual({
    acme: 'succeeded',
    birch: 'not-installed',
    cedar: 'failed',
    dune: 'succeeded',
    ember: 'succeeded',
    fjord: 'not-installed',
    grove: 'failed',
    harbor: 'failed',
    iris: 'failed',
    juniper: 'succeeded',
    kestrel: 'succeeded',
    lagoon: 'failed',
    meadow: 'succeeded',
  });
});

test('secrets depend on the company and the purpose alone', () => {
  const values = (companyId: string) =>
    Object.values(scenarioSecrets(companyId)).flatMap((one) => Object.values(one));
  expect(values('acme')).toEqual(values('acme'));
  expect(new Set([...values('acme'), ...values('birch')]).size).toBe(16);
});

describe('every trouble', () => {
  test.each(TROUBLES)('%s leaves both Parasol keys working', async (trouble) => {
    const harness = await start(trouble);
    for (const path of [
      '/system/securityroles',
      '/system/apiMembers',
      '/system/members',
      '/system/locations',
      '/company/companies',
      '/company/configurations',
      '/company/configurations/types',
    ]) {
      expect((await harness.connectwise(path)).status).toBe(200);
    }
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    expect((await harness.umbrella('/admin/v2/managed/customers', bearer)).json<unknown[]>()).toHaveLength(5);
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    expect((await harness.umbrella('/admin/v2/apiKeys', admin)).status).toBe(200);
  });

  test.each<[Trouble, number]>([
    ['healthy', 200],
    ['role-missing', 401],
    ['level-missing', 200],
    ['level-excess', 200],
    ['allow-list-short', 200],
    ['member-missing', 401],
    ['member-inactive', 401],
    ['member-wrong-role', 200],
    ['key-dead', 401],
    ['key-of-another-member', 200],
    ['umbrella-key-expiring', 200],
    ['umbrella-silent', 200],
  ])('%s: the integration key answers %i', async (trouble, status) => {
    expect(await integrationStatus(await start(trouble))).toBe(status);
  });
});

describe('a healthy company', () => {
  test("has exactly Cisco's levels, and Parasol's management role exactly its own", async () => {
    const { world } = await start();
    const { roles } = world.viewCompany('acme');
    for (const [name, wanted] of [
      ['Umbrella', PROCEDURE_LEVELS],
      ['Parasol Management', MANAGEMENT_LEVELS],
    ] as const) {
      const { levels } = roles.find((role) => role.name === name) ?? { levels: {} };
      expect(Object.keys(levels).sort()).toEqual(Object.keys(wanted).sort());
      expect(levels).toMatchObject(wanted);
    }
  });

  test('was written today but for a few customers, on earlier days', async () => {
    const { world } = await start('healthy', { customers: 10 });
    const days = world
      .viewCompany('acme')
      .configurations.filter((one) => one.type.name === 'Cisco Umbrella')
      .map((one) => one._info.lastUpdated.slice(0, 10));
    expect(days).toEqual([
      ...Array.from({ length: 7 }, () => '2026-11-24'),
      '2026-11-23',
      '2026-11-22',
      '2026-11-21',
    ]);
  });
});

test('a silent Umbrella wrote three days ago, and on the days before', async () => {
  const { world } = await start('umbrella-silent', { customers: 6 });
  const ours = world.viewCompany('acme').configurations.filter((one) => one.type.name === 'Cisco Umbrella');
  const days = new Set(ours.map((one) => one._info.lastUpdated.slice(0, 10)));
  expect([...days]).toEqual(['2026-11-21', '2026-11-20', '2026-11-19', '2026-11-18']);
});

test("a key of another member is told by that key's own security", async () => {
  const harness = await start('key-of-another-member');
  const pair = harness.secrets.integrationKey;
  const [row] = await harness.rows('/system/mySecurity?pageSize=1', { pair });
  expect(row).toMatchObject({ member: { identifier: 'helpdesk-bot' } });
});

test('the key that expires does so in five days', async () => {
  const { world } = await start('umbrella-key-expiring');
  expect(world.listUmbrellaKeys('acme')[0]).toMatchObject({
    name: 'Parasol',
    expireAt: '2026-11-29T08:00:00Z',
  });
});

test('2,000 small companies are seeded in no time and apart from each other', () => {
  const world = new World({ clock });
  const ids = seedMany(world, 2_000);
  expect(new Set(ids.map((id) => world.console(id).organizationId)).size).toBe(2_000);
  expect(world.runAllSyncs()).toEqual({ succeeded: 2_000, failed: 0 });
});

test('a taken port is told, and leaves no server behind', async () => {
  const first = await startSimulator({ clock });
  const control = Number(new URL(first.controlUrl).port);
  await expect(startSimulator({ clock, ports: { control } })).rejects.toThrow('EADDRINUSE');
  await first.close();
  const second = await startSimulator({ clock, ports: { control } });
  seedScenario(second.world, 'acme', 'healthy');
  await second.close();
});
