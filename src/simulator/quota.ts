/** At most `count` requests within any `windowMs`. */
export interface QuotaLimit {
  count: number;
  windowMs: number;
}

/** A sliding log of accepted requests, checked against several windows. A refused request is not counted. */
export class SlidingQuota {
  readonly #limits: readonly QuotaLimit[];
  readonly #longest: number;
  #times: number[] = [];

  constructor(limits: readonly QuotaLimit[]) {
    this.#limits = limits;
    this.#longest = Math.max(...limits.map((limit) => limit.windowMs));
  }

  /**
   * Counts a request at `now` (ms since the epoch) and answers 0, or, when some window is full, counts
   * nothing and answers the milliseconds until that window has room.
   */
  take(now: number): number {
    const times = this.#times;
    const first = this.#firstAfter(now - this.#longest);
    // Cut only when half is stale, so that the cost of a request stays constant on average.
    if (first > 64 && first * 2 > times.length) this.#times = times.slice(first);
    for (const limit of this.#limits) {
      const from = this.#firstAfter(now - limit.windowMs);
      if (this.#times.length - from >= limit.count) {
        const oldest = this.#times[this.#times.length - limit.count] ?? now;
        return Math.max(1, oldest + limit.windowMs - now);
      }
    }
    this.#times.push(now);
    return 0;
  }

  #firstAfter(instant: number): number {
    let low = 0;
    let high = this.#times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] ?? 0) > instant) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
