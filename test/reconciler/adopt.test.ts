import { describe, expect, it, test } from 'vitest';
import { takeApart } from '../../src/reconciler/given-keys.ts';
import { lookToAdopt } from '../../src/reconciler/adopt.ts';
import type { AdoptionView } from '../../src/reconciler/commands.ts';
import type { Keys } from '../../src/reconciler/observe.ts';
import type { HeldCredential } from '../../src/domain/credential.ts';
import { originFor, tenantInputSchema, type Purpose } from '../../src/domain/tenant.ts';
import type { Trouble } from '../../src/simulator/index.ts';
import { scene, useStore, type Scene, type SceneOptions } from './harness.ts';

/** What `adopt` says of an integration that is there is what the service's own runs make of it. */

useStore();

const observing = async (trouble: Trouble, options: SceneOptions = {}) =>
  (await scene(trouble, { ...options, spec: { mode: 'observe', ...options.spec } })).apply();

const asked = async (acme: Scene): Promise<AdoptionView> => {
  const answer = await acme.ask((commands) => commands.adoption('acme'));
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
};

/** By a look of its own, as of a tenant that is only in a file. */
async function fromFile(acme: Scene): Promise<AdoptionView> {
  const { managementKey, integrationKey, umbrellaApiKey } = acme.secrets;
  const held = (await acme.record()).credentials.some(({ purpose }) => purpose === 'integration');
  const { spec, pairs } = takeApart(
    tenantInputSchema.parse({
      ...acme.spec,
      connectwise: {
        ...acme.spec.connectwise,
        managementKey,
        // A person gives the key that is in use, where there is one.
        ...(held ? { integrationKey: { ...integrationKey, member: 'umbrella-a' } } : {}),
      },
      umbrella: { ...acme.spec.umbrella, apiKey: umbrellaApiKey },
    }),
  );
  const credentials = pairs.map(({ purpose, pair, member }): HeldCredential => ({
    id: purpose,
    purpose,
    state: 'active',
    fingerprint: acme.vault.fingerprint(pair),
    member,
    origin: originFor(spec, purpose),
    createdAt: acme.clock.now().toISOString(),
    lastProvedAt: null,
    handoffId: null,
  }));
  const key = (purpose: Purpose) => {
    const given = pairs.find((one) => one.purpose === purpose);
    if (!given) return null;
    const { pair } = given;
    return { credentialId: purpose, fingerprint: acme.vault.fingerprint(pair), pair };
  };
  const keys: Keys = {
    management: key('management'),
    integration: key('integration'),
    umbrellaApi: key('umbrella-api'),
    umbrellaKeyAdmin: null,
    candidates: [],
    successors: [],
  };
  return lookToAdopt({ vendors: acme.vendors, clock: acme.clock }, { spec, keys, credentials });
}

describe('an integration that conforms', () => {
  it('is taken in by a look in mode observe, without a write, and is then Parasol’s', async () => {
    const acme = await observing('healthy');
    expect(await asked(acme)).toMatchObject({ verdict: 'unseen', observedAt: null });
    await acme.reconcile();
    const adoption = await asked(acme);
    expect(adoption.verdict).toBe('taken-in');
    expect(adoption.found.find(({ what }) => what === 'member')).toMatchObject({
      name: 'umbrella-a',
      state: 'conforms',
      ours: { how: 'conforming' },
    });
    expect((await acme.snapshot()).owned).toMatchObject([{ name: 'umbrella-a', how: 'conforming' }]);
    expect(acme.writes()).toEqual([]);
    await acme.change({ mode: 'repair' });
    await acme.later();
    expect(acme.writes()).toEqual([]);
  });
});

describe('what is told of one', () => {
  test.each<Trouble>([
    'healthy',
    'level-missing',
    'level-excess',
    'allow-list-short',
    'member-missing',
    'member-inactive',
    'member-wrong-role',
    'role-missing',
  ])('(%s) is the same before the service has it, and after its first run', async (trouble) => {
    const acme = await observing(trouble);
    const before = await fromFile(acme);
    expect((await acme.snapshot()).owned).toEqual([]);
    await acme.reconcile();
    const after = await asked(acme);
    expect(before.verdict).toBe(after.verdict);
    expect(before.differences).toEqual(after.differences);
    expect(before.plan.steps.map(({ action, state }) => [action.kind, state])).toEqual(
      after.plan.steps.map(({ action, state }) => [action.kind, state]),
    );
    expect(before.found.map(({ what, state, ours }) => [what, state, ours?.how])).toEqual(
      after.found.map(({ what, state, ours }) => [what, state, ours?.how]),
    );
    expect(acme.writes()).toEqual([]);
  });

  it('is what mode repair then does, and what it does not', async () => {
    const acme = await observing('member-inactive');
    await acme.reconcile();
    const left = await asked(acme);
    expect(left.verdict).toBe('differs');
    expect(left.plan.steps.map(({ state }) => state)).toEqual(['held']);
    await acme.change({ mode: 'repair' });
    await acme.later();
    expect(acme.writes()).toEqual([]);
    // Handed over, the same step is done.
    await acme.change({ mode: 'repair', connectwise: { members: { adopt: true } } });
    await acme.later();
    expect(acme.writes()).toEqual(['PATCH /system/apiMembers/{id}']);
    expect((await asked(acme)).verdict).toBe('taken-in');
  });
});
