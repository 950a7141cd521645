import { evaluate, ready, type Circumstances, type Condition } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { activeMember, diff, findMember, type Difference, type Drift } from '../domain/drift.ts';
import { toMs } from '../domain/duration.ts';
import { isLive } from '../domain/handoff.ts';
import { isFresh, noFacts, remember, type Facts, type Observation } from '../domain/observation.ts';
import { plan, type OwnedObject, type Plan, type PlanningGround } from '../domain/plan.ts';
import { expectedMembers, periodMs, type Purpose, type TenantSpec } from '../domain/tenant.ts';
import { observe, type HeldKey, type Keys } from './observe.ts';
import type {
  CallContext,
  ClaimedTenant,
  Clock,
  Ids,
  NewEvent,
  Reconciles,
  Result,
  Snapshot,
  StoredStatus,
  Vault,
  Vendors,
} from './ports.ts';

/** What a reconcile needs of the world. */
export interface ReconcileDeps {
  reconciles: Reconciles;
  vault: Vault;
  vendors: Vendors;
  clock: Clock;
  ids: Ids;
  /** 0 ≤ x < 1; spreads retries. */
  random: () => number;
}

export interface ReconcileLimits {
  /** Ms for all calls of one reconcile; what is left of the lease is for recording. */
  callsMs: number;
}

/** `gone`: the tenant was deleted; `lost`: another owner has the claim, and nothing was written. */
export type ReconcileEnd = 'recorded' | 'lost' | 'gone';

/**
 * One tenant, once: observe → judge → plan → record. It starts from nothing but the tenant's id and what is
 * stored, so that a lost, doubled or late job does no harm (design.md §3).
 */
export async function reconcile(
  deps: ReconcileDeps,
  claimed: ClaimedTenant,
  limits: ReconcileLimits,
  signal: AbortSignal,
): Promise<ReconcileEnd> {
  const { claim } = claimed;
  const started = deps.clock.now();
  const snapshot = await deps.reconciles.snapshot(claim.tenantId);
  if (!snapshot) return 'gone';

  const context: CallContext = {
    tenantId: claim.tenantId,
    deadline: new Date(started.getTime() + limits.callsMs),
    signal,
  };
  const keys = await openKeys(deps.vault, snapshot);
  const { spec } = snapshot.tenant;
  const { observation, memory } = await observe({
    spec,
    keys,
    known: snapshot.status?.facts ?? noFacts(),
    memory: snapshot.status?.memory ?? { type: null, bursts: [] },
    vendors: deps.vendors,
    context,
    clock: deps.clock,
  });

  const judged = judge(snapshot, observation, memory, deps.clock.now());
  const calls = deps.vendors.callsOf(context);
  const finished = deps.clock.now();
  const trouble = readingTrouble(observation);
  const outcome = trouble.blind ? 'failed' : trouble.failures.length > 0 ? 'degraded' : 'succeeded';
  const failures = outcome === 'failed' ? snapshot.tenant.failures + 1 : 0;
  const result: Result = {
    run: {
      id: deps.ids.next(),
      trigger: claimed.trigger,
      startedAt: started.toISOString(),
      finishedAt: finished.toISOString(),
      outcome,
      ...calls,
      summary: summarise(judged.status.conditions, trouble.failures),
      actions: [],
    },
    status: judged.status,
    events: judged.events,
    handoffs: handoffChanges(snapshot, finished),
    credentials: [],
    intents: [],
    owned: judged.owned,
    provedAt: provedTimes(judged.status.facts),
    next: {
      inMs: nextInMs(spec, finished, failures, trouble.retryAfterMs, deps.random),
      failures,
    },
    forget: snapshot.tenant.deleting && spec.onDelete === 'orphan' && !trouble.blind,
  };
  return (await deps.reconciles.record(claim, result)) ? 'recorded' : 'lost';
}

