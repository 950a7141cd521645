import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import {
  acceptancesWakeAt,
  inForce,
  reviewAcceptances,
  unaccepted,
  whyNotAcceptable,
  type Acceptance,
  type AcceptanceSight,
} from '../../src/domain/acceptance.ts';
import type { Action } from '../../src/domain/action.ts';
import { evaluate, ready, type Condition } from '../../src/domain/condition.ts';
import { diff, type Difference } from '../../src/domain/drift.ts';
import { freshDrift } from '../../src/domain/ground.ts';
import type { HandoffContent } from '../../src/domain/handoff.ts';
import { progress } from '../../src/domain/handoff-progress.ts';
import { plan } from '../../src/domain/plan.ts';
import { ago, at, circumstancesOf, DAY, groundWith, HOUR, NOW } from './fixtures.ts';

const ofPath = (path: string, parts: Partial<Difference> = {}): Difference => ({
  path,
  kind: 'excess',
  desired: 'None',
  observed: 'All',
  ...parts,
});
const LEVEL = 'role.levels.Companies/Configurations.delete';

const acceptance = (parts: Partial<Acceptance> = {}): Acceptance => ({
  id: 'a1',
  ...ofPath(LEVEL),
  subject: 'acme',
  by: 'Jo',
  reason: 'they need it',
  acceptedAt: ago(DAY),
  expiresAt: ago(-30 * DAY),
  announcedAt: null,
  ...parts,
});
const accepting = (difference: Difference, parts: Partial<Acceptance> = {}): Acceptance =>
  acceptance({ ...difference, id: difference.path, ...parts });

describe('what an acceptance accepts', () => {
  test.each<[string, Partial<Acceptance>, boolean]>([
    ['the difference as it was', {}, true],
    ['another path', { path: 'role.levels.Companies/Configurations.add' }, false],
    ['another value', { observed: 'My' }, false],
    ['another kind', { kind: 'different' }, false],
    ['it, wanted otherwise by now', { desired: 'My' }, true],
  ])('%s', (_, parts, accepted) => {
    expect(unaccepted([ofPath(LEVEL)], [acceptance(parts)])).toEqual(accepted ? [] : [ofPath(LEVEL)]);
  });

  test.each<[string, Partial<Acceptance>, boolean]>([
    ['is in force before its end', { expiresAt: ago(-1) }, true],
    ['is not from its end on', { expiresAt: ago(0) }, false],
    ['is not for another company or role', { subject: 'other' }, false],
  ])('%s', (_, parts, is) => {
    expect(inForce([acceptance(parts)], 'acme', NOW)).toHaveLength(is ? 1 : 0);
  });
});

describe('what can be accepted', () => {
  test.each<[string, Difference['kind'], RegExp | null]>([
    ['role.levels.Companies/Configurations.delete', 'excess', null],
    ['role.levels.Companies/Configurations.edit', 'missing', null],
    ['role.tableSetup.Company / Configuration', 'missing', null],
    ['members.umbrella-a.role', 'different', null],
    ['members.umbrella-a.level', 'different', null],
    ['members.umbrella-a.location', 'different', null],
    ['members.umbrella-b.active', 'excess', null],
    ['integrationKey', 'different', /rotate it/],
    ['integrationKey.member', 'different', /rotate it/],
    ['role', 'missing', /nothing works/],
    ['role', 'excess', /nothing works/],
    ['role.active', 'different', /nothing works/],
    ['members.umbrella-a', 'missing', /has no key/],
    ['members.x.role', 'missing', /has no key/],
    ['members.umbrella-a.active', 'different', /keys do not work/],
  ])('%s %s', (path, kind, why) => {
    expect(whyNotAcceptable({ path, kind }) ?? 'it may').toMatch(why ?? /^it may$/);
  });
});

describe('what becomes of an acceptance', () => {
  const reviewed = (parts: Partial<Acceptance>, sight: Partial<AcceptanceSight> = {}) =>
    reviewAcceptances([acceptance(parts)], {
      differences: [ofPath(LEVEL)],
      wasSeen: () => true,
      subject: 'acme',
      now: NOW,
      ...sight,
    }).map(({ change, message }) => `${change}: ${message}`);

  test.each<[string, Partial<Acceptance>, Partial<AcceptanceSight>, RegExp | null]>([
    ['it stays where all is as it was', {}, {}, null],
    [
      'another value makes it void',
      {},
      { differences: [ofPath(LEVEL, { observed: 'My' })] },
      /^void: .* accepted by Jo, is void: it is My now, wanted None\.$/,
    ],
    [
      'another kind makes it void',
      {},
      { differences: [ofPath(LEVEL, { kind: 'different', desired: 'My' })] },
      /^void:/,
    ],
    ['what no longer differs makes it void', {}, { differences: [] }, /^void: .*it no longer differs\.$/],
    ['what was not seen changes nothing', {}, { differences: [], wasSeen: () => false }, null],
    ['another company makes it void, seen or not', {}, { subject: 'other', wasSeen: () => false }, /^void:/],
    ['its end ends it, seen or not', { expiresAt: at }, { wasSeen: () => false }, /^expire: .*drift again/],
    [
      'a week before its end it is announced',
      { acceptedAt: ago(358 * DAY), expiresAt: ago(-7 * DAY) },
      {},
      /^announce:/,
    ],
    ['not earlier', { acceptedAt: ago(357 * DAY), expiresAt: ago(-8 * DAY) }, {}, null],
    [
      'a short one is announced a tenth before',
      { acceptedAt: ago(9 * HOUR), expiresAt: ago(-HOUR) },
      {},
      /^announce:/,
    ],
    ['and not earlier', { acceptedAt: ago(8 * HOUR), expiresAt: ago(-2 * HOUR) }, {}, null],
    [
      'it is announced once',
      { acceptedAt: ago(9 * HOUR), expiresAt: ago(-HOUR), announcedAt: ago(1) },
      {},
      null,
    ],
  ])('%s', (_, parts, sight, expected) => {
    expect(reviewed(parts, sight)[0] ?? 'nothing').toMatch(expected ?? /^nothing$/);
  });

  it('wakes for its announcement, then for its end, then never', () => {
    const short = acceptance({ acceptedAt: at, expiresAt: ago(-10 * HOUR) });
    const after = (ms: number) => acceptancesWakeAt([short], new Date(NOW.getTime() + ms));
    expect([after(0), after(9 * HOUR), after(10 * HOUR)]).toEqual([ago(-9 * HOUR), ago(-10 * HOUR), null]);
  });
});

