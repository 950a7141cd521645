import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Plan, Step } from '../../src/domain/action.ts';
import {
  allInWords,
  inWords,
  mostBefore,
  signatureOf,
  sightings as sightingsUnder,
  trips,
  underBrake,
  whyBraked,
  type Before,
  type Hold,
} from '../../src/domain/brake.ts';
import { evaluate, type Condition } from '../../src/domain/condition.ts';
import { diff, type Difference, type Drift } from '../../src/domain/drift.ts';
import { whyHeld } from '../../src/domain/ground.ts';
import { noFacts } from '../../src/domain/observation.ts';
import { plan } from '../../src/domain/plan.ts';
import {
  alive,
  at,
  circumstances,
  circumstancesOf,
  dead,
  factsWith,
  groundWith,
  held,
  memberWith,
  PARASOL,
  ROLE,
  rowsWith,
  specWith,
} from './fixtures.ts';

const sightings = (now: Parameters<typeof sightingsUnder>[0], earlier: Before) =>
  sightingsUnder(now, earlier, null);

const HOLD: Hold = { id: '0190-7f2c', signatures: ['members.*.active different'], setAt: at };

describe('a signature', () => {
  test.each<[string, Drift['kind'], string]>([
    ['members.umbrella-a', 'missing', 'members.* missing'],
    ['members.umbrella-a.active', 'different', 'members.*.active different'],
    ['members.cisco.b.active', 'excess', 'members.*.active excess'],
    ['members.umbrella-b.role', 'different', 'members.*.role different'],
    ['role', 'missing', 'role missing'],
    [
      'role.levels.Companies/Configurations.edit',
      'missing',
      'role.levels.Companies/Configurations.edit missing',
    ],
    ['role.tableSetup.Company / Type', 'excess', 'role.tableSetup.Company / Type excess'],
    ['integrationKey', 'different', 'integrationKey different'],
  ])('of %s %s is %s, whatever tenants call their members', (path, kind, signature) => {
    expect(signatureOf({ path, kind })).toBe(signature);
  });

  it('is told in words, a few of many', () => {
    expect(inWords('role.levels.Companies/Configurations.edit missing')).toBe(
      'role.levels.Companies/Configurations.edit is missing',
    );
    expect(allInWords(['a missing', 'b excess', 'c different', 'd missing', 'e missing'])).toBe(
      'a is missing, b is there and should not be, c is different and 2 more',
    );
  });
});

const bounds = fc.record({
  windowMs: fc.constant(3_600_000),
  share: fc.double({ min: 0.000001, max: 1, noNaN: true }),
  least: fc.integer({ min: 1, max: 50 }),
});

describe('the brake is set', () => {
  test.each([
    [4, 20, false],
    [5, 20, true],
    [5, 25, true],
    [5, 26, false],
    [6, 26, true],
    [5, 5, true],
    [3, 3, false],
    [1_999, 10_000, false],
    [2_000, 10_000, true],
  ])('by %i of %i: %s', (counted, fleet, set) => {
    expect(trips(counted, fleet, { windowMs: 1, share: 0.2, least: 5 })).toBe(set);
  });

  it('by a share that is a whole number of tenants, not by one more', () => {
    expect(trips(7, 100, { windowMs: 1, share: 0.07, least: 1 })).toBe(true);
    expect(mostBefore(100, { windowMs: 1, share: 0.07, least: 1 })).toBe(6);
  });

  it('by one more than could be changed before, whatever the fleet and the bounds are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 100_000 }), bounds, (fleet, given) => {
        const most = mostBefore(fleet, given);
        expect(trips(most, fleet, given)).toBe(false);
        expect(trips(most + 1, fleet, given)).toBe(true);
      }),
    );
  });

  it('by more wherever it is by fewer, and in a larger fleet by no fewer', () => {
    const count = fc.integer({ min: 0, max: 10_000 });
    fc.assert(
      fc.property(count, count, count, bounds, (counted, more, fleet, given) => {
        const set = trips(counted, fleet, given);
        expect(set && !trips(counted + more, fleet, given)).toBe(false);
        expect(!set && trips(counted, fleet + more, given)).toBe(false);
      }),
    );
  });
});

/** A tenant whose members, levels or key differ, and what its plan would do about it. */
function judged(parts: Parameters<typeof factsWith>[0], change: Partial<Drift> = {}, adopt = true) {
  const spec = specWith({ connectwise: { members: { adopt } } });
  const facts = factsWith(parts);
  const ground = groundWith({ spec, facts });
  const wished = plan(ground);
  const drift = diff(spec, facts, held()).map((difference: Difference): Drift => ({
    ...difference,
    since: at,
    action: '',
    accepted: null,
    ...change,
  }));
  const conditions = evaluate(circumstances({ spec, facts }), 1, []);
  return { spec, facts, credentials: held(), drift, plan: wished, conditions, observedAt: at };
}

const before = (change: Partial<Before> = {}): Before => ({
  facts: factsWith(),
  drift: [],
  conditions: evaluate(circumstances(), 1, []),
  sighted: [],
  specChanged: false,
  ...change,
});

const OFF = { members: { items: [PARASOL, memberWith({ inactive: true })], controlSeen: true } };
const SHORT = {
  roleLevels: {
    roleId: ROLE.id,
    rows: rowsWith('Companies/Configurations', 'edit', 'None'),
    source: 'settings' as const,
  },
};
const CELL = 'role.levels.Companies/Configurations.edit';

