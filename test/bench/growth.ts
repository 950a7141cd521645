import type pg from 'pg';
import { readConfig } from '../../src/config.ts';
import { summarise, type Finding } from './measure.ts';
import type { Stage } from './stage.ts';

/** Enough runs that the pages of their indexes are as full as they will be. */
const SWEEPS = 10;
const FLEETS = [10_000, 100_000];
const RUNS_A_DAY = 96;
/** Assumed, since a healthy fleet has none: so often a day a tenant looks other than before, with so many events. */
const CHANGES_A_DAY = 1;
const EVENTS_OF_CHANGE = 2;
const DAY = 86_400_000;

/** What is a tenant's own, and grows with no time. */
const OF_TENANT = ['tenants', 'statuses', 'credentials', 'listings', 'umbrella_keys', 'owned_objects'];

interface Bytes {
  heap: number;
  indexes: number;
}

/** What a row of each thing that grows takes on disk, and how large a fleet's database is by that. */
export async function growthBench(stage: Stage): Promise<Finding[]> {
  const { pool, tenants } = stage;
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) await stage.sweep();
  await pool.query('vacuum analyze');
  const run = await bytesOf(pool, ['runs'], await rowsOf(pool, 'runs'));
  const event = await bytesOf(pool, ['events'], await rowsOf(pool, 'events'));
  const finding = await bytesOf(pool, ['run_findings'], await rowsOf(pool, 'run_findings'));
  const tenant = await bytesOf(pool, OF_TENANT, tenants.length);

  const days = keptMs() / DAY;
  const changes = CHANGES_A_DAY * days;
  const month = {
    runs: RUNS_A_DAY * days * sum(run),
    changes: changes * (sum(finding) + EVENTS_OF_CHANGE * sum(event)),
    tenant: sum(tenant),
  };
  const each = month.runs + month.changes + month.tenant;
  return [
    rowFinding('a run', run, `${tenants.length} tenants, ${SWEEPS} sweeps and what came before`),
    rowFinding('an event', event, ''),
    rowFinding('what a run saw anew', finding, 'a run that saw what the last one saw has none'),
    rowFinding(
      'a tenant with its status',
      tenant,
      `${OF_TENANT.join(', ')}; with the room for updates in place`,
    ),
    ...FLEETS.map((count): Finding => {
      const gb = (bytes: number) => summarise([(count * bytes) / 1e9]);
      return {
        measure: `database of ${count} tenants × ${RUNS_A_DAY} runs a day, kept for ${days} days`,
        unit: 'GB',
        value: gb(each),
        baseline: {
          name: `its runs alone, ${Math.round(sum(run))} bytes each as measured`,
          value: gb(month.runs),
        },
        ratio: summarise([each / month.runs]),
        goal: null,
        note:
          `reckoned, not generated: ${count * RUNS_A_DAY * days} runs; ${text(gb(month.changes).median)} GB of events and ` +
          `findings, where each tenant changes ${CHANGES_A_DAY} × a day with ${EVENTS_OF_CHANGE} events; ` +
          `${text(gb(month.tenant).median)} GB of tenants; ${Math.round((count * RUNS_A_DAY) / 86_400)} runs a second`,
      };
    }),
  ];
}

const sum = ({ heap, indexes }: Bytes): number => heap + indexes;
const text = (value: number): string => String(Number(value.toPrecision(3)));

const rowFinding = (what: string, bytes: Bytes, note: string): Finding => ({
  measure: `bytes on disk of ${what}`,
  unit: 'bytes',
  value: summarise([Math.round(sum(bytes))]),
  baseline: { name: 'without its indexes', value: summarise([Math.round(bytes.heap)]) },
  ratio: summarise([sum(bytes) / bytes.heap]),
  goal: null,
  note,
});

function keptMs(): number {
  const read = readConfig({}, () => '');
  if (!read.ok) throw new Error('the defaults are no configuration');
  return read.config.retentionMs;
}

async function rowsOf(pool: pg.Pool, table: string): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(`select count(*)::int from ${table}`);
  const count = rows[0]?.count ?? 0;
  if (count === 0) throw new Error(`there is no row of ${table} to measure`);
  return count;
}

/** Of the tables together, for each of so many; what lies outside of a row belongs to it. */
async function bytesOf(pool: pg.Pool, tables: readonly string[], count: number): Promise<Bytes> {
  const { rows } = await pool.query<Bytes>(
    `select sum(pg_table_size(name::regclass))::float8 as heap, sum(pg_indexes_size(name::regclass))::float8 as indexes
       from unnest($1::text[]) as name`,
    [tables],
  );
  const [bytes] = rows;
  if (!bytes) throw new Error('a sum has one row');
  return { heap: bytes.heap / count, indexes: bytes.indexes / count };
}
