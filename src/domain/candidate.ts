import { unaccepted, type Acceptance } from './acceptance.ts';
import type { IntegrationMemory } from './condition.ts';
import type { CredentialState, HeldCredential } from './credential.ts';
import { activeKey, activeMember, compareAllowList, compareLevels, findMember, tooWeak } from './drift.ts';
import { isFresh, type KeyProof, type Remembered } from './observation.ts';
import { isActiveAndSeen, type Seen } from './ground.ts';
import { overlaps, type Rotation } from './rotation.ts';
import { sameIdentifier, slotOf } from './tenant.ts';

/** What becomes of a pair, and why; a state that stays is told too, so that a person sees what it waits for. */
export interface CandidateDecision {
  credential: HeldCredential;
  becomes: CredentialState;
  because: string;
}

/** What pairs are judged on: what was seen, and whether another key has to go on working meanwhile. */
export interface CandidateGround extends Seen {
  /** The rotation that is under way; null: none is. */
  rotation: Rotation | null;
  /** Mode `repair`, not paused: a rotation begins for a pair beside one that works; else a person brings it in. */
  mayRotate: boolean;
  /** Acceptances in force. */
  accepted: Acceptance[];
  memory: IntegrationMemory;
}

/**
 * Judges every pair that is not in use by what it showed of itself (rulings 16, 21). At most one becomes the
 * key in use, or is proved and waits for Umbrella: the newest that qualifies; an older one that works is refused
 * then, since nobody may use it. A pair that was retired and works again is refused: an incident.
 */
export function judgeCandidates(ground: CandidateGround): CandidateDecision[] {
  const newestFirst = ground.credentials
    .filter(({ purpose, state }) => purpose === 'integration' && state !== 'active')
    .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  let chosen: HeldCredential | null = null;
  return newestFirst.flatMap((credential): CandidateDecision[] => {
    const { state } = credential;
    if (state === 'superseded' || state === 'dead') return judgeRetired(ground, credential);
    if (state === 'refused') return [judgeRefused(ground, credential)];
    const decision = judge(ground, credential);
    if (decision.becomes === 'active' || decision.becomes === 'proved') {
      if (chosen) {
        const because = `the newer key ${chosen.fingerprint} took its place`;
        return [{ credential, becomes: 'refused', because }];
      }
      chosen = credential;
    }
    return [decision];
  });
}

/** What works has to go on working until the new key was seen in use (design.md §3.4). */
function judge(ground: CandidateGround, credential: HeldCredential): CandidateDecision {
  const decision = assess(ground, credential, ground.facts.candidates[credential.id]);
  if (decision.becomes !== 'active') return decision;
  const { rotation } = ground;
  const begun = rotation !== null && rotation.phase !== 'Pending';
  // A rotation that is held keeps both keys as they are (rulings 13).
  const waits = begun ? overlaps(rotation) : ground.mayRotate && anotherServes(ground, credential);
  return waits ? { ...decision, becomes: 'proved' } : decision;
}

/** Whether the key in use, of another member, may work. */
function anotherServes(ground: CandidateGround, credential: HeldCredential): boolean {
  const key = activeKey(ground.credentials);
  if (!key) return false;
  const proof = ground.facts.integrationKey;
  const told = isFresh(proof, ground.observedAt) && proof.value.credentialId === key.id ? proof.value : null;
  const whose = told?.authenticates ? told.member : null;
  const member = whose ?? activeMember(ground.spec, ground.credentials);
  if (credential.member === null || sameIdentifier(credential.member, member)) return false;
  const dead = told?.authenticates === false && isActiveAndSeen(ground);
  return !dead;
}

/**
 * What a pair is worth by what it showed. Weather never refuses one; a dead one or another member's is refused,
 * and one that is alive and refused is to be deleted by a person. `active`: it may be used.
 */
