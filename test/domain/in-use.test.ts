import { describe, expect, test } from 'vitest';
import { RESTORED, sightings, whyBraked, type Before, type Hold } from '../../src/domain/brake.ts';
import { isInUse } from '../../src/domain/in-use.ts';
import type { FactValues } from '../../src/domain/observation.ts';
import { plan } from '../../src/domain/plan.ts';
import {
  ago,
  alive,
  at,
  DAY,
  dead,
  factsWith,
  groundWith,
  held,
  heldButIntegration,
  HOUR,
  memberWith,
  MINUTE,
  PARASOL,
  specWith,
  writesOf,
} from './fixtures.ts';

/** A restored database holds all writes until each tenant's active slot was seen in use again (rulings 14). */

const SINCE = ago(HOUR);
const spec = specWith({ connectwise: { members: { strategy: 'alternating' } } });
const OTHER = memberWith({ id: 202, identifier: 'umbrella-b', name: 'Umbrella B' });
const members = (...items: ReturnType<typeof memberWith>[]): FactValues['members'] => ({
  items: [PARASOL, ...items],
  controlSeen: true,
});
const A_OFF = memberWith({ inactive: true });
const B_OFF = { ...OTHER, inactive: true };

describe('the active slot', () => {
  test.each<[string, Parameters<typeof factsWith>[0], boolean]>([
    ['is in use where its key authenticates and its member wrote last', {}, true],
    ['is so beside one that is off', { members: members(memberWith(), B_OFF) }, true],
    ['may be so where nothing ever wrote', { writes: writesOf() }, true],
    ['is not where its key is dead', { integrationKey: dead() }, false],
    ['is not where its member is off', { members: members(A_OFF, OTHER) }, false],
    [
      'is not where the other one wrote last',
      { writes: writesOf(['umbrella-b', HOUR], ['umbrella-a', DAY]) },
      false,
    ],
    [
      'is not known beside another active one that may be in use',
      { members: members(memberWith(), OTHER) },
      false,
    ],
    [
      'is in use beside another active one where it wrote since',
      { members: members(memberWith(), OTHER), writes: writesOf(['umbrella-a', MINUTE]) },
      true,
    ],
    [
      'is not known where another key was called with',
      { integrationKey: alive({ credentialId: 'key-9' }) },
      false,
    ],
    ['is not known where members cannot be read', { members: undefined }, false],
    [
      'is not known of a list that shows no known control',
      { members: { items: [memberWith()], controlSeen: false } },
      false,
    ],
    ['is not known where writes cannot be read', { writes: undefined }, false],
    ['is not known where its key cannot be called with', { integrationKey: undefined }, false],
  ])('%s', (_, parts, expected) => {
    expect(isInUse({ spec, facts: factsWith(parts), credentials: held(), observedAt: at }, SINCE)).toBe(
      expected,
    );
  });

  test('is not shown by what an earlier look saw', () => {
    const seen = { spec, facts: factsWith({}, ago(MINUTE)), credentials: held(), observedAt: at };
    expect(isInUse(seen, SINCE)).toBe(false);
  });

  test.each<[string, Parameters<typeof factsWith>[0], boolean]>([
    ['nothing is in use', { members: members(A_OFF), writes: writesOf() }, true],
    ['a member is active', { members: members(memberWith()), writes: writesOf() }, false],
    ['one wrote', { members: members(A_OFF), writes: writesOf(['umbrella-a', DAY]) }, false],
  ])('without a key, where %s, is as it was: %s', (_, parts, expected) => {
    const facts = factsWith({ ...parts, integrationKey: undefined });
    expect(isInUse({ spec, facts, credentials: heldButIntegration(), observedAt: at }, SINCE)).toBe(expected);
  });
});

describe('a restored database', () => {
  const HOLD: Hold = { id: '0190-7f2c', signatures: [RESTORED], setAt: SINCE };
  const OLDER: Hold = { id: '0190-7f2b', signatures: ['role missing'], setAt: ago(DAY) };
  const judged = (parts: Parameters<typeof factsWith>[0] = {}) => {
    const facts = factsWith(parts);
    const wished = plan(groundWith({ spec, facts }));
    return { spec, facts, credentials: held(), drift: [], plan: wished, conditions: [], observedAt: at };
  };
  const before = (...sighted: string[]): Before => ({
    facts: factsWith(),
    drift: [],
    conditions: [],
    sighted,
    specChanged: false,
  });
  const STAYS = [{ signature: RESTORED, counts: false }];

  test('holds a tenant until its key was seen in use', () => {
    expect(sightings(judged({ integrationKey: dead() }), before(RESTORED), HOLD)).toEqual(STAYS);
    expect(sightings(judged(), before(RESTORED), HOLD)).toEqual([]);
  });

  test('holds it no more once a person let it go, and goes on where another brake hides whether one did', () => {
    expect(sightings(judged({ integrationKey: dead() }), before(RESTORED), null)).toEqual([]);
    expect(sightings(judged(), before(RESTORED), OLDER)).toEqual(STAYS);
  });

  test('is nothing that a tenant shows by itself', () => {
    expect(sightings(judged({ integrationKey: dead() }), before(), HOLD)).toEqual([]);
  });

  test('is told in words', () => {
    expect(whyBraked(HOLD)).toBe(
      'the fleet’s brake 907f2c holds it, since its active key was not seen in use since the database was restored',
    );
  });
});
