import type pg from 'pg';
import { Connection, SESSION } from './connection.ts';
import { CHANNELS, type Channel } from './database.ts';

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

/** What came on a channel; null: anything may have been missed. */
export type Listen = (payload: string | null) => void;

export interface Listener {
  /**
   * Calls back on every notice of a channel, and with null after each new connection, since notices may have been
   * missed meanwhile. Resolves once the first attempt to listen ended, well or not; what it returns takes it back.
   */
  add(channel: Channel, listen: Listen): Promise<() => Promise<void>>;
  close(): Promise<void>;
}

/** LISTEN on one connection of its own, that comes back after it was lost and hears what somebody waits for. */
export function createListener(connection: pg.ClientConfig, onError: (error: Error) => void): Listener {
  const listeners = new Set<{ channel: Channel; listen: Listen }>();
  const heard = new Set<Channel>();
  let client: Connection | null = null;
  /** The last one that was made, connected or not. */
  let opening: Connection | null = null;
  let starting: Promise<void> | null = null;
  let aligning: Promise<void> = Promise.resolve();
  let retry: NodeJS.Timeout | null = null;
  let retryMs = FIRST_RETRY_MS;

  const tell = (channel: string | null, payload: string | null) => {
    for (const one of listeners) if (channel === null || one.channel === channel) one.listen(payload);
  };

  async function connect(): Promise<void> {
    const fresh = new Connection({ ...SESSION, ...connection, application_name: 'parasol listen' });
    opening = fresh;
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
    fresh.on('notification', ({ channel, payload }) => tell(channel, payload ?? null));
    try {
      await fresh.connect();
      fresh.watch();
      heard.clear();
      client = fresh;
      await align();
    } catch (error) {
      onLost(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    if (listeners.size === 0) return onLost(null);
    retryMs = FIRST_RETRY_MS;
    tell(null, null);
  }

  /** Makes the connection hear what somebody waits for, and nothing else: a notice costs whoever hears it. */
  function align(): Promise<void> {
    const next = aligning.then(alignNow);
    // Whoever comes next tries anew.
    aligning = next.catch(() => undefined);
    return next;
  }

  async function alignNow(): Promise<void> {
    for (const channel of CHANNELS) {
      const wanted = [...listeners].some((one) => one.channel === channel);
      if (!client || wanted === heard.has(channel)) continue;
      await client.query(`${wanted ? 'listen' : 'unlisten'} ${channel}`);
      if (wanted) heard.add(channel);
      else heard.delete(channel);
    }
  }

  async function stop(): Promise<void> {
    if (retry) clearTimeout(retry);
    retry = null;
    // Whoever stops does not wait for a connection that cannot be had.
    if (!client) opening?.destroy('nobody listens any more');
    await starting;
    starting = null;
    const open = client;
    client = null;
    await open?.end();
  }

  return {
    async add(channel, listen) {
      const one = { channel, listen };
      listeners.add(one);
      starting ??= connect();
      await starting;
      // A connection that breaks meanwhile hears it once it is back.
      await align().catch(() => undefined);
      return async () => {
        listeners.delete(one);
        if (listeners.size === 0) await stop();
        else await align().catch(() => undefined);
      };
    },
    async close() {
      listeners.clear();
      await stop();
    },
  };
}
