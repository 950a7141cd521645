import type { Condition } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import { levelEvidence, telling, activeKey, type Difference, type Drift } from './drift.ts';
import type { Plan, Step } from './action.ts';
import type { Facts } from './observation.ts';
import { isInUse } from './in-use.ts';
import type { TenantSpec } from './tenant.ts';

/**
 * The brake: the fleet-wide stop (design.md §7). Where too many tenants come to differ alike within a short time, the
 * vendor or our spec changed, and not the tenants: nothing is changed in any that differs so until somebody looked.
 */

/** When the brake is set. */
export interface BrakeBounds {
  /** Ms within which differences count as one happening. */
  windowMs: number;
  /** The share of the fleet that comes to differ alike, 0 < share ≤ 1. */
  share: number;
  /** However small the fleet is, fewer tenants than that never set it. */
  least: number;
}

/** What a tenant shows of a way to differ: the same words in every tenant, `members.*.active different`. */
export interface Sighting {
  signature: string;
  /** It is new to the tenant, and a repair would change something about it. */
  counts: boolean;
}

/** A brake that holds a tenant. */
export interface Hold {
  id: string;
  signatures: string[];
  /** ISO 8601. */
  setAt: string;
}

/** Whether so many tenants of so large a fleet, all new to it within the window, set the brake. */
export function trips(counted: number, fleet: number, { share, least }: BrakeBounds): boolean {
  return counted >= Math.max(1, least) && counted >= share * fleet - ROUNDING;
}

/** A share of a fleet that is a whole number of tenants, such as 0.07 of 100, is that number. */
const ROUNDING = 1e-9;

/** How many tenants may have been changed before the brake is set: one fewer than set it. */
export function mostBefore(fleet: number, { share, least }: BrakeBounds): number {
  return Math.max(1, least, Math.ceil(share * fleet - ROUNDING)) - 1;
}

const MEMBER_PATH = /^members\..+?(\.(?:active|role|level|location))?$/;

/** The way in which a difference is one: what tenants call their members does not matter. */
export function signatureOf({ path, kind }: Pick<Difference, 'path' | 'kind'>): string {
  return `${path.replace(MEMBER_PATH, 'members.*$1')} ${kind}`;
}

const KIND_WORDS: Record<Drift['kind'], string> = {
  missing: 'is missing',
  excess: 'is there and should not be',
  different: 'is different',
};

/**
 * The signature of what no setting shows: the database was restored, and it was not seen since that the key which it
 * names as the active one is the one in use (rulings 14).
 */
export const RESTORED = signatureOf({ path: 'database', kind: 'different' });

/** `members.*.active is different` */
export function inWords(signature: string): string {
  if (signature === RESTORED) return 'its active key was not seen in use since the database was restored';
  const end = signature.lastIndexOf(' ');
  return `${signature.slice(0, end)} ${KIND_WORDS[signature.slice(end + 1) as Drift['kind']]}`;
}

/** Most that one sentence names. */
const NAMED = 3;

/** `members.*.active is different, role.active is different and 4 more` */
export function allInWords(signatures: readonly string[]): string {
  const named = signatures.slice(0, NAMED).map(inWords).join(', ');
  return signatures.length > NAMED ? `${named} and ${signatures.length - NAMED} more` : named;
}

/** Why nothing of a tenant is changed while the brake holds it. */
export const whyBraked = ({ id, signatures }: Hold): string => {
  const why = signatures.includes(RESTORED) ? '' : 'many tenants came to differ alike: ';
  return `the fleet’s brake ${shortBrake(id)} holds it, since ${why}${allInWords(signatures)}`;
};

/** The last characters of an id tell it as well as all of them. */
const shortBrake = (id: string): string => id.replaceAll('-', '').slice(-6);

/** What a run knows of the tenant from before it looked. */
export interface Before {
  /** Of the same company, console and role; empty where none was seen. */
  facts: Facts;
  drift: Pick<Drift, 'path' | 'kind' | 'accepted'>[];
  conditions: Condition[];
  /** Signatures of the ways in which it was last seen to differ. */
  sighted: string[];
  /** It was observed, and what was wanted of it then was another spec. */
  specChanged: boolean;
}

