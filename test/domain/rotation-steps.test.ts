import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { intentKey, type Step } from '../../src/domain/action.ts';
import type { OwnedObject, PlanningGround } from '../../src/domain/ground.ts';
import type { FactValues, MemberFact } from '../../src/domain/observation.ts';
import { plan } from '../../src/domain/plan.ts';
import { rotationSteps } from '../../src/domain/rotation-steps.ts';
import type { Rotation } from '../../src/domain/rotation.ts';
import {
  ago,
  alive,
  at,
  candidateWith,
  credential,
  factsOf,
  factsWith,
  groundWith,
  heldButIntegration,
  HOUR,
  memberWith,
  PARASOL,
  ROLE,
  rowsWith,
  seen,
  specWith,
} from './fixtures.ts';
import { endedAs, FRESH, LIVE_PHASES, OLD, rotationIn } from './rotation-fixtures.ts';

const A = memberWith();
const B = memberWith({ id: 202, identifier: 'umbrella-b' });
const off = (member: MemberFact): MemberFact => ({ ...member, inactive: true });
const DEAD = { ...OLD, deadSince: ago(HOUR) };
const UNHELD = { ...OLD, credentialId: null, fingerprint: null };

/** A tenant whose members are Parasol's to switch, and nobody else's. */
const dedicated = specWith({ mode: 'repair', connectwise: { members: { adopt: true, dedicated: true } } });
/** Members that may hold keys of others. */
const shared = specWith({ mode: 'repair', connectwise: { members: { adopt: true } } });
const sameMember = specWith({
  mode: 'repair',
  connectwise: {
    members: { strategy: 'same-member', identifiers: ['umbrella-a'], adopt: true, dedicated: true },
  },
});
const made: OwnedObject = {
  kind: 'member',
  name: 'umbrella-a',
  externalId: A.id,
  how: 'created',
  since: ago(HOUR),
};

const withMembers = (items: MemberFact[], values: Partial<FactValues> = {}) =>
  factsWith({ members: { items: [PARASOL, ...items], controlSeen: true }, ...values });
const ground = (rotation: Rotation, parts: Partial<PlanningGround> = {}): PlanningGround =>
  groundWith({ spec: dedicated, facts: withMembers([A, B]), rotation, ...parts });

/** `now umbrella-a off`, `now delete-key fp-1`. */
const short = ({ state, action }: Step): string => {
  switch (action.kind) {
    case 'open-handoff':
      return `${state} ${action.handoff} ${action.subject}`;
    case 'change-member': {
      const { active, ...others } = action.set;
      const switched = active === undefined ? [] : [active ? 'on' : 'off'];
      return [state, action.identifier, ...switched, ...Object.keys(others)].join(' ');
    }
    case 'create-member':
      return `${state} make ${action.identifier}`;
    case 'create-role':
      return `${state} make the role`;
  }
};
const steps = (rotation: Rotation, parts: Partial<PlanningGround> = {}): string[] =>
  rotationSteps(ground(rotation, parts)).map(short);

