import type { Logger } from 'pino';
import { done, noTenant } from './answers.ts';
import { statusView } from './command-views.ts';
import type { Answer, StatusView } from './commands.ts';
import type { EventLog } from './event-log.ts';
import type { Clock, Desk, TenantRecord } from './ports.ts';
import { whileUsed } from './while-used.ts';

/**
 * Waits until a tenant's status is as somebody wants it. Who waits holds nothing but memory: a notice of the
 * database says which tenant changed, it is read once for all who wait for it, and a slow poll finds what no notice
 * told.
 */
export interface Waits {
  /**
   * The first status that is as wanted; or the present one once the time is up, or the process is to end. `signal`
   * is who does not want to know any more.
   */
  wait(id: string, wanted: Wanted): Promise<Answer<Waited>>;
  /** Answers everybody with what is, and whoever comes later at once. */
  end(): void;
}

export interface Wanted {
  met: (status: StatusView) => boolean;
  ms: number;
  signal: AbortSignal;
}

export interface Waited {
  status: StatusView;
  end: 'met' | 'timed-out' | 'draining';
}

/** Ms between two looks at what no notice tells: evidence, times, a notice that was lost. */
const LOOK_EVERY_MS = 10_000;
/** Tenants that are read at once, so that a crowd of changes leaves connections for others. */
const READS_AT_ONCE = 3;

interface Waiter {
  met: Wanted['met'];
  settle: (answer: Answer<Waited>) => void;
  /** Reads that had begun when it came: they say nothing of what its caller has just done. */
  after: number;
  /** Why it is answered by the next read, whatever that shows; null: it still has time. */
  over: Exclude<Waited['end'], 'met'> | null;
}

interface Watched {
  waiters: Set<Waiter>;
  /** How many reads have begun, and which of them showed `record`; null: there was no such tenant. */
  begun: number;
  shown: number;
  record: TenantRecord | null;
  mark: string | undefined;
  /** The read that is under way. */
  reading: Promise<void> | null;
  /** Something was committed since that read began. */
  stale: boolean;
}

export interface WaitDeps {
  desk: Pick<Desk, 'tenant' | 'marks'>;
  onChange: EventLog['onChange'];
  clock: Clock;
  log: Logger;
}

export function createWaits(
  { desk, onChange, clock, log }: WaitDeps,
  { lookEveryMs = LOOK_EVERY_MS }: { lookEveryMs?: number } = {},
): Waits {
  const watched = new Map<string, Watched>();
  const inTurn = atMost(READS_AT_ONCE);
  let ended = false;

  const unread = (error: unknown) =>
    log.warn({ error: (error as Error).message }, 'a status that is waited for was not read; tried again');
  const changes = whileUsed(async () => {
    const unlisten = await onChange((tenant) => {
      for (const id of tenant === null ? watched.keys() : [tenant]) refresh(id)?.catch(unread);
    });
    const look = setInterval(() => void lookAround().catch(unread), lookEveryMs);
    return async () => {
      clearInterval(look);
      await unlisten();
    };
  }, unread);

  /** Reads a tenant, or lets the read under way be followed by another; null: nobody waits for it. */
  function refresh(id: string): Promise<void> | null {
    const one = watched.get(id);
    if (!one) return null;
    one.stale = true;
    one.reading ??= read(id, one)
      .catch((error: unknown) => {
        // The next look finds that it differs.
        one.mark = undefined;
        throw error;
      })
      .finally(() => {
        one.reading = null;
      });
    return one.reading;
  }

  async function read(id: string, one: Watched): Promise<void> {
    while (one.stale && one.waiters.size > 0) {
      await inTurn(async () => {
        one.stale = false;
        one.begun += 1;
        one.record = await desk.tenant(id);
        one.shown = one.begun;
      });
      answer(id, one);
    }
  }

  /** Answers all whose wish is met by what was read last, or whose time is over. */
  function answer(id: string, { record, shown, waiters }: Watched): void {
    const status = record && statusView(record, clock.now());
    for (const { met, settle, after, over } of waiters) {
      if (shown <= after) continue;
      if (!status) settle(noTenant(id));
      else if (met(status)) settle(done({ status, end: 'met' }));
      else if (over) settle(done({ status, end: over }));
    }
  }

  async function lookAround(): Promise<void> {
    const marks = await desk.marks([...watched.keys()]);
    for (const [id, one] of watched) {
      const mark = marks.get(id);
      // Time alone makes what was seen old.
      if (mark === one.mark) answer(id, one);
      else refresh(id)?.catch(unread);
      one.mark = mark;
    }
  }

  async function answered(id: string, { met, ms, signal }: Wanted): Promise<Answer<Waited>> {
    const one = watched.get(id) ?? nobodyYet();
    watched.set(id, one);
    const { promise, resolve, reject } = Promise.withResolvers<Answer<Waited>>();
    const waiter: Waiter = { met, settle: resolve, after: one.begun, over: ended ? 'draining' : null };
    one.waiters.add(waiter);
    const timeUp = () => {
      waiter.over ??= 'timed-out';
      answer(id, one);
    };
    const timer = setTimeout(timeUp, ms);
    signal.addEventListener('abort', timeUp);
    try {
      refresh(id)?.catch(reject);
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', timeUp);
      one.waiters.delete(waiter);
      if (one.waiters.size === 0 && watched.get(id) === one) watched.delete(id);
    }
  }

  return {
    async wait(id, wanted) {
      await changes.enter();
      try {
        return await answered(id, wanted);
      } finally {
        changes.leave();
      }
    },
    end() {
      ended = true;
      for (const [id, one] of watched) {
        for (const waiter of one.waiters) waiter.over = 'draining';
        answer(id, one);
      }
    },
  };
}

const nobodyYet = (): Watched => ({
  waiters: new Set(),
  begun: 0,
  shown: 0,
  record: null,
  mark: undefined,
  reading: null,
  stale: false,
});

/** Lets so many run at once; the others wait for their turn. */
function atMost(most: number): (run: () => Promise<void>) => Promise<void> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (run) => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running += 1;
    try {
      await run();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running -= 1;
    }
  };
}
