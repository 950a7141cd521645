import type { Plan } from './action.ts';
import type { IntegrationMemory } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import {
  activeKey,
  activeMember,
  compareAllowList,
  diff,
  findMember,
  levelEvidence,
  rolesNamed,
  telling,
  theRole,
  type Difference,
} from './drift.ts';
import { expectedWrites, newestWrite } from './evidence.ts';
import type { OwnedObject } from './ground.ts';
import { isFresh, type Facts, type MemberFact } from './observation.ts';
import { expectedMembers, sameIdentifier, type TenantSpec } from './tenant.ts';

/**
 * What was there before Parasol came, and what of it is Parasol's (rulings 8). Nothing is asked of a vendor for
 * it: a member is taken in by being seen once, by name, exactly as specified; whatever differs is told, cell by cell,
 * and stays as it is until the spec hands it over.
 */

type Seen = { spec: TenantSpec; facts: Facts; observedAt: string; credentials: HeldCredential[] };

/** The members that this look takes in: the active one, seen exactly as specified, that was not known yet. */
export function takenIn(
  { spec, facts, observedAt, credentials }: Seen,
  owned: OwnedObject[],
  now: Date,
): OwnedObject[] {
  if (!isFresh(facts.members, observedAt)) return [];
  const identifier = activeMember(spec, credentials);
  const member = findMember(facts.members.value.items, identifier);
  const known = owned.some(({ kind, externalId }) => kind === 'member' && externalId === member?.id);
  if (!member || known || !expectedMembers(spec).includes(identifier)) return [];
  const differs = diff(spec, { members: facts.members, candidates: {} }, credentials, { observedAt }).some(
    ({ path }) => isOfMember(path, identifier),
  );
  if (differs) return [];
  const { id: externalId, identifier: name } = member;
  return [{ kind: 'member', name, externalId, how: 'conforming', since: now.toISOString() }];
}

const isOfMember = (path: string, identifier: string): boolean =>
  path === `members.${identifier}` || path.startsWith(`members.${identifier}.`);

/** `created` by Parasol; seen `conforming` once, by name; `declared` by the spec (`members.adopt`). */
export interface Ownership {
  how: OwnedObject['how'] | 'declared';
  /** ISO 8601; null: for as long as the spec says so. */
  since: string | null;
}

/** One thing of the integration, as it was found. */
export interface Found {
  what: 'role' | 'levels' | 'allow list' | 'member' | 'key' | 'umbrella';
  name: string;
  state: 'conforms' | 'differs' | 'absent' | 'unseen';
  /** What was seen, in a sentence. */
  detail: string;
  /** Why it is Parasol's to write; null: it is not, or it is nothing that Parasol writes. */
  ours: Ownership | null;
}

export interface Adoption {
  /** `taken-in`: all of it conforms, and the member is Parasol's; `unseen`: it cannot be said yet. */
  verdict: 'taken-in' | 'differs' | 'unseen';
  found: Found[];
  /** Each cell, field and item in which it differs from the spec. */
  differences: Difference[];
  /** What mode `repair` would do about it. */
  plan: Plan;
}

export interface AdoptionGround extends Omit<Seen, 'observedAt'> {
  owned: OwnedObject[];
  memory: IntegrationMemory;
  plan: Plan;
  /** As `diff` takes it: members that a rotation keeps active beside the one in use. */
  serving: readonly string[];
}

/** What is there, and what of it is taken in. Pure, as everything here. */
export function adoptionOf(ground: AdoptionGround): Adoption {
  const { spec, facts, credentials, plan, serving } = ground;
  const differences = diff(spec, facts, credentials, { serving });
  const found = [
    role(ground, differences),
    levels(ground),
    allowList(ground),
    ...expectedMembers(spec).flatMap((identifier) => memberOf(ground, identifier, differences)),
    ...key(ground, differences),
    umbrella(ground),
  ];
  return { verdict: verdictOf(ground, found), found, differences, plan };
}

/** What Parasol cannot see without a key of Umbrella's member hinders nothing: the first rotation shows it. */
function verdictOf({ spec, credentials }: AdoptionGround, found: Found[]): Adoption['verdict'] {
  if (found.some(({ state }) => state === 'differs' || state === 'absent')) return 'differs';
  const needed = found.filter(({ what }) => what === 'role' || what === 'levels' || what === 'member');
  if (needed.some(({ state }) => state === 'unseen')) return 'unseen';
  const active = activeMember(spec, credentials);
  const taken = found.some(
    ({ what, name, ours }) => what === 'member' && sameIdentifier(name, active) && ours,
  );
  return taken ? 'taken-in' : 'unseen';
}

