import {
  BrokenCircuitError,
  CircuitState,
  ExponentialBackoff,
  handleWhenResult,
  noJitterGenerator,
  retry,
} from 'cockatiel';
import type { Budget } from '../../domain/budget.ts';
import { failed, ok, type Failure, type Outcome, type UnavailableWhy } from '../../domain/outcome.ts';
import type { CallContext, Clock } from '../../reconciler/ports.ts';
import { bodyOf, KnownJson, lostBy, type Answer } from './answer.ts';
import type { Budgets } from './budgets.ts';
import { Broken, exchange } from './exchange.ts';
import { Origins, type BreakerOptions, type Origin } from './origins.ts';
import { redact } from './redact.ts';
import { retryAfterMs } from './retry-after.ts';
import { Stop } from './stop.ts';
import type { Timers } from './timers.ts';
import { Understood } from './understood.ts';

export interface HttpOptions {
  clock: Clock;
  timers: Timers;
  budgets: Budgets;
  /** What one call may take, retries included, in milliseconds. */
  callTimeoutMs: number;
  maxResponseBytes: number;
  /** Repetitions of a read that failed quickly, and the wait before the first one, doubled each time. */
  retries: { times: number; firstDelayMs: number };
  breaker: BreakerOptions;
}

export interface HttpCall {
  /** Scheme, host and port: where the credentials in `headers` may go, and nowhere else. */
  origin: string;
  /** A certificate authority that is trusted beside the system's, PEM. */
  ca?: string | undefined;
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** With its query, encoded. */
  path: string;
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** A `write` changes something outside: never repeated here, and a lost answer is `OutcomeUnknown`. */
  effect: 'read' | 'write';
  /** Whose calls are counted with it. */
  budget: Budget;
  /** A later page of a list: it waits a moment for its budget, rather than that the pages before it were for nothing. */
  continues?: boolean;
  /** The wait after a 429 that names none, in milliseconds. */
  unnamedWaitMs: number;
  /** What must never be in a failure's detail. */
  secrets: readonly string[];
}

type Attempt =
  | { answered: Answer }
  | { lost: UnavailableWhy; detail: string; mayHaveArrived: boolean }
  | { waitMs: number; detail: string };

/** The origin is ill: its breaker counts these, and a read that failed so may be tried again. */
const ILL: ReadonlySet<UnavailableWhy> = new Set([
  'timeout',
  'connection',
  'dns',
  'tls',
  'server-error',
  'truncated',
]);
/** Worth another try within one call; a timeout has used the call up, a wrong certificate stays wrong. */
const PASSING: ReadonlySet<UnavailableWhy> = new Set(['connection', 'dns', 'server-error', 'truncated']);
const isPassing = (attempt: Attempt, { context, over }: Bounds): boolean =>
  'lost' in attempt && PASSING.has(attempt.lost) && !context.signal.aborted && !over.stopped;
/** Longer than a vendor's quota of a second is felt. */
const IN_PLACE_MS = 10_000;
const MAX_REDIRECTS = 3;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * Sends calls to vendors and classifies whatever is not a vendor's own word: lost connections, deadlines,
 * redirects, server errors, throttling, bodies that are not JSON. What a vendor did say (2xx with JSON or
 * nothing, 4xx) is handed on as an `Answer`.
 */
