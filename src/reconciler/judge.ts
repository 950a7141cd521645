import {
  acceptanceOf,
  acceptancesWakeAt,
  inForce,
  reviewAcceptances,
  type Acceptance,
  type AcceptanceChange,
} from '../domain/acceptance.ts';
import { takenIn } from '../domain/adoption.ts';
import { plan } from '../domain/plan.ts';
import type { Plan, Step } from '../domain/action.ts';
import { sightings, underBrake, type Before, type Hold, type Sighting } from '../domain/brake.ts';
import { judgeCandidates, type CandidateDecision } from '../domain/candidate.ts';
import { evaluate, type Condition, type IntegrationMemory } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { activeKey, activeMember, diff, findMember, type Difference, type Drift } from '../domain/drift.ts';
import { expectedWrites } from '../domain/evidence.ts';
import {
  servingMembers,
  SETTLE_MS,
  wasSeen,
  whyHeld,
  type OwnedObject,
  type PlanningGround,
} from '../domain/ground.ts';
import { adoption } from '../domain/handoff-progress.ts';
import {
  believed,
  remember,
  type Facts,
  type KeyProof,
  type Observation,
  type Remembered,
} from '../domain/observation.ts';
import { deadlineOf, isOver, next, requested, standsAs, type Rotation } from '../domain/rotation.ts';
import {
  freshIdentifier,
  sightOf,
  wakesAt,
  whyRotate,
  type RotationGround,
} from '../domain/rotation-sight.ts';
import { judgeSuccessors } from '../domain/successor.ts';
import { expectedMembers, sameIdentifier, slotOf } from '../domain/tenant.ts';
import { told } from '../domain/told.ts';
import { asToldTo } from '../domain/umbrella-rotation.ts';
import type { NewEvent, Snapshot, StoredStatus } from './ports.ts';

/** What one look at the vendors brought. */
export interface Look {
  observation: Observation;
  memory: IntegrationMemory;
}

/** What this reconcile itself knows beside what it read. */
export interface Standing {
  /** Facts and memory as they stood before this look. */
  facts: Facts;
  /** What is Parasol's, what this reconcile made included. */
  owned: OwnedObject[];
  /** Keys of intents of which it is not known yet what became. */
  unsettled: string[];
  capReached: boolean;
  /** The fleet's brake that holds the tenant; null: none does. */
  brake: Hold | null;
  /** What was known before this run. */
  before: Before;
  /** The id of a rotation that begins with this reconcile, if one does. */
  rotationId: string;
}

export interface Judgement {
  status: StoredStatus;
  /** In which ways the tenant differs, for the fleet's brake. */
  sightings: Sighting[];
  ground: PlanningGround;
  /** What is Parasol's now. */
  owned: OwnedObject[];
  candidates: CandidateDecision[];
  /** Pairs that a rotation moved to another state. */
  moved: CandidateDecision[];
  /** As it is now; the same object as the stored one where nothing changed. */
  rotation: Rotation | null;
  /** When the rotation has something to do by itself, ISO 8601. */
  rotationWakesAt: string | null;
  /** What becomes of what people accepted. */
  acceptances: AcceptanceChange[];
  /** When one of them has something to tell by itself, ISO 8601. */
  acceptanceWakesAt: string | null;
}

/**
 * What a look means: facts, what becomes of the pairs, how far a rotation is, conditions, plan and drift. Pure: the
 * same look judged twice says the same.
 */