function role({ spec, facts }: AdoptionGround, differences: Difference[]): Found {
  const { name } = spec.connectwise.role;
  const says = (state: Found['state'], detail: string): Found => ({
    what: 'role',
    name,
    state,
    detail,
    ours: null,
  });
  if (!facts.roles?.value) return says('unseen', 'Roles were not read yet.');
  const differs = differences.find(({ path }) => path === 'role' || path === 'role.active');
  if (differs) return says(differs.kind === 'missing' ? 'absent' : 'differs', `It is ${differs.observed}.`);
  const found = theRole(spec, facts) ?? rolesNamed(spec, facts.roles.value.items)[0];
  if (!found) return says('unseen', 'It is not in the list, and nothing shows that the list is complete.');
  return says('conforms', `Security role ${found.id}, active.`);
}

function levels({ spec, facts, credentials }: AdoptionGround): Found {
  const { name } = spec.connectwise.role;
  const says = (state: Found['state'], detail: string): Found => ({
    what: 'levels',
    name,
    state,
    detail,
    ours: null,
  });
  const evidence = levelEvidence(spec, facts, credentials);
  if (!evidence) return says('unseen', 'The levels of the role were not read.');
  const { cells, source } = evidence;
  const how = source === 'settings' ? '' : ', by what a key of its member may do';
  if (cells.length === 0) return says('conforms', `Exactly as specified${how}.`);
  return says('differs', `${count(cells.length, 'cell')} differ${cells.length === 1 ? 's' : ''}${how}.`);
}

function allowList({ spec, facts, credentials }: AdoptionGround): Found {
  const says = (state: Found['state'], detail: string): Found => ({
    what: 'allow list',
    name: 'Table Setup',
    state,
    detail,
    ours: null,
  });
  const list = telling(spec, facts, credentials)?.value.allowList;
  if (!list) {
    return says(
      'unseen',
      'Only the integration key shows it: give that key, or wait for the first rotation.',
    );
  }
  const differing = compareAllowList(spec.connectwise.role.tableSetup, list);
  if (differing.length === 0) return says('conforms', 'Exactly as specified.');
  return says('differs', `${count(differing.length, 'item')} differ${differing.length === 1 ? 's' : ''}.`);
}

/** A slot that is idle and empty is as it should be, and nothing to be told. */
function memberOf(ground: AdoptionGround, identifier: string, differences: Difference[]): Found[] {
  const { facts, spec, credentials } = ground;
  const says = (state: Found['state'], detail: string, ours: Ownership | null = null): Found[] => [
    { what: 'member', name: identifier, state, detail, ours },
  ];
  const list = facts.members?.value;
  if (!list) return says('unseen', 'Members were not read yet.');
  const member = findMember(list.items, identifier);
  const inUse = sameIdentifier(identifier, activeMember(spec, credentials));
  const of = differences.filter(({ path }) => isOfMember(path, identifier));
  if (member) {
    const words = `${member.inactive ? 'Inactive' : 'Active'}, role ${member.role?.name ?? 'none'}, ${member.level?.name ?? 'no level'}${inUse ? '' : ', idle'}.`;
    return says(of.length > 0 ? 'differs' : 'conforms', words, whyOurs(ground, member));
  }
  if (!inUse) return [];
  return of.length > 0
    ? says('absent', 'There is no such API member.')
    : says('unseen', 'It is not in the list, and nothing shows that the list is complete.');
}

/** Why a member is Parasol's; null: it is not, and is never written. */
function whyOurs({ owned, spec }: AdoptionGround, { id }: MemberFact): Ownership | null {
  const known = owned.find(({ kind, externalId }) => kind === 'member' && externalId === id);
  if (known) return { how: known.how, since: known.since };
  return spec.connectwise.members.adopt ? { how: 'declared', since: null } : null;
}

function key({ credentials, facts, spec }: AdoptionGround, differences: Difference[]): Found[] {
  const held = activeKey(credentials);
  if (!held) return [];
  const proof = facts.integrationKey;
  const says = (state: Found['state'], detail: string): Found[] => [
    { what: 'key', name: held.fingerprint, state, detail, ours: null },
  ];
  if (proof?.value?.credentialId !== held.id) return says('unseen', 'It was not called with yet.');
  const differs = differences.find(
    ({ path }) => path === 'integrationKey' || path === 'integrationKey.member',
  );
  if (!proof.value.authenticates) return says('differs', 'ConnectWise refuses it.');
  const member = proof.value.member ?? activeMember(spec, credentials);
  return says(differs ? 'differs' : 'conforms', `It is a key of ${member}, and works.`);
}

function umbrella({ spec, facts, memory }: AdoptionGround): Found {
  const says = (state: Found['state'], detail: string): Found => ({
    what: 'umbrella',
    name: spec.umbrella.console,
    state,
    detail,
    ours: null,
  });
  const writes = facts.writes?.value;
  if (!writes) return says('unseen', 'What Umbrella writes was not read yet.');
  const seen = expectedWrites(spec, writes);
  const newest = newestWrite(spec, memory, seen);
  if (!newest) return says('unseen', 'No write by a member of this tenant was seen.');
  const first = memory.bursts[0] ?? newest.at;
  return says(
    'conforms',
    `Writes as ${newest.by}: ${count(seen.length, 'configuration')}, the last one at ${newest.at}. The first write that is known was at ${first}.`,
  );
}

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? '' : 's'}`;
