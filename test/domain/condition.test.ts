import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  CONDITION_TYPES,
  evaluate,
  ready,
  type Circumstances,
  type Condition,
  type ConditionType,
  type Truth,
} from '../../src/domain/condition.ts';
import { remember } from '../../src/domain/observation.ts';
import type { Failure } from '../../src/domain/outcome.ts';
import { evaluated, condition, short, facts, table } from './condition-table.ts';
import { begin, type UmbrellaRotation } from '../../src/domain/umbrella-rotation.ts';
import {
  ADMIN_ROLE,
  age,
  ago,
  at,
  circumstances,
  circumstancesOf,
  DAY,
  dead,
  factsWith,
  heldButIntegration,
  HOUR,
  MINUTE,
  NOW,
  observationOf,
  pauseFor,
  refusal,
  specWith,
  weather,
  writesOf,
} from './fixtures.ts';

it('a tenant of which everything was just seen as specified is ready', () => {
  const conditions = evaluated();
  expect(conditions.map(({ type }) => type)).toEqual(CONDITION_TYPES);
  expect(ready(conditions)).toBe('True');
});

it('of a tenant of which nothing was seen yet, nothing is said to be well', () => {
  const conditions = evaluated({ facts: { candidates: {} } });
  expect(conditions.filter(({ status }) => status === 'True').map(({ type }) => type)).toEqual([
    'RotationHealthy',
  ]);
  expect(ready(conditions)).toBe('Unknown');
});

describe('the conditions that say why nothing is changed', () => {
  table('Braked', [
    ['the fleet may repair', 'False NotBraked', /Nothing holds/, {}],
    [
      'the fleet made its repairs of this hour',
      'True RepairCapReached',
      /this one waits/,
      { capReached: true },
    ],
  ]);
  table('Paused', [
    ['the spec does not say so', 'False NotPaused', /Not paused/, {}],
    ['the spec says so', 'True PausedBySpec', /changes nothing/, { spec: specWith({ paused: true }) }],
    [
      'a person paused it',
      'True PausedByOperator',
      /^Jo paused it until 2026-03-10T14:00:00\.000Z \(a freeze\): Parasol observes and changes nothing\.$/,
      { pause: pauseFor(2 * HOUR) },
    ],
    [
      'a person paused it, with no end',
      'True PausedByOperator',
      /^Jo paused it \(a freeze\)/,
      { pause: pauseFor(null) },
    ],
    [
      'both say so',
      'True PausedByOperator',
      /The spec says paused too/,
      { pause: pauseFor(null), spec: specWith({ paused: true }) },
    ],
    ['the time of a person’s pause is up', 'False NotPaused', /Not paused/, { pause: pauseFor(0) }],
  ]);
  const umbrella = (parts: Partial<UmbrellaRotation>) => ({
    umbrellaRotation: {
      ...begin(1, { cause: 'age', why: 'It is old.', by: null }, { identity: 'id', fingerprint: 'fp' }, NOW),
      ...parts,
    },
  });
  table('RotationHealthy', [
    ['no rotation exists yet', 'True NoRotation', /No rotation/, {}],
    [
      'the Umbrella key is being rotated',
      'True UnderWay',
      /Umbrella key is being rotated \(Resting\). It must rest/,
      umbrella({ phase: 'Resting', held: 'It must rest.' }),
    ],
    [
      'the rotation of the Umbrella key is stuck',
      'False UmbrellaRotationStuck',
      /still used by somebody/,
      umbrella({ phase: 'Resting', stuck: 'The old key is still used by somebody.' }),
    ],
    [
      'the rotation of the Umbrella key failed',
      'False UmbrellaRotationFailed',
      /Rotation 1 of the Umbrella key failed. It is old/,
      umbrella({ phase: 'Failed' }),
    ],
    ['the Umbrella key was rotated', 'True NoRotation', /No rotation/, umbrella({ phase: 'Completed' })],
  ]);
});

