import type { TenantSpec } from './tenant.ts';

/** One setting that differs; undefined: it is not there. */
export interface ChangedValue {
  path: string;
  before: unknown;
  after: unknown;
}

/**
 * The settings in which two specs differ, by dotted path, in the order of the paths' names. A list is one value, and
 * a setting that is in only one of them is told at its own path.
 *
 * ```ts
 * changedValues(before, { ...before, mode: 'repair' }); // [{ path: 'mode', before: 'observe', after: 'repair' }]
 * ```
 */
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

/** Every setting of a spec, or of a part of one, with its dotted path, in the order of the paths' names. */
export function settingsOf(spec: Readonly<Record<string, unknown>>): { path: string; value: unknown }[] {
  return leaves(spec, []).toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function leaves(value: unknown, path: string[]): { path: string; value: unknown }[] {
  if (!isGroup(value) || Object.keys(value).length === 0) return [{ path: path.join('.'), value }];
  return Object.entries(value).flatMap(([name, inner]) => leaves(inner, [...path, name]));
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
