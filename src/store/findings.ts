import type { Condition } from '../domain/condition.ts';
import type { Facts, Remembered } from '../domain/observation.ts';
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
 * Facts as they are stored: what was seen, or failed, in the look of `observed_at` has no time of its own, so that
 * another look that shows the same changes that one time and nothing else.
 */
export type UndatedFacts = { [Name in keyof Omit<Facts, 'candidates'>]: Undated } & {
  candidates: Record<string, Undated>;
};
type Failed = NonNullable<Remembered<unknown>['failure']>;
type Undated = Omit<Remembered<unknown>, 'failure'> & { failure?: Omit<Failed, 'at'> & { at?: string } };

type Remember = Remembered<unknown>;

export const findingsOf = ({ facts, observedAt, ...others }: StoredStatus): Findings => {
  const { candidates, ...named } = facts;
  const each = (facts: Record<string, Remember>) => mapped(facts, (fact) => undated(fact, observedAt));
  return {
    ...others,
    facts: { ...each(named), candidates: each(candidates) },
    conditions: rephrased(others.conditions, ago(observedAt), AGO_OF_LOOK),
  };
};

export const statusOf = ({ facts, ...others }: Findings, observedAt: string): StoredStatus => {
  const { candidates, ...named } = facts;
  const each = (facts: Record<string, Undated>) => mapped(facts, (fact) => dated(fact, observedAt));
  return {
    ...others,
    facts: { ...each(named), candidates: each(candidates) } as Facts,
    conditions: datedConditions(others.conditions, observedAt),
    observedAt,
  };
};

/** An age of the look itself (`told`), as a stored message has it. */
const AGO_OF_LOOK = '{ago}';

/** Stored conditions with the times that their messages speak of; `lookedAt`: of the look that they are of. */
export const datedConditions = (conditions: Condition[], lookedAt: string): Condition[] =>
  rephrased(conditions, AGO_OF_LOOK, ago(lookedAt));

const rephrased = (conditions: Condition[], words: string, others: string): Condition[] =>
  conditions.map((one) =>
    one.message.includes(words) ? { ...one, message: one.message.replaceAll(words, () => others) } : one,
  );

const mapped = <From, To>(parts: Record<string, From>, change: (part: From) => To): Record<string, To> =>
  Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, change(part)]));

function undated({ at, observedAt, failure, ...fact }: Remember, lookedAt: string): Undated {
  const isOfLook = at === lookedAt && observedAt === lookedAt;
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

/** A fact with its time; `lookedAt`: of the look that the stored facts are of. */
export function dated({ failure, ...fact }: Undated, lookedAt: string): Remember {
  const isOfLook = fact.value !== undefined && fact.at === undefined;
  return {
    ...fact,
    ...(isOfLook ? { at: lookedAt, observedAt: lookedAt } : {}),
    ...(failure === undefined ? {} : { failure: { ...failure, at: failure.at ?? lookedAt } }),
  };
}

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
