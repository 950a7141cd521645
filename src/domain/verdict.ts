import type { Circumstances, Verdict } from './condition.ts';
import type { HeldCredential } from './credential.ts';
import { toMs } from './duration.ts';
import type { Facts, Remembered } from './observation.ts';
import { describeFailure, type Failure } from './outcome.ts';
import { cycleMs, type Purpose, type TenantSpec } from './tenant.ts';
import { ago } from './told.ts';

/** The words that checks are made of: what a check says, and whether what was seen still holds (rulings 2). */

export const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
export const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
export const unknown = (reason: string, message: string): Verdict => ({ status: 'Unknown', reason, message });

/** How long a value holds after it was last seen, in cycles of the tenant, and at the least; see `EVERY_CYCLES`. */
const HORIZONS = {
  keys: { cycles: 4, atLeast: '5m' },
  settings: { cycles: 8, atLeast: '15m' },
  umbrella: { cycles: 12, atLeast: '15m' },
} as const;
export type Horizon = keyof typeof HORIZONS;

/** Milliseconds that a value of that kind holds. */
export function horizonsOf(spec: Pick<TenantSpec, 'every'>, now: Date): Record<Horizon, number> {
  const cycle = cycleMs(spec.every, now);
  const ms = (of: Horizon) => Math.max(HORIZONS[of].cycles * cycle, toMs(HORIZONS[of].atLeast));
  return { keys: ms('keys'), settings: ms('settings'), umbrella: ms('umbrella') };
}

/** Replicas' and vendors' clocks may be so far ahead of this one; what is dated later has no known age. */
const CLOCK_TOLERANCE_MS = toMs('5m');

/** What a check looks at. */
export interface Look extends Circumstances {
  horizons: Record<Horizon, number>;
}

export const ageOf = ({ now }: Circumstances, at: string): number => now.getTime() - Date.parse(at);

/** Dated ahead of this clock by more than clocks differ. */
export const isAhead = (look: Circumstances, at: string): boolean => ageOf(look, at) < -CLOCK_TOLERANCE_MS;

const isWithin = (look: Look, at: string, of: Horizon): boolean =>
  !isAhead(look, at) && ageOf(look, at) <= look.horizons[of];

/** The pair in use for that; null: none. */
export function pairInUse({ credentials }: Circumstances, purpose: Purpose): HeldCredential | null {
  return credentials.find((held) => held.purpose === purpose && held.state === 'active') ?? null;
}

/** What is asked of a fact: how long it holds, its name in a message, and the pair that it must tell of. */
interface Asked {
  of: Horizon;
  what: string;
  key?: HeldCredential;
}

/** `seen` is when, as a message keeps it. */
type Standing<T> =
  { value: T; at: string; seen: string; verdict?: never } | { verdict: Verdict; value?: never };

/** The value that still holds and when it was seen, or why nothing can be said. */
export function standing<T>(
  look: Look,
  fact: Remembered<T> | undefined,
  { of, what, key }: Asked,
): Standing<T> {
  const failed = fact?.failure ? `${describeFailure(fact.failure.failure)}, ${ago(fact.failure.at)}` : null;
  if (fact?.value === undefined || fact.at === undefined) {
    return { verdict: unknown('NotSeen', `${what} was never seen: ${failed ?? 'not asked for yet'}.`) };
  }
  const since = failed === null ? '' : ` Since then: ${failed}.`;
  if (key && fact.credentialId !== key.id) {
    return { verdict: unknown('NotProved', `${what} ${key.fingerprint} was not proved yet.${since}`) };
  }
  if (isAhead(look, fact.at)) {
    const when = `dated ${fact.at}, which is ahead of this clock: check the clocks of all replicas`;
    return { verdict: unknown('ClockSkew', `What was seen of ${inSentence(what)} is ${when}.${since}`) };
  }
  if (!isWithin(look, fact.at, of)) {
    const seen = `${what} was last seen ${ago(fact.at)}, too long ago to hold.`;
    return { verdict: unknown('EvidenceTooOld', `${seen}${since}`) };
  }
  return { value: fact.value, at: fact.at, seen: ago(fact.at) };
}

const inSentence = (what: string) => what.replace(/^The /, 'the ');

/**
 * The facts without what levels and pairs showed that no longer holds. The lists of roles and members stay at
 * any age: they say which of it speaks of the spec's role, and their age unsays none of that.
 */
export function holding(look: Look): Facts {
  const { roleLevels, integrationKey, candidates, ...others } = look.facts;
  const holds = (fact: Remembered<unknown>) => fact.at !== undefined && isWithin(look, fact.at, 'settings');
  return {
    ...others,
    ...(roleLevels && holds(roleLevels) ? { roleLevels } : {}),
    ...(integrationKey && holds(integrationKey) ? { integrationKey } : {}),
    candidates: Object.fromEntries(Object.entries(candidates).filter(([, proof]) => holds(proof))),
  };
}

/** When that pair last met a failure of that kind; null: it did not, or a value was seen since. */
export function met(
  fact: Remembered<unknown> | undefined,
  kind: Failure['kind'],
  key: HeldCredential,
): string | null {
  const failed = fact?.failure;
  return failed?.failure.kind === kind && failed.credentialId === key.id ? failed.at : null;
}

export function metLately(
  look: Look,
  fact: Remembered<unknown> | undefined,
  kind: Failure['kind'],
  { key, of }: { key: HeldCredential; of: Horizon },
): boolean {
  const at = met(fact, kind, key);
  return at !== null && isWithin(look, at, of);
}
