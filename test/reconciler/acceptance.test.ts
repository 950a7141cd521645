import { describe, expect, it, test } from 'vitest';
import type { AcceptRequest, Answer } from '../../src/reconciler/commands.ts';
import { scene, useStore, type Scene, type SceneOptions } from './harness.ts';

useStore();

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;
const DELETE = 'role.levels.Companies/Configurations.delete';

function value<T>(answer: Answer<T>): T {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
}

const levels = ({ world }: Scene, level: 'None' | 'My' | 'All', right = 'delete') =>
  world.setLevels('acme', 'Umbrella', { 'Companies/Configurations': { [right]: level } });

/** A tenant in which everything is as it should be, seen so. */
async function healthy(options: SceneOptions = {}) {
  const acme = await (await scene('healthy', options)).apply();
  await acme.settle();
  return acme;
}

/** A tenant whose role may delete configurations, which nobody wants. */
async function tooStrong(options: SceneOptions = {}) {
  const acme = await healthy(options);
  levels(acme, 'All');
  await acme.reconcile();
  return acme;
}

const accept = (acme: Scene, change: Partial<AcceptRequest> = {}) =>
  acme.ask((commands) =>
    commands.accept('acme', {
      path: DELETE,
      by: 'jo',
      reason: 'the board needs it',
      expires: '30d',
      observed: null,
      ...change,
    }),
  );
const withdraw = (acme: Scene, path = DELETE) =>
  acme.ask((commands) => commands.withdrawAcceptance('acme', { path, by: 'bob', reason: 'it was wrong' }));
const statusOf = async (acme: Scene) => value(await acme.ask((commands) => commands.status('acme')));
const listed = async (acme: Scene) =>
  value(await acme.ask((commands) => commands.acceptances('acme'))).map(
    ({ path, state }) => `${path} ${state}`,
  );
const told = async (acme: Scene) =>
  (await acme.events())
    .filter((event) => /^(DriftAccepted|Acceptance\w+):/.test(event))
    .map((event) => event.split(':')[0])
    .toReversed();