describe('what a tenant shows', () => {
  it('counts where the same was seen before, and did not differ', () => {
    expect(sightings(judged(OFF), before())).toEqual([
      { signature: 'members.*.active different', counts: true },
    ]);
    expect(sightings(judged(SHORT), before())).toEqual([{ signature: `${CELL} missing`, counts: true }]);
    expect(sightings(judged({ integrationKey: dead() }), before())).toEqual([
      { signature: 'integrationKey different', counts: true },
    ]);
    expect(sightings(judged({}), before())).toEqual([]);
  });

  test.each<[string, Partial<Before>]>([
    ['it is the first observation', { facts: noFacts(), conditions: [] }],
    ['it differed so before', { drift: [{ path: CELL, kind: 'missing', accepted: null }] }],
    [
      'its levels were never seen',
      {
        facts: {
          ...factsWith({ roleLevels: undefined, integrationKey: alive({ levels: [] }) }),
          candidates: {},
        },
      },
    ],
  ])('does not count where %s, and is kept all the same', (_, change) => {
    expect(sightings(judged(SHORT), before(change))).toEqual([
      { signature: `${CELL} missing`, counts: false },
    ]);
  });

  it('counts where the same cell differed in another way before', () => {
    const known = before({ drift: [{ path: CELL, kind: 'excess', accepted: null }] });
    expect(sightings(judged(SHORT), known)).toEqual([{ signature: `${CELL} missing`, counts: true }]);
  });

  it('counts where the spec changed, though nothing of the other subject was seen', () => {
    const changed = before({ facts: noFacts(), specChanged: true });
    expect(sightings(judged(SHORT), changed)).toEqual([{ signature: `${CELL} missing`, counts: true }]);
  });

  it('is nothing where a person accepted it, and new once that is over', () => {
    const accepted = { by: 'Jo', reason: 'agreed', until: at };
    expect(sightings(judged(SHORT, { accepted }), before())).toEqual([]);
    const agreed = before({ drift: [{ path: CELL, kind: 'missing', accepted }] });
    expect(sightings(judged(SHORT), agreed)).toEqual([{ signature: `${CELL} missing`, counts: true }]);
  });

  it('does not count where nothing would be changed about it', () => {
    expect(sightings(judged(OFF, {}, false), before())).toEqual([
      { signature: 'members.*.active different', counts: false },
    ]);
  });

  it('is told once for two members that differ alike', () => {
    const both = [memberWith({ inactive: true }), memberWith({ identifier: 'umbrella-b', id: 202 })];
    const signatures = sightings(
      judged({ members: { items: [PARASOL, ...both], controlSeen: true } }),
      before(),
    );
    expect(new Set(signatures.map(({ signature }) => signature)).size).toBe(signatures.length);
  });

  const verdict = (status: Condition['status'], reason: string): Condition[] => [
    {
      type: 'UmbrellaIntegrated',
      status,
      reason,
      message: '',
      observedGeneration: 1,
      lastTransitionTime: at,
    },
  ];
  const asking: Plan = {
    steps: [
      {
        action: {
          kind: 'open-handoff',
          handoff: 'install-integration-key',
          subject: 'fp-1',
          content: { title: '', why: '', steps: [], closedBy: '' },
        },
        state: 'now',
        because: '',
        removes: [],
      },
    ],
  };
  test.each<[string, Condition[], Partial<Before>, ReturnType<typeof sightings>]>([
    ['fell silent', verdict('False', 'Silent'), {}, [{ signature: 'umbrella.writes missing', counts: true }]],
    [
      'was silent before',
      verdict('False', 'Silent'),
      { conditions: verdict('False', 'Silent') },
      [{ signature: 'umbrella.writes missing', counts: false }],
    ],
    [
      'cannot be seen, and was silent',
      verdict('Unknown', 'EvidenceTooOld'),
      { sighted: ['umbrella.writes missing', `${CELL} missing`] },
      [{ signature: 'umbrella.writes missing', counts: false }],
    ],
    ['writes again', verdict('True', 'Writing'), { sighted: ['umbrella.writes missing'] }, []],
  ])('is told of an Umbrella that %s', (_, conditions, change, told) => {
    expect(sightings({ ...judged({}), plan: asking, conditions }, before(change))).toEqual(told);
  });
});

describe('a tenant that the brake holds', () => {
  it('has no step that would be done, and each says why', () => {
    fc.assert(
      fc.property(circumstancesOf(), (drawn) => {
        const wished = plan(groundWith(drawn));
        const { steps } = underBrake(wished, HOLD);
        expect(steps.map(({ state }) => state).filter((state) => state !== 'held')).toEqual([]);
        const stopped = (step: Step, index: number) => wished.steps[index]!.state !== 'held' && step;
        for (const step of steps.filter(stopped)) expect(step.because).toBe(whyBraked(HOLD));
        expect(underBrake(wished, null)).toEqual(wished);
      }),
    );
  });

  it('says so as its condition, after what a person decided', () => {
    const conditions = evaluate(circumstances({ brake: HOLD }), 1, []);
    expect(conditions.find(({ type }) => type === 'Braked')).toMatchObject({
      status: 'True',
      reason: 'FleetBraked',
      message: expect.stringContaining('members.*.active is different'),
    });
    const spec = specWith({ mode: 'repair' });
    expect(whyHeld({ spec, deleting: false, pause: null, brake: HOLD })).toBe(whyBraked(HOLD));
    expect(whyHeld({ spec, deleting: false, pause: null, brake: null })).toBeNull();
    expect(
      whyHeld({ spec: specWith({ mode: 'observe' }), deleting: false, pause: null, brake: HOLD }),
    ).toMatch('observe');
  });
});
