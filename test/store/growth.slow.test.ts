import { Cron } from 'croner';
import type { Logger } from 'pino';
import pg from 'pg';
import { v7 as uuidV7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { EVERYBODY, TENANT_SORTS } from '../../src/domain/tenant-filter.ts';
import { startCalendar } from '../../src/reconciler/calendar.ts';
import { EVERY_EVENT } from '../../src/reconciler/event-log.ts';
import type { Housekeeping } from '../../src/reconciler/ports.ts';
import { seedMany } from '../../src/simulator/index.ts';
import { createStore, type Store } from '../../src/store/index.ts';
import {
  database as ownDatabase,
  expectNothingLeft,
  folder,
  simulator,
  startService,
  tenantOf,
  until,
} from '../e2e/harness.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';
import { resultOf, runOf } from './fixtures.ts';
import { fleet, seedFleet } from './fleet.ts';

/**
 * What a month leaves behind: the statements that the store sends then, whether retention keeps up, and what a fleet
 * writes of which nothing changes.
 */

expectNothingLeft();

/** The promised fleet has 28,800,000 runs in its month; here are as many as two cores generate in about a minute. */
const TENANTS = 2_000;
const RUNS_A_DAY = 60;
/** One of so many runs tells something; one of so many saw something new. */
const RUNS_OF_EVENT = 10;
const RUNS_OF_FINDING = 30;
const AUDITED = 200_000;
const INTENTS = 60_000;
const CLOSED = 20_000;
const LIVE = 100;
const ROTATIONS = 10_000;

const PROMISED = { tenants: 10_000, runsADay: 96 };

const DAY = 86_400_000;
const RETENTION_MS = defaultRetention();
/** One day more than is kept. */
const DAYS = RETENTION_MS / DAY + 1;
const RUNS = TENANTS * RUNS_A_DAY * DAYS;

function defaultRetention(): number {
  const read = readConfig({}, () => '');
  if (!read.ok) throw new Error('the defaults are no configuration');
  return read.config.retentionMs;
}

interface Round {
  expression: string;
  run: () => Promise<void>;
}
const scheduled = vi.hoisted(() => new Map<string, Round>());
vi.mock('node-cron', () => ({
  schedule: (expression: string, run: () => Promise<void>, { name }: { name: string }) => {
    scheduled.set(name, { expression, run });
    return { destroy: async () => undefined };
  },
}));

/** The calendar's own retention, when it comes, and what it complained about. */
function retention(housekeeping: Pick<Housekeeping, 'prune'>): Round & { complaints: unknown[] } {
  const complaints: unknown[] = [];
  const log = { info: () => undefined, warn: (...told: unknown[]) => complaints.push(told) };
  startCalendar(
    { housekeeping: housekeeping as Housekeeping, log: log as unknown as Logger },
    { retentionMs: RETENTION_MS, keepDeadMs: RETENTION_MS },
  );
  const round = scheduled.get('retention');
  if (!round) throw new Error('the calendar has no retention');
  return { ...round, complaints };
}

/** Rows that the calendar asks of one statement. */
const BATCH = await batchOfCalendar();

async function batchOfCalendar(): Promise<number> {
  const asked: number[] = [];
  await retention({
    async prune(_, batch) {
      asked.push(batch);
      return 0;
    },
  }).run();
  const [batch] = asked;
  if (batch === undefined) throw new Error('the calendar deleted nothing');
  return batch;
}

/** A node of a plan, as far as it is looked at. */
interface Node {
  'Node Type': string;
  'Parent Relationship'?: string;
  'Relation Name'?: string;
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  'Rows Removed by Index Recheck'?: number;
  Plans?: Node[];
}
interface Plan {
  'Query Text': string;
  Plan: Node;
}

let database: TestDatabase;
/** Of one connection, which tells the plan of each statement that it ran. */
let store: Store;
let plans: Plan[] = [];

const EXPLAINED = [
  'jit=off',
  'session_preload_libraries=auto_explain',
  'auto_explain.log_min_duration=0',
  'auto_explain.log_analyze=on',
  'auto_explain.log_timing=off',
  'auto_explain.log_format=json',
  'client_min_messages=log',
].map((setting) => `-c ${setting}`);

beforeAll(async () => {
  database = await createTestDatabase();
  await generate(database.url);
  store = createStore({ connectionString: database.url, max: 1, options: EXPLAINED.join(' ') });
  store.pool.on('connect', (client) => {
    client.on('notice', ({ message = '' }) => {
      if (message.startsWith('duration:'))
        plans.push(JSON.parse(message.slice(message.indexOf('{'))) as Plan);
    });
  });
}, 400_000);
afterAll(async () => {
  await store?.close();
  await database?.drop();
});

/** Ids that sort by time, as the product's do. */
const UUID_V7 = `
  (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0')
   || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15))::uuid::text`;
/** When run \`n\` was, and of whom: one tenant after the other, over all of the days. */
const HISTORY = `
  select n, 'tenant-' || lpad((n % ${TENANTS})::text, 5, '0') as tenant, n / ${TENANTS} + n % ${TENANTS} as turn,
         now() - (1 - n::float8 / ${RUNS}) * interval '${DAYS} days' as at
    from generate_series(0, ${RUNS - 1}) as n`;

async function generate(url: string): Promise<void> {
  // Rows are of tenants that are there: to ask for each would take longer than to write it.
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    options: '-c jit=off -c session_replication_role=replica',
  });
  await seedFleet(pool, fleet(TENANTS));
  await pool.query(`
    update tenants set next_run_at = now() - right(id, 3)::int * interval '1 second' where id < 'tenant-00200'`);
  const half = Math.floor(RUNS / 2);
  const runs = (where: string) => `
    insert into runs (id, tenant_id, trigger, started_at, finished_at, outcome, reads, writes, summary, actions)
    select ${UUID_V7}, tenant, 'schedule', at - interval '1 second', at, 'succeeded', 9, 0,
           'Everything is as it should be.', '[]'
      from (${HISTORY} where ${where}) as run`;
  await Promise.all([pool.query(runs(`n < ${half}`)), pool.query(runs(`n >= ${half}`))]);
  await pool.query(`
    insert into run_findings (tenant_id, run_id, conditions, drift, calls)
    select tenant, ${UUID_V7}, jsonb_build_array(jsonb_build_object('type', 'RoleReady', 'message', repeat('seen ', 60))),
           '[]', '{"GET system/members": 2}'
      from (${HISTORY}) as run where turn % ${RUNS_OF_FINDING} = 0`);
  await pool.query(`
    insert into events (tenant_id, at, type, message, data, position)
    select tenant, at, (array['ConditionChanged', 'DriftFound', 'Repaired', 'HandoffOpened', 'HandoffClosed'])[1 + n % 5],
           'Something happened, and this sentence says what it was.', '{"of": "a run"}', row_number() over (order by n)
      from (${HISTORY}) as run where turn % ${RUNS_OF_EVENT} = 0`);
  await pool.query('update event_log set placed = (select max(position) from events)');
  await pool.query(`
    insert into audit (at, actor, role, action, tenant_id, reason)
    select now() - (1 - n::float8 / ${AUDITED}) * interval '3 years', 'token-' || n % 500, 'operator',
           case when n % 400 = 0 then 'tenant.pause' else 'tenant.reconcile' end,
           'tenant-' || lpad((n % ${TENANTS})::text, 5, '0'), 'as was asked for'
      from generate_series(1, ${AUDITED}) as n`);
  await pool.query(`
    insert into intents (id, tenant_id, key, action, outcome, opened_at, settled_at)
    select 'intent-' || n, 'tenant-' || lpad((n % ${TENANTS})::text, 5, '0'), 'role', 'create-role', 'applied', at, at
      from (select n, now() - (1 - n::float8 / ${INTENTS}) * interval '${DAYS} days' as at
              from generate_series(1, ${INTENTS}) as n) as intent`);
  await pool.query(`
    insert into handoffs (id, tenant_id, kind, subject, state, content, opened_at, deadline, closed_at)
    select 'handoff-' || n, 'tenant-' || lpad((n % ${TENANTS})::text, 5, '0'), 'delete-key', 'key-' || n,
           case when n <= ${LIVE} then 'open' else 'closed' end, '{"title": "Delete it", "steps": []}',
           now() - n * interval '1 hour', now() - n * interval '1 hour' + interval '7 days',
           case when n > ${LIVE} then now() - n * interval '1 hour' end
      from generate_series(1, ${LIVE + CLOSED}) as n`);
  await pool.query(`
    insert into rotations (id, tenant_id, phase, cause, record, requested_at, admitted_at, ended_at)
    select 'rotation-' || n, 'tenant-' || lpad((n % ${TENANTS})::text, 5, '0'), 'Completed', 'age', '{}', at, at, at
      from (select n, now() - n * interval '1 hour' as at from generate_series(1, ${ROTATIONS}) as n) as rotation`);
  await pool.query('vacuum analyze');
  await pool.end();
}

