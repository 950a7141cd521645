import { unaccepted, type Acceptance } from './acceptance.ts';
import { whyBraked, type Hold } from './brake.ts';
import type { IntegrationMemory, Verdict } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import {
  activeKey,
  activeMember,
  compareLevels,
  diff,
  findMember,
  levelEvidence,
  telling,
  theRole,
  type Cell,
  type Difference,
} from './drift.ts';
import { toMs } from './duration.ts';
import type { Names } from './handoff.ts';
import { isFresh, onlyFresh, type Facts, type MemberFact } from './observation.ts';
import { oncePer } from './once.ts';
import { isOn, pauseWords, type Pause } from './pause.ts';
import { isOver, type Rotation } from './rotation.ts';
import { expectedMembers, sameIdentifier, slotOf, type TenantSpec } from './tenant.ts';

/** What a plan rests on, and what can be said of it. */

/** Something outside that Parasol may write (rulings 8), and how it came to be Parasol's. */
export interface OwnedObject {
  kind: 'role' | 'member';
  name: string;
  externalId: number;
  how: 'created' | 'conforming';
  since: string;
}

/** All that a plan rests on: only facts of this observation lead to a step (design.md §3, level-triggered). */
export interface PlanningGround {
  spec: TenantSpec;
  facts: Facts;
  observedAt: string;
  now: Date;
  credentials: HeldCredential[];
  owned: OwnedObject[];
  /** Keys of intents of which it is not known yet what became (`intentKey`). */
  unsettled: string[];
  memory: IntegrationMemory;
  integrated: Verdict;
  deleting: boolean;
  /** A person's, apart from the spec's; null: none. */
  pause: Pause | null;
  /** The fleet's brake that holds this tenant; null: none does. */
  brake: Hold | null;
  /** Those in force: what they accept is no drift for anything that follows. */
  accepted: Acceptance[];
  /** The rotation of the integration key that is under way; null: none is. */
  rotation: Rotation | null;
  /** Whether the rotation is stored as far as effects rest on it: a phase is committed before they leave. */
  committed: boolean;
  /** Fingerprints whose deletion a person was asked for, and did not do by the deadline. */
  overdueDeletions: string[];
}

/** What decides whose a member is. */
type Owning = Pick<PlanningGround, 'spec' | 'owned'>;

/** The part of the ground that pairs are judged on. */
export type Seen = Pick<PlanningGround, 'spec' | 'facts' | 'observedAt' | 'credentials'>;

/**
 * How long an absence says nothing after something was made, or may have been: ConnectWise's lists may be
 * older than its answers. Then a second of the same name would be made.
 */
export const SETTLE_MS = toMs('30s');

/**
 * How long a thing that ConnectWise said was made is waited for in its lists; only somebody who deleted it
 * within that time waits longer for it to be made again.
 */
export const SHOWS_WITHIN_MS = toMs('10m');

/** What says whether a tenant may be changed. */
export type Holds = Pick<PlanningGround, 'spec' | 'deleting' | 'pause' | 'brake'>;

/** Why nothing of this tenant may be changed at present; null: it may (rulings 13). */
export function whyHeld({ deleting, ...holds }: Holds): string | null {
  return deleting ? 'the tenant is being deleted' : whyNoWrite(holds);
}

/** Why no write may leave for this tenant, not even one that its deletion needs; null: it may. */
export function whyNoWrite({ spec, pause, brake }: Omit<Holds, 'deleting'>): string | null {
  if (isOn(pause)) return pauseWords(pause);
  if (spec.paused) return 'the tenant is paused';
  if (spec.mode !== 'repair') return `mode ${spec.mode} writes nothing`;
  return brake && whyBraked(brake);
}

/** A member is Parasol's to write: made by it, seen conforming once, or handed over by the spec (rulings 8). */
export function isOwned({ owned, spec }: Owning, member: MemberFact): boolean {
  const expected = expectedMembers(spec).some((identifier) => sameIdentifier(identifier, member.identifier));
  const known = owned.some(({ kind, externalId }) => kind === 'member' && externalId === member.id);
  return expected && (spec.connectwise.members.adopt || known);
}

/** A member may be switched off where nothing but Umbrella uses it: declared so, or made by Parasol (rulings 9). */
export function mayStop(ground: Owning, member: MemberFact): boolean {
  const { owned, spec } = ground;
  const made = owned.some(
    ({ kind, how, externalId }) => kind === 'member' && how === 'created' && externalId === member.id,
  );
  return isOwned(ground, member) && (spec.connectwise.members.dedicated || made);
}

/** Every key that the member may have was seen dead, so that it may be active again (rulings 19). */
export function isClean(
  ground: Pick<PlanningGround, 'spec' | 'owned' | 'credentials'>,
  member: MemberFact,
): boolean {
  const undead = ground.credentials.some(
    (held) =>
      held.purpose === 'integration' &&
      held.state !== 'dead' &&
      held.member !== null &&
      sameIdentifier(held.member, member.identifier),
  );
  return mayStop(ground, member) && !undead;
}

