import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Install, Verdict } from '../../src/domain/condition.ts';
import { theRole } from '../../src/domain/drift.ts';
import {
  isFresh,
  onlyFresh,
  type FactName,
  type FactValues,
  type Facts,
} from '../../src/domain/observation.ts';
import { describeAction, intentKey, type Action, type Step } from '../../src/domain/action.ts';
import {
  canOnlyBeAttested,
  isActiveAndSeen,
  isOwned,
  SHOWS_WITHIN_MS,
  whyNewKey,
  type OwnedObject,
  type PlanningGround,
} from '../../src/domain/ground.ts';
import { deletionWaitsFor } from '../../src/domain/deletion.ts';
import { plan } from '../../src/domain/plan.ts';
import { sameIdentifier } from '../../src/domain/tenant.ts';
import {
  ADMIN_ROLE,
  ago,
  alive,
  at,
  candidateWith,
  credential,
  credentialsOf,
  dead,
  factsOf,
  factsWith,
  failing,
  groundWith,
  held,
  heldButIntegration,
  HOUR,
  memberWith,
  memoryOf,
  noMemory,
  PARASOL,
  ROLE,
  rowsWith,
  seen,
  specOf,
  specWith,
  timeout,
} from './fixtures.ts';

const NEVER_SEEN: Verdict = { status: 'Unknown', reason: 'NeverSeen', message: 'No write was ever seen.' };
const SILENT: Verdict = { status: 'False', reason: 'Silent', message: 'umbrella-a last wrote 3d ago.' };
const STRANGER: Verdict = { status: 'False', reason: 'WrongMember', message: 'acme-api writes.' };

const doing = (action: Action): string => (action.kind === 'open-handoff' ? action.handoff : action.kind);
/** `now create-role`, in the plan's order. */
const told = (parts: Partial<PlanningGround>): string[] =>
  plan(groundWith(parts)).steps.map(({ state, action }) => `${state} ${doing(action)}`);
/** The one step of a plan. */
const only = (parts: Partial<PlanningGround>): Step => {
  const { steps } = plan(groundWith(parts));
  expect(steps).toHaveLength(1);
  return steps[0]!;
};

type Values = { [Name in FactName]?: FactValues[Name] | undefined };
const facts = (values: Values, when?: string) => ({ facts: factsWith(values, when) });
const roles = (...items: FactValues['roles']['items']) => ({ roles: { items, controlSeen: true } });
const members = (...items: FactValues['members']['items']) => ({ members: { items, controlSeen: true } });
const levels = (rows: FactValues['roleLevels']['rows']) => ({
  roleLevels: { roleId: ROLE.id, rows, source: 'settings' as const },
});
const weak = rowsWith('Companies/Configurations', 'edit', 'None');
const ours = (parts: Partial<OwnedObject> = {}): OwnedObject => ({
  kind: 'member',
  name: 'umbrella-a',
  externalId: 201,
  how: 'conforming',
  since: ago(HOUR),
  ...parts,
});
const installed = (parts: Partial<Install> = {}): Install => ({
  fingerprint: 'fp-1',
  member: 'umbrella-a',
  promotedAt: ago(HOUR),
  observable: true,
  adopted: null,
  ...parts,
});
const remembering = (install: Install) => ({ memory: { ...noMemory(), install } });

describe('a tenant that is as specified', () => {
  it('needs nothing', () => {
    expect(plan(groundWith()).steps).toEqual([]);
  });

  it('of which nothing was seen, is left alone', () => {
    expect(told({ facts: { candidates: {} } })).toEqual([]);
  });
});