/** Tables that are as long as the time that they are kept, and those of a wide row a tenant. */
const GROWING = ['runs', 'events', 'audit', 'run_findings', 'intents', 'handoffs', 'rotations'];
const WIDE = ['tenants', 'statuses'];

interface Asked {
  ask: () => Promise<unknown>;
  /** Among the tables that it must have read; none of them: it proves nothing. */
  of: string[];
  /** Rows that each step may read and sort: those of a page, or of a batch. */
  rows: number;
  /** It is about every tenant: those may all be read. */
  everyTenant?: true;
  /** What it writes is taken back. */
  writes?: boolean;
}

const LIMIT = 50;
const PAGE = { before: null, limit: LIMIT };
const SOMEBODY = 'tenant-00042';
const firstPage = { sort: 'id', after: null, limit: LIMIT, filter: EVERYBODY } as const;
const auditOf = (change: Partial<Parameters<Store['desk']['auditLog']>[0]>) =>
  store.desk.auditLog({ ...PAGE, tenant: null, actor: null, action: null, since: null, ...change });

async function oneTurn(): Promise<void> {
  const [taken] = await store.claims.take('owner', 32, 30_000);
  if (!taken) throw new Error('nobody was due');
  const { claim } = taken;
  if (!(await store.reconciles.snapshot(claim.tenantId))) throw new Error('there was no tenant');
  const record = async () => {
    if (!(await store.reconciles.record(claim, resultOf()))) throw new Error('nothing was recorded');
  };
  await record();
  // Once more, as what the process knows.
  await store.pool.query(`update tenants set claim_owner = 'owner' where id = $1`, [claim.tenantId]);
  await record();
}

