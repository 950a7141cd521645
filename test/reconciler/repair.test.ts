import { describe, expect, it, test } from 'vitest';
import { SETTLE_MS } from '../../src/domain/ground.ts';
import type { FaultEffect, Trouble } from '../../src/simulator/index.ts';
import { LEAVING } from '../store/fixtures.ts';
import { scene, useStore, type Scene, type SceneOptions } from './harness.ts';

useStore();

const HOUR = 60 * 60_000;
const adopted = { spec: { connectwise: { members: { adopt: true } } } };

const given = async (trouble: Trouble, options: SceneOptions = {}) => (await scene(trouble, options)).apply();
const membersOf = ({ world }: Scene) =>
  world.viewCompany('acme').members.filter(({ identifier }) => identifier.startsWith('umbrella'));
const rolesOf = ({ world }: Scene) =>
  world.viewCompany('acme').roles.filter(({ name }) => name === 'Umbrella');

const pause = (acme: Scene) =>
  acme.ask((commands) => commands.pause('acme', { by: 'ann', reason: 'a freeze', until: '2h' }));
const resumed = async (acme: Scene) => {
  await pause(acme);
  return acme.ask((commands) => commands.resume('acme', { by: 'ann', reason: 'thawed' }));
};

/** A trouble with its one repair: what makes it, what it is on the wire, and whether it was made. */
const REPAIRS: [Trouble, SceneOptions, string, (acme: Scene) => number][] = [
  ['role-missing', {}, 'POST /system/securityroles', (acme) => rolesOf(acme).length],
  ['member-missing', {}, 'POST /system/apiMembers', (acme) => membersOf(acme).length],
  [
    'member-inactive',
    adopted,
    'PATCH /system/apiMembers/{id}',
    (acme) => membersOf(acme).filter(({ inactiveFlag }) => !inactiveFlag).length,
  ],
  [
    'member-wrong-role',
    adopted,
    'PATCH /system/apiMembers/{id}',
    (acme) => membersOf(acme).filter((member) => member.securityRole?.name === 'Umbrella').length,
  ],
];

describe.each(REPAIRS)('%s', (trouble, options, write, made) => {
  it('is repaired once, and the status tells what was then seen', async () => {
    const acme = await given(trouble, options);
    await acme.reconcile();
    expect(acme.writes()).toEqual([write]);
    expect(made(acme)).toBe(1);
    expect(acme.result.run).toMatchObject({ outcome: 'succeeded', writes: 1 });
    await acme.later();
    await acme.later();
    expect(acme.writes()).toEqual([write]);
    expect((await acme.snapshot()).intents).toEqual([]);
  });

  test.each<[string, (acme: Scene) => Promise<unknown>]>([
    ['the tenant was paused', (acme) => acme.change({ paused: true })],
    ['a person paused it', pause],
    ['a person paused it and resumed it', resumed],
    ['the mode became observe', (acme) => acme.change({ mode: 'observe' })],
    ['the tenant is to be deleted', (acme) => acme.store.desk.requestDelete('acme', LEAVING, [], 'deletion')],
    ['another replica has the tenant', (acme) => acme.takeAway()],
  ])('is left alone where %s since the look', async (_, what) => {
    const acme = await given(trouble, options);
    acme.interfere('openIntent', () => what(acme));
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    expect((await acme.snapshot()).intents).toEqual([]);
  });

  test.each<[string, (acme: Scene) => Promise<unknown>]>([
    ['the tenant was paused', (acme) => acme.change({ paused: true })],
    ['a person paused it', pause],
    ['another replica has the tenant', (acme) => acme.takeAway()],
  ])('does not leave by the last door where %s since the intent', async (_, what) => {
    const acme = await given(trouble, options);
    acme.interfere('confirm', () => what(acme));
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
  });

  test.each<[string, FaultEffect]>([
    ['with its connection', { kind: 'resetAfter' }],
    ['in the middle', { kind: 'truncate' }],
    ['behind a proxy’s error', { kind: 'status', status: 502, applied: true }],
  ])('whose answer is lost %s is found by looking, and not done again', async (_, effect) => {
    const acme = await given(trouble, options);
    const [method = ''] = write.split(' ');
    acme.world.faults.add({ when: { method, path: '.*/system/', nth: 1 }, effect });
    await acme.reconcile();
    await acme.later(SETTLE_MS);
    await acme.later();
    expect(made(acme)).toBe(1);
    expect(acme.writes()).toEqual([write]);
    expect((await acme.snapshot()).intents).toEqual([]);
  });

  it('that never arrived is done in the end, once', async () => {
    const acme = await given(trouble, options);
    const [method = ''] = write.split(' ');
    acme.world.faults.add({
      when: { method, path: '.*/system/', nth: 1 },
      effect: { kind: 'resetBefore' },
    });
    await acme.reconcile();
    expect(acme.result.next.inMs).toBeLessThanOrEqual(15 * 60_000);
    await acme.later(SETTLE_MS);
    await acme.later();
    expect(made(acme)).toBe(1);
    expect(acme.writeCalls().filter(({ applied }) => applied)).toHaveLength(1);
  });
});