describe('onboarding', () => {
  const fresh: Partial<PlanningGround> = { credentials: heldButIntegration(), integrated: NEVER_SEEN };
  const given = { credentials: [...heldButIntegration(), candidateWith()], integrated: NEVER_SEEN };
  const showing = (allowList: string[]): Facts => ({
    ...factsWith({ integrationKey: undefined }),
    candidates: {
      'key-2': seen(alive({ credentialId: 'key-2', fingerprint: 'fp-2', allowList }), at, 'key-2'),
    },
  });

  test.each<[string, Partial<PlanningGround>, string[]]>([
    [
      'the role first; member and key wait for it',
      {
        ...fresh,
        ...facts({
          ...roles(ADMIN_ROLE),
          ...members(PARASOL),
          roleLevels: undefined,
          integrationKey: undefined,
        }),
      },
      ['now create-role', 'later create-member', 'later issue-integration-key'],
    ],
    [
      'then its levels, by a person',
      { ...fresh, ...facts({ ...members(PARASOL), ...levels(weak), integrationKey: undefined }) },
      ['now grant-role-levels', 'later create-member', 'later issue-integration-key'],
    ],
    [
      'no member while the levels were not read',
      { ...fresh, ...facts({ ...members(PARASOL), roleLevels: undefined, integrationKey: undefined }) },
      ['later create-member', 'later issue-integration-key'],
    ],
    [
      'then the member',
      { ...fresh, ...facts({ ...members(PARASOL), integrationKey: undefined }) },
      ['now create-member', 'later issue-integration-key'],
    ],
    [
      'then the key, by a person',
      { ...fresh, ...facts({ integrationKey: undefined }) },
      ['now issue-integration-key'],
    ],
    [
      'no key of a member that is inactive',
      {
        ...fresh,
        owned: [ours({ how: 'created' })],
        ...facts({ ...members(PARASOL, memberWith({ inactive: true })), integrationKey: undefined }),
      },
      ['now change-member', 'later issue-integration-key'],
    ],
    [
      'then the allow list, which only the key that was given shows',
      { ...given, facts: showing([]) },
      ['now allow-table-setup', 'later issue-integration-key'],
    ],
    [
      'no second key while one is to be proved',
      { ...given, facts: showing(specWith().connectwise.role.tableSetup) },
      ['later issue-integration-key'],
    ],
    ['at last the key into Umbrella', remembering(installed()), ['now install-integration-key']],
    [
      'and then nothing, once Umbrella was seen to use it',
      remembering(installed({ adopted: { at, how: 'observed' } })),
      [],
    ],
    [
      'no key is asked for where Umbrella writes with one that Parasol was not given',
      {
        ...fresh,
        integrated: { status: 'True', reason: 'Writing', message: '' },
        ...facts({ integrationKey: undefined }),
      },
      [],
    ],
    [
      'a key is asked for where nothing is mapped',
      {
        ...fresh,
        integrated: { ...NEVER_SEEN, reason: 'NothingMapped' },
        ...facts({ integrationKey: undefined }),
      },
      ['now issue-integration-key'],
    ],
  ])('%s', (_, parts, expected) => {
    expect(told(parts)).toEqual(expected);
  });

  it('makes the member with all that the spec says of it', () => {
    const spec = specWith({ connectwise: { members: { level: 'Branch', location: 'Madrid' } } });
    const [step] = plan(groundWith({ ...fresh, spec, ...facts(members(PARASOL)) })).steps;
    expect(step).toMatchObject({
      state: 'now',
      action: {
        kind: 'create-member',
        identifier: 'umbrella-a',
        roleId: ROLE.id,
        roleName: 'Umbrella',
        level: 'Branch',
        location: 'Madrid',
      },
      removes: ['members.umbrella-a'],
    });
  });

  it('asks for each cell of the matrix that differs', () => {
    const step = only(facts(levels(weak)));
    expect(step.removes).toEqual(['role.levels.Companies/Configurations.edit']);
    expect(step.action).toMatchObject({
      subject: 'Umbrella',
      content: {
        cells: [{ function: 'Companies/Configurations', right: 'edit', observed: 'None', desired: 'All' }],
      },
    });
  });

  it('asks for the items of the allow list that lack, and for those that are too many', () => {
    const allowList = ['Company / Configuration', 'Service / Priority', 'Finance / Tax'];
    const step = only(facts({ integrationKey: alive({ allowList }) }));
    expect(step.removes).toEqual([
      'role.tableSetup.Service / Service Board',
      'role.tableSetup.Finance / Tax',
    ]);
    const words = step.action.kind === 'open-handoff' ? step.action.content.steps.join('\n') : '';
    expect(words).toMatch(/Move to .*: Service \/ Service Board\.\nMove out of .*: Finance \/ Tax\./);
  });
});

