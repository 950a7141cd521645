import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { abandonedKeys, deletionWaitsFor, isInFlight, leftBehind } from '../../src/domain/deletion.ts';
import type { PlanningGround } from '../../src/domain/ground.ts';
import { onlyFresh, type FactValues } from '../../src/domain/observation.ts';
import type { Failure } from '../../src/domain/outcome.ts';
import { plan } from '../../src/domain/plan.ts';
import { ROTATION_PHASES } from '../../src/domain/rotation.ts';
import {
  ago,
  at,
  credential,
  credentialsOf,
  factsOf,
  factsWith,
  failing,
  groundWith,
  HOUR,
  memberWith,
  PARASOL,
  specOf,
  specWith,
  timeout,
} from './fixtures.ts';
import { FRESH, OLD, rotationIn } from './rotation-fixtures.ts';

const OFF = { onDelete: 'deactivate-members', connectwise: { members: { adopt: true, dedicated: true } } };
const lacking = (...missing: string[]): FactValues['management'] => ({
  authenticates: true,
  member: 'parasol',
  missing,
});
const limited: Failure = { kind: 'RateLimited', retryAfterMs: 30_000, detail: '' };

const leaving = (spec: Parameters<typeof specWith>[0], facts: PlanningGround['facts']): PlanningGround =>
  groundWith({ spec: specWith(spec), facts, deleting: true });
const waitsFor = (ground: PlanningGround) => deletionWaitsFor(ground, plan(ground));

describe('the end of a tenant whose members are left as they are', () => {
  const orphan = (facts: PlanningGround['facts']) => waitsFor(leaving({ onDelete: 'orphan' }, facts));

  test.each<[string, PlanningGround['facts'], string | null]>([
    ['comes once ConnectWise was heard', factsWith({}), null],
    [
      'comes though ConnectWise refuses the management key, since it was heard',
      { ...factsWith({ management: { authenticates: false } }), members: failing(timeout, ago(HOUR)) },
      null,
    ],
    [
      'comes though the company is known no more',
      { ...factsWith({ site: { state: 'company-unknown' } }), members: undefined! },
      null,
    ],
    [
      'waits for a site that does not answer',
      { ...factsWith({}, ago(HOUR)), site: failing(timeout) },
      'ConnectWise to answer: unavailable (timeout): no answer in 10s',
    ],
    [
      'waits for a site that answers as something else',
      factsWith({ site: { state: 'not-connectwise', detail: 'HTML' }, members: undefined }),
      'a look at ConnectWise',
    ],
    ['waits where what is known is of earlier', factsWith({}, ago(HOUR)), 'a look at ConnectWise'],
    [
      'waits where it was asked to wait',
      { ...factsWith({}, ago(HOUR)), members: failing(limited) },
      'ConnectWise to answer: rate limited, asked to wait 30s',
    ],
  ])('%s', (_, facts, words) => {
    expect(orphan(facts)).toBe(words);
  });
});

describe('the end of a tenant whose members are to be switched off', () => {
  const off = (values: Parameters<typeof factsWith>[0], spec: Parameters<typeof specWith>[0] = OFF) =>
    waitsFor(leaving(spec, factsWith(values)));
  const listed = (...items: FactValues['members']['items']) => ({ members: { items, controlSeen: true } });

  test.each<[string, Parameters<typeof factsWith>[0], string | null]>([
    [
      'waits for them to be seen off',
      {},
      'umbrella-a to be seen switched off: Switches umbrella-a off, since the tenant is being deleted.',
    ],
    ['comes once they are seen off', listed(PARASOL, memberWith({ inactive: true })), null],
    ['comes once they are seen to be gone', listed(PARASOL), null],
    [
      'waits for a management key that works',
      { management: { authenticates: false }, members: undefined },
      'a management key that works: ConnectWise refuses the one that Parasol holds',
    ],
    [
      'waits for the right to do it, and forgets nobody in silence',
      { management: lacking('System/Members edit') },
      "umbrella-a to be seen switched off: the management key's role lacks System/Members edit",
    ],
  ])('%s', (_, values, words) => {
    expect(off(values)).toBe(words);
  });

  it('comes with members that are not its own as they are', () => {
    expect(off({}, { ...OFF, connectwise: { members: { dedicated: false } } })).toBeNull();
  });
});

describe('whatever is known', () => {
  const groundOf: fc.Arbitrary<PlanningGround> = fc
    .record({ spec: specOf, facts: factsOf(), credentials: credentialsOf })
    .map((parts) => groundWith({ ...parts, deleting: true }));

  it('no end comes by what was not seen in this very observation', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const fresh = { ...ground, facts: onlyFresh(ground.facts, ground.observedAt) };
        expect(waitsFor(ground) === null).toBe(waitsFor(fresh) === null);
        expect(waitsFor({ ...ground, observedAt: 'another' })).not.toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  it('no end comes while a member is active that is to be switched off and may be', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const steps = plan(ground).steps.filter(({ state }) => state !== 'held');
        const due = ground.spec.onDelete !== 'orphan' && steps.length > 0;
        expect(due && waitsFor(ground) === null).toBe(false);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a rotation', () => {
  it('is in flight from its beginning to its end', () => {
    const flying = ROTATION_PHASES.filter((phase) => isInFlight(rotationIn('Overlap', { phase })));
    expect(flying).toEqual([
      'PreparingMember',
      'AwaitingKey',
      'Verifying',
      'AwaitingInstall',
      'AwaitingAdoption',
      'Overlap',
      'RetiringOld',
    ]);
    expect(isInFlight(null)).toBe(false);
  });

  const overlap = rotationIn('Overlap', { old: OLD, fresh: FRESH, target: 'umbrella-b' });
  const asking = rotationIn('AwaitingKey', { old: OLD, fresh: null, target: 'umbrella-b' });
  test.each([
    ['both keys', 'orphan', overlap, /^\S+ of umbrella-a and fp-2 of umbrella-b stay alive/],
    ['a key that nobody gave yet', 'orphan', asking, /and any key that was made on umbrella-b stay alive/],
    ['keys whose members go off', 'deactivate-members', overlap, /they stop working where their members/],
  ])('that ends with its tenant tells %s', (_, onDelete, rotation, words) => {
    expect(abandonedKeys(specWith({ onDelete }), rotation)).toMatch(words);
  });
});

describe('what is left behind', () => {
  test.each<[string, PlanningGround['facts'], string]>([
    [
      'names the members',
      factsWith({}),
      'Left in ConnectWise: umbrella-a (active). Not seen dead: fp-1 of umbrella-a.',
    ],
    [
      'says where nothing was seen',
      factsWith({}, ago(HOUR)),
      'What is left in ConnectWise was not seen. Not seen dead: fp-1 of umbrella-a.',
    ],
  ])('%s', (_, facts, words) => {
    const held = [
      credential({ fingerprint: 'fp-1' }),
      credential({ id: 'k', fingerprint: 'fp-0', state: 'dead' }),
    ];
    expect(leftBehind({ spec: specWith(), facts, observedAt: at }, held)).toBe(words);
  });
});