interface Judged {
  spec: TenantSpec;
  facts: Facts;
  credentials: HeldCredential[];
  drift: Drift[];
  /** As it is without any brake. */
  plan: Plan;
  conditions: Condition[];
  /** When it was looked at, ISO 8601. */
  observedAt: string;
}

/**
 * In which ways a tenant differs now, each once. One is new where the same thing was seen before and did not differ,
 * or the spec is another since: whether that came to one tenant or to all is told by how many show it. A tenant's
 * first observation tells nothing of the vendor. What no step of the plan would remove changes nothing.
 */
export function sightings(now: Judged, before: Before, brake: Hold | null): Sighting[] {
  // What was accepted is new once it is not any more: nobody would have changed it until now.
  const known = new Set(before.drift.filter(({ accepted }) => accepted === null).map(signatureOf));
  const counts = new Map<string, boolean>();
  for (const difference of now.drift.filter(({ accepted }) => accepted === null)) {
    const signature = signatureOf(difference);
    const isNew =
      !known.has(signature) && (before.specChanged || wasSeen(now, before.facts, difference.path));
    const would = now.plan.steps.some(
      ({ state, removes }) => state !== 'held' && removes.includes(difference.path),
    );
    counts.set(signature, (counts.get(signature) ?? false) || (isNew && would));
  }
  const differ = [...counts].map(([signature, counted]) => ({ signature, counts: counted }));
  return [...differ, ...silenceOf(now, before), ...restoredOf(now, before, brake)];
}

/** What a restore left to be seen stays until it was, or a person let the tenant go (rulings 14). */
function restoredOf(now: Judged, { sighted }: Before, brake: Hold | null): Sighting[] {
  if (!sighted.includes(RESTORED)) return [];
  const stays = brake?.signatures.includes(RESTORED) ? !isInUse(now, brake.setAt) : brake !== null;
  return stays ? [{ signature: RESTORED, counts: false }] : [];
}

/** Whether it was known before how the thing at that path is. */
function wasSeen({ spec, credentials }: Judged, facts: Facts, path: string): boolean {
  if (path.startsWith('role.levels.')) return levelEvidence(spec, facts, credentials) !== null;
  if (path.startsWith('role.tableSetup.')) return telling(spec, facts, credentials)?.value.allowList != null;
  if (path.startsWith('members.')) return facts.members?.value !== undefined;
  if (path.startsWith('integrationKey')) {
    return facts.integrationKey?.value?.credentialId === activeKey(credentials)?.id;
  }
  return facts.roles?.value !== undefined;
}

/** Umbrella that fell silent, or writes as another, is no drift of a setting; a person would be asked all the same. */
function silenceOf({ conditions, plan }: Judged, before: Before): Sighting[] {
  const integrated = (all: Condition[]) => all.find(({ type }) => type === 'UmbrellaIntegrated');
  const now = integrated(conditions);
  const signature = SILENCES[now?.reason ?? ''];
  if (signature === undefined) {
    // What cannot be seen at present has not passed.
    const stays = now?.status === 'Unknown' ? Object.values(SILENCES) : [];
    return before.sighted
      .filter((one) => stays.includes(one))
      .map((one) => ({ signature: one, counts: false }));
  }
  const asks = plan.steps.some(
    ({ action, state }) =>
      action.kind === 'open-handoff' && action.handoff === 'install-integration-key' && state !== 'held',
  );
  return [{ signature, counts: asks && integrated(before.conditions)?.status === 'True' }];
}

/** By the reason of `UmbrellaIntegrated`. */
const SILENCES: Partial<Record<string, string>> = {
  Silent: signatureOf({ path: 'umbrella.writes', kind: 'missing' }),
  WrongMember: signatureOf({ path: 'umbrella.writes', kind: 'different' }),
};

/** The plan of a tenant that the brake holds: nothing of it is done. */
export function underBrake(planned: Plan, hold: Hold | null): Plan {
  if (!hold) return planned;
  const because = whyBraked(hold);
  return {
    steps: planned.steps.map((step): Step =>
      step.state === 'held' ? step : { ...step, state: 'held', because },
    ),
  };
}
