import { ready } from '../domain/condition.ts';
import { NO_PART, seenLately, type Part } from '../domain/part.ts';
import { isOver } from '../domain/umbrella-rotation.ts';
import type { Judgement, Look } from './judge.ts';
import type { Keys } from './observe.ts';
import type { ClaimedTenant, Snapshot, StoredStatus } from './ports.ts';

/**
 * When a look may be a brief one: by the calendar, at a tenant of which nothing is wrong and with which nothing is under
 * way. Whoever asks for a look, and whatever is to be judged, has a whole one.
 */

/** The parts that a look leaves out. */
export function leftOut(
  { trigger }: Pick<ClaimedTenant, 'trigger'>,
  snapshot: Snapshot & { subject: string },
  keys: Keys,
  now: Date,
): ReadonlySet<Part> {
  const { tenant, status, handoffs, intents, acceptances, rotation, umbrellaRotation, sighted } = snapshot;
  const { spec, generation, deleting, brake, failures } = tenant;
  if (trigger !== 'schedule' || !status || deleting || brake || rotation || failures > 0) return NO_PART;
  const isOfThisSpec = status.observedGeneration === generation && status.memory.subject === snapshot.subject;
  const underWay = [handoffs, intents, acceptances, sighted, keys.candidates, keys.successors];
  if (!isOfThisSpec || underWay.some(({ length }) => length > 0)) return NO_PART;
  if (umbrellaRotation && !isOver(umbrellaRotation)) return NO_PART;
  return isCalm(status) ? seenLately(spec, status.facts, now) : NO_PART;
}

/** Whether a brief look found nothing that a whole one would have to look into. */
export function rests({ observation }: Look, judged: Judgement): boolean {
  const { at: _, candidates: __, ...readings } = observation;
  const { candidates, moved, acceptances, sightings } = judged;
  return (
    Object.values(readings).every(({ ok }) => ok) &&
    isCalm(judged.status) &&
    judged.rotation === null &&
    [candidates, moved, acceptances, sightings].every(({ length }) => length === 0)
  );
}

/** All that the spec needs was seen, nothing differs, and no pair waits to be seen in use. */
function isCalm({ conditions, drift, plan, facts, memory }: StoredStatus): boolean {
  const { candidates, ...named } = facts;
  return (
    ready(conditions) === 'True' &&
    drift.length === 0 &&
    plan.steps.length === 0 &&
    memory.install?.adopted !== null &&
    Object.keys(candidates).length === 0 &&
    Object.values(named).every(({ failure }) => failure === undefined)
  );
}
