import pg from 'pg';
import { TRIGGER_CHANNEL } from './database.ts';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export interface TriggerListener {
  /**
   * Calls back on every trigger, and once after each new connection, since triggers may have been missed
   * meanwhile. Resolves once the first attempt to listen ended, well or not; what it returns takes it back.
   */
  add(listen: () => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** LISTEN on a connection of its own, that comes back after it was lost. */
export function createListener(
  connection: pg.ClientConfig,
  onError: (error: Error) => void,
): TriggerListener {
  const listeners = new Set<() => void>();
  let client: pg.Client | null = null;
  let starting: Promise<void> | null = null;
  let retry: NodeJS.Timeout | null = null;
  let retryMs = FIRST_RETRY_MS;

  const tell = () => {
    for (const listen of listeners) listen();
  };

  async function connect(): Promise<void> {
    const fresh = new pg.Client({
      connectionTimeoutMillis: 10_000,
      ...connection,
      keepAlive: true,
      application_name: 'parasol listen',
    });
    let lost = false;
    const onLost = (why: Error | null) => {
      if (lost) return;
      lost = true;
      if (client === fresh) client = null;
      void fresh.end().catch(() => undefined);
      if (listeners.size === 0) return;
      if (why) onError(why);
      retry = setTimeout(() => {
        starting = connect();
      }, retryMs);
      retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
    };
    fresh.on('error', onLost);
    fresh.on('end', () => onLost(null));
    fresh.on('notification', tell);
    try {
      await fresh.connect();
      await fresh.query(`listen ${TRIGGER_CHANNEL}`);
    } catch (error) {
      onLost(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (listeners.size === 0) return onLost(null);
    client = fresh;
    retryMs = FIRST_RETRY_MS;
    tell();
  }

  async function stop(): Promise<void> {
    if (retry) clearTimeout(retry);
    retry = null;
    await starting;
    starting = null;
    const open = client;
    client = null;
    await open?.end();
  }

  return {
    async add(listen) {
      listeners.add(listen);
      starting ??= connect();
      await starting;
      return async () => {
        listeners.delete(listen);
        if (listeners.size === 0) await stop();
      };
    },
    async close() {
      listeners.clear();
      await stop();
    },
  };
}
