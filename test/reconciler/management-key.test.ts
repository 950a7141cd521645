import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { KeyPair as SimulatedPair } from '../../src/simulator/index.ts';
import { scene, useStore, type Scene } from './harness.ts';

/** Parasol's own key is replaced in three steps: the next one does the same reads, takes over, the last one is deleted. */

useStore();

/** The member of Parasol's own key in the simulator. */
const PARASOL = 'parasol';

async function healthy() {
  const acme = await (await scene('healthy')).apply();
  await acme.reconcile();
  return acme;
}

async function give(acme: Scene, { publicKey, privateKey }: SimulatedPair): Promise<void> {
  const pair = { publicHalf: publicKey, privateHalf: new Secret(privateKey) };
  const given = await acme.ask((commands) => commands.replaceCredential('acme', 'management', pair, null));
  if (!given.ok) throw new Error(JSON.stringify(given.refusal));
}

/** The states of Parasol's own keys, oldest first, and which of them called last. */
const states = async (acme: Scene) =>
  (await acme.record()).credentials
    .filter(({ purpose }) => purpose === 'management')
    .map(({ state }) => state);

describe('Parasol’s own key', () => {
  it('is replaced by one that did the same reads, and deleted by a person once that one was seen at work', async () => {
    const acme = await healthy();
    const before = acme.secrets.managementKey;
    await give(acme, acme.world.makeKey('acme', PARASOL, 'the next one'));
    await acme.reconcile();
    expect(await states(acme)).toEqual(['superseded', 'active']);
    expect(await acme.verdict('ManagementKeyValid')).toBe('True Valid');
    // It was not seen at work yet: nobody is asked to delete the one before.
    expect(await acme.liveHandoffs()).toEqual([]);

    await acme.later();
    const deletion = await acme.handoff('delete-key');
    expect(deletion).toMatchObject({ subject: acme.fingerprintOf(before) });
    expect(deletion.content.why).toContain('Parasol’s own');
    acme.world.deleteKey('acme', before.publicKey);
    await acme.later();
    expect(await states(acme)).toEqual(['dead', 'active']);
    expect(await acme.liveHandoffs()).toEqual([]);
    expect(await acme.told()).toMatchObject({ ready: 'True', plan: [] });
    await acme.later();
    expect(acme.result.run.reads).toBeLessThanOrEqual(9);
    expect(acme.writes()).toEqual([]);
  });

  it('is kept in use while the next one may do less than it', async () => {
    const acme = await healthy();
    acme.world.createRole('acme', 'Weak');
    acme.world.createMember('acme', { identifier: 'weakling', role: 'Weak' });
    await give(acme, acme.world.makeKey('acme', 'weakling', 'too weak'));
    await acme.reconcile();
    await acme.later();
    expect(await states(acme)).toEqual(['active', 'candidate']);
    expect(acme.result.next.inMs).toBeLessThanOrEqual(60_000);
    expect(await acme.verdict('ManagementKeyValid')).toBe('True Valid');
  });

  it('is not replaced by a dead pair, nor by one of the integration’s own member', async () => {
    const acme = await healthy();
    const dead = acme.world.makeKey('acme', PARASOL, 'deleted at once');
    acme.world.deleteKey('acme', dead.publicKey);
    await give(acme, dead);
    await acme.reconcile();
    await give(acme, acme.world.makeKey('acme', 'umbrella-a', 'the wrong member'));
    await acme.reconcile();
    expect(await states(acme)).toEqual(['active', 'dead', 'refused']);
    await acme.later();
    expect((await acme.handoff('delete-key')).content.steps.join(' ')).toContain('umbrella-a');
  });

  it('that is dead is replaced by whatever works', async () => {
    const acme = await healthy();
    acme.world.deleteKey('acme', acme.secrets.managementKey.publicKey);
    await acme.later();
    expect(await acme.verdict('ManagementKeyValid')).toBe('False Refused');
    await give(acme, acme.world.makeKey('acme', PARASOL, 'the next one'));
    await acme.later();
    await acme.later();
    expect(await states(acme)).toEqual(['dead', 'active']);
    expect(await acme.told()).toMatchObject({ ready: 'True' });
  });

  it('outlives bad weather while the next one is proved', async () => {
    const acme = await healthy();
    await give(acme, acme.world.makeKey('acme', PARASOL, 'the next one'));
    const fault = acme.world.faults.add({
      when: { operation: '/system/securityroles' },
      effect: { kind: 'status', status: 503 },
    });
    await acme.reconcile();
    expect(await states(acme)).toEqual(['active', 'candidate']);
    acme.world.faults.remove(fault);
    await acme.later();
    expect(await states(acme)).toEqual(['superseded', 'active']);
  });
});
