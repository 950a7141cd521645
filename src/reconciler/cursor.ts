import { z } from 'zod';
import type { TenantSort } from '../domain/tenant-filter.ts';

/** Where a page of a sorted list ended: what it was sorted by, that value of its last row, and the row's id. */
export interface Place {
  key: string;
  id: string;
}

const cursorSchema = z.tuple([z.string(), z.string(), z.string()]);
const time = z.union([z.literal('infinity'), z.iso.datetime()]);
/** What the database reads as a key of the sort; nothing else may come to it. */
const KEYS: Record<TenantSort, z.ZodType<string>> = {
  id: z.string(),
  name: z.string(),
  ready: z.string().regex(/^[012]$/),
  since: time,
  next: time,
};

/** Opaque to whoever carries it, and good for its own sort only. */
export const cursorOf = (sort: TenantSort, { key, id }: Place): string =>
  Buffer.from(JSON.stringify([sort, key, id])).toString('base64url');

/** Null where it is no cursor, or one of another sort. */
export function placeOf(sort: TenantSort, cursor: string): Place | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return null;
  }
  const read = cursorSchema.safeParse(parsed);
  if (!read.success || read.data[0] !== sort) return null;
  const [, key, id] = read.data;
  return KEYS[sort].safeParse(key).success ? { key, id } : null;
}
