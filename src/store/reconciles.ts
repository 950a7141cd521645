import { and, eq, getTableColumns, sql } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';
import type pg from 'pg';
import { ready } from '../domain/condition.ts';
import type { Claim, Reconciles, Result } from '../reconciler/ports.ts';
import { keepable, toJson } from './columns.ts';
import { changeCredentials, credentials, toCredential } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { LOCKS, openDatabase, TRIGGER_CHANNEL } from './database.ts';
import { addEvents } from './events.ts';
import { changeHandoffs, handoffs, toHandoff } from './handoffs.ts';
import {
  addIntent,
  intents,
  intentsOfLastHour,
  openIntentsOf,
  settleIntents,
  toOpenIntent,
} from './intents.ts';
import { admit, keepRotation, rotations, toRotation, wishedAt } from './rotations.ts';
import { addOwned, ownedObjects, toOwned } from './owned.ts';
import { statuses, toStatus } from './statuses.ts';
import { tenants, toTenant } from './tenants.ts';

/**
 * Everything that one reconcile starts from, of one moment, in one round trip: a fleet's sweep is mostly this and
 * `RECORD`. Both are prepared once a connection.
 */
const SNAPSHOT = `
  select row_to_json(tenants) as tenant, row_to_json(statuses) as status,
    (select coalesce(json_agg(c order by created_at, id), '[]') from credentials as c
      where c.tenant_id = tenants.id) as credentials,
    (select coalesce(json_agg(h order by deadline, id), '[]') from handoffs as h
      where h.tenant_id = tenants.id and state in ('open', 'claimed', 'submitted')) as handoffs,
    (select coalesce(json_agg(i order by opened_at, id), '[]') from intents as i
      where i.tenant_id = tenants.id and outcome in ('open', 'unknown')) as intents,
    (select coalesce(json_agg(o order by kind, name), '[]') from owned_objects as o
      where o.tenant_id = tenants.id) as owned,
    (select row_to_json(r) from rotations as r
      where r.tenant_id = tenants.id and ended_at is null) as rotation
  from tenants left join statuses on statuses.tenant_id = tenants.id
  where tenants.id = $1`;

type Json = Record<string, unknown>;
interface SnapshotRow {
  tenant: Json;
  status: Json | null;
  credentials: Json[];
  handoffs: Json[];
  intents: Json[];
  owned: Json[];
  rotation: Json | null;
}

/**
 * What every run leaves behind, and the end of its claim. Nothing is written unless the claim is still this one.
 * A column of a status that did not change keeps its stored value, and with it the value's place outside the row,
 * so that a quiet run of a tenant with a large status rewrites its facts' times and no more.
 */
const RECORD = `
  with locked as materialized (
    select id, run_seq, trigger_seq > run_seq as triggered from tenants
     where id = $1 and claim_token = $2 and claim_owner = $3
       for update
  ), status as (
    insert into statuses (tenant_id, observed_generation, ready, facts, memory, conditions, drift, plan, observed_at)
    select id, $4::integer, $5, $6::jsonb, $7::jsonb, $8::jsonb, $9::jsonb, $10::jsonb, $11::timestamptz from locked
     where $4::integer is not null
    on conflict (tenant_id) do update
       set observed_generation = excluded.observed_generation,
           ready = excluded.ready,
           observed_at = excluded.observed_at,
           ${['facts', 'memory', 'conditions', 'drift', 'plan']
             .map(
               (column) =>
                 `${column} = case when statuses.${column} is distinct from excluded.${column} then excluded.${column} else statuses.${column} end`,
             )
             .join(', ')}
  ), proved as (
    update credentials set last_proved_at = proof.at
      from locked, unnest($12::text[], $13::timestamptz[]) as proof (id, at)
     where credentials.id = proof.id and credentials.tenant_id = locked.id
  ), run as (
    insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
    select $14, id, $15, $16::timestamptz, $17::timestamptz, $18, $19::integer, $20::integer, $21, $22::jsonb from locked
  ), released as (
    update tenants
       set claim_owner = null,
           handled_seq = locked.run_seq,
           -- Counted on from the row: a spec or a key that came during the run forgot the failures before it.
           failures = least($23::integer, failures + 1),
           next_run_at = case when triggered then now() else now() + $24 * interval '1 millisecond' end
      from locked
     where tenants.id = locked.id
    returning tenants.id, triggered
  )
  select case when triggered then pg_notify($25, id) end from released`;