describe('an absence', () => {
  test.each<[string, Partial<PlanningGround>]>([
    ['of the role, in a list without the control', facts({ roles: { items: [], controlSeen: false } })],
    ['of the member, in a list without the control', facts({ members: { items: [], controlSeen: false } })],
  ])('%s, makes nothing', (_, parts) => {
    expect(told(parts)).toEqual([]);
  });

  test.each<[string, number, string]>([
    ['is waited for', SHOWS_WITHIN_MS - 1, 'later'],
    ['is believed after a while', SHOWS_WITHIN_MS, 'now'],
  ])('of what was made just now %s', (_, ms, state) => {
    const made = { how: 'created', since: ago(ms) } as const;
    const role = only({
      ...facts({ ...roles(ADMIN_ROLE), roleLevels: undefined }),
      owned: [ours({ ...made, kind: 'role', name: 'UMBRELLA', externalId: ROLE.id })],
    });
    expect([role.state, doing(role.action)]).toEqual([state, 'create-role']);
    const member = only({ ...facts(members(PARASOL)), owned: [ours(made)] });
    expect([member.state, doing(member.action)]).toEqual([state, 'create-member']);
  });

  test.each<[string, OwnedObject]>([
    ['another name', ours({ how: 'created', since: ago(0), name: 'umbrella-b' })],
    ['another kind', ours({ how: 'created', since: ago(0), kind: 'role' })],
    ['one that was only seen', ours({ how: 'conforming', since: ago(0) })],
  ])('is believed though something of %s was made just now', (_, other) => {
    expect(only({ ...facts(members(PARASOL)), owned: [other] }).state).toBe('now');
  });
});

