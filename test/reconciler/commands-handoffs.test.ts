import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { IntegrationMemory } from '../../src/domain/condition.ts';
import type { HandoffKind } from '../../src/domain/handoff.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import {
  applied,
  connectwiseKey,
  EU_SITE,
  input,
  openDesk,
  pair,
  refusal,
  status,
  value,
  leaving,
} from './commands-fixtures.ts';

let desk: Awaited<ReturnType<typeof openDesk>>;
let commands: Commands;
beforeAll(async () => {
  desk = await openDesk();
  ({ commands } = desk);
});
afterAll(() => desk.close());

const ASKS = { input: { purpose: 'integration' as const, member: 'umbrella-b' } };

let count = 0;
/** A tenant of its own with one hand-off. */
async function given(kind: HandoffKind, parts: Parameters<typeof input>[1] = {}) {
  const id = `t${++count}`;
  // A run opens hand-offs in no other mode.
  await applied(commands, input(id, { mode: 'repair', ...parts }));
  const asks = kind === 'issue-integration-key';
  const handoff = await desk.handoff(id, kind, asks ? 'umbrella-b' : 'Umbrella', asks ? ASKS : {});
  return { id, handoff };
}

const submit = (id: string, name: string | null, change: { by?: string; attest?: boolean } = {}) =>
  commands.submitHandoff(id, {
    by: 'pat',
    pair: name === null ? null : pair(name),
    attest: false,
    ...change,
  });

const close = (id: string, handoff: string, change: 'close' | 'withdraw' = 'close') =>
  desk.run(id, { handoffs: [{ change, id: handoff, evidence: 'It was seen' }] });

const NOT_KEPT =
  'The pair was not kept. Delete that key in ConnectWise (System > Members > API Members > umbrella-b > API Keys), ' +
  'or, if it is to be used, give it with';

describe('a hand-off', () => {
  test('is claimed by one person, and given back by that one', async () => {
    const { handoff } = await given('grant-role-levels');
    expect(value(await commands.claimHandoff(handoff, 'pat'))).toMatchObject({
      state: 'claimed',
      claimedBy: 'pat',
    });
    expect(value(await commands.claimHandoff(handoff, 'pat')).claimedBy).toBe('pat');
    expect(refusal(await commands.claimHandoff(handoff, 'sam'))).toMatch(
      /^conflict: pat claimed this hand-off at /,
    );
    expect(refusal(await commands.releaseHandoff(handoff, 'sam'))).toMatch(
      /^conflict: pat claimed this hand-off/,
    );
    expect(value(await commands.releaseHandoff(handoff, 'pat')).state).toBe('open');
    expect(refusal(await commands.releaseHandoff(handoff, 'pat'))).toBe(
      'conflict: Nobody claimed this hand-off.',
    );
  });

  test('that was submitted or closed is not claimed any more', async () => {
    const { id, handoff } = await given('grant-role-levels');
    value(await submit(handoff, null));
    expect(refusal(await commands.claimHandoff(handoff, 'sam'))).toBe(
      'conflict: pat did it: Parasol looks for the evidence.',
    );
    await close(id, handoff);
    expect(refusal(await commands.claimHandoff(handoff, 'sam'))).toBe(
      'conflict: This hand-off was closed: It was seen',
    );
  });

  test.each<[string, (id: string) => Promise<Parameters<typeof refusal>[0]>]>([
    ['shown', (id) => commands.handoff(id)],
    ['claimed', (id) => commands.claimHandoff(id, 'pat')],
    ['given back', (id) => commands.releaseHandoff(id, 'pat')],
    ['submitted', (id) => submit(id, 'any')],
  ])('that does not exist is not %s', async (_, ask) => {
    expect(refusal(await ask('none'))).toBe('not found: There is no hand-off none.');
  });

  test('is listed by tenant, and only while it lives where that is asked', async () => {
    const { id, handoff } = await given('grant-role-levels');
    const other = await given('grant-role-levels');
    const ids = async (filter: Parameters<Commands['handoffs']>[0]) =>
      (await commands.handoffs(filter)).map((one) => one.id);
    expect(await ids({ tenant: id, live: true })).toEqual([handoff]);
    await close(id, handoff);
    expect(await ids({ tenant: id, live: true })).toEqual([]);
    expect(await ids({ tenant: id, live: false })).toEqual([handoff]);
    expect(await ids({ tenant: null, live: true })).toContain(other.handoff);
  });
});

