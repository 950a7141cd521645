import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { adoptionOf, takenIn, type Adoption } from '../../src/domain/adoption.ts';
import { isOwned, type OwnedObject, type PlanningGround } from '../../src/domain/ground.ts';
import { activeMember, findMember } from '../../src/domain/drift.ts';
import { plan } from '../../src/domain/plan.ts';
import {
  ago,
  at,
  credentialsOf,
  dailyMemory,
  dead,
  factsOf,
  factsWith,
  groundWith,
  heldButIntegration,
  HOUR,
  memberWith,
  memoryOf,
  noMemory,
  NOW,
  PARASOL,
  rowsWith,
  specOf,
  specWith,
} from './fixtures.ts';

type Parts = Partial<PlanningGround>;

/** What `adopt` says after one look, and what that look took in. */
function looked(parts: Parts): Adoption & { owned: OwnedObject[] } {
  const ground = groundWith({ owned: [], ...parts });
  const owned = [...ground.owned, ...takenIn(ground, ground.owned, NOW)];
  const adoption = adoptionOf({ ...ground, owned, plan: plan({ ...ground, owned }), serving: [] });
  return { ...adoption, owned };
}
const told = (parts: Parts) => looked(parts).found.map(({ what, name, state }) => `${what} ${name} ${state}`);
const members = (...items: ReturnType<typeof memberWith>[]) => ({ members: { items, controlSeen: true } });

describe('an integration that was there before', () => {
  it('and conforms is taken in by the look: its member, by name', () => {
    const { verdict, found, owned, plan } = looked({ memory: dailyMemory() });
    expect(verdict).toBe('taken-in');
    expect(owned).toEqual([
      { kind: 'member', name: 'umbrella-a', externalId: memberWith().id, how: 'conforming', since: at },
    ]);
    expect(plan.steps).toEqual([]);
    expect(found.map(({ what, state, ours }) => [what, state, ours?.how ?? null])).toEqual([
      ['role', 'conforms', null],
      ['levels', 'conforms', null],
      ['allow list', 'conforms', null],
      ['member', 'conforms', 'conforming'],
      ['key', 'conforms', null],
      ['umbrella', 'conforms', null],
    ]);
    expect(found.at(-1)?.detail).toMatch(
      /^Writes as umbrella-a: .* the last one at .* The first write that is known/,
    );
  });

  test.each<[string, Parts, string, string[]]>([
    [
      'with another level is told cell by cell',
      {
        facts: factsWith({
          roleLevels: {
            roleId: 63,
            rows: rowsWith('Companies/Configurations', 'edit', 'None'),
            source: 'settings',
          },
        }),
      },
      'levels Umbrella differs',
      ['role.levels.Companies/Configurations.edit'],
    ],
    [
      'whose member is off is not taken in',
      { facts: factsWith(members(PARASOL, memberWith({ inactive: true }))) },
      'member umbrella-a differs',
      ['members.umbrella-a.active'],
    ],
    [
      'whose idle member is on is told',
      { facts: factsWith(members(PARASOL, memberWith(), memberWith({ id: 202, identifier: 'umbrella-b' }))) },
      'member umbrella-b differs',
      ['members.umbrella-b.active'],
    ],
    [
      'whose member is gone is told',
      { facts: factsWith(members(PARASOL)) },
      'member umbrella-a absent',
      ['members.umbrella-a'],
    ],
    [
      'without its role is told',
      { facts: factsWith({ roles: { items: [], controlSeen: true }, roleLevels: undefined }) },
      'role Umbrella absent',
      ['role'],
    ],
    [
      'whose key is dead is told',
      { facts: factsWith({ integrationKey: dead() }) },
      'key fp-1 differs',
      ['integrationKey'],
    ],
  ])('%s', (_, parts, found, paths) => {
    const adoption = looked(parts);
    expect(told(parts)).toContain(found);
    expect(adoption.differences.map(({ path }) => path)).toEqual(paths);
    expect(adoption.verdict).toBe('differs');
  });

  test.each<[string, Parts]>([
    ['was not looked at yet', { facts: { candidates: {} } }],
    ['has members that no list showed', { facts: factsWith({ members: undefined }) }],
    [
      'has levels that nobody may read',
      { facts: factsWith({ roleLevels: undefined, integrationKey: undefined }) },
    ],
    ['was seen too long ago to be taken in by it', { facts: factsWith({}, ago(HOUR)) }],
  ])('and %s is not said to be taken in', (_, parts) => {
    expect(looked(parts).verdict).toBe('unseen');
  });

  it('whose key nobody gave is taken in all the same: the first rotation shows its allow list', () => {
    const parts: Parts = {
      credentials: heldButIntegration(),
      facts: factsWith({ integrationKey: undefined }),
      memory: noMemory(),
    };
    expect(looked(parts).verdict).toBe('taken-in');
    expect(told(parts)).toContain('allow list Table Setup unseen');
  });

  it('that differs is handed over by the spec alone', () => {
    const facts = factsWith(members(PARASOL, memberWith({ inactive: true })));
    const whose = (adopt: boolean) =>
      looked({ facts, spec: specWith({ connectwise: { members: { adopt } } }) }).found.find(
        ({ what }) => what === 'member',
      )?.ours;
    expect([whose(false), whose(true)]).toEqual([null, { how: 'declared', since: null }]);
  });
});

describe('whatever is known', () => {
  const groundOf: fc.Arbitrary<PlanningGround> = fc
    .record({ spec: specOf, facts: factsOf(), credentials: credentialsOf, memory: memoryOf })
    .map((parts) => groundWith({ ...parts, owned: [] }));

  it('what adopt calls Parasol’s is what the last door lets out writes to, and nothing else', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const { found, owned } = looked(ground);
        const items = ground.facts.members?.value?.items ?? [];
        for (const { what, name, ours } of found) {
          const member = what === 'member' ? findMember(items, name) : null;
          if (!member) continue;
          // oxlint-disable-next-line vitest/no-conditional-expect -- of members that are there alone
          expect(ours !== null).toBe(isOwned({ spec: ground.spec, owned }, member));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('nothing is said to be taken in while anything differs, or while its member is not Parasol’s', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const { verdict, differences, found } = looked(ground);
        if (verdict !== 'taken-in') return;
        // oxlint-disable-next-line vitest/no-conditional-expect -- the premise
        expect([differences, found.some(({ state }) => state === 'differs')]).toEqual([[], false]);
        const active = activeMember(ground.spec, ground.credentials);
        // oxlint-disable-next-line vitest/no-conditional-expect -- the premise
        expect(found.find(({ what, name }) => what === 'member' && name === active)?.ours).not.toBeNull();
      }),
      { numRuns: 500 },
    );
  });
});
