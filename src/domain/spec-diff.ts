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
  return differences(before, after, []).toSorted();
}

function differences(before: unknown, after: unknown, path: string[]): string[] {
  if (!isGroup(before) || !isGroup(after)) return sameValue(before, after) ? [] : [path.join('.')];
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) => differences(before[name], after[name], [...path, name]));
}

const isGroup = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const sameValue = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