/** Half of all that was told. */
async function middle() {
  const head = await store.eventLog.head();
  return { head, place: Math.floor(head.placed / 2) };
}

const ASKED: Record<string, Asked> = {
  'taking what is due, a snapshot and a record': {
    ask: oneTurn,
    of: ['tenants', 'statuses', 'intents', 'handoffs', 'rotations'],
    rows: LIMIT,
    writes: true,
  },
  'the next time that something is due': { ask: () => store.claims.nextDueInMs(), of: ['tenants'], rows: 1 },
  'the status of a tenant': {
    ask: () => store.desk.tenant(SOMEBODY),
    of: ['tenants', 'statuses', 'runs', 'handoffs', 'rotations'],
    rows: LIMIT,
  },
  'a page of the runs of a tenant': {
    ask: () => store.desk.runs(SOMEBODY, PAGE),
    of: ['runs'],
    rows: LIMIT + 1,
  },
  'a run long ago, and what it saw': {
    ask: async () => {
      const { items } = await store.desk.runs(SOMEBODY, { before: null, limit: 500 });
      const run = await store.desk.run(SOMEBODY, items.at(-1)!.id);
      if (!run?.saw) throw new Error('it saw nothing');
    },
    of: ['runs', 'run_findings'],
    rows: 501,
  },
  'a page of the events of a tenant': {
    ask: () => store.desk.events(SOMEBODY, PAGE),
    of: ['events'],
    rows: LIMIT + 1,
  },
  'the events of a tenant after a position': {
    ask: async () => {
      const { head, place } = await middle();
      return store.eventLog.after(place, head, { ...EVERY_EVENT, tenant: SOMEBODY }, LIMIT);
    },
    of: ['events'],
    rows: LIMIT,
  },
  'the events of the fleet after a position': {
    ask: async () => {
      const { head, place } = await middle();
      return store.eventLog.after(place, head, EVERY_EVENT, LIMIT);
    },
    of: ['events'],
    rows: LIMIT,
  },
  'a page of the events of the fleet': {
    ask: () => store.eventLog.page(PAGE, EVERY_EVENT),
    of: ['events'],
    rows: LIMIT + 1,
  },
  ...Object.fromEntries(
    TENANT_SORTS.flatMap((sort): [string, Asked][] => [
      [
        `a page of tenants by ${sort}`,
        {
          ask: () => store.desk.page({ ...firstPage, sort }),
          of: ['tenants', 'statuses'],
          // One more tells whether there is another page, and one that nobody else is due at the very same time.
          rows: LIMIT + 2,
        },
      ],
      [
        `a filtered page of tenants by ${sort}`,
        {
          ask: () =>
            store.desk.page({
              ...firstPage,
              sort,
              filter: { ...EVERYBODY, ready: ['False'], labels: [{ key: 'team', value: 'north' }] },
            }),
          of: ['tenants', 'statuses'],
          // So many are meant at most: they are looked up, and their order is made.
          rows: TENANTS / 20,
        },
      ],
    ]),
  ),
  'hand-offs by deadline': {
    ask: () => store.desk.handoffs({ tenant: null, live: true }),
    of: ['handoffs'],
    rows: LIVE,
  },
  'the hand-offs of a tenant': {
    ask: () => store.desk.handoffs({ tenant: SOMEBODY, live: false }),
    of: ['handoffs'],
    rows: LIMIT,
  },
  'a page of the audit': { ask: () => auditOf({}), of: ['audit'], rows: LIMIT + 1 },
  'the audit of a tenant': { ask: () => auditOf({ tenant: SOMEBODY }), of: ['audit'], rows: 2 * LIMIT + 1 },
  'the audit of somebody': { ask: () => auditOf({ actor: 'token-3' }), of: ['audit'], rows: LIMIT + 1 },
  'the audit of an action': {
    ask: () => auditOf({ action: 'tenant.pause' }),
    of: ['audit'],
    rows: LIMIT + 1,
  },
  'the audit of the last hours': {
    ask: () => auditOf({ since: new Date(Date.now() - 4 * 3_600_000).toISOString() }),
    of: ['audit'],
    rows: LIMIT + 1,
  },
  'the census': {
    ask: () => store.housekeeping.census(),
    of: ['handoffs', 'rotations', 'intents'],
    rows: LIVE,
    everyTenant: true,
  },
  'the numbers of the fleet': {
    ask: () => store.desk.fleet([]),
    of: ['handoffs', 'rotations'],
    rows: LIVE,
    everyTenant: true,
  },
  'what retention deletes at once': {
    ask: () => store.housekeeping.prune(RETENTION_MS, BATCH),
    of: ['runs', 'events', 'intents', 'run_findings'],
    rows: BATCH,
    everyTenant: true,
    writes: true,
  },
};

