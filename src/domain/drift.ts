import type { HeldCredential } from './credential.ts';
import {
  onlyFresh,
  type Facts,
  type KeyProof,
  type LevelRow,
  type Listed,
  type MemberFact,
  type Remembered,
  type RoleFact,
} from './observation.ts';
import { oncePer } from './once.ts';
import {
  expectedMembers,
  RIGHTS,
  sameIdentifier,
  slotOf,
  type FunctionLevels,
  type Level,
  type Right,
  type TenantSpec,
} from './tenant.ts';

/** One difference between spec and observation. */
export interface Drift {
  /** `role.levels.Companies/Configurations.edit`, `members.umbrella-a.role`, `integrationKey`. */
  path: string;
  kind: 'missing' | 'excess' | 'different';
  desired: string;
  observed: string;
  /** When it was first seen, ISO 8601. */
  since: string;
  /** `api:create-member`, `handoff:grant-role-levels`, or `none:` and why nobody may repair it. */
  action: string;
  /** Who accepted it as it is, why, and until when; null: nobody. */
  accepted: { by: string; reason: string; until: string } | null;
}

/** A difference before it has a history and a way to be removed. */
export type Difference = Pick<Drift, 'path' | 'kind' | 'desired' | 'observed'>;

/** One cell of the role's matrix that differs. */
export interface Cell extends Difference {
  function: string;
  right: Right;
}

const NO_LEVELS: FunctionLevels = { add: 'None', edit: 'None', delete: 'None', inquire: 'None' };
const RANK: Record<Level, number> = { None: 0, My: 1, All: 2 };

/**
 * Every cell in which rows differ from the wanted levels. A function that is in neither is None in both; a
 * wanted function without a row is missing, since ConnectWise lists every function of a role. Of rows that
 * speak of one function and disagree, the one that is not as wanted counts, the weakest first.
 */
export function compareLevels(wanted: Levels, rows: LevelRow[]): readonly Cell[] {
  return comparedWith(wanted)(rows);
}

type Levels = Readonly<Record<string, FunctionLevels>>;

/** A role's rows are asked about by plan, conditions and drift of each look. */
const comparedWith = oncePer((wanted: Levels) => oncePer((rows: LevelRow[]) => differingCells(wanted, rows)));

function differingCells(wanted: Levels, rows: LevelRow[]): Cell[] {
  const byFunction = new Map<string, { name: string; want: FunctionLevels; have: FunctionLevels[] }>();
  for (const [name, want] of Object.entries(wanted)) {
    byFunction.set(name.toLowerCase(), { name, want, have: [] });
  }
  for (const row of rows) {
    const key = row.function.toLowerCase();
    const entry = byFunction.get(key) ?? { name: row.function, want: NO_LEVELS, have: [] };
    byFunction.set(key, { ...entry, have: [...entry.have, row] });
  }
  return [...byFunction.values()].flatMap(({ name, want, have }) =>
    RIGHTS.flatMap((right): Cell[] => {
      const observed = (have.length > 0 ? have : [NO_LEVELS])
        .map((levels) => levels[right])
        .filter((level) => level !== want[right])
        .toSorted((a, b) => RANK[a] - RANK[b])[0];
      return observed ? [cell(name, right, want[right], observed)] : [];
    }),
  );
}

function cell(name: string, right: Right, desired: Level, observed: Level): Cell {
  const kind = desired === 'None' ? 'excess' : observed === 'None' ? 'missing' : 'different';
  return { ...difference(`role.levels.${name}.${right}`, kind, desired, observed), function: name, right };
}

/** True where some right is less than wanted; the rest of the cells are excess. */
export const tooWeak = (cell: Cell): boolean => RANK[cell.observed as Level] < RANK[cell.desired as Level];

/** What the allow list lacks and what it has too much, as text compared without case and spacing. */
export function compareAllowList(wanted: string[], observed: string[]): readonly Difference[] {
  return allowListComparedWith(wanted)(observed);
}

const allowListComparedWith = oncePer((wanted: string[]) =>
  oncePer((observed: string[]) => differingItems(wanted, observed)),
);

function differingItems(wanted: string[], observed: string[]): Difference[] {
  const plain = (item: string) => item.toLowerCase().replaceAll(/\s+/g, '');
  const without = (items: string[], others: string[]) => {
    const known = new Set(others.map(plain));
    return items.filter((item) => !known.has(plain(item)));
  };
  const lacks = without(wanted, observed);
  const excess = without(observed, wanted);
  return [
    ...lacks.map((item) => difference(`role.tableSetup.${item}`, 'missing', 'allowed', 'not allowed')),
    ...excess.map((item) => difference(`role.tableSetup.${item}`, 'excess', 'not allowed', 'allowed')),
  ];
}

