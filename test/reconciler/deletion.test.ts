import { describe, expect, it, test } from 'vitest';
import type { Answer, DeleteRequest } from '../../src/reconciler/commands.ts';
import { input, leaving } from './commands-fixtures.ts';
import { scene, useStore, type Scene, type SpecChange } from './harness.ts';

/** A tenant's end is asked for, seen, and then final (design.md §8). */

useStore();

const OFF: SpecChange = {
  onDelete: 'deactivate-members',
  connectwise: { members: { adopt: true, dedicated: true } },
};
const ORPHAN: SpecChange = { connectwise: { members: { adopt: true, dedicated: true } } };

async function healthy(spec: SpecChange) {
  const acme = await (await scene('healthy', { spec })).apply();
  await acme.settle();
  return acme;
}

const words = (answer: Answer<unknown>): string =>
  answer.ok ? 'done' : 'message' in answer.refusal ? answer.refusal.message : JSON.stringify(answer.refusal);
const remove = (acme: Scene, how: Partial<DeleteRequest> = {}) =>
  acme.ask((commands) => commands.deleteTenant('acme', leaving(how)));
const keep = (acme: Scene) =>
  acme.ask((commands) => commands.keepTenant('acme', { by: 'Jo', reason: 'they stay' }));
const isGone = async (acme: Scene) => (await acme.store.desk.tenant('acme')) === null;
const waitsFor = async (acme: Scene) => {
  const status = await acme.ask((commands) => commands.status('acme'));
  return status.ok ? (status.value.deleting?.waitsFor ?? null) : 'gone';
};
const membersOf = (acme: Scene) =>
  acme.world
    .viewCompany('acme')
    .members.filter(({ identifier }) => identifier.startsWith('umbrella'))
    .map(({ identifier, inactiveFlag }) => `${identifier} ${inactiveFlag ? 'off' : 'on'}`);
const down = (acme: Scene) =>
  acme.world.faults.add({ when: { vendor: 'connectwise' }, effect: { kind: 'status', status: 503 } });

async function rotating(spec: SpecChange) {
  const acme = await healthy(spec);
  const request = { by: 'ann', reason: 'a drill', credential: 'integration' as const };
  const asked = await acme.ask((commands) =>
    commands.rotate('acme', { ...request, compromised: false, cutNow: false }),
  );
  expect(asked.ok).toBe(true);
  for (let looks = 0; looks < 5; looks += 1) await acme.later();
  expect((await acme.record()).rotation?.phase).toBe('AwaitingKey');
  return acme;
}

describe('a tenant', () => {
  test.each([
    ['whose members stay', ORPHAN],
    ['whose members are switched off', OFF],
  ])('%s is kept while ConnectWise does not answer, and says so', async (_, spec) => {
    const acme = await healthy(spec);
    const before = membersOf(acme);
    const fault = down(acme);
    expect(words(await remove(acme))).toBe('done');
    expect(await waitsFor(acme)).toBe('its last look, which is due');
    await acme.later();
    expect(await waitsFor(acme)).toMatch(/^ConnectWise to answer: unavailable \(server-error\)/);
    const list = await acme.ask((commands) => commands.tenants({ after: null, limit: 1 }));
    expect(list).toMatchObject({
      value: { items: [{ waitsFor: expect.stringMatching(/^its deletion: /) }] },
    });
    expect(membersOf(acme)).toEqual(before);
    acme.world.faults.remove(fault);
    await acme.later();
    expect(await isGone(acme)).toBe(true);
  });

  it('leaves as the last word of its history what is left in ConnectWise', async () => {
    const acme = await healthy(OFF);
    await remove(acme, { reason: 'they left' });
    await acme.later();
    expect(await isGone(acme)).toBe(true);
    const [last] = await acme.events();
    expect(last).toMatch(
      /^TenantDeleted: Gone, as was asked for by Jo: they left\. Left in ConnectWise: umbrella-a \(inactive\).* Not seen dead: \S+ of umbrella-a\.$/,
    );
  });

  it('whose members may not be switched off for want of a right is kept, and says so', async () => {
    const acme = await healthy(OFF);
    acme.world.setLevels('acme', 'Parasol Management', { 'System/Members': { edit: 'None' } });
    await remove(acme);
    await acme.later();
    expect(await waitsFor(acme)).toMatch(
      /umbrella-a to be seen switched off: .* lacks System\/Members edit$/,
    );
  });
});

test('a tenant that is paused while it goes keeps its members on, says both, and goes once it is resumed', async () => {
  const acme = await healthy(OFF);
  const before = membersOf(acme);
  const asked = { by: 'ann', reason: 'a freeze' };
  const fault = down(acme);
  expect(words(await remove(acme))).toBe('done');
  await acme.later();
  await acme.ask((commands) => commands.pause('acme', { ...asked, until: null }));
  acme.world.faults.remove(fault);
  await acme.later();
  expect(await isGone(acme)).toBe(false);
  expect(membersOf(acme)).toEqual(before);
  const status = await acme.ask((commands) => commands.status('acme'));
  expect(status).toMatchObject({ value: { paused: true, deleting: { by: 'Jo' } } });
  expect(await waitsFor(acme)).toMatch(
    /umbrella-a to be seen switched off: .* It writes nothing meanwhile: ann paused it \(a freeze\)\.$/,
  );
  await acme.ask((commands) => commands.resume('acme', asked));
  await acme.later();
  expect(await isGone(acme)).toBe(true);
  expect(membersOf(acme)).toContain('umbrella-a off');
});

