import { selects, type Labels } from '../domain/labels.ts';
import type { TenantInput } from '../domain/tenant.ts';
import { conflict, type Problem } from './answers.ts';
import type { Prune, Refusal, Removal } from './commands.ts';
import { decideDeletion } from './deletions.ts';
import type { DeletionWrite, Desk } from './ports.ts';

/**
 * Tenants that carry the labels of a set and are in it no more: they go, as their `onDelete` says. The labels are
 * what tells them from tenants that were never in these files.
 */

export interface Pruning {
  removals: Removal[];
  writes: DeletionWrite[];
  /** Why one of them cannot go, by its id. */
  problems: Problem[];
}

export const NO_PRUNING: Pruning = { removals: [], writes: [], problems: [] };

const AT_ONCE = 500;

export async function decidePruning(desk: Desk, inputs: TenantInput[], prune: Prune): Promise<Pruning> {
  const labels = Object.entries(prune.labels).map(([key, value]) => ({ key, value }));
  const given = new Set(inputs.map(({ id }) => id));
  const pruning: Pruning = { removals: [], writes: [], problems: [] };
  for (let after: string | null = null; ;) {
    const page = await desk.specs({ labels, after, limit: AT_ONCE });
    const gone = page.items.filter(({ tenant }) => !given.has(tenant.id) && !tenant.deleting);
    for (const { tenant } of gone) await decideOne(desk, tenant.id, prune, pruning);
    if (page.next === null) return pruning;
    after = page.next;
  }
}

async function decideOne(desk: Desk, id: string, { labels, by }: Prune, pruning: Pruning): Promise<void> {
  const record = await desk.tenant(id);
  if (!record || record.tenant.deleting) return;
  const { name, onDelete } = record.tenant.spec;
  const reason = `in no file any more of those of ${labelWords(labels)}`;
  const decided = decideDeletion(record, { by, reason, force: false, unseen: false });
  pruning.removals.push({ id, name, onDelete });
  if (decided.ok) pruning.writes.push(decided.value);
  else pruning.problems.push({ path: `prune.${id}`, message: wordsOf(decided.refusal) });
}

const wordsOf = (refusal: Refusal): string =>
  refusal.kind === 'conflict' ? refusal.message : 'cannot be deleted as it is';

const labelWords = (labels: Labels): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');

/** A tenant without the labels could never be pruned again. */
export function unprunable({ labels }: TenantInput, prune: Prune | null): string | null {
  if (prune === null) return null;
  const wanted = Object.entries(prune.labels).map(([key, value]) => ({ key, value }));
  if (selects(wanted, labels)) return null;
  return `must have ${labelWords(prune.labels)}: without, it would not be pruned when it is in no file any more`;
}

/** Null: as many go as were confirmed. */
export function unconfirmed({ removals }: Pruning, { count }: Prune): Refusal | null {
  if (count === removals.length) return null;
  const ids = removals.map(({ id }) => id).join(', ');
  const now = removals.length === 0 ? 'none would be deleted' : `it is ${removals.length} by now: ${ids}`;
  return conflict(
    `${count ?? 'No'} ${count === 1 ? 'deletion was' : 'deletions were'} confirmed, and ${now}. Look again at what would go, and confirm that.`,
  ).refusal;
}