const difference = (path: string, kind: Drift['kind'], desired: string, observed: string): Difference => ({
  path,
  kind,
  desired,
  observed,
});

/** The integration key in use; null until one was given or promoted. */
export function activeKey(credentials: HeldCredential[]): HeldCredential | null {
  return credentials.find(({ purpose, state }) => purpose === 'integration' && state === 'active') ?? null;
}

/** The member that Umbrella is to write as now: of the key in use, else the first slot's. */
export function activeMember(spec: TenantSpec, credentials: HeldCredential[]): string {
  const member = activeKey(credentials)?.member;
  const slot = member ? slotOf(spec, member) : null;
  return expectedMembers(spec)[slot === 'b' ? 1 : 0]!;
}

/** The roles of the spec's name, without case, active or not. */
export function rolesNamed(spec: TenantSpec, roles: RoleFact[]): RoleFact[] {
  return roles.filter(({ name }) => name.toLowerCase() === spec.connectwise.role.name.toLowerCase());
}

/** The one active role of that name; null where there is none, or more than one to choose from. */
export function theRole(spec: TenantSpec, facts: Facts): RoleFact | null {
  const active = rolesNamed(spec, facts.roles?.value?.items ?? []).filter(({ inactive }) => !inactive);
  return active.length === 1 ? active[0]! : null;
}

export function findMember(members: MemberFact[], identifier: string): MemberFact | null {
  return members.find((member) => sameIdentifier(member.identifier, identifier)) ?? null;
}

type Telling = Remembered<KeyProof> & {
  value: KeyProof & { authenticates: true; member: string };
  at: string;
  observedAt: string;
};

/**
 * What a pair showed that speaks for the role, as one of the tenant's own members: in the newest observation
 * in which any did, the key in use, else a pair that is held besides. What a key showed that is no longer held says
 * nothing of today; what a member may do that has another role, or was not seen to have this one, says nothing of it.
 */
export function telling(spec: TenantSpec, facts: Facts, credentials: HeldCredential[]): Telling | null {
  const key = activeKey(credentials);
  const inUse = facts.integrationKey;
  const proofs = [
    ...(key && inUse?.value?.credentialId === key.id ? [inUse] : []),
    ...credentials.map(({ id }) => facts.candidates[id]),
  ];
  const tells = (proof: Remembered<KeyProof> | undefined): proof is Telling =>
    speaks(spec, proof) && hasTheRole(spec, facts, proof.value.member);
  const newestFirst = proofs.filter(tells).toSorted((a, b) => b.observedAt.localeCompare(a.observedAt));
  return newestFirst[0] ?? null;
}

const speaks = (spec: TenantSpec, proof: Remembered<KeyProof> | undefined): proof is Telling =>
  proof?.value?.authenticates === true &&
  proof.at !== undefined &&
  proof.observedAt !== undefined &&
  proof.value.member !== null &&
  slotOf(spec, proof.value.member) !== null;

/** What is known of the role's levels: cell by cell, when it was seen, and how. */
export interface LevelEvidence {
  cells: readonly Cell[];
  at: string;
  source: 'settings' | 'effective';
}

/**
 * The newest word on the role's levels: its settings, or, from an observation in which those were not read, the
 * effective levels that a key of its member shows (domain.md §4). Null: neither was seen, or it came empty,
 * which says nothing (rulings 1).
 */
export function levelEvidence(
  spec: TenantSpec,
  facts: Facts,
  credentials: HeldCredential[],
): LevelEvidence | null {
  const role = theRole(spec, facts);
  if (facts.roles?.value && !role) return null;
  const { roleLevels } = facts;
  const settings =
    role && roleLevels?.value?.roleId === role.id ? rowsOf(roleLevels, roleLevels.value.rows) : null;
  const proof = telling(spec, facts, credentials);
  const effective = proof && rowsOf(proof, proof.value.levels);
  const told = (rows: SeenRows, source: LevelEvidence['source']): LevelEvidence => ({
    cells: compareLevels(spec.connectwise.role.levels, rows.rows),
    at: rows.at,
    source,
  });
  const fromRole = settings && told(settings, 'settings');
  if (!effective || (settings && effective.observedAt <= settings.observedAt)) return fromRole;
  const fromKey = told(effective, 'effective');
  // A brief look leaves roles and settings out: where its key shows nothing else than they did, they are still the word.
  const together = facts.roles?.observedAt === roleLevels?.observedAt && roleLevels?.failure === undefined;
  return together && fromRole?.cells.length === 0 && fromKey.cells.length === 0 ? fromRole : fromKey;
}

interface SeenRows {
  rows: LevelRow[];
  at: string;
  observedAt: string;
}

const rowsOf = ({ at, observedAt }: Remembered<unknown>, rows: LevelRow[]): SeenRows | null =>
  rows.length > 0 && at !== undefined && observedAt !== undefined ? { rows, at, observedAt } : null;

