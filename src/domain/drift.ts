import type { HeldCredential } from './credential.ts';
import {
  isFresh,
  type Facts,
  type KeyProof,
  type LevelRow,
  type Listed,
  type MemberFact,
  type Remembered,
  type RoleFact,
} from './observation.ts';
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
  accepted: null;
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
 * wanted function without a row is missing, since ConnectWise lists every function of a role.
 */
export function compareLevels(wanted: Readonly<Record<string, FunctionLevels>>, rows: LevelRow[]): Cell[] {
  const observed = new Map(rows.map((row) => [row.function.toLowerCase(), row]));
  const names = new Map(Object.keys(wanted).map((name) => [name.toLowerCase(), name]));
  for (const row of rows)
    if (!names.has(row.function.toLowerCase())) names.set(row.function.toLowerCase(), row.function);
  const lowered = new Map(Object.entries(wanted).map(([name, levels]) => [name.toLowerCase(), levels]));
  const cells: Cell[] = [];
  for (const [key, name] of names) {
    const want = lowered.get(key) ?? NO_LEVELS;
    const have = observed.get(key) ?? NO_LEVELS;
    for (const right of RIGHTS) {
      if (want[right] === have[right]) continue;
      cells.push({
        path: `role.levels.${name}.${right}`,
        kind: want[right] === 'None' ? 'excess' : RANK[have[right]] === 0 ? 'missing' : 'different',
        desired: want[right],
        observed: have[right],
        function: name,
        right,
      });
    }
  }
  return cells;
}

/** True where some right is less than wanted; the rest of the cells are excess. */
export const tooWeak = (cell: Cell): boolean => RANK[cell.observed as Level] < RANK[cell.desired as Level];

/** What the allow list lacks and what it has too much, as text compared without case and spacing. */
export function compareAllowList(wanted: string[], observed: string[]): Difference[] {
  const plain = (item: string) => item.toLowerCase().replaceAll(/\s+/g, '');
  const lacks = wanted.filter((item) => !observed.some((other) => plain(other) === plain(item)));
  const excess = observed.filter((item) => !wanted.some((other) => plain(other) === plain(item)));
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

/** What a pair showed, where it speaks for one of the tenant's own members: the key in use, else a candidate. */
export function telling(
  spec: TenantSpec,
  facts: Facts,
): (Remembered<KeyProof> & { value: KeyProof & { authenticates: true } }) | null {
  const proofs = [facts.integrationKey, ...Object.values(facts.candidates)];
  for (const proof of proofs) {
    const value = proof?.value;
    if (proof && value?.authenticates && value.member && slotOf(spec, value.member)) {
      return { ...proof, value };
    }
  }
  return null;
}

/**
 * Everything in which the tenant's facts differ from its spec, however old the facts are; `observedAt`
 * limits it to what was seen in that observation, which is all that a repair may rest on.
 */
export function diff(
  spec: TenantSpec,
  facts: Facts,
  credentials: HeldCredential[],
  observedAt?: string,
): Difference[] {
  const usable = <T>(fact: Remembered<T> | undefined): T | undefined =>
    observedAt === undefined || isFresh(fact, observedAt) ? fact?.value : undefined;

  return [
    ...roleDrift(spec, usable(facts.roles)),
    ...levelDrift(spec, facts, usable(facts.roleLevels), usable(facts.integrationKey)),
    ...tableSetupDrift(spec, facts, observedAt),
    ...memberDrift(spec, usable(facts.members), credentials),
    ...keyDrift(spec, usable(facts.integrationKey), credentials),
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

function levelDrift(
  spec: TenantSpec,
  facts: Facts,
  levels: { rows: LevelRow[] } | undefined,
  proof: KeyProof | undefined,
): Difference[] {
  const wanted = spec.connectwise.role.levels;
  if (theRole(spec, facts) && levels) return compareLevels(wanted, levels.rows).map(plain);
  // The management key may not read roles: the integration key still tells its own member's (domain.md §4).
  const unreadable = facts.roles?.value === undefined || facts.roles.failure !== undefined;
  if (unreadable && proof?.authenticates && proof.member && slotOf(spec, proof.member)) {
    return compareLevels(wanted, proof.levels).map(plain);
  }
  return [];
}

const plain = ({ path, kind, desired, observed }: Difference): Difference => ({
  path,
  kind,
  desired,
  observed,
});

function tableSetupDrift(spec: TenantSpec, facts: Facts, observedAt?: string): Difference[] {
  const proof = telling(spec, facts);
  if (!proof?.value.allowList) return [];
  if (observedAt !== undefined && !isFresh(proof, observedAt)) return [];
  return compareAllowList(spec.connectwise.role.tableSetup, proof.value.allowList);
}

function memberDrift(
  spec: TenantSpec,
  members: Listed<MemberFact> | undefined,
  credentials: HeldCredential[],
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
    if (!isActiveSlot) {
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
  if (proof.member && !slotOf(spec, proof.member)) {
    const desired = activeMember(spec, credentials);
    return [difference('integrationKey.member', 'different', desired, proof.member)];
  }
  return [];
}
