import { hash } from 'node:crypto';
import type { Budget, BudgetKind } from '../../domain/budget.ts';
import type { KeyPair } from '../../domain/secret.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { HttpCall } from '../http/client.ts';

/** A 429 has no `Retry-After`: "wait a second" (domain.md §5). */
const UNNAMED_WAIT_MS = 1_000;

export type UmbrellaBudget = Exclude<BudgetKind, 'connectwise'>;

const CUSTOMERS = { msp: '/admin/v2/managed/customers', mssp: '/admin/v2/providers/customers' };

/** One console: where it is, of which kind, and what its calls have in common. */
export class Console {
  readonly #spec: TenantSpec['umbrella'];

  constructor(spec: TenantSpec['umbrella']) {
    this.#spec = spec;
  }

  /** The same console as a key's own organisation sees it, whatever child the tenant is. */
  own(): Console {
    const { organizationId: _, ...spec } = this.#spec;
    return new Console(spec);
  }

  get url(): string {
    return this.#spec.url;
  }
  get organizationId(): string | undefined {
    return this.#spec.organizationId;
  }
  get customersPath(): string {
    return CUSTOMERS[this.#spec.console];
  }

  /** What the calls of a key have in common that are counted together. */
  common(key: KeyPair, kind: UmbrellaBudget): Pick<HttpCall, 'origin' | 'ca' | 'budget' | 'unnamedWaitMs'> {
    return {
      origin: this.#spec.url,
      ca: this.#spec.ca,
      budget: this.budget(key, kind),
      unnamedWaitMs: UNNAMED_WAIT_MS,
    };
  }

  /** A budget is one key's, whoever uses it, for one family of operations (domain.md §5). */
  budget(key: KeyPair, kind: UmbrellaBudget): Budget {
    return { scope: `${kind} ${this.#spec.url} ${hash('sha256', key.publicHalf)}`, kind };
  }
}
