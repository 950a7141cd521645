import { frozen } from '../../src/domain/frozen.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import { originFor, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import type { HeldCredential } from '../../src/domain/credential.ts';
import type { KeyPair } from '../../src/domain/secret.ts';
import type {
  ClaimedTenant,
  Claims,
  Clock,
  HandoffChange,
  OpenIntent,
  Reconciles,
  Result,
  Snapshot,
  Vault,
  Vendors,
} from '../../src/reconciler/ports.ts';
import { unknownTenant } from '../../src/reconciler/adopt.ts';
import type { ReconcileDeps } from '../../src/reconciler/reconcile.ts';
import { UNTOUCHED } from '../support/handoff.ts';

/**
 * One tenant as a store keeps it, without a store: what a run starts from, and what it leaves. Nobody takes it from
 * the run, no cap and no brake holds it, and people do nothing.
 */

export interface Given {
  purpose: Purpose;
  pair: KeyPair;
  state?: HeldCredential['state'];
  member?: string | null;
}

export const CLAIMED: ClaimedTenant = {
  claim: { tenantId: 'acme', token: 1, owner: 'memory', until: '2100-01-01T00:00:00.000Z' },
  trigger: 'test',
  runSeq: 1,
};

/** A tenant that was never looked at. */
export function newTenant(spec: TenantSpec, given: readonly Given[], now: Date): Snapshot {
  const at = now.toISOString();
  const credentials = given.map(({ purpose, state = 'active', member = null }, index): HeldCredential => ({
    id: `${purpose}-${index}`,
    purpose,
    state,
    fingerprint: `f-${purpose}-${index}`,
    member,
    origin: originFor(spec, purpose),
    createdAt: at,
    lastProvedAt: null,
    handoffId: null,
  }));
  return frozen({
    ...unknownTenant(spec, credentials, { now: () => now }),
    sealed: Object.fromEntries(credentials.map(({ id }) => [id, id])),
  });
}

/** A run's world around a snapshot: what it gives to be recorded, and the snapshot that this makes. */
export class Memory {
  readonly deps: ReconcileDeps;
  result: Result | null = null;
  readonly #before: Snapshot;
  #sighted: string[];
  readonly #opened: OpenIntent[] = [];

  constructor(before: Snapshot, given: readonly Given[], vendors: Vendors, clock: Clock) {
    this.#before = before;
    this.#sighted = before.sighted;
    let ids = 0;
    const unused = (): never => {
      throw new Error('no run of one tenant asks for this');
    };
    const reconciles: Reconciles = {
      snapshot: () => Promise.resolve(before),
      defer: unused,
      sight: (_, sightings) => {
        this.#sighted = sightings.map(({ signature }) => signature);
        return Promise.resolve({ brake: null, news: [] });
      },
      openIntent: (_, { id, key, action }) => {
        if (this.#opened.some((one) => one.key === key)) {
          return Promise.resolve({ granted: false, because: 'already-open' });
        }
        const openedAt = clock.now().toISOString();
        this.#opened.push({ id, key, action, openedAt, outcome: 'open' });
        return Promise.resolve({ granted: true });
      },
      admitRotation: () => Promise.resolve(clock.now().toISOString()),
      record: (_, result) => {
        this.result = result;
        return Promise.resolve(true);
      },
    };
    const vault: Vault = {
      seal: unused,
      fingerprint: unused,
      open: (sealed) => {
        const at = before.credentials.findIndex(({ id }) => id === sealed);
        return Promise.resolve(given[at]!.pair);
      },
    };
    const claims = { confirm: () => Promise.resolve(true) } as Partial<Claims> as Claims;
    this.deps = {
      reconciles,
      claims,
      vault,
      vendors,
      clock,
      ids: { next: () => `id-${String((ids += 1)).padStart(4, '0')}` },
      random: () => 0.5,
    };
  }

  /** The tenant as it is stored after the run. */
  after(now: Date): Snapshot {
    const { result } = this;
    if (result === null) return this.#before;
    const before = this.#before;
    const states = new Map(result.credentials.map(({ id, state }) => [id, state]));
    const promoted = [...states.values()].includes('active');
    const settled = new Map(result.intents.map(({ id, outcome }) => [id, outcome]));
    const intents = [...before.intents, ...this.#opened].flatMap((intent): OpenIntent[] => {
      const outcome = settled.get(intent.id);
      if (outcome === undefined) return [intent];
      return outcome === 'unknown' ? [{ ...intent, outcome }] : [];
    });
    return frozen({
      ...before,
      tenant: { ...before.tenant, failures: result.next.failures },
      status: result.status ?? before.status,
      credentials: before.credentials.map((held) => ({
        ...held,
        state:
          states.get(held.id) ??
          (promoted && held.purpose === 'integration' && held.state === 'active' ? 'superseded' : held.state),
        lastProvedAt: result.provedAt[held.id] ?? held.lastProvedAt,
      })),
      handoffs: result.handoffs.reduce((all, change) => changed(all, change, now), before.handoffs),
      intents,
      owned: [...before.owned, ...result.owned],
      rotation: result.rotation?.now ?? before.rotation,
      sighted: this.#sighted,
    });
  }
}

function changed(handoffs: readonly Handoff[], change: HandoffChange, now: Date): Handoff[] {
  if (change.change === 'open') {
    const { id, kind, subject, content, deadline } = change;
    const opened: Handoff = {
      id,
      tenantId: 'acme',
      kind,
      subject,
      content,
      deadline,
      openedAt: now.toISOString(),
      ...UNTOUCHED,
    };
    return [...handoffs, opened];
  }
  const ended = change.change === 'close' || change.change === 'withdraw';
  return handoffs.flatMap((handoff) => {
    if (handoff.id !== change.id) return [handoff];
    if (ended) return [];
    return [change.change === 'refresh' ? { ...handoff, content: change.content } : handoff];
  });
}
