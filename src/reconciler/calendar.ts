import { schedule } from 'node-cron';
import type { Logger } from 'pino';
import type { Housekeeping } from './ports.ts';

const BATCH = 5_000;

/**
 * The fleet's calendar (design.md §4). Every tick is idempotent and runs on every replica: whoever comes second
 * finds nothing left to do.
 */
export function startCalendar(
  { housekeeping, log }: { housekeeping: Housekeeping; log: Logger },
  { retentionMs }: { retentionMs: number },
): { stop(): Promise<void> } {
  const prune = schedule(
    '17 * * * *',
    async () => {
      try {
        const rows = await pruneAll(housekeeping, retentionMs);
        if (rows > 0) log.info({ rows }, 'deleted runs, events and settled intents past their retention');
      } catch (error) {
        log.warn({ error: (error as Error).message }, 'retention was not applied; tried again in an hour');
      }
    },
    { timezone: 'UTC', noOverlap: true, name: 'retention' },
  );
  return { stop: async () => prune.destroy() };
}

/** In batches, so that no statement holds the tables for long; how many rows went in all. */
export async function pruneAll(housekeeping: Housekeeping, retentionMs: number): Promise<number> {
  for (let total = 0; ;) {
    const rows = await housekeeping.prune(retentionMs, BATCH);
    total += rows;
    if (rows === 0) return total;
  }
}
