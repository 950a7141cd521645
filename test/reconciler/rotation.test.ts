import { describe, expect, it, test } from 'vitest';
import type { KeyPair as SimulatedPair, ScenarioOptions } from '../../src/simulator/index.ts';
import type { Answer } from '../../src/reconciler/commands.ts';
import { scene, useStore, type Scene, type SceneOptions, type SpecChange } from './harness.ts';

/** The integration key is replaced with overlap: what Umbrella holds works at every moment (design.md §6). */

useStore();

const HOUR = 60 * 60_000;
const DAY = 24 * HOUR;

/** Members that Parasol may switch on and off, as it made them or was told that nobody else uses them. */
const DEDICATED: SpecChange = { connectwise: { members: { adopt: true, dedicated: true } } };

async function healthy(change: SpecChange = {}, options: ScenarioOptions & SceneOptions = {}) {
  const acme = await (await scene('healthy', { ...options, spec: { ...DEDICATED, ...change } })).apply();
  await acme.settle();
  return acme;
}

const value = <T>(answer: Answer<T>): T => {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
};

const rotate = async (acme: Scene, how: { compromised?: boolean; cutNow?: boolean } = {}) => {
  const request = {
    by: 'ann',
    reason: 'a drill',
    credential: 'integration' as const,
    compromised: false,
    cutNow: false,
    ...how,
  };
  return value(await acme.ask((commands) => commands.rotate('acme', request)));
};
const rollback = async (acme: Scene) =>
  value(await acme.ask((commands) => commands.rollback('acme', { by: 'ann', reason: 'it went wrong' })));

const phase = async (acme: Scene): Promise<string | undefined> => (await acme.record()).rotation?.phase;
/** The phases of the last rotation, and how it ended. */
const history = async (acme: Scene): Promise<string[]> => {
  const [last] = value(await acme.ask((commands) => commands.rotations('acme')));
  return last!.history.map((entry) => entry.phase);
};
const outcome = async (acme: Scene) => value(await acme.ask((commands) => commands.rotations('acme')))[0]!;

/** A person makes the key that is asked for, and gives it. */
async function giveKey(acme: Scene): Promise<SimulatedPair> {
  const handoff = await acme.handoff('issue-integration-key');
  const made = acme.world.makeKey('acme', handoff.subject, 'Umbrella, by Parasol');
  await acme.submit(made, { handoffId: handoff.id, member: handoff.subject });
  return made;
}

/** A person puts the key into Umbrella, and Umbrella's daily sync runs with it. */
async function install(acme: Scene, made: SimulatedPair): Promise<void> {
  const { id } = await acme.handoff('install-integration-key');
  value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
  await acme.settle();
  acme.world.installKey('acme', made);
  await acme.tick(id);
  acme.clock.advance(DAY);
  sync(acme);
}

/** Umbrella's daily work, with something to write. */
function sync(acme: Scene): void {
  acme.world.changeFigures('acme');
  acme.world.runSync('acme');
}

const member = (acme: Scene, identifier: string) =>
  acme.world.viewCompany('acme').members.find((one) => one.identifier === identifier);

/** Until the given phase; each look a quarter of an hour after the last. */
async function until(acme: Scene, wanted: string): Promise<void> {
  for (let looks = 0; looks < 12; looks += 1) {
    if ((await phase(acme)) === wanted) return;
    expect(acme.umbrellaWorks()).toBe(true);
    await acme.later();
  }
  throw new Error(`${await phase(acme)}, not ${wanted}: ${JSON.stringify((await acme.record()).rotation)}`);
}

/** From a healthy tenant to Umbrella's using the new key. */
async function adopted(acme: Scene): Promise<{ old: string; made: SimulatedPair }> {
  const old = acme.world.viewCompany('acme').console!.installedPublicKey!;
  await rotate(acme);
  await until(acme, 'AwaitingKey');
  const made = await giveKey(acme);
  await until(acme, 'AwaitingInstall');
  await install(acme, made);
  await until(acme, 'Overlap');
  return { old, made };
}

