import { CONDITION_TYPES, type ConditionType, type Truth } from './condition.ts';
import type { LabelSelector } from './labels.ts';
import { markOf } from './listing.ts';
import type { TenantSpec } from './tenant.ts';

/** Which tenants are meant: those that meet all of it. */
export interface TenantFilter {
  /** Null: whoever. */
  ids: readonly string[] | null;
  /** Any of these; empty: however they are. */
  ready: readonly Truth[];
  /** All of these, as `listedFindings` writes them. */
  marks: readonly string[];
  mode: TenantSpec['mode'] | null;
  labels: readonly LabelSelector[];
  /** Whether there is any; a text: some whose path begins so; null: either. */
  drift: boolean | string | null;
  /** Somewhere in name, id or company, however it is spelled in capitals; null: whatever they are called. */
  words: string | null;
}

/** Every tenant. */
export const EVERYBODY: TenantFilter = {
  ids: null,
  ready: [],
  marks: [],
  mode: null,
  labels: [],
  drift: null,
  words: null,
};

const MARK = /^(\w+)(?:=(True|False|Unknown)(?:\/(\w+))?)?$/;

/**
 * `RoleReady=False`, `RoleReady=False/LevelsMissing`; `RoleReady` alone means True. Null where it is none of these.
 */
export function parseMark(text: string): string | null {
  const [, type, status, reason] = MARK.exec(text) ?? [];
  if (!CONDITION_TYPES.includes(type as ConditionType)) return null;
  const mark = markOf(type as ConditionType, (status ?? 'True') as Truth);
  return reason === undefined ? mark : `${mark}/${reason}`;
}

/** In which order tenants are listed; each by id where it is else the same. */
export const TENANT_SORTS = ['id', 'name', 'ready', 'since', 'next'] as const;
/**
 * `ready`: the worst first. `since`: not ready for longest first, what is ready last. `next`: due soonest first, and
 * what is being run where its claim ends.
 */
export type TenantSort = (typeof TENANT_SORTS)[number];