export function judge(snapshot: Snapshot, look: Look, standing: Standing, now: Date): Judgement {
  const { tenant, status: before, handoffs } = snapshot;
  const umbrellaRotation = snapshot.umbrellaRotation && asToldTo(tenant.id, snapshot.umbrellaRotation);
  const { spec, generation, pause } = tenant;
  const { observation } = look;
  const observedAt = observation.at;
  const { subject } = look.memory;
  const accepted = inForce(snapshot.acceptances, subject, now);
  const seen = {
    spec,
    facts: remember(
      standing.facts,
      believed(observation, look.memory.switched ?? [], { now, settleMs: SETTLE_MS }),
    ),
    observedAt,
    credentials: snapshot.credentials,
    accepted,
  };
  const { brake } = standing;
  const mayRotate = whyHeld({ ...tenant, brake }) === null;
  const candidates = judgeCandidates({
    ...seen,
    memory: look.memory,
    rotation: snapshot.rotation,
    mayRotate,
  });
  const successors = judgeSuccessors(seen);
  const promoted = promote(succeed(seen, successors), candidates, look.memory, now);
  const { memory } = promoted;
  if (memory.install?.adopted === null) {
    memory.install = {
      ...memory.install,
      adopted: adoption({ spec, facts: promoted.facts, memory }, memory.install, handoffs),
    };
  }

  const owned = [...standing.owned, ...takenIn({ ...seen, ...promoted }, standing.owned, now)];
  const { capReached } = standing;
  const evaluated = (
    rotation: Rotation | null,
    { facts, credentials }: Pick<Seen, 'facts' | 'credentials'>,
  ) =>
    evaluate(
      {
        spec,
        facts,
        memory,
        credentials,
        now,
        capReached,
        brake,
        rotation,
        umbrellaRotation,
        handoffs,
        pause,
        accepted,
      },
      generation,
      before?.conditions ?? [],
    );
  const integratedIn = (conditions: Condition[]) =>
    conditions.find(({ type }) => type === 'UmbrellaIntegrated')!;

  const first = evaluated(snapshot.rotation, promoted);
  const ground: PlanningGround = {
    spec,
    ...promoted,
    observedAt,
    now,
    owned,
    unsettled: standing.unsettled,
    integrated: integratedIn(first),
    deleting: tenant.deleting,
    pause,
    brake,
    accepted,
    rotation: snapshot.rotation,
    committed: true,
    overdueDeletions: handoffs.flatMap(({ kind, subject, deadline }) =>
      kind === 'delete-key' && Date.parse(deadline) < now.getTime() ? [subject] : [],
    ),
  };
  const rotated = rotate({ ...ground, handoffs, candidates }, snapshot.rotation, standing.rotationId);
  const { rotation, moved } = rotated;
  const { facts, credentials } = move(promoted, moved);
  const same = rotation === snapshot.rotation && moved.length === 0;
  const conditions = same ? first : evaluated(rotation, { facts, credentials });
  const after = {
    ...ground,
    facts,
    credentials,
    memory,
    integrated: integratedIn(conditions),
    rotation,
    committed: standsAs(rotation, snapshot.rotation),
  };
  const wished = plan(after);
  const planned = underBrake(wished, brake);
  const differences = diff(spec, facts, credentials, { serving: servingMembers(after) });
  const drift = withHistory(differences, { planned, accepted }, before?.drift ?? [], now);
  const status = {
    observedGeneration: generation,
    facts,
    memory: rotated.memory,
    conditions,
    drift,
    plan: planned,
    observedAt,
  };
  return {
    status,
    sightings: sightings({ ...status, spec, credentials, plan: wished }, standing.before, brake),
    ground: { ...after, memory: rotated.memory },
    owned,
    candidates: [...candidates, ...successors],
    moved,
    rotation,
    rotationWakesAt: rotated.wakesAt,
    acceptances: reviewAcceptances(snapshot.acceptances, {
      differences,
      wasSeen: (path) => wasSeen(after, path),
      subject,
      now,
    }),
    acceptanceWakesAt: acceptancesWakeAt(accepted, now),
  };
}

type Seen = Pick<PlanningGround, 'spec' | 'facts' | 'observedAt' | 'credentials'>;

interface Rotated {
  rotation: Rotation | null;
  moved: CandidateDecision[];
  memory: IntegrationMemory;
  wakesAt: string | null;
}