/** Whether Parasol made it so lately that a list may not show it yet. */
export function justMade({ owned, now }: PlanningGround, kind: OwnedObject['kind'], name: string): boolean {
  return owned.some(
    (object) =>
      object.kind === kind &&
      object.how === 'created' &&
      sameIdentifier(object.name, name) &&
      now.getTime() - Date.parse(object.since) < SHOWS_WITHIN_MS,
  );
}

export const JUST_MADE = 'was made just now: the list does not show it yet';

/** The tenant's own names, as click paths need them. */
export const names = ({ spec, credentials }: PlanningGround): Names => ({
  tenantId: spec.id,
  site: spec.connectwise.site,
  role: spec.connectwise.role.name,
  member: activeMember(spec, credentials),
  console: spec.umbrella.console,
});

/**
 * Members that a rotation keeps active beside the one in use; from its beginning on both of its members are its own
 * to switch on and off.
 */
export function servingMembers({ rotation }: Pick<PlanningGround, 'rotation'>): string[] {
  if (!rotation || isOver(rotation)) return [];
  return [rotation.target, rotation.old?.member ?? null].filter((member) => member !== null);
}

/** The rotation that says what becomes of the key; null: none has begun. */
export function drivingRotation({ rotation }: Pick<PlanningGround, 'rotation'>): Rotation | null {
  return rotation && rotation.phase !== 'Pending' && !isOver(rotation) ? rotation : null;
}

/** How what was seen in this very observation differs from the spec, and nobody accepted it. */
export const freshDrift: (ground: PlanningGround) => readonly Difference[] = oncePer((ground) => {
  const { spec, facts, credentials, observedAt, accepted } = ground;
  const differences = diff(spec, facts, credentials, { observedAt, serving: servingMembers(ground) });
  return unaccepted(differences, accepted);
});

/**
 * The cells of the role that differ and that nobody accepted; null where the levels were not read in this observation, or came empty:
 * ConnectWise lists every function of a role (rulings 1).
 */
export function differingCells(ground: PlanningGround): readonly Cell[] | null {
  const cells = freshCells(ground);
  return cells && unaccepted(cells, ground.accepted);
}

/** Accepted ones among them. */
export function freshCells({ spec, facts, observedAt }: PlanningGround): readonly Cell[] | null {
  const { roleLevels } = facts;
  const role = theRole(spec, facts);
  if (!role || !isFresh(facts.roles, observedAt)) return null;
  if (!isFresh(roleLevels, observedAt) || roleLevels.value.roleId !== role.id) return null;
  if (roleLevels.value.rows.length === 0) return null;
  return compareLevels(spec.connectwise.role.levels, roleLevels.value.rows);
}

/** Whether this very observation showed how it is with a path of drift. */
export function wasSeen(ground: PlanningGround, path: string): boolean {
  const { spec, facts, observedAt, credentials } = ground;
  const fresh = onlyFresh(facts, observedAt);
  if (path.startsWith('role.levels.')) return levelEvidence(spec, fresh, credentials) !== null;
  if (path.startsWith('role.tableSetup.')) {
    return telling(spec, fresh, credentials)?.value.allowList != null;
  }
  const identifier = /^members\.(.+)\.\w+$/.exec(path)?.[1];
  const members = fresh.members?.value;
  if (identifier === undefined || !members) return false;
  return members.controlSeen || findMember(members.items, identifier) !== null;
}

/** Why a new key is needed; null where the key in use serves, or where nothing can be said. */
export function whyNewKey(ground: PlanningGround): { why: string; removes: string[] } | null {
  const { spec, facts, credentials, integrated, observedAt } = ground;
  const key = activeKey(credentials);
  if (!key) {
    // A tenant that Umbrella already writes for gets its key with the first rotation (rulings 6).
    return integrated.reason === 'NeverSeen' || integrated.reason === 'NothingMapped'
      ? { why: 'This tenant has no integration key yet.', removes: [] }
      : null;
  }
  const proof = facts.integrationKey;
  if (!isFresh(proof, observedAt) || proof.value.credentialId !== key.id) return null;
  if (!proof.value.authenticates) {
    return isActiveAndSeen(ground)
      ? { why: `ConnectWise refuses the key ${key.fingerprint}.`, removes: ['integrationKey'] }
      : null;
  }
  const { member } = proof.value;
  if (member && !slotOf(spec, member)) {
    return {
      why: `The key ${key.fingerprint} belongs to ${member}, not to this integration's member.`,
      removes: ['integrationKey.member'],
    };
  }
  return null;
}

/** An inactive member's key answers 401 though it was not deleted (domain.md §3): the member comes first. */
export function isActiveAndSeen(
  { spec, facts, observedAt, credentials }: Seen,
  identifier = activeMember(spec, credentials),
): boolean {
  if (!isFresh(facts.members, observedAt)) return false;
  return findMember(facts.members.value.items, identifier)?.inactive === false;
}

/**
 * Where no write of Umbrella's can tell that it uses the key in use, a person's word is all there is; it is
 * named as that (rulings 17).
 */
export function canOnlyBeAttested(
  spec: TenantSpec,
  memory: IntegrationMemory,
  rotation: Rotation | null,
): boolean {
  const pending = memory.install?.adopted === null && memory.install;
  const observable = pending ? pending.observable : rotation?.fresh ? rotation.observable : true;
  return spec.integration.nothingMapped || !observable;
}
