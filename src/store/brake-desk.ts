import { eq, sql } from 'drizzle-orm';
import type { Caller } from '../domain/access.ts';
import { allInWords, inWords } from '../domain/brake.ts';
import type { BrakeView, BrakeRelease, Released } from '../reconciler/ports.ts';
import { addAudit } from './audit.ts';
import { alone, brakeReleases, brakes, IS_ON } from './brakes.ts';
import { HOLDING } from './brake-sql.ts';
import { iso } from './columns.ts';
import type { Executor } from './database.ts';
import { addEvents } from './events.ts';
import { lockTenants } from './tenants.ts';
import { triggerTenants } from './trigger.ts';

/** What people see of the brake, and its release (design.md §7). */

/** Brakes, those that are on first, then newest first. */
export async function listBrakes(tx: Executor, limit: number): Promise<BrakeView[]> {
  const { rows } = await tx.execute<BrakeRow>(sql`
    select brakes.id, brakes.signatures, set_at, counted, fleet, released_at, released_by, reason, without_canary,
           ended_at, held.tenants as held, canaries.all as canaries
      from brakes,
      lateral (
        select coalesce(json_agg(id order by id collate "C"), '[]') as tenants from (
          select distinct tenant_id as id from sightings
           where ${IS_ON} and signature = any(brakes.signatures) and gone_at is null
             and not exists (
               select from brake_releases as r where r.brake_id = brakes.id and r.tenant_id = sightings.tenant_id)
        ) as those) as held,
      lateral (
        select coalesce(json_agg(c order by c.at), '[]') as all from (
          select r.tenant_id as tenant, r.at, r.by, r.reason,
                 not exists (
                   select from sightings as s
                    where s.tenant_id = r.tenant_id and s.signature = any(brakes.signatures) and s.gone_at is null
                 ) as conforms,
                 (select json_build_object('id', runs.id, 'outcome', outcome, 'summary', summary, 'actions', actions)
                    from runs
                   where runs.tenant_id = r.tenant_id and started_at >= r.at and tenants.handled_seq >= r.trigger
                   order by runs.id limit 1) as run
            from brake_releases as r join tenants on tenants.id = r.tenant_id
           where r.brake_id = brakes.id) as c) as canaries
     order by (${IS_ON}) desc, set_at desc, brakes.id
     limit ${limit}`);
  return rows.map(toView);
}

interface BrakeRow extends Record<string, unknown> {
  id: string;
  signatures: string[];
  set_at: string;
  counted: number;
  fleet: number;
  released_at: string | null;
  released_by: string | null;
  reason: string | null;
  without_canary: boolean;
  ended_at: string | null;
  held: string[];
  canaries: BrakeView['canaries'];
}

const time = (at: string): string => iso(new Date(at));

const toView = (row: BrakeRow): BrakeView => ({
  id: row.id,
  state: row.released_at !== null ? 'released' : row.ended_at !== null ? 'ended' : 'on',
  signatures: row.signatures,
  what: row.signatures.map(inWords),
  setAt: time(row.set_at),
  counted: row.counted,
  fleet: row.fleet,
  held: row.held,
  canaries: row.canaries.map((canary) => ({ ...canary, at: time(canary.at) })),
  released:
    row.released_at === null
      ? null
      : {
          at: time(row.released_at),
          by: row.released_by ?? '',
          reason: row.reason ?? '',
          withoutCanary: row.without_canary,
        },
  endedAt: row.ended_at === null ? null : time(row.ended_at),
});

type Asked = BrakeRelease & {
  /** The brake's. */
  id: string;
  /** Null: all. */
  tenant: string | null;
};