/** What the plans of something have that a longer history would make slower; one line each. */
async function faultsOf({ ask, of, rows, everyTenant, writes }: Asked): Promise<string[]> {
  if (writes) await store.pool.query('begin');
  plans = [];
  try {
    await ask();
    // Within a transaction a plan is told only when the next statement takes its place.
    await store.pool.query('select');
  } finally {
    if (writes) await store.pool.query('rollback');
  }
  const nodes = plans.flatMap(({ Plan: plan }) => allOf(plan));
  const read = new Set(nodes.map(({ 'Relation Name': table }) => table));
  const unread = of.filter((table) => !read.has(table));
  if (unread.length > 0) throw new Error(`it read no ${unread.join(', ')}: nothing is shown`);
  const looked = everyTenant ? GROWING : [...GROWING, ...WIDE];
  const isLooked = ({ 'Relation Name': table }: Node) => table !== undefined && looked.includes(table);
  return nodes.flatMap((node) => {
    const { 'Node Type': type, 'Relation Name': table } = node;
    if (isLooked(node) && type !== 'ModifyTable') {
      if (type === 'Seq Scan') return [`reads all of ${table}`];
      const met = readOf(node);
      return met > rows ? [`reads ${met} rows of ${table} by ${type}`] : [];
    }
    if (type === 'Sort' && allOf(node).some(isLooked)) {
      const sorted = (node.Plans ?? [])
        .filter((plan) => plan['Parent Relationship'] === 'Outer')
        .reduce((sum, plan) => sum + rowsOf(plan), 0);
      return sorted > rows ? [`sorts ${sorted} rows`] : [];
    }
    return [];
  });
}

const allOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(allOf)];
const rowsOf = (node: Node): number => node['Actual Rows'] * node['Actual Loops'];
/** Also those that were read for nothing. */
const readOf = (node: Node): number =>
  rowsOf(node) +
  ((node['Rows Removed by Filter'] ?? 0) + (node['Rows Removed by Index Recheck'] ?? 0)) *
    node['Actual Loops'];

