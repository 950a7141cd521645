import type { Call, Identity, VendorName } from './wire.ts';
import { randomOf } from './random.ts';

/** Which calls a fault concerns; all given parts must match. */
export interface FaultMatch {
  vendor?: VendorName;
  company?: string;
  method?: string;
  /** The beginning of the path, or a regular expression's source when it starts with `^` or holds `.*`. */
  path?: string;
  /** The contract's path template, e.g. `/system/apiMembers`. */
  operation?: string;
  /** ConnectWise: a member's identifier. Umbrella: an API key's client id. */
  actor?: string;
  /** The first matching call that is concerned, counted from 1. Given alone, only that one is. */
  nth?: number;
  /** How many calls are concerned at most. */
  times?: number;
  /** 0 to 1, by the world's seeded randomness. */
  probability?: number;
}

/** `applied: true` carries the request out before the false answer is given: a lost answer, not a lost request. */
interface MayApply {
  applied?: boolean;
}

/** What goes wrong. Durations are milliseconds. */
export type FaultEffect =
  | { kind: 'latency'; ms: number }
  | ({ kind: 'status'; status: number; body?: unknown; headers?: Record<string, string> } & MayApply)
  | ({ kind: 'html'; status?: number; html?: string } & MayApply)
  | ({ kind: 'text'; status?: number; text?: string } & MayApply)
  | ({ kind: 'redirect'; location: string; status?: number } & MayApply)
  | ({ kind: 'rateLimit'; retryAfterSeconds?: number } & MayApply)
  | ({ kind: 'oversize'; megabytes: number } & MayApply)
  /** The effect happens and a full Content-Length is promised, but only `bytes` (default: half) arrive. */
  | { kind: 'truncate'; bytes?: number }
  /** The effect does not happen; the socket is destroyed. */
  | { kind: 'resetBefore' }
  /** The effect happens; the answer is lost with the socket. */
  | { kind: 'resetAfter' }
  /** Held without an answer before the effect, until released; if the client goes away, it never happens. */
  | { kind: 'hangBefore' }
  /** The effect happens at once; the answer is held until released. */
  | { kind: 'hangAfter' }
  /** The answer comes in pieces of `bytes` every `ms`. */
  | { kind: 'slowDrip'; bytes: number; ms: number }
  /** What this call creates is absent from lists for so many reads, or milliseconds of the world's clock. */
  | { kind: 'staleReads'; reads?: number; ms?: number };

export interface FaultRule {
  when?: FaultMatch;
  effect: FaultEffect;
}

/** A request that a `hangBefore` or `hangAfter` holds. */
export interface HeldCall {
  seq: number;
  kind: 'hangBefore' | 'hangAfter';
  vendor: VendorName;
  company: string | null;
  method: string;
  path: string;
  operation: string | null;
}

export type HangEnd = 'released' | 'dropped' | 'gone';

interface Armed {
  id: number;
  rule: FaultRule;
  pathPattern: RegExp | null;
  seen: number;
  used: number;
}

interface Held {
  call: HeldCall;
  end(how: HangEnd): void;
}

interface Waiter {
  resolve(call: HeldCall | null): void;
  timer: NodeJS.Timeout;
}

/** The rules in force and the requests they hold. */
export class Faults {
  #armed: Armed[] = [];
  #nextId = 1;
  #held = new Set<Held>();
  #waiters = new Set<Waiter>();
  #random: () => number;

  constructor(seed = 1) {
    this.#random = randomOf(seed);
  }

  /** True when no rule is in force, so that the listener can skip everything else. */
  get idle(): boolean {
    return this.#armed.length === 0;
  }

  /** Puts a rule in force and answers its id. Throws on an invalid regular expression. */
  add(rule: FaultRule): number {
    const path = rule.when?.path;
    const pattern =
      path !== undefined && (path.startsWith('^') || path.includes('.*')) ? new RegExp(path) : null;
    const id = this.#nextId;
    this.#nextId += 1;
    this.#armed.push({ id, rule, pathPattern: pattern, seen: 0, used: 0 });
    return id;
  }

