import { sql } from 'drizzle-orm';
import { customType, timestamp } from 'drizzle-orm/pg-core';

/**
 * Text as PostgreSQL can keep it. A vendor's text may hold a NUL or half of a surrogate pair, which
 * PostgreSQL refuses: one such character would make every later run of that tenant fail to record.
 */
export const keepable = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD');

/** How JSON writes what PostgreSQL refuses; a text about such signs looks the same, and is only looked at twice. */
const REFUSED = /\\u(?:0000|d[89a-f])/i;

/** JSON as PostgreSQL can keep it. */
export function toJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (!REFUSED.test(json)) return json;
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'string' ? keepable(part) : part));
}

const jsonbColumn = customType<{ data: unknown; driverData: unknown }>({
  dataType: () => 'jsonb',
  toDriver: toJson,
});

/** A `jsonb` column of one type. */
export const jsonb = <T>(name: string) => jsonbColumn(name).$type<T>();

/** Free text, some of it a vendor's. */
export const text = customType<{ data: string; driverData: string }>({
  dataType: () => 'text',
  toDriver: keepable,
});

/** A moment, with its zone. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/** ISO 8601 in UTC, as the ports speak of times. */
export const iso = (at: Date): string => at.toISOString();
export const isoOrNull = (at: Date | null): string | null => at?.toISOString() ?? null;

/** Now by the database's clock, as `iso` writes it. */
export const NOW_ISO = sql.raw(`to_char(now() at time zone 'utc', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`);

/** An array as PostgreSQL reads it, so that each row of a statement can have one of its own. */
export const arrayLiteral = (items: readonly string[]): string =>
  `{${items.map((item) => `"${keepable(item).replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