export class HttpClient {
  /** What large answers were understood as; of all vendors, since bytes are bytes. */
  readonly understood = new Understood();
  readonly #options: HttpOptions;
  readonly #origins: Origins;
  readonly #calls = new WeakMap<CallContext, Counted>();
  /** How to call off the next one of each origin that is left alone. */
  readonly #probes = new Map<Origin, () => void>();
  readonly #ended = new AbortController();

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#origins = new Origins(options.breaker, (result) => {
      const attempt = result as Attempt;
      return 'lost' in attempt && ILL.has(attempt.lost);
    });
  }

  /** Calls sent so far in this context, as sent: repetitions and redirects count. */
  callsOf(context: CallContext): { reads: number; writes: number } {
    const { reads = 0, writes = 0 } = this.#calls.get(context) ?? {};
    return { reads, writes };
  }

  /** The same calls by kind. */
  kindsOf(context: CallContext): Record<string, number> {
    const kinds: Record<string, number> = {};
    for (const call of this.#calls.get(context)?.calls ?? []) {
      const kind = kindOf(call);
      kinds[kind] = (kinds[kind] ?? 0) + 1;
    }
    return kinds;
  }

  /** Whether a call that begins now has all the time that a call may take. */
  hasTimeFor({ deadline }: CallContext): boolean {
    const { clock, callTimeoutMs } = this.#options;
    return deadline.getTime() - clock.now().getTime() >= callTimeoutMs;
  }

  async close(): Promise<void> {
    this.#ended.abort();
    for (const callOff of this.#probes.values()) callOff();
    this.#probes.clear();
    await this.#options.budgets.end();
    await this.#origins.close();
  }

  async send(call: HttpCall, context: CallContext): Promise<Outcome<Answer>> {
    const { clock, timers, callTimeoutMs } = this.#options;
    const left = context.deadline.getTime() - clock.now().getTime();
    const over = new Stop();
    const stop = () => over.stop();
    const bounds: Bounds = { context, over, outOfTime: left <= 0 };
    const endTimer = timers.after(Math.min(callTimeoutMs, Math.max(0, left)), stop);
    context.signal.addEventListener('abort', stop);
    try {
      return this.#outcome(call, await this.#guarded(call, bounds));
    } finally {
      endTimer();
      context.signal.removeEventListener('abort', stop);
    }
  }

  async #guarded(call: HttpCall, bounds: Bounds): Promise<Attempt> {
    const origin = this.#origins.get(call.origin, call.ca);
    const once = () => this.#once(call, bounds, origin);
    const first = await once();
    if (call.effect === 'write' || !isPassing(first, bounds)) return first;
    let attempt: Attempt | null = first;
    return await this.#retryPolicy(bounds).execute(() => {
      const given = attempt;
      attempt = null;
      return given ?? once();
    });
  }

  /** What may not leave says nothing of the origin: its breaker hears only of what was sent. */
  async #once(call: HttpCall, bounds: Bounds, origin: Origin): Promise<Attempt> {
    const held = this.#stopped(call, bounds) ?? (await this.#held(call, bounds));
    if (held !== null) return held;
    try {
      return await origin.breaker.execute(() => this.#attempt(call, bounds, origin));
    } catch (error) {
      if (!(error instanceof BrokenCircuitError)) throw error;
      const detail = `not asked: ${call.origin} failed several times in a row`;
      return { lost: 'breaker-open', detail, mayHaveArrived: false };
    } finally {
      this.#probeLater(call, origin);
    }
  }

  /**
   * Asks an origin that is left alone whether it answers by now, so that this is noticed though none of its tenants is
   * due: by a call that it failed, as a read, without credentials. It is counted like any other.
   */
  #probeLater(failed: HttpCall, origin: Origin): void {
    if (origin.breaker.state !== CircuitState.Open || this.#probes.has(origin)) return;
    if (this.#ended.signal.aborted) return;
    const { timers, clock, callTimeoutMs, breaker } = this.#options;
    const { body: _, continues: __, ...call } = failed;
    const probe: HttpCall = {
      ...call,
      method: 'GET',
      headers: { accept: 'application/json' },
      effect: 'read',
      secrets: [],
    };
    const ask = async () => {
      this.#probes.delete(origin);
      const deadline = new Date(clock.now().getTime() + callTimeoutMs);
      const asked = this.send(probe, { tenantId: 'probe', deadline, signal: this.#ended.signal });
      // Where the budgets cannot be asked, nobody calls: it is tried again.
      await asked.catch(() => undefined);
      this.#probeLater(probe, origin);
    };
    this.#probes.set(
      origin,
      timers.after(breaker.openMs, () => void ask()),
    );
  }

  #retryPolicy(bounds: Bounds) {
    const { times, firstDelayMs } = this.#options.retries;
    return retry(
      handleWhenResult((result) => isPassing(result as Attempt, bounds)),
      {
        maxAttempts: times,
        backoff: new ExponentialBackoff({ initialDelay: firstDelayMs, generator: noJitterGenerator }),
      },
    );
  }

  /** One call on the wire, and the redirects within its origin that a GET may follow. */
  async #attempt(call: HttpCall, bounds: Bounds, origin: Origin): Promise<Attempt> {
    let path = call.path;
    for (let hops = 0; ; hops += 1) {
      const attempt = await this.#exchange({ ...call, path }, bounds, origin);
      if (!('answered' in attempt) || !REDIRECTS.has(attempt.answered.status)) return attempt;
      const next = call.method === 'GET' ? sameOrigin(call.origin, path, attempt.answered) : null;
      if (next === null || hops >= MAX_REDIRECTS) {
        const detail = `${said(call, attempt.answered)}: a redirect that is not followed`;
        return { lost: 'redirected', detail, mayHaveArrived: true };
      }
      path = next;
      const held = this.#stopped(call, bounds) ?? (await this.#held(call, bounds));
      if (held !== null) return held;
    }
  }

  async #exchange(call: HttpCall, bounds: Bounds, origin: Origin): Promise<Attempt> {
    this.#count(call, bounds.context);
    try {
      const limit = this.#options.maxResponseBytes;
      const { status, headers, bytes } = await exchange(origin.pool, call, limit, bounds.over);
      const name = call.effect === 'read' && status === 200 ? this.understood.nameOf(bytes) : null;
      const known = name !== null && this.understood.has(name);
      const body = known ? new KnownJson(bytes) : bodyOf(bytes.toString());
      return await this.#classify(call, { status, headers, body, name });
    } catch (error) {
      if (!(error instanceof Broken)) throw error;
      if (bounds.context.signal.aborted) return lost(call, 'cancelled', 'the run was stopped');
      if (bounds.over.stopped) return lost(call, 'timeout', 'no answer before the deadline');
      const { why, mayHaveArrived, code } = lostBy(error.cause, error.gotHeaders);
      return { lost: why, detail: `${named(call)}: ${code}`, mayHaveArrived };
    }
  }

  /** Null while the run goes on and has time. */
  #stopped(call: HttpCall, { context, over, outOfTime }: Bounds): Attempt | null {
    const unsent = (why: UnavailableWhy, because: string) => ({
      lost: why,
      detail: `${named(call)}: not sent, ${because}`,
      mayHaveArrived: false,
    });
    if (context.signal.aborted) return unsent('cancelled', 'the run was stopped');
    return outOfTime || over.stopped ? unsent('timeout', 'no time was left') : null;
  }

  /** Null when the call's budget lets it leave now. */
  async #held(call: HttpCall, bounds: Bounds): Promise<Attempt | null> {
    const { budgets } = this.#options;
    const answer = budgets.mayLeave(call.budget, bounds.context);
    if (answer === null) return null;
    for (let wait = await answer; wait !== null; wait = await budgets.mayLeave(call.budget, bounds.context)) {
      const { waitMs, because } = wait;
      if (call.continues !== true || waitMs > IN_PLACE_MS)
        return { waitMs, detail: `${named(call)}: not sent, ${because}` };
      await this.#pause(waitMs, bounds.over);
      if (bounds.over.stopped) break;
    }
    return this.#stopped(call, bounds);
  }

  /** Ends early with the call's own time. */
  #pause(ms: number, over: Stop): Promise<void> {
    return new Promise((settle) => {
      const done = () => {
        callOff();
        unheard();
        settle();
      };
      const callOff = this.#options.timers.after(ms, done);
      const unheard = over.onStop(done);
    });
  }

  async #classify(call: HttpCall, answer: Answer): Promise<Attempt> {
    const { status, headers, body } = answer;
    const named = retryAfterMs(headers['retry-after'], this.#options.clock.now());
    if (status === 429) {
      const waitMs = await this.#options.budgets.close(call.budget, named ?? call.unnamedWaitMs);
      return { waitMs, detail: said(call, answer) };
    }
    if (status >= 500 || status === 408) {
      if (named !== null) await this.#options.budgets.close(call.budget, named);
      return lost(call, 'server-error', `answered ${status}`);
    }
    if (status >= 200 && status < 300 && status !== 204 && body.is !== 'json') {
      return lost(call, 'not-json', `answered ${status} with ${body.is === 'empty' ? 'nothing' : body.is}`);
    }
    return { answered: answer };
  }

  #outcome(call: HttpCall, attempt: Attempt): Outcome<Answer> {
    if ('answered' in attempt) return ok(attempt.answered);
    const detail = redact(attempt.detail, call.secrets);
    if ('waitMs' in attempt) return failed({ kind: 'RateLimited', retryAfterMs: attempt.waitMs, detail });
    if (call.effect === 'write' && attempt.mayHaveArrived) return failed({ kind: 'OutcomeUnknown', detail });
    return failed({ kind: 'Unavailable', why: attempt.lost, detail });
  }

  #count(call: HttpCall, context: CallContext): void {
    const counted = this.#calls.get(context) ?? { reads: 0, writes: 0, calls: [] };
    if (call.effect === 'write') counted.writes += 1;
    else counted.reads += 1;
    counted.calls.push({ method: call.method, path: call.path });
    this.#calls.set(context, counted);
  }
}

