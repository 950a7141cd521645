import type pg from 'pg';
import type { Census, Housekeeping } from '../reconciler/ports.ts';

/**
 * Old rows go from the beginning of their tables: ids of runs and intents are UUID v7 and those of events count
 * up, so that the oldest are found by the primary key, without an index on time.
 */
const PRUNE = ['runs', 'intents', 'events'].map((table) => {
  const [at, settled] =
    table === 'runs'
      ? ['finished_at', 'true']
      : table === 'intents'
        ? ['opened_at', `outcome in ('applied', 'not-applied')`]
        : ['at', 'true'];
  return `
    delete from ${table} where id in (
      select id from (select id, ${at} as at, ${settled} as settled from ${table} order by id limit $2) as oldest
       where at < now() - $1 * interval '1 millisecond' and settled)`;
});

const CENSUS = `
  select
    (select coalesce(jsonb_agg(t), '[]') from (
       select spec ->> 'mode' as mode, ready, count(*)::int as count
         from tenants left join statuses on statuses.tenant_id = tenants.id group by 1, 2) as t) as tenants,
    (select coalesce(jsonb_agg(h), '[]') from (
       select kind, state, overdue_since is not null as overdue, count(*)::int as count
         from handoffs where state in ('open', 'claimed', 'submitted') group by 1, 2, 3) as h) as handoffs,
    (select count(*)::int from tenants
      where claim_owner is null and next_run_at < now() - interval '1 minute') as late,
    (select count(*)::int from intents where outcome in ('open', 'unknown')) as "openIntents"`;

/** What is kept for a time only, and how much of what there is. */
export const createHousekeeping = (pool: pg.Pool): Housekeeping => ({
  async prune(olderThanMs, batch) {
    let rows = 0;
    for (const statement of PRUNE) rows += (await pool.query(statement, [olderThanMs, batch])).rowCount ?? 0;
    return rows;
  },
  async census() {
    const { rows } = await pool.query<Census>(CENSUS);
    const [census] = rows;
    if (!census) throw new Error('a census has one row');
    return census;
  },
});
