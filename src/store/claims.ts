import type pg from 'pg';
import type { Claim, ClaimedTenant, Claims } from '../reconciler/ports.ts';
import { TRIGGER_CHANNEL } from './database.ts';
import type { Listener } from './listener.ts';
import { sessionGone } from './occupancy.ts';
import { NO_WRITE_NOW } from './tenants.ts';

/**
 * The tenant row is the queue (design.md §4).
 *
 *   waiting ──due──▶ claimed ──record, release──▶ waiting
 *                     │   ▲
 *                     └───┘ lease ran out: claimed by another, the token moves on
 *
 * `next_run_at` is when the tenant is due; while it is claimed, it is when the claim runs out. So one condition
 * finds due tenants and dead owners' alike. A claim holds as long as its owner and token stand in the row; a
 * lease that ran out and was taken by nobody may therefore still be extended.
 */

/**
 * As an array, since PostgreSQL takes a limit that it does not know for a tenth of all there are, and to find those it
 * would read every tenant.
 */
const TAKEN = `array(select id from asked union all select id from aged)`;

/**
 * Half of the free slots go to those that somebody asked for, so that a person waits behind no backlog of the calendar's;
 * all others to who has been due for longest, so that nobody waits for ever behind people.
 */
const TAKE = `
  with asked as materialized (
    select id from tenants
     where next_run_at <= now() and trigger_seq > handled_seq
     order by next_run_at
     limit ceil($2::integer / 2.0)
       for update skip locked
  ), aged as materialized (
    select id from tenants
     where next_run_at <= now() and id <> all (array(select id from asked))
     order by next_run_at
     limit $2::integer - (select count(*) from asked)
       for update skip locked
  )
  update tenants
     set claim_owner = $1,
         claim_token = claim_token + 1,
         run_seq = trigger_seq,
         next_run_at = now() + $3 * interval '1 millisecond'
   where tenants.id = any (${TAKEN})
  returning tenants.id, claim_token, run_seq, next_run_at,
            case when trigger_seq > handled_seq then trigger_cause end as cause`;

// Locked in the order of their ids, as whoever locks several tenants does: two such never wait for each other.
const HELD = `
    select tenants.id from tenants
      join unnest($1::text[], $2::bigint[], $3::text[]) as claim (id, token, owner)
        on tenants.id = claim.id and claim_token = claim.token and claim_owner = claim.owner
     order by tenants.id collate "C"
       for update of tenants`;

const HEARTBEAT = `
  with held as materialized (${HELD})
  update tenants
     set next_run_at = greatest(next_run_at, now() + $4 * interval '1 millisecond')
    from held
   where tenants.id = held.id
  returning tenants.id`;

const CONFIRM = `
  update tenants
     set next_run_at = greatest(next_run_at, now() + $4 * interval '1 millisecond')
   where id = $1 and claim_token = $2 and claim_owner = $3 and generation = $5 and decisions = $6
     and not ${NO_WRITE_NOW}`;

/** Claims run out within that time, but for those that were kept for a long write; which end by their leases. */
const LONGEST_LEASE = `interval '2 minutes'`;

const TAKE_OVER = `
  with gone as materialized (
    select id from tenants
     where next_run_at > now() and next_run_at < now() + ${LONGEST_LEASE}
       and claim_owner is not null and ${sessionGone('claim_owner')}
     order by id collate "C"
       for update skip locked
  )
  update tenants set takeover_until = next_run_at, next_run_at = now() from gone where tenants.id = gone.id`;

/** Whatever of its claims still hold; a lease that has run out leaves nothing to wait for. */
const ABANDON = `
  with held as materialized (${HELD})
  update tenants
     set takeover_until = next_run_at, next_run_at = now(), claim_owner = null
    from held
   where tenants.id = held.id`;

const RELEASE = `
  update tenants
     set claim_owner = null,
         next_run_at = case when trigger_seq > run_seq then now()
                            else now() + $4 * interval '1 millisecond' end
   where id = $1 and claim_token = $2 and claim_owner = $3`;

/** ConnectWise's cloud has its API at a twin of the site's host. */
const RECALL = `
  with waiting as materialized (
    select id from tenants
     where ($1 in (spec -> 'connectwise' ->> 'site', spec -> 'umbrella' ->> 'url')
            or replace($1, '://api-', '://') = spec -> 'connectwise' ->> 'site')
       and claim_owner is null and next_run_at > now() and waiting is null
       and (failures > 0 or exists (
         select from statuses where tenant_id = id
            and conditions @? '$[*] ? (@.type == "ConnectWiseReachable" && @.status != "True")'))
     order by id collate "C"
       for update skip locked
  )
  update tenants set next_run_at = now() from waiting where tenants.id = waiting.id`;

const NEXT_DUE = `
  select ceil(extract(epoch from min(next_run_at) - clock_timestamp()) * 1000)::float8 as ms
    from tenants where next_run_at is not null`;

interface TakenRow {
  id: string;
  claim_token: string;
  run_seq: string;
  next_run_at: Date;
  cause: string | null;
}

export const createClaims = (pool: pg.Pool, listener: Listener): Claims => ({
  async take(owner, limit, leaseMs) {
    if (limit <= 0) return [];
    const { rows } = await pool.query<TakenRow>({
      name: 'parasol_take',
      text: TAKE,
      values: [owner, limit, leaseMs],
    });
    return rows.map((row): ClaimedTenant => ({
      claim: {
        tenantId: row.id,
        token: Number(row.claim_token),
        owner,
        until: row.next_run_at.toISOString(),
      },
      trigger: row.cause ?? 'schedule',
      runSeq: Number(row.run_seq),
    }));
  },
  async heartbeat(claims, leaseMs) {
    if (claims.length === 0) return [];
    const { rows } = await pool.query<{ id: string }>(HEARTBEAT, [...identities(claims), leaseMs]);
    const held = new Set(rows.map((row) => row.id));
    return claims.filter((claim) => !held.has(claim.tenantId));
  },
  async confirm(claim, forMs, { generation, decisions }) {
    const { rowCount } = await pool.query(CONFIRM, [...identity(claim), forMs, generation, decisions]);
    return rowCount === 1;
  },
  async takeOver() {
    const { rowCount } = await pool.query({ name: 'parasol_take_over', text: TAKE_OVER });
    return rowCount ?? 0;
  },
  async recall(origin) {
    const { rowCount } = await pool.query(RECALL, [origin]);
    if (rowCount) await pool.query(`select pg_notify('${TRIGGER_CHANNEL}', '')`);
    return rowCount ?? 0;
  },
  async release(claim, dueInMs) {
    await pool.query(RELEASE, [...identity(claim), dueInMs]);
  },
  async abandon(claims) {
    if (claims.length > 0) await pool.query(ABANDON, identities(claims));
  },
  async nextDueInMs() {
    const { rows } = await pool.query<{ ms: number | null }>({ name: 'parasol_next_due', text: NEXT_DUE });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, ms);
  },
  onTrigger: (listen) => listener.add(TRIGGER_CHANNEL, () => listen()),
});

const identity = (claim: Claim) => [claim.tenantId, claim.token, claim.owner];

const identities = (claims: Claim[]) => [
  claims.map((claim) => claim.tenantId),
  claims.map((claim) => claim.token),
  claims.map((claim) => claim.owner),
];
