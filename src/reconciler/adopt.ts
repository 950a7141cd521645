import { adoptionOf } from '../domain/adoption.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { toMs } from '../domain/duration.ts';
import { servingMembers, type OwnedObject } from '../domain/ground.ts';
import { noFacts } from '../domain/observation.ts';
import { inSlots, type TenantSpec } from '../domain/tenant.ts';
import { done, noTenant } from './answers.ts';
import { seenOf } from './command-views.ts';
import type { AdoptionView, Answer } from './commands.ts';
import { judge } from './judge.ts';
import { observe, type Keys } from './observe.ts';
import type { CallContext, Clock, Desk, Snapshot, TenantRecord, Vendors } from './ports.ts';

/** An integration that was there before Parasol, as it was found; nothing is written for it. */

/** Of a tenant that the service has, by what its last run saw. */
export async function adoption(desk: Desk, id: string): Promise<Answer<AdoptionView>> {
  const record = await desk.tenant(id);
  return record ? done(adoptionView(record, await desk.owned(id))) : noTenant(id);
}

function adoptionView(record: TenantRecord, owned: OwnedObject[]): AdoptionView {
  const { tenant, status, credentials, rotation } = record;
  const { facts, memory } = seenOf(tenant.spec, status);
  const spec = inSlots(tenant.spec, status?.memory.slots);
  return {
    tenant: tenant.id,
    mode: spec.mode,
    generation: status?.observedGeneration ?? tenant.generation,
    observedAt: status?.observedAt ?? null,
    ...adoptionOf({
      spec,
      facts,
      memory,
      credentials,
      owned,
      plan: status?.plan ?? { steps: [] },
      serving: servingMembers({ rotation }),
    }),
  };
}

/** Time for all calls of one look: a person waits for it. */
const PATIENCE = '2m';

/**
 * Of a tenant that is only in a file, by a look of its own: exactly what the first run of the service would make of
 * the same answers.
 */
export async function lookToAdopt(
  { vendors, clock }: { vendors: Vendors; clock: Clock },
  { spec, keys, credentials }: { spec: TenantSpec; keys: Keys; credentials: HeldCredential[] },
): Promise<AdoptionView> {
  const context: CallContext = {
    tenantId: spec.id,
    deadline: new Date(clock.now().getTime() + toMs(PATIENCE)),
    signal: new AbortController().signal,
  };
  const known = noFacts();
  const memory = { type: null, bursts: [] };
  const look = await observe({ spec, keys, known, memory, vendors, context, clock });
  const standing = {
    facts: known,
    owned: [],
    unsettled: [],
    capReached: false,
    brake: null,
    before: { facts: known, drift: [], conditions: [], sighted: [], specChanged: false },
    rotationId: 'none',
  };
  const { status, owned, rotation } = judge(
    unknownTenant(spec, credentials, clock),
    look,
    standing,
    clock.now(),
  );
  return {
    tenant: spec.id,
    mode: spec.mode,
    generation: 1,
    observedAt: status.observedAt,
    ...adoptionOf({
      spec,
      facts: status.facts,
      memory: status.memory,
      credentials,
      owned,
      plan: status.plan,
      serving: servingMembers({ rotation }),
    }),
  };
}

/** A tenant of which nothing is known yet. */
export function unknownTenant(spec: TenantSpec, credentials: HeldCredential[], clock: Clock): Snapshot {
  const at = clock.now().toISOString();
  return {
    tenant: {
      id: spec.id,
      spec,
      generation: 1,
      createdAt: at,
      updatedAt: at,
      deleting: false,
      deletion: null,
      decisions: 0,
      pause: null,
      brake: null,
      triggerSeq: 1,
      handledSeq: 0,
      failures: 0,
      nextReconcileAt: null,
      waiting: null,
    },
    status: null,
    credentials,
    sealed: {},
    handoffs: [],
    intents: [],
    owned: [],
    rotation: null,
    umbrellaRotation: null,
    sighted: [],
    acceptances: [],
  };
}