/** Opens the pairs that this reconcile calls with; a pair sealed for another origin is not opened. */
async function openKeys(vault: Vault, snapshot: Snapshot): Promise<Keys> {
  const { id: tenantId } = snapshot.tenant;
  const open = async (credential: HeldCredential | undefined): Promise<HeldKey | null> => {
    const sealed = credential && snapshot.sealed[credential.id];
    if (!sealed) return null;
    const { id: credentialId, purpose, origin, fingerprint } = credential;
    const pair = await vault.open(sealed, { tenantId, credentialId, purpose, origin });
    return { credentialId, fingerprint, pair };
  };
  const active = (purpose: Purpose) =>
    open(snapshot.credentials.find((held) => held.purpose === purpose && held.state === 'active'));
  const proved = snapshot.credentials.filter(
    ({ purpose, state }) => purpose === 'integration' && (state === 'candidate' || state === 'refused'),
  );
  const candidates = await Promise.all(proved.map(open));
  return {
    management: await active('management'),
    integration: await active('integration'),
    umbrellaApi: await active('umbrella-api'),
    umbrellaKeyAdmin: await active('umbrella-key-admin'),
    candidates: candidates.filter((key) => key !== null),
  };
}

interface Judged {
  status: StoredStatus;
  owned: OwnedObject[];
  events: NewEvent[];
}

function judge(
  snapshot: Snapshot,
  observation: Observation,
  memory: Circumstances['memory'],
  now: Date,
): Judged {
  const { tenant, credentials, status: before } = snapshot;
  const { spec, generation } = tenant;
  const facts = remember(before?.facts ?? noFacts(), observation);
  const circumstances: Circumstances = { spec, facts, memory, credentials, now, capReached: false };
  const conditions = evaluate(circumstances, generation, before?.conditions ?? []);
  const newlyOwned = conforming(snapshot, facts, observation.at, now);
  const ground: PlanningGround = {
    spec,
    facts,
    observedAt: observation.at,
    credentials,
    owned: [...snapshot.owned, ...newlyOwned],
    integrated: conditions.find(({ type }) => type === 'UmbrellaIntegrated')!,
    deleting: tenant.deleting,
  };
  const planned = plan(ground);
  const drift = withHistory(diff(spec, facts, credentials), planned, before?.drift ?? [], now);
  const status: StoredStatus = {
    observedGeneration: generation,
    facts,
    memory,
    conditions,
    drift,
    plan: planned,
    observedAt: observation.at,
  };
  return { status, owned: newlyOwned, events: changes(before, status) };
}

/** Members seen exactly as specified, by name, are Parasol's from then on (rulings 8). */
function conforming(snapshot: Snapshot, facts: Facts, observedAt: string, now: Date): OwnedObject[] {
  const { tenant, credentials, owned } = snapshot;
  if (!isFresh(facts.members, observedAt)) return [];
  const { items } = facts.members.value;
  const drifts = diff(tenant.spec, { members: facts.members, candidates: {} }, credentials, observedAt);
  const active = activeMember(tenant.spec, credentials);
  return expectedMembers(tenant.spec).flatMap((identifier) => {
    const member = findMember(items, identifier);
    const differs = drifts.some(({ path }) => path.startsWith(`members.${identifier}`));
    const known = owned.some(({ kind, externalId }) => kind === 'member' && externalId === member?.id);
    if (!member || differs || known || identifier !== active) return [];
    return [
      {
        kind: 'member' as const,
        name: member.identifier,
        externalId: member.id,
        how: 'conforming' as const,
        since: now.toISOString(),
      },
    ];
  });
}

/** Drift keeps the time at which it was first seen, and says what would remove it. */
function withHistory(differences: Difference[], planned: Plan, before: Drift[], now: Date): Drift[] {
  return differences.map((difference) => {
    const step = planned.steps.find(({ removes }) => removes.includes(difference.path));
    const action = !step
      ? 'none:no step removes it'
      : step.state === 'held'
        ? `none:${step.because}`
        : step.action.kind === 'open-handoff'
          ? `handoff:${step.action.handoff}`
          : `api:${step.action.kind}`;
    const since = before.find(({ path }) => path === difference.path)?.since ?? now.toISOString();
    return { ...difference, since, action, accepted: null };
  });
}

