import type { Condition, ConditionType, Truth } from './condition.ts';
import { toMs } from './duration.ts';
import type { Drift } from './drift.ts';
import type { Labels } from './labels.ts';
import { holdsFor } from './readiness.ts';
import type { TenantSpec } from './tenant.ts';

/** What lists, filters and counts of the fleet ask of a tenant: little, and seldom another. */

/** What follows from the spec. */
export interface ListedSpec {
  name: string;
  mode: TenantSpec['mode'];
  paused: boolean;
  labels: Labels;
  /** What a person's word is looked for in: name, id and company, lower case, a line each; sorts by name. */
  words: string;
  /** Ms that what a run saw holds. */
  holdsMs: number;
  /** Ms after which an integration key is to be rotated. */
  keyMaxAgeMs: number;
}

export function listedSpec(spec: TenantSpec, now: Date): ListedSpec {
  const { id, name, mode, paused, labels, connectwise, rotation } = spec;
  return {
    name,
    mode,
    paused,
    labels,
    words: [name, id, connectwise.companyId].join('\n').toLowerCase(),
    holdsMs: holdsFor(spec, now),
    keyMaxAgeMs: toMs(rotation.maxAge),
  };
}

/** What follows from what a run saw. */
export interface ListedFindings {
  /** Of each condition `RoleReady=False` and `RoleReady=False/LevelsMissing`. */
  marks: string[];
  /** Paths of drift that nobody accepted, sorted, each once. */
  drift: string[];
}

export const listedFindings = (
  conditions: readonly Pick<Condition, 'type' | 'status' | 'reason'>[],
  drift: readonly Pick<Drift, 'path' | 'accepted'>[],
): ListedFindings => ({
  marks: conditions.flatMap(({ type, status, reason }) => [
    markOf(type, status),
    `${markOf(type, status)}/${reason}`,
  ]),
  drift: [...new Set(drift.filter(({ accepted }) => !accepted).map(({ path }) => path))].toSorted(),
});

export const markOf = (type: ConditionType, status: Truth): string => `${type}=${status}`;
