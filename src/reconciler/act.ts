import { rolesNamed, findMember, theRole } from '../domain/drift.ts';
import { isFresh, type Switched } from '../domain/observation.ts';
import { describeFailure, type Outcome } from '../domain/outcome.ts';
import { describeAction, intentKey, takesAway, type Action, type Step } from '../domain/action.ts';
import type { Hold } from '../domain/brake.ts';
import { isOwned, SETTLE_MS, type OwnedObject, type PlanningGround } from '../domain/ground.ts';
import type {
  CallContext,
  Claim,
  Claims,
  Clock,
  ConnectWiseWrites,
  Ids,
  OpenIntent,
  Reconciles,
  Result,
  Snapshot,
  Vendors,
} from './ports.ts';
import type { HeldKey } from './observe.ts';

/** What acting needs of the world. */
export interface ActDeps {
  reconciles: Reconciles;
  claims: Claims;
  vendors: Vendors;
  clock: Clock;
  ids: Ids;
}

export interface ActLimits {
  /** The fleet's cap (rulings 12). */
  repairsPerHour: number;
  /** What one write may take: the claim must outlive it (design.md §3). */
  writeMs: number;
}

type Settled = Result['intents'];

/** What became of intents that an earlier run left open, found by looking outside (design.md §3.2). */
export interface Looked {
  settled: Settled;
  owned: OwnedObject[];
  /** Keys of those of which nothing can be said yet. */
  unsettled: string[];
}

/**
 * Looks for the effect of each intent that is still open: what is there was made by it, what is not there for
 * long enough was not. Nothing is concluded from a list that may be incomplete or old (rulings 1).
 */
export function lookForEffects(intents: OpenIntent[], ground: PlanningGround): Looked {
  const looked: Looked = { settled: [], owned: [], unsettled: [] };
  for (const { id, key, openedAt } of intents) {
    const effect = effectOf(ground, key);
    const age = ground.now.getTime() - Date.parse(openedAt);
    if (effect.state === 'there') {
      looked.settled.push({ id, outcome: 'applied', note: 'found by looking' });
      if (effect.owned) looked.owned.push(effect.owned);
    } else if (effect.state === 'absent' && age >= SETTLE_MS) {
      looked.settled.push({ id, outcome: 'not-applied', note: 'looked for, and not there' });
    } else {
      looked.settled.push({ id, outcome: 'unknown', note: 'not known yet' });
      looked.unsettled.push(key);
    }
  }
  return looked;
}

type Effect = { state: 'there'; owned: OwnedObject | null } | { state: 'absent' | 'unseen' };

function effectOf(ground: PlanningGround, key: string): Effect {
  const { spec, facts, observedAt, now } = ground;
  const [kind, name = '', change] = key.split(':');
  const made = (kind: OwnedObject['kind'], name: string, externalId: number): Effect => ({
    state: 'there',
    owned: { kind, name, externalId, how: 'created', since: now.toISOString() },
  });
  if (kind === 'role') {
    if (!isFresh(facts.roles, observedAt)) return { state: 'unseen' };
    const [role] = rolesNamed(spec, facts.roles.value.items);
    if (role) return made('role', role.name, role.id);
    return { state: facts.roles.value.controlSeen ? 'absent' : 'unseen' };
  }
  if (!isFresh(facts.members, observedAt)) return { state: 'unseen' };
  const member = findMember(facts.members.value.items, name);
  // A change is repeated harmlessly: whether it took effect is what the plan says next.
  if (change !== undefined) return member ? { state: 'there', owned: null } : { state: 'unseen' };
  if (member) return made('member', member.identifier, member.id);
  return { state: facts.members.value.controlSeen ? 'absent' : 'unseen' };
}

export interface Acted {
  /** Another owner has the tenant: nothing more may be done or recorded. */
  lost: boolean;
  /** At least one write left. */
  sent: boolean;
  capReached: boolean;
  /** The fleet's brake that held an effect back; null: none did. */
  brake: Hold | null;
  /** Ms until an effect may leave that a takeover held back; null: it held none. */
  heldMs: number | null;
  actions: { action: string; outcome: string }[];
  settled: Settled;
  owned: OwnedObject[];
  /** Keys of intents whose answer was lost. */
  unsettled: string[];
  /** Keys of what was tried, however it ended. */
  tried: string[];
  /** Members that were switched on or off, or may have been. */
  switched: Switched[];
}

export interface ActInput {
  claim: Claim;
  snapshot: Snapshot;
  context: CallContext;
  management: HeldKey;
  ground: PlanningGround;
  steps: Step[];
}

/**
 * Does the steps that the API can do and that are due now, each behind its own committed intent and through
 * the last door. What ends badly ends the row: the next reconcile starts by looking.
 */
