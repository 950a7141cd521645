import type { Logger } from 'pino';
import type { BrakeBounds } from '../domain/brake.ts';
import type { Waiting } from '../domain/waiting.ts';
import { atMost, FAREWELL_MS } from './at-most.ts';
import { reconcile, type ReconcileDeps } from './reconcile.ts';
import type { Claim, ClaimedTenant, NewEvent, RunRecord } from './ports.ts';

/**
 * The loop: takes due tenants as slots come free, keeps their claims alive, runs each once.
 *
 *   poll (1 s) · a trigger's notice · the next due time ──▶ take ──▶ run ──▶ record
 *                                                         heartbeat (10 s) ──▶ lost? abort the run
 *
 * All that it knows is in the database, so that any number of replicas share the work and a killed one's
 * tenants are due again when their leases run out (design.md §4).
 */

export interface LoopOptions {
  /** Names this process in the rows that it claims. */
  owner: string;
  /** Tenants that run at once. */
  concurrency: number;
  leaseMs: number;
  heartbeatMs: number;
  pollMs: number;
  /** How often it is looked for replicas that are gone. */
  takeOverMs: number;
  /** Ms for the calls of one reconcile; its heartbeats keep the lease meanwhile. */
  callsMs: number;
  /** Ms that one write to a vendor may take: the claim must outlive it. */
  writeMs: number;
  /** The fleet's cap on repairs (rulings 12). */
  repairsPerHour: number;
  /** Rotations of working keys that may be in flight in the whole fleet. */
  rotationsInFlight: number;
  /** When the fleet's brake is set (design.md §7). */
  brake: BrakeBounds;
}

/** What the loop tells of each run that it recorded. */
export type RunListener = (tenantId: string, run: RunRecord) => void;

export const LOOP_DEFAULTS = {
  leaseMs: 30_000,
  heartbeatMs: 10_000,
  pollMs: 1_000,
  takeOverMs: 1_000,
  callsMs: 60_000,
  writeMs: 20_000,
  brake: { windowMs: 3_600_000, share: 0.2, least: 5 },
} as const;

/** Ms; far below what a run takes, so that slots are hardly ever empty. */
const GATHER_MS = 10;

export interface Loop {
  start(): Promise<void>;
  /** The session is lost that shows that this process lives: others take its tenants over, and it runs none until `resume`. */
  suspend(): void;
  resume(): void;
  /** Takes no more tenants; waits for those that run, then aborts what is left and gives the claims back. */
  drain(deadlineMs: number): Promise<void>;
  /** Runs under way. */
  running(): number;
  /** True while the loop has asked for work, and been answered, within the last three polls. */
  alive(): boolean;
}

interface Run {
  claim: Claim;
  abort: AbortController;
  done: Promise<void>;
}

