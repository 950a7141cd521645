import { and, eq, sql } from 'drizzle-orm';
import type pg from 'pg';
import { ready } from '../domain/condition.ts';
import { listedFindings } from '../domain/listing.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import type {
  Claim,
  HandoffChange,
  Reconciles,
  Result,
  RunRecord,
  Snapshot,
  StoredStatus,
} from '../reconciler/ports.ts';
import { brakeOf, forgetSightings, sight } from './brakes.ts';
import { SIGHTED } from './brake-sql.ts';
import { arrayLiteral, keepable, toJson } from './columns.ts';
import { changeCredentials } from './credentials.ts';
import type { Database, Executor } from './database.ts';
import { CHANGE_CHANNEL, inTransaction, LOCKS, TRIGGER_CHANNEL } from './database.ts';
import { addEvents } from './events.ts';
import {
  findingsOf,
  isSame,
  KnownFindings,
  seenOf,
  statusOf,
  type Findings,
  type Known,
} from './findings.ts';
import { KnownSpecs, SPEC_VERSION, tenantRow } from './known-specs.ts';
import { KEEP_FINDINGS } from './run-findings.ts';
import { changeHandoffs } from './handoffs.ts';
import {
  addIntent,
  intents,
  intentsOfLastHour,
  openIntentsOf,
  settleIntents,
  toOpenIntent,
} from './intents.ts';
import { LIST_FINDINGS } from './listings.ts';
import { admit, keepRotation, wishedAt } from './rotations.ts';
import { acceptances, changeAcceptances, toAcceptance } from './acceptances.ts';
import { addOwned, ownedObjects, toOwned } from './owned.ts';
import type { Queue } from './queue.ts';
import { forgetPause } from './pauses.ts';
import { rowOf, type Json } from './rows.ts';
import { statuses, toFindings, toSeen } from './statuses.ts';
import { tenantParts, toParts, type PartsRow } from './tenant-parts.ts';
import { NO_WRITE, tenants, toTenant } from './tenants.ts';
import { together } from './together.ts';
import { deferTenant, keepWaiting } from './waiting.ts';

/**
 * Everything that one reconcile starts from, of one moment, in one round trip: a fleet's sweep is mostly this and
 * `RECORD`. Both are prepared once a connection. A status or a spec of the version that this process knows comes
 * without what that holds.
 *
 * PostgreSQL plans a prepared statement anew each time as long as it takes that for cheaper than a plan for any
 * values, and to plan these costs more than to run them. By an array that it sees it takes a few tenants for cheap;
 * of one that is selected it knows as little as of any.
 */
const SNAPSHOT = `
  select tenants.id, spec.version as spec_version, ${tenantRow('spec.version = asked.spec_version')} as tenant,
    ${tenantParts(true)}, ${SIGHTED} as sighted,
    case when statuses.version = asked.version
         then json_build_object('version', asked.version, 'observed_at', observed_at, 'parts_at', parts_at)
         else row_to_json(statuses) end as status,
    (select coalesce(json_agg(i order by opened_at, id), '[]') from intents as i
      where i.tenant_id = tenants.id and outcome in ('open', 'unknown')) as intents,
    (select coalesce(json_agg(o order by kind, name), '[]') from owned_objects as o
      where o.tenant_id = tenants.id) as owned,
    (select coalesce(json_agg(a order by path), '[]') from acceptances as a
      where a.tenant_id = tenants.id and ended_at is null) as acceptances
  from unnest((select $1::text[]), $2::text[], $3::text[]) as asked (id, version, spec_version)
  join tenants on tenants.id = asked.id
  cross join lateral (${SPEC_VERSION} offset 0) as spec (version)
  left join statuses on statuses.tenant_id = tenants.id`;

interface SnapshotRow extends PartsRow {
  id: string;
  spec_version: string;
  tenant: Json;
  status: Json | null;
  intents: Json[];
  owned: Json[];
  sighted: string[];
  acceptances: Json[];
}