describe('a rotation', () => {
  it('replaces a working key with overlap: the old one goes last, is seen dead, and its member goes off', async () => {
    const acme = await healthy();
    const before = acme.writes().length;
    const { old, made } = await adopted(acme);
    expect(await acme.fingerprints('active')).toEqual([acme.fingerprintOf(made)]);
    expect(await acme.told()).toMatchObject({ ready: 'True', drift: [] });

    // The overlap is 48 hours and two cycles of Umbrella's.
    await acme.later(47 * HOUR);
    expect(await phase(acme)).toBe('Overlap');
    sync(acme);
    await acme.later(2 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    const deletion = await acme.handoff('delete-key');
    expect(deletion.content.title).toContain(deletion.subject);
    expect(acme.umbrellaWorks()).toBe(true);

    acme.world.deleteKey('acme', old);
    await acme.later();
    expect(acme.umbrellaWorks()).toBe(true);
    expect(await history(acme)).toEqual([
      'Pending',
      'PreparingMember',
      'AwaitingKey',
      'Verifying',
      'AwaitingInstall',
      'AwaitingAdoption',
      'Overlap',
      'RetiringOld',
      'Completed',
    ]);
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
    expect(await acme.fingerprints('dead')).toHaveLength(1);
    expect(await acme.liveHandoffs()).toEqual([]);
    expect(acme.writes().slice(before)).toEqual(['POST /system/apiMembers', 'PATCH /system/apiMembers/{id}']);
    sync(acme);
    await acme.later();
    expect(await acme.told()).toMatchObject({ ready: 'True', drift: [], plan: [] });
    expect(await acme.verdict('RotationHealthy')).toBe('True Completed');
  });

  it('uses the slot again: its member is switched on once its old key was seen dead', async () => {
    const acme = await healthy();
    const { old } = await adopted(acme);
    await acme.later(5 * DAY);
    acme.world.deleteKey('acme', old);
    await acme.later();
    await acme.later();
    expect(await phase(acme)).toBeUndefined();

    sync(acme);
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    expect((await acme.handoff('issue-integration-key')).subject).toBe('umbrella-a');
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
  });

  it('of which the old key is never deleted ends unproved, and its member is never used again', async () => {
    const acme = await healthy();
    await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    await acme.later(4 * DAY);
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RetirementUnproved' });
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
    expect(await acme.verdict('RotationHealthy')).toBe('True RetirementUnproved');

    sync(acme);
    await acme.later();
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    expect((await acme.handoff('issue-integration-key')).subject).toBe('umbrella-a2');
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
  });

  it('does not go on while the old key is still used, and says what it wrote', async () => {
    const acme = await healthy();
    const old = acme.secrets.integrationKey;
    await adopted(acme);
    await acme.later(DAY);
    // Somebody types the old pair in again.
    acme.world.installKey('acme', old);
    sync(acme);
    await acme.later();
    expect(await acme.verdict('RotationHealthy')).toBe('True OldKeyStillUsed');
    const { message } = await acme.condition('RotationHealthy');
    expect(message).toMatch(/umbrella-a wrote .+ at /);
    await acme.later(DAY + 12 * HOUR);
    expect(await phase(acme)).toBe('Overlap');
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
    expect(acme.umbrellaWorks()).toBe(true);
  });

  it('goes on though Umbrella writes with the old key between any two looks, and is not looked at again at once for that', async () => {
    const acme = await healthy();
    await rotate(acme);
    const look = async () => {
      acme.clock.advance(2_000);
      sync(acme);
      await acme.reconcile();
    };
    for (let looks = 0; looks < 3; looks += 1) await look();
    expect(await phase(acme)).toBe('AwaitingKey');
    await look();
    expect(acme.result.next.inMs).toBeGreaterThan(0);
    expect((await outcome(acme)).old?.lastWrite?.at).toBe(acme.clock.now().toISOString());
  });

  it('goes back to waiting where the old key is used again while its deletion is asked for: nothing is cut', async () => {
    const acme = await healthy();
    const old = acme.secrets.integrationKey;
    await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    await acme.handoff('delete-key');
    // Somebody types the old pair in again, and nobody deletes it.
    acme.world.installKey('acme', old);
    sync(acme);
    await acme.later(DAY);
    expect(await phase(acme)).toBe('Overlap');
    expect(await acme.verdict('RotationHealthy')).toBe('True OldKeyStillUsed');
    expect((await acme.liveHandoffs()).map(({ kind }) => kind)).not.toContain('delete-key');
    for (let days = 0; days < 4; days += 1) {
      sync(acme);
      await acme.later(DAY);
    }
    expect(await phase(acme)).toBe('Overlap');
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
    expect(acme.umbrellaWorks()).toBe(true);
  });

  it('cuts nothing by an overdue deletion while what Umbrella writes cannot be seen', async () => {
    const acme = await healthy();
    await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    const fault = acme.world.addFault({
      when: { operation: '/company/configurations', actor: 'parasol' },
      effect: { kind: 'status', status: 503 },
    });
    await acme.later(4 * DAY);
    await acme.later();
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
    acme.world.faults.remove(fault);
    await acme.later();
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RetirementUnproved' });
  });

  it('whose adoption is late cuts nothing, says so, and can be rolled back', async () => {
    const acme = await healthy();
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    const { id } = await acme.handoff('install-integration-key');
    await acme.tick(id);
    await acme.settle();
    for (let days = 0; days < 4; days += 1) {
      sync(acme);
      await acme.later(DAY);
    }
    expect(await phase(acme)).toBe('AwaitingAdoption');
    expect(await acme.verdict('RotationHealthy')).toBe('False AdoptionOverdue');
    expect(acme.umbrellaWorks()).toBe(true);
    expect(await acme.verdict('IntegrationKeyValid')).toBe('True Valid');

    await rollback(acme);
    await acme.settle();
    const back = await acme.handoff('install-integration-key');
    expect(back.subject).toBe((await acme.fingerprints('active'))[0]);
    await acme.tick(back.id);
    await acme.settle();
    acme.clock.advance(DAY);
    sync(acme);
    await acme.later();
    expect(await phase(acme)).toBe('Overlap');
    expect(member(acme, 'umbrella-b')?.inactiveFlag).toBe(false);
  });

  it('of the member in use is refused while another is under way', async () => {
    const acme = await healthy();
    await rotate(acme);
    const again = await acme.ask((commands) =>
      commands.rotate('acme', {
        by: 'bob',
        reason: 'again',
        credential: 'integration',
        compromised: false,
        cutNow: false,
      }),
    );
    expect(again).toMatchObject({ ok: false, refusal: { kind: 'conflict' } });
  });

  test.each<[string, SpecChange, RegExp]>([
    ['mode observe', { mode: 'observe' }, /mode observe writes nothing/],
    ['a pause', { paused: true }, /the tenant is paused/],
  ])('is refused in %s, with the reason', async (_, change, words) => {
    const acme = await healthy(change);
    const asked = await acme.ask((commands) =>
      commands.rotate('acme', {
        by: 'ann',
        reason: 'x',
        credential: 'integration',
        compromised: false,
        cutNow: false,
      }),
    );
    expect(asked).toMatchObject({ ok: false, refusal: { message: expect.stringMatching(words) } });
    expect(await phase(acme)).toBeUndefined();
  });

  it('stops before its next effect when the mode changes, and says so', async () => {
    const acme = await healthy();
    await adopted(acme);
    await acme.change({ mode: 'observe' });
    const before = acme.writes().length;
    await acme.later(5 * DAY);
    await acme.later(5 * DAY);
    expect(acme.writes()).toHaveLength(before);
    expect(await acme.verdict('RotationHealthy')).toBe('False Held');
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
  });

  it('begins by age, spread over the fleet, and never before its time', async () => {
    const acme = await healthy({ rotation: { maxAge: '100d' } });
    await acme.later(69 * DAY);
    expect(await phase(acme)).toBeUndefined();
    await acme.later(22 * DAY);
    expect((await acme.record()).rotation).toMatchObject({ cause: 'age' });
  });

  it('puts nothing into Umbrella before its window opens', async () => {
    // The clock stands on a Friday.
    const acme = await healthy({ rotation: { window: 'Mon 02:00-06:00 Europe/Madrid' } });
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    await giveKey(acme);
    await acme.later();
    expect(await phase(acme)).toBe('Verifying');
    const day = acme.clock.now().getUTCDay();
    const monday = new Date(acme.clock.now());
    monday.setUTCDate(monday.getUTCDate() + ((8 - day) % 7 || 7));
    monday.setUTCHours(3, 0, 0, 0);
    await acme.later(monday.getTime() - acme.clock.now().getTime());
    expect(await phase(acme)).toBe('AwaitingInstall');
  });
});

describe('a rotation that is rolled back', () => {
  it('before the key could be in Umbrella ends at once: one write, and all is as it was', async () => {
    const acme = await healthy();
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    const before = acme.writes().length;
    await rollback(acme);
    await acme.settle();
    await acme.settle();
    expect(acme.writes().slice(before)).toEqual(['PATCH /system/apiMembers/{id}']);
    expect(await outcome(acme)).toMatchObject({ phase: 'RolledBack' });
    expect(member(acme, 'umbrella-b')?.inactiveFlag).toBe(true);
    expect(acme.umbrellaWorks()).toBe(true);
    expect(await acme.liveHandoffs()).toEqual([]);
    expect(await acme.told()).toMatchObject({ ready: 'True', drift: [] });
    await acme.later(DAY);
    expect(await acme.verdict('RotationHealthy')).toBe('True RolledBack');
  });

  it('while somebody begins to put the new key in goes the way back, and cuts nothing', async () => {
    const acme = await healthy();
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    const { id } = await acme.handoff('install-integration-key');
    await rollback(acme);
    // Right before the run that heeds it records what it decided.
    acme.interfere('record', () => acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    const before = acme.writes().length;
    await acme.settle();
    expect((await acme.record()).rotation).toMatchObject({ reversed: true, undoing: false });
    expect(acme.writes()).toHaveLength(before);
    expect(member(acme, 'umbrella-b')?.inactiveFlag).toBe(false);
    expect(acme.umbrellaWorks()).toBe(true);
  });

  it('afterwards goes the way back: the new key is the last to go', async () => {
    const acme = await healthy();
    const first = acme.secrets.integrationKey;
    const { made } = await adopted(acme);
    await rollback(acme);
    await acme.settle();
    expect(await phase(acme)).toBe('AwaitingInstall');
    const back = await acme.handoff('install-integration-key');
    value(await acme.ask((commands) => commands.claimHandoff(back.id, 'ann')));
    const shown = value(
      await acme.ask((commands) => commands.reveal(back.id, { by: 'ann', reason: 'back' })),
    );
    expect(shown.pair.publicHalf).toBe(first.publicKey);
    await acme.settle();
    expect(acme.umbrellaWorks()).toBe(true);
    acme.world.installKey('acme', first);
    acme.clock.advance(DAY);
    sync(acme);
    await acme.later();
    expect(await phase(acme)).toBe('Overlap');
    expect(member(acme, 'umbrella-b')?.inactiveFlag).toBe(false);
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    acme.world.deleteKey('acme', made.publicKey);
    await acme.later();
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RolledBack', rollingBack: true });
    expect(member(acme, 'umbrella-b')?.inactiveFlag).toBe(true);
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
    expect(acme.umbrellaWorks()).toBe(true);
    sync(acme);
    await acme.later();
    expect(await acme.told()).toMatchObject({ ready: 'True', drift: [], plan: [] });
  });
});

describe('the deletion of a key', () => {
  it('is no longer asked for once the rotation is rolled back to that key', async () => {
    const acme = await healthy();
    const { old } = await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    const { id } = await acme.handoff('delete-key');
    value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    await rollback(acme);
    await acme.settle();
    expect((await acme.liveHandoffs()).map(({ kind }) => kind)).toEqual(['install-integration-key']);
    const key = acme.world.listKeys('acme', 'umbrella-a').find(({ publicKey }) => publicKey === old);
    expect(key).toBeDefined();
  });
});

describe('a rollback that is taken back', () => {
  it('leads forward again: the pair that nobody can put back any more stays beside the one in use', async () => {
    const acme = await healthy();
    const { made } = await adopted(acme);
    await rollback(acme);
    await acme.settle();
    const back = await acme.handoff('install-integration-key');
    value(await acme.ask((commands) => commands.claimHandoff(back.id, 'ann')));
    // The answer is lost, and the old pair is shown once.
    value(await acme.ask((commands) => commands.reveal(back.id, { by: 'ann', reason: 'back' })));
    await acme.later();
    expect(await phase(acme)).toBe('AwaitingAdoption');

    // Asked for twice, as when its answer was lost, a rollback stays one.
    const twice = await acme.ask((commands) => commands.rollback('acme', { by: 'ann', reason: 'back' }));
    expect(twice).toMatchObject({ refusal: { message: expect.stringContaining('rolled back already') } });
    await rotate(acme);
    await acme.later();
    expect((await acme.record()).rotation).toMatchObject({ reversed: false, target: 'umbrella-b' });
    const again = await acme.handoff('install-integration-key');
    expect(again.subject).toBe(acme.fingerprintOf(made));
    await acme.tick(again.id);
    await acme.settle();
    acme.clock.advance(DAY);
    sync(acme);
    await acme.later();
    expect(await phase(acme)).toBe('Overlap');
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    acme.world.deleteKey('acme', acme.secrets.integrationKey.publicKey);
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'Completed' });
    expect(await acme.fingerprints('active')).toEqual([acme.fingerprintOf(made)]);
    expect(acme.umbrellaWorks()).toBe(true);
  });
});

