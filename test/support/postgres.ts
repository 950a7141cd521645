import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { getContainerRuntimeClient } from 'testcontainers';
import { inject } from 'vitest';
import { migrate, startEmbedded } from '../../src/store/index.ts';

/**
 * A real PostgreSQL for the tests: TEST_DATABASE_URL, else a container where a Docker engine answers, else the
 * embedded server.
 */
export async function startTestServer(): Promise<{
  url: string;
  template: string;
  stop(): Promise<void>;
}> {
  const server = await findServer();
  const template = `parasol_template_${randomBytes(6).toString('hex')}`;
  await execute(server.url, `create database ${template}`);
  const pool = new pg.Pool({ connectionString: named(server.url, template), max: 1 });
  await migrate(pool);
  await pool.end();
  return {
    url: server.url,
    template,
    async stop() {
      await execute(server.url, `drop database ${template} with (force)`);
      await server.stop();
    },
  };
}

export interface TestDatabase {
  url: string;
  /** Also ends the connections that a test left open. */
  drop(): Promise<void>;
}

/** A migrated, empty database for one test file. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { url, template } = inject('postgres');
  const name = `parasol_test_${randomBytes(6).toString('hex')}`;
  await execute(url, `create database ${name} template ${template}`);
  return { url: named(url, name), drop: () => execute(url, `drop database ${name} with (force)`) };
}

/** A database as another one is now; whoever is connected to that is cut off. */
export async function copyDatabase(source: string): Promise<TestDatabase> {
  const { url } = inject('postgres');
  const name = `parasol_copy_${randomBytes(6).toString('hex')}`;
  const copied = new URL(source).pathname.slice(1);
  await execute(url, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${copied}'`);
  await execute(url, `create database ${name} template ${copied}`);
  return { url: named(url, name), drop: () => execute(url, `drop database ${name} with (force)`) };
}

/** A database with nothing in it, not even Parasol's tables. */
export async function createEmptyDatabase(): Promise<TestDatabase> {
  const { url } = inject('postgres');
  const name = `parasol_empty_${randomBytes(6).toString('hex')}`;
  await execute(url, `create database ${name}`);
  return { url: named(url, name), drop: () => execute(url, `drop database ${name} with (force)`) };
}

type Server = { url: string; stop(): Promise<void> };

async function findServer(): Promise<Server> {
  const given = process.env['TEST_DATABASE_URL'];
  if (given) return { url: given, stop: async () => undefined };
  return (await container()) ?? (await embedded());
}

async function container(): Promise<Server | null> {
  try {
    await getContainerRuntimeClient();
    const { PostgreSqlContainer } = await import('@testcontainers/postgresql');
    const started = await new PostgreSqlContainer('postgres:18-alpine')
      .withCommand(['postgres', '-c', 'fsync=off', '-c', 'max_connections=200'])
      .start();
    return {
      url: started.getConnectionUri(),
      async stop() {
        await started.stop();
      },
    };
  } catch {
    // No engine, or one that cannot get the image.
    return null;
  }
}

async function embedded(): Promise<Server> {
  const folder = await mkdtemp(join(tmpdir(), 'parasol-test-'));
  const server = await startEmbedded(folder, { fsync: 'off', synchronous_commit: 'off' });
  return {
    url: server.url,
    async stop() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function named(url: string, database: string): string {
  const other = new URL(url);
  other.pathname = `/${database}`;
  return other.href;
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
