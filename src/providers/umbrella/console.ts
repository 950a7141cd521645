import { hash } from 'node:crypto';
import type { KeyPair } from '../../domain/secret.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { HttpCall } from '../http/client.ts';

/** A 429 has no `Retry-After`: "wait a second" (domain.md §5). */
const UNNAMED_WAIT_MS = 1_000;
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

  /** The budget is the key's, whoever uses it (domain.md §5). */
  common(key: KeyPair): Pick<HttpCall, 'origin' | 'ca' | 'gate' | 'unnamedWaitMs'> {
    const name = hash('sha256', key.publicHalf);
    return {
      origin: this.#spec.url,
      ca: this.#spec.ca,
      gate: `umbrella ${this.#spec.url} ${name}`,
      unnamedWaitMs: UNNAMED_WAIT_MS,
    };
  }
}
