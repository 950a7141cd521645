import type pg from 'pg';
import { summarise, type Finding } from './measure.ts';
import { ORDINARY, type Stage } from './stage.ts';

const CALLS_GOAL = 9;
const RUNS = 200;

/** A healthy tenant's steady reconcile: what it asks of the vendors, and what it leaves in the database. */
export async function steadyBench(stage: Stage): Promise<Finding[]> {
  const { pool, control } = stage;
  const before = await tablesOf(pool);
  const calls: number[] = [];
  const writes: number[] = [];
  let operations: string[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    await control.clearJournal();
    await stage.run(ORDINARY.id);
    const { total, byOperation } = await control.counts();
    calls.push(total);
    writes.push((await control.journal({ writes: true })).length);
    operations = Object.entries(byOperation).map(([operation, count]) => `${count} × ${operation}`);
  }
  const after = await tablesOf(pool);

  const grown = [...after].map(([table, { rows, bytes }]) => {
    const earlier = before.get(table);
    return { table, rows: rows - (earlier?.rows ?? 0), bytes: bytes - (earlier?.bytes ?? 0) };
  });
  const others = grown.filter(({ table }) => table !== 'runs');
  const strangers = others.filter(({ rows }) => rows !== 0);
  const ofRuns = grown.find(({ table }) => table === 'runs') ?? { rows: 0, bytes: 0 };
  const bytes = grown.reduce((sum, table) => sum + table.bytes, 0) / RUNS;
  const mostCalls = Math.max(...calls);
  const anyWrite = Math.max(...writes);

  return [
    {
      measure: 'vendor calls of a steady reconcile',
      unit: '',
      value: summarise(calls),
      baseline: null,
      ratio: null,
      goal: { text: `at most ${CALLS_GOAL}`, met: mostCalls <= CALLS_GOAL },
      note: operations.join(', '),
    },
    {
      measure: 'vendor writes of a steady reconcile',
      unit: '',
      value: summarise(writes),
      baseline: null,
      ratio: null,
      goal: { text: '0', met: anyWrite === 0 },
      note: '',
    },
    {
      measure: `rows that ${RUNS} steady reconciles add`,
      unit: 'rows',
      value: summarise([grown.reduce((sum, { rows }) => sum + rows, 0)]),
      baseline: { name: 'one run record each', value: summarise([RUNS]) },
      ratio: summarise([grown.reduce((sum, { rows }) => sum + rows, 0) / RUNS]),
      goal: {
        text: 'none beyond the run records',
        met: strangers.length === 0 && ofRuns.rows === RUNS,
      },
      note: strangers.map(({ table, rows }) => `${table} ${rows}`).join(', '),
    },
    {
      measure: 'bytes on disk of a steady reconcile',
      unit: 'bytes',
      value: summarise([bytes]),
      baseline: { name: 'its run record with indexes', value: summarise([ofRuns.bytes / RUNS]) },
      ratio: summarise([bytes / (ofRuns.bytes / RUNS)]),
      goal: null,
      note: `what is beyond the run record is room that updates in place left behind, for vacuum to give back to them: ${
        others
          .filter(({ bytes }) => bytes !== 0)
          .map(({ table, bytes }) => `${table} ${Math.round(bytes / RUNS)}`)
          .join(', ') || 'none'
      }`,
    },
  ];
}

/** Exact rows, and bytes with indexes and what lies outside the row, of every table. */
async function tablesOf(pool: pg.Pool): Promise<Map<string, { rows: number; bytes: number }>> {
  const { rows: names } = await pool.query<{ name: string }>(
    `select table_name as name from information_schema.tables where table_schema = 'public' order by 1`,
  );
  const tables = new Map<string, { rows: number; bytes: number }>();
  for (const { name } of names) {
    const { rows } = await pool.query<{ rows: number; bytes: number }>(
      `select count(*)::int as rows, pg_total_relation_size($1::regclass)::float8 as bytes from "${name}"`,
      [name],
    );
    const [row] = rows;
    if (row) tables.set(name, row);
  }
  return tables;
}
