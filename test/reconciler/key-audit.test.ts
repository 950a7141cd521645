import { describe, expect, it } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { Answer, KeyAudit, RotationAudit } from '../../src/reconciler/commands.ts';
import { scene, useStore, type Scene } from './harness.ts';

/** What an auditor is given, from rotations that were really played. */

useStore();

const DAY = 24 * 60 * 60_000;

const value = <T>(answer: Answer<T>): T => {
  if (!answer.ok) throw new Error(JSON.stringify(answer.refusal));
  return answer.value;
};

const audited = async (acme: Scene): Promise<KeyAudit> =>
  value(await acme.ask((commands) => commands.audit('acme')));

/** Umbrella's daily work, with something to write. */
function sync(acme: Scene): void {
  acme.world.changeFigures('acme');
  acme.world.runSync('acme');
}

async function healthy(): Promise<Scene> {
  const spec = { connectwise: { members: { adopt: true, dedicated: true } } };
  const acme = await (await scene('healthy', { spec })).apply();
  await acme.settle();
  return acme;
}

async function until(acme: Scene, wanted: string): Promise<void> {
  for (let looks = 0; looks < 12; looks += 1) {
    if ((await acme.record()).rotation?.phase === wanted) return;
    await acme.later();
  }
  throw new Error(`not ${wanted}: ${JSON.stringify((await acme.record()).rotation)}`);
}

const rotate = async (acme: Scene) => {
  const request = {
    credential: 'integration' as const,
    by: 'ann',
    reason: 'a drill',
    compromised: false,
    cutNow: false,
  };
  return value(await acme.ask((commands) => commands.rotate('acme', request))).rotation;
};

/** Until Umbrella is asked to be given the new pair. */
async function keyGiven(acme: Scene) {
  await until(acme, 'AwaitingKey');
  const handoff = await acme.handoff('issue-integration-key');
  const made = acme.world.makeKey('acme', handoff.subject, 'Umbrella, by Parasol');
  value(
    await acme.ask((commands) =>
      commands.submitHandoff(handoff.id, {
        by: 'bob',
        pair: { publicHalf: made.publicKey, privateHalf: new Secret(made.privateKey) },
        attest: false,
      }),
    ),
  );
  await until(acme, 'AwaitingInstall');
  return made;
}

/** The whole way, with the pair revealed. */
async function completed(acme: Scene): Promise<void> {
  const old = acme.world.viewCompany('acme').console!.installedPublicKey!;
  const made = await keyGiven(acme);
  const { id } = await acme.handoff('install-integration-key');
  value(await acme.ask((commands) => commands.claimHandoff(id, 'cora')));
  value(await acme.ask((commands) => commands.reveal(id, { by: 'cora', reason: 'the window is closed' })));
  await acme.settle();
  acme.world.installKey('acme', made);
  for (let days = 0; days < 8 && (await acme.record()).rotation?.phase !== 'RetiringOld'; days += 1) {
    acme.clock.advance(DAY);
    sync(acme);
    await acme.later();
  }
  acme.world.deleteKey('acme', old);
  await acme.later();
  await acme.later();
}

const types = ({ events }: Pick<RotationAudit, 'events'>): string[] => events.map(({ type }) => type);
const kinds = ({ handoffs }: Pick<RotationAudit, 'handoffs'>): string[] => handoffs.map(({ kind }) => kind);

