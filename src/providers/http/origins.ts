import { createHash } from 'node:crypto';
import { getCACertificates } from 'node:tls';
import { circuitBreaker, ConsecutiveBreaker, handleWhenResult, type CircuitBreakerPolicy } from 'cockatiel';
import { Pool } from 'undici';

export interface BreakerOptions {
  /** Consecutive failures of an origin after which its calls are refused at once. */
  failures: number;
  /** How long, in milliseconds; then one call tries. */
  openMs: number;
  /** Hears of each origin that was left alone and answers again. */
  onRecovered?: (origin: string) => void;
}

/** The connections to one origin, and the breaker that guards them. */
export interface Origin {
  pool: Pool;
  breaker: CircuitBreakerPolicy;
}

const CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 5_000;
const KEEP_ALIVE_MS = 10_000;

/**
 * Connections by origin and certificate authority: a tenant whose own authority is wrong neither borrows
 * another tenant's verified connection nor trips the breaker for it.
 */
export class Origins {
  readonly #origins = new Map<string, Origin>();
  readonly #options: BreakerOptions;
  readonly #isFailure: (result: unknown) => boolean;

  /** `isFailure` tells from a call's result whether the origin is to blame. */
  constructor(options: BreakerOptions, isFailure: (result: unknown) => boolean) {
    this.#options = options;
    this.#isFailure = isFailure;
  }

  get(origin: string, ca: string | undefined): Origin {
    const name = ca === undefined ? origin : `${origin} ${createHash('sha256').update(ca).digest('hex')}`;
    let found = this.#origins.get(name);
    if (found === undefined) this.#origins.set(name, (found = this.#open(origin, ca)));
    return found;
  }

  async close(): Promise<void> {
    const open = [...this.#origins.values()];
    this.#origins.clear();
    await Promise.all(open.map(({ pool }) => pool.destroy()));
  }

  #open(origin: string, ca: string | undefined): Origin {
    const breaker = circuitBreaker(handleWhenResult(this.#isFailure), {
      breaker: new ConsecutiveBreaker(this.#options.failures),
      halfOpenAfter: this.#options.openMs,
    });
    breaker.onReset(() => this.#options.onRecovered?.(origin));
    return {
      breaker,
      pool: new Pool(origin, {
        connections: CONNECTIONS,
        pipelining: 1,
        keepAliveTimeout: KEEP_ALIVE_MS,
        // The one deadline of a call is its own; undici's would be a second truth.
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: {
          timeout: CONNECT_TIMEOUT_MS,
          // Said aloud, so that no environment variable can switch verification off.
          rejectUnauthorized: true,
          ...(ca === undefined ? {} : { ca: [...getCACertificates('default'), ca] }),
        },
      }),
    };
  }
}
