import { describe, expect, it, test } from 'vitest';
import type { KeyPair } from '../../src/simulator/index.ts';
import { scene, useStore, type Scene, type SceneOptions } from './harness.ts';

useStore();

const DAY = 24 * 60 * 60_000;

/** A tenant whose role and member are as specified, and that has no key yet: one is asked for. */
async function waiting(options: SceneOptions = {}): Promise<Scene> {
  const acme = await (await scene('member-missing', options)).apply();
  await acme.reconcile();
  await acme.later();
  return acme;
}
const make = ({ world }: Scene, member = 'umbrella-a') => world.makeKey('acme', member, 'Umbrella');
const states = async (acme: Scene) =>
  (await acme.record()).credentials
    .filter(({ purpose }) => purpose === 'integration')
    .map(({ state }) => state);
const give = async (acme: Scene, pair: KeyPair) => {
  const { id } = await acme.handoff('issue-integration-key');
  await acme.submit(pair, { handoffId: id });
  await acme.reconcile();
};

describe('a pair that was given', () => {
  it('is promoted once it proved itself, and is to be put into Umbrella', async () => {
    const acme = await waiting();
    await give(acme, make(acme));
    expect(await states(acme)).toEqual(['active']);
    expect((await acme.liveHandoffs()).map(({ kind }) => kind)).toEqual(['install-integration-key']);
    expect(await acme.events()).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^CredentialActivated/),
        expect.stringMatching(/^HandoffClosed/),
      ]),
    );
  });

  it('that is dead is refused, and asked for again with the reason', async () => {
    const acme = await waiting();
    await give(acme, { publicKey: 'nobody', privateKey: 'nothing' });
    expect(await states(acme)).toEqual(['dead']);
    expect(await acme.handoff('issue-integration-key')).toMatchObject({
      state: 'claimed',
      evidence: expect.stringContaining('refused'),
    });
    await give(acme, make(acme));
    expect(await states(acme)).toEqual(['dead', 'active']);
  });

  it('of another member is refused, and is to be deleted, which is believed when it is seen dead', async () => {
    const acme = await waiting();
    const stranger = make(acme, 'parasol');
    await give(acme, stranger);
    expect(await states(acme)).toEqual(['refused']);
    const deletion = await acme.handoff('delete-key');
    await acme.tick(deletion.id);
    await acme.reconcile();
    expect(await acme.handoff('delete-key')).toMatchObject({
      state: 'claimed',
      evidence: 'That pair still works.',
    });
    acme.world.deleteKey('acme', stranger.publicKey);
    await acme.later();
    expect(await states(acme)).toEqual(['dead']);
    expect((await acme.liveHandoffs()).map(({ kind }) => kind)).toEqual(['issue-integration-key']);
  });

  it('outlives bad weather, and is proved when it is over', async () => {
    const acme = await waiting();
    const fault = acme.world.faults.add({
      when: { actor: 'umbrella-a' },
      effect: { kind: 'status', status: 503 },
    });
    await give(acme, make(acme));
    await acme.later();
    expect(await states(acme)).toEqual(['candidate']);
    expect(acme.result.next.inMs).toBeLessThanOrEqual(60_000);
    acme.world.faults.remove(fault);
    await acme.later();
    expect(await states(acme)).toEqual(['active']);
  });

  test.each<[string, (acme: Scene) => unknown, (acme: Scene) => unknown]>([
    [
      'too weak',
      ({ world }) => world.setLevels('acme', 'Umbrella', { 'Companies/Configurations': { edit: 'None' } }),
      ({ world }) => world.setProcedureLevels('acme', 'Umbrella'),
    ],
    [
      'too strong',
      ({ world }) => world.setLevels('acme', 'Umbrella', { 'Companies/Configurations': { delete: 'All' } }),
      ({ world }) => world.setLevels('acme', 'Umbrella', { 'Companies/Configurations': { delete: 'None' } }),
    ],
    [
      'without its allow list',
      ({ world }) => world.setAllowList('acme', 'Umbrella', ['Company / Configuration']),
      ({ world }) => world.setAllowList('acme', 'Umbrella'),
    ],
    [
      'refused while its member is off',
      ({ world }) => world.deactivateMember('acme', 'umbrella-a'),
      ({ world }) => world.activateMember('acme', 'umbrella-a'),
    ],
  ])('that is %s is kept, and promoted once that is mended', async (_, spoil, mend) => {
    const acme = await waiting();
    const { id } = await acme.handoff('issue-integration-key');
    const pair = make(acme);
    await acme.change({ paused: true });
    spoil(acme);
    await acme.submit(pair, { handoffId: id });
    await acme.reconcile();
    expect(await states(acme)).toEqual(['candidate']);
    mend(acme);
    await acme.later();
    expect(await states(acme)).toEqual(['active']);
  });
});