/** How far the rotation is by what was seen, or the one that begins now. */
function rotate(ground: RotationGround, stored: Rotation | null, newId: string): Rotated {
  const { spec, memory, now } = ground;
  if (!stored) {
    const begins = whyRotate(ground);
    const rotation = begins
      ? requested({
          ...begins,
          id: newId,
          tenantId: spec.id,
          by: null,
          cutNow: false,
          at: now.toISOString(),
        })
      : null;
    return { rotation, moved: [], memory, wakesAt: null };
  }
  const rotation = next(stored, (one) => sightOf(ground, one));
  const sight = sightOf(ground, rotation);
  return {
    rotation,
    moved: consequences(ground, stored, rotation),
    memory: remembered(ground, stored, rotation),
    wakesAt: wakesAt(rotation, sight, deadlineOf(rotation, sight), spec),
  };
}

/** What becomes of the pairs by what the rotation saw. */
function consequences(ground: RotationGround, stored: Rotation, rotation: Rotation): CandidateDecision[] {
  const { credentials } = ground;
  const moved: CandidateDecision[] = [];
  const become = (id: string | null | undefined, becomes: CandidateDecision['becomes'], because: string) => {
    const credential = credentials.find((held) => held.id === id);
    if (credential && credential.state !== becomes) moved.push({ credential, becomes, because });
  };
  const { old, fresh, adopted, target } = rotation;
  const undone = rotation.undoing && isOver(rotation) && !isOver(stored);
  if (adopted) become(fresh?.credentialId, 'active', adopted.evidence.replace(/\.$/, ''));
  if (old?.deadSince) {
    if (adopted || rotation.reversed)
      become(old.credentialId, 'dead', `ConnectWise refused it at ${old.deadSince}`);
  } else if (adopted) {
    become(old?.credentialId, 'superseded', `Umbrella uses ${fresh?.fingerprint} by now`);
  }
  if (undone && target !== null) {
    const off = findMember(ground.facts.members?.value?.items ?? [], target)?.inactive;
    const given = credentials.filter(
      ({ id, state, member }) =>
        id === fresh?.credentialId ||
        ((state === 'candidate' || state === 'proved') && member !== null && sameIdentifier(member, target)),
    );
    for (const { id } of given) become(id, off ? 'superseded' : 'refused', 'the rotation was taken back');
  }
  return moved;
}

/** The slots' members, and how the last rotation ended. */
function remembered(ground: RotationGround, stored: Rotation, rotation: Rotation): IntegrationMemory {
  const { memory, spec } = ground;
  let kept = memory;
  const now = expectedMembers(spec);
  const replace = (identifier: string, by: string) => {
    const of = memory.slots?.of ?? now;
    const names = (kept.slots?.now ?? now).map((name) => (sameIdentifier(name, identifier) ? by : name));
    kept = { ...kept, slots: { of, now: names } };
  };
  const { target, old } = rotation;
  if (target !== null && !isOver(rotation) && !now.some((name) => sameIdentifier(name, target))) {
    const slot = stored.target ?? now.find((name) => !old?.member || !sameIdentifier(name, old.member));
    if (slot !== undefined) replace(slot, target);
  }
  if (isOver(rotation) && !isOver(stored)) {
    const { id, phase, endedAt, outcome } = rotation;
    kept = { ...kept, lastRotation: { id, phase, endedAt: endedAt!, outcome: outcome! } };
    const spent = spentMember(ground, rotation);
    if (spent !== null) replace(spent, freshIdentifier(ground, spent));
  }
  return kept;
}

/** A member whose keys were not all seen dead is never used again, nor is one of a compromised key (rulings 19). */
function spentMember({ spec, credentials, memory }: RotationGround, rotation: Rotation): string | null {
  const { old, target, undoing, cause, phase } = rotation;
  const retired = undoing ? target : (old?.member ?? null);
  const kept = undoing ? (old?.member ?? null) : target;
  if (retired === null || slotOf(spec, retired) === null || phase === 'Failed') return null;
  if (kept !== null && sameIdentifier(kept, retired)) return null;
  const asked = rotation.history.some((entry) => entry.phase === 'AwaitingKey');
  if (undoing) return asked && !sameIdentifier(retired, activeMember(spec, credentials)) ? retired : null;
  const undead = credentials.some(
    ({ id, member, state, purpose }) =>
      purpose === 'integration' &&
      member !== null &&
      sameIdentifier(member, retired) &&
      state !== 'dead' &&
      id !== old?.credentialId,
  );
  const { install } = memory;
  // It wrote before Parasol had a key of it, so that it has another, which nobody saw die.
  const unheld = install?.member != null && sameIdentifier(install.member, retired) && !install.observable;
  return cause === 'compromise' || !old?.deadSince || undead || unheld ? retired : null;
}