/** What changed since the last run, as events: conditions that turned, drift that came and went. */
function changes(before: StoredStatus | null, after: StoredStatus): NewEvent[] {
  const events: NewEvent[] = [];
  for (const condition of after.conditions) {
    const earlier = before?.conditions.find(({ type }) => type === condition.type);
    if (earlier?.status === condition.status && earlier.reason === condition.reason) continue;
    const { type, status, reason, message } = condition;
    events.push({
      type: 'condition-changed',
      message: `${type} is ${status} (${reason}): ${message}`,
      data: { condition: type, status, reason, was: earlier?.status ?? null },
    });
  }
  for (const drift of after.drift) {
    if (before?.drift.some(({ path }) => path === drift.path)) continue;
    const { path, desired, observed } = drift;
    events.push({
      type: 'drift-found',
      message: `${path} is ${observed}, wanted ${desired}`,
      data: { path, desired, observed },
    });
  }
  for (const { path } of before?.drift ?? []) {
    if (after.drift.some((drift) => drift.path === path)) continue;
    events.push({ type: 'drift-gone', message: `${path} no longer differs`, data: { path } });
  }
  return events;
}

/** A live hand-off whose deadline passed is told once; the work is still needed (rulings 27). */
function handoffChanges(snapshot: Snapshot, now: Date): Result['handoffs'] {
  return snapshot.handoffs
    .filter(
      (handoff) => isLive(handoff) && !handoff.overdueSince && Date.parse(handoff.deadline) < now.getTime(),
    )
    .map(({ id }) => ({ change: 'overdue', id }));
}

function provedTimes(facts: Facts): Record<string, string> {
  const proof = facts.integrationKey;
  return proof?.value?.authenticates && proof.at ? { [proof.value.credentialId]: proof.at } : {};
}

/** `blind`: neither vendor showed anything, so that the run counts as failed and is tried again sooner. */
function readingTrouble(observation: Observation): {
  blind: boolean;
  failures: string[];
  retryAfterMs: number;
} {
  const { at: _, candidates, ...named } = observation;
  const readings = [...Object.entries(named), ...Object.entries(candidates)];
  const failing = readings.flatMap(([name, reading]) =>
    reading.ok ? [] : [{ name, failure: reading.failure }],
  );
  return {
    blind: readings.length > 0 && failing.length === readings.length,
    failures: failing.map(({ name }) => name),
    retryAfterMs: Math.max(
      0,
      ...failing.map(({ failure }) => (failure.kind === 'RateLimited' ? failure.retryAfterMs : 0)),
    ),
  };
}

function summarise(conditions: Condition[], failures: string[]): string {
  const wrong = conditions.filter(
    ({ status, type }) => status === 'False' && type !== 'Braked' && type !== 'Paused',
  );
  const parts = [`ready: ${ready(conditions)}`];
  if (wrong.length > 0) parts.push(wrong.map(({ type, reason }) => `${type} ${reason}`).join(', '));
  if (failures.length > 0) parts.push(`not seen: ${failures.join(', ')}`);
  return parts.join('; ');
}

const BACKOFF = { first: toMs('5s'), cap: toMs('15m') };

/**
 * When to look again: after the tenant's period, at a phase of its own so that a fleet is spread; sooner,
 * with growing pauses, while nothing can be seen; never inside a `Retry-After`.
 */
export function nextInMs(
  spec: TenantSpec,
  now: Date,
  failures: number,
  retryAfterMs: number,
  random: () => number,
): number {
  const period = periodMs(spec.every, now);
  const cron = spec.every.includes(' ');
  const phase = cron ? 0 : hash(spec.id) % period;
  const rest = cron ? period : period - ((now.getTime() - phase) % period);
  const regular = rest < period / 2 ? rest + period : rest;
  if (failures === 0) return Math.max(regular, retryAfterMs);
  const pause = Math.min(BACKOFF.first * 2 ** (failures - 1), BACKOFF.cap);
  const jittered = pause * (0.75 + random() / 2);
  return Math.round(Math.max(Math.min(jittered, Math.max(period, BACKOFF.first)), retryAfterMs));
}

/** FNV-1a: spreads tenants over their period, the same on every replica. */
function hash(text: string): number {
  let value = 0x81_1c_9d_c5;
  for (const character of text) {
    value = Math.imul(value ^ character.codePointAt(0)!, 0x01_00_01_93);
  }
  return value >>> 0;
}
