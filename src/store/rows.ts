import { getTableColumns } from 'drizzle-orm';
import type { PgTable } from 'drizzle-orm/pg-core';

export type Json = Record<string, unknown>;

/** A row that came as JSON, as drizzle would have given it. */
export function rowOf<T extends PgTable>(table: T, json: Json): T['$inferSelect'] {
  const row: Json = {};
  for (const [key, name, isTime] of keysOf(table)) {
    const value = json[name];
    row[key] = isTime && typeof value === 'string' ? new Date(value) : value;
  }
  return row;
}

/** The columns of a table but some, as a statement names them. */
export const columnsOf = (table: PgTable, without: readonly string[] = []): string =>
  Object.values(getTableColumns(table))
    .filter(({ name }) => !without.includes(name))
    .map(({ name }) => `"${name}"`)
    .join(', ');

type Columns = [key: string, name: string, isTime: boolean][];
const known = new WeakMap<PgTable, Columns>();

function keysOf(table: PgTable): Columns {
  let columns = known.get(table);
  if (!columns) {
    columns = Object.entries(getTableColumns(table)).map(([key, column]) => [
      key,
      column.name,
      column.dataType === 'date',
    ]);
    known.set(table, columns);
  }
  return columns;
}
