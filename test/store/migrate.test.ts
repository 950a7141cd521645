import { readFile } from 'node:fs/promises';
import { is } from 'drizzle-orm';
import { getTableConfig, PgTable } from 'drizzle-orm/pg-core';
import { expect, it } from 'vitest';
import { createStore, migrate, pendingMigrations } from '../../src/store/index.ts';
import type { Rotation } from '../../src/domain/rotation.ts';
import * as schema from '../../src/store/schema.ts';
import { ago, HOUR } from '../domain/fixtures.ts';
import { rotationIn } from '../domain/rotation-fixtures.ts';
import { createEmptyDatabase, createTestDatabase } from '../support/postgres.ts';
import { given, resultOf } from './fixtures.ts';

it('two services that start at once on an empty database migrate it once; later there is nothing to do', async () => {
  const database = await createEmptyDatabase();
  const stores = [createStore(database.url), createStore(database.url)];
  try {
    expect(await pendingMigrations(stores[0]!.pool)).not.toEqual([]);
    await Promise.all(stores.map(({ pool }) => migrate(pool)));
    expect(await pendingMigrations(stores[1]!.pool)).toEqual([]);
    const { rows } = await stores[0]!.pool.query<{ column: string }>(
      `select table_name || '.' || column_name || ' ' || is_nullable as column
         from information_schema.columns where table_schema = 'public' order by 1`,
    );
    const tables = Object.values(schema).filter((value) => is(value, PgTable));
    const declared = tables.flatMap((table) => {
      const { name, columns } = getTableConfig(table);
      return columns.map((column) => `${name}.${column.name} ${column.notNull ? 'NO' : 'YES'}`);
    });
    expect(declared.length).toBeGreaterThan(60);
    expect(rows.map(({ column }) => column).toSorted()).toEqual(declared.toSorted());
  } finally {
    await Promise.all(stores.map((store) => store.close()));
    await database.drop();
  }
});

it('a spec from before there were labels gets none, and one with labels keeps them', async () => {
  const database = await createTestDatabase();
  const store = createStore(database.url);
  try {
    await given(store, 'old', 'new');
    await store.pool.query(`update tenants set spec = spec - 'labels' where id = 'old'`);
    await store.pool.query(
      `update tenants set spec = spec || '{"labels":{"team":"north"}}' where id = 'new'`,
    );
    await store.pool.query(await readFile('migrations/0006_labels.sql', 'utf8'));
    const labels = (await store.desk.tenants(['new', 'old'])).map(({ tenant }) => tenant.spec.labels);
    expect(labels).toEqual([{ team: 'north' }, {}]);
  } finally {
    await store.close();
    await database.drop();
  }
});

it('statuses from before they had versions get one each', async () => {
  const database = await createTestDatabase();
  const store = createStore(database.url);
  try {
    await given(store, 'a', 'b');
    for (const { claim } of await store.claims.take('owner', 2, 30_000)) {
      await store.reconciles.record(claim, resultOf({}));
    }
    await store.pool.query('alter table statuses drop column version');
    await store.pool.query(await readFile('migrations/0010_versions_of_statuses.sql', 'utf8'));
    const { rows } = await store.pool.query('select count(distinct version)::int as versions from statuses');
    expect(rows).toEqual([{ versions: 2 }]);
  } finally {
    await store.close();
    await database.drop();
  }
});

it('a rotation under way from before it was remembered whether its keys changed places is told by its history', async () => {
  const database = await createTestDatabase();
  const store = createStore(database.url);
  try {
    const rotations: Record<string, Rotation> = {
      forward: rotationIn('AwaitingInstall'),
      back: rotationIn('AwaitingInstall', { reversed: true }),
      again: rotationIn('AwaitingInstall', {
        history: [{ phase: 'PreparingMember', at: ago(HOUR), evidence: 'ann took the rollback back: asked' }],
      }),
    };
    await given(store, ...Object.keys(rotations));
    for (const [tenantId, rotation] of Object.entries(rotations)) {
      await store.desk.requestRotation({ ...rotation, id: tenantId, tenantId }, [], 'asked');
    }
    await store.pool.query(`update rotations set record = record - 'turned'`);
    await store.pool.query(await readFile('migrations/0020_turned_rotations.sql', 'utf8'));
    const { rows } = await store.pool.query(
      `select id from rotations where (record ->> 'turned')::boolean order by id`,
    );
    expect(rows).toEqual([{ id: 'again' }, { id: 'back' }]);
  } finally {
    await store.close();
    await database.drop();
  }
});