describe('how long evidence holds', () => {
  const keys = ['IntegrationKeyValid'] as const;
  const settings = ['ManagementKeyValid', 'RoleReady', 'TableSetupReady', 'MembersReady'] as const;
  const umbrella = ['UmbrellaKeyValid'] as const;
  const when = (every: string, ms: number) => {
    const conditions = evaluated({ spec: specWith({ every }), facts: factsWith({}, ago(ms)) });
    return (type: ConditionType) => short(conditions.find((one) => one.type === type)!);
  };

  test.each([
    ['15m', HOUR, 2 * HOUR, 3 * HOUR],
    ['1s', 5 * MINUTE, 15 * MINUTE, 15 * MINUTE],
    ['2m', 8 * MINUTE, 16 * MINUTE, 24 * MINUTE],
    // Ten hours before its next run, as well as just before it, it is looked at once a day.
    ['0 22 * * *', 4 * DAY, 8 * DAY, 12 * DAY],
    ['1 12 * * *', 4 * DAY, 8 * DAY, 12 * DAY],
    ['0 6 * * Mon', 28 * DAY, 56 * DAY, 84 * DAY],
  ])(
    'a tenant looked at every %s: keys %d ms, settings %d ms, Umbrella %d ms, and then nothing is known',
    (every, key, setting, ofUmbrella) => {
      for (const type of keys) expect(when(every, key)(type)).toBe('True Valid');
      for (const type of keys) expect(when(every, key + 1)(type)).toBe('Unknown EvidenceTooOld');
      for (const type of settings) expect(when(every, setting)(type)).toMatch(/^True/);
      for (const type of settings) expect(when(every, setting + 1)(type)).toBe('Unknown EvidenceTooOld');
      for (const type of umbrella) expect(when(every, ofUmbrella)(type)).toBe('True Valid');
      for (const type of umbrella) expect(when(every, ofUmbrella + 1)(type)).toBe('Unknown EvidenceTooOld');
      expect(when(every, key)('ConnectWiseReachable')).toBe('True Answers');
      expect(when(every, key + 1)('ConnectWiseReachable')).toBe('Unknown EvidenceTooOld');
    },
  );

  test.each([
    ['within what clocks differ', -5 * MINUTE, 'True Valid'],
    ['further than clocks differ', -5 * MINUTE - 1, 'Unknown ClockSkew'],
  ])('what is dated ahead, %s', (_, ms, said) => {
    for (const type of keys) expect(when('15m', ms)(type)).toBe(said);
  });

  it('a refusal of Umbrella’s flips at once, and holds no longer than any evidence', () => {
    const refused = (ms: number) =>
      condition('UmbrellaKeyValid', facts({ umbrellaAccess: { accepted: false } }, ago(ms)));
    expect(short(refused(0))).toBe('False Refused');
    expect(short(refused(3 * HOUR))).toBe('False Refused');
    expect(short(refused(3 * HOUR + 1))).toBe('Unknown EvidenceTooOld');
  });
});

describe('every condition', () => {
  it('keeps the time at which its status became so, though its reason changes', () => {
    const before = evaluated({ facts: factsWith({}, ago(3 * HOUR)) }).map((one) => ({
      ...one,
      lastTransitionTime: ago(DAY),
    }));
    const after = evaluate(circumstances({ facts: { candidates: {} } }), 2, before);
    const role = after.find(({ type }) => type === 'RoleReady')!;
    expect([role.reason, role.lastTransitionTime]).toEqual(['NotSeen', ago(DAY)]);
    expect(before.find(({ type }) => type === 'RoleReady')!.reason).toBe('EvidenceTooOld');
  });

  it('is dated anew when its status changes, and speaks of the generation that was judged', () => {
    const before = evaluated({ facts: { candidates: {} } }).map((one) => ({
      ...one,
      lastTransitionTime: ago(DAY),
    }));
    const role = evaluate(circumstances(), 7, before).find(({ type }) => type === 'RoleReady')!;
    expect(role).toMatchObject({ status: 'True', observedGeneration: 7, lastTransitionTime: at });
  });
});

/* Properties ------------------------------------------------------------------------------------------- */

const statuses = (given: Circumstances): Record<string, Truth> =>
  Object.fromEntries(evaluate(given, 1, []).map(({ type, status }) => [type, status]));
const SEEN = CONDITION_TYPES.filter((type) => !['Braked', 'Paused', 'RotationHealthy'].includes(type));

/** What becomes of each condition when the vendors answer like that, and nothing is seen. */
const afterwards = (given: Circumstances, failures: () => Failure): [string, Truth, Truth][] => {
  const facts = remember(given.facts, observationOf(given.facts, failures, at));
  const [before, after] = [statuses(given), statuses({ ...given, facts })];
  return SEEN.map((type) => [type, before[type]!, after[type]!]);
};