  /** Takes one rule out of force; false when there is none of that id. */
  remove(id: number): boolean {
    const before = this.#armed.length;
    this.#armed = this.#armed.filter((armed) => armed.id !== id);
    return this.#armed.length < before;
  }

  /** Takes all rules out of force. Held requests stay held: see `releaseHangs`. */
  clear(): void {
    this.#armed = [];
  }

  /** The rules in force, with how often each was applied. */
  list(): Array<FaultRule & { id: number; used: number }> {
    return this.#armed.map(({ id, rule, used }) => ({ ...rule, id, used }));
  }

  /** The effects for this call, in the order of their rules; counts it as seen by every matching rule. */
  match(vendor: VendorName, identity: Identity, call: Call): FaultEffect[] {
    const effects: FaultEffect[] = [];
    for (const armed of this.#armed) {
      const when = armed.rule.when ?? {};
      if (!this.#concerns(armed, when, vendor, identity, call)) continue;
      armed.seen += 1;
      const first = when.nth ?? 1;
      const times = when.times ?? (when.nth === undefined ? Number.POSITIVE_INFINITY : 1);
      if (armed.seen < first || armed.used >= times) continue;
      if (when.probability !== undefined && this.#random() >= when.probability) continue;
      armed.used += 1;
      effects.push(armed.rule.effect);
    }
    return effects;
  }

  /** Holds a request until it is released or its client goes away. */
  hold(call: HeldCall, onClientGone: (gone: () => void) => void): Promise<HangEnd> {
    return new Promise((resolve) => {
      const held: Held = {
        call,
        end: (how) => {
          if (this.#held.delete(held)) resolve(how);
        },
      };
      this.#held.add(held);
      onClientGone(() => held.end('gone'));
      for (const waiter of this.#waiters) waiter.resolve(call);
    });
  }

  /** The requests held now. */
  heldCalls(): HeldCall[] {
    return [...this.#held].map((held) => held.call);
  }

  /**
   * Lets all held requests go on; answers how many there were. `drop` destroys their sockets instead: what
   * was held before its effect then never happens.
   */
  releaseHangs(how: 'answer' | 'drop' = 'answer'): number {
    const held = [...this.#held];
    for (const one of held) one.end(how === 'drop' ? 'dropped' : 'released');
    return held.length;
  }

  /** Resolves with a held request as soon as there is one; null after `timeoutMs` (default 30 s) without. */
  waitForHang(timeoutMs = 30_000): Promise<HeldCall | null> {
    const [already] = this.#held;
    if (already !== undefined) return Promise.resolve(already.call);
    return new Promise((resolve) => {
      const waiter: Waiter = {
        resolve: (call) => {
          clearTimeout(waiter.timer);
          this.#waiters.delete(waiter);
          resolve(call);
        },
        timer: setTimeout(() => waiter.resolve(null), timeoutMs),
      };
      this.#waiters.add(waiter);
    });
  }

  /** Ends everything that waits; used when the simulator closes. */
  shutdown(): void {
    this.clear();
    this.releaseHangs('drop');
    for (const waiter of this.#waiters) waiter.resolve(null);
  }

  #concerns(armed: Armed, when: FaultMatch, vendor: VendorName, identity: Identity, call: Call): boolean {
    if (when.vendor !== undefined && when.vendor !== vendor) return false;
    if (when.company !== undefined && when.company !== identity.company) return false;
    if (when.method !== undefined && when.method.toUpperCase() !== call.method) return false;
    if (when.operation !== undefined && when.operation !== identity.operation) return false;
    if (when.actor !== undefined && when.actor !== identity.actor) return false;
    if (when.path === undefined) return true;
    return armed.pathPattern === null ? call.path.startsWith(when.path) : armed.pathPattern.test(call.path);
  }
}
