import { setTimeout as sleep } from 'node:timers/promises';
import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import pg from 'pg';
import type { Duplex } from 'node:stream';

/** How long a link that shows no sign of life is given for its farewell, in milliseconds. */
const END_WITHIN_MS = 1_000;
const SIGN_OF_LIFE_MS = 10_000;
/** By how much our bound is behind the server's own, which tells more and keeps the connection; in milliseconds. */
export const BEHIND_MS = 5_000;

/** For a session that does one thing: none of its statements takes long. */
export const SESSION = {
  connectionTimeoutMillis: 10_000,
  query_timeout: 15_000,
  keepAlive: true,
  // A peer that is gone without a word is noticed within half a minute, not within hours.
  keepAliveInitialDelayMillis: 10_000,
} as const satisfies pg.ClientConfig;

/** What a client has and its types do not tell. */
interface Inside {
  connection: { stream: Duplex };
  connectionParameters: { query_timeout: number | string | false };
}

/**
 * A connection whose answers come within `query_timeout` milliseconds (of a statement, where that has one of its own), or
 * which breaks: what was sent may still be under way, so that nothing else may be sent on it. Whoever waits is told ETIMEDOUT. Its end takes a second at most.
 */
export class Connection extends pg.Client {
  #withinMs: number;

  constructor(config?: pg.ClientConfig) {
    super(config);
    const { connectionParameters: given } = this as unknown as Inside;
    // It may stand in the address, too.
    this.#withinMs = Number(given.query_timeout);
    // The client's own bound would leave the connection in use, with the late answer still to come.
    given.query_timeout = false;
    const send = this.query.bind(this) as (...given: unknown[]) => unknown;
    this.query = ((...given: unknown[]) => this.#bounded(send, given)) as typeof this.query;
  }

  /** Lets each statement from now on take so long, here and at the server, in milliseconds; 0: as long as it takes. */
  async allow(ms: number): Promise<void> {
    await this.query(`set statement_timeout = ${Math.trunc(ms)}`);
    this.#withinMs = ms === 0 ? 0 : ms + BEHIND_MS;
  }

  /**
   * Asks it for a sign of life every ten seconds: one that lives by hearing only, or by being there, would never learn
   * that it does not.
   */
  watch(): void {
    let asking = false;
    const timer = setInterval(() => {
      if (asking) return;
      asking = true;
      // That there is none breaks it, which whoever has it is told.
      this.query('select 1').then(
        () => (asking = false),
        () => undefined,
      );
    }, SIGN_OF_LIFE_MS);
    timer.unref();
    this.once('end', () => clearInterval(timer));
  }

  /** Breaks it: whoever waits for an answer is told why. */
  destroy(why: string, code = 'ECONNABORTED'): void {
    this.#stream.destroy(Object.assign(new Error(why), { code }));
  }

  override end(): Promise<void>;
  override end(callback: (error: Error) => void): void;
  override end(onEnd?: (error: Error) => void): Promise<void> | void {
    const late = setTimeout(() => this.#stream.destroy(), END_WITHIN_MS);
    const ended = super.end().finally(() => clearTimeout(late));
    if (!onEnd) return ended;
    void ended.then(onEnd as unknown as () => void);
  }

  /** Where there is TLS it is another one from then on. */
  get #stream(): Duplex {
    return (this as unknown as Inside).connection.stream;
  }

  #bounded(send: (...given: unknown[]) => unknown, given: unknown[]): unknown {
    const [first] = given;
    const own = typeof first === 'object' && first !== null && 'query_timeout' in first ? first : null;
    const withinMs = own ? Number(own.query_timeout) : this.#withinMs;
    if (own) given = [{ ...own, query_timeout: 0 }, ...given.slice(1)];
    if (withinMs === 0) return send(...given);
    const late = setTimeout(
      () => this.destroy(`the database did not answer within ${withinMs / 1_000} s`, 'ETIMEDOUT'),
      withinMs,
    );
    const answered = () => clearTimeout(late);
    const callback = given.at(-1);
    if (typeof callback === 'function') {
      return send(...given.slice(0, -1), (...answer: unknown[]) => {
        answered();
        Reflect.apply(callback, undefined, answer);
      });
    }
    const answer = send(...given);
    if (answer instanceof Promise) answer.then(answered, answered);
    else answered();
    return answer;
  }
}

/** PostgreSQL's SQLSTATE or Node's code of an error, or of what caused it; null: it has none. */
export function codeOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return codeOf(error.cause);
}

/** Serialization failure, deadlock: the server took the whole transaction back, for another one's sake. */
const CONFLICTS = ['40001', '40P01'];

/** Does it again while the server takes it back for the sake of others: five times, within some two seconds. */
export const unlessConflict = retry(
  handleWhen((error) => CONFLICTS.includes(codeOf(error) ?? '')),
  { maxAttempts: 5, backoff: new ExponentialBackoff({ initialDelay: 20, maxDelay: 1_000 }) },
);

/**
 * Such connections. A statement that is given to the pool itself is a transaction of its own, and is done again where
 * the server took that back.
 */
export class Pool extends pg.Pool {
  readonly #open: Set<Connection>;

  constructor(options: pg.PoolConfig) {
    const open = new Set<Connection>();
    class Own extends Connection {
      constructor(config?: pg.ClientConfig) {
        super(config);
        open.add(this);
        this.once('end', () => open.delete(this));
      }
    }
    super({ ...options, Client: Own });
    this.#open = open;
    const send = this.query.bind(this) as (...given: unknown[]) => unknown;
    this.query = ((...given: unknown[]) =>
      typeof given.at(-1) === 'function'
        ? send(...given)
        : unlessConflict.execute(() => send(...given))) as typeof this.query;
  }

  override end(): Promise<void>;
  override end(callback: () => void): void;
  /** Waits a second for what is under way; what is left then is broken. */
  override end(onEnd?: () => void): Promise<void> | void {
    const ended = this.#end();
    if (!onEnd) return ended;
    void ended.then(onEnd);
  }

  async #end(): Promise<void> {
    const ended = super.end().then(() => true);
    const inTime = await Promise.race([ended, sleep(END_WITHIN_MS, false, { ref: false })]);
    // Each says its farewell by itself, in which nobody disturbs it.
    if (inTime) return;
    for (const connection of this.#open) connection.destroy('the pool was closed');
  }
}
