import { HELD_MS, type Budget, type Given, type Want } from '../../domain/budget.ts';
import type { BudgetLedger, CallContext, Clock } from '../../reconciler/ports.ts';

/** A wrong header must not silence a tenant for days. */
const LONGEST_WAIT_MS = 60 * 60_000;

/** Calls that may leave until then, in milliseconds since the epoch. */
interface Block {
  left: number;
  until: number;
}

/** What holds a call back. */
export interface Wait {
  waitMs: number;
  because: 'the vendor asked to wait' | 'its budget is used up';
}

/**
 * The one place that decides whether a call may leave now. A run's calls come out of what was reserved for it, then
 * out of the block that this process holds of the budget, then out of a new block of the ledger, which all replicas
 * share: so a call costs a look into a map, and a round trip once a block.
 */
export class Budgets {
  readonly #ledger: BudgetLedger;
  readonly #clock: Clock;
  readonly #held = new Map<string, Block>();
  readonly #reserved = new Map<CallContext, Map<string, Block>>();
  readonly #closedUntil = new Map<string, number>();
  readonly #underWay = new Map<string, Promise<Given>>();
  #listening: Promise<() => Promise<void>> | null = null;

  constructor(ledger: BudgetLedger, clock: Clock) {
    this.#ledger = ledger;
    this.#clock = clock;
  }

  /** Null: a call may leave now, and is counted; a promise where the ledger is to be asked. */
  mayLeave(budget: Budget, context: CallContext): Wait | null | Promise<Wait | null> {
    const now = this.#clock.now().getTime();
    const closed = this.#closed(budget.scope, now);
    if (closed !== null) return closed;
    return this.#spend(budget.scope, context, now) ? null : this.#refill(budget, context);
  }

  /**
   * Sets calls aside for a run before it begins, all that it expects to make or none: so that it is not stopped in its
   * middle. `turn`: as the ledger has it.
   */
  async reserve(context: CallContext, wants: readonly Want[], turn: number | null): Promise<Given> {
    const asked = this.#clock.now().getTime();
    await this.#listen();
    const given = await this.#ledger.take({ wants, urgent: context.urgent === true, turn });
    if (!given.given) return given;
    const until = asked + HELD_MS;
    this.#reserved.set(
      context,
      new Map(wants.map(({ scope }, index) => [scope, { left: given.calls[index]!, until }])),
    );
    return given;
  }

  /** What a run did not use of its reservation serves whoever calls next. */
  giveBack(context: CallContext): void {
    for (const [scope, { left, until }] of this.#reserved.get(context) ?? []) this.#hold(scope, left, until);
    this.#reserved.delete(context);
  }

  /** The vendor asked to wait: nobody calls until then. Answers the wait in milliseconds; an earlier, longer one stays. */
  async close(budget: Budget, forMs: number): Promise<number> {
    const ms = Math.min(forMs, LONGEST_WAIT_MS);
    this.#close(budget.scope, ms);
    this.#close(budget.scope, await this.#ledger.close(budget, ms));
    return this.#closed(budget.scope, this.#clock.now().getTime())?.waitMs ?? 0;
  }

  async end(): Promise<void> {
    const unlisten = await this.#listening?.catch(() => null);
    await unlisten?.();
  }

  #spend(scope: string, context: CallContext, now: number): boolean {
    return take(this.#reserved.get(context)?.get(scope), now) || take(this.#held.get(scope), now);
  }

  async #refill(budget: Budget, context: CallContext): Promise<Wait | null> {
    const { scope } = budget;
    const urgent = context.urgent === true;
    // Several that find nothing left share what one of them asks for.
    const name = `${urgent} ${scope}`;
    for (;;) {
      let asking = this.#underWay.get(name);
      if (asking === undefined) {
        asking = this.#ask(budget, urgent).finally(() => this.#underWay.delete(name));
        this.#underWay.set(name, asking);
      }
      const given = await asking;
      const now = this.#clock.now().getTime();
      const closed = this.#closed(scope, now);
      if (closed !== null) return closed;
      if (!given.given) return { waitMs: given.waitMs, because: 'its budget is used up' };
      if (this.#spend(scope, context, now)) return null;
    }
  }

  async #ask(budget: Budget, urgent: boolean): Promise<Given> {
    const asked = this.#clock.now().getTime();
    await this.#listen();
    const given = await this.#ledger.take({ wants: [{ ...budget, calls: null }], urgent, turn: null });
    if (given.given) this.#hold(budget.scope, given.calls[0]!, asked + HELD_MS);
    else if (given.closed) this.#close(budget.scope, given.waitMs);
    return given;
  }

  /** Calls that live longer than the block that is there join it; others are let go. */
  #hold(scope: string, calls: number, until: number): void {
    const now = this.#clock.now().getTime();
    const block = this.#held.get(scope);
    if (block === undefined || block.left <= 0 || block.until <= now) {
      this.#held.delete(scope);
      this.#held.set(scope, { left: calls, until });
    } else if (until >= block.until) block.left += calls;
    // The oldest come first: companies that are gone must not gather.
    for (const [other, { until: end }] of this.#held) {
      if (end > now) break;
      this.#held.delete(other);
    }
  }

  #closed(scope: string, now: number): Wait | null {
    const until = this.#closedUntil.get(scope);
    if (until === undefined) return null;
    if (until > now) return { waitMs: until - now, because: 'the vendor asked to wait' };
    this.#closedUntil.delete(scope);
    return null;
  }

  #close(scope: string, ms: number): void {
    const until = this.#clock.now().getTime() + ms;
    if (until > (this.#closedUntil.get(scope) ?? 0)) this.#closedUntil.set(scope, until);
    this.#held.delete(scope);
  }

  /** What another replica was told makes what is held and reserved here void: it is asked for anew. */
  #listen(): Promise<unknown> {
    this.#listening ??= this.#ledger.onClosed((scope) => {
      for (const blocks of [this.#held, ...this.#reserved.values()]) {
        if (scope === null) blocks.clear();
        else blocks.delete(scope);
      }
    });
    return this.#listening;
  }
}

function take(block: Block | undefined, now: number): boolean {
  if (block === undefined || block.left <= 0 || block.until <= now) return false;
  block.left -= 1;
  return true;
}