describe('the word that the work was done', () => {
  test('claims the hand-off, and triggers the look for evidence', async () => {
    const { id, handoff } = await given('grant-role-levels');
    const { trigger, handoff: submitted } = value(await submit(handoff, null));
    expect(submitted).toMatchObject({
      state: 'submitted',
      submittedBy: 'pat',
      claimedBy: 'pat',
      attested: false,
    });
    expect(value(await commands.status(id))).toMatchObject({
      trigger: { requested: trigger, handled: trigger - 1 },
      handoffs: [{ id: handoff, state: 'submitted' }],
    });
    const { items } = value(await commands.events(id, { before: null, limit: 1 }));
    expect(items).toMatchObject([{ message: 'pat says that it is done: Do grant-role-levels' }]);
  });

  test('is not taken from another than who claimed it', async () => {
    const { handoff } = await given('grant-role-levels');
    value(await commands.claimHandoff(handoff, 'sam'));
    expect(refusal(await submit(handoff, null))).toMatch(
      /^conflict: sam claimed this hand-off at .*: one person/,
    );
    expect(value(await commands.handoff(handoff)).state).toBe('claimed');
  });

  test('comes without a pair where none is asked for', async () => {
    const { id, handoff } = await given('grant-role-levels');
    expect(refusal(await submit(handoff, 'unasked'))).toBe(
      'publicKey: no pair is asked for here, and it was not kept',
    );
    expect(value(await commands.handoff(handoff)).state).toBe('open');
    expect(value(await commands.tenant(id)).credentials).toEqual([]);
  });

  test('comes with the pair where one is asked for', async () => {
    const { handoff } = await given('issue-integration-key');
    expect(refusal(await submit(handoff, null))).toBe('publicKey: is asked for: the pair made on umbrella-b');
    expect(value(await commands.handoff(handoff)).state).toBe('open');
  });

  test('is not taken once the hand-off ended', async () => {
    const { id, handoff } = await given('grant-role-levels');
    await close(id, handoff, 'withdraw');
    expect(refusal(await submit(handoff, null))).toBe('conflict: This hand-off was withdrawn: It was seen.');
  });
});

describe('the pair that a hand-off asks for', () => {
  test('is sealed as a candidate of the member that it was made on', async () => {
    const { id, handoff } = await given('issue-integration-key');
    value(await submit(handoff, 'made'));
    expect(value(await commands.status(id)).keys).toMatchObject([
      {
        purpose: 'integration',
        state: 'candidate',
        member: 'umbrella-b',
        slot: 'b',
        fingerprint: desk.fingerprint('made'),
        rotateBy: null,
      },
    ]);
    const { items } = value(await commands.events(id, { before: null, limit: 1 }));
    expect(items).toMatchObject([
      { message: `pat gave the pair ${desk.fingerprint('made')} for: Do issue-integration-key` },
    ]);
  });

  test('is accepted once, however often it is submitted', async () => {
    const { id, handoff } = await given('issue-integration-key');
    const first = value(await submit(handoff, 'twice'));
    const second = value(await submit(handoff, 'twice'));
    expect(second).toEqual({ handoff: first.handoff, trigger: first.trigger });
    expect(value(await commands.tenant(id)).credentials).toHaveLength(1);
  });

  test.each(['active', 'proved'] as const)(
    'is accepted again after it closed the hand-off as %s',
    async (state) => {
      const { id, handoff } = await given('issue-integration-key');
      value(await submit(handoff, 'lost'));
      await desk.becomes(id, 'lost', state);
      await close(id, handoff);
      expect(value(await submit(handoff, 'lost')).handoff.state).toBe('closed');
      expect(value(await commands.tenant(id)).credentials).toHaveLength(1);
    },
  );

  test('is not kept twice where it came by another way before', async () => {
    const { id, handoff } = await given('issue-integration-key');
    value(await commands.replaceCredential(id, 'integration', pair('byhand'), 'umbrella-b'));
    expect(value(await submit(handoff, 'byhand')).handoff.state).toBe('submitted');
    expect(value(await commands.tenant(id)).credentials).toHaveLength(1);
  });

  test('may be followed by another', async () => {
    const { id, handoff } = await given('issue-integration-key');
    value(await submit(handoff, 'mistyped'));
    value(await submit(handoff, 'right'));
    expect(await desk.keys(id, 'integration', ['mistyped', 'right'])).toEqual([
      'candidate mistyped',
      'candidate right',
    ]);
  });

  test.each(['closed', 'withdrawn'] as const)(
    'is not kept where the hand-off was %s meanwhile: a person is told what to do with that key',
    async (end) => {
      const { id, handoff } = await given('issue-integration-key');
      await close(id, handoff, end === 'closed' ? 'close' : 'withdraw');
      expect(refusal(await submit(handoff, 'late'))).toBe(
        `conflict: This hand-off was ${end}: It was seen. ${NOT_KEPT} ` +
          `\`parasol credential ${id} integration --member umbrella-b\`.`,
      );
      expect(value(await commands.tenant(id)).credentials).toEqual([]);
    },
  );

  test('is not kept from another than who claimed it: that person is told the same', async () => {
    const { id, handoff } = await given('issue-integration-key');
    value(await commands.claimHandoff(handoff, 'sam'));
    expect(refusal(await submit(handoff, 'second'))).toContain(`one person does it. ${NOT_KEPT}`);
    expect(value(await commands.tenant(id)).credentials).toEqual([]);
  });

  test('is not kept for a tenant that is going', async () => {
    const { id, handoff } = await given('issue-integration-key');
    value(await commands.deleteTenant(id, leaving()));
    expect(refusal(await submit(handoff, 'going'))).toContain(`${id} is being deleted. ${NOT_KEPT}`);
    expect(value(await commands.tenant(id)).credentials).toEqual([]);
  });

  const withKeys = {
    connectwise: {
      managementKey: connectwiseKey('own'),
      integrationKey: { member: 'umbrella-a', ...connectwiseKey('today') },
    },
  };
  test('is not the pair in use', async () => {
    const { handoff } = await given('issue-integration-key', withKeys);
    expect(refusal(await submit(handoff, 'today'))).toBe(
      'publicKey: is the pair in use already: make a new key on umbrella-b',
    );
  });

  test('may be the pair that is in use for another site', async () => {
    const { id, handoff } = await given('issue-integration-key', withKeys);
    await applied(commands, input(id, { mode: 'repair', connectwise: { site: EU_SITE } }));
    value(await submit(handoff, 'today'));
    expect(await desk.keys(id, 'integration', ['today'])).toEqual([
      'bound-elsewhere today',
      'candidate today',
    ]);
  });

  test('is not Parasol’s own', async () => {
    const { handoff } = await given('issue-integration-key', withKeys);
    expect(refusal(await submit(handoff, 'own'))).toMatch(
      /^publicKey: is in use already: Parasol’s management key/,
    );
  });

  test.each([
    ['dead', 'the vendor refused it before'],
    ['refused', 'it was proved before, and refused'],
    ['superseded', 'a newer one took its place'],
  ] as const)('is not one that was found %s', async (state, because) => {
    const { id, handoff } = await given('issue-integration-key');
    value(await submit(handoff, `was-${state}`));
    await desk.becomes(id, `was-${state}`, state);
    expect(refusal(await submit(handoff, `was-${state}`))).toBe(
      `publicKey: was given before, and ${because}: make a new key on umbrella-b`,
    );
  });
});

