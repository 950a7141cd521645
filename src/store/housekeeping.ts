import type { Census, Housekeeping } from '../reconciler/ports.ts';
import { destroyDead, retireSecrets } from './credentials.ts';
import { atLeisure, type Database } from './database.ts';
import { PRUNE_BUDGETS } from './budgets.ts';
import { placeEvents } from './event-log.ts';
import { PRUNE_FINDINGS } from './run-findings.ts';
import { UNSAY_OLD } from './listings.ts';

const CUTOFF = `now() - $1 * interval '1 millisecond'`;

/**
 * Which rows may go, by the beginning of an index that each table has anyway: ids of runs are UUID v7 and positions
 * of events count up, so that both sort by time, and no index on their times is needed. Only the first batch is
 * looked at: where nothing is old enough there, nothing is further on.
 */
const OLD: Record<'runs' | 'events' | 'intents', string> = {
  runs: `select id from (select id, finished_at as at from runs order by id limit $2) as first where at < ${CUTOFF}`,
  events: `select id from (select id, at from events order by position limit $2) as first where at < ${CUTOFF}`,
  // One that is not settled stays while its tenant does; none goes while the fleet's cap counts it (rulings 12).
  intents: `
    select id from intents
     where opened_at < least(${CUTOFF}, now() - interval '1 hour')
       and (settled_at < ${CUTOFF} or tenant_id is null)
     order by opened_at limit $2`,
};

/** Rows that somebody else deletes at this moment, with their tenant or as another replica, are not waited for. */
const deletion = (table: keyof typeof OLD): string => `
  with old as materialized (
    select id from ${table} where id in (${OLD[table]}) for update skip locked
  )
  delete from ${table} using old where ${table}.id = old.id`;

/** Whoever sends the same request again does so soon. */
const PRUNE_REQUESTS = `
  delete from requests where (token_id, key) in (
    select token_id, key from requests where created_at < now() - interval '24 hours'
     order by created_at limit $1 for update skip locked
  )`;

/** Who follows the log later than that is told that there was something. */
const PRUNE_EVENTS = `
  with gone as (${deletion('events')} returning position)
  , noted as (
    update event_log set pruned = greatest(pruned, last) from (select max(position) as last from gone) as gone
     where last is not null
  )
  select count(*)::int as rows from gone`;

/**
 * What tenants no longer show is needed for the brake's window, which is no longer than that. A row is found by its
 * place: its key is two columns.
 */
const PRUNE_SIGHTINGS = `
  delete from sightings where ctid = any (array(
    select ctid from sightings where gone_at < least(${CUTOFF}, now() - interval '30 days')
     order by gone_at limit $2 for update skip locked))`;

const CENSUS = `
  select
    (select coalesce(jsonb_agg(t), '[]') from (
       select spec ->> 'mode' as mode, ready, count(*)::int as count
         from tenants left join statuses on statuses.tenant_id = tenants.id group by 1, 2) as t) as tenants,
    (select coalesce(jsonb_agg(h), '[]') from (
       select kind, state, overdue_since is not null as overdue, count(*)::int as count
         from handoffs where state in ('open', 'claimed', 'submitted') group by 1, 2, 3) as h) as handoffs,
    (select coalesce(jsonb_agg(r), '[]') from (
       select phase,
              coalesce(conditions @? '$[*] ? (@.type == "RotationHealthy" && @.status == "False")', false) as stuck,
              count(*)::int as count
         from rotations left join statuses on statuses.tenant_id = rotations.tenant_id
        where ended_at is null group by 1, 2) as r) as rotations,
    (select count(*)::int from tenants where next_run_at < now() - interval '1 minute') as late,
    (select count(*)::int from intents
      where outcome in ('open', 'unknown') and tenant_id is not null) as "openIntents",
    (select coalesce(jsonb_agg(w), '[]') from (
       select waiting ->> 'kind' as budget, waiting ->> 'everyMs' is not null as stretched, count(*)::int as count
         from tenants where waiting is not null and not (waiting -> 'served')::boolean
        group by 1, 2) as w) as waiting,
    (select count(*)::int from brakes where released_at is null and ended_at is null) as braked,
    (select coalesce(jsonb_agg(k), '[]') from (
       select kid, created_at as "createdAt" from vault_checks where sealed is not null) as k) as keks`;

/** Nobody waits for retention, and one that never gets through a batch would let everything grow; in milliseconds. */
const BATCH_MS = 600_000;

/** What is kept for a time only, and how much of what there is. */
export const createHousekeeping = (db: Database): Housekeeping => ({
  prune: (olderThanMs, batch) =>
    atLeisure(db.$client, BATCH_MS, async (client) => {
      const given = [olderThanMs, batch];
      let rows = 0;
      for (const table of ['runs', 'intents'] as const)
        rows += (await client.query(deletion(table), given)).rowCount ?? 0;
      rows += (await client.query(PRUNE_SIGHTINGS, given)).rowCount ?? 0;
      rows += (await client.query(PRUNE_REQUESTS, [batch])).rowCount ?? 0;
      rows += (await client.query(PRUNE_BUDGETS, [batch])).rowCount ?? 0;
      // One that goes without ever having had a place would be missed by nobody.
      await placeEvents(client);
      const { rows: gone } = await client.query<{ rows: number }>(PRUNE_EVENTS, given);
      const { rowCount: findings } = await client.query(PRUNE_FINDINGS, [batch]);
      return rows + (gone[0]?.rows ?? 0) + (findings ?? 0);
    }),
  destroyDead: (deadForMs, batch) =>
    db.transaction(async (tx) => {
      await retireSecrets(tx);
      return destroyDead(tx, deadForMs, batch);
    }),
  unsayOld: async (batch) => (await db.$client.query(UNSAY_OLD, [batch])).rowCount ?? 0,
  async census() {
    const { rows } = await db.$client.query<Census>(CENSUS);
    const [census] = rows;
    if (!census) throw new Error('a census has one row');
    return census;
  },
});
