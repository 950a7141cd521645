import type pg from 'pg';
import type { Claim, ClaimedTenant, Claims } from '../reconciler/ports.ts';
import { TRIGGER_CHANNEL } from './database.ts';
import type { Listener } from './listener.ts';
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

const TAKE = `
  with due as materialized (
    select id from tenants
     where next_run_at <= now()
     order by next_run_at
     limit $2
       for update skip locked
  )
  update tenants
     set claim_owner = $1,
         claim_token = claim_token + 1,
         run_seq = trigger_seq,
         next_run_at = now() + $3 * interval '1 millisecond'
    from due
   where tenants.id = due.id
  returning tenants.id, claim_token, run_seq, next_run_at,
            case when trigger_seq > handled_seq then trigger_cause end as cause`;

// Locked in the order of their ids, as whoever locks several tenants does: two such never wait for each other.
const HEARTBEAT = `
  with held as materialized (
    select tenants.id from tenants
      join unnest($1::text[], $2::bigint[], $3::text[]) as claim (id, token, owner)
        on tenants.id = claim.id and claim_token = claim.token and claim_owner = claim.owner
     order by tenants.id collate "C"
       for update of tenants
  )
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

const RELEASE = `
  update tenants
     set claim_owner = null,
         next_run_at = case when trigger_seq > run_seq then now()
                            else now() + $4 * interval '1 millisecond' end
   where id = $1 and claim_token = $2 and claim_owner = $3`;

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
    const { rows } = await pool.query<{ id: string }>(HEARTBEAT, [
      claims.map((claim) => claim.tenantId),
      claims.map((claim) => claim.token),
      claims.map((claim) => claim.owner),
      leaseMs,
    ]);
    const held = new Set(rows.map((row) => row.id));
    return claims.filter((claim) => !held.has(claim.tenantId));
  },
  async confirm(claim, forMs, { generation, decisions }) {
    const { rowCount } = await pool.query(CONFIRM, [...identity(claim), forMs, generation, decisions]);
    return rowCount === 1;
  },
  async release(claim, dueInMs) {
    await pool.query(RELEASE, [...identity(claim), dueInMs]);
  },
  async nextDueInMs() {
    const { rows } = await pool.query<{ ms: number | null }>({ name: 'parasol_next_due', text: NEXT_DUE });
    const ms = rows[0]?.ms ?? null;
    return ms === null ? null : Math.max(0, ms);
  },
  onTrigger: (listen) => listener.add(TRIGGER_CHANNEL, () => listen()),
});

const identity = (claim: Claim) => [claim.tenantId, claim.token, claim.owner];