describe('a member that differs', () => {
  const other = memberWith({ role: { id: 9, name: 'Other' }, level: { id: 3, name: 'Branch (Level 2)' } });
  const idle = memberWith({ id: 202, identifier: 'umbrella-b' });
  const off = members(PARASOL, memberWith({ inactive: true }));
  const adopting = specWith({ connectwise: { members: { adopt: true } } });
  const dedicated = specWith({ connectwise: { members: { adopt: true, dedicated: true } } });

  test.each<[string, Partial<PlanningGround>, string, RegExp]>([
    [
      'is reported and not changed, where it is not Parasol’s',
      facts(members(other)),
      'held',
      /members.adopt: true/,
    ],
    [
      'is changed where it was once as specified',
      { ...facts(members(other)), owned: [ours()] },
      'now',
      /roleId, roleName, level/,
    ],
    [
      'is changed where Parasol made it',
      { ...facts(members(other)), owned: [ours({ how: 'created' })] },
      'now',
      /Changes/,
    ],
    [
      'is changed where the spec hands it over',
      { ...facts(members(other)), spec: adopting },
      'now',
      /Changes/,
    ],
    [
      'is not changed for what Parasol owns of the same name only',
      { ...facts(members(other)), owned: [ours({ externalId: 7 })] },
      'held',
      /adopt/,
    ],
    [
      'is not changed for a role of the same number',
      { ...facts(members(other)), owned: [ours({ kind: 'role' })] },
      'held',
      /adopt/,
    ],
    [
      'waits for the role',
      { ...facts({ ...members(other), roles: undefined, roleLevels: undefined }), owned: [ours()] },
      'later',
      /waits for the role Umbrella/,
    ],
    ['is switched on, where its key is Parasol’s', { ...facts(off), owned: [ours()] }, 'now', /active/],
    [
      'is not switched on, where its keys are strangers’',
      { ...facts(off), owned: [ours()], credentials: heldButIntegration() },
      'held',
      /may revive keys/,
    ],
    [
      'is switched on without a key of Parasol’s, where Parasol made it',
      { ...facts(off), owned: [ours({ how: 'created' })], credentials: heldButIntegration() },
      'now',
      /active/,
    ],
    [
      'is not switched off while idle, being a stranger’s',
      facts(members(PARASOL, memberWith(), idle)),
      'held',
      /may hold keys of others/,
    ],
    [
      'is not switched off while idle, even if dedicated: a rotation does it',
      { ...facts(members(PARASOL, memberWith(), idle)), spec: dedicated },
      'held',
      /after its key was seen dead/,
    ],
    [
      'is not changed where Parasol calls with its key',
      {
        ...facts({
          ...members(other),
          management: { authenticates: true, member: 'UMBRELLA-A', missing: [] },
        }),
        owned: [ours()],
      },
      'held',
      /whose key Parasol calls with/,
    ],
    [
      'is not changed without the right to',
      {
        ...facts({
          ...members(other),
          management: { authenticates: true, member: 'parasol', missing: ['System/Members edit'] },
        }),
        owned: [ours()],
      },
      'held',
      /lacks System\/Members edit/,
    ],
    [
      'is not changed while it is not known what an earlier attempt did',
      { ...facts(members(other)), owned: [ours()], unsettled: ['member:umbrella-a:change'] },
      'later',
      /looked for first/,
    ],
    [
      'is changed though it is not known what another attempt did',
      {
        ...facts(members(other)),
        owned: [ours()],
        unsettled: ['member:umbrella-b:change', 'member:umbrella-a'],
      },
      'now',
      /Changes/,
    ],
  ])('%s', (_, parts, state, because) => {
    const step = only(parts);
    expect([doing(step.action), step.state]).toEqual(['change-member', state]);
    expect(step.because).toMatch(because);
  });

  it('is set to what the spec says, and nothing else of it', () => {
    const spec = specWith({ connectwise: { members: { adopt: true, location: 'Madrid' } } });
    const set = (member: typeof other) => {
      const { action } = only({ spec, ...facts(members(member)) });
      return action.kind === 'change-member' ? action.set : null;
    };
    const home = { id: 5, name: 'Madrid' };
    expect(set(memberWith())).toEqual({ location: 'Madrid' });
    expect(set({ ...other, location: home })).toEqual({
      roleId: ROLE.id,
      roleName: 'Umbrella',
      level: 'Corporate',
    });
    expect(set(memberWith({ location: home, inactive: true }))).toEqual({ active: true });
  });

  it('of the slot in use is the one that is changed', () => {
    const step = only({
      ...facts({
        ...members(memberWith({ inactive: true }), { ...other, id: 202, identifier: 'umbrella-b' }),
        integrationKey: alive({ member: 'umbrella-b' }),
      }),
      credentials: [...heldButIntegration(), credential({ member: 'umbrella-b' })],
      owned: [ours({ externalId: 202, name: 'umbrella-b' })],
    });
    expect(step.action).toMatchObject({ kind: 'change-member', id: 202, identifier: 'umbrella-b' });
  });
});

describe('a right that the management key lacks', () => {
  const lacking = (right: string): Values => ({
    management: { authenticates: true, member: 'parasol', missing: [right] },
  });
  test.each<[string, Values, string]>([
    ['System/Security Roles add', { ...roles(ADMIN_ROLE), roleLevels: undefined }, 'create-role'],
    ['System/Members add', members(PARASOL), 'create-member'],
  ])('%s holds the step that needs it, and no other', (right, values, kind) => {
    expect(told(facts({ ...values, ...lacking(right) }))).toEqual([`held ${kind}`]);
    expect(told(facts({ ...values, ...lacking('System/Members edit') }))).toEqual([`now ${kind}`]);
  });

  it('holds no hand-off, which needs none', () => {
    expect(told(facts({ ...levels(weak), ...lacking('System/Security Roles add') }))).toEqual([
      'now grant-role-levels',
    ]);
  });
});

