import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { resolve } from 'node:path';
import { drizzle } from 'drizzle-orm/node-postgres';
import { migrate as applyMigrations } from 'drizzle-orm/node-postgres/migrator';
import type pg from 'pg';
import { atLeisure, LOCKS, toStoreError } from './database.ts';

/** Beside the package's own description, wherever this file was built to. */
const FOLDER = resolve(findPackageJSON(import.meta.url)!, '../migrations');

interface Journal {
  entries: { when: number; tag: string }[];
}

/**
 * Brings the database to the newest schema. Replicas that start together take turns; whoever comes second
 * finds nothing to do. All of it commits, or none.
 */
export async function migrate(pool: pg.Pool): Promise<void> {
  try {
    // A long migration, and waiting for another's, are no reason to give up.
    await atLeisure(pool, 0, async (client) => {
      await client.query('select pg_advisory_lock($1, $2)', [LOCKS.space, LOCKS.migrate]);
      await applyMigrations(drizzle({ client }), { migrationsFolder: FOLDER });
    });
  } catch (error) {
    throw toStoreError(error);
  }
}

/** Migrations that this build has and the database has not, oldest first. */
export async function pendingMigrations(pool: pg.Pool): Promise<string[]> {
  const { entries } = JSON.parse(readFileSync(resolve(FOLDER, 'meta/_journal.json'), 'utf8')) as Journal;
  try {
    const { rows: known } = await pool.query<{ there: boolean }>(
      `select to_regclass('drizzle.__drizzle_migrations') is not null as there`,
    );
    if (!known[0]?.there) return entries.map(({ tag }) => tag);
    const { rows } = await pool.query<{ last: string | null }>(
      'select max(created_at) as last from drizzle.__drizzle_migrations',
    );
    const last = Number(rows[0]?.last ?? 0);
    return entries.filter(({ when }) => when > last).map(({ tag }) => tag);
  } catch (error) {
    throw toStoreError(error);
  }
}
