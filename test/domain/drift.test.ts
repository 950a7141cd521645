import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { HeldCredential } from '../../src/domain/credential.ts';
import {
  activeMember,
  compareAllowList,
  compareLevels,
  diff,
  telling,
  theRole,
  tooWeak,
  type Difference,
} from '../../src/domain/drift.ts';
import type { FactName, FactValues, Facts, LevelRow } from '../../src/domain/observation.ts';
import { RIGHTS, type FunctionLevels } from '../../src/domain/tenant.ts';
import {
  ago,
  ADMIN_ROLE,
  alive,
  at,
  candidateWith,
  credential,
  credentialsOf,
  dead,
  exactRows,
  failing,
  factsOf,
  factsWith,
  FACT_NAMES,
  forbidden,
  functionLevels,
  held,
  heldButIntegration,
  HOUR,
  memberWith,
  PARASOL,
  ROLE,
  rowsWith,
  seen,
  specOf,
  specWith,
} from './fixtures.ts';

const NONE: FunctionLevels = { add: 'None', edit: 'None', delete: 'None', inquire: 'None' };

describe('levels compared', () => {
  const wanted = { 'Companies/Configurations': { ...NONE, add: 'All', edit: 'My' } } as const;
  const row = (levels: Partial<LevelRow>): LevelRow => ({
    function: 'Companies/Configurations',
    ...NONE,
    add: 'All',
    edit: 'My',
    ...levels,
  });

  test.each<[string, LevelRow[], [string, Difference['kind'], weak: boolean][]]>([
    ['exactly the wanted rows differ in nothing', [row({})], []],
    ['names are compared without case', [row({ function: 'companies/CONFIGURATIONS' })], []],
    ['a level that lacks is missing', [row({ add: 'None' })], [['add', 'missing', true]]],
    ['a level that is less than wanted differs', [row({ add: 'My' })], [['add', 'different', true]]],
    ['a level that is more than wanted differs', [row({ edit: 'All' })], [['edit', 'different', false]]],
    ['a level that nobody wants is excess', [row({ delete: 'My' })], [['delete', 'excess', false]]],
    [
      'a function without a row lacks all that is wanted',
      [],
      [
        ['add', 'missing', true],
        ['edit', 'missing', true],
      ],
    ],
  ])('%s', (_, rows, expected) => {
    const cells = compareLevels(wanted, rows);
    expect(cells.map((cell) => [cell.right, cell.kind, tooWeak(cell)])).toEqual(expected);
    for (const cell of cells) expect(cell.path).toBe(`role.levels.Companies/Configurations.${cell.right}`);
  });

  it('a function that the spec does not name is wanted as None', () => {
    const other = { function: 'Finance/Invoicing', ...NONE, inquire: 'All' as const };
    expect(compareLevels({}, [other])).toEqual([
      {
        path: 'role.levels.Finance/Invoicing.inquire',
        kind: 'excess',
        desired: 'None',
        observed: 'All',
        function: 'Finance/Invoicing',
        right: 'inquire',
      },
    ]);
  });

  test.each([
    ['first', [row({ delete: 'All' }), row({})]],
    ['last', [row({}), row({ delete: 'All' })]],
  ])('two rows of one function that disagree are not as wanted, the odd one %s', (_, rows) => {
    expect(compareLevels(wanted, rows)).toMatchObject([{ right: 'delete', observed: 'All' }]);
  });

  /** Wanted levels and rows over a few functions, each of which may be in either, in any spelling. */
  const compared = fc.record({
    functions: fc.array(
      fc.record({
        wanted: fc.option(functionLevels, { nil: undefined }),
        row: fc.option(functionLevels, { nil: undefined }),
        same: fc.boolean(),
        upper: fc.boolean(),
      }),
      { maxLength: 5 },
    ),
    order: fc.boolean(),
  });
  const build = ({ functions, order }: typeof compared extends fc.Arbitrary<infer T> ? T : never) => {
    const wanted: Record<string, FunctionLevels> = {};
    const rows: LevelRow[] = [];
    let equal = true;
    for (const [index, each] of functions.entries()) {
      const name = `Module/Function ${index}`;
      const have = each.same ? each.wanted : each.row;
      if (each.wanted) wanted[name] = each.wanted;
      if (have) rows.push({ function: each.upper ? name.toUpperCase() : name, ...have });
      equal &&= RIGHTS.every((right) => (each.wanted ?? NONE)[right] === (have ?? NONE)[right]);
    }
    return { wanted, rows: order ? rows.toReversed() : rows, equal };
  };

  it('differ in nothing if and only if they are equal', () => {
    fc.assert(
      fc.property(compared, (given) => {
        const { wanted, rows, equal } = build(given);
        expect(compareLevels(wanted, rows).length === 0).toBe(equal);
      }),
    );
  });

  it('each cell that differs is told once; what is missing is too weak, what is excess is not', () => {
    fc.assert(
      fc.property(compared, (given) => {
        const { wanted, rows } = build(given);
        const cells = compareLevels(wanted, rows);
        expect(new Set(cells.map(({ path }) => path.toLowerCase())).size).toBe(cells.length);
        for (const cell of cells) {
          expect(cell.desired).not.toBe(cell.observed);
          const possible = { missing: [true], excess: [false], different: [true, false] }[cell.kind];
          expect(possible).toContain(tooWeak(cell));
        }
      }),
    );
  });
});

