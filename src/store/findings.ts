import type { Condition } from '../domain/condition.ts';
import type { FactName, Facts, Remembered } from '../domain/observation.ts';
import { PART_OF, PART_OF_CONDITION, PARTS, partTimes, type Part, type PartTimes } from '../domain/part.ts';
import { ago } from '../domain/told.ts';
import type { StoredStatus } from '../reconciler/ports.ts';
import { frozen } from '../domain/frozen.ts';

/** What a status says besides when that was seen: run after run finds the same of a tenant that stays as it is. */
export type Findings = Pick<
  StoredStatus,
  'observedGeneration' | 'memory' | 'conditions' | 'drift' | 'plan'
> & {
  facts: UndatedFacts;
};

/**
 * Facts as they are stored: what was seen, or failed, in the look of `observed_at` has no time of its own, and what a
 * brief look leaves out has that of its part, so that another look that shows the same changes those times and nothing
 * else.
 */
export type UndatedFacts = { [Name in keyof Omit<Facts, 'candidates'>]: Undated } & {
  candidates: Record<string, Undated>;
};
type Failed = NonNullable<Remembered<unknown>['failure']>;
type Undated = Omit<Remembered<unknown>, 'failure'> & { failure?: Omit<Failed, 'at'> & { at?: string } };

type Remember = Remembered<unknown>;

/** When a status was seen. ISO 8601. */
export interface Seen {
  /** Of the last look. */
  observedAt: string;
  /** Of the parts, each of which that look saw or left out; what lacks was seen with it. */
  partsAt: PartTimes;
}

/** When what the status holds was seen. */
export const seenOf = ({ facts, observedAt }: Pick<StoredStatus, 'facts' | 'observedAt'>): Seen => ({
  observedAt,
  partsAt: partTimes(facts),
});

const timeOf = ({ observedAt, partsAt }: Seen, name: string): string => {
  const part = PART_OF[name as FactName];
  return (part && partsAt[part]) ?? observedAt;
};

export const findingsOf = (status: StoredStatus): Findings => {
  const { facts, observedAt: _, ...others } = status;
  const seen = seenOf(status);
  const { candidates, ...named } = facts;
  return {
    ...others,
    facts: {
      ...mapped(named, (fact, name) => undated(fact, timeOf(seen, name), seen.observedAt)),
      candidates: mapped(candidates, (fact) => undated(fact, seen.observedAt, seen.observedAt)),
    },
    conditions: undatedConditions(others.conditions, seen),
  };
};

export const statusOf = ({ facts, ...others }: Findings, seen: Seen): StoredStatus => {
  const { observedAt } = seen;
  const { candidates, ...named } = facts;
  return {
    ...others,
    facts: {
      ...mapped(named, (fact, name) => dated(fact, timeOf(seen, name), observedAt)),
      candidates: mapped(candidates, (fact) => dated(fact, observedAt, observedAt)),
    } as Facts,
    conditions: datedConditions(others.conditions, seen),
    observedAt,
  };
};

/** An age of the look itself (`told`), or of a part, as a stored message has it. */
const agoOf = (part: Part | null): string => (part === null ? '{ago}' : `{ago:${part}}`);
const EACH = [null, ...PARTS] as const;

const timeOfPart = ({ observedAt, partsAt }: Seen, part: Part | null): string =>
  (part && partsAt[part]) ?? observedAt;

const AGO = /\{ago[^}]*\}/g;

const rephrased = (condition: Condition, words: ReadonlyMap<string, string>): Condition => {
  const message = condition.message.replace(AGO, (one) => words.get(one) ?? one);
  return message === condition.message ? condition : { ...condition, message };
};

/** Where times are the same, the one that the condition rests on counts: else its words would change with each look. */
function undatedConditions(conditions: Condition[], seen: Seen): Condition[] {
  const words = new Map(
    EACH.map((most) => [
      most,
      new Map([...EACH.toReversed(), most].map((part) => [ago(timeOfPart(seen, part)), agoOf(part)])),
    ]),
  );
  return conditions.map((one) => rephrased(one, words.get(PART_OF_CONDITION[one.type] ?? null)!));
}