describe('a hand-off', () => {
  it('whose deadline passes is told once, and is still to be done', async () => {
    const acme = await waiting();
    await acme.later(4 * DAY);
    await acme.later();
    expect((await acme.events()).filter((event) => event.startsWith('HandoffOverdue'))).toHaveLength(1);
    expect((await acme.handoff('issue-integration-key')).overdueSince).not.toBeNull();
  });

  it('is opened in mode repair only, and not while the tenant is paused', async () => {
    const acme = await (await scene('level-missing', { spec: { mode: 'alert' } })).apply();
    await acme.reconcile();
    await acme.change({ mode: 'repair', paused: true });
    await acme.reconcile();
    expect(await acme.liveHandoffs()).toEqual([]);
    await acme.change({ mode: 'repair', paused: false });
    await acme.reconcile();
    expect(await acme.liveHandoffs()).toHaveLength(1);
  });

  it('that was ticked and not done is given back with what is still wrong', async () => {
    const acme = await (await scene('level-missing')).apply();
    await acme.reconcile();
    const { id } = await acme.handoff('grant-role-levels');
    await acme.tick(id);
    await acme.reconcile();
    expect(await acme.handoff('grant-role-levels')).toMatchObject({
      id,
      state: 'claimed',
      submittedBy: null,
    });
  });
});

describe('that Umbrella uses a new key', () => {
  it('is shown by its member’s writes after the promotion, and by none before', async () => {
    const acme = await (await scene('key-dead')).apply();
    await acme.reconcile();
    const pair = make(acme);
    await give(acme, pair);
    await acme.later();
    await acme.handoff('install-integration-key');
    acme.world.installKey('acme', pair);
    acme.clock.advance(DAY);
    acme.world.runSync('acme');
    await acme.later();
    expect(await acme.liveHandoffs()).toEqual([]);
    expect((await acme.record()).status?.memory.install?.adopted?.how).toBe('observed');
  });

  it('is not shown by writes of a member that an older living key writes as: a person attests it', async () => {
    const acme = await (await scene('key-of-another-member')).apply();
    await acme.reconcile();
    await give(acme, make(acme));
    acme.clock.advance(DAY);
    acme.world.runSync('acme');
    await acme.later();
    const install = await acme.handoff('install-integration-key');
    expect(install.content.closedBy).toContain('--attest');
    await acme.tick(install.id, true);
    await acme.later();
    const closed = (await acme.allHandoffs()).find(({ id }) => id === install.id);
    expect(closed).toMatchObject({ state: 'closed', evidence: expect.stringContaining('Attested by ann') });
    await acme.later();
    expect(await acme.liveHandoffs()).toEqual([]);
  });

  it('is attested where nothing is mapped, and recorded as that', async () => {
    const acme = await waiting({ spec: { integration: { nothingMapped: true } } });
    await give(acme, make(acme));
    const install = await acme.handoff('install-integration-key');
    await acme.tick(install.id, true);
    await acme.later();
    expect(await acme.liveHandoffs()).toEqual([]);
    expect((await acme.record()).status?.memory.install?.adopted?.how).toBe('attested');
    expect(await acme.verdict('UmbrellaIntegrated')).toBe('Unknown NothingMapped');
  });
});