/** Whether a key of that member shows what the spec's role may: it was seen to have that role, and no other. */
function hasTheRole(spec: TenantSpec, facts: Facts, identifier: string): boolean {
  const role = findMember(facts.members?.value?.items ?? [], identifier)?.role;
  return role != null && sameIdentifier(role.name, spec.connectwise.role.name);
}

/**
 * Everything in which the tenant's facts differ from its spec, however old the facts are; `observedAt`
 * limits it to what was seen in that observation, which is all that a repair may rest on. `serving` are members
 * that a rotation keeps active beside the one in use.
 */
export function diff(
  spec: TenantSpec,
  facts: Facts,
  credentials: HeldCredential[],
  { observedAt, serving = [] }: { observedAt?: string; serving?: readonly string[] } = {},
): Difference[] {
  const known = observedAt === undefined ? facts : onlyFresh(facts, observedAt);
  return [
    ...roleDrift(spec, known.roles?.value),
    ...levelDrift(spec, known, credentials),
    ...tableSetupDrift(spec, known, credentials),
    ...memberDrift(spec, known.members?.value, credentials, serving),
    ...keyDrift(spec, known.integrationKey?.value, credentials),
  ];
}

function roleDrift(spec: TenantSpec, roles: Listed<RoleFact> | undefined): Difference[] {
  if (!roles) return [];
  const named = rolesNamed(spec, roles.items);
  const { name } = spec.connectwise.role;
  if (named.length === 0) return roles.controlSeen ? [difference('role', 'missing', name, 'none')] : [];
  const active = named.filter(({ inactive }) => !inactive);
  if (active.length === 0) return [difference('role.active', 'different', 'active', 'inactive')];
  if (active.length > 1) {
    return [difference('role', 'excess', `one role ${name}`, `${active.length} roles of that name`)];
  }
  return [];
}

function levelDrift(spec: TenantSpec, facts: Facts, credentials: HeldCredential[]): Difference[] {
  const cells = levelEvidence(spec, facts, credentials)?.cells ?? [];
  return cells.map(({ path, kind, desired, observed }) => ({ path, kind, desired, observed }));
}

function tableSetupDrift(
  spec: TenantSpec,
  facts: Facts,
  credentials: HeldCredential[],
): readonly Difference[] {
  const allowList = telling(spec, facts, credentials)?.value.allowList;
  return allowList ? compareAllowList(spec.connectwise.role.tableSetup, allowList) : [];
}

function memberDrift(
  spec: TenantSpec,
  members: Listed<MemberFact> | undefined,
  credentials: HeldCredential[],
  serving: readonly string[],
): Difference[] {
  if (!members) return [];
  const active = activeMember(spec, credentials);
  return expectedMembers(spec).flatMap((identifier) => {
    const path = `members.${identifier}`;
    const member = findMember(members.items, identifier);
    const isActiveSlot = sameIdentifier(identifier, active);
    if (!member) {
      return isActiveSlot && members.controlSeen ? [difference(path, 'missing', identifier, 'none')] : [];
    }
    const serves = serving.some((other) => sameIdentifier(other, identifier));
    if (serves && !isActiveSlot && member.inactive) return [];
    if (!isActiveSlot && !serves) {
      return member.inactive ? [] : [difference(`${path}.active`, 'excess', 'inactive', 'active')];
    }
    return memberDifferences(spec, path, member);
  });
}

function memberDifferences(spec: TenantSpec, path: string, member: MemberFact): Difference[] {
  const { role, members } = spec.connectwise;
  const differences: Difference[] = [];
  if (member.inactive) differences.push(difference(`${path}.active`, 'different', 'active', 'inactive'));
  const compare = (field: string, desired: string | undefined, observed: string | undefined) => {
    if (desired === undefined || desired.toLowerCase() === observed?.toLowerCase()) return;
    differences.push(difference(`${path}.${field}`, 'different', desired, observed ?? 'none'));
  };
  compare('role', role.name, member.role?.name);
  // ConnectWise shows a structure level with its depth: `Corporate (Level 1)`.
  compare('level', members.level, member.level?.name.replace(/ \(Level \d+\)$/i, ''));
  compare('location', members.location, member.location?.name);
  return differences;
}

function keyDrift(
  spec: TenantSpec,
  proof: KeyProof | undefined,
  credentials: HeldCredential[],
): Difference[] {
  const key = activeKey(credentials);
  if (!key || !proof || proof.credentialId !== key.id) return [];
  if (!proof.authenticates) return [difference('integrationKey', 'different', 'working', 'refused')];
  const desired = activeMember(spec, credentials);
  if (proof.member && !sameIdentifier(proof.member, desired)) {
    return [difference('integrationKey.member', 'different', desired, proof.member)];
  }
  return [];
}