/** The columns of a status that hold more than a word. */
const FINDINGS = ['facts', 'memory', 'conditions', 'drift', 'plan'] as const;

/**
 * What runs leave behind, and the end of their claims: of several tenants at once, each fenced by its own claim,
 * all in one transaction. Nothing is written of a tenant whose claim is no longer this one; nor, where it may not
 * wait, of one whose row somebody else holds: those are not among the ids that it answers.
 *
 * What a run found that it knew (`known`, the version of it) is not sent again: the status gets the time of the look,
 * and nothing else of it is written. A column that did not change keeps its stored value, and with it the value's
 * place outside the row.
 */
const record = (waits: boolean): string => `
  with given as materialized (
    select * from unnest(
      (select $1::text[]), $2::bigint[], $3::text[], $4::integer[], $5::text[], $6::jsonb[], $7::jsonb[], $8::jsonb[],
      $9::jsonb[], $10::jsonb[], $11::timestamptz[], $12::text[], $13::text[], $14::timestamptz[],
      $15::timestamptz[], $16::text[], $17::integer[], $18::integer[], $19::text[], $20::jsonb[], $21::integer[],
      $22::float8[], $27::text[], $28::text[], $29::text[], $30::jsonb[], $31::jsonb[]
    ) as given (
      tenant_id, token, owner, observed_generation, ready, ${FINDINGS.join(', ')}, observed_at, run_id, trigger,
      started_at, finished_at, outcome, reads, writes, summary, actions, failures, in_ms, marks, drifting, known, calls,
      parts_at
    )
  ), locked as materialized (
    select tenants.id, generation, run_seq, trigger_seq > run_seq as triggered, run_seq > handled_seq as answered
      from tenants
      join given on tenants.id = given.tenant_id and claim_token = given.token and claim_owner = given.owner
     where given.known is null
        or exists (select from statuses where statuses.tenant_id = tenants.id and version = given.known)
     order by tenants.id collate "C"
       for update of tenants ${waits ? '' : 'skip locked'}
  ), seen_again as (
    update statuses set observed_at = given.observed_at, parts_at = given.parts_at
      from locked join given on given.tenant_id = locked.id
     where statuses.tenant_id = locked.id and known is not null
  ), status as (
    insert into statuses (tenant_id, observed_generation, ready, ${FINDINGS.join(', ')}, observed_at, parts_at, version)
    select id, observed_generation, ready, ${FINDINGS.join(', ')}, observed_at, parts_at, run_id
      from locked join given on tenant_id = id
     where observed_generation is not null and known is null
    on conflict (tenant_id) do update
       set observed_generation = excluded.observed_generation,
           ready = excluded.ready,
           observed_at = excluded.observed_at,
           parts_at = excluded.parts_at,
           version = excluded.version,
           ${FINDINGS.map(
             (column) =>
               `${column} = case when statuses.${column} is distinct from excluded.${column} then excluded.${column} else statuses.${column} end`,
           ).join(', ')}
  ), findings as (${KEEP_FINDINGS}
  ), listed as (${LIST_FINDINGS}
  ), proved as (
    update credentials set last_proved_at = proof.at
      from locked, unnest($23::text[], $24::text[], $25::timestamptz[]) as proof (tenant_id, id, at)
     where credentials.id = proof.id and credentials.tenant_id = locked.id and proof.tenant_id = locked.id
  ), run as (
    insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
    select run_id, id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions
      from locked join given on tenant_id = id
  ), released as (
    update tenants
       set claim_owner = null,
           handled_seq = locked.run_seq,
           -- Counted on from the row: a spec or a key that came during the run forgot the failures before it.
           failures = least(given.failures, tenants.failures + 1),
           next_run_at = case when triggered then now() else now() + in_ms * interval '1 millisecond' end
      from locked join given on given.tenant_id = locked.id
     where tenants.id = locked.id
    returning tenants.id, triggered, answered
  )
  select id, case when triggered then pg_notify($26, id) end,
         -- Somebody may wait for what was asked for; a run by the calendar that changed something has events.
         case when answered then pg_notify('${CHANGE_CHANNEL}', id) end
    from released`;

