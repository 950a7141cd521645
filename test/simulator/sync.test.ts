import { describe, expect, test } from 'vitest';
import { start, START, type Harness } from './harness.ts';

const OURS = '/company/configurations?pageSize=100&conditions=type/name="Cisco Umbrella"';

interface Configuration {
  name: string;
  questions: Array<{ question: string; answer: string }>;
  _info: { lastUpdated: string; updatedBy: string; enteredBy: string };
}

async function newest(harness: Harness): Promise<Configuration | undefined> {
  return (await harness.rows<Configuration>(`${OURS}&orderBy=_info/lastUpdated desc`))[0];
}

describe("Umbrella's daily sync", () => {
  test('refreshes one configuration per mapped customer, as the member of the installed key', async () => {
    const harness = await start('healthy', { customers: 4, unmapped: 1 });
    harness.world.advanceClock(1_000);
    expect(harness.world.runSync('acme')).toMatchObject({ outcome: 'succeeded', created: 0, refreshed: 3 });
    const rows = await harness.rows<Configuration>(OURS);
    expect(rows.map((row) => [row._info.lastUpdated, row._info.updatedBy])).toEqual(
      Array.from({ length: 3 }, () => ['2026-11-24T08:00:01Z', 'umbrella-a']),
    );
    expect(rows[0]?.questions.map((one) => one.question)).toEqual([
      'Umbrella Organization ID',
      'Seats',
      'Active Identities',
    ]);
  });

  test('begins from nothing: type, questions and configurations', async () => {
    const harness = await start('member-missing', { customers: 3 });
    const { world } = harness;
    world.setConsoleOptions('acme', { configurationType: 'Umbrella "Security"' });
    expect(world.runSync('acme').outcome).toBe('not-installed');
    world.createMember('acme', { identifier: 'umbrella-b', role: 'Umbrella' });
    world.installKey('acme', world.makeKey('acme', 'umbrella-b'));
    expect(world.runSync('acme')).toMatchObject({ outcome: 'succeeded', created: 3, refreshed: 0 });
    expect(world.runSync('acme')).toMatchObject({ outcome: 'succeeded', created: 0, refreshed: 3 });
    const written = (await harness.rows<Configuration>('/company/configurations')).filter(
      (row) => row._info.enteredBy === 'umbrella-b',
    );
    expect(written).toHaveLength(3);
  });

  test.each([
    ['level-missing', '403 PATCH /company/configurations/500'],
    ['member-inactive', '401 GET /company/configurations/types'],
    ['member-wrong-role', '403 GET /company/configurations/types'],
    ['key-dead', '401 GET /company/configurations/types'],
    ['umbrella-silent', '401 GET /company/configurations/types'],
  ] as const)('writes nothing when %s', async (trouble, error) => {
    const harness = await start(trouble);
    const before = await newest(harness);
    harness.world.advanceClock(1_000);
    expect(harness.world.runSync('acme')).toMatchObject({ outcome: 'failed', refreshed: 0, error });
    expect(await newest(harness)).toEqual(before);
    expect(harness.world.viewCompany('acme').console?.syncs).toHaveLength(1);
  });

  test('a short allow list stops it when the item is missing that it needs', async () => {
    const harness = await start();
    harness.world.setAllowList('acme', 'Umbrella', ['Service / Priority']);
    expect(harness.world.runSync('acme').outcome).toBe('failed');
  });

  test('an unchanged refresh may leave lastUpdated where it was, a changed one moves it', async () => {
    const harness = await start('healthy', { customers: 2 });
    const { world } = harness;
    world.runSync('acme');
    world.setCompanyOptions('acme', { unchangedPatchKeepsLastUpdated: true });
    world.advanceClock(60_000);
    world.runSync('acme');
    expect((await newest(harness))?._info.lastUpdated).toBe(START);
    world.changeFigures('acme', 'Bluebird Legal');
    world.runSync('acme');
    expect(await newest(harness)).toMatchObject({
      name: 'Bluebird Legal',
      _info: { lastUpdated: '2026-11-24T08:01:00Z' },
    });
  });

  test("a technician's edit hides who wrote before", async () => {
    const harness = await start();
    harness.world.touchConfiguration('acme', 'Northwind Dental');
    expect(await newest(harness)).toMatchObject({ name: 'Northwind Dental', _info: { updatedBy: 'jdoe' } });
  });

  test('customers are mapped and unmapped by hand; an unknown company is skipped', async () => {
    const harness = await start('healthy', { customers: 3 });
    const { world } = harness;
    world.unmapCustomer('acme', 'Northwind Dental');
    world.mapCustomer('acme', 'Bluebird Legal', 'NoSuchCompany');
    expect(world.runSync('acme')).toMatchObject({ refreshed: 1, skipped: 1 });
  });

  test('is in no journal and uses up no quota', async () => {
    const { world } = await start('healthy', { customers: 20 });
    for (let i = 0; i < 30; i += 1) world.runSync('acme');
    expect(world.journal.counts().total).toBe(0);
    expect(world.runSync('acme').outcome).toBe('succeeded');
  });

  test('runs in every console', async () => {
    const { world } = await start('key-dead');
    expect(world.runAllSyncs()).toEqual({ succeeded: 0, failed: 1 });
  });
});
