import type { Failure, Outcome } from '../../domain/outcome.ts';
import type { CallContext, Clock } from '../../reconciler/ports.ts';

interface Kept<T> {
  value: T;
  /** Milliseconds since the epoch. */
  until: number;
}

/** What is over is looked for each time that twice as many are kept: seldom enough to cost a call nothing. */
const TIDY_AT_LEAST = 64;

/**
 * Values that many calls share, each fetched once: callers that come while a fetch is under way wait for its
 * outcome. Failures are not kept.
 */
export class Shared<T extends object> {
  readonly #clock: Clock;
  readonly #kept = new Map<string, Kept<T>>();
  readonly #underWay = new Map<string, Promise<Outcome<T>>>();
  #tidyAt = TIDY_AT_LEAST;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * The kept value, or the outcome of `fetch`; `keepMs` tells for how long its value holds. `distrusted` is a
   * value that was seen to be wrong: it counts as not kept, while a newer one does count.
   */
  async get(
    name: string,
    context: CallContext,
    fetch: () => Promise<Outcome<T>>,
    keepMs: (value: T) => number,
    distrusted?: T,
  ): Promise<Outcome<T>> {
    for (;;) {
      const kept = this.#peek(name);
      if (kept !== undefined && kept !== distrusted) return { ok: true, value: kept };
      const leader = this.#underWay.get(name);
      if (leader === undefined) return this.#lead(name, fetch, keepMs);
      const outcome = await leader;
      // The leader's own deadline or lost claim says nothing about this caller: it then tries itself.
      if (outcome.ok || !isLeadersOwn(outcome.failure) || context.signal.aborted) return outcome;
    }
  }

  /** Fetches now, whatever is kept or under way, and keeps that. */
  async replace(
    name: string,
    fetch: () => Promise<Outcome<T>>,
    keepMs: (value: T) => number,
  ): Promise<Outcome<T>> {
    const outcome = await fetch();
    if (outcome.ok) this.#keep(name, outcome.value, keepMs(outcome.value));
    return outcome;
  }

  /** Whether a value is kept. */
  has(name: string): boolean {
    return this.#peek(name) !== undefined;
  }

  /** Forgets a value, unless another has taken its place. */
  drop(name: string, value: T): void {
    if (this.#kept.get(name)?.value === value) this.#kept.delete(name);
  }

  #peek(name: string): T | undefined {
    const kept = this.#kept.get(name);
    if (kept === undefined) return undefined;
    if (kept.until > this.#clock.now().getTime()) return kept.value;
    this.#kept.delete(name);
    return undefined;
  }

  async #lead(
    name: string,
    fetch: () => Promise<Outcome<T>>,
    keepMs: (value: T) => number,
  ): Promise<Outcome<T>> {
    const flight = fetch();
    this.#underWay.set(name, flight);
    try {
      const outcome = await flight;
      if (outcome.ok) this.#keep(name, outcome.value, keepMs(outcome.value));
      return outcome;
    } finally {
      this.#underWay.delete(name);
    }
  }

  #keep(name: string, value: T, ms: number): void {
    const now = this.#clock.now().getTime();
    this.#kept.set(name, { value, until: now + ms });
    // Names of rotated keys are never asked for again; their values must not gather.
    if (this.#kept.size < this.#tidyAt) return;
    for (const [other, { until }] of this.#kept) if (until <= now) this.#kept.delete(other);
    this.#tidyAt = Math.max(TIDY_AT_LEAST, 2 * this.#kept.size);
  }
}

function isLeadersOwn(failure: Failure): boolean {
  return failure.kind === 'Unavailable' && (failure.why === 'cancelled' || failure.why === 'timeout');
}
