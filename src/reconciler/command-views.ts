import type { HeldCredential } from '../domain/credential.ts';
import { deletionWaitsFor } from '../domain/deletion.ts';
import { formatSpan, toMs } from '../domain/duration.ts';
import {
  expectedWrites,
  matchCustomers,
  newestWrite,
  provedCadence,
  type MatchedCustomer,
} from '../domain/evidence.ts';
import { noFacts, type Facts } from '../domain/observation.ts';
import { seenToWork } from '../domain/proved.ts';
import { readiness, type Observed } from '../domain/readiness.ts';
import { deadlineOf, waitsFor, type Rotation } from '../domain/rotation.ts';
import { whyHeld, whyNoWrite } from '../domain/ground.ts';
import { isOn, type Pause } from '../domain/pause.ts';
import { cycleMs, inSlots, originFor, slotOf, subjectOf, type TenantSpec } from '../domain/tenant.ts';
import { told } from '../domain/told.ts';
import { waitingInWords } from '../domain/waiting.ts';
import { asToldTo, isOver, type UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import type {
  CredentialView,
  CustomerView,
  DeletionView,
  KekView,
  KeyView,
  PlanView,
  RotationRecordView,
  RotationView,
  RunDetail,
  StatusView,
  TenantSummary,
  TenantView,
  UmbrellaRotationView,
} from './commands.ts';
import type {
  CredentialRecord,
  KekRecord,
  RunFindings,
  RunRecord,
  StoredStatus,
  StoredTenant,
  TenantRecord,
  TenantRow,
} from './ports.ts';

/** Turns what is stored into what is shown. Pure: the same rows at the same time show the same. */

export function tenantView({
  tenant,
  credentials,
}: {
  tenant: StoredTenant;
  credentials: HeldCredential[];
}): TenantView {
  const { id, generation, createdAt, updatedAt, deleting, spec } = tenant;
  return {
    id,
    generation,
    createdAt,
    updatedAt,
    deleting,
    spec,
    credentials: credentials.map((held) => keyView(spec, held)),
  };
}

function keyView(spec: TenantSpec, held: HeldCredential, facts = noFacts()): KeyView {
  const { purpose, member, fingerprint, createdAt, origin } = held;
  const usable = origin === originFor(spec, purpose);
  const mayServe = held.state === 'active' || held.state === 'candidate' || held.state === 'proved';
  const rotates = purpose === 'integration' && held.state === 'active' && usable;
  return {
    purpose,
    slot: member === null ? null : slotOf(spec, member),
    member,
    fingerprint,
    // Kept, and not used: it was given for another address than the spec's (rulings 11).
    state: mayServe && !usable ? 'bound-elsewhere' : held.state,
    createdAt,
    lastProvedAt: seenToWork(held, facts) ?? held.lastProvedAt,
    rotateBy: rotates ? new Date(Date.parse(createdAt) + toMs(spec.rotation.maxAge)).toISOString() : null,
  };
}

/** What is shown of a run's findings is less than what was kept. */
export function runDetail({ run, saw }: { run: RunRecord; saw: RunFindings | null }): RunDetail {
  return {
    ...run,
    calls: saw?.since === run.id ? saw.calls : null,
    saw: saw && {
      since: saw.since,
      conditions: saw.conditions.map(({ type, status, reason, message }) => ({
        type,
        status,
        reason,
        message,
      })),
      drift: saw.drift.map(({ path, kind, desired, observed }) => ({ path, kind, desired, observed })),
    },
  };
}

/** Every pair that the tenant ever had, newest first. */
export const credentialViews = ({
  tenant: { spec },
  credentials,
}: {
  tenant: StoredTenant;
  credentials: CredentialRecord[];
}): CredentialView[] =>
  credentials.toReversed().map((held) => {
    const { rotateBy: _, ...view } = keyView(spec, held);
    const { since, because, destroyedAt } = held;
    return { ...view, since, because, destroyedAt };
  });

/** Key-encryption keys that were ever used, oldest first, with how much is sealed under each. */
export function kekViews(keys: KekRecord[], counts: { kid: string | null; count: number }[]): KekView[] {
  return keys.map(({ kid, createdAt, retiredAt, check }) => ({
    kid,
    createdAt,
    state: retiredAt === null ? 'in-use' : check === null ? 'retired' : 'being-replaced',
    retiredAt,
    sealed: counts.find((one) => one.kid === kid)?.count ?? 0,
  }));
}

/**
 * What is in use or waits, the Umbrella key that a rotation has still to delete, and pairs that died since the one
 * in use came; the rest is history.
 */
function currentKeys(
  spec: TenantSpec,
  credentials: HeldCredential[],
  umbrella: UmbrellaRotation | null,
  facts: Facts | undefined,
): KeyView[] {
  const goes = (held: HeldCredential) =>
    umbrella !== null && !isOver(umbrella) && held.fingerprint === umbrella.old.fingerprint;
  const inUse = (held: HeldCredential) =>
    credentials.find(({ purpose, state }) => purpose === held.purpose && state === 'active');
  return credentials
    .filter(
      (held) =>
        (held.state !== 'superseded' || goes(held)) &&
        (held.state !== 'dead' || held.createdAt > (inUse(held)?.createdAt ?? '')),
    )
    .map((held) => keyView(spec, held, facts));
}

export function summaryView({ tenant, observed, unreadySince, drift }: TenantRow, now: Date): TenantSummary {
  const { id, spec, deleting, nextReconcileAt } = tenant;
  const { name, mode, labels } = spec;
  const { ready, waitsFor } = readiness(tenant, observed, now);
  return {
    id,
    name,
    mode,
    ready,
    waitsFor: deleting ? endWords(observed, now) : waitsFor,
    paused: spec.paused || isOn(tenant.pause),
    labels,
    unreadySince,
    drift,
    observedAt: observed?.observedAt ?? null,
    nextReconcileAt,
  };
}

/** In a list, where only the conditions are at hand. */
function endWords(observed: Observed, now: Date): string {
  const reachable = observed?.conditions.find(({ type }) => type === 'ConnectWiseReachable');
  return reachable && reachable.status !== 'True'
    ? `its deletion: ${told(reachable.message, now)}`
    : 'its deletion';
}

function deletionView({ tenant, status }: TenantRecord): DeletionView | null {
  const { deletion, spec, triggerSeq, handledSeq } = tenant;
  if (!deletion) return null;
  const unlooked = !status || handledSeq < triggerSeq;
  const waitsFor = unlooked || deletion.unseen ? null : deletionWaitsFor({ ...status, spec }, status.plan);
  if (waitsFor === null) return { ...deletion, waitsFor: 'its last look, which is due' };
  // A pause, a mode or the brake that came since it was asked for.
  const held = spec.onDelete === 'orphan' ? null : whyNoWrite(tenant);
  const why = held === null ? '' : ` It writes nothing meanwhile: ${held}.`;
  return { ...deletion, waitsFor: waitsFor + why };
}

export function statusView(record: TenantRecord, now: Date): StatusView {
  const { tenant, status, credentials, handoffs, lastRun, rotation, umbrellaRotation } = record;
  const { id, generation, triggerSeq, handledSeq, nextReconcileAt } = tenant;
  const spec = inSlots(tenant.spec, status?.memory.slots);
  return {
    tenant: id,
    name: spec.name,
    mode: spec.mode,
    paused: spec.paused || isOn(tenant.pause),
    pause: pauseView(tenant.pause),
    deleting: deletionView(record),
    generation,
    observedGeneration: status?.observedGeneration ?? null,
    ready: readiness(tenant, status, now).ready,
    conditions: (status?.conditions ?? []).map((one) => ({ ...one, message: told(one.message, now) })),
    drift: status?.drift ?? [],
    keys: currentKeys(spec, credentials, umbrellaRotation, status?.facts),
    evidence: evidenceView(tenant.spec, status, now),
    rotation: rotation && rotationView(record, rotation),
    umbrellaRotation: umbrellaRotation && umbrellaRotationView(id, umbrellaRotation),
    handoffs: handoffs.map(({ id, kind, subject, state, deadline, claimedBy, overdueSince, automation }) => ({
      id,
      kind,
      subject,
      state,
      deadline,
      claimedBy,
      overdueSince,
      automation,
    })),
    lastRun,
    trigger: { requested: triggerSeq, handled: handledSeq },
    nextReconcileAt,
    waiting: waitingView(tenant, now),
  };
}

function waitingView({ waiting, spec }: StoredTenant, now: Date): StatusView['waiting'] {
  if (waiting === null) return null;
  const { kind, since, everyMs } = waiting;
  const every = everyMs === null ? null : formatSpan(everyMs);
  return { budget: kind, since, every, message: waitingInWords(waiting, cycleMs(spec.every, now)) };
}

function pauseView(pause: Pause | null): StatusView['pause'] {
  if (!isOn(pause)) return null;
  const { leftMs: _, ...told } = pause;
  return told;
}

function rotationView(
  { tenant, status }: Pick<TenantRecord, 'tenant' | 'status'>,
  rotation: Rotation,
): RotationView {
  const { id, phase, since, cause, by, reason, target, old, fresh } = rotation;
  const { overlap, adoptionDeadline } = tenant.spec.rotation;
  const cadence = provedCadence(status?.memory.bursts ?? []) ?? 0;
  return {
    id,
    phase,
    since,
    cause,
    by,
    reason,
    member: target,
    old: old && { fingerprint: old.fingerprint, member: old.member, deadSince: old.deadSince },
    new: fresh && { fingerprint: fresh.fingerprint, member: fresh.member },
    deadline: deadlineOf(rotation, {
      quietMs: cause === 'compromise' ? 0 : Math.max(toMs(overlap), 2 * cadence),
      adoptionDeadlineMs: toMs(adoptionDeadline),
    }),
    next: waitsFor(rotation, whyHeld(tenant)),
    rollingBack: rotation.reversed || rotation.undoing,
  };
}

/** As that tenant is told of it; `others` counts those that share the key and were switched, too. */
export const umbrellaRotationView = (tenant: string, rotation: UmbrellaRotation): UmbrellaRotationView => {
  const { number, phase, since, startedAt, cause, why, by, tenants, held, stuck, evidence, old, fresh } =
    asToldTo(tenant, rotation);
  const others = rotation.tenants.length - tenants.length;
  const named = { old: old.fingerprint, new: fresh?.fingerprint ?? null };
  return {
    number,
    phase,
    since,
    startedAt,
    cause,
    why,
    by,
    ...named,
    tenants,
    others,
    held,
    stuck,
    evidence,
  };
};

export function rotationRecordView(
  record: Pick<TenantRecord, 'tenant' | 'status'>,
  rotation: Rotation,
): RotationRecordView {
  const { requestedAt, admittedAt, installable, adopted, history, notices, outcome, endedAt } = rotation;
  const { old, ...view } = rotationView(record, rotation);
  return {
    ...view,
    old: old && { ...old, lastWrite: rotation.old?.lastWrite ?? null },
    cutNow: rotation.cutNow,
    requestedAt,
    admittedAt,
    installable,
    adopted,
    history,
    notices,
    outcome,
    endedAt,
  };
}

/** What was seen, and learned, of the company and the console that the spec names; of others it says nothing. */
export function seenOf(
  spec: TenantSpec,
  status: StoredStatus | null,
): Pick<StoredStatus, 'facts' | 'memory'> {
  const subject = subjectOf(spec);
  return status && (status.memory.subject ?? subject) === subject
    ? status
    : { facts: noFacts(), memory: { type: null, bursts: [] } };
}

function evidenceView(stored: TenantSpec, status: StoredStatus | null, now: Date): StatusView['evidence'] {
  const { facts, memory } = seenOf(stored, status);
  const spec = inSlots(stored, memory.slots);
  const { writes, customers } = facts;
  const written = writes?.value && expectedWrites(spec, writes.value);
  // A write that is dated ahead of the clock would count as the newest until that day.
  const past = (written ?? []).filter(({ at }) => Date.parse(at) <= now.getTime());
  const newest = newestWrite(spec, memory, past);
  return {
    lastUmbrellaWriteAt: newest?.at ?? null,
    by: newest?.by ?? null,
    customers: customers?.value?.length ?? null,
    configurations: written?.length ?? null,
  };
}

export function planView({ tenant, status }: Pick<TenantRecord, 'tenant' | 'status'>): PlanView {
  return {
    tenant: tenant.id,
    mode: tenant.spec.mode,
    generation: status?.observedGeneration ?? tenant.generation,
    observedAt: status?.observedAt ?? null,
    plan: status?.plan ?? { steps: [] },
  };
}

export function customerViews({ tenant: { spec }, status }: TenantRecord): CustomerView[] {
  const { customers, writes } = seenOf(spec, status).facts;
  return matchCustomers(customers?.value ?? [], writes?.value).map(customerView);
}

function customerView({ customer, configuration }: MatchedCustomer): CustomerView {
  return {
    customerId: customer?.id ?? null,
    customer: customer?.name ?? configuration?.company?.name ?? configuration?.name ?? '',
    configuration: configuration && {
      id: configuration.id,
      name: configuration.name,
      company: configuration.company?.identifier ?? null,
    },
    matchedBy: customer && configuration ? 'name' : null,
    lastWriteAt: configuration?.lastUpdated ?? null,
    lastWriteBy: configuration?.updatedBy ?? null,
  };
}