describe('whatever is known', () => {
  it('failures alone turn no condition True', () => {
    const anyFailure = fc.oneof(weather, refusal);
    fc.assert(
      fc.property(circumstancesOf(), fc.infiniteStream(anyFailure), (given, failures) => {
        const turned = afterwards(given, () => failures.next().value).filter(
          ([, before, after]) => before !== 'True' && after === 'True',
        );
        expect(turned).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('weather says nothing false: only ConnectWiseReachable turns False by it', () => {
    fc.assert(
      fc.property(circumstancesOf(), fc.infiniteStream(weather), (given, failures) => {
        const turned = afterwards(given, () => failures.next().value).filter(
          ([type, before, after]) =>
            type !== 'ConnectWiseReachable' && before !== 'False' && after === 'False',
        );
        expect(turned).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });

  it('time alone turns no condition True, and none False but by age that was told beforehand', () => {
    const late = fc.constantFrom(MINUTE, HOUR, 3 * HOUR, DAY, 30 * DAY);
    const byAge = ['IntegrationKeyValid', 'UmbrellaKeyValid', 'UmbrellaIntegrated'];
    fc.assert(
      fc.property(circumstancesOf(), late, (given, ms) => {
        const before = statuses(given);
        const after = statuses({ ...given, now: new Date(NOW.getTime() + ms) });
        for (const type of SEEN) {
          expect([type, before[type] !== 'True' && after[type] === 'True']).toEqual([type, false]);
          const falls = before[type] !== 'False' && after[type] === 'False' && !byAge.includes(type);
          expect([type, falls]).toEqual([type, false]);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('what was seen long ago, whatever it was, makes no condition True', () => {
    const longAgo = age.map((ms) => ms + 90 * DAY);
    fc.assert(
      fc.property(circumstancesOf(longAgo), (given) => {
        const { UmbrellaIntegrated: _, ...told } = statuses(given);
        expect(SEEN.filter((type) => told[type] === 'True')).toEqual([]);
        expect(SEEN.filter((type) => told[type] === 'False')).not.toContain('RoleReady');
      }),
    );
  });

  it('what is dated far ahead of this clock makes no condition True', () => {
    fc.assert(
      fc.property(circumstancesOf(fc.constantFrom(-DAY, -HOUR)), (given) => {
        const { UmbrellaIntegrated: _, ...told } = statuses(given);
        expect(SEEN.filter((type) => told[type] === 'True')).toEqual([]);
      }),
    );
  });

  it('a message is one sentence or more, without holes', () => {
    fc.assert(
      fc.property(circumstancesOf(), (given) => {
        for (const { message, reason } of evaluate(given, 1, [])) {
          expect(message).toMatch(/^[^\n]+[.`]$/);
          expect(message).not.toMatch(/undefined|null|NaN|\[object/);
          expect(reason).toMatch(/^[A-Z][A-Za-z]+$/);
        }
      }),
    );
  });
});

describe('Ready', () => {
  const allTrue = () => evaluated();
  const withOne = (type: ConditionType, status: Truth, reason = 'Any') =>
    allTrue().map((one) => (one.type === type ? { ...one, status, reason } : one));
  const summed = CONDITION_TYPES.filter((type) => type !== 'Braked' && type !== 'Paused');

  it.each(summed)('is False when %s is, and Unknown when that is', (type) => {
    expect(ready(withOne(type, 'False'))).toBe('False');
    expect(ready(withOne(type, 'Unknown'))).toBe('Unknown');
  });

  test.each<[string, Truth, Condition[]]>([
    ['all is well', 'True', evaluated()],
    ['repairs are held back by the cap', 'True', evaluated({ capReached: true })],
    ['the tenant is paused', 'True', evaluated({ spec: specWith({ paused: true }) })],
    ['a person paused it', 'True', evaluated({ pause: pauseFor(HOUR) })],
    [
      'nothing is mapped, as declared',
      'True',
      evaluated({
        ...facts({ writes: writesOf() }),
        spec: specWith({ integration: { nothingMapped: true } }),
      }),
    ],
    [
      'nothing is mapped, as declared, and something is wrong',
      'False',
      evaluated({
        ...facts({ writes: writesOf(), integrationKey: dead() }),
        spec: specWith({ integration: { nothingMapped: true } }),
      }),
    ],
    ['no write was ever seen', 'Unknown', evaluated(facts({ writes: writesOf() }))],
    ['the integration key was never given', 'Unknown', evaluated({ credentials: heldButIntegration() })],
    [
      'something is Unknown, and something is False',
      'False',
      evaluated({
        credentials: heldButIntegration(),
        ...facts({ roles: { items: [ADMIN_ROLE], controlSeen: true } }),
      }),
    ],
    ['a condition was not judged', 'Unknown', evaluated().slice(1)],
    ['nothing was judged', 'Unknown', []],
  ])('%s: %s', (_, expected, conditions) => {
    expect(ready(conditions)).toBe(expected);
  });

  it('is True only where every condition that the spec needs is True', () => {
    fc.assert(
      fc.property(circumstancesOf(), (given) => {
        const conditions = evaluate(given, 1, []);
        const needed = conditions.filter(
          ({ type, reason }) => type !== 'Braked' && type !== 'Paused' && reason !== 'NothingMapped',
        );
        expect(ready(conditions) === 'True').toBe(needed.every(({ status }) => status === 'True'));
        expect(ready(conditions) === 'False').toBe(needed.some(({ status }) => status === 'False'));
      }),
    );
  });
});
