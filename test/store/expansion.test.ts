import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it, test } from 'vitest';

/**
 * While replicas are replaced one after the other, those of the previous release work with the new schema: a migration
 * only adds what they need not know of (expand). What nothing of theirs uses any more goes with a later one (contract).
 */

interface Column {
  type: string;
  notNull: boolean;
  default?: unknown;
  generated?: unknown;
  identity?: unknown;
}
interface Table {
  columns: Record<string, Column>;
  indexes: Record<string, { isUnique: boolean }>;
  uniqueConstraints: Record<string, unknown>;
  checkConstraints: Record<string, { value: string }>;
  foreignKeys: Record<string, unknown>;
}
interface Schema {
  tables: Record<string, Table>;
}

/** The first migration that meets replicas of an earlier release: until then there was none. */
const FIRST = 25;

/**
 * What was taken away since, by the migration that did: only what no replica of the release before it reads or writes.
 * `tenants.old_name` is a column, `old_table` a table.
 */
const CONTRACTED: Record<string, readonly string[]> = {};

const FOLDER = resolve(import.meta.dirname, '../../migrations/meta');
const schemaAfter = (number: string): Schema =>
  JSON.parse(readFileSync(join(FOLDER, `${number}_snapshot.json`), 'utf8')) as Schema;
const numbers = readdirSync(FOLDER)
  .flatMap((name) => /^(\d{4})_snapshot\.json$/.exec(name)?.[1] ?? [])
  .toSorted();

const nameOf = (table: string): string => table.replace(/^public\./, '');

/** What of a schema the release that knows the one before it would break on; one line each. */
function breaks(before: Schema, after: Schema, contracted: readonly string[] = []): string[] {
  return Object.entries(before.tables).flatMap(([key, old]) => {
    const name = nameOf(key);
    const now = after.tables[key];
    if (now === undefined) return contracted.includes(name) ? [] : [`${name} is gone`];
    const columns = Object.entries(old.columns).flatMap(([column, was]) => {
      const path = `${name}.${column}`;
      const is = now.columns[column];
      if (is === undefined) return contracted.includes(path) ? [] : [`${path} is gone`];
      if (is.type !== was.type) return [`${path} is ${is.type} and was ${was.type}`];
      return is.notNull && !was.notNull ? [`${path} may no longer be null`] : [];
    });
    const needed = Object.entries(now.columns).flatMap(([column, is]) => {
      const filled = [is.default, is.generated, is.identity].some((one) => one !== undefined);
      return column in old.columns || !is.notNull || filled
        ? []
        : [`${name}.${column} is new, and must be given`];
    });
    const added = <T>(were: Record<string, T>, are: Record<string, T>, what: string) =>
      Object.entries(are).flatMap(([rule, is]) =>
        JSON.stringify(were[rule]) === JSON.stringify(is) ? [] : [`${name} has ${what} ${rule}`],
      );
    const unique = ({ indexes }: Table) =>
      Object.fromEntries(Object.entries(indexes).filter(([, { isUnique }]) => isUnique));
    return [
      ...columns,
      ...needed,
      ...added(unique(old), unique(now), 'another unique index,'),
      ...added(old.uniqueConstraints, now.uniqueConstraints, 'another unique constraint,'),
      ...added(old.checkConstraints, now.checkConstraints, 'another check,'),
      ...added(old.foreignKeys, now.foreignKeys, 'another foreign key,'),
    ];
  });
}

const pairs = numbers.flatMap((number, at): [string, string][] =>
  Number(number) < FIRST ? [] : [[number, numbers[at - 1]!]],
);

it('has something to look at', () => {
  expect(pairs.length).toBeGreaterThan(0);
});

test.each(pairs)('what migration %s makes, replicas that know %s go on working with', (number, before) => {
  expect(breaks(schemaAfter(before), schemaAfter(number), CONTRACTED[number])).toEqual([]);
});

describe('a replica of the previous release would break where', () => {
  const now = (): Schema => schemaAfter(numbers.at(-1)!);
  const tenants = ({ tables }: Schema): Table => tables['public.tenants']!;
  test.each<[string, (schema: Schema) => void, string[]]>([
    ['a table is gone', (schema) => delete schema.tables['public.runs'], ['runs is gone']],
    ['a column is gone', (schema) => delete tenants(schema).columns['spec'], ['tenants.spec is gone']],
    [
      'a column is renamed',
      (schema) => {
        const { columns } = tenants(schema);
        columns['wanted'] = columns['spec']!;
        delete columns['spec'];
      },
      ['tenants.spec is gone', 'tenants.wanted is new, and must be given'],
    ],
    [
      'a type changes',
      (schema) => Object.assign(tenants(schema).columns['spec']!, { type: 'text' }),
      ['tenants.spec is text and was jsonb'],
    ],
    [
      'a column may no longer be null',
      (schema) => Object.assign(tenants(schema).columns['pause']!, { notNull: true, default: `'{}'` }),
      ['tenants.pause may no longer be null'],
    ],
    [
      'a new column must be given',
      (schema) => (tenants(schema).columns['owner'] = { type: 'text', notNull: true }),
      ['tenants.owner is new, and must be given'],
    ],
    [
      'a check is another',
      (schema) => (tenants(schema).checkConstraints['tenants_deletion']!.value = 'false'),
      ['tenants has another check, tenants_deletion'],
    ],
    [
      'something must be unique',
      (schema) => (tenants(schema).indexes['tenants_name'] = { isUnique: true }),
      ['tenants has another unique index, tenants_name'],
    ],
  ])('%s', (_, change, expected) => {
    const changed = now();
    change(changed);
    expect(breaks(now(), changed)).toEqual(expected);
  });

  test('and would not where something is added that it need not know of, or nothing of it is used', () => {
    const changed = now();
    tenants(changed).columns['note'] = { type: 'text', notNull: false };
    tenants(changed).columns['count'] = { type: 'integer', notNull: true, default: 0 };
    tenants(changed).indexes['tenants_of_note'] = { isUnique: false };
    delete tenants(changed).columns['waiting'];
    expect(breaks(now(), changed, ['tenants.waiting'])).toEqual([]);
  });
});
