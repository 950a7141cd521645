import { whyNoWrite } from '../../domain/ground.ts';
import type { Failure } from '../../domain/outcome.ts';
import type { TenantSpec } from '../../domain/tenant.ts';
import type { ApiKeyPass } from '../../reconciler/ports.ts';

/** A write as it would leave. */
export type Leaving = { makes: string } | { deletes: string };

/**
 * The last door (design.md §3): whatever was decided, an API key is made or deleted only in mode `repair`, only
 * under the name and of the ids that were decided on, only while the claim holds and every tenant that uses the
 * key allows it, and only with time enough to hear the answer. Null: it may leave; else nothing was sent.
 */
export async function objectionTo(
  leaving: Leaving,
  spec: TenantSpec,
  pass: ApiKeyPass,
  hasTime: () => boolean,
): Promise<Failure | null> {
  // Whether the fleet's brake holds it is asked of the database, by `confirm`.
  const held = whyNoWrite({ spec, pause: pass.pause, brake: null });
  if (held !== null) return barred(held);
  if ('makes' in leaving && leaving.makes !== pass.name)
    return barred(`no key ${leaving.makes} is to be made`);
  if ('deletes' in leaving && !pass.deletable.has(leaving.deletes)) {
    return barred(`the key ${leaving.deletes} is not one that is to be deleted`);
  }
  if (!(await pass.confirm())) return barred('the claim or a tenant is no longer what it was decided on');
  // Looked at after the question, which takes time itself.
  return hasTime() ? null : barred('too little time is left to hear the answer');
}

const barred = (detail: string): Failure => ({ kind: 'Barred', detail });
