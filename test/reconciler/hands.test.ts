import { describe, expect, it } from 'vitest';
import { scene, useStore } from './harness.ts';

useStore();

const HOUR = 60 * 60_000;

describe('a tenant whose role was never made', () => {
  it('is brought from nothing to ready: each step waits for what it rests on, each hand-off ends by evidence', async () => {
    const acme = await (await scene('role-missing')).apply();

    await acme.reconcile();
    expect(acme.writes()).toEqual(['POST /system/securityroles']);
    expect(await acme.verdict('RoleReady')).toBe('False LevelsMissing');
    const levels = await acme.handoff('grant-role-levels');
    expect(levels.content.cells).toHaveLength(10);

    acme.world.setProcedureLevels('acme', 'Umbrella');
    await acme.later();
    expect(acme.writes().slice(1)).toEqual(['POST /system/apiMembers']);
    expect(await acme.verdict('RoleReady')).toBe('True LevelsExact');
    expect(await acme.verdict('MembersReady')).toBe('True AsSpecified');
    expect((await acme.allHandoffs()).find(({ id }) => id === levels.id)).toMatchObject({
      state: 'closed',
      evidence: expect.stringContaining('exactly as specified'),
    });

    const issue = await acme.handoff('issue-integration-key');
    const made = acme.world.makeKey('acme', 'umbrella-a', 'Umbrella, by Parasol');
    await acme.submit(made, { handoffId: issue.id });
    await acme.reconcile();
    // The allow list is only seen with the new key, and is not set yet: the pair is kept.
    expect(await acme.fingerprints('candidate')).toHaveLength(1);
    await acme.handoff('allow-table-setup');

    acme.world.setAllowList('acme', 'Umbrella');
    await acme.later();
    expect(await acme.fingerprints('active')).toHaveLength(1);
    expect(await acme.verdict('TableSetupReady')).toBe('True AllowListExact');
    expect(await acme.verdict('IntegrationKeyValid')).toBe('True Valid');
    const install = await acme.handoff('install-integration-key');
    expect(install.subject).toBe((await acme.fingerprints('active'))[0]);

    acme.world.installKey('acme', made);
    acme.clock.advance(HOUR);
    acme.world.runSync('acme');
    await acme.later();
    expect(await acme.verdict('UmbrellaIntegrated')).toBe('True Writing');
    expect(await acme.liveHandoffs()).toEqual([]);

    await acme.later();
    expect((await acme.record()).status?.plan.steps).toEqual([]);
    expect(acme.writes()).toHaveLength(2);
  });
});
