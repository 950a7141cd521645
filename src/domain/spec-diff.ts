import type { TenantSpec } from './tenant.ts';

/**
 * The dotted paths in which two specs differ, in the order of their names: `connectwise.role.name`. A list is
 * one value, and a setting that is in only one of them is told at its own path.
 *
 * ```ts
 * changedPaths(before, { ...before, mode: 'repair' }); // ['mode']
 * ```
 */
export function changedPaths(before: TenantSpec, after: TenantSpec): string[] {
  return changedValues(before, after).map(({ path }) => path);
}

/** One setting that differs; undefined: it is not there. */
export interface ChangedValue {
  path: string;
  before: unknown;
  after: unknown;
}

/** The same with both values of each path. */
export function changedValues(before: TenantSpec, after: TenantSpec): ChangedValue[] {
  return differences(before, after, []).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function differences(before: unknown, after: unknown, path: string[]): ChangedValue[] {
  if (!isGroup(before) || !isGroup(after)) {
    return sameValue(before, after) ? [] : [{ path: path.join('.'), before, after }];
  }
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => differences(before[name], after[name], [...path, name]));
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