describe('the steps of a rotation', () => {
  const retiring = rotationIn('RetiringOld');
  const cut = { cutNow: true, cause: 'compromise' as const };
  const back = { reversed: true, old: { ...OLD, ...FRESH }, fresh: OLD, target: 'umbrella-a' };
  const inUseB = {
    credentials: [
      ...heldButIntegration(),
      credential({ state: 'superseded' }),
      candidateWith({ state: 'active', member: 'umbrella-b' }),
    ],
  };
  const oldWorks = (when = at) => ({
    ...withMembers([off(A), B]),
    candidates: { 'key-1': seen(alive(), when, 'key-1') },
  });

  test.each<[string, Rotation, Partial<PlanningGround>, string[]]>([
    ['none before it begins', rotationIn('Pending'), {}, []],
    ['none once it has ended', endedAs('Completed', 'Done.'), {}, []],

    [
      'make the member, and ask for nothing yet',
      rotationIn('PreparingMember'),
      { facts: withMembers([A]) },
      ['now make umbrella-b', 'later issue-integration-key umbrella-b'],
    ],
    [
      'make no member where the list may be incomplete',
      rotationIn('PreparingMember'),
      { facts: factsWith({ members: { items: [A], controlSeen: false } }) },
      ['later issue-integration-key umbrella-b'],
    ],
    [
      'make no member before its role has its levels',
      rotationIn('PreparingMember'),
      {
        facts: withMembers([A], {
          roleLevels: {
            roleId: ROLE.id,
            rows: rowsWith('Companies/Configurations', 'edit', 'None'),
            source: 'settings',
          },
        }),
      },
      ['later make umbrella-b', 'later issue-integration-key umbrella-b'],
    ],
    [
      'switch the member on',
      rotationIn('PreparingMember'),
      { facts: withMembers([A, off(B)]) },
      ['now umbrella-b on', 'later issue-integration-key umbrella-b'],
    ],
    [
      'do not switch a member on that may hold a key that nobody saw die',
      rotationIn('PreparingMember'),
      {
        facts: withMembers([A, off(B)]),
        credentials: [
          ...heldButIntegration(),
          credential(),
          candidateWith({ state: 'superseded', member: 'umbrella-b' }),
        ],
      },
      ['held umbrella-b on', 'later issue-integration-key umbrella-b'],
    ],
    [
      'do not switch a member on that may hold keys of others',
      rotationIn('PreparingMember'),
      { spec: shared, facts: withMembers([A, off(B)]) },
      ['held umbrella-b on', 'later issue-integration-key umbrella-b'],
    ],
    [
      'switch on again what a rollback puts back, with its key',
      rotationIn('PreparingMember', back),
      { facts: withMembers([off(A), B]), ...inUseB },
      ['now umbrella-a on'],
    ],
    [
      'mend the member',
      rotationIn('PreparingMember'),
      { facts: withMembers([A, { ...B, level: { id: 9, name: 'Branch' } }]) },
      ['now umbrella-b level', 'later issue-integration-key umbrella-b'],
    ],
    [
      'leave the member in use to the plan',
      rotationIn('PreparingMember', { target: 'umbrella-a', old: null }),
      { facts: withMembers([{ ...A, level: { id: 9, name: 'Branch' } }]) },
      ['later issue-integration-key umbrella-a'],
    ],

    ['ask for a key', rotationIn('AwaitingKey'), {}, ['now issue-integration-key umbrella-b']],
    ['ask for nothing while a pair is proved', rotationIn('Verifying'), {}, []],
    [
      'keep the member up meanwhile',
      rotationIn('Verifying'),
      { facts: withMembers([A, off(B)]) },
      ['now umbrella-b on'],
    ],
    ['ask for it to be installed', rotationIn('AwaitingInstall'), {}, ['now install-integration-key fp-2']],
    ['go on to ask', rotationIn('AwaitingAdoption'), {}, ['now install-integration-key fp-2']],
    ['ask for nothing in the overlap', rotationIn('Overlap'), inUseB, []],

    ['ask for the old key’s deletion, its member on', retiring, inUseB, ['now delete-key fp-1']],
    [
      'switch its member off once it was seen dead',
      { ...retiring, old: DEAD },
      inUseB,
      ['now umbrella-a off'],
    ],
    [
      'are none once that is off',
      { ...retiring, old: DEAD },
      { facts: withMembers([off(A), B]), ...inUseB },
      [],
    ],
    [
      'are none where members were not seen',
      { ...retiring, old: DEAD },
      { facts: factsWith({ members: undefined }), ...inUseB },
      [],
    ],
    [
      'do not switch a member off that may hold keys of others',
      { ...retiring, old: DEAD },
      { spec: shared, ...inUseB },
      ['held umbrella-a off'],
    ],
    [
      'but one that Parasol made',
      { ...retiring, old: DEAD },
      { spec: shared, owned: [made], ...inUseB },
      ['now umbrella-a off'],
    ],
    [
      'ask a person to delete it where the member must stay',
      retiring,
      { spec: shared, ...inUseB },
      ['now delete-key fp-1'],
    ],
    [
      'switch off and ask once the deletion is overdue',
      retiring,
      { overdueDeletions: ['fp-1'], ...inUseB },
      ['now umbrella-a off', 'now delete-key fp-1'],
    ],
    [
      'wait where another deletion is overdue',
      retiring,
      { overdueDeletions: ['fp-9'], ...inUseB },
      ['now delete-key fp-1'],
    ],
    [
      'switch off and ask where it is compromised',
      { ...retiring, cause: 'compromise' },
      inUseB,
      ['now umbrella-a off', 'now delete-key fp-1'],
    ],
    [
      'even then only ask where the member must stay',
      { ...retiring, cause: 'compromise' },
      { spec: shared, ...inUseB },
      ['now delete-key fp-1'],
    ],
    [
      'ask on while the key works though its member is off',
      retiring,
      { facts: oldWorks(), ...inUseB },
      ['now delete-key fp-1'],
    ],
    ['by what was seen just now only', retiring, { facts: oldWorks(ago(HOUR)), ...inUseB }, []],
    [
      'switch off the member of a key that Parasol never had',
      { ...retiring, old: UNHELD },
      inUseB,
      ['now umbrella-a off'],
    ],
    [
      'ask for its deletion where that member must stay',
      { ...retiring, old: UNHELD },
      { spec: shared, ...inUseB },
      ['now delete-key umbrella-a'],
    ],
    ['have nothing to do where nothing goes', { ...retiring, old: null }, inUseB, []],

    [
      'cut the old member first where that was asked for',
      rotationIn('PreparingMember', cut),
      { facts: withMembers([A]) },
      ['now umbrella-a off', 'now make umbrella-b', 'later issue-integration-key umbrella-b'],
    ],
    [
      'do not cut a member that may hold keys of others',
      rotationIn('AwaitingKey', cut),
      { spec: shared },
      ['held umbrella-a off', 'now issue-integration-key umbrella-b'],
    ],
    [
      'cut nothing more once it is cut',
      rotationIn('AwaitingInstall', cut),
      { facts: withMembers([off(A), B]) },
      ['now install-integration-key fp-2'],
    ],

    ['take the new member back', rotationIn('AwaitingKey', { undoing: true }), {}, ['now umbrella-b off']],
    [
      'take back no member that may hold keys of others',
      rotationIn('AwaitingKey', { undoing: true }),
      { spec: shared },
      ['held umbrella-b off'],
    ],
    ['have nothing to take back before it began', rotationIn('Pending', { undoing: true }), {}, []],
  ])('%s', (_, rotation, parts, expected) => {
    expect(steps(rotation, parts)).toEqual(expected);
  });

  describe('of one member for both keys', () => {
    const one = { target: 'umbrella-a', fresh: { ...FRESH, member: 'umbrella-a' }, observable: false };
    const facts = withMembers([A]);

    test.each<[string, Rotation, string[]]>([
      ['ask for the deletion', rotationIn('RetiringOld', one), ['now delete-key fp-1']],
      [
        'do not switch it off where the old key is compromised',
        rotationIn('RetiringOld', { ...one, cause: 'compromise' }),
        ['now delete-key fp-1'],
      ],
      ['do not switch it off once the old key is dead', rotationIn('RetiringOld', { ...one, old: DEAD }), []],
      [
        'cut nothing',
        rotationIn('AwaitingKey', { ...one, cutNow: true }),
        ['now issue-integration-key umbrella-a'],
      ],
    ])('%s', (_, rotation, expected) => {
      expect(steps(rotation, { spec: sameMember, facts, overdueDeletions: ['fp-1'] })).toEqual(expected);
    });
  });

  it('are told with why a key is asked for', () => {
    const why = (parts: Partial<Rotation>) => {
      const [step] = rotationSteps(ground(rotationIn('AwaitingKey', parts)));
      return step?.action.kind === 'open-handoff' ? step.action.content.why : '';
    };
    expect(why({})).toContain('a drill');
    expect(why({ reason: null, cause: 'age' })).toContain('replaced by age');
    expect(why({ reason: null, cause: 'compromise' })).toContain('compromised');
  });

  it('of an install say that only a word can show it, where that is so', () => {
    const closedBy = (parts: Partial<Rotation>) => {
      const [step] = rotationSteps(ground(rotationIn('AwaitingInstall', parts)));
      return step?.action.kind === 'open-handoff' ? step.action.content.closedBy : '';
    };
    expect(closedBy({})).toContain('write configurations in ConnectWise as umbrella-b');
    expect(closedBy({ observable: false })).toContain('--attest');
  });
});