describe('why a new key is needed', () => {
  const removes = (parts: Partial<PlanningGround>) => whyNewKey(groundWith(parts))?.removes ?? null;

  test.each<[string, Partial<PlanningGround>, string[] | null]>([
    ['it is not, where the key in use works', {}, null],
    ['the key in use is refused', facts({ integrationKey: dead() }), ['integrationKey']],
    [
      'it is not, where the member of a refused key is inactive: that comes first',
      facts({ integrationKey: dead(), ...members(PARASOL, memberWith({ inactive: true })) }),
      null,
    ],
    [
      'it is not, where that member was not seen',
      facts({ integrationKey: dead(), members: undefined }),
      null,
    ],
    [
      'the key in use is a stranger’s',
      facts({ integrationKey: alive({ member: 'somebody' }) }),
      ['integrationKey.member'],
    ],
    ['it is not, where another key was refused', facts({ integrationKey: dead('key-0') }), null],
    [
      'it is not, where the refusal is of an hour ago',
      { facts: { ...factsWith(), integrationKey: seen(dead(), ago(HOUR)) } },
      null,
    ],
    [
      'it is not, where the key could not be asked this time',
      { facts: { ...factsWith(), integrationKey: { ...seen(dead()), ...failing(timeout) } } },
      null,
    ],
    [
      'none was ever given, and nothing was ever written',
      { credentials: heldButIntegration(), integrated: NEVER_SEEN },
      [],
    ],
    ['it is not, where none was given and Umbrella writes', { credentials: heldButIntegration() }, null],
    [
      'it is not, where none was given and Umbrella went silent',
      { credentials: heldButIntegration(), integrated: SILENT },
      null,
    ],
  ])('%s', (_, parts, expected) => {
    expect(removes(parts)).toEqual(expected);
  });

  it('a member is active where it was seen so in this observation', () => {
    const ground = (parts: Partial<PlanningGround>) => isActiveAndSeen(groundWith(parts));
    expect(ground({})).toBe(true);
    expect(ground(facts(members(PARASOL)))).toBe(false);
    expect(ground(facts(members(memberWith({ inactive: true }))))).toBe(false);
    expect(ground(facts({}, ago(HOUR)))).toBe(false);
    expect(isActiveAndSeen(groundWith(), 'parasol')).toBe(true);
    expect(isActiveAndSeen(groundWith(), 'umbrella-b')).toBe(false);
  });
});

describe('the key into Umbrella', () => {
  test.each<[string, Partial<PlanningGround>, string[]]>([
    ['is asked for where Umbrella went silent', { integrated: SILENT }, ['now install-integration-key']],
    [
      'is asked for where Umbrella writes as a stranger',
      { integrated: STRANGER },
      ['now install-integration-key'],
    ],
    ['is not asked for where Umbrella was never seen', { integrated: NEVER_SEEN }, []],
    ['is not asked for where no key is held', { integrated: SILENT, credentials: heldButIntegration() }, []],
    [
      'is not asked for where the key in use is dead: a new one comes first',
      { integrated: SILENT, ...facts({ integrationKey: dead() }) },
      ['now issue-integration-key'],
    ],
    ['is not asked for where another key was promoted', remembering(installed({ fingerprint: 'fp-0' })), []],
  ])('%s', (_, parts, expected) => {
    expect(told(parts)).toEqual(expected);
  });

  test.each<[string, boolean, Partial<PlanningGround>]>([
    ['a promoted key that its member’s writes show', false, remembering(installed())],
    [
      'a promoted key whose member wrote with another before',
      true,
      remembering(installed({ observable: false })),
    ],
    [
      'the same, once it was adopted',
      false,
      remembering(installed({ observable: false, adopted: { at, how: 'observed' } })),
    ],
    ['nothing mapped', true, { spec: specWith({ integration: { nothingMapped: true } }) }],
    ['a silent Umbrella', false, {}],
  ])('%s: only a person’s word can show it: %s', (_, expected, parts) => {
    const ground = groundWith({ integrated: SILENT, ...parts });
    expect(canOnlyBeAttested(ground.spec, ground.memory, null)).toBe(expected);
  });

  it('says by whose writes it is closed, or that nothing can show it', () => {
    const closedBy = (install: Install) => {
      const { action } = only(remembering(install));
      return action.kind === 'open-handoff' ? action.content.closedBy : '';
    };
    expect(closedBy(installed())).toContain('as umbrella-a');
    expect(closedBy(installed({ observable: false }))).toContain('Nothing can show it');
  });
});