describe('a compromised key', () => {
  it('goes as soon as the new one is in use, and its member is never used again', async () => {
    const acme = await healthy({ rotation: { window: 'Mon 02:00-03:00 Europe/Madrid' } });
    await rotate(acme, { compromised: true });
    await until(acme, 'AwaitingKey');
    const made = await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    await install(acme, made);
    await acme.later();
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RetirementUnproved', cause: 'compromise' });
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
    expect(acme.umbrellaWorks()).toBe(true);
    expect((await acme.record()).status?.memory.slots?.now).toEqual(['umbrella-a2', 'umbrella-b']);
  });

  it('of the one member that both keys have is not cut before there is a new one', async () => {
    const acme = await healthy({
      connectwise: { members: { strategy: 'same-member', identifiers: ['umbrella-a'], adopt: true } },
    });
    const request = {
      credential: 'integration' as const,
      by: 'ann',
      reason: 'stolen',
      compromised: true,
      cutNow: true,
    };
    expect(await acme.ask((commands) => commands.rotate('acme', request))).toMatchObject({
      refusal: { problems: [{ path: 'cutNow' }] },
    });
  });

  it('is cut before there is a new one only where a person asked for the outage', async () => {
    const acme = await healthy();
    await rotate(acme, { compromised: true, cutNow: true });
    await acme.settle();
    await acme.later();
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
    expect(acme.umbrellaWorks()).toBe(false);
    expect(await phase(acme)).toBe('AwaitingKey');
  });

  it('hurries a rotation that is under way', async () => {
    const acme = await healthy();
    await adopted(acme);
    await rotate(acme, { compromised: true });
    await acme.settle();
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RetirementUnproved', cause: 'compromise' });
  });
});