const RECORD = { name: 'parasol_record', text: record(true) };
const RECORD_UNLOCKED = { name: 'parasol_record_unlocked', text: record(false) };

/** Tenants of one statement. */
const MOST_TOGETHER = 32;

export function createReconciles(db: Database, queue: Pick<Queue, 'ready' | 'send'>): Reconciles {
  const known = new KnownFindings();
  const specs = new KnownSpecs();
  const quiet = recordTogether(db.$client, known);
  return {
    snapshot: together(async (ids: string[]) => {
      const asked = new Map(ids.map((id) => [id, known.get(id)]));
      const specsAsked = new Map(ids.map((id) => [id, specs.get(id)]));
      const { rows } = await db.$client.query<SnapshotRow>({
        name: 'parasol_snapshot',
        text: SNAPSHOT,
        values: [
          [...asked.keys()],
          [...asked.values()].map((one) => one?.version ?? null),
          [...specsAsked.values()].map((one) => one?.version ?? null),
        ],
      });
      const byId = new Map(
        rows.map((row) => {
          const { id, tenant, spec_version: version } = row;
          const spec = specsAsked.get(id);
          const desired =
            version === spec?.version ? spec.spec : specs.keep(id, version, tenant.spec as TenantSpec);
          return [id, toSnapshot(row, desired, statusIn(row, asked.get(id), known))];
        }),
      );
      for (const id of asked.keys()) {
        if (byId.has(id)) continue;
        known.forget(id);
        specs.forget(id);
      }
      return ids.map((id) => byId.get(id) ?? null);
    }, MOST_TOGETHER),

    defer: (claim, waiting, inMs, events) =>
      db.transaction((tx) => deferTenant(tx, claim, waiting, inMs, events)),

    sight: (claim, sightings, bounds) =>
      db.transaction(async (tx) =>
        (await lockClaimed(tx, claim)) ? sight(tx, claim.tenantId, sightings, bounds) : null,
      ),

    openIntent: (claim, intent, { generation, decisions, deleting, perHour, rotation, takesAway }) =>
      db.transaction(async (tx) => {
        const row = await lockClaimed(tx, claim);
        if (!row) return { granted: false, because: 'claim-lost' };
        const decided = row.generation !== generation || row.decisions !== decisions;
        const brake = await brakeOf(tx, claim.tenantId);
        if (!decided && brake) return { granted: false, because: 'braked', brake };
        if (decided || row.held || row.deleting !== deleting) {
          return { granted: false, because: 'spec-changed' };
        }
        if (rotation && (await wishedAt(tx, rotation.id)) !== rotation.wishedAt) {
          return { granted: false, because: 'spec-changed' };
        }
        if (takesAway && row.heldMs > 0) return { granted: false, because: 'taken-over', leftMs: row.heldMs };
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
      if (isQuiet(result)) return await quiet(claim, result);
      if (result.handoffs.some((one) => one.change === 'open' && one.automation)) await queue.ready();
      return await inTransaction(db.$client, async (tx, client) => {
        const { tenantId } = claim;
        const row = await lockClaimed(tx, claim);
        if (!row) return false;
        await addEvents(tx, tenantId, result.events);
        // Taken back while the last look was taken: it stays, and is looked at again.
        if (result.forget && row.deleting) {
          await addEvents(tx, tenantId, [result.forget]);
          // Intents outlive the tenant, for the fleet's cap.
          await settleIntents(tx, tenantId, result.intents);
          await tx.delete(tenants).where(eq(tenants.id, tenantId));
          await tx.execute(sql`select pg_notify(${CHANGE_CHANNEL}, ${tenantId})`);
          known.forget(tenantId);
          specs.forget(tenantId);
          await forgetSightings(tx);
          return true;
        }
        // As before every effect: what came since this run began holds it (rulings 13).
        const late =
          result.handoffs.some(opensHandoff) && (row.held || (await brakeOf(tx, tenantId)) !== null);
        await changeCredentials(tx, tenantId, result.credentials);
        await changeHandoffs(
          tx,
          tenantId,
          late ? result.handoffs.filter((one) => !opensHandoff(one)) : result.handoffs,
          queue.send,
        );
        await settleIntents(tx, tenantId, result.intents);
        await addOwned(tx, tenantId, result.owned);
        await changeAcceptances(tx, tenantId, result.acceptances);
        if (result.waiting !== undefined) await keepWaiting(tx, tenantId, result.waiting);
        if (result.pauseOver) await forgetPause(tx, tenantId, result.pauseOver);
        if (result.rotation) await keepRotation(tx, result.rotation.now, result.rotation.heeded);
        const next = late ? { ...result.next, inMs: 0 } : result.next;
        const recording = recordingOf(claim, { ...result, next });
        return (await recordAll(client, RECORD, [recording])).has(tenantId);
      });
    },
  };
}

/** The status of a row, as it came or as it is known; what came is known from then on. */
function statusIn(
  { id, status }: SnapshotRow,
  asked: Known | undefined,
  known: KnownFindings,
): StoredStatus | null {
  if (!status) return null;
  const row = rowOf(statuses, status);
  const findings = row.version === asked?.version ? asked.findings : toFindings(row);
  if (findings !== asked?.findings) known.keep(id, { version: row.version, findings });
  return statusOf(findings, toSeen(row));
}

/** Nothing is asked of people that was decided on before the brake came to hold the tenant. */
const opensHandoff = ({ change }: HandoffChange): boolean => change === 'open';

/** A row of the database as the ports know it. */
function toSnapshot(row: SnapshotRow, spec: TenantSpec, status: StoredStatus | null): Snapshot {
  const { held, parts } = toParts(row);
  return {
    tenant: toTenant({ ...rowOf(tenants, row.tenant), spec, pause: row.pause, brake: row.brake }),
    status,
    ...parts,
    // Of a dead one too, as long as it is there: that it stays dead is looked at (rulings 19).
    sealed: Object.fromEntries(held.flatMap(({ id, sealed }) => (sealed === null ? [] : [[id, sealed]]))),
    intents: row.intents.map((one) => toOpenIntent(rowOf(intents, one))),
    owned: row.owned.map((one) => toOwned(rowOf(ownedObjects, one))),
    sighted: row.sighted,
    acceptances: row.acceptances.map((one) => toAcceptance(rowOf(acceptances, one))),
  };
}

/** Nothing happened but the look: one statement is one transaction. */
function isQuiet(result: Result): boolean {
  const { events, credentials, handoffs, intents, owned, rotation, waiting, forget } = result;
  return (
    forget === null &&
    waiting === undefined &&
    !rotation &&
    [events, credentials, handoffs, intents, owned].every(({ length }) => length === 0)
  );
}

/** A run to be recorded, and what it found; `known`: the version under which the row holds the very same. */
interface Recording {
  claim: Claim;
  result: Result;
  findings: Findings | null;
  known: string | null;
}

const recordingOf = (claim: Claim, result: Result): Recording => ({
  claim,
  result,
  findings: result.status && findingsOf(result.status),
  known: null,
});

/**
 * Records quiet runs together. One whose tenant's row somebody holds or holds something else than is known, or that
 * was in a statement that failed, is recorded alone: nobody waits for another tenant's lock, and nobody fails for
 * another tenant's fault.
 */
function recordTogether(pool: pg.Pool, known: KnownFindings) {
  const alone = async (recording: Recording) =>
    (await recordAll(pool, RECORD, [{ ...recording, known: null }])).has(recording.claim.tenantId);
  const unlocked = together<Recording, boolean>(async (recordings) => {
    const written = await recordAll(pool, RECORD_UNLOCKED, recordings).catch((error: unknown) => {
      if (recordings.length === 1) throw error;
      return new Set<string>();
    });
    return recordings.map(({ claim }) => written.has(claim.tenantId));
  }, MOST_TOGETHER);
  return async (claim: Claim, result: Result): Promise<boolean> => {
    const { tenantId } = claim;
    const recording = recordingOf(claim, result);
    const { findings } = recording;
    const before = known.get(tenantId);
    if (before && findings && isSame(before.findings, findings)) recording.known = before.version;
    const written = (await unlocked(recording)) || (await alone(recording));
    if (written && findings && !recording.known) known.keep(tenantId, { version: result.run.id, findings });
    return written;
  };
}

/** The tenants that were written; of the others the claim is no longer this one, or the row is held. */
async function recordAll(
  client: pg.Pool | pg.PoolClient,
  statement: { name: string; text: string },
  recordings: Recording[],
): Promise<Set<string>> {
  const each = <T>(value: (recording: Recording) => T) => recordings.map(value);
  const found = <T>(value: (status: StoredStatus) => T) =>
    each(({ result: { status } }) => (status ? value(status) : null));
  const news = <T>(value: (findings: Findings) => T) =>
    each(({ findings, known }) => (findings && known === null ? value(findings) : null));
  const listed = news(({ conditions, drift }) => listedFindings(conditions, drift));
  const ran = <T>(value: (run: RunRecord) => T) => each(({ result: { run } }) => value(run));
  const proofs = recordings.flatMap(({ claim: { tenantId }, result: { provedAt } }) =>
    Object.entries(provedAt).map(([id, at]) => ({ tenantId, id, at })),
  );
  const { rows } = await client.query<{ id: string }>({
    ...statement,
    values: [
      each(({ claim }) => claim.tenantId),
      each(({ claim }) => claim.token),
      each(({ claim }) => claim.owner),
      found(({ observedGeneration }) => observedGeneration),
      found(({ conditions }) => ready(conditions)),
      ...FINDINGS.map((column) => news((findings) => toJson(findings[column]))),
      found(({ observedAt }) => observedAt),
      ran(({ id }) => id),
      ran(({ trigger }) => keepable(trigger)),
      ran(({ startedAt }) => startedAt),
      ran(({ finishedAt }) => finishedAt),
      ran(({ outcome }) => outcome),
      ran(({ reads }) => reads),
      ran(({ writes }) => writes),
      ran(({ summary }) => keepable(summary)),
      ran(({ actions }) => toJson(actions)),
      each(({ result }) => result.next.failures),
      each(({ result }) => result.next.inMs),
      proofs.map(({ tenantId }) => tenantId),
      proofs.map(({ id }) => id),
      proofs.map(({ at }) => at),
      TRIGGER_CHANNEL,
      listed.map((one) => one && arrayLiteral(one.marks)),
      listed.map((one) => one && arrayLiteral(one.drift)),
      each(({ known }) => known),
      each(({ known, result }) => (known === null ? toJson(result.calls) : null)),
      found((status) => toJson(seenOf(status).partsAt)),
    ],
  });
  return new Set(rows.map(({ id }) => id));
}

/** The tenant's row, locked until the transaction ends; null where the claim is no longer this one. */
async function lockClaimed(tx: Executor, claim: Claim) {
  const [row] = await tx
    .select({
      deleting: tenants.deleting,
      generation: tenants.generation,
      decisions: tenants.decisions,
      held: NO_WRITE,
      /** Left of a takeover. */
      heldMs: sql<number>`coalesce(greatest(0, ceil(extract(epoch from ${tenants.takeoverUntil} - now()) * 1000)), 0)::float8`,
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
