import { closed, give, UNUSED, windowsBy, type BudgetState, type Shares } from '../../domain/budget.ts';
import type { BudgetLedger, Clock } from '../../reconciler/ports.ts';

/** A ledger of one process, for whoever calls without a database: `doctor` of a file, say. */
export function createOwnLedger(clock: Clock, shares: Shares): BudgetLedger {
  const windowsFor = windowsBy(shares);
  const states = new Map<string, BudgetState>();
  const now = () => clock.now().getTime();
  return {
    take: (asked) => Promise.resolve(give(asked, states, windowsFor, now())),
    close({ scope }, forMs) {
      const state = closed(states.get(scope) ?? UNUSED, now() + forMs);
      states.set(scope, state);
      return Promise.resolve(state.closedUntil - now());
    },
    onClosed: () => Promise.resolve(() => Promise.resolve()),
  };
}