const SAME: SpecChange = {
  connectwise: {
    members: { strategy: 'same-member', identifiers: ['umbrella-a'], adopt: true, dedicated: true },
  },
};

describe('one member for both keys', () => {
  it('is attested, and its old key is deleted by a person; the member stays on', async () => {
    const acme = await healthy(SAME);
    const old = acme.world.viewCompany('acme').console!.installedPublicKey!;
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    const made = await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    acme.world.installKey('acme', made);
    const { id, content } = await acme.handoff('install-integration-key');
    expect(content.closedBy).toContain('--attest');
    await acme.tick(id, true);
    await acme.settle();
    expect(await phase(acme)).toBe('Overlap');
    sync(acme);
    await acme.later(5 * DAY);
    expect(await phase(acme)).toBe('RetiringOld');
    acme.world.deleteKey('acme', old);
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'Completed', adopted: { how: 'attested' } });
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(false);
    expect(acme.umbrellaWorks()).toBe(true);
  });
});

describe('Umbrella’s writes of every day', () => {
  it('tell nothing of the old key where both are of one member: the rotation goes on', async () => {
    const acme = await healthy(SAME);
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    const made = await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    acme.world.installKey('acme', made);
    await acme.tick((await acme.handoff('install-integration-key')).id, true);
    await acme.settle();
    for (let days = 0; days < 5; days += 1) {
      acme.clock.advance(DAY - 15 * 60_000);
      sync(acme);
      await acme.later();
    }
    expect(await acme.verdict('RotationHealthy')).toBe('True UnderWay');
    expect(await phase(acme)).toBe('RetiringOld');
  });
});