export const createReconciles = (db: Database): Reconciles => ({
  async snapshot(tenantId) {
    const { rows } = await db.$client.query<SnapshotRow>({
      name: 'parasol_snapshot',
      text: SNAPSHOT,
      values: [tenantId],
    });
    const [row] = rows;
    if (!row) return null;
    const held = row.credentials.map((one) => rowOf(credentials, one));
    return {
      tenant: toTenant(rowOf(tenants, row.tenant)),
      status: row.status && toStatus(rowOf(statuses, row.status)),
      credentials: held.map(toCredential),
      sealed: Object.fromEntries(
        held.filter(({ state }) => state !== 'dead').map(({ id, sealed }) => [id, sealed]),
      ),
      handoffs: row.handoffs.map((one) => toHandoff(rowOf(handoffs, one))),
      intents: row.intents.map((one) => toOpenIntent(rowOf(intents, one))),
      owned: row.owned.map((one) => toOwned(rowOf(ownedObjects, one))),
      rotation: row.rotation && toRotation(rowOf(rotations, row.rotation)),
    };
  },

  openIntent: (claim, intent, { generation, deleting, perHour, rotation }) =>
    db.transaction(async (tx) => {
      const row = await lockClaimed(tx, claim);
      if (!row) return { granted: false, because: 'claim-lost' };
      if (row.generation !== generation || row.deleting !== deleting) {
        return { granted: false, because: 'spec-changed' };
      }
      if (rotation && (await wishedAt(tx, rotation.id)) !== rotation.wishedAt) {
        return { granted: false, because: 'spec-changed' };
      }
      const known = await openIntentsOf(tx, claim.tenantId);
      if (known.some(({ key }) => key === intent.key)) return { granted: false, because: 'already-open' };
      // Counted by one at a time, or two tenants would both be the last that the cap allows.
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCKS.space}, ${LOCKS.intents})`);
      if ((await intentsOfLastHour(tx)) >= perHour) return { granted: false, because: 'cap' };
      await addIntent(tx, claim.tenantId, intent);
      return { granted: true };
    }),

  admitRotation: (claim, rotationId, limit) =>
    db.transaction(async (tx) => {
      if (!(await lockClaimed(tx, claim))) return null;
      // Counted by one at a time, or two tenants would both be the last that the limit allows.
      await tx.execute(sql`select pg_advisory_xact_lock(${LOCKS.space}, ${LOCKS.rotations})`);
      return await admit(tx, rotationId, limit);
    }),

  async record(claim, result) {
    if (isQuiet(result)) return await recordCore(db.$client, claim, result);
    const client = await db.$client.connect();
    try {
      return await openDatabase(client).transaction(async (tx) => {
        const { tenantId } = claim;
        const row = await lockClaimed(tx, claim);
        if (!row) return false;
        await addEvents(tx, tenantId, result.events);
        if (result.forget) {
          if (!row.deleting)
            throw new Error(`tenant ${tenantId} is not being deleted, so it is not forgotten`);
          // Intents outlive the tenant, for the fleet's cap.
          await settleIntents(tx, tenantId, result.intents);
          await tx.delete(tenants).where(eq(tenants.id, tenantId));
          return true;
        }
        await changeCredentials(tx, tenantId, result.credentials);
        await changeHandoffs(tx, tenantId, result.handoffs);
        await settleIntents(tx, tenantId, result.intents);
        await addOwned(tx, tenantId, result.owned);
        if (result.rotation) await keepRotation(tx, result.rotation.now, result.rotation.heeded);
        return await recordCore(client, claim, result);
      });
    } finally {
      client.release();
    }
  },
});

/** Nothing happened but the look: one statement is one transaction. */
function isQuiet(result: Result): boolean {
  const { events, credentials, handoffs, intents, owned, rotation, forget } = result;
  return (
    !forget &&
    !rotation &&
    [events, credentials, handoffs, intents, owned].every(({ length }) => length === 0)
  );
}

/** False: the claim is no longer this one, and nothing was written. */
async function recordCore(
  client: pg.Pool | pg.PoolClient,
  { tenantId, token, owner }: Claim,
  { status, provedAt, run, next }: Result,
): Promise<boolean> {
  const { rowCount } = await client.query({
    name: 'parasol_record',
    text: RECORD,
    values: [
      tenantId,
      token,
      owner,
      ...(status
        ? [
            status.observedGeneration,
            ready(status.conditions),
            toJson(status.facts),
            toJson(status.memory),
            toJson(status.conditions),
            toJson(status.drift),
            toJson(status.plan),
            status.observedAt,
          ]
        : Array.from({ length: 8 }, () => null)),
      Object.keys(provedAt),
      Object.values(provedAt),
      run.id,
      keepable(run.trigger),
      run.startedAt,
      run.finishedAt,
      run.outcome,
      run.reads,
      run.writes,
      keepable(run.summary),
      toJson(run.actions),
      next.failures,
      next.inMs,
      TRIGGER_CHANNEL,
    ],
  });
  return rowCount === 1;
}

/** A row that came as JSON, as drizzle would have given it. */
function rowOf<T extends PgTable>(table: T, json: Json): T['$inferSelect'] {
  const row: Json = {};
  for (const [key, name, isTime] of columnsOf(table)) {
    const value = json[name];
    row[key] = isTime && typeof value === 'string' ? new Date(value) : value;
  }
  return row;
}

type Columns = [key: string, name: string, isTime: boolean][];
const known = new WeakMap<PgTable, Columns>();

function columnsOf(table: PgTable): Columns {
  let columns = known.get(table);
  if (!columns) {
    columns = Object.entries(getTableColumns(table)).map(([key, column]) => [
      key,
      column.name,
      column.dataType === 'date',
    ]);
    known.set(table, columns);
  }
  return columns;
}

/** The tenant's row, locked until the transaction ends; null where the claim is no longer this one. */
async function lockClaimed(tx: Executor, claim: Claim) {
  const [row] = await tx
    .select({
      deleting: tenants.deleting,
      generation: tenants.generation,
      triggerSeq: tenants.triggerSeq,
      runSeq: tenants.runSeq,
    })
    .from(tenants)
    .where(
      and(
        eq(tenants.id, claim.tenantId),
        eq(tenants.claimToken, claim.token),
        eq(tenants.claimOwner, claim.owner),
      ),
    )
    .for('update');
  return row ?? null;
}
