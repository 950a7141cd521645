import { whyHeld } from '../domain/ground.ts';
import { isOver } from '../domain/rotation.ts';
import type { TenantFilter } from '../domain/tenant-filter.ts';
import { conflict, done, invalid, wayFree } from './answers.ts';
import type { BulkOrder, BulkOutcome, BulkRow, DecideBulk } from './bulk-store.ts';
import type { Answer } from './commands.ts';
import type { Clock, Desk, Ids } from './ports.ts';
import { newRotation } from './rotations.ts';

/** What is asked of many tenants at once: first looked at, then confirmed; all of it or nothing. */

interface BulkDeps {
  desk: Desk;
  clock: Clock;
  ids: Ids;
}

export interface BulkRequest {
  filter: TenantFilter;
  reason: string;
  /** Null: only to see who is meant; else the token that this gave. */
  confirmation: string | null;
}

export interface BulkAnswer {
  dryRun: boolean;
  tenants: BulkRow[];
  /** What confirms exactly these tenants; null: they were done, or nothing is to be done. */
  confirmation: { token: string; expiresAt: string } | null;
}

export function reconcileMany(deps: BulkDeps, request: BulkRequest): Promise<Answer<BulkAnswer>> {
  const { reason } = request;
  return many(deps, { command: 'reconcile', cause: `manual: ${reason}` }, request, () => ({ do: 'trigger' }));
}

/** Begins a rotation of each one's integration key; those that cannot be rotated now are told with the reason. */
export function rotateMany(
  deps: BulkDeps,
  request: BulkRequest & { by: string },
): Promise<Answer<BulkAnswer>> {
  const { by, reason } = request;
  const decide: DecideBulk = (tenant, live) => {
    const held = whyHeld(tenant);
    if (held) return { do: 'refuse', because: `${held}. ${wayFree(tenant)}`.trim() };
    if (live && !isOver(live)) {
      return { do: 'refuse', because: `a rotation is under way (${live.id}, ${live.phase})` };
    }
    const asked = { by, reason, compromised: false, cutNow: false };
    return { do: 'begin', ...newRotation(deps, tenant.id, asked) };
  };
  return many(deps, { command: 'rotate', cause: `rotation asked for by ${by}` }, request, decide);
}

async function many(
  { desk, ids }: BulkDeps,
  order: Pick<BulkOrder, 'command' | 'cause'>,
  { filter, reason, confirmation }: BulkRequest,
  decide: DecideBulk,
): Promise<Answer<BulkAnswer>> {
  return answered(await desk.bulk({ ...order, filter, reason, token: ids.next() }, decide, confirmation));
}

function answered(outcome: BulkOutcome): Answer<BulkAnswer> {
  switch (outcome.outcome) {
    case 'looked':
      return done({ dryRun: true, tenants: outcome.tenants, confirmation: outcome.confirmation });
    case 'done':
      return done({ dryRun: false, tenants: outcome.tenants, confirmation: null });
    case 'missing':
      return invalid([{ path: 'selector.ids', message: `there is no tenant ${named(outcome.ids)}` }]);
    case 'unconfirmed': {
      if (outcome.because === 'done') {
        return conflict(
          'This was confirmed and done already. Nothing was done again: look at what is there.',
        );
      }
      const message =
        outcome.because === 'other'
          ? 'confirms something else than this: the same selector must be given as in the dry run'
          : 'is not known: it is another caller’s, or is older than 10 minutes; ask with dryRun again';
      return invalid([{ path: 'confirmation', message }]);
    }
    case 'changed': {
      const { came, went } = outcome;
      const parts = [
        came.length > 0 ? `${came.length} came (${named(came)})` : '',
        went.length > 0 ? `${went.length} went (${named(went)})` : '',
      ].filter(Boolean);
      return conflict(
        `Others are meant than were confirmed: ${parts.join(', ')}. Nothing was done; look again with dryRun.`,
      );
    }
  }
}

const MOST_NAMED = 10;
const named = (ids: readonly string[]): string =>
  ids.slice(0, MOST_NAMED).join(', ') + (ids.length > MOST_NAMED ? ', …' : '');