/** The pairs in their new states; what a key that came into use showed is what the key in use showed. */
function move(
  { facts, credentials }: Pick<Seen, 'facts' | 'credentials'>,
  decisions: CandidateDecision[],
): Pick<Seen, 'facts' | 'credentials'> {
  if (decisions.length === 0) return { facts, credentials };
  const becomes = new Map(decisions.map((decision) => [decision.credential.id, decision.becomes]));
  const before = activeKey(credentials);
  const promoted = decisions.find((decision) => decision.becomes === 'active')?.credential;
  const after = credentials.map((held): HeldCredential => {
    const state = becomes.get(held.id);
    if (promoted && held.id === before?.id && !state) return { ...held, state: 'superseded' };
    return { ...held, state: state ?? held.state };
  });
  const proof = promoted && facts.candidates[promoted.id];
  if (!promoted || !proof) return { facts, credentials: after };
  const { [promoted.id]: _, ...others } = facts.candidates;
  const stepped = before && facts.integrationKey?.value?.credentialId === before.id;
  const candidates = {
    ...others,
    ...(stepped ? { [before.id]: facts.integrationKey as Remembered<KeyProof> } : {}),
  };
  return { facts: { ...facts, integrationKey: proof, candidates }, credentials: after };
}

/** Parasol's own keys in their new states; what the one that takes over showed is what the key in use showed. */
function succeed(seen: Seen, decisions: CandidateDecision[]): Seen {
  const next = decisions.find(({ becomes }) => becomes === 'active')?.credential;
  const becomes = new Map(decisions.map((decision) => [decision.credential.id, decision.becomes]));
  const credentials = seen.credentials.map((held): HeldCredential => {
    const replaced = next && held.purpose === 'management' && held.state === 'active';
    return { ...held, state: replaced ? 'superseded' : (becomes.get(held.id) ?? held.state) };
  });
  const proof = next && seen.facts.candidates[next.id];
  if (!next || !proof?.value?.authenticates) return { ...seen, credentials };
  const { member, missing = [] } = proof.value;
  const { failure: _, ...remembered } = proof;
  const facts: Facts = {
    ...seen.facts,
    management: { ...remembered, value: { authenticates: true, member, missing } },
  };
  // It did the same reads in this very look.
  for (const name of ['members', 'roles', 'roleLevels', 'writes'] as const) {
    if (facts[name]) Object.assign(facts, { [name]: { ...facts[name], credentialId: next.id } });
  }
  return { ...seen, credentials, facts };
}

/** A promoted pair may be in Umbrella from now on (rulings 17); whether its member's writes tell so. */
function promote(
  { spec, facts, credentials }: Seen,
  decisions: CandidateDecision[],
  memory: IntegrationMemory,
  now: Date,
): { facts: Facts; credentials: HeldCredential[]; memory: IntegrationMemory } {
  const promoted = decisions.find(({ becomes }) => becomes === 'active')?.credential;
  const before = activeKey(credentials);
  const after = move({ facts, credentials }, decisions);
  if (!promoted) return { ...after, memory: { ...memory } };

  const wasDead =
    before !== null &&
    facts.integrationKey?.value?.credentialId === before.id &&
    !facts.integrationKey.value.authenticates;
  const member = promoted.member ?? activeMember(spec, credentials);
  const wrote = facts.writes?.value
    ? expectedWrites(spec, facts.writes.value).some(({ by }) => sameIdentifier(by, member))
    : true;
  const sameMemberDead = wasDead && before.member !== null && sameIdentifier(before.member, member);
  return {
    ...after,
    memory: {
      ...memory,
      install: {
        fingerprint: promoted.fingerprint,
        member,
        promotedAt: now.toISOString(),
        observable: spec.connectwise.members.strategy === 'alternating' && (sameMemberDead || !wrote),
        adopted: null,
      },
    },
  };
}