describe('a key that Parasol was never given', () => {
  it('is replaced by a rotation, and its retirement stays unproved', async () => {
    const acme = await healthy({}, { given: ['management', 'umbrella-api', 'umbrella-key-admin'] });
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    const made = await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    await install(acme, made);
    await until(acme, 'Overlap');
    sync(acme);
    await acme.later(5 * DAY);
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RetirementUnproved' });
    expect(member(acme, 'umbrella-a')?.inactiveFlag).toBe(true);
    expect(acme.umbrellaWorks()).toBe(true);
  });
});

describe('a pair that is shown', () => {
  it('is shown once, to who claimed its hand-off, and that is an event', async () => {
    const acme = await healthy();
    await rotate(acme);
    await until(acme, 'AwaitingKey');
    const made = await giveKey(acme);
    await until(acme, 'AwaitingInstall');
    const { id } = await acme.handoff('install-integration-key');
    const show = (by: string) =>
      acme.ask((commands) => commands.reveal(id, { by, reason: 'the window is closed' }));
    expect(await show('ann')).toMatchObject({ refusal: { message: expect.stringContaining('Claim') } });
    value(await acme.ask((commands) => commands.claimHandoff(id, 'ann')));
    expect(await show('bob')).toMatchObject({ refusal: { kind: 'conflict' } });
    const { pair } = value(await show('ann'));
    expect([pair.publicHalf, pair.privateHalf.reveal()]).toEqual([made.publicKey, made.privateKey]);
    expect(await show('ann')).toMatchObject({ refusal: { message: expect.stringContaining('shown once') } });
    const events = await acme.events();
    expect(events.filter((event) => event.startsWith('SecretRevealed'))).toHaveLength(1);
    expect(JSON.stringify(events)).not.toContain(made.privateKey);
  });
});

