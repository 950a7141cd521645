import type { Asked, Budget, Given } from '../domain/budget.ts';

/** Who may call the vendors how often: shared by all who keep to the same ledger. */
export interface BudgetLedger {
  take(asked: Asked): Promise<Given>;
  /** Nobody calls for so long: the vendor asked for that. An earlier, longer wait stays. Answers what is left, in ms. */
  close(budget: Budget, forMs: number): Promise<number>;
  /** Calls back with the scope of each budget that somebody closed; null: any may have been, unheard. */
  onClosed(listener: (scope: string | null) => void): Promise<() => Promise<void>>;
}