describe('a drift that a person accepted', () => {
  it('makes the tenant ready again, visibly accepted, and takes back the hand-off that was for it', async () => {
    const acme = await tooStrong();
    expect(await acme.told()).toMatchObject({ ready: 'False', plan: ['now grant-role-levels'] });
    const { until } = value(await accept(acme));
    await acme.reconcile();
    const status = await statusOf(acme);
    expect(status).toMatchObject({ ready: 'True', handoffs: [] });
    expect(status.drift).toMatchObject([
      {
        path: DELETE,
        observed: 'All',
        action: 'none:accepted',
        accepted: { by: 'jo', reason: 'the board needs it', until },
      },
    ]);
    const words = `${DELETE} is All, wanted None (by jo until ${until}: the board needs it)`;
    for (const type of ['RoleReady', 'IntegrationKeyValid'] as const) {
      expect(await acme.condition(type)).toMatchObject({ status: 'True', reason: 'Accepted' });
      expect((await acme.condition(type)).message).toContain(`Accepted: ${words}.`);
    }
    expect((await acme.allHandoffs()).map(({ kind, state, evidence }) => [kind, state, evidence])).toEqual([
      ['grant-role-levels', 'withdrawn', `Leave it as it is. Accepted: ${words}.`],
    ]);
    expect((await acme.told()).plan).toEqual([]);
  });

  it('is told to who had begun to mend it', async () => {
    const acme = await tooStrong();
    const { id } = await acme.handoff('grant-role-levels');
    value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    value(await accept(acme));
    await acme.reconcile();
    expect((await acme.allHandoffs())[0]).toMatchObject({ id, state: 'withdrawn', claimedBy: 'ann' });
  });

  it('leaves what else differs to be mended, and asks for that alone', async () => {
    const acme = await tooStrong();
    levels(acme, 'None', 'edit');
    await acme.reconcile();
    value(await accept(acme));
    await acme.reconcile();
    const condition = await acme.condition('RoleReady');
    expect(condition).toMatchObject({ status: 'False', reason: 'LevelsMissing' });
    expect(condition.message).toContain(`Accepted: ${DELETE} is All`);
    const { content } = await acme.handoff('grant-role-levels');
    expect(content.cells?.map((cell) => `${cell.function}.${cell.right}`)).toEqual([
      'Companies/Configurations.edit',
    ]);
    levels(acme, 'All', 'edit');
    await acme.later();
    expect((await statusOf(acme)).ready).toBe('True');
    expect(await acme.liveHandoffs()).toEqual([]);
  });

  it('is drift again once it is another value, and that is told', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.reconcile();
    levels(acme, 'My');
    await acme.later();
    expect(await acme.verdict('RoleReady')).toBe('False LevelsExcess');
    expect((await statusOf(acme)).drift).toMatchObject([{ path: DELETE, observed: 'My', accepted: null }]);
    expect((await acme.told()).plan).toEqual(['now grant-role-levels']);
    // What it was before is not accepted again by itself.
    levels(acme, 'All');
    await acme.later();
    expect(await acme.verdict('RoleReady')).toBe('False LevelsExcess');
    expect(await told(acme)).toEqual(['DriftAccepted', 'AcceptanceVoid']);
    expect(await listed(acme)).toEqual([`${DELETE} void`]);
  });

  it('is void once it no longer differs', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.reconcile();
    levels(acme, 'None');
    await acme.later();
    expect(await listed(acme)).toEqual([`${DELETE} void`]);
    levels(acme, 'All');
    await acme.later();
    expect(await acme.verdict('RoleReady')).toBe('False LevelsExcess');
  });

  it('stays accepted while it cannot be seen, and makes nothing True that is not seen', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.reconcile();
    acme.world.faults.add({ when: { method: 'GET' }, effect: { kind: 'status', status: 503 } });
    await acme.later(DAY);
    expect(await listed(acme)).toEqual([`${DELETE} in-force`]);
    expect(await acme.verdict('RoleReady')).toMatch(/^Unknown/);
    acme.world.faults.clear();
    await acme.later();
    expect(await acme.verdict('RoleReady')).toBe('True Accepted');
  });

  it('is announced once before its end, is drift again at it, and the tenant is due then', async () => {
    const acme = await tooStrong({ spec: { every: '90d', rotation: { maxAge: '400d' } } });
    value(await accept(acme, { expires: '100d' }));
    await acme.reconcile();
    expect(acme.result.next.inMs).toBeLessThanOrEqual(93 * DAY);
    acme.clock.advance(93 * DAY);
    await acme.reconcile();
    await acme.reconcile();
    expect(await told(acme)).toEqual(['DriftAccepted', 'AcceptanceExpiring']);
    expect(acme.result.next.inMs).toBe(7 * DAY);
    acme.clock.advance(7 * DAY);
    await acme.reconcile();
    await acme.reconcile();
    expect(await told(acme)).toEqual(['DriftAccepted', 'AcceptanceExpiring', 'AcceptanceExpired']);
    expect((await statusOf(acme)).drift).toMatchObject([{ path: DELETE, accepted: null }]);
    expect(await acme.verdict('RoleReady')).toBe('False LevelsExcess');
  });

  it('is drift again once that is withdrawn, and may be accepted anew', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.reconcile();
    value(await withdraw(acme));
    await acme.reconcile();
    expect(await acme.verdict('RoleReady')).toBe('False LevelsExcess');
    value(await accept(acme, { expires: '1d' }));
    value(await accept(acme, { expires: '2d', observed: 'All' }));
    await acme.reconcile();
    expect(await acme.verdict('RoleReady')).toBe('True Accepted');
    expect(await listed(acme)).toEqual([`${DELETE} in-force`, `${DELETE} replaced`, `${DELETE} withdrawn`]);
  });

  it('of the allow list makes it well, and takes its hand-off back', async () => {
    const acme = await (await scene('allow-list-short')).apply();
    await acme.reconcile();
    const [drift] = (await statusOf(acme)).drift;
    expect(await acme.handoff('allow-table-setup')).toMatchObject({ state: 'open' });
    value(await accept(acme, { path: drift!.path, observed: 'not allowed' }));
    await acme.reconcile();
    expect(await acme.verdict('TableSetupReady')).toBe('True Accepted');
    expect(await statusOf(acme)).toMatchObject({ ready: 'True', handoffs: [] });
  });

  it('of an idle member that is active makes the members well', async () => {
    const acme = await healthy();
    acme.world.createMember('acme', { identifier: 'umbrella-b', role: 'Umbrella' });
    await acme.reconcile();
    expect(await acme.verdict('MembersReady')).toBe('False IdleMemberActive');
    value(await accept(acme, { path: 'members.umbrella-b.active' }));
    await acme.reconcile();
    expect(await acme.verdict('MembersReady')).toBe('True Accepted');
  });

  it('is of the role that it was seen at, and of no other', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.reconcile();
    await acme.change({ connectwise: { role: { name: 'Admin' } } });
    await acme.settle();
    expect(await listed(acme)).toEqual([`${DELETE} void`]);
  });

  it('hinders no rotation: a key of such a role is proved and comes into use', async () => {
    const acme = await tooStrong();
    value(await accept(acme));
    await acme.settle();
    const asked = {
      by: 'jo',
      reason: 'x',
      compromised: false,
      cutNow: false,
      credential: 'integration',
    } as const;
    value(await acme.ask((commands) => commands.rotate('acme', asked)));
    await acme.settle();
    const { id } = await acme.handoff('issue-integration-key');
    await acme.submit(acme.world.makeKey('acme', 'umbrella-b'), { handoffId: id, member: 'umbrella-b' });
    await acme.settle();
    expect((await statusOf(acme)).rotation?.phase).toBe('AwaitingInstall');
  });
});