test.each<[Trouble, (acme: Scene) => unknown[]]>([
  ['role-missing', rolesOf],
  ['member-missing', membersOf],
])('what was made for %s, and is not in the lists yet, is not made again', async (trouble, made) => {
  const acme = await given(trouble);
  acme.world.faults.add({ when: { method: 'POST' }, effect: { kind: 'staleReads', reads: 4 } });
  await acme.reconcile();
  await acme.later(1_000);
  await acme.later(1_000);
  await acme.later(SETTLE_MS);
  await acme.later();
  expect(made(acme)).toHaveLength(1);
});

describe('a member that Parasol did not make', () => {
  it('is reported and left alone', async () => {
    const acme = await given('member-wrong-role');
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    const { status } = await acme.record();
    expect(status?.plan.steps).toMatchObject([
      { state: 'held', because: expect.stringContaining('adopt: true') },
    ]);
  });

  it('is Parasol’s once it was seen as specified', async () => {
    const acme = await given('healthy');
    await acme.reconcile();
    acme.world.setMemberRole('acme', 'umbrella-a', 'Helpdesk');
    await acme.later();
    expect(acme.writes()).toEqual(['PATCH /system/apiMembers/{id}']);
    expect(await acme.verdict('MembersReady')).toBe('True AsSpecified');
  });

  it('that holds Parasol’s own key is never touched', async () => {
    const acme = await given('healthy', {
      spec: {
        connectwise: { members: { adopt: true, identifiers: ['parasol', 'umbrella-b'] } },
      },
      given: ['management', 'umbrella-api', 'umbrella-key-admin'],
    });
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
  });
});

it('a PATCH that is answered with 200 and changes nothing is told as that, and not as done', async () => {
  const acme = await given('member-wrong-role', adopted);
  acme.world.faults.add({
    when: { method: 'PATCH' },
    effect: { kind: 'status', status: 200, body: { id: 1 } },
  });
  await acme.reconcile();
  expect(acme.result.run).toMatchObject({
    outcome: 'degraded',
    actions: [{ outcome: expect.stringContaining('changed nothing') }],
  });
  expect(await acme.verdict('MembersReady')).toBe('False MemberDiffers');
});

describe('a fleet that made as many repairs as it may', () => {
  it('makes no more, and says so', async () => {
    const acme = await given('role-missing', { repairsPerHour: 0 });
    await acme.reconcile();
    expect(acme.writes()).toEqual([]);
    expect(await acme.verdict('Braked')).toBe('True RepairCapReached');
  });

  it('goes on when the hour has passed', async () => {
    const acme = await given('member-inactive', { ...adopted, repairsPerHour: 1 });
    await acme.reconcile();
    acme.world.setMemberRole('acme', 'umbrella-a', 'Helpdesk');
    await acme.later();
    expect(acme.writes()).toHaveLength(1);
    expect(await acme.verdict('Braked')).toBe('True RepairCapReached');
    await acme.later(HOUR);
    expect(acme.writes()).toHaveLength(2);
    expect(await acme.verdict('Braked')).toBe('False NotBraked');
  });
});

describe('a tenant that is deleted', () => {
  const leave = async (acme: Scene) => {
    await acme.store.desk.requestDelete('acme', LEAVING, [], 'deletion');
    await acme.reconcile();
  };
  const isGone = async (acme: Scene) => (await acme.store.desk.tenant('acme')) === null;

  it('is forgotten, and its members are left as they are', async () => {
    const acme = await given('healthy');
    await acme.reconcile();
    await leave(acme);
    expect(await isGone(acme)).toBe(true);
    expect(acme.writes()).toEqual([]);
  });

  it('has its own members switched off first, where its policy says so', async () => {
    const acme = await given('healthy', {
      spec: { onDelete: 'deactivate-members', connectwise: { members: { dedicated: true } } },
    });
    await acme.reconcile();
    await leave(acme);
    expect(acme.writes()).toEqual(['PATCH /system/apiMembers/{id}']);
    expect(membersOf(acme).map(({ inactiveFlag }) => inactiveFlag)).toEqual([true]);
    expect(await isGone(acme)).toBe(true);
  });

  it('keeps members that may hold keys of others', async () => {
    const acme = await given('healthy', { spec: { onDelete: 'deactivate-members' } });
    await acme.reconcile();
    await leave(acme);
    expect(acme.writes()).toEqual([]);
    expect(await isGone(acme)).toBe(true);
  });

  it('stays until its vendors were seen again', async () => {
    const acme = await given('healthy', {
      spec: { onDelete: 'deactivate-members', connectwise: { members: { dedicated: true } } },
    });
    await acme.reconcile();
    const fault = acme.world.faults.add({
      when: { vendor: 'connectwise' },
      effect: { kind: 'status', status: 503 },
    });
    await leave(acme);
    expect(await isGone(acme)).toBe(false);
    acme.world.faults.remove(fault);
    await acme.later();
    expect(await isGone(acme)).toBe(true);
  });
});
