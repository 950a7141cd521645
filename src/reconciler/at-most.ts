import { setTimeout as sleep } from 'node:timers/promises';

/** Waits so many milliseconds at most, and does not care how it ends: whoever goes is kept by nobody. */
export async function atMost(ms: number, doing: Promise<unknown> | null): Promise<void> {
  const stop = new AbortController();
  const late = sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  await Promise.race([late, Promise.allSettled([doing])]);
  stop.abort();
}

/** For what is said to the database by one who goes, in milliseconds: it may not be there. */
export const FAREWELL_MS = 2_000;