export function assess(
  ground: Seen & Pick<CandidateGround, 'accepted'>,
  credential: HeldCredential,
  proof: Remembered<KeyProof> | undefined,
): CandidateDecision {
  const { spec, observedAt, accepted } = ground;
  const as = (becomes: CredentialState, because: string) => ({ credential, becomes, because });
  const keep = (because: string) => as('candidate', because);

  if (!isFresh(proof, observedAt)) return keep('it could not be proved yet');
  const wanted = credential.member ?? activeMember(spec, ground.credentials);
  if (!proof.value.authenticates) {
    if (isActiveAndSeen(ground, wanted)) return as('dead', 'ConnectWise refuses it');
    return slotOf(spec, wanted) === null
      ? as('superseded', `the spec no longer names its member ${wanted}`)
      : keep(`ConnectWise refuses it, which says nothing while ${wanted} is not seen active`);
  }
  const { member, levels, allowList, unreadable } = proof.value;
  if (!member) return keep('ConnectWise did not tell whose key it is');
  if (!sameIdentifier(member, wanted)) return as('refused', `it belongs to ${member}, not to ${wanted}`);
  if (!slotOf(spec, wanted)) return as('refused', `the spec no longer names its member ${wanted}`);
  const cells = unaccepted(compareLevels(spec.connectwise.role.levels, levels), accepted);
  if (cells.length > 0) {
    return keep(
      `its levels are too ${cells.some(tooWeak) ? 'weak' : 'strong'}: the role is to be mended first`,
    );
  }
  if (!allowList) return keep('its allow list could not be read yet');
  if (unaccepted(compareAllowList(spec.connectwise.role.tableSetup, allowList), accepted).length > 0) {
    return keep('the allow list is to be set first');
  }
  if (unreadable === undefined && credential.state === 'candidate') {
    return keep('what Umbrella needs was not read with it yet');
  }
  if (unreadable && unreadable.length > 0) {
    return keep(`it may not read ${unreadable.join(', ')}, which Umbrella needs`);
  }
  return as('active', `it authenticates as ${member} with exactly the levels and the allow list of the spec`);
}

/** A pair that another took the place of, or that was seen dead: called with now and then (rulings 19). */
function judgeRetired(ground: CandidateGround, credential: HeldCredential): CandidateDecision[] {
  const { facts, observedAt, rotation, memory } = ground;
  const proof = facts.candidates[credential.id];
  if (!isFresh(proof, observedAt)) return [];
  const serves = [rotation?.old?.credentialId, rotation?.fresh?.credentialId].includes(credential.id);
  if (serves) return [];
  if (proof.value.authenticates) {
    // Umbrella may still call with the one before, until it was seen to use the one in use.
    const maybeUsed = rotation !== null || memory.install?.adopted === null;
    if (credential.state === 'superseded' && maybeUsed) return [];
    const because = 'it was taken out of use, and works';
    return [{ credential, becomes: 'refused', because }];
  }
  const refused = judgeRefused(ground, credential);
  return credential.state === 'superseded' && refused.becomes === 'dead' ? [refused] : [];
}

/**
 * A refusal shows that the key is gone only while its member is active, or is no more (domain.md §3); that holds of
 * members too that the slots had before.
 */
function judgeRefused(ground: Seen, credential: HeldCredential): CandidateDecision {
  const { spec, facts, observedAt, credentials } = ground;
  const as = (becomes: CredentialState, because: string) => ({ credential, becomes, because });
  const proof = facts.candidates[credential.id];
  const refused = isFresh(proof, observedAt) && !proof.value.authenticates;
  if (!refused || !isFresh(facts.members, observedAt)) return as('refused', 'it was not seen dead yet');
  const { items, controlSeen } = facts.members.value;
  const member = findMember(items, credential.member ?? activeMember(spec, credentials));
  const tells = member ? !member.inactive : controlSeen;
  if (tells) return as('dead', 'ConnectWise refuses it now');
  // It was in use once, and works no more with its member.
  if (member && credential.lastProvedAt !== null) return as('superseded', 'its member is off');
  return as('refused', 'it was not seen dead yet');
}