describe('a word that stands for evidence', () => {
  const pending = (observable: boolean): IntegrationMemory => ({
    type: null,
    bursts: [],
    install: {
      fingerprint: 'f',
      member: 'umbrella-a',
      promotedAt: '2026-11-24T07:00:00.000Z',
      observable,
      adopted: null,
    },
  });
  const same = { connectwise: { members: { strategy: 'same-member', identifiers: ['umbrella'] } } };

  test.each([
    ['nobody is mapped', { integration: { nothingMapped: true } }, null],
    ['an earlier key of the same member may write too', same, pending(false)],
  ])('is taken for the install where %s', async (_, parts, memory) => {
    const { id, handoff } = await given('install-integration-key', parts);
    if (memory) await desk.run(id, { status: status({ memory }) });
    const submitted = value(await submit(handoff, null, { attest: true })).handoff;
    expect(submitted).toMatchObject({ state: 'submitted', attested: true, submittedBy: 'pat' });
    const { items } = value(await commands.events(id, { before: null, limit: 1 }));
    expect(items).toMatchObject([
      {
        message: 'pat vouches for it, and nothing shows it: Do install-integration-key',
        data: { attested: true, by: 'pat' },
      },
    ]);
  });

  test.each([
    ['Umbrella’s writes will show it', {}, pending(true)],
    ['nothing was observed yet', {}, null],
    ['the key of the only member was in use before', same, null],
  ])('is not taken where %s', async (_, parts, memory) => {
    const { id, handoff } = await given('install-integration-key', parts);
    if (memory) await desk.run(id, { status: status({ memory }) });
    expect(refusal(await submit(handoff, null, { attest: true }))).toBe(
      'attest: Umbrella’s own writes will show it: say that it is done without attesting it',
    );
    expect(value(await submit(handoff, null)).handoff.attested).toBe(false);
  });

  test.each(['grant-role-levels', 'allow-table-setup', 'issue-integration-key', 'delete-key'] as const)(
    'is not taken for %s',
    async (kind) => {
      const { handoff } = await given(kind, { integration: { nothingMapped: true } });
      expect(refusal(await submit(handoff, null, { attest: true }))).toBe(
        `attest: evidence shows ${kind}: no word can stand for it`,
      );
      expect(value(await commands.handoff(handoff)).state).toBe('open');
    },
  );
});