/** Drift keeps the time at which it was first seen, and says what would remove it. */
function withHistory(
  differences: Difference[],
  { planned, accepted }: { planned: Plan; accepted: Acceptance[] },
  before: Drift[],
  now: Date,
): Drift[] {
  return differences.map((difference) => {
    const step = planned.steps.find(({ removes }) => removes.includes(difference.path));
    const since = before.find(({ path }) => path === difference.path)?.since ?? now.toISOString();
    const by = acceptanceOf(accepted, difference);
    return by
      ? {
          ...difference,
          since,
          action: 'none:accepted',
          accepted: { by: by.by, reason: by.reason, until: by.expiresAt },
        }
      : { ...difference, since, action: wayOut(step), accepted: null };
  });
}

function wayOut(step: Step | undefined): string {
  if (!step) return 'none:no step removes it';
  if (step.state === 'held') return `none:${step.because}`;
  return step.action.kind === 'open-handoff' ? `handoff:${step.action.handoff}` : `api:${step.action.kind}`;
}

const ACCEPTANCE_EVENTS: Record<AcceptanceChange['change'], string> = {
  announce: 'AcceptanceExpiring',
  expire: 'AcceptanceExpired',
  void: 'AcceptanceVoid',
};

export const acceptanceEvents = (changes: readonly AcceptanceChange[]): NewEvent[] =>
  changes.map(({ id, change, message }) => ({
    type: ACCEPTANCE_EVENTS[change],
    message,
    data: { acceptance: id },
  }));

/** What changed since the last run, as events: conditions that turned, drift that came and went. */
export function changes(before: StoredStatus | null, after: StoredStatus, now: Date): NewEvent[] {
  return [
    ...after.conditions.flatMap((condition) => turned(before?.conditions ?? [], condition, now)),
    ...after.drift
      .filter(({ path }) => !before?.drift.some((drift) => drift.path === path))
      .map(({ path, desired, observed }) => ({
        type: 'DriftFound',
        message: `${path} is ${observed}, wanted ${desired}`,
        data: { path, desired, observed },
      })),
    ...(before?.drift ?? [])
      .filter(({ path }) => !after.drift.some((drift) => drift.path === path))
      .map(({ path }) => ({ type: 'DriftGone', message: `${path} no longer differs`, data: { path } })),
  ];
}

function turned(before: Condition[], { type, status, reason, message }: Condition, now: Date): NewEvent[] {
  const earlier = before.find((condition) => condition.type === type);
  if (earlier?.status === status && earlier.reason === reason) return [];
  return [
    {
      type: 'ConditionChanged',
      message: `${type} is ${status} (${reason}): ${told(message, now)}`,
      data: { condition: type, status, reason, was: earlier?.status ?? null },
    },
  ];
}

/** What became of the rotation, as events: its phases, what is worth an alert, and its end. */
export function rotationEvents(before: Rotation | null, after: Rotation | null): NewEvent[] {
  if (!after || after === before) return [];
  const { id, cause, old, fresh, target } = after;
  const data = {
    rotation: id,
    cause,
    old: old?.fingerprint ?? null,
    new: fresh?.fingerprint ?? null,
    member: target,
  };
  const known = before ? before.history.length : 0;
  const told = before ? before.notices.length : 0;
  return [
    ...after.history.slice(known).map(({ phase, evidence }) => ({
      type: isOver({ phase }) ? 'RotationEnded' : before ? 'RotationPhase' : 'RotationRequested',
      message: `Rotation of the integration key: ${phase}. ${evidence}`,
      data: { ...data, phase },
    })),
    ...after.notices.slice(told).map(({ kind, message }) => ({
      type: `Rotation${kind}`,
      message,
      data,
    })),
  ];
}