describe('the audit of a rotation that was completed', () => {
  it('has who did what, what was observed, and when the old key was seen dead; each thing once', async () => {
    const acme = await healthy();
    const id = await rotate(acme);
    await completed(acme);
    const audit = await audited(acme);
    expect(audit).toMatchObject({ tenant: 'acme', exportedAt: acme.clock.now().toISOString() });
    const [rotation, ...others] = audit.rotations;
    expect(others).toEqual([]);
    expect(rotation).toMatchObject({
      id,
      phase: 'Completed',
      by: 'ann',
      reason: 'a drill',
      cutNow: false,
      installable: { how: 'revealed' },
      adopted: { how: 'observed' },
      old: {
        member: 'umbrella-a',
        deadSince: expect.any(String),
        lastWrite: { configuration: expect.any(String) },
      },
      new: { member: 'umbrella-b' },
    });
    expect(kinds(rotation!).toSorted()).toEqual([
      'delete-key',
      'install-integration-key',
      'issue-integration-key',
    ]);
    const shown = rotation!.handoffs.find(({ kind }) => kind === 'install-integration-key');
    expect(shown).toMatchObject({ claimedBy: 'cora', revealedTo: 'cora', state: 'closed' });
    expect(rotation!.handoffs.find(({ kind }) => kind === 'issue-integration-key')).toMatchObject({
      submittedBy: 'bob',
    });
    for (const type of [
      'RotationRequested',
      'HandoffSubmitted',
      'CredentialProved',
      'SecretRevealed',
      'CredentialActivated',
      'CredentialDead',
      'RotationEnded',
    ]) {
      expect(types(rotation!)).toContain(type);
    }
    const revealed = rotation!.events.find(({ type }) => type === 'SecretRevealed');
    expect(revealed?.message).toContain('cora: the window is closed');
    expect(audit.credentials.map(({ state, purpose }) => `${purpose} ${state}`)).toContain(
      'integration dead',
    );
    expect(audit.events.filter(({ data }) => data?.['rotation'] === id)).toEqual([]);
    expect(audit.handoffs).toEqual([]);
  });

  it('tells two rotations apart, though the key that came with one goes with the other', async () => {
    const acme = await healthy();
    const first = await rotate(acme);
    await completed(acme);
    sync(acme);
    await acme.later();
    const second = await rotate(acme);
    await completed(acme);
    const { rotations, handoffs } = await audited(acme);
    expect(rotations.map(({ id, phase }) => [id, phase])).toEqual([
      [second, 'Completed'],
      [first, 'Completed'],
    ]);
    const [newer, older] = rotations;
    expect(newer!.old?.fingerprint).toBe(older!.new?.fingerprint);
    expect(handoffs).toEqual([]);
    for (const one of [newer!, older!]) {
      expect(kinds(one).toSorted()).toEqual([
        'delete-key',
        'install-integration-key',
        'issue-integration-key',
      ]);
      const dead = one.events.filter(({ type }) => type === 'CredentialDead');
      expect(dead.map(({ data }) => data?.['fingerprint'])).toEqual([one.old?.fingerprint]);
      expect(types(one).filter((type) => type === 'SecretRevealed')).toHaveLength(1);
    }
  });

  it('has no secret in it', async () => {
    const acme = await healthy();
    await rotate(acme);
    const made = await keyGiven(acme);
    const text = JSON.stringify(await audited(acme));
    expect(text).toContain(acme.fingerprintOf(made));
    for (const secret of [made.publicKey, made.privateKey, acme.secrets.integrationKey.privateKey]) {
      expect(text).not.toContain(secret);
    }
  });
});

describe('the audit of what is under way', () => {
  it('tells that it is taken back, by whom and why', async () => {
    const acme = await healthy();
    await rotate(acme);
    await keyGiven(acme);
    const asked = { by: 'dan', reason: 'too early' };
    value(await acme.ask((commands) => commands.rollback('acme', asked)));
    const [rotation] = (await audited(acme)).rotations;
    expect(rotation!.events[0]).toMatchObject({
      type: 'RollbackRequested',
      message: expect.stringContaining('dan'),
    });
    await acme.settle();
    const [ended] = (await audited(acme)).rotations;
    expect(ended).toMatchObject({ phase: 'RolledBack', rollingBack: true });
    expect(kinds(ended!).toSorted()).toContain('install-integration-key');
  });

  it('leaves what belongs to no rotation with the rest', async () => {
    const acme = await (await scene('level-missing')).apply();
    await acme.settle();
    const audit = await audited(acme);
    expect(audit.rotations).toEqual([]);
    expect(kinds(audit)).toEqual(['grant-role-levels']);
    expect(types(audit)).toContain('HandoffOpened');
    expect(types(audit).filter((type) => /Condition|Drift/.test(type))).toEqual([]);
  });
});

it('the audit of a tenant that nobody knows is refused', async () => {
  const acme = await healthy();
  const answer = await acme.ask((commands) => commands.audit('nobody'));
  expect(answer).toMatchObject({ ok: false, refusal: { kind: 'not-found' } });
});