/** Stored conditions with the times that their messages speak of. */
export function datedConditions(conditions: Condition[], seen: Seen): Condition[] {
  const words = new Map(EACH.map((part) => [agoOf(part), ago(timeOfPart(seen, part))]));
  return conditions.map((one) => rephrased(one, words));
}

function mapped<From, To>(
  parts: Record<string, From>,
  change: (part: From, name: string) => To,
): Record<string, To> {
  const changed: Record<string, To> = {};
  for (const name in parts) changed[name] = change(parts[name]!, name);
  return changed;
}

function undated({ at, observedAt, failure, ...fact }: Remember, seenAt: string, lookedAt: string): Undated {
  const isOfLook = at === seenAt && observedAt === seenAt;
  return {
    ...fact,
    ...(at === undefined || isOfLook ? {} : { at }),
    ...(observedAt === undefined || isOfLook ? {} : { observedAt }),
    ...(failure === undefined
      ? {}
      : { failure: failure.at === lookedAt ? undatedFailure(failure) : failure }),
  };
}

const undatedFailure = ({ failure, credentialId }: Failed) => ({ failure, credentialId });

/** A fact with its times: `seenAt` of what was seen, `lookedAt` of what failed. */
function dated({ failure, ...fact }: Undated, seenAt: string, lookedAt: string): Remember {
  const isOfLook = fact.value !== undefined && fact.at === undefined;
  return {
    ...fact,
    ...(isOfLook ? { at: seenAt, observedAt: seenAt } : {}),
    ...(failure === undefined ? {} : { failure: { ...failure, at: failure.at ?? lookedAt } }),
  };
}

/** One fact of a stored status. */
export const datedFact = (fact: NonNullable<UndatedFacts[FactName]>, name: FactName, seen: Seen): Remember =>
  dated(fact, timeOf(seen, name), seen.observedAt);

/** Whether JSON would say the same of both, whatever the order of their keys. */
export function isSame(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (Array.isArray(one) || Array.isArray(other)) {
    if (!Array.isArray(one) || !Array.isArray(other) || one.length !== other.length) return false;
    return one.every((part, index) => isSame(part, other[index]));
  }
  return sameParts(one as Record<string, unknown>, other as Record<string, unknown>);
}

function sameParts(one: Record<string, unknown>, other: Record<string, unknown>): boolean {
  let parts = 0;
  for (const name in one) {
    if (one[name] === undefined) continue;
    if (!isSame(one[name], other[name])) return false;
    parts += 1;
  }
  for (const name in other) if (other[name] !== undefined) parts -= 1;
  return parts === 0;
}

/** Findings, and the run that wrote them: as long as that is what the row says, they are what it holds. */
export interface Known {
  version: string;
  findings: Findings;
}

/** Tenants whose findings a process remembers: some 10 KB each. */
const MOST_TENANTS = 4_000;

/**
 * What this process read or wrote last of each tenant's status, so that it need not be sent again from the database
 * or to it as long as it stays the same. It is never believed by itself: each statement names the version that it
 * was known under, and another one in the row counts.
 *
 * Of more tenants than it may hold, those that come later are not remembered: a fleet is swept in turns, so that
 * whoever throws out the oldest finds nothing.
 */
export class KnownFindings {
  readonly #known = new Map<string, Known>();

  get(tenantId: string): Known | undefined {
    return this.#known.get(tenantId);
  }

  keep(tenantId: string, known: Known): void {
    if (this.#known.size < MOST_TENANTS || this.#known.has(tenantId)) {
      this.#known.set(tenantId, { ...known, findings: frozen(known.findings) });
    }
  }

  forget(tenantId: string): void {
    this.#known.delete(tenantId);
  }
}