describe('the allow list compared', () => {
  const item = fc.constantFrom('Company / Configuration', 'Service / Priority', 'Finance / Tax');
  const spelling = (text: string) =>
    fc.constantFrom(text, text.toUpperCase(), text.replaceAll(' ', ''), text.replaceAll(' ', '  '));

  it('differs in nothing if and only if the same items are allowed, however they are spelled', () => {
    const spelled = fc.uniqueArray(item).chain((items) => fc.tuple(...items.map(spelling)));
    fc.assert(
      fc.property(spelled, spelled, (wanted, observed) => {
        const plain = (items: string[]) =>
          items
            .map((text) => text.toLowerCase().replaceAll(' ', ''))
            .sort()
            .join();
        expect(compareAllowList(wanted, observed).length === 0).toBe(plain(wanted) === plain(observed));
      }),
    );
  });

  it('tells what lacks and what is too much apart', () => {
    expect(compareAllowList(['Service / Priority'], ['Finance / Tax'])).toEqual([
      {
        path: 'role.tableSetup.Service / Priority',
        kind: 'missing',
        desired: 'allowed',
        observed: 'not allowed',
      },
      { path: 'role.tableSetup.Finance / Tax', kind: 'excess', desired: 'not allowed', observed: 'allowed' },
    ]);
  });
});

describe('the member that Umbrella is to write as', () => {
  test.each<[string, HeldCredential[], string]>([
    ['is the first slot’s while no key is held', [], 'umbrella-a'],
    ['is the one of the key in use', [credential({ member: 'umbrella-b' })], 'umbrella-b'],
    ['is named as the spec names it', [credential({ member: 'UMBRELLA-B' })], 'umbrella-b'],
    ['is not the one of a candidate', [candidateWith({ member: 'umbrella-b' })], 'umbrella-a'],
    ['is not a member of nobody’s', [credential({ member: 'somebody' })], 'umbrella-a'],
    [
      'is not the one of a key that another took the place of',
      [credential({ member: 'umbrella-b', state: 'superseded' }), credential()],
      'umbrella-a',
    ],
  ])('%s', (_, credentials, expected) => {
    expect(activeMember(specWith(), credentials)).toBe(expected);
  });
});

describe('the role of the spec', () => {
  const roles = (...items: FactValues['roles']['items']) =>
    factsWith({ roles: { items, controlSeen: true } });

  it('is the one active role of that name', () => {
    expect(theRole(specWith(), roles(ADMIN_ROLE, ROLE, { ...ROLE, id: 64, inactive: true }))).toEqual(ROLE);
    expect(theRole(specWith(), roles({ ...ROLE, name: 'UMBRELLA' }))?.id).toBe(ROLE.id);
  });

  it('is none where there is none, or more than one to choose from', () => {
    expect(theRole(specWith(), roles(ADMIN_ROLE))).toBeNull();
    expect(theRole(specWith(), roles({ ...ROLE, inactive: true }))).toBeNull();
    expect(theRole(specWith(), roles(ROLE, { ...ROLE, id: 64 }))).toBeNull();
    expect(theRole(specWith(), { candidates: {} })).toBeNull();
  });
});

