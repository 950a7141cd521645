import { describe, expect, it, test } from 'vitest';
import type { FactName } from '../../src/domain/observation.ts';
import { scene, useStore, type Scene } from './harness.ts';

/**
 * While nothing is wrong, most looks by the calendar are brief ones: members, and the key that Umbrella holds. Everything
 * else is seen at every third or eighth look, and as soon as anything is wrong or somebody asks.
 */
useStore();

const PERIOD = 15 * 60_000;
/** After so many looks, each part was left out as often as it ever is, and each token expired. */
const ROUND = 24;

const BRIEF = ['GET /system/apiMembers', 'GET /system/mySecurity', 'GET /system/mySecurity/customizeItems/'];

async function healthy(...options: Parameters<typeof scene> extends [unknown, ...infer Rest] ? Rest : never) {
  const acme = await (await scene('healthy', ...options)).apply();
  await acme.reconcile();
  expect((await acme.told()).ready).toBe('True');
  return acme;
}

/** What the next look by the calendar asks the vendors. */
async function asksNext(acme: Scene): Promise<string[]> {
  const { seq } = acme.world.journal.query().at(-1)!;
  await acme.byCalendar();
  return acme.calls(seq);
}

describe('a healthy tenant', () => {
  it('costs at most five calls a look, at most half of one to Umbrella, and no evidence is older than its part allows', async () => {
    const acme = await healthy();
    const { seq } = acme.world.journal.query().at(-1)!;
    const eldest = new Map<FactName, number>();
    for (let looks = 0; looks < ROUND; looks += 1) {
      // Umbrella writes each day; what it wrote is not to be stale at the end of this one.
      acme.world.changeFigures('acme');
      acme.world.runSync('acme');
      await acme.byCalendar();
      expect((await acme.told()).ready).toBe('True');
      const { candidates: _, ...facts } = (await acme.record()).status!.facts;
      for (const [name, { at }] of Object.entries(facts) as [FactName, { at: string }][]) {
        const cycles = (acme.clock.now().getTime() - Date.parse(at)) / PERIOD;
        eldest.set(name, Math.max(eldest.get(name) ?? 0, cycles));
      }
    }
    const calls = acme.results.slice(-ROUND).reduce((sum, { run }) => sum + run.reads, 0);
    expect(calls / ROUND).toBeLessThanOrEqual(5);
    expect(acme.world.journal.query({ since: seq, vendor: 'umbrella' }).length / ROUND).toBeLessThanOrEqual(
      0.5,
    );
    expect(acme.calls(seq)).toHaveLength(calls);
    expect(Object.fromEntries(eldest)).toEqual({
      site: 0,
      members: 0,
      integrationKey: 0,
      management: 2,
      roles: 2,
      roleLevels: 2,
      writes: 2,
      umbrellaAccess: 7,
      umbrellaKeyAdmin: 7,
      umbrellaKey: 7,
      umbrellaAdminKey: 7,
      customers: 7,
    });
  });

  it('is written once, however brief its looks: what each changes are times', async () => {
    const acme = await healthy();
    await acme.byCalendar();
    const stored = async () =>
      (
        await acme.store.pool.query<{ kept: object }>(
          'select to_jsonb(s) - $1::text[] as kept from statuses as s',
          [['observed_at', 'parts_at']],
        )
      ).rows;
    const before = await stored();
    const rows = await acme.rows();
    for (let looks = 0; looks < ROUND; looks += 1) await acme.byCalendar();
    expect(await stored()).toEqual(before);
    expect(await acme.rows()).toEqual({ ...rows, runs: rows['runs']! + ROUND });
  });

  it('is looked at as a whole when somebody asks', async () => {
    const acme = await healthy();
    expect(await asksNext(acme)).toEqual(BRIEF);
    const { seq } = acme.world.journal.query().at(-1)!;
    await acme.reconcile();
    expect(acme.calls(seq)).toHaveLength(9);
    expect(await asksNext(acme)).toEqual(BRIEF);
  });

  it('is looked at as a whole when its spec is another', async () => {
    const acme = await healthy();
    await acme.change({ labels: { team: 'north' } });
    const { seq } = acme.world.journal.query().at(-1)!;
    await acme.reconcile();
    expect(acme.calls(seq)).toHaveLength(9);
  });

  it('is seen again as a whole after it was not looked at for long', async () => {
    const acme = await healthy();
    const { seq } = acme.world.journal.query().at(-1)!;
    await acme.byCalendar(10 * PERIOD);
    expect(acme.calls(seq).length).toBeGreaterThanOrEqual(9);
    expect((await acme.told()).ready).toBe('True');
  });

  it('tells how old what it did not look at is', async () => {
    const acme = await healthy();
    await acme.byCalendar();
    await acme.byCalendar();
    const status = await acme.ask((commands) => commands.status('acme'));
    const message = (type: string) =>
      status.ok && status.value.conditions.find((one) => one.type === type)?.message;
    expect(message('RoleReady')).toMatch(/Every level .* 30m ago/);
    expect(message('MembersReady')).toMatch(/just now/);
    expect(message('UmbrellaKeyValid')).toMatch(/30m ago/);
  });
});

