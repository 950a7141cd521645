import type { Rotation } from '../domain/rotation.ts';
import type { TenantFilter } from '../domain/tenant-filter.ts';
import type { NewEvent, StoredTenant } from './ports.ts';

/** One command for many tenants, as the store is asked for it. */
export interface BulkOrder {
  command: 'reconcile' | 'rotate';
  filter: TenantFilter;
  reason: string;
  /** What the runs that this triggers give as their cause. */
  cause: string;
  /** Under which name the caller, and nobody else, may confirm what a dry run found. */
  token: string;
}

/** What becomes of one tenant: a run, a rotation besides, or nothing and why. */
export type BulkDecision =
  | { do: 'trigger' }
  | { do: 'begin'; rotation: Rotation; event: NewEvent }
  | { do: 'refuse'; because: string };

export interface BulkRow {
  id: string;
  name: string;
  /** Null: the command is for it. */
  refused: string | null;
  /** Of the run that was asked for; null where nothing was done. */
  trigger: number | null;
  /** That was asked for; null: none. */
  rotation: string | null;
}

export type BulkOutcome =
  /** Tenants that were named and that there are not, for this caller. */
  | { outcome: 'missing'; ids: string[] }
  /** Nothing was done; `confirmation` null: there is nothing to confirm. */
  | { outcome: 'looked'; tenants: BulkRow[]; confirmation: { token: string; expiresAt: string } | null }
  /** There is no such confirmation of this caller's: it was used, is too old, or of another order. */
  | { outcome: 'unconfirmed'; because: 'done' | 'unknown' | 'other' }
  /** Others are meant by now than those that were confirmed. */
  | { outcome: 'changed'; came: string[]; went: string[] }
  /** All of it was done, in one transaction. */
  | { outcome: 'done'; tenants: BulkRow[] };

/** Decides for one tenant, at that moment and by these rows alone. */
export type DecideBulk = (tenant: StoredTenant, rotation: Rotation | null) => BulkDecision;