describe('a pair that was refused', () => {
  const refused = [...held(), candidateWith({ state: 'refused' })];
  const showing = (proof: FactValues['integrationKey'], when = at) => ({
    ...factsWith(),
    candidates: { 'key-2': seen(proof, when, 'key-2') },
  });
  const works = alive({ credentialId: 'key-2', member: 'somebody' });

  test.each<[string, Partial<PlanningGround>, string[]]>([
    ['is to be deleted while it works', { credentials: refused, facts: showing(works) }, ['now delete-key']],
    ['is left alone once it is dead', { credentials: refused, facts: showing(dead('key-2')) }, []],
    [
      'is left alone where it was not asked this time',
      { credentials: refused, facts: showing(works, ago(HOUR)) },
      [],
    ],
    [
      'is not one that is still a candidate',
      { credentials: [...held(), candidateWith()], facts: showing(works) },
      [],
    ],
  ])('%s', (_, parts, expected) => {
    expect(told(parts)).toEqual(expected);
  });
});

describe('a tenant that is being deleted', () => {
  const leaving = (onDelete: string, connectwise: Record<string, unknown> = {}): Partial<PlanningGround> => ({
    spec: specWith({ onDelete, connectwise }),
    deleting: true,
  });
  const switchOff = leaving('deactivate-members', { members: { adopt: true, dedicated: true } });

  test.each<[string, Partial<PlanningGround>, string[], boolean]>([
    ['leaves everything as it is, by default', leaving('orphan'), [], true],
    ['switches its own members off, where it is told to', switchOff, ['now change-member'], false],
    [
      'switches members off that Parasol made',
      { ...leaving('deactivate-members'), owned: [ours({ how: 'created' })] },
      ['now change-member'],
      false,
    ],
    [
      'leaves members that are not dedicated',
      { ...leaving('deactivate-members'), owned: [ours()] },
      ['held change-member'],
      true,
    ],
    [
      'is done once they are seen inactive',
      { ...switchOff, ...facts(members(PARASOL, memberWith({ inactive: true }))) },
      [],
      true,
    ],
    ['is done once they are seen to be gone', { ...switchOff, ...facts(members(PARASOL)) }, [], true],
    ['is not done while they were not seen', { ...switchOff, ...facts({ members: undefined }) }, [], false],
    [
      'is not done by what was seen before',
      { ...switchOff, ...facts(members(PARASOL), ago(HOUR)) },
      [],
      false,
    ],
    [
      'is not done while an attempt is not settled',
      { ...switchOff, unsettled: ['member:umbrella-a:change'] },
      ['later change-member'],
      false,
    ],
    [
      'asks nobody for anything else',
      { ...switchOff, ...facts({ ...levels(weak), integrationKey: dead(), ...members() }) },
      [],
      true,
    ],
  ])('%s', (_, parts, expected, left) => {
    expect(told(parts)).toEqual(expected);
    const ground = groundWith(parts);
    expect(deletionWaitsFor(ground, plan(ground)) === null).toBe(left);
  });
});

describe('an action', () => {
  const content = { title: '', why: '', steps: [], closedBy: '' };
  test.each<[Action, string | null, string]>([
    [{ kind: 'create-role', name: 'Umbrella' }, 'role:Umbrella', 'create the role Umbrella'],
    [
      {
        kind: 'create-member',
        identifier: 'u-a',
        roleId: 1,
        roleName: 'U',
        level: 'Corporate',
        location: null,
      },
      'member:u-a',
      'create the member u-a',
    ],
    [
      {
        kind: 'change-member',
        id: 1,
        identifier: 'u-a',
        set: { active: true, roleId: 2, roleName: 'U', level: 'L' },
      },
      'member:u-a:change',
      'change active, role, level of the member u-a',
    ],
    [
      { kind: 'open-handoff', handoff: 'grant-role-levels', subject: 'Umbrella', content },
      null,
      'open the hand-off grant-role-levels for Umbrella',
    ],
  ])('%j is looked up as %s and told as "%s"', (action, key, words) => {
    expect(intentKey(action)).toBe(key);
    expect(describeAction(action)).toBe(words);
  });
});