describe('the pair that shows the allow list', () => {
  const fromCandidate = alive({ credentialId: 'key-2', allowList: ['of the candidate'] });
  const told = (facts: Facts, credentials: HeldCredential[]) =>
    telling(specWith(), facts, credentials)?.value.credentialId ?? null;

  test.each<[string, FactValues['integrationKey'] | undefined, HeldCredential[], string | null]>([
    ['the key in use, before a candidate', alive(), [credential(), candidateWith()], 'key-1'],
    ['a candidate, where the key in use is dead', dead(), [credential(), candidateWith()], 'key-2'],
    ['a candidate, where no key was given', undefined, [candidateWith()], 'key-2'],
    ['a candidate, where the key that was seen is no longer in use', alive(), [candidateWith()], 'key-2'],
    [
      'a candidate, where the key in use is a stranger’s',
      alive({ member: 'somebody' }),
      [credential(), candidateWith()],
      'key-2',
    ],
  ])('is %s', (_, integrationKey, credentials, expected) => {
    const facts = { ...factsWith({ integrationKey }), candidates: { 'key-2': seen(fromCandidate) } };
    expect(told(facts, credentials)).toBe(expected);
  });

  it('is none where no pair speaks for a member of this tenant', () => {
    expect(told(factsWith({ integrationKey: alive({ member: null }) }), held())).toBeNull();
    expect(told(factsWith({ integrationKey: dead() }), held())).toBeNull();
    expect(told({ candidates: {} }, held())).toBeNull();
  });
});