describe('a member’s field that a person accepted', () => {
  const adopted = { spec: { connectwise: { members: { adopt: true } } } };
  const wrongRole = async () => (await scene('member-wrong-role', adopted)).apply();
  const ROLE = 'members.umbrella-a.role';
  const observing = async () => {
    const acme = await wrongRole();
    await acme.change({ ...adopted.spec, mode: 'observe' });
    await acme.reconcile();
    return acme;
  };

  it('is not written', async () => {
    const acme = await observing();
    value(await accept(acme, { path: ROLE }));
    await acme.change({ ...adopted.spec, mode: 'repair' });
    await acme.settle();
    await acme.later();
    expect(acme.writes()).toEqual([]);
    expect(await acme.verdict('MembersReady')).toBe('True Accepted');
    value(await withdraw(acme, ROLE));
    await acme.settle();
    expect(acme.writes()).toEqual(['PATCH /system/apiMembers/{id}']);
  });

  test.each(['openIntent', 'confirm'] as const)(
    'is not written by a run that began before it was accepted, up to %s',
    async (before) => {
      const acme = await observing();
      await acme.change({ ...adopted.spec, mode: 'repair' });
      acme.interfere(before, () => accept(acme, { path: ROLE }));
      await acme.reconcile();
      await acme.settle();
      expect(acme.writes()).toEqual([]);
      expect(await listed(acme)).toEqual([`${ROLE} in-force`]);
    },
  );
});

describe('what cannot be accepted', () => {
  test.each<[string, Partial<AcceptRequest>, object]>([
    [
      'what is no drift: what there is is told',
      { path: 'role' },
      { kind: 'conflict', message: `There is no drift at role. There is some at: ${DELETE}.` },
    ],
    [
      'another value than there is',
      { observed: 'My' },
      { kind: 'conflict', message: `${DELETE} is All, wanted None, and not My: nothing was accepted.` },
    ],
    [
      'anything for more than a year',
      { expires: '366d' },
      {
        kind: 'invalid',
        problems: [{ path: 'expires', message: 'must be within 365d: look at it again by then' }],
      },
    ],
    [
      'anything until a time that is over',
      { expires: '2020-01-01T00:00:00Z' },
      { kind: 'invalid', problems: [{ path: 'expires' }] },
    ],
  ])('%s', async (_, change, refusal) => {
    const acme = await tooStrong();
    expect(await accept(acme, change)).toMatchObject({ ok: false, refusal });
    expect(await listed(acme)).toEqual([]);
    expect(await told(acme)).toEqual([]);
  });

  it('a key that does not work', async () => {
    const acme = await (await scene('key-dead')).apply();
    await acme.reconcile();
    expect(await accept(acme, { path: 'integrationKey' })).toMatchObject({
      refusal: { message: expect.stringMatching(/cannot be accepted: .*rotate it\.$/) as string },
    });
  });

  it('anything before the first look, or since another company was named', async () => {
    const acme = await (await scene('healthy')).apply();
    expect(await accept(acme)).toMatchObject({
      refusal: { message: expect.stringContaining('was not observed yet') as string },
    });
    levels(acme, 'All');
    await acme.reconcile();
    await acme.change({ connectwise: { role: { name: 'Other' } } });
    expect(await accept(acme)).toMatchObject({
      refusal: { message: expect.stringContaining('was not observed yet') as string },
    });
  });

  it('what became another since it was decided', async () => {
    const acme = await tooStrong();
    const { status } = await acme.record();
    const { subject } = status!.memory;
    const kept = await acme.store.desk.accept(
      'acme',
      {
        id: 'x',
        path: DELETE,
        kind: 'excess',
        desired: 'None',
        observed: 'My',
        subject: subject!,
        by: 'jo',
        reason: 'x',
        expiresAt: '2999-01-01T00:00:00Z',
      },
      [],
      'test',
    );
    expect(kept).toEqual({ ok: false, because: 'changed' });
    expect(await listed(acme)).toEqual([]);
  });

  it('a withdrawal of what is not accepted', async () => {
    const acme = await tooStrong();
    expect(await withdraw(acme)).toMatchObject({
      refusal: { message: `Nothing is accepted at ${DELETE}. Accepted is nothing.` },
    });
  });
});