describe('the members of the spec', () => {
  it('that change while a rotation is under way end it: both keys stay as they are', async () => {
    const acme = await healthy();
    await adopted(acme);
    await acme.change({ connectwise: { members: { identifiers: ['sync-a', 'sync-b'] } } });
    const before = acme.writes().length;
    await acme.later();
    const [next, ended] = value(await acme.ask((commands) => commands.rotations('acme')));
    expect(ended).toMatchObject({ phase: 'Failed', outcome: expect.stringContaining('other members') });
    // The key in use is of a member that the spec no longer names: another one begins, beside it.
    expect(next).toMatchObject({ cause: 'invalid', member: 'sync-a', old: { member: 'umbrella-b' } });
    expect(
      acme
        .writes()
        .slice(before)
        .filter((call) => call.startsWith('PATCH')),
    ).toEqual([]);
    expect(acme.umbrellaWorks()).toBe(true);
  });
});

describe('a rotation by age', () => {
  it('that was taken back is not begun again at once', async () => {
    const acme = await healthy({ rotation: { maxAge: '100d' } });
    await acme.later(92 * DAY);
    await until(acme, 'AwaitingKey');
    await rollback(acme);
    await acme.later();
    await acme.later();
    expect(await outcome(acme)).toMatchObject({ phase: 'RolledBack' });
    await acme.later(9 * DAY);
    expect(await phase(acme)).toBeUndefined();
    await acme.later(2 * DAY);
    expect((await acme.record()).rotation).toMatchObject({ cause: 'age' });
  });
});

describe('a retired key', () => {
  it('that works again when its slot is used again holds the rotation until it is deleted', async () => {
    const acme = await healthy();
    const old = acme.secrets.integrationKey;
    await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    acme.world.deleteKey('acme', old.publicKey);
    await acme.later();
    expect(await acme.fingerprints('dead')).toEqual([acme.fingerprintOf(old)]);

    // The vendor brings it back.
    acme.world.makeKey('acme', 'umbrella-a', 'risen', old);
    sync(acme);
    await rotate(acme);
    await acme.settle();
    await acme.later();
    expect(await phase(acme)).toBe('PreparingMember');
    expect(await acme.verdict('RotationHealthy')).toBe('False RetiredKeyAlive');
    expect(await acme.handoff('delete-key')).toMatchObject({ subject: acme.fingerprintOf(old) });
    acme.world.deleteKey('acme', old.publicKey);
    await acme.later();
    expect(await phase(acme)).toBe('AwaitingKey');
    expect(acme.umbrellaWorks()).toBe(true);
  });

  it('that works again is an incident', async () => {
    const acme = await healthy();
    await adopted(acme);
    sync(acme);
    await acme.later(5 * DAY);
    await acme.later(4 * DAY);
    await acme.later();
    expect(await phase(acme)).toBeUndefined();
    // That ConnectWise refuses it says nothing while its member is off, however often it is tried.
    for (let days = 0; days < 3; days += 1) {
      sync(acme);
      await acme.later(DAY);
    }
    expect(await acme.fingerprints('dead')).toEqual([]);
    // Somebody switches the old member on again, in ConnectWise.
    acme.world.activateMember('acme', 'umbrella-a');
    sync(acme);
    await acme.later(2 * DAY);
    expect(await acme.verdict('RotationHealthy')).toBe('False RetiredKeyAlive');
    expect(await acme.liveHandoffs()).toMatchObject([{ kind: 'delete-key' }]);
    expect(acme.umbrellaWorks()).toBe(true);
  });
});