describe(`with ${RUNS} runs of ${TENANTS} tenants`, () => {
  it.each(Object.keys(ASKED))('%s costs no more than a page of it', async (name) => {
    expect(await faultsOf(ASKED[name]!)).toEqual([]);
  });

  it.each([
    ['tenants_due', 'the next time that something is due'],
    ['runs_of_tenant', 'a page of the runs of a tenant'],
    ['runs_of_tenant', 'the status of a tenant'],
    ['events_of_tenant', 'a page of the events of a tenant'],
    ['events_position', 'the events of the fleet after a position'],
    ['audit_of_actor', 'the audit of somebody'],
    ['audit_of_tenant', 'the audit of a tenant'],
    ['audit_by_time', 'the audit of the last hours'],
    ['intents_one_open', 'the census'],
    ['intents_opened', 'what retention deletes at once'],
  ])('without %s it would be seen of %s', async (index, name) => {
    const asked = ASKED[name]!;
    await store.pool.query('begin');
    try {
      await store.pool.query(`drop index ${index}`);
      expect(await faultsOf({ ...asked, writes: false })).not.toEqual([]);
    } finally {
      await store.pool.query('rollback');
    }
    expect(await faultsOf(asked)).toEqual([]);
  });
});

describe('retention', () => {
  it('takes more in a day than the promised fleet writes, and nothing that is kept', async () => {
    const own = createStore(database.url);
    const writer = createStore(database.url);
    try {
      const { rows: begun } = await own.pool.query<{ at: Date }>(
        `select now() - $1 * interval '1 millisecond' as at`,
        [RETENTION_MS],
      );
      const cutoff = begun[0]!.at;
      // What passes its retention meanwhile may go too.
      const kept = new Date(cutoff.getTime() + 3_600_000);
      const before = await agesOf(own, cutoff, kept);
      const { run, expression, complaints } = retention(own.housekeeping);
      const over = new AbortController();
      let written = 0;
      const writing = (async () => {
        while (!over.signal.aborted) written += await runSome(writer);
      })();
      await run().finally(() => over.abort());
      await writing;
      expect(complaints).toEqual([]);
      expect(written).toBeGreaterThan(0);
      const after = await agesOf(own, cutoff, kept);
      for (const table of ['runs', 'events', 'intents'] as const) {
        expect([table, after[table].old]).toEqual([table, 0]);
        const news = table === 'runs' ? written : 0;
        expect([table, after[table].young]).toEqual([table, before[table].young + news]);
      }
      expect(await restedOn(own)).toEqual({ first: true, others: 0 });

      const aDay = PROMISED.tenants * PROMISED.runsADay;
      const rounds = roundsOfDay(expression);
      expect(before.runs.old * rounds).toBeGreaterThan(aDay);
      expect(before.events.old * rounds).toBeGreaterThan(aDay / RUNS_OF_EVENT);
    } finally {
      await writer.close();
      await own.close();
    }
  });
});

type Ages = Record<'runs' | 'events' | 'intents', { old: number; young: number }>;

async function agesOf({ pool }: Store, cutoff: Date, kept: Date): Promise<Ages> {
  const times = { runs: 'finished_at', events: 'at', intents: 'opened_at' };
  const counted: [string, { old: number; young: number }][] = [];
  for (const [table, at] of Object.entries(times)) {
    const { rows } = await pool.query<{ old: number; young: number }>(
      `select count(*) filter (where ${at} < $1)::int as old, count(*) filter (where ${at} >= $2)::int as young
         from ${table}`,
      [cutoff, kept],
    );
    counted.push([table, rows[0]!]);
  }
  return Object.fromEntries(counted) as Ages;
}

/** Whether each tenant still has what its first run that is kept rests on, and how many rows are older than that. */
async function restedOn({ pool }: Store): Promise<{ first: boolean; others: number }> {
  const { rows } = await pool.query<{ first: boolean; others: number }>(`
    select bool_and(based > 0) as first, sum(based - 1)::int as others
      from (select tenant_id, min(id) as first from runs group by tenant_id) as kept
      cross join lateral (
        select count(*) as based from run_findings
         where run_findings.tenant_id = kept.tenant_id and run_id <= kept.first) as findings`);
  return rows[0]!;
}

function roundsOfDay(expression: string): number {
  const begin = new Date('2026-01-01T00:00:00.000Z');
  return new Cron(expression, { timezone: 'UTC' })
    .nextRuns(2_000, begin)
    .filter((at) => at.getTime() <= begin.getTime() + DAY).length;
}

