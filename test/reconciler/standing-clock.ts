import pg from 'pg';

/**
 * A database whose `now()` is what a test says, so that what it dates and what the reconciler dates are of one
 * clock that stands still.
 */
export async function haveStandingClock(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(`
      create schema standing;
      create table standing.clock (at timestamptz not null);
      insert into standing.clock values (now());
      create function standing.now() returns timestamptz language sql stable
        as 'select at from standing.clock';`);
    // A default knows its function, whatever is found first later.
    const { rows } = await client.query<{ tables: string; columns: string }>(
      `select table_name as tables, column_name as columns from information_schema.columns
        where table_schema = 'public' and column_default = 'now()'`,
    );
    for (const { tables, columns } of rows) {
      await client.query(`alter table ${tables} alter column ${columns} set default standing.now()`);
    }
    const name = new URL(url).pathname.slice(1);
    await client.query(`alter database ${name} set search_path = standing, pg_catalog, public`);
  } finally {
    await client.end();
  }
}

export async function setStandingClock(pool: pg.Pool, at: Date): Promise<void> {
  await pool.query('update standing.clock set at = $1', [at]);
}