export function createLoop(
  deps: ReconcileDeps & { log: Logger; onRun?: RunListener; onDeferred?: (waiting: Waiting) => void },
  options: LoopOptions,
): Loop {
  const { claims, clock, log } = deps;
  const runs = new Map<string, Run>();
  let stopping = false;
  let suspended = false;
  let taking: Promise<void> | null = null;
  let again = false;
  let lastAnswer = 0;
  let timer: NodeJS.Timeout | undefined;
  let gathering: NodeJS.Timeout | undefined;
  let heartbeat: NodeJS.Timeout | undefined;
  let takingOver: NodeJS.Timeout | undefined;
  let unlisten: () => Promise<void> = async () => {};

  function wake(): void {
    if (stopping || suspended) return;
    if (taking) {
      again = true;
      return;
    }
    taking = take().finally(() => {
      taking = null;
      if (again) {
        again = false;
        wake();
      }
    });
  }

  /** A slot came free: with most of them in use, it waits a moment for others, that one statement fills them. */
  function freed(): void {
    if (stopping || runs.size <= options.concurrency / 2) return wake();
    gathering ??= setTimeout(wake, GATHER_MS);
  }

  async function take(): Promise<void> {
    clearTimeout(timer);
    clearTimeout(gathering);
    gathering = undefined;
    let dueInMs: number | null = null;
    try {
      const free = options.concurrency - runs.size;
      const taken = free > 0 ? await claims.take(options.owner, free, options.leaseMs) : [];
      for (const tenant of taken) begin(tenant);
      // The session was lost while it was asked.
      if (suspended) await giveUp('the session with the database was lost');
      if (free > taken.length) dueInMs = await claims.nextDueInMs();
      lastAnswer = clock.now().getTime();
    } catch (error) {
      log.warn({ error: describe(error) }, 'the database did not answer; trying again');
    }
    if (!stopping) timer = setTimeout(wake, Math.max(5, Math.min(dueInMs ?? Infinity, options.pollMs)));
  }

  function begin(tenant: ClaimedTenant): void {
    const abort = new AbortController();
    const { claim } = tenant;
    const done = run(tenant, abort.signal);
    runs.set(claim.tenantId, { claim, abort, done });
  }

  async function run(tenant: ClaimedTenant, signal: AbortSignal): Promise<void> {
    const { claim } = tenant;
    const { tenantId } = claim;
    try {
      const ended = await reconcile({ ...deps, onBrake }, tenant, options, signal);
      if (ended.end === 'lost')
        log.warn({ tenant: tenantId }, 'the claim was lost or given back; nothing was recorded');
      if (ended.end === 'gone') await claims.release(claim, 0);
      if (ended.end === 'deferred') {
        log.debug({ tenant: tenantId, ...ended.waiting }, 'it waits for a vendor’s budget');
        deps.onDeferred?.(ended.waiting);
      }
      if (ended.end === 'recorded') tell(tenantId, ended.run);
    } catch (error) {
      // The claim is left to run out: the tenant is due again then, and a broken machine is not hammered.
      log.error({ tenant: tenantId, error: describe(error) }, 'a reconcile broke off');
    } finally {
      runs.delete(tenantId);
      freed();
    }
  }

  /** One line for the fleet, whoever of the replicas counted. */
  function onBrake({ type, message, data }: NewEvent): void {
    log.warn({ event: type, ...data }, message);
  }

  function tell(tenant: string, run: RunRecord): void {
    const { outcome, trigger, reads, writes, summary, actions } = run;
    const ms = Date.parse(run.finishedAt) - Date.parse(run.startedAt);
    const level = outcome === 'succeeded' && actions.length === 0 ? 'debug' : 'info';
    log[level]({ tenant, outcome, trigger, ms, reads, writes, actions }, summary);
    deps.onRun?.(tenant, run);
  }

  async function beat(): Promise<void> {
    if (runs.size === 0) return;
    try {
      const lost = await claims.heartbeat(
        [...runs.values()].map(({ claim }) => claim),
        options.leaseMs,
      );
      for (const { tenantId, token } of lost) {
        const run = runs.get(tenantId);
        if (run?.claim.token === token) run.abort.abort(new Error('the claim was lost'));
      }
    } catch (error) {
      log.warn({ error: describe(error) }, 'heartbeat failed; the leases go on running');
    }
  }

  async function takeOver(): Promise<void> {
    if (suspended) return;
    try {
      const tenants = await claims.takeOver();
      if (tenants === 0) return;
      log.warn({ tenants }, 'a replica is gone; its tenants are taken over');
      wake();
    } catch (error) {
      log.debug({ error: describe(error) }, 'whether a replica is gone was not seen');
    }
  }

  /** Stops what runs, and gives it back as far as the database can be told. */
  async function giveUp(why: string): Promise<void> {
    const left = [...runs.values()];
    for (const { abort } of left) abort.abort(new Error(why));
    await claims
      .abandon(left.map(({ claim }) => claim))
      .catch((error: unknown) =>
        log.warn({ error: describe(error) }, 'the leases of what ran go on running'),
      );
  }

  return {
    async start() {
      unlisten = await claims.onTrigger(wake);
      heartbeat = setInterval(() => void beat(), options.heartbeatMs);
      takingOver = setInterval(() => void takeOver(), options.takeOverMs);
      wake();
    },
    suspend() {
      suspended = true;
      clearTimeout(timer);
      void giveUp('the session with the database was lost');
    },
    resume() {
      suspended = false;
      wake();
    },
    async drain(deadlineMs) {
      stopping = true;
      clearInterval(takingOver);
      clearTimeout(timer);
      clearTimeout(gathering);
      await atMost(FAREWELL_MS, Promise.all([taking, unlisten()]));
      const all = () => Promise.allSettled([...runs.values()].map(({ done }) => done));
      await Promise.race([all(), new Promise((resolve) => setTimeout(resolve, deadlineMs).unref())]);
      await atMost(FAREWELL_MS, giveUp('the service is stopping'));
      clearInterval(heartbeat);
    },
    running: () => runs.size,
    alive: () => clock.now().getTime() - lastAnswer < 3 * options.pollMs + 2_000,
  };
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
