import { DEFAULT_SHARES } from '../domain/budget.ts';
import type { BudgetLedger, Clock, Vendors } from '../reconciler/ports.ts';
import { ConnectWiseVendor } from './connectwise/index.ts';
import { Budgets } from './http/budgets.ts';
import { HttpClient, type HttpOptions } from './http/client.ts';
import { createOwnLedger } from './http/own-ledger.ts';
import { systemTimers } from './http/timers.ts';
import { UmbrellaVendor } from './umbrella/index.ts';

export { createAutomationCalls } from './automation/index.ts';
export type { Timers } from './http/timers.ts';

export const BREAKER = { failures: 8, openMs: 10_000 } as const;

/** Everything has a default that suits a service; tests give a clock, timers and small numbers. */
export type VendorsOptions = Partial<Omit<HttpOptions, 'budgets'>> & {
  /** Default: one of this process's own. */
  ledger?: BudgetLedger;
};

const systemClock: Clock = { now: () => new Date() };

/**
 * The vendors as they really are, over HTTP (domain.md §4, §5): one per process, since connections, breakers,
 * waits that a vendor asked for, codebases and tokens are shared by the tenants of an origin.
 *
 * Defaults: 15 s a call with its retries, and never past the context's deadline; 8 MB an answer; a read that
 * failed quickly is tried twice more; an origin that failed eight times in a row is left alone for 10 s.
 *
 * ```ts
 * const vendors = createVendors({ clock });
 * const roles = await vendors.connectwise(spec).reads(key, context).roles('Umbrella', []);
 * ```
 */
export function createVendors(options: VendorsOptions = {}): Vendors {
  const clock = options.clock ?? systemClock;
  const budgets = new Budgets(options.ledger ?? createOwnLedger(clock, DEFAULT_SHARES), clock);
  const http = new HttpClient({
    timers: systemTimers,
    callTimeoutMs: 15_000,
    maxResponseBytes: 8 * 1024 * 1024,
    retries: { times: 2, firstDelayMs: 200 },
    breaker: BREAKER,
    ...options,
    clock,
    budgets,
  });
  const connectwise = new ConnectWiseVendor(http, clock);
  const umbrella = new UmbrellaVendor(http, clock);
  return {
    connectwise: (spec) => connectwise.of(spec),
    umbrella: (spec) => umbrella.of(spec),
    reserve(look, context, turn) {
      const wants = [...connectwise.wants(look), ...umbrella.wants(look)];
      return budgets.reserve(context, wants, turn);
    },
    giveBack: (context) => budgets.giveBack(context),
    callsOf: (context) => http.callsOf(context),
    kindsOf: (context) => http.kindsOf(context),
    close: () => http.close(),
  };
}