export async function act(deps: ActDeps, input: ActInput, limits: ActLimits): Promise<Acted> {
  const acted: Acted = {
    lost: false,
    sent: false,
    capReached: false,
    brake: null,
    heldMs: null,
    actions: [],
    settled: [],
    owned: [],
    unsettled: [],
    tried: [],
    switched: [],
  };
  for (const { action, state } of input.steps) {
    const key = intentKey(action);
    if (key === null || state !== 'now') continue;
    if (!(await actOnce(deps, input, limits, action, key, acted))) break;
  }
  return acted;
}

/** True: go on with the next step. */
async function actOnce(
  deps: ActDeps,
  { claim, snapshot, context, management, ground }: ActInput,
  limits: ActLimits,
  action: Action,
  key: string,
  acted: Acted,
): Promise<boolean> {
  const words = describeAction(action);
  const { generation, decisions, deleting, pause } = snapshot.tenant;
  const { rotation } = snapshot;
  const intent = { id: deps.ids.next(), key, action: words, request: action };
  const verdict = await deps.reconciles.openIntent(claim, intent, {
    generation,
    decisions,
    deleting,
    perHour: limits.repairsPerHour,
    rotation: rotation && { id: rotation.id, wishedAt: rotation.wish?.at ?? null },
    takesAway: takesAway(action),
  });
  if (!verdict.granted) {
    acted.lost = verdict.because === 'claim-lost';
    acted.capReached = verdict.because === 'cap';
    acted.brake = verdict.because === 'braked' ? verdict.brake : null;
    acted.heldMs = verdict.because === 'taken-over' ? verdict.leftMs : null;
    acted.actions.push({ action: words, outcome: `not done: ${REFUSED[verdict.because]}` });
    return false;
  }
  acted.tried.push(key);
  const writes = deps.vendors.connectwise(snapshot.tenant.spec).writes(management.pair, context, {
    ownedMembers: new Set(
      ground.facts.members?.value?.items.filter((member) => isOwned(ground, member)).map(({ id }) => id),
    ),
    roleId: theRole(ground.spec, ground.facts)?.id ?? null,
    pause,
    confirm: () => deps.claims.confirm(claim, limits.writeMs, { generation, decisions }),
  });
  const before = deps.vendors.callsOf(context).writes;
  const outcome = await perform(writes, action, ground, deps.clock);
  acted.sent ||= deps.vendors.callsOf(context).writes > before;
  if (action.kind === 'change-member' && (outcome.ok || outcome.failure.kind === 'OutcomeUnknown')) {
    const { identifier, set } = action;
    const at = deps.clock.now().toISOString();
    if (set.active !== undefined) acted.switched.push({ identifier, active: set.active, at });
  }
  if (outcome.ok) {
    acted.settled.push({ id: intent.id, outcome: 'applied', note: 'answered' });
    if (outcome.value) acted.owned.push(outcome.value);
    acted.actions.push({ action: words, outcome: 'done' });
    return true;
  }
  const unknown = outcome.failure.kind === 'OutcomeUnknown';
  const told = describeFailure(outcome.failure);
  acted.settled.push({ id: intent.id, outcome: unknown ? 'unknown' : 'not-applied', note: told });
  if (unknown) acted.unsettled.push(key);
  acted.actions.push({ action: words, outcome: told });
  return false;
}

const REFUSED = {
  'claim-lost': 'another replica has the tenant',
  'spec-changed': 'what may be done was changed since this run began',
  'taken-over': 'who had the tenant before may still be at work',
  'already-open': 'an earlier attempt is not settled',
  braked: 'the fleet’s brake was set since this run began',
  cap: 'the fleet made as many repairs in this hour as it may',
} as const;

/** What the write made Parasol's, if it made something. */
async function perform(
  writes: ConnectWiseWrites,
  action: Action,
  ground: PlanningGround,
  clock: Clock,
): Promise<Outcome<OwnedObject | null>> {
  const created = (kind: OwnedObject['kind'], name: string, externalId: number): OwnedObject => ({
    kind,
    name,
    externalId,
    how: 'created',
    since: clock.now().toISOString(),
  });
  switch (action.kind) {
    case 'create-role': {
      const role = await writes.createRole(action.name);
      return role.ok ? { ok: true, value: created('role', role.value.name, role.value.id) } : role;
    }
    case 'create-member': {
      const { identifier, roleId, roleName, level, location } = action;
      const management = ground.facts.management?.value;
      const member = await writes.createMember({
        identifier,
        name: `Cisco Umbrella ${identifier}`.slice(0, 30),
        roleId,
        roleName,
        level,
        ...(location === null ? {} : { location }),
        likeIdentifier: management?.authenticates ? management.member : null,
      });
      return member.ok
        ? { ok: true, value: created('member', member.value.identifier, member.value.id) }
        : member;
    }
    case 'change-member': {
      const changed = await writes.changeMember(action.id, action.set);
      return changed.ok ? { ok: true, value: null } : changed;
    }
    case 'open-handoff':
      return { ok: true, value: null };
  }
}