describe('what a brief look finds wrong', () => {
  it('is looked into by the same run, and repaired', async () => {
    const acme = await healthy({ spec: { connectwise: { members: { adopt: true, dedicated: true } } } });
    acme.world.deactivateMember('acme', 'umbrella-a');
    await acme.byCalendar();
    expect(acme.result.run).toMatchObject({ outcome: 'succeeded', writes: 1 });
    expect((await acme.told()).ready).toBe('True');
    expect(acme.umbrellaWorks()).toBe(true);
  });

  it('is told at once where the key that Umbrella holds is dead', async () => {
    const acme = await healthy({ spec: { mode: 'observe' } });
    acme.world.deleteKey('acme', acme.secrets.integrationKey.publicKey);
    await acme.byCalendar();
    expect((await acme.told()).not).toContain('IntegrationKeyValid False Refused');
  });

  it('is told at once where Parasol’s own key is dead', async () => {
    const acme = await healthy({ spec: { mode: 'observe' } });
    acme.world.deleteKey('acme', acme.secrets.managementKey.publicKey);
    await acme.byCalendar();
    expect((await acme.told()).not).toContain('ManagementKeyValid False Refused');
    expect((await acme.told()).not).not.toContain('ConnectWiseReachable False Unreachable');
  });

  it('is told at once where ConnectWise is down', async () => {
    const acme = await healthy();
    acme.world.addFault({ when: { vendor: 'connectwise' }, effect: { kind: 'status', status: 503 } });
    await acme.byCalendar();
    expect((await acme.told()).not).toEqual(['ConnectWiseReachable False Unreachable']);
    acme.world.clearFaults();
    await acme.byCalendar();
    expect((await acme.told()).ready).toBe('True');
  });
});

describe('what is not seen at each look', () => {
  test.each<[string, number, (acme: Scene) => void, string]>([
    [
      'a level that was taken away, which the key of the role shows',
      1,
      (acme) => acme.world.setLevels('acme', 'Umbrella', { 'Companies/Configurations': { edit: 'None' } }),
      'RoleReady False LevelsMissing',
    ],
    [
      'a right of Parasol’s own that was taken away',
      3,
      (acme) => acme.world.setLevels('acme', 'Parasol Management', { 'System/Members': { inquire: 'None' } }),
      'ManagementKeyValid False MissingRights',
    ],
    [
      'an Umbrella key that was deleted',
      8,
      (acme) => acme.world.deleteUmbrellaKey('acme', acme.secrets.umbrellaApiKey.key),
      'UmbrellaKeyValid False Refused',
    ],
  ])('%s is seen after %d looks at the latest', async (_, within, change, expected) => {
    const acme = await healthy({ spec: { mode: 'observe' } });
    await acme.byCalendar();
    change(acme);
    let looks = 0;
    while (looks < within && (await acme.told()).ready === 'True') {
      await acme.byCalendar();
      looks += 1;
    }
    expect((await acme.told()).not).toContain(expected);
    expect(looks).toBeLessThanOrEqual(within);
    // From now on it is looked at as a whole, until nothing is wrong.
    expect((await asksNext(acme)).length).toBeGreaterThan(BRIEF.length);
  });
});
