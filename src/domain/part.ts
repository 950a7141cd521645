import type { Condition, ConditionType } from './condition.ts';
import type { FactName, Facts } from './observation.ts';
import { cycleMs, type TenantSpec } from './tenant.ts';

/**
 * What of a tenant need not be looked at each time while nothing is wrong: it changes rarely, and costs most of a look's
 * calls. A look that leaves parts out is a brief one; whatever it finds wrong makes it a whole one.
 */
export const PARTS = ['settings', 'umbrella'] as const;
export type Part = (typeof PARTS)[number];

export const NO_PART: ReadonlySet<Part> = new Set();

/**
 * After so many cycles a part is looked at again. With as many more as keys hold it is still younger than its horizon, so
 * that a status that stays for lack of looks says nothing of what is too old (`HORIZONS`).
 */
const EVERY_CYCLES: Readonly<Record<Part, number>> = { settings: 3, umbrella: 8 };

/** Looks come late, and a little early. */
const SLACK = 0.5;

/** To which part a fact belongs; null: each look shows it. */
export const PART_OF: Readonly<Record<FactName, Part | null>> = {
  site: null,
  members: null,
  integrationKey: null,
  management: 'settings',
  roles: 'settings',
  roleLevels: 'settings',
  writes: 'settings',
  umbrellaAccess: 'umbrella',
  umbrellaKeyAdmin: 'umbrella',
  umbrellaKey: 'umbrella',
  umbrellaAdminKey: 'umbrella',
  customers: 'umbrella',
};
const NAMES = Object.keys(PART_OF) as FactName[];

/** The part that a condition rests on most. */
export const PART_OF_CONDITION: Readonly<Partial<Record<Condition['type'], Part>>> = {
  ManagementKeyValid: 'settings',
  RoleReady: 'settings',
  UmbrellaIntegrated: 'settings',
  UmbrellaKeyValid: 'umbrella',
} satisfies Partial<Record<ConditionType, Part>>;

/** When parts were last seen, ISO 8601; those of which nothing was seen lack. */
export type PartTimes = Partial<Record<Part, string>>;

/** By the oldest fact of each. */
export function partTimes(facts: Facts): PartTimes {
  const times: PartTimes = {};
  for (const name of NAMES) {
    const part = PART_OF[name];
    const at = facts[name]?.at;
    if (part === null || at === undefined) continue;
    const known = times[part];
    if (known === undefined || at < known) times[part] = at;
  }
  return times;
}

/** The parts that were seen lately enough to be left out now. */
export function seenLately(spec: Pick<TenantSpec, 'every'>, facts: Facts, now: Date): ReadonlySet<Part> {
  const times = partTimes(facts);
  const cycle = cycleMs(spec.every, now);
  return new Set(
    PARTS.filter((part) => {
      const at = times[part];
      const age = at === undefined ? Infinity : now.getTime() - Date.parse(at);
      // Dated ahead of this clock it has no known age.
      return age >= 0 && age < (EVERY_CYCLES[part] - SLACK) * cycle;
    }),
  );
}