describe('drift', () => {
  const paths = (facts: Facts, credentials = held(), spec = specWith()) =>
    diff(spec, facts, credentials).map(({ path, kind }) => `${kind} ${path}`);

  it('is none where everything is as specified', () => {
    expect(paths(factsWith())).toEqual([]);
  });

  it('is none where nothing is known', () => {
    expect(paths({ candidates: {} })).toEqual([]);
  });

  const members = (items: FactValues['members']['items'], controlSeen = true) => ({
    members: { items, controlSeen },
  });
  const idle = memberWith({ id: 202, identifier: 'umbrella-b' });

  test.each<[string, { [Name in FactName]?: FactValues[Name] | undefined }, string[]]>([
    ['a role that is not there', { roles: { items: [ADMIN_ROLE], controlSeen: true } }, ['missing role']],
    ['a role in a list without the control', { roles: { items: [], controlSeen: false } }, []],
    [
      'a role that is inactive',
      { roles: { items: [{ ...ROLE, inactive: true }], controlSeen: true } },
      ['different role.active'],
    ],
    [
      'two roles of that name',
      { roles: { items: [ROLE, { ...ROLE, id: 64 }], controlSeen: true } },
      ['excess role'],
    ],
    [
      'a level that lacks',
      {
        roleLevels: {
          roleId: ROLE.id,
          rows: rowsWith('Companies/Configurations', 'edit', 'None'),
          source: 'settings',
        },
      },
      ['missing role.levels.Companies/Configurations.edit'],
    ],
    [
      'levels that were read of another role',
      { roleLevels: { roleId: 9, rows: [], source: 'settings' } },
      [],
    ],
    [
      'levels that only the integration key shows',
      {
        roles: undefined,
        roleLevels: undefined,
        integrationKey: alive({ levels: rowsWith('Finance/Invoicing', 'inquire', 'All') }),
      },
      ['excess role.levels.Finance/Invoicing.inquire'],
    ],
    [
      'levels that only a stranger’s key shows',
      { roles: undefined, roleLevels: undefined, integrationKey: alive({ member: 'somebody', levels: [] }) },
      ['different integrationKey.member'],
    ],
    [
      'an item that is not allowed',
      { integrationKey: alive({ allowList: [] }) },
      [
        'missing role.tableSetup.Company / Configuration',
        'missing role.tableSetup.Service / Priority',
        'missing role.tableSetup.Service / Service Board',
      ],
    ],
    ['an allow list that could not be read', { integrationKey: alive({ allowList: null }) }, []],
    ['a member that is not there', members([PARASOL]), ['missing members.umbrella-a']],
    ['a member in a list without the control', members([], false), []],
    ['an idle member that does not exist yet', members([PARASOL, memberWith()]), []],
    ['an idle member that is inactive', members([PARASOL, memberWith(), { ...idle, inactive: true }]), []],
    [
      'an idle member that is active',
      members([PARASOL, memberWith(), idle]),
      ['excess members.umbrella-b.active'],
    ],
    [
      'a member in which everything differs',
      members([
        PARASOL,
        memberWith({ inactive: true, role: null, level: { id: 3, name: 'Branch (Level 2)' } }),
      ]),
      [
        'different members.umbrella-a.active',
        'different members.umbrella-a.role',
        'different members.umbrella-a.level',
      ],
    ],
    [
      'a member whose identifier is spelled otherwise',
      members([PARASOL, memberWith({ identifier: 'Umbrella-A' })]),
      [],
    ],
    ['a key that is refused', { integrationKey: dead() }, ['different integrationKey']],
    ['a refusal of a key that is not in use', { integrationKey: dead('key-0') }, []],
    [
      'a key of a stranger’s',
      { integrationKey: alive({ member: 'somebody' }) },
      ['different integrationKey.member'],
    ],
    [
      'a key of the other slot’s member',
      { integrationKey: alive({ member: 'umbrella-b' }) },
      ['different integrationKey.member'],
    ],
    ['a key whose member was not told', { integrationKey: alive({ member: null }) }, []],
  ])('of %s', (_, parts, expected) => {
    expect(paths(factsWith(parts))).toEqual(expected);
  });

  it('of a location, only where the spec names one', () => {
    const spec = specWith({ connectwise: { members: { location: 'Madrid' } } });
    expect(paths(factsWith(), held(), spec)).toEqual(['different members.umbrella-a.location']);
  });

  it('of the slots follows the key in use', () => {
    const credentials = [...heldButIntegration(), credential({ member: 'umbrella-b' })];
    const facts = factsWith({
      ...members([PARASOL, memberWith(), { ...idle, inactive: true }]),
      integrationKey: alive({ member: 'umbrella-b' }),
    });
    expect(paths(facts, credentials)).toEqual([
      'excess members.umbrella-a.active',
      'different members.umbrella-b.active',
    ]);
  });

  it('of levels is read with the integration key where the right to read roles was taken away', () => {
    const facts = factsWith({
      roleLevels: undefined,
      integrationKey: alive({ levels: rowsWith('Companies/Configurations', 'add', 'None') }),
    });
    facts.roles = { ...facts.roles, ...failing(forbidden) };
    expect(paths(facts)).toEqual(['missing role.levels.Companies/Configurations.add']);
  });

  it('that a repair may rest on comes from this observation alone', () => {
    const facts = factsWith(
      { members: { items: [PARASOL], controlSeen: true }, roleLevels: undefined },
      ago(HOUR),
    );
    facts.roleLevels = seen({ roleId: ROLE.id, rows: [], source: 'settings' });
    expect(diff(specWith(), facts, held())).not.toEqual([]);
    expect(diff(specWith(), facts, held(), { observedAt: at })).toEqual([]);
  });

  it('of this observation is the same when all that is older is forgotten', () => {
    fc.assert(
      fc.property(specOf, factsOf(), credentialsOf, (spec, facts, credentials) => {
        expect(diff(spec, facts, credentials, { observedAt: at })).toEqual(
          diff(spec, onlyFresh(facts), credentials, { observedAt: at }),
        );
      }),
      { numRuns: 500 },
    );
  });

  it('of each path is told once', () => {
    fc.assert(
      fc.property(specOf, factsOf(), credentialsOf, (spec, facts, credentials) => {
        const told = diff(spec, facts, credentials).map(({ path }) => path);
        expect(new Set(told).size).toBe(told.length);
      }),
    );
  });

  it('of a missing thing is never told by a list without the control', () => {
    fc.assert(
      fc.property(specOf, factsOf(), credentialsOf, (spec, facts, credentials) => {
        for (const list of [facts.roles, facts.members]) if (list?.value) list.value.controlSeen = false;
        const missing = diff(spec, facts, credentials).filter(({ kind }) => kind === 'missing');
        expect(missing.filter(({ path }) => path === 'role' || path.startsWith('members.'))).toEqual([]);
      }),
    );
  });
});

function onlyFresh(facts: Facts): Facts {
  const fresh = structuredClone(facts);
  for (const name of FACT_NAMES) {
    const fact = fresh[name];
    if (fact && (fact.failure !== undefined || fact.at !== at)) delete fact.value;
  }
  for (const [id, fact] of Object.entries(fresh.candidates)) {
    if (fact.failure !== undefined || fact.at !== at) delete fresh.candidates[id];
  }
  return fresh;
}

describe('the rows of a role in these tests', () => {
  it('are exactly the procedure’s', () => {
    expect(compareLevels(specWith().connectwise.role.levels, exactRows())).toEqual([]);
  });
});
