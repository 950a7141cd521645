import { schedule } from 'node-cron';
import type { Logger } from 'pino';
import type { Housekeeping } from './ports.ts';

const BATCH = 5_000;
const DEAD_BATCH = 200;

/**
 * The fleet's calendar (design.md §4). Every tick is idempotent and runs on every replica: whoever comes second
 * finds nothing left to do.
 */
export function startCalendar(
  { housekeeping, log }: { housekeeping: Housekeeping; log: Logger },
  { retentionMs, keepDeadMs }: { retentionMs: number; keepDeadMs: number },
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
  const destroy = schedule(
    '43 * * * *',
    async () => {
      try {
        const pairs = await destroyAllDead(housekeeping, keepDeadMs);
        if (pairs > 0) log.info({ pairs }, 'destroyed the sealed texts of pairs that have long been dead');
      } catch (error) {
        log.warn({ error: (error as Error).message }, 'no sealed text was destroyed; tried again in an hour');
      }
    },
    { timezone: 'UTC', noOverlap: true, name: 'dead pairs' },
  );
  const unsay = schedule(
    '* * * * *',
    async () => {
      try {
        const tenants = await unsayAllOld(housekeeping);
        if (tenants > 0)
          log.warn({ tenants }, 'nothing was seen of these for too long: they are Unknown now');
      } catch (error) {
        log.warn(
          { error: (error as Error).message },
          'lists were not looked through; tried again in a minute',
        );
      }
    },
    { timezone: 'UTC', noOverlap: true, name: 'lists' },
  );
  return {
    async stop() {
      await unsay.destroy();
      await prune.destroy();
      await destroy.destroy();
    },
  };
}

/** In batches, so that no statement holds the tables for long; how many rows went in all. */
export const pruneAll = (housekeeping: Housekeeping, retentionMs: number): Promise<number> =>
  untilNone(() => housekeeping.prune(retentionMs, BATCH));

/** Likewise; how many pairs keep their history only from now on. */
export const destroyAllDead = (housekeeping: Housekeeping, keepDeadMs: number): Promise<number> =>
  untilNone(() => housekeeping.destroyDead(keepDeadMs, DEAD_BATCH));

/** Likewise; how many tenants are listed as Unknown from now on, since what was seen of them holds no longer. */
export const unsayAllOld = (housekeeping: Housekeeping): Promise<number> =>
  untilNone(() => housekeeping.unsayOld(BATCH));

async function untilNone(batch: () => Promise<number>): Promise<number> {
  for (let total = 0; ;) {
    const rows = await batch();
    total += rows;
    if (rows === 0) return total;
  }
}
