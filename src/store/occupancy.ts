import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Occupancy, Release } from '../reconciler/ports.ts';
import { Connection, SESSION } from './connection.ts';
import { LOCKS } from './database.ts';

const AGAIN_MS = 1_000;

/** A session that PostgreSQL ends by itself soon after its machine went away, so that it stands in nobody's way. */
const NOTICED = `
  set tcp_keepalives_idle = 10; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3`;

/** Who else holds the lock, as the database sees them. */
const HOLDERS = `
  select application_name as name, coalesce(host(client_addr), 'this machine') as host,
         to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI') as since
    from pg_locks join pg_stat_activity using (pid)
   where locktype = 'advisory' and granted and objsubid = 2
     and classid = ${LOCKS.space} and objid = ${LOCKS.occupancy} and pid <> pg_backend_pid()
     and pg_locks.database = (select oid from pg_database where datname = current_database())
   order by backend_start`;

/**
 * The name of an owner of claims that shows by its session that it lives. Of others, an earlier release's, nothing is
 * known before their leases run out.
 */
export const ownerInSession = (name: string): string => `${name}${IN_SESSION}`;
const IN_SESSION = '@session';

/** Whether an owner shows that it lives, by a condition on the column of its name; false of those that never did. */
export const sessionGone = (owner: string): string => `(${owner} like '%${IN_SESSION}'
  and (hashtext(${owner})::bigint & 4294967295) not in (
    select objid::bigint from pg_locks
     where locktype = 'advisory' and granted and objsubid = 2 and classid = ${LOCKS.owners}
       and pg_locks.database = (select oid from pg_database where datname = current_database())))`;

/**
 * One advisory lock, held by a connection of its own: shared by services, alone for who changes the key. The same
 * connection has a lock in the name of the owner of claims, if there is one.
 */
export function createOccupancy(connection: pg.ClientConfig, onError: (error: Error) => void): Occupancy {
  /** A connection that has the lock; null: it cannot be had. `onEnd` is told once, when it is lost. */
  async function hold(
    how: 'lock' | 'lock_shared',
    name: string,
    owner: string | null,
    onEnd: () => void,
    stop?: AbortSignal,
  ): Promise<Connection | null> {
    const client = new Connection({ ...SESSION, ...connection, application_name: name });
    client.on('error', onError);
    const giveUp = () => client.destroy('it is not waited for any more');
    stop?.addEventListener('abort', giveUp, { once: true });
    try {
      await client.connect();
      await client.query(NOTICED);
      const { rows } = await client.query<{ had: boolean }>(`select pg_try_advisory_${how}($1, $2) as had`, [
        LOCKS.space,
        LOCKS.occupancy,
      ]);
      if (rows[0]?.had) {
        if (owner !== null) {
          // Shared, as the last session of the same owner may not be gone yet for the database.
          await client.query('select pg_advisory_lock_shared($1, hashtext($2))', [LOCKS.owners, owner]);
        }
        const ended = once(onEnd);
        client.on('error', ended);
        client.on('end', ended);
        client.watch();
        return client;
      }
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    } finally {
      stop?.removeEventListener('abort', giveUp);
    }
    await client.end();
    return null;
  }

  return {
    async share({ owner, onLost, onReturn }) {
      const stop = new AbortController();
      let client: Connection | null = null;
      let returning: Promise<void> = Promise.resolve();

      const comeBack = async (): Promise<void> => {
        while (!stop.signal.aborted) {
          try {
            await sleep(AGAIN_MS, undefined, { signal: stop.signal });
            client = await hold('lock_shared', 'parasol', owner, lost, stop.signal);
            break;
          } catch (error) {
            if (!stop.signal.aborted) onError(error as Error);
          }
        }
        if (stop.signal.aborted) return;
        // Beside it: who stops does not wait for what is looked at.
        const returned = client;
        onReturn(returned === null).catch((error: Error) => {
          if (stop.signal.aborted) return;
          onError(error);
          void returned?.end();
        });
      };
      const lost = () => {
        client = null;
        if (stop.signal.aborted) return;
        onLost();
        returning = comeBack();
      };
      const release: Release = async () => {
        stop.abort();
        await returning;
        await client?.end();
      };

      client = await hold('lock_shared', 'parasol', owner, lost);
      return client && release;
    },

    async alone() {
      const client = await hold('lock', 'parasol vault rekey', null, () => undefined);
      if (client) return { ok: true, release: () => client.end() };
      return { ok: false, by: await holders() };
    },
  };

  async function holders(): Promise<string[]> {
    const client = new Connection({ ...SESSION, ...connection });
    client.on('error', onError);
    await client.connect();
    try {
      const { rows } = await client.query<{ name: string; host: string; since: string }>(HOLDERS);
      return rows.map(({ name, host, since }) => `${name || 'somebody'} from ${host} since ${since} UTC`);
    } finally {
      await client.end();
    }
  }
}

function once(call: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    call();
  };
}
