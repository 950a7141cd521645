import { judgeCandidates, type CandidateDecision } from '../domain/candidate.ts';
import { evaluate, type Condition, type IntegrationMemory } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { activeKey, activeMember, diff, findMember, type Difference, type Drift } from '../domain/drift.ts';
import { expectedWrites } from '../domain/evidence.ts';
import { adoption } from '../domain/handoff-progress.ts';
import { isFresh, remember, type Facts, type Observation } from '../domain/observation.ts';
import { plan, type OwnedObject, type Plan, type PlanningGround, type Step } from '../domain/plan.ts';
import { expectedMembers, sameIdentifier } from '../domain/tenant.ts';
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
}

export interface Judgement {
  status: StoredStatus;
  ground: PlanningGround;
  /** What is Parasol's now. */
  owned: OwnedObject[];
  candidates: CandidateDecision[];
}

/**
 * What a look means: facts, what becomes of the pairs, conditions, plan and drift. Pure: the same look judged
 * twice says the same.
 */
export function judge(snapshot: Snapshot, look: Look, standing: Standing, now: Date): Judgement {
  const { tenant, status: before } = snapshot;
  const { spec, generation } = tenant;
  const { observation } = look;
  const observedAt = observation.at;
  const seen = {
    spec,
    facts: remember(standing.facts, observation),
    observedAt,
    credentials: snapshot.credentials,
  };
  const candidates = judgeCandidates(seen);
  const { facts, credentials, memory } = promote(seen, candidates, look.memory, now);
  if (memory.install?.adopted === null) {
    memory.install = {
      ...memory.install,
      adopted: adoption({ spec, facts, memory }, memory.install, snapshot.handoffs),
    };
  }

  const owned = [...standing.owned, ...conforming({ ...seen, facts, credentials }, standing.owned, now)];
  const { capReached } = standing;
  const conditions = evaluate(
    { spec, facts, memory, credentials, now, capReached },
    generation,
    before?.conditions ?? [],
  );
  const ground: PlanningGround = {
    spec,
    facts,
    observedAt,
    now,
    credentials,
    owned,
    unsettled: standing.unsettled,
    memory,
    integrated: conditions.find(({ type }) => type === 'UmbrellaIntegrated')!,
    deleting: tenant.deleting,
  };
  const planned = plan(ground);
  const drift = withHistory(diff(spec, facts, credentials), planned, before?.drift ?? [], now);
  const status = {
    observedGeneration: generation,
    facts,
    memory,
    conditions,
    drift,
    plan: planned,
    observedAt,
  };
  return { status, ground, owned, candidates };
}

type Seen = Pick<PlanningGround, 'spec' | 'facts' | 'observedAt' | 'credentials'>;

/** The pairs in their new states; what a promoted one showed is what the key in use showed. */
function promote(
  { spec, facts, credentials }: Seen,
  decisions: CandidateDecision[],
  memory: IntegrationMemory,
  now: Date,
): { facts: Facts; credentials: HeldCredential[]; memory: IntegrationMemory } {
  const becomes = new Map(decisions.map(({ credential, becomes }) => [credential.id, becomes]));
  const promoted = decisions.find(({ becomes }) => becomes === 'active')?.credential;
  const before = activeKey(credentials);
  const after = credentials.map((held): HeldCredential => {
    if (promoted && held.id === before?.id) return { ...held, state: 'superseded' };
    return { ...held, state: becomes.get(held.id) ?? held.state };
  });
  const proof = promoted && facts.candidates[promoted.id];
  if (!promoted || !proof) return { facts, credentials: after, memory };

  const { [promoted.id]: _, ...others } = facts.candidates;
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
    facts: { ...facts, integrationKey: proof, candidates: others },
    credentials: after,
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

/** The active member, seen exactly as specified, by name, is Parasol's from then on (rulings 8). */
function conforming(
  { spec, facts, observedAt, credentials }: Seen,
  owned: OwnedObject[],
  now: Date,
): OwnedObject[] {
  if (!isFresh(facts.members, observedAt)) return [];
  const identifier = activeMember(spec, credentials);
  const member = findMember(facts.members.value.items, identifier);
  const differs = diff(spec, { members: facts.members, candidates: {} }, credentials, observedAt).some(
    ({ path }) => path === `members.${identifier}` || path.startsWith(`members.${identifier}.`),
  );
  const known = owned.some(({ kind, externalId }) => kind === 'member' && externalId === member?.id);
  if (!member || differs || known || !expectedMembers(spec).includes(identifier)) return [];
  const { id: externalId, identifier: name } = member;
  return [{ kind: 'member', name, externalId, how: 'conforming', since: now.toISOString() }];
}

/** Drift keeps the time at which it was first seen, and says what would remove it. */
function withHistory(differences: Difference[], planned: Plan, before: Drift[], now: Date): Drift[] {
  return differences.map((difference) => {
    const step = planned.steps.find(({ removes }) => removes.includes(difference.path));
    const since = before.find(({ path }) => path === difference.path)?.since ?? now.toISOString();
    return { ...difference, since, action: wayOut(step), accepted: null };
  });
}

function wayOut(step: Step | undefined): string {
  if (!step) return 'none:no step removes it';
  if (step.state === 'held') return `none:${step.because}`;
  return step.action.kind === 'open-handoff' ? `handoff:${step.action.handoff}` : `api:${step.action.kind}`;
}

/** What changed since the last run, as events: conditions that turned, drift that came and went. */
export function changes(before: StoredStatus | null, after: StoredStatus): NewEvent[] {
  return [
    ...after.conditions.flatMap((condition) => turned(before?.conditions ?? [], condition)),
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

function turned(before: Condition[], { type, status, reason, message }: Condition): NewEvent[] {
  const earlier = before.find((condition) => condition.type === type);
  if (earlier?.status === status && earlier.reason === reason) return [];
  return [
    {
      type: 'ConditionChanged',
      message: `${type} is ${status} (${reason}): ${message}`,
      data: { condition: type, status, reason, was: earlier?.status ?? null },
    },
  ];
}
