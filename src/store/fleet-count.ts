import { sql, type SQL } from 'drizzle-orm';
import type { Scope } from '../domain/access.ts';
import { CONDITION_TYPES, type ConditionType, type Truth } from '../domain/condition.ts';
import { DRIFT_PATHS, KEY_AGES, type FleetCount } from '../domain/fleet.ts';
import type { LabelSelector } from '../domain/labels.ts';
import { EVERYBODY } from '../domain/tenant-filter.ts';
import type { Executor } from './database.ts';
import { demandsOf } from './tenant-pages.ts';

type Counted = Omit<FleetCount, 'conditions' | 'braked' | 'tenants' | 'modes'> & {
  ready: Partial<Record<Truth, number>>;
  modes: Partial<FleetCount['modes']>;
  unseen: number;
  marks: { mark: string; count: number }[];
};

/** Rows of a query as one JSON array. */
const list = (rows: SQL) => sql`(select coalesce(jsonb_agg(r), '[]') from (${rows}) as r)`;
const counts = (key: string, rows: SQL) =>
  sql`(select coalesce(jsonb_object_agg(r.${sql.raw(key)}, r.count), '{}') from (${rows}) as r)`;

/**
 * All the numbers of one moment, in one statement. What many tenants have alike (all their marks, all their drift) is
 * counted before it is taken apart.
 */
export async function countFleet(
  db: Executor,
  labels: readonly LabelSelector[],
  scope: Scope | null,
): Promise<FleetCount> {
  const meant = demandsOf({ ...EVERYBODY, labels }, scope);
  const everybody = labels.length === 0 && scope === null;
  // A query of its own is answered once; as an expression it is reckoned for each row.
  const before = (days: number) => sql`(select now() - ${days} * interval '1 day')`;
  const within = (days: number) => sql`now() + ${days} * interval '1 day'`;
  const ages = sql.join(
    KEY_AGES.map((days) => sql`when created_at > ${before(days)} then ${days}::integer`),
    sql` `,
  );
  const { rows } = await db.execute<Counted & Record<string, unknown>>(sql`
    select
      to_char(now() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') as at,
      ${counts('ready', sql`select ready, count(*)::int as count from listings where ${meant} group by ready`)} as ready,
      ${counts('mode', sql`select mode, count(*)::int as count from listings where ${meant} group by mode`)} as modes,
      (select count(*)::int from listings where marks = '{}' and ${meant}) as unseen,
      ${list(sql`
        select mark, sum(count)::int as count
          from (select any_value(marks) as marks, count(*) as count from listings where ${meant} group by alike) as same,
               unnest(marks) as mark
         where mark like '%/%' group by mark order by count desc, mark`)} as marks,
      (select jsonb_build_object('tenant', id, 'at', to_char(observed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
         from (select statuses.tenant_id as id, observed_at from statuses
                ${everybody ? sql`` : sql`join listings on listings.tenant_id = statuses.tenant_id where ${meant}`}
                order by observed_at, statuses.tenant_id limit 1) as oldest) as "oldestEvidence",
      ${list(sql`
        select purpose, case ${ages} end as "youngerThanDays", count(*)::int as count,
               (count(*) filter (where purpose = 'integration'
                 and created_at < now() - key_max_age_ms * interval '1 millisecond'))::int as "pastMaxAge"
          from credentials join listings on listings.tenant_id = credentials.tenant_id
         where state = 'active' and ${meant} group by 1, 2 order by 1, 2`)} as keys,
      ${list(sql`
        select kind, (count(*) filter (where deadline < now()))::int as overdue,
               (count(*) filter (where deadline >= now() and deadline < ${within(1)}))::int as today,
               (count(*) filter (where deadline >= ${within(1)} and deadline < ${within(7)}))::int as week,
               (count(*) filter (where deadline >= ${within(7)}))::int as later
          from handoffs join listings on listings.tenant_id = handoffs.tenant_id
         where state in ('open', 'claimed', 'submitted') and ${meant} group by kind order by kind`)} as handoffs,
      jsonb_build_object(
        'integration', ${list(sql`
          select phase, count(*)::int as count
            from rotations join listings on listings.tenant_id = rotations.tenant_id
           where ended_at is null and ${meant} group by phase order by phase`)},
        'umbrella', ${list(sql`
          select rotation ->> 'phase' as phase, count(*)::int as count
            from umbrella_keys
           where rotation ->> 'phase' not in ('Completed', 'Failed', 'Cancelled')
             and exists (
               select from credentials join listings on listings.tenant_id = credentials.tenant_id
                where key_identity = identity and purpose = 'umbrella-api' and state = 'active' and ${meant})
           group by 1 order by 1`)}) as rotations,
      (select count(*)::int from listings
        where (paused or tenant_id in (
                select id from tenants
                 where pause is not null and coalesce((pause ->> 'until')::timestamptz > now(), true)))
          and ${meant}) as paused,
      (select count(*)::int from tenants join listings on tenant_id = id
        where next_run_at < now() - interval '1 minute' and ${meant}) as overdue,
      (select count(*)::int from tenants join listings on tenant_id = id where failures > 0 and ${meant}) as failing,
      jsonb_build_object(
        'tenants', (select count(*)::int from listings where drift <> '{}' and ${meant}),
        'paths', ${list(sql`
          select path, sum(count)::int as count
            from (select drift, count(*) as count from listings where drift <> '{}' and ${meant} group by drift) as alike,
                 unnest(drift) as path
           group by path order by count desc, path limit ${DRIFT_PATHS}`)}) as drift`);
  const [counted] = rows;
  if (!counted) throw new Error('a count of the fleet has one row');
  return shaped(counted);
}

function shaped({ ready, modes, unseen, marks, ...others }: Counted): FleetCount {
  const truths = { True: 0, False: 0, Unknown: 0, ...ready };
  const conditions = marks
    .map(({ mark, count }) => ({ ...partsOf(mark), count }))
    .toSorted((a, b) => CONDITION_TYPES.indexOf(a.type) - CONDITION_TYPES.indexOf(b.type));
  return {
    ...others,
    tenants: { total: truths.True + truths.False + truths.Unknown, ready: truths, unseen },
    modes: { observe: 0, alert: 0, repair: 0, ...modes },
    conditions,
    braked: conditions
      .filter(({ type, status }) => type === 'Braked' && status === 'True')
      .reduce((sum, { count }) => sum + count, 0),
  };
}

/** `RoleReady=False/LevelsMissing`, taken apart. */
function partsOf(mark: string): { type: ConditionType; status: Truth; reason: string } {
  const [type = '', status = '', reason = ''] = mark.split(/[=/]/);
  return { type: type as ConditionType, status: status as Truth, reason };
}