/** Some tenants have a run of which nothing is new; how many. */
async function runSome({ claims, reconciles, pool }: Store): Promise<number> {
  await pool.query(
    `update tenants set next_run_at = now() where id < 'tenant-00032' and claim_owner is null`,
  );
  const taken = await claims.take('writer', 32, 30_000);
  const at = new Date().toISOString();
  const run = () => runOf({ id: uuidV7(), startedAt: at, finishedAt: at });
  const recorded = await Promise.all(
    taken.map(({ claim }) => reconciles.record(claim, resultOf({ run: run(), status: null }))),
  );
  return recorded.filter(Boolean).length;
}

describe('a fleet of which nothing changes', () => {
  const COUNT = 150;
  const SWEEPS = 4;

  it('writes its runs, and the time of the look in place', async () => {
    await using db = await ownDatabase();
    await using vendors = await simulator();
    await using data = await folder();
    const ids = seedMany(vendors.world, COUNT, { lean: true });
    const options = { databaseUrl: db.url, data: data.path };
    const runs = async () => (await db.query<{ count: number }>('select count(*)::int from runs'))[0]!.count;
    /** Each of them once, as the calendar would have it. */
    const sweep = async () => {
      const before = await runs();
      await db.query('update tenants set next_run_at = now()');
      await db.query(`select pg_notify('parasol_trigger', '')`);
      await until('each has run', async () => (await runs()) === before + COUNT, 120_000);
    };
    /** What PostgreSQL counted: connections tell it at the latest when they end. */
    const counted = async () => {
      await until('the service has let go', async () => {
        const others = await db.query(
          `select from pg_stat_activity
            where datname = current_database() and backend_type = 'client backend' and application_name <> 'test'`,
        );
        return others.length === 0;
      });
      return new Map(
        (await db.query<Counted & { name: string }>(WRITES)).map(({ name, ...counts }) => [name, counts]),
      );
    };

    const first = await startService(options);
    await first.client.apply(
      ids.map((id) => tenantOf(vendors, id, { every: '1d' })),
      false,
    );
    const busy = 'select from tenants where handled_seq < trigger_seq or claim_owner is not null';
    const settled = () => until('each is recorded', async () => (await db.query(busy)).length === 0, 120_000);
    await settled();
    const unknownKeys = `
      select from credentials
       where purpose = 'umbrella-api' and state = 'active'
         and not exists (select from umbrella_keys where identity = key_identity and next_run_at > now())`;
    await until('each key is known', async () => (await db.query(unknownKeys)).length === 0, 120_000);
    await sweep();
    await settled();
    expect(await db.query('select ready, count(*)::int from statuses group by 1')).toEqual([
      { ready: 'True', count: COUNT },
    ]);
    await first.stop();

    const before = await counted();
    const second = await startService(options);
    for (let at = 0; at < SWEEPS; at += 1) await sweep();
    await settled();
    await second.stop();
    const after = await counted();

    const written = Object.fromEntries(
      [...after].map(([name, counts]) => [name, minus(counts, before.get(name) ?? NOTHING)]),
    );
    const all = COUNT * SWEEPS;
    expect(written['runs']).toEqual({ ...NOTHING, inserted: all });
    expect(written['statuses']).toEqual({ ...NOTHING, updated: all, inPlace: all });
    for (const table of [
      'run_findings',
      'listings',
      'events',
      'credentials',
      'intents',
      'handoffs',
      'audit',
    ]) {
      expect([table, written[table]]).toEqual([table, NOTHING]);
    }
    // A claim and its end move the time at which the tenant is due, which is indexed. Triggers of this test are not
    // counted: its own connections tell what they did when they like.
    const { updated = 0, inPlace = 0, ...others } = written['tenants'] ?? {};
    expect(others).toEqual({ inserted: 0, deleted: 0 });
    expect(updated - inPlace).toBeGreaterThanOrEqual(2 * all);
  });
});

interface Counted {
  inserted: number;
  updated: number;
  /** HOT: no index was written. */
  inPlace: number;
  deleted: number;
}
const NOTHING: Counted = { inserted: 0, updated: 0, inPlace: 0, deleted: 0 };
const WRITES = `
  select relname as name, n_tup_ins::int as inserted, n_tup_upd::int as updated, n_tup_hot_upd::int as "inPlace",
         n_tup_del::int as deleted
    from pg_stat_user_tables where schemaname = 'public'`;

const minus = (one: Counted, other: Counted): Counted => ({
  inserted: one.inserted - other.inserted,
  updated: one.updated - other.updated,
  inPlace: one.inPlace - other.inPlace,
  deleted: one.deleted - other.deleted,
});