describe('whatever is known', () => {
  const rotations = fc
    .record({
      phase: fc.constantFrom(...LIVE_PHASES),
      old: fc.constantFrom(OLD, DEAD, UNHELD, null),
      target: fc.constantFrom('umbrella-a', 'umbrella-b'),
      cause: fc.constantFrom('request' as const, 'compromise' as const),
      cutNow: fc.boolean(),
      reversed: fc.boolean(),
      undoing: fc.boolean(),
    })
    .map(({ phase, ...parts }) => rotationIn(phase, parts));
  const known = fc
    .record({
      rotation: rotations,
      facts: factsOf(),
      spec: fc.constantFrom(dedicated, shared),
      overdueDeletions: fc.subarray(['fp-1']),
    })
    .map(({ rotation, ...parts }) => ground(rotation, parts));

  it('no effect leaves before its phase is committed, and people are asked all the same', () => {
    fc.assert(
      fc.property(known, (at) => {
        const before = rotationSteps({ ...at, committed: false });
        const after = rotationSteps({ ...at, committed: true });
        expect(before.map(({ action }) => action)).toEqual(after.map(({ action }) => action));
        const expected = after.map(({ action, state }) =>
          intentKey(action) !== null && state === 'now' ? 'later' : state,
        );
        expect(before.map(({ state }) => state)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('no member is switched off that was not seen now, is the key’s that is to stay, or may hold keys of others', () => {
    fc.assert(
      fc.property(known, (at) => {
        for (const { action, state } of plan(at).steps) {
          if (action.kind !== 'change-member' || action.set.active !== false || state !== 'now') continue;
          const { rotation, facts, spec } = at;
          expect([facts.members?.observedAt, facts.members?.failure]).toEqual([at.observedAt, undefined]);
          expect(spec.connectwise.members.dedicated).toBe(true);
          if (rotation!.undoing) continue;
          expect(action.identifier.toLowerCase()).toBe(rotation!.old?.member);
          expect(action.identifier.toLowerCase()).not.toBe(rotation!.target);
        }
      }),
      { numRuns: 500 },
    );
  });
});