const fieldsSet = ({ identifier, set }: Extract<Action, { kind: 'change-member' }>): string[] =>
  Object.keys(set).map((name) => `members.${identifier}.${name === 'roleId' ? 'role' : name}`);
const cellsAsked = ({ cells = [] }: HandoffContent): string[] =>
  cells.map((cell) => `role.levels.${cell.function}.${cell.right}`);

describe('whatever is known', () => {
  const subject = 'acme';
  /** Circumstances, and acceptances of some of what differs: as it is, or of another value. */
  const given = circumstancesOf().chain((circumstances) => {
    const differences = diff(circumstances.spec, circumstances.facts, circumstances.credentials).filter(
      (difference) => whyNotAcceptable(difference) === null,
    );
    return fc.record({
      circumstances: fc.constant(circumstances),
      differences: fc.constant(differences),
      accepted: fc
        .subarray(differences)
        .map((some) => some.map((difference) => accepting(difference, { subject }))),
    });
  });
  const ground = ({
    circumstances,
    accepted,
  }: {
    circumstances: Parameters<typeof evaluate>[0];
    accepted: Acceptance[];
  }) => {
    const { spec, facts, memory, credentials } = circumstances;
    return groundWith({ spec, facts, memory, credentials, accepted });
  };
  const statusesOf = (circumstances: Parameters<typeof evaluate>[0], accepted: Acceptance[]) =>
    evaluate({ ...circumstances, accepted }, 1, []);

  it('an acceptance hides no drift of another path or another value', () => {
    fc.assert(
      fc.property(given, ({ differences, accepted }) => {
        const left = unaccepted(differences, accepted);
        for (const difference of differences) {
          const covered = accepted.some(
            ({ path, observed, kind }) =>
              path === difference.path && observed === difference.observed && kind === difference.kind,
          );
          expect(left.includes(difference)).toBe(!covered);
        }
        const others = accepted.map((one) => ({ ...one, observed: `${one.observed}, or not` }));
        expect(unaccepted(differences, others)).toEqual(differences);
      }),
    );
  });

  it('an acceptance makes no Unknown True, nothing False, and nothing True that it does not name', () => {
    fc.assert(
      fc.property(given, ({ circumstances, accepted }) => {
        const before = statusesOf(circumstances, []);
        const after = statusesOf(circumstances, accepted);
        const names = ({ message }: Condition) =>
          accepted.some(({ path, expiresAt }) => message.includes(path) && message.includes(expiresAt));
        const pairs = before.map((was, index) => ({ was, is: after[index]! }));
        const told = ({ status, reason }: Condition) => [status, reason];
        const others = pairs.filter(({ was }) => was.status !== 'False');
        expect(others.map(({ is }) => told(is))).toEqual(others.map(({ was }) => told(was)));
        // Where nothing else was seen to be well, nothing is said to be.
        const turned = pairs.filter(({ was, is }) => was.status === 'False' && is.status === 'True');
        expect(turned.every(({ is }) => is.reason === 'Accepted' && names(is))).toBe(true);
        expect(ready(before) === 'False' || ready(after) === ready(before)).toBe(true);
      }),
    );
  });

  it('no step changes what is accepted, and no hand-off that is opened asks for it', () => {
    fc.assert(
      fc.property(given, (all) => {
        const on = ground(all);
        const paths = new Set(all.accepted.map(({ path }) => path));
        const planned = plan(on);
        const touched = planned.steps.flatMap(({ action, removes }) => [
          ...removes,
          ...(action.kind === 'change-member' ? fieldsSet(action) : []),
          ...(action.kind === 'open-handoff' ? cellsAsked(action.content) : []),
        ]);
        expect(touched.filter((path) => paths.has(path))).toEqual([]);
        expect(progress(on, [], planned, [], true).length).toBeLessThanOrEqual(planned.steps.length);
      }),
    );
  });

  it('what is accepted of all that is acceptable leaves only what cannot be', () => {
    fc.assert(
      fc.property(given, ({ circumstances }) => {
        const seen = freshDrift(ground({ circumstances, accepted: [] }));
        const acceptable = seen.filter((difference) => whyNotAcceptable(difference) === null);
        const accepted = acceptable.map((difference) => accepting(difference, { subject }));
        const left = freshDrift(ground({ circumstances, accepted }));
        expect(left).toEqual(seen.filter((difference) => whyNotAcceptable(difference) !== null));
      }),
    );
  });
});
