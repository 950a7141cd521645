import type { CandidateDecision } from './candidate.ts';
import type { HeldCredential } from './credential.ts';
import { isFresh } from './observation.ts';
import type { Seen } from './ground.ts';
import { slotOf } from './tenant.ts';

/**
 * Judges Parasol's own keys that are not the one in use (rulings 23): a successor takes over once it did the same
 * reads as the key in use, and the one before it is called with until it is seen dead. Parasol never gives up the
 * key that it calls with for one that may do less.
 */
export function judgeSuccessors(ground: Seen): CandidateDecision[] {
  const newestFirst = ground.credentials
    .filter(({ purpose, state }) => purpose === 'management' && state !== 'active' && state !== 'dead')
    .toSorted((a, b) => b.createdAt.localeCompare(a.createdAt) || b.id.localeCompare(a.id));
  let chosen: HeldCredential | null = null;
  return newestFirst.map((credential) => {
    if (credential.state !== 'candidate') return judgePredecessor(ground, credential);
    const decision = judgeSuccessor(ground, credential);
    if (decision.becomes !== 'active') return decision;
    if (chosen) {
      const because = `the newer key ${chosen.fingerprint} took its place`;
      return { credential, becomes: 'refused', because };
    }
    chosen = credential;
    return decision;
  });
}

function judgeSuccessor(ground: Seen, credential: HeldCredential): CandidateDecision {
  const { spec, facts, observedAt } = ground;
  const as = (becomes: CandidateDecision['becomes'], because: string) => ({ credential, becomes, because });
  const proof = facts.candidates[credential.id];
  if (!isFresh(proof, observedAt)) return as('candidate', 'it could not be proved yet');
  if (!proof.value.authenticates) return as('dead', 'ConnectWise refuses it');
  const { member, missing = [], unreadable } = proof.value;
  if (member !== null && slotOf(spec, member)) {
    return as('refused', `it belongs to ${member}, which is the integration's member and not Parasol's`);
  }
  const now = facts.management;
  if (isFresh(now, observedAt) && now.value.authenticates) {
    if (!unreadable) return as('candidate', 'what Parasol reads was not read with it yet');
    const had = now.value.missing;
    const lacks = [
      ...missing.filter((right) => !had.includes(right)),
      ...unreadable.map((what) => `read ${what}`),
    ];
    if (lacks.length > 0) return as('candidate', `it lacks what the key in use may: ${lacks.join(', ')}`);
  }
  return as('active', `it did the same reads as the key before it, as ${member ?? 'its member'}`);
}

/** Whatever its member is: Parasol calls with it no more, so that a refusal is all that can be seen. */
function judgePredecessor({ facts, observedAt }: Seen, credential: HeldCredential): CandidateDecision {
  const proof = facts.candidates[credential.id];
  return isFresh(proof, observedAt) && !proof.value.authenticates
    ? { credential, becomes: 'dead', because: 'ConnectWise refuses it now' }
    : { credential, becomes: credential.state, because: 'it was not seen dead yet' };
}