/* Properties ------------------------------------------------------------------------------------------- */

const verdicts = fc.constantFrom<Verdict>(
  { status: 'True', reason: 'Writing', message: '' },
  NEVER_SEEN,
  SILENT,
  STRANGER,
);
const ownedOf = fc.subarray([
  ours(),
  ours({ name: 'umbrella-b', externalId: 202, how: 'created' }),
  ours({ kind: 'role', name: 'Umbrella', externalId: 63, how: 'created', since: at }),
]);
const groundOf: fc.Arbitrary<PlanningGround> = fc
  .record({
    spec: specOf,
    facts: factsOf(),
    credentials: credentialsOf,
    owned: ownedOf,
    unsettled: fc.subarray(['role:Umbrella', 'member:umbrella-a', 'member:umbrella-a:change']),
    memory: memoryOf,
    integrated: verdicts,
    deleting: fc.boolean(),
  })
  .map(groundWith);

/** The steps that would be done now. */
const now = (ground: PlanningGround): Step[] => plan(ground).steps.filter(({ state }) => state === 'now');

describe('whatever is known', () => {
  it('what is done now rests on what was seen in this observation alone', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const fresh = now({ ...ground, facts: onlyFresh(ground.facts, ground.observedAt) });
        for (const step of now(ground)) expect(fresh).toContainEqual(step);
      }),
      { numRuns: 1000 },
    );
  });

  it('nothing is done now where nothing was seen in this observation, but asking for a key into Umbrella', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const later = { ...ground, observedAt: 'another' };
        const done = now(later).map(({ action }) => doing(action));
        expect(done.filter((kind) => kind !== 'install-integration-key')).toEqual([]);
      }),
    );
  });

  it('nothing is made whose absence no control showed, and no member without its role', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const { facts: known, spec, observedAt } = ground;
        const kinds = now(ground).map(({ action }) => action.kind);
        const absent = (list: Facts['roles'] | Facts['members']) =>
          isFresh<{ controlSeen: boolean }>(list, observedAt) && list.value.controlSeen;
        expect(!kinds.includes('create-role') || absent(known.roles)).toBe(true);
        const role = isFresh(known.roles, observedAt) ? theRole(spec, known) : null;
        expect(!kinds.includes('create-member') || (absent(known.members) && role !== null)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  it('no member is changed that is not Parasol’s, or whose key Parasol calls with', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const listed = ground.facts.members?.value?.items ?? [];
        const management = ground.facts.management?.value;
        const own = management?.authenticates ? management.member : null;
        for (const { action } of now(ground)) {
          if (action.kind !== 'change-member') continue;
          const changed = listed.filter(({ id }) => id === action.id);
          expect(changed.some((member) => isOwned(ground, member))).toBe(true);
          expect(own !== null && sameIdentifier(own, action.identifier)).toBe(false);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('nothing is done again of which it is not known what became', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const keys = now(ground).map(({ action }) => intentKey(action));
        expect(ground.unsettled.filter((key) => keys.includes(key))).toEqual([]);
      }),
    );
  });

  it('nothing is planned twice, and no member is switched off but in leaving', () => {
    fc.assert(
      fc.property(groundOf, (ground) => {
        const { steps } = plan(ground);
        const names = steps.map(({ action }) => intentKey(action) ?? describeAction(action));
        expect(new Set(names).size).toBe(names.length);
        const off = now(ground).filter(
          ({ action }) => action.kind === 'change-member' && action.set.active === false,
        );
        expect(off.length === 0 || (ground.deleting && ground.spec.onDelete !== 'orphan')).toBe(true);
      }),
    );
  });
});
