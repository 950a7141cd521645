import type { Plan } from './action.ts';
import type { HeldCredential } from './credential.ts';
import { findMember } from './drift.ts';
import { isFresh, type Facts } from './observation.ts';
import { describeFailure } from './outcome.ts';
import { isOver, type Rotation } from './rotation.ts';
import { expectedMembers, sameIdentifier, type TenantSpec } from './tenant.ts';

/**
 * The end of a tenant: asked for, seen, and then final. It waits as long as its end cannot be seen, and may be taken
 * back as long as it waits.
 */
export interface Deletion {
  /** When it was asked for, ISO 8601. */
  since: string;
  /** Who asked, and why; null: not told. */
  by: string | null;
  reason: string | null;
  /** It is final with the next run, whatever that sees: a person gave up on a vendor that does not answer. */
  unseen: boolean;
}

type Seen = { spec: TenantSpec; facts: Facts; observedAt: string };

/**
 * What a deletion still waits for, in words that go on after "waits for"; null: nothing. ConnectWise must have been
 * heard in this very observation; where members are to be switched off, they must have been seen off or gone.
 */
export function deletionWaitsFor({ spec, facts, observedAt }: Seen, { steps }: Plan): string | null {
  const membersSeen = isFresh(facts.members, observedAt);
  if (!membersSeen && !(spec.onDelete === 'orphan' && siteHeard(facts, observedAt))) {
    return whyUnseen(facts, observedAt);
  }
  if (spec.onDelete === 'orphan') return null;
  const step = steps.find(({ state }) => state !== 'held');
  if (step?.action.kind !== 'change-member') return null;
  return `${step.action.identifier} to be seen switched off: ${step.because}`;
}

const siteHeard = ({ site }: Facts, observedAt: string): boolean =>
  isFresh(site, observedAt) && site.value.state !== 'not-connectwise';

function whyUnseen({ management, members, site }: Facts, observedAt: string): string {
  if (isFresh(management, observedAt) && !management.value.authenticates) {
    return 'a management key that works: ConnectWise refuses the one that Parasol holds';
  }
  const failure = [site, management, members].find((fact) => fact?.failure)?.failure?.failure;
  return failure ? `ConnectWise to answer: ${describeFailure(failure)}` : 'a look at ConnectWise';
}

/** A rotation that has begun: cut off now, it leaves two keys. */
export const isInFlight = (rotation: Rotation | null): rotation is Rotation =>
  rotation !== null && rotation.phase !== 'Pending' && !isOver(rotation);

/** What becomes of the keys of a rotation that ends with its tenant. */
export function abandonedKeys(spec: TenantSpec, { old, fresh, target }: Rotation): string {
  const named = (fingerprint: string | null | undefined, member: string | null | undefined) =>
    `${fingerprint ?? 'a key that Parasol was not given'} of ${member ?? 'an unknown member'}`;
  const keys = [
    ...(old ? [named(old.fingerprint, old.member)] : []),
    fresh
      ? named(fresh.fingerprint, fresh.member ?? target)
      : `any key that was made on ${target ?? 'a member'}`,
  ].join(' and ');
  return spec.onDelete === 'orphan'
    ? `${keys} stay alive, and nobody retires either: delete in ConnectWise what is not to be used.`
    : `${keys} are deleted by nobody; they stop working where their members are switched off.`;
}

/** What is left behind, for the last event of a tenant's history. */
export function leftBehind({ spec, facts, observedAt }: Seen, credentials: HeldCredential[]): string {
  const keys = credentials.filter(
    ({ purpose, state }) => purpose === 'integration' && state !== 'dead' && state !== 'refused',
  );
  const names = expectedMembers(spec);
  const held = keys.flatMap(({ fingerprint, member }) =>
    member !== null && names.some((name) => sameIdentifier(name, member))
      ? [`${fingerprint} of ${member}`]
      : [fingerprint],
  );
  const alive = held.length === 0 ? '' : ` Not seen dead: ${held.join(', ')}.`;
  if (!isFresh(facts.members, observedAt)) return `What is left in ConnectWise was not seen.${alive}`;
  const { items } = facts.members.value;
  const left = names.flatMap((name) => {
    const member = findMember(items, name);
    return member ? [`${member.identifier} (${member.inactive ? 'inactive' : 'active'})`] : [];
  });
  return `Left in ConnectWise: ${left.length === 0 ? 'no member of it' : left.join(', ')}.${alive}`;
}