describe('who gives up waiting', () => {
  it('says why, and the tenant goes with the next run; what was not seen is told', async () => {
    const acme = await healthy(OFF);
    down(acme);
    expect(words(await remove(acme, { unseen: true, reason: 'x' }))).toMatch(/not being deleted yet/);
    await remove(acme);
    await acme.later();
    expect(await isGone(acme)).toBe(false);
    expect(words(await remove(acme, { unseen: true }))).toMatch(/needed with force and with unseen/);
    expect(words(await remove(acme, { unseen: true, reason: 'the company is closed' }))).toBe('done');
    await acme.later();
    expect(await isGone(acme)).toBe(true);
    const events = (await acme.events()).filter((event) => /^(Tenant|Deletion)/.test(event));
    expect(events).toEqual([
      expect.stringMatching(
        /^TenantDeleted: Gone, .*What is left in ConnectWise was not seen\. Not seen dead/,
      ),
      'DeletionUnseen: Its end is final with the next run, whatever that sees, by Jo: the company is closed',
      'DeletionRequested: To be deleted, and its members switched off, by Jo',
      ...events.slice(3),
    ]);
  });
});

describe('a rotation in flight', () => {
  it('keeps its tenant, and says in which phase it is', async () => {
    const acme = await rotating(ORPHAN);
    expect(words(await remove(acme))).toMatch(/^A rotation of acme's key \(AwaitingKey\) is in flight: wait/);
    expect((await acme.record()).tenant.deleting).toBe(false);
  });

  it('ends with its tenant where that is forced; both keys stay alive, and that is told', async () => {
    const acme = await rotating(ORPHAN);
    const made = acme.world.makeKey('acme', 'umbrella-b', 'made meanwhile');
    const before = membersOf(acme);
    const writes = acme.writes().length;
    expect(words(await remove(acme, { force: true }))).toMatch(/needed with force/);
    expect(words(await remove(acme, { force: true, reason: 'they left' }))).toBe('done');
    await acme.later();
    expect(await isGone(acme)).toBe(true);
    expect(acme.writes()).toHaveLength(writes);
    expect(membersOf(acme)).toEqual(before);
    expect(acme.umbrellaWorks()).toBe(true);
    expect(acme.world.listKeys('acme').map(({ publicKey }) => publicKey)).toContain(made.publicKey);
    expect((await acme.events()).find((event) => event.startsWith('RotationAbandoned'))).toMatch(
      /\(AwaitingKey\) goes no further: \S+ of umbrella-a and any key that was made on umbrella-b stay alive/,
    );
  });

  it('that begins between the look and the wish is seen', async () => {
    const acme = await rotating(ORPHAN);
    const { rotation } = await acme.record();
    const asked = await acme.store.desk.requestDelete(
      'acme',
      {
        generation: null,
        deletion: { by: null, reason: null, unseen: false },
        rotations: { integration: null, umbrella: null },
      },
      [],
      'deletion',
    );
    expect(asked).toEqual({ ok: false, because: 'rotations' });
    expect(rotation).not.toBeNull();
  });
});

describe('a deletion that is taken back', () => {
  it('leaves the tenant as it was, and what it switched off is switched on again', async () => {
    const acme = await healthy(OFF);
    expect(words(await keep(acme))).toBe('acme is not being deleted.');
    // The one look that would have ended it is lost after its write.
    acme.interfere('record', async () => {
      expect(words(await keep(acme))).toBe('done');
    });
    await remove(acme);
    await acme.later();
    expect(membersOf(acme)).toContain('umbrella-a off');
    expect(await isGone(acme)).toBe(false);
    await acme.later();
    await acme.later();
    expect(membersOf(acme)).toContain('umbrella-a on');
    expect(await acme.told()).toMatchObject({ ready: 'True', drift: [] });
    expect((await acme.events()).filter((event) => event.startsWith('TenantDeleted'))).toEqual([]);
  });

  test.each(['openIntent', 'confirm'] as const)(
    'stops the write that is about to leave (%s)',
    async (door) => {
      const acme = await healthy(OFF);
      await remove(acme);
      acme.interfere(door, () => keep(acme));
      await acme.later();
      expect(membersOf(acme)).toContain('umbrella-a on');
      expect(await isGone(acme)).toBe(false);
      await acme.later();
      expect(membersOf(acme)).toContain('umbrella-a on');
    },
  );
});

it('that is in the middle of a rotation is not pruned, and holds up all that was to be applied with it', async () => {
  const acme = await rotating({ ...ORPHAN, labels: { team: 'north' } });
  const set = [input('other', { labels: { team: 'north' } })];
  const prune = { labels: { team: 'north' }, count: 1, by: 'jo' };
  const answer = await acme.ask((commands) => commands.apply(set, { dryRun: false, prune }));
  expect(words(answer)).toContain(
    '"path":"prune.acme","message":"A rotation of acme\'s key (AwaitingKey) is in flight',
  );
  expect(await isGone(acme)).toBe(false);
  expect(await acme.store.desk.tenant('other')).toBeNull();
});
