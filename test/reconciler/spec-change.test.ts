import { describe, expect, it } from 'vitest';
import { scene, useStore } from './harness.ts';

useStore();

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** ConnectWise goes away. */
const outage = { when: { vendor: 'connectwise' as const }, effect: { kind: 'status' as const, status: 503 } };

describe('when the spec comes to speak of something else while ConnectWise is away', () => {
  it('what was read of the members before says nothing of members that it never asked for', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    expect(await acme.verdict('MembersReady')).toBe('True AsSpecified');

    acme.world.addFault(outage);
    await acme.change({ connectwise: { members: { identifiers: ['sync-a', 'sync-b'] } } });
    await acme.later();
    expect(await acme.verdict('MembersReady')).toBe('Unknown NotSeen');
    expect((await acme.record()).status?.drift).toEqual([]);
  });

  it('what was read holds where the spec speaks of the same things', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();

    acme.world.addFault(outage);
    await acme.change({ every: '20m', connectwise: { members: { level: 'Branch' } } });
    await acme.later();
    expect(await acme.verdict('ConnectWiseReachable')).toBe('False Unreachable');
    expect(await acme.verdict('MembersReady')).toBe('False MemberDiffers');
    expect(await acme.verdict('RoleReady')).toBe('True LevelsExact');
  });
});

describe('a key that was promoted, and is not yet seen in use', () => {
  it('is still asked for in Umbrella after the spec named another configuration type', async () => {
    const acme = await (await scene('key-dead')).apply();
    await acme.reconcile();
    const issue = await acme.handoff('issue-integration-key');
    const made = acme.world.makeKey('acme', 'umbrella-a', 'Umbrella, by Parasol');
    await acme.submit(made, { handoffId: issue.id });
    await acme.reconcile();
    await acme.handoff('install-integration-key');

    await acme.change({ integration: { configurationType: 'Umbrella' } });
    await acme.later();
    const asked = (await acme.record()).status?.plan.steps.map(({ action }) =>
      action.kind === 'open-handoff' ? action.handoff : action.kind,
    );
    expect(asked).toContain('install-integration-key');
  });
});

describe('Umbrella that was connected anew', () => {
  it('is found on its new configuration type, though the old one is known', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    expect(await acme.verdict('UmbrellaIntegrated')).toBe('True Writing');

    acme.clock.advance(4 * DAY);
    const [customer] = acme.world.viewCompany('acme').customers;
    acme.world.addConfiguration('acme', {
      name: 'Umbrella anew',
      type: 'Cisco Umbrella 2',
      customer: customer!.identifier,
      by: 'umbrella-a',
    });
    await acme.later(HOUR);
    expect(await acme.condition('UmbrellaIntegrated')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('umbrella-a last wrote 1h ago'),
    });
    await acme.later(HOUR);
    expect((await acme.record()).status?.memory.type?.name).toBe('Cisco Umbrella 2');
  });
});