/** Releases one tenant, or all, from a brake, and triggers the runs that show what comes of it. */
export async function releaseBrake(tx: Executor, caller: Caller, asked: Asked): Promise<Released> {
  const { id, tenant, by, reason, withoutCanary } = asked;
  // Tenants are locked before the brake is, as by a run that counts.
  const there = await lockTenants(tx, tenant === null ? await showing(tx, id) : [tenant]);
  await alone(tx);
  const brake = await brakeNow(tx, id);
  if (!brake.ok) return brake;
  const refusal = tenant === null ? await whyNotAll(tx, asked) : await whyNotOne(tx, id, tenant, there);
  if (refusal) return refusal;
  const triggered = await triggerTenants(tx, there, `released from the brake by ${by}`);
  if (tenant === null) await keepForAll(tx, asked);
  else await keepForOne(tx, id, tenant, asked, triggered[0]!.trigger);
  const words =
    tenant === null
      ? `${by} released the brake for all tenants${withoutCanary ? ', without a canary' : ''}`
      : `${by} released this tenant first from the fleet’s brake`;
  await addEvents(tx, tenant, [
    {
      type: 'BrakeReleased',
      message: `${words}: ${reason} (${allInWords(brake.signatures)})`,
      data: { brake: id, tenant, by, reason, withoutCanary },
    },
  ]);
  await addAudit(tx, caller, {
    action: 'brake.release',
    tenantId: tenant,
    subject: id,
    reason,
    before: { signatures: brake.signatures },
    after: { by, withoutCanary, tenants: there.length },
  });
  return { ok: true, triggered };
}

/** Tenants that show what a brake says. */
async function showing(tx: Executor, id: string): Promise<string[]> {
  const { rows } = await tx.execute<{ id: string }>(sql`
    select distinct tenant_id as id from sightings
     where gone_at is null and signature in (select unnest(signatures) from brakes where id = ${id})`);
  return rows.map((row) => row.id);
}

type Refusal = Extract<Released, { ok: false }>;

async function whyNotOne(tx: Executor, id: string, tenant: string, there: string[]): Promise<Refusal | null> {
  if (there.length === 0) return { ok: false, because: 'no-tenant' };
  const { rows } = await tx.execute<{ holding: string[] | null }>(
    sql`select (select array_agg(id) ${sql.raw(HOLDING)}) as holding from tenants where id = ${tenant}`,
  );
  return rows[0]?.holding?.includes(id) ? null : { ok: false, because: 'not-held' };
}

/** Somebody must have seen before how one tenant took it, or say that nobody has. */
async function whyNotAll(tx: Executor, { id, withoutCanary }: Asked): Promise<Refusal | null> {
  if (withoutCanary) return null;
  const canaries = await canariesOf(tx, id);
  if (canaries.length === 0) return { ok: false, because: 'no-canary' };
  return canaries.some(({ succeeded }) => succeeded)
    ? null
    : { ok: false, because: 'canary-open', tenants: canaries.map(({ tenant }) => tenant) };
}

const keepForOne = (
  tx: Executor,
  brakeId: string,
  tenantId: string,
  { by, reason }: BrakeRelease,
  trigger: number,
) => tx.insert(brakeReleases).values({ brakeId, tenantId, by, reason, trigger });

const keepForAll = (tx: Executor, { id, by, reason, withoutCanary }: Asked) =>
  tx
    .update(brakes)
    .set({ releasedAt: sql`now()`, releasedBy: by, reason, withoutCanary })
    .where(eq(brakes.id, id));

/** The brake as long as it is on. */
async function brakeNow(tx: Executor, id: string): Promise<{ ok: true; signatures: string[] } | Refusal> {
  const [brake] = await tx.select().from(brakes).where(eq(brakes.id, id));
  if (!brake) return { ok: false, because: 'no-brake' };
  if (brake.releasedAt !== null) return { ok: false, because: 'released' };
  if (brake.endedAt !== null) return { ok: false, because: 'ended' };
  return { ok: true, signatures: brake.signatures };
}

/** Tenants that were released first, and whether a run of theirs went well since. */
async function canariesOf(tx: Executor, id: string): Promise<{ tenant: string; succeeded: boolean }[]> {
  const { rows } = await tx.execute<{ tenant: string; succeeded: boolean }>(sql`
    select r.tenant_id as tenant,
           tenants.handled_seq >= r.trigger and exists (
             select from runs
              where runs.tenant_id = r.tenant_id and started_at >= r.at and outcome = 'succeeded') as succeeded
      from brake_releases as r join tenants on tenants.id = r.tenant_id
     where r.brake_id = ${id}
     order by r.at`);
  return rows;
}
