import type { CredentialState, HeldCredential } from './credential.ts';
import { activeMember, compareAllowList, compareLevels, tooWeak } from './drift.ts';
import { isFresh } from './observation.ts';
import { isActiveAndSeen, type Seen } from './plan.ts';
import { sameIdentifier, slotOf } from './tenant.ts';

/** What becomes of a pair, and why; a state that stays is told too, so that a person sees what it waits for. */
export interface CandidateDecision {
  credential: HeldCredential;
  becomes: CredentialState;
  because: string;
}

/**
 * Judges every pair that is not in use by what it showed of itself (rulings 16, 21). At most one becomes the
 * key in use: the newest that qualifies; an older one that works is refused then, since nobody may use it.
 */
export function judgeCandidates(ground: Seen): CandidateDecision[] {
  const newestFirst = ground.credentials
    .filter(
      ({ purpose, state }) => purpose === 'integration' && (state === 'candidate' || state === 'refused'),
    )
    .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  let promoted: HeldCredential | null = null;
  return newestFirst.map((credential) => {
    const decision =
      credential.state === 'refused' ? judgeRefused(ground, credential) : judge(ground, credential);
    if (decision.becomes === 'active') {
      if (promoted) {
        const because = `the newer key ${promoted.fingerprint} took its place`;
        return { credential, becomes: 'refused', because };
      }
      promoted = credential;
    }
    return decision;
  });
}

/**
 * Weather never refuses a pair; a dead one or another member's is refused, and one that is alive and refused is
 * to be deleted by a person.
 */
function judge(ground: Seen, credential: HeldCredential): CandidateDecision {
  const { spec, facts, observedAt } = ground;
  const as = (becomes: CredentialState, because: string) => ({ credential, becomes, because });
  const keep = (because: string) => as('candidate', because);

  const proof = facts.candidates[credential.id];
  if (!isFresh(proof, observedAt)) return keep('it could not be proved yet');
  const wanted = credential.member ?? activeMember(spec, ground.credentials);
  if (!proof.value.authenticates) {
    return isActiveAndSeen(ground, wanted)
      ? as('dead', 'ConnectWise refuses it')
      : keep(`ConnectWise refuses it, which says nothing while ${wanted} is not seen active`);
  }
  const { member, levels, allowList } = proof.value;
  if (!member) return keep('ConnectWise did not tell whose key it is');
  if (!sameIdentifier(member, wanted)) return as('refused', `it belongs to ${member}, not to ${wanted}`);
  if (!slotOf(spec, wanted)) return as('refused', `the spec no longer names its member ${wanted}`);
  const cells = compareLevels(spec.connectwise.role.levels, levels);
  if (cells.length > 0) {
    return keep(
      `its levels are too ${cells.some(tooWeak) ? 'weak' : 'strong'}: the role is to be mended first`,
    );
  }
  if (!allowList) return keep('its allow list could not be read yet');
  if (compareAllowList(spec.connectwise.role.tableSetup, allowList).length > 0) {
    return keep('the allow list is to be set first');
  }
  return as('active', `it authenticates as ${member} with exactly the levels and the allow list of the spec`);
}

/** A refusal shows that the key is gone only while its member is active (domain.md §3). */
function judgeRefused(ground: Seen, credential: HeldCredential): CandidateDecision {
  const { spec, facts, observedAt, credentials } = ground;
  const proof = facts.candidates[credential.id];
  const refused = isFresh(proof, observedAt) && !proof.value.authenticates;
  const member = credential.member ?? activeMember(spec, credentials);
  const tells = slotOf(spec, member) === null || isActiveAndSeen(ground, member);
  return refused && tells
    ? { credential, becomes: 'dead', because: 'ConnectWise refuses it now' }
    : { credential, becomes: 'refused', because: 'it was not seen dead yet' };
}
