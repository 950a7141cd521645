import { ready, type Condition, type Truth } from './condition.ts';
import { horizonsOf } from './verdict.ts';
import { formatSpan } from './duration.ts';
import type { TenantSpec } from './tenant.ts';
import { told } from './told.ts';

/** Whether a tenant is ready at this moment: by what its last run saw, as long as that still says something. */

export interface Readiness {
  ready: Truth;
  /** The first thing that stands between the tenant and ready, in words; null where it is ready. */
  waitsFor: string | null;
}

/** What the last run saw; null: no run has seen anything. */
export type Observed = { conditions: Condition[]; observedAt: string } | null;

/** Of this spec, and seen lately; else it is Unknown (rulings 2). */
export function readiness(
  { spec, generation }: { spec: TenantSpec; generation: number },
  observed: Observed,
  now: Date,
): Readiness {
  const unseen = (waitsFor: string) => ({ ready: 'Unknown' as const, waitsFor });
  if (!observed) return unseen('its first reconcile');
  const { conditions, observedAt } = observed;
  if (conditions.some(({ observedGeneration }) => observedGeneration < generation)) {
    return unseen(`a reconcile of generation ${generation}`);
  }
  const age = now.getTime() - Date.parse(observedAt);
  if (age > holdsFor(spec, now)) {
    return unseen(`a reconcile: the last one was ${formatSpan(age)} ago`);
  }
  const truth = ready(conditions);
  const waits = truth === 'True' ? null : hindrance(conditions);
  return { ready: truth, waitsFor: waits && told(waits, now) };
}

/** Ms that a run's findings hold: beyond the shortest horizon of any condition they prove nothing (rulings 2). */
export const holdsFor = (spec: Pick<TenantSpec, 'every'>, now: Date): number => horizonsOf(spec, now).keys;

/** The first condition that is False, else the first Unknown that the spec needs (rulings 6), in its own words. */
function hindrance(conditions: Condition[]): string | null {
  const summed = conditions.filter(({ type }) => type !== 'Braked' && type !== 'Paused');
  const first =
    summed.find(({ status }) => status === 'False') ??
    summed.find(({ status, reason }) => status === 'Unknown' && reason !== 'NothingMapped');
  return first?.message ?? null;
}