interface Counted {
  reads: number;
  writes: number;
  calls: Pick<HttpCall, 'method' | 'path'>[];
}

const CONNECTWISE = '/apis/3.0/';
const NAMES_ONE = /(^|\/)(?:\d+|[0-9a-f-]{16,})(?=\/|$)/gi;

/** Without what names one thing: a query, a number, an id of the vendor's; and without ConnectWise's release. */
const kindOf = ({ method, path }: Pick<HttpCall, 'method' | 'path'>): string => {
  const [address = ''] = path.split('?', 1);
  const api = address.lastIndexOf(CONNECTWISE);
  const named = api < 0 ? address : address.slice(api + CONNECTWISE.length);
  return `${method} ${named.replace(NAMES_ONE, '$1:id')}`;
};

interface Bounds {
  context: CallContext;
  /** The call's own time is over, or the run was stopped. */
  over: Stop;
  /** The context's deadline had passed before the call began. */
  outOfTime: boolean;
}

/**
 * An answer was given, and it is of no use. For a read: why. For a write the request arrived, so that it may
 * have been applied.
 */
export function unusable(call: HttpCall, why: UnavailableWhy, because: string): Failure {
  const detail = redact(`${named(call)}: ${because}`, call.secrets);
  if (call.effect === 'write') return { kind: 'OutcomeUnknown', detail };
  return { kind: 'Unavailable', why, detail };
}

/** `GET /v2025_1/apis/3.0/system/mySecurity`: without the query, in which names of people may be. */
export function named(call: HttpCall): string {
  return `${call.method} ${call.path.split('?', 1)[0] ?? ''}`;
}

function said(call: HttpCall, answer: Answer): string {
  return `${named(call)} answered ${answer.status}`;
}

function lost(call: HttpCall, why: UnavailableWhy, because: string): Attempt {
  return { lost: why, detail: `${named(call)}: ${because}`, mayHaveArrived: true };
}

/**
 * The path of a redirect that stays within the origin and asks for the same; null: it leads elsewhere, or forgets a part
 * of the query, so that it would answer another question.
 */
function sameOrigin(origin: string, path: string, answer: Answer): string | null {
  const location = answer.headers['location'];
  if (location === undefined || !URL.canParse(location, origin + path)) return null;
  const target = new URL(location, origin + path);
  const asked = new URL(path, origin);
  const same = [...asked.searchParams].every(([name, value]) => target.searchParams.has(name, value));
  return same && target.origin === asked.origin ? target.pathname + target.search : null;
}
