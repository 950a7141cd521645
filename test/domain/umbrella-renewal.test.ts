import { describe, expect, test } from 'vitest';
import { progress } from '../../src/domain/handoff-progress.ts';
import { plan } from '../../src/domain/plan.ts';
import type { PlanningGround } from '../../src/domain/ground.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import { renewalSteps, whyRenew } from '../../src/domain/umbrella-renewal.ts';
import {
  ago,
  credential,
  DAY,
  factsWith,
  groundWith,
  held,
  KEY_ADMIN,
  seen,
  specWith,
  UMBRELLA_API,
} from './fixtures.ts';

const refused = { ...factsWith(), umbrellaAccess: seen({ accepted: false }, undefined, 'key-u') };
const old = [...held().slice(0, 2), { ...UMBRELLA_API, createdAt: ago(91 * DAY) }];
const declared = (apiKeyExpires: string) => specWith({ umbrella: { apiKeyExpires } });

describe('a person is asked for a new Umbrella key', () => {
  test.each<[string, Partial<PlanningGround>, RegExp | null]>([
    ['not where it works', {}, null],
    ['where it is refused', { facts: refused }, /refuses the key fp-1/],
    [
      'where it is refused, and KeyAdmin could not copy it',
      { facts: refused, credentials: [...held(), KEY_ADMIN] },
      /refuses/,
    ],
    ['where it is too old', { credentials: old }, /held for 91d/],
    ['not where KeyAdmin replaces it', { credentials: [...old, KEY_ADMIN] }, null],
    ['where it expires soon, as declared', { spec: declared(ago(-13 * DAY)) }, /expires on/],
    ['not where it expires late', { spec: declared(ago(-30 * DAY)) }, null],
    ['not where none was ever given', { credentials: held().slice(0, 2) }, null],
  ])('%s', (_, parts, why) => {
    const told = whyRenew(groundWith(parts));
    expect(told === null ? null : why?.test(told)).toBe(why === null ? null : true);
  });

  test('by a hand-off that says where to click, and asks for the pair', () => {
    const ground = groundWith({ facts: refused });
    const [step] = renewalSteps(ground);
    expect(step).toMatchObject({
      state: 'now',
      action: {
        handoff: 'renew-umbrella-key',
        content: { input: { purpose: 'umbrella-api', member: null } },
      },
    });
    expect(plan(ground).steps).toContainEqual(step);
    expect(JSON.stringify(step)).toContain('Admin > API Keys');
  });

  test('once: a pair that was given is proved first', () => {
    const candidate = credential({ ...UMBRELLA_API, id: 'key-n', fingerprint: 'fp-n', state: 'candidate' });
    const [step] = renewalSteps(groundWith({ facts: refused, credentials: [...held(), candidate] }));
    expect(step).toMatchObject({ state: 'later', because: expect.stringContaining('fp-n') });
  });
});

describe('that hand-off', () => {
  const handoff = (parts: Partial<Handoff> = {}): Handoff => ({
    id: 'h-1',
    tenantId: 'acme',
    kind: 'renew-umbrella-key',
    subject: 'fp-1',
    state: 'submitted',
    content: { title: '', why: '', steps: [], closedBy: '' },
    openedAt: ago(DAY),
    deadline: ago(-DAY),
    overdueSince: null,
    claimedBy: 'ann',
    claimedAt: ago(DAY),
    submittedBy: 'ann',
    submittedAt: ago(DAY),
    attested: false,
    closedAt: null,
    automation: null,
    evidence: null,
    revealedAt: null,
    revealedTo: null,
    ...parts,
  });
  const decided = (ground: PlanningGround, one = handoff()) =>
    progress(ground, [one], { steps: [] }, [], true);
  const given = (state: 'active' | 'dead') => ({
    ...UMBRELLA_API,
    id: 'key-n',
    fingerprint: 'fp-n',
    handoffId: 'h-1',
    state,
  });

  test('is closed by the pair that proved itself', () => {
    const credentials = [
      ...held().slice(0, 2),
      { ...UMBRELLA_API, state: 'superseded' as const },
      given('active'),
    ];
    expect(decided(groundWith({ credentials }))).toMatchObject([
      { change: 'close', evidence: 'The key fp-n got a token and listed customers.' },
    ]);
  });

  test('is given back where the pair did not work', () => {
    const credentials = [...held(), given('dead')];
    expect(decided(groundWith({ facts: refused, credentials }))).toMatchObject([
      { change: 'reopen', because: expect.stringContaining('fp-n did not work') },
    ]);
  });

  test('is withdrawn where another key is in use, or the key works after all', () => {
    expect(decided(groundWith(), handoff({ subject: 'fp-0' }))).toMatchObject([{ change: 'withdraw' }]);
    expect(decided(groundWith())).toMatchObject([
      { change: 'withdraw', evidence: expect.stringContaining('works') },
    ]);
    expect(decided(groundWith({ facts: refused }))).toEqual([]);
  });
});
