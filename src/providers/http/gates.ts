import type { Clock } from '../../reconciler/ports.ts';

/** A wrong header must not silence a tenant for days. */
const LONGEST_WAIT_MS = 60 * 60_000;

/**
 * The waits that vendors asked for, by whom they asked: a ConnectWise company at its site, or an Umbrella key.
 * While a gate is shut no call of that name leaves the process.
 */
export class Gates {
  readonly #clock: Clock;
  readonly #shutUntil = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds until calls of this name may leave; 0: now. */
  waitMs(name: string): number {
    const until = this.#shutUntil.get(name);
    if (until === undefined) return 0;
    const wait = until - this.#clock.now().getTime();
    if (wait > 0) return wait;
    this.#shutUntil.delete(name);
    return 0;
  }

  /** Shuts the gate for so long (an earlier, longer wait stays) and answers the wait in milliseconds. */
  shut(name: string, ms: number): number {
    const wait = Math.min(ms, LONGEST_WAIT_MS);
    const until = Math.max(this.#clock.now().getTime() + wait, this.#shutUntil.get(name) ?? 0);
    this.#shutUntil.set(name, until);
    return this.waitMs(name);
  }
}

/** Milliseconds of a `Retry-After` header, which is seconds or a date; null when there is none that can be read. */
export function retryAfterMs(header: string | undefined, now: Date): number | null {
  if (header === undefined) return null;
  const text = header.trim();
  if (/^\d+(\.\d+)?$/.test(text)) return Math.ceil(Number(text) * 1_000);
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : Math.max(0, at - now.getTime());
}
