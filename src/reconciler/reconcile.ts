import type { BrakeBounds } from '../domain/brake.ts';
import { ready, type Condition } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { deletionWaitsFor, leftBehind, type Deletion } from '../domain/deletion.ts';
import { toMs } from '../domain/duration.ts';
import type { HandoffKind } from '../domain/handoff.ts';
import { progress } from '../domain/handoff-progress.ts';
import { noFacts, type Facts, type Observation, type Switched } from '../domain/observation.ts';
import { changeOfMember, intentKey } from '../domain/action.ts';
import { SETTLE_MS, whyNoWrite } from '../domain/ground.ts';
import { NO_PART, type Part } from '../domain/part.ts';
import { isOn, type Pause } from '../domain/pause.ts';
import { standsAs, type Rotation } from '../domain/rotation.ts';
import { seenToWork } from '../domain/proved.ts';
import { afterLook, waitFor, waitingInWords, type Waiting } from '../domain/waiting.ts';
import {
  automationFor,
  cycleMs,
  inSlots,
  originFor,
  periodMs,
  sameIdentifier,
  spreadOf,
  subjectOf,
  type Purpose,
  type TenantSpec,
} from '../domain/tenant.ts';
import { leftOut, rests } from './brief.ts';
import { act, lookForEffects, type ActDeps, type Acted, type ActLimits, type Looked } from './act.ts';
import {
  acceptanceEvents,
  changes,
  judge,
  rotationEvents,
  type Judgement,
  type Look,
  type Standing,
} from './judge.ts';
import { observe, type HeldKey, type Keys } from './observe.ts';
import type {
  CallContext,
  ClaimedTenant,
  ExpectedLook,
  HandoffChange,
  NewEvent,
  OpenIntent,
  Result,
  RunRecord,
  Snapshot,
  StoredTenant,
  Vault,
} from './ports.ts';

/** What a reconcile needs of the world. */
export interface ReconcileDeps extends ActDeps {
  vault: Vault;
  /** 0 ≤ x < 1; spreads retries. */
  random: () => number;
  /** Hears of brakes that were set or ended. */
  onBrake?: (news: NewEvent) => void;
}

export interface ReconcileLimits extends ActLimits {
  /** Rotations that may be in flight in the whole fleet. */
  rotationsInFlight: number;
  /** When the fleet's brake is set (design.md §7). */
  brake: BrakeBounds;
  /** Ms for all calls of one reconcile; what is left of the lease is for recording. */
  callsMs: number;
}

/** `gone`: the tenant was deleted; `lost`: the claim was lost or given back, and nothing was written. */
export type ReconcileEnd =
  | { end: 'recorded'; run: RunRecord }
  /** There is not enough of a vendor's budget: nothing was looked at, and it is due when its turn comes. */
  | { end: 'deferred'; waiting: Waiting }
  | { end: 'lost' | 'gone' };

/**
 * One tenant, once: observe → judge → act → look again → record. It starts from nothing but the tenant's id and
 * what is stored, so that a lost, doubled or late job does no harm (design.md §3).
 */
export async function reconcile(
  deps: ReconcileDeps,
  claimed: ClaimedTenant,
  limits: ReconcileLimits,
  signal: AbortSignal,
): Promise<ReconcileEnd> {
  const { claim } = claimed;
  const started = deps.clock.now();
  const found = await opened(deps, claim.tenantId);
  if (!found) return { end: 'gone' };
  const context: CallContext = {
    tenantId: claim.tenantId,
    deadline: new Date(started.getTime() + limits.callsMs),
    signal,
    urgent: isUrgent(found.snapshot.rotation),
  };
  const leaves = leftOut(claimed, found.snapshot, found.keys, started);
  const aside = await setAside(deps, claimed, found, context, leaves);
  if (aside.waiting) return defer(deps, claimed, found.snapshot, aside);
  try {
    return await run(deps, claimed, limits, found, context, started, leaves, aside.againInMs);
  } finally {
    deps.vendors.giveBack(context);
  }
}

/** Whether it serves a rotation that is under way, or one that must not wait. */
const isUrgent = (rotation: Rotation | null): boolean =>
  rotation !== null && (rotation.phase !== 'Pending' || MUST_NOT_WAIT.has(rotation.cause));
/** Nothing works that it could disturb, or the key is compromised. */
const MUST_NOT_WAIT: ReadonlySet<Rotation['cause']> = new Set(['first', 'invalid', 'compromise']);

/**
 * Sets aside what a look needs of the vendors' budgets. By the calendar it waits in line for all of it. What somebody
 * waits for, a person or a rotation, goes on at once where Umbrella's is short, without what that would show; `againInMs`
 * is then when the rest may be had. `waiting`: nothing can be looked at.
 */
async function setAside(
  { vendors, clock }: ReconcileDeps,
  { trigger }: ClaimedTenant,
  { snapshot, keys }: Opened,
  context: CallContext,
  leaves: ReadonlySet<Part>,
): Promise<{ waiting: Waiting; waitMs: number } | { waiting: null; againInMs: number | null }> {
  const { tenant, status } = snapshot;
  const { spec } = tenant;
  const before = tenant.waiting?.served === false ? tenant.waiting : null;
  const inLine = trigger === 'schedule' && context.urgent !== true;
  const look: ExpectedLook = {
    spec,
    management: keys.management !== null,
    pairs: (keys.integration ? 1 : 0) + keys.candidates.length + keys.successors.length,
    umbrellaApi: keys.umbrellaApi?.pair ?? null,
    umbrellaKeyAdmin: keys.umbrellaKeyAdmin?.pair ?? null,
    customers: status?.facts.customers?.value?.length ?? 0,
    leaves,
  };
  const turn = before ? Date.parse(before.until) : 0;
  let given = await vendors.reserve(look, context, inLine ? turn : null);
  if (given.given) return { waiting: null, againInMs: null };
  if (!inLine && given.kind !== 'connectwise') {
    const { waitMs } = given;
    given = await vendors.reserve({ ...look, umbrellaApi: null, umbrellaKeyAdmin: null }, context, null);
    if (given.given) return { waiting: null, againInMs: waitMs };
  }
  const { kind, waitMs, turn: until, closed } = given;
  const since = before ? Date.parse(before.since) : until - waitMs;
  const periodMs = cycleMs(spec.every, clock.now());
  return { waiting: waitFor({ kind, closed }, since, until, periodMs, tenant.waiting), waitMs };
}

/** The tenant comes again in its turn; conditions stand, with their ages, and no failure is counted. */
async function defer(
  { reconciles, clock }: ReconcileDeps,
  { claim }: ClaimedTenant,
  { tenant }: Snapshot,
  { waiting, waitMs }: { waiting: Waiting; waitMs: number },
): Promise<ReconcileEnd> {
  const told = (tenant.waiting?.everyMs ?? null) !== null;
  const message = waitingInWords(waiting, cycleMs(tenant.spec.every, clock.now()));
  const events =
    waiting.everyMs === null || told
      ? []
      : [{ type: 'IntervalStretched', message, data: { budget: waiting.kind, everyMs: waiting.everyMs } }];
  const kept = await reconciles.defer(claim, waiting, waitMs, events);
  return kept ? { end: 'deferred', waiting } : { end: 'lost' };
}

/** What a look leaves of the wait before it, if there was one. */
function waited(
  { waiting: before, spec }: StoredTenant,
  now: Date,
): { waiting?: Waiting | null; events: NewEvent[] } {
  if (before === null) return { events: [] };
  const { waiting, kept } = afterLook(before, cycleMs(spec.every, now));
  const message = `There is enough of the vendor’s budget again: it is looked at as wanted (${spec.every}).`;
  return {
    waiting,
    events: kept ? [{ type: 'IntervalKept', message, data: { budget: before.kind } }] : [],
  };
}

async function run(
  deps: ReconcileDeps,
  claimed: ClaimedTenant,
  limits: ReconcileLimits,
  found: Opened,
  context: CallContext,
  started: Date,
  leaves: ReadonlySet<Part>,
  againInMs: number | null,
): Promise<ReconcileEnd> {
  const { claim } = claimed;
  const { signal } = context;
  const { keys } = found;
  const snapshot = await admitted(deps, claimed, found.snapshot, limits);
  const lookWith = (standing: Standing, memory: Look['memory'], leaving = NO_PART) =>
    lookAt(deps, snapshot, keys, context, standing, memory, leaving);

  const earlier = whatStands(snapshot, deps.ids.next(), started);
  let first = await lookWith(earlier.standing, earlier.memory, leaves);
  // Nothing is decided by a brief look but that all is well.
  if (leaves.size > 0 && !rests(first.look, first.judged) && !signal.aborted) {
    first = await lookWith(earlier.standing, earlier.memory);
  }
  const looked = lookForEffects(snapshot.intents, first.judged.ground);
  const standing: Standing = {
    ...earlier.standing,
    owned: [...earlier.standing.owned, ...looked.owned],
    unsettled: looked.unsettled,
  };
  // The plan of the first look did not know yet what became of earlier attempts.
  let last =
    snapshot.intents.length === 0
      ? first
      : { look: first.look, judged: judge(snapshot, first.look, standing, deps.clock.now()) };
  // Before anything is done about what differs: that it does is kept, and counted over the fleet.
  const sight = sighter(deps, claimed, snapshot, limits);
  const counted = await sight(last, standing);
  if (!counted) return { end: 'lost' };
  last = counted;
  const acted = await actOn(deps, claimed, snapshot, keys, context, last.judged, limits);
  if (acted.lost) return { end: 'lost' };
  if (acted.sent || acted.capReached || acted.brake) {
    const after: Standing = {
      ...standing,
      facts: acted.sent
        ? withoutProofsOf(acted, snapshot.credentials, last.judged.status.facts)
        : standing.facts,
      owned: [...last.judged.owned, ...acted.owned],
      unsettled: [...standing.unsettled, ...acted.unsettled],
      capReached: acted.capReached,
      brake: acted.brake ?? last.judged.ground.brake,
    };
    // What was done is believed when it was seen, so that the status tells what is, not what was sent.
    const switched = [...(last.look.memory.switched ?? []), ...acted.switched];
    last = acted.sent
      ? await lookWith(after, { ...last.look.memory, ...(switched.length > 0 ? { switched } : {}) })
      : { look: last.look, judged: judge(snapshot, last.look, after, deps.clock.now()) };
    const recounted = await sight(last, after);
    if (!recounted) return { end: 'lost' };
    last = recounted;
  }

  // Stopped in the middle: what was not seen is no weather, and what was done is in its intents.
  if (signal.aborted) return { end: 'lost' };
  const { run, result } = conclude(deps, {
    claimed,
    snapshot,
    context,
    started,
    againInMs,
    looked,
    acted,
    ...last,
  });
  return (await deps.reconciles.record(claim, result)) ? { end: 'recorded', run } : { end: 'lost' };
}

/** What keys showed of themselves before their member was changed says nothing of how that is now. */
function withoutProofsOf({ tried }: Acted, credentials: HeldCredential[], facts: Facts): Facts {
  const keys = tried.map((key) => key.toLowerCase());
  const changed = credentials.filter(
    ({ member }) => member !== null && keys.includes(changeOfMember(member).toLowerCase()),
  );
  const { integrationKey, candidates, ...others } = facts;
  const stands = (id: string | undefined) => changed.every((credential) => credential.id !== id);
  return {
    ...others,
    ...(integrationKey && stands(integrationKey.value?.credentialId) ? { integrationKey } : {}),
    candidates: Object.fromEntries(Object.entries(candidates).filter(([id]) => stands(id))),
  };
}

interface Seen {
  look: Look;
  judged: Judgement;
}

/**
 * Keeps in which ways a tenant was seen to differ, where that is other than what is kept, and judges anew what the
 * brake changes about it; null: the claim was lost.
 */
function sighter(
  { reconciles, ids, clock, onBrake }: ReconcileDeps,
  { claim }: ClaimedTenant,
  snapshot: Bound,
  limits: ReconcileLimits,
): (seen: Seen, standing: Standing) => Promise<Seen | null> {
  let kept = new Set(snapshot.sighted);
  return async ({ look, judged }, standing) => {
    const { sightings } = judged;
    const same = sightings.length === kept.size && sightings.every(({ signature }) => kept.has(signature));
    if (same) return { look, judged };
    const counted = await reconciles.sight(claim, sightings, { ...limits.brake, brakeId: ids.next() });
    if (!counted) return null;
    kept = new Set(sightings.map(({ signature }) => signature));
    for (const news of counted.news) onBrake?.(news);
    const { brake } = counted;
    if (brake?.id === judged.ground.brake?.id) return { look, judged };
    return { look, judged: judge(snapshot, look, { ...standing, brake }, clock.now()) };
  };
}

interface Opened {
  snapshot: Bound;
  keys: Keys;
}

/** A tenant as it is stored, with what its keys open to; for whoever only looks. */
export async function opened(
  { reconciles, vault, clock }: Pick<ReconcileDeps, 'reconciles' | 'vault' | 'clock'>,
  tenantId: string,
): Promise<Opened | null> {
  const stored = await reconciles.snapshot(tenantId);
  if (!stored) return null;
  const snapshot = asBound(stored);
  return { snapshot, keys: await openKeys(vault, snapshot, retiredDue(snapshot, clock.now())) };
}

/** Pairs that were taken out of use are called with once in that time: one that works is an incident (rulings 19). */
const RETIRED_EVERY_MS = toMs('24h');

function retiredDue({ status }: Snapshot, now: Date): boolean {
  const at = status?.memory.retiredCheckedAt;
  return at === undefined || now.getTime() - Date.parse(at) >= RETIRED_EVERY_MS;
}

/** Lets a rotation that waits begin: what replaces a key that works keeps to the fleet's limit. */
async function admitted(
  { reconciles }: ReconcileDeps,
  { claim }: ClaimedTenant,
  snapshot: Bound,
  { rotationsInFlight }: ReconcileLimits,
): Promise<Bound> {
  const { rotation, tenant } = snapshot;
  if (!rotation || rotation.phase !== 'Pending' || rotation.admittedAt || whyNoWrite(tenant) !== null)
    return snapshot;
  const { id, cause } = rotation;
  const admittedAt = await reconciles.admitRotation(
    claim,
    id,
    MUST_NOT_WAIT.has(cause) ? null : rotationsInFlight,
  );
  return { ...snapshot, rotation: { ...rotation, admittedAt } };
}

/** A snapshot as this reconcile reads it; `subject` is of the spec as a person wrote it. */
type Bound = Snapshot & { subject: string };

/**
 * The spec with the members that its slots have by now, and its pairs: one that was sealed for another origin is not
 * this spec's, and is asked for again (rulings 11).
 */
function asBound(stored: Snapshot): Bound {
  const spec = inSlots(stored.tenant.spec, stored.status?.memory.slots);
  const credentials = stored.credentials.filter(({ purpose, origin }) => origin === originFor(spec, purpose));
  return {
    ...stored,
    tenant: { ...stored.tenant, spec },
    credentials,
    subject: subjectOf(stored.tenant.spec),
  };
}

/** What is known before this reconcile looks; facts of another company, console or role are none of this spec's. */
function whatStands(
  snapshot: Bound,
  rotationId: string,
  now: Date,
): { standing: Standing; memory: Look['memory'] } {
  const { status, owned, intents, subject } = snapshot;
  const same = status?.memory.subject === subject;
  // What became of keys and members is known by their names, whatever the spec speaks of.
  const {
    install,
    slots,
    lastRotation,
    retiredCheckedAt,
    switched: earlier,
    ...learned
  } = status?.memory ?? {
    type: null,
    bursts: [],
  };
  const switched = [...(earlier ?? []), ...snapshot.intents.flatMap(mayHaveSwitched)].filter(
    ({ at }) => now.getTime() - Date.parse(at) < SETTLE_MS,
  );
  const kept = {
    ...(install ? { install } : {}),
    ...(slots ? { slots } : {}),
    ...(lastRotation ? { lastRotation } : {}),
    ...(retiredCheckedAt ? { retiredCheckedAt } : {}),
    ...(switched.length > 0 ? { switched } : {}),
  };
  const superseded = snapshot.credentials.some(({ state }) => state === 'superseded');
  const checked = superseded && retiredDue(snapshot, now) ? { retiredCheckedAt: now.toISOString() } : {};
  return {
    standing: {
      facts: same ? status.facts : noFacts(),
      owned,
      unsettled: intents.map(({ key }) => key),
      capReached: false,
      brake: snapshot.tenant.brake,
      before: {
        sighted: snapshot.sighted,
        facts: same ? status.facts : noFacts(),
        drift: status?.drift ?? [],
        conditions: status?.conditions ?? [],
        specChanged:
          status !== null &&
          status.observedGeneration !== snapshot.tenant.generation &&
          Object.values(status.facts).some((fact) => 'value' in fact),
      },
      rotationId,
    },
    memory: {
      ...(same ? learned : { type: null, bursts: [], subject }),
      ...kept,
      ...checked,
    },
  };
}

/** An attempt of which the answer is not known, on a member that is there. */
function mayHaveSwitched({ key, openedAt }: OpenIntent): Switched[] {
  const identifier = /^member:(.+):change$/.exec(key)?.[1];
  return identifier === undefined ? [] : [{ identifier, active: null, at: openedAt }];
}

async function lookAt(
  { vendors, clock }: ReconcileDeps,
  snapshot: Snapshot,
  keys: Keys,
  context: CallContext,
  standing: Standing,
  memory: Look['memory'],
  leaves: ReadonlySet<Part>,
): Promise<{ look: Look; judged: Judgement }> {
  const { spec } = snapshot.tenant;
  const look = await observe({
    spec,
    keys,
    known: standing.facts,
    memory,
    vendors,
    context,
    clock,
    leaves,
  });
  return { look, judged: judge(snapshot, look, standing, clock.now()) };
}

const NOTHING_DONE: Acted = {
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

/** Writes are for mode `repair` only, here and once more at the last door (design.md §3.8). */
async function actOn(
  deps: ReconcileDeps,
  { claim }: ClaimedTenant,
  snapshot: Snapshot,
  { management }: Keys,
  context: CallContext,
  { ground, status }: Judgement,
  limits: ActLimits,
): Promise<Acted> {
  if (whyNoWrite(ground) !== null || !management) return NOTHING_DONE;
  return act(deps, { claim, snapshot, context, management, ground, steps: status.plan.steps }, limits);
}

/** Opens the pairs that this reconcile calls with. */
async function openKeys(vault: Vault, snapshot: Snapshot, retired: boolean): Promise<Keys> {
  const { id: tenantId } = snapshot.tenant;
  const open = async (credential: HeldCredential | undefined): Promise<HeldKey | null> => {
    const sealed = credential && snapshot.sealed[credential.id];
    if (!sealed) return null;
    const { id: credentialId, purpose, origin, fingerprint, state, member } = credential;
    const pair = await vault.open(sealed, { tenantId, credentialId, purpose, origin });
    return { credentialId, fingerprint, pair, member, ...(state === 'candidate' ? { whole: true } : {}) };
  };
  const active = (purpose: Purpose) =>
    open(snapshot.credentials.find((held) => held.purpose === purpose && held.state === 'active'));
  const proved = snapshot.credentials.filter((held) => isProved(held, snapshot, retired));
  const candidates = await Promise.all(proved.map(open));
  const successors = await Promise.all(
    snapshot.credentials
      .filter(({ purpose, state }) => purpose === 'management' && state !== 'active' && state !== 'dead')
      .map(open),
  );
  return {
    management: await active('management'),
    integration: await active('integration'),
    umbrellaApi: await active('umbrella-api'),
    umbrellaKeyAdmin: await active('umbrella-key-admin'),
    candidates: candidates.filter((key) => key !== null),
    successors: successors.filter((key) => key !== null),
  };
}

/** Which pairs besides the one in use are called with, to see what they are. */
function isProved(held: HeldCredential, { rotation }: Snapshot, retired: boolean): boolean {
  const { id, purpose, state, member } = held;
  if (purpose !== 'integration') return false;
  switch (state) {
    case 'active':
      return false;
    case 'candidate':
    case 'proved':
    case 'refused':
      return true;
    case 'superseded':
      return retired || id === rotation?.old?.credentialId || id === rotation?.fresh?.credentialId;
    case 'dead':
      // A slot that is used again must not bring an old key back to life (rulings 19).
      return rotation?.target != null && member !== null && sameIdentifier(member, rotation.target);
  }
}

interface Ending {
  claimed: ClaimedTenant;
  snapshot: Snapshot;
  context: CallContext;
  started: Date;
  /** When there is enough of a budget for what could not be looked at; null: it was enough. */
  againInMs: number | null;
  looked: Looked;
  acted: Acted;
  look: Look;
  judged: Judgement;
}

/** All that this reconcile leaves behind. */
function conclude(deps: ReconcileDeps, ending: Ending): { run: RunRecord; result: Result } {
  const { claimed, snapshot, context, started, looked, acted, look, judged } = ending;
  const { tenant } = snapshot;
  const { spec } = tenant;
  const finished = deps.clock.now();
  const trouble = readingTrouble(look.observation);
  const undone = acted.actions.some(({ outcome }) => outcome !== 'done');
  const degraded = trouble.failures.length > 0 || undone;
  const outcome = trouble.blind ? 'failed' : degraded ? 'degraded' : 'succeeded';
  const failures = outcome === 'failed' ? tenant.failures + 1 : 0;
  const run: RunRecord = {
    id: deps.ids.next(),
    trigger: claimed.trigger,
    startedAt: started.toISOString(),
    finishedAt: finished.toISOString(),
    outcome,
    ...deps.vendors.callsOf(context),
    summary: summarise(judged.status.conditions, trouble.failures),
    actions: acted.actions,
  };
  const { pause } = tenant;
  const pauseOver = pause !== null && !isOn(pause) ? pause : null;
  const { events: ofWaiting, ...leftOfWaiting } = waited(tenant, finished);
  const result: Result = {
    run,
    // Most runs see what is kept already, and nobody asks for these.
    get calls() {
      return deps.vendors.kindsOf(context);
    },
    status: judged.status,
    events: [
      ...changes(snapshot.status, judged.status, finished),
      ...rotationEvents(snapshot.rotation, judged.rotation),
      ...(pauseOver ? [pauseEnded(pauseOver)] : []),
      ...acceptanceEvents(judged.acceptances),
      ...ofWaiting,
      ...acted.actions.map(({ action, outcome }) => ({
        type: outcome === 'done' ? 'Repaired' : 'RepairFailed',
        message: `${action}: ${outcome}`,
      })),
    ],
    handoffs: handoffChanges(deps, snapshot, judged, finished),
    credentials: [...judged.candidates, ...judged.moved]
      .filter(({ credential, becomes }) => credential.state !== becomes)
      .map(({ credential: { id }, becomes: state, because }) => ({ id, state, because })),
    rotation:
      judged.rotation && judged.rotation !== snapshot.rotation
        ? { now: judged.rotation, heeded: snapshot.rotation?.wish ?? null }
        : null,
    intents: [...looked.settled, ...acted.settled],
    owned: judged.owned.filter((object) => !snapshot.owned.includes(object)),
    provedAt: provedTimes(judged),
    next: {
      inMs: soonest(ending, nextInMs(spec, finished, failures, trouble.retryAfterMs, deps.random), trouble),
      failures,
    },
    ...leftOfWaiting,
    pauseOver,
    acceptances: judged.acceptances,
    forget: farewell(tenant.deletion, judged),
  };
  return { run, result };
}

/** The end of the tenant, once it was seen, or is not waited for any more; null: it stays. */
function farewell(deletion: Deletion | null, { ground, status }: Judgement): NewEvent | null {
  if (!deletion || (!deletion.unseen && deletionWaitsFor(ground, status.plan) !== null)) return null;
  const { since, by, reason, unseen } = deletion;
  const who = `${by === null ? '' : ` by ${by}`}${reason === null ? '' : `: ${reason}`}`;
  return {
    type: 'TenantDeleted',
    message: `Gone, as was asked for${who}${/[.!?]$/.test(who) ? '' : '.'} ${leftBehind(ground, ground.credentials)}`,
    data: { since, by, reason, unseen, onDelete: ground.spec.onDelete },
  };
}

const pauseEnded = ({ by, reason, since, until }: Pause): NewEvent => ({
  type: 'PauseEnded',
  message: `The pause that ${by} set ended at ${until} (${reason}).`,
  data: { by, reason, since, until },
});

function handoffChanges(
  { ids }: ReconcileDeps,
  { tenant, handoffs }: Snapshot,
  { ground, status, candidates }: Judgement,
  now: Date,
): HandoffChange[] {
  const { spec } = tenant;
  const deadline = new Date(now.getTime() + toMs(spec.handoffs.deadline)).toISOString();
  const mayOpen = whyNoWrite(ground) === null;
  return progress(ground, handoffs, status.plan, candidates, mayOpen).map((decision) =>
    decision.change === 'open'
      ? { ...decision, id: ids.next(), deadline, automation: automationOf(spec, decision.kind, ground) }
      : decision,
  );
}

/** The automation that is to do it, or why it cannot be asked; null: people do it. */
function automationOf(
  spec: TenantSpec,
  kind: HandoffKind,
  { credentials }: Judgement['ground'],
): { webhook: string; error: string | null } | null {
  const automation = automationFor(spec, kind);
  if (!automation) return null;
  const signs = credentials.some(({ purpose, state }) => purpose === 'automation' && state === 'active');
  return { webhook: automation.webhook, error: signs ? null : 'there is no secret to sign with' };
}

/** The status tells it of each run; with the pair it is kept no more often than that. */
const KEEP_PROOF_EVERY_MS = toMs('1h');

/** When pairs in use were last seen to work, by their ids, where what is kept is long ago. */
function provedTimes({ status: { facts }, ground: { credentials } }: Judgement): Record<string, string> {
  const times = credentials.flatMap((held): [string, string][] => {
    const at = seenToWork(held, facts);
    const kept = held.lastProvedAt;
    const isNews = at !== null && (kept === null || Date.parse(at) - Date.parse(kept) >= KEEP_PROOF_EVERY_MS);
    return isNews ? [[held.id, at]] : [];
  });
  return Object.fromEntries(times);
}

/** A pair that waits to be proved is tried again within this time, however long the tenant's period is. */
const PROVE_AGAIN_MS = toMs('1m');

/**
 * Sooner than the period where something is under way: steps that became possible by what was done, effects
 * that are still to be looked for, pairs that are to be proved. Never inside a `Retry-After`.
 */
function soonest(
  { acted, looked, judged, snapshot, againInMs }: Ending,
  regularMs: number,
  trouble: Trouble,
): number {
  const { status, candidates } = judged;
  const untried = status.plan.steps.some(({ action, state }) => {
    const key = intentKey(action);
    return state === 'now' && key !== null && !acted.tried.includes(key);
  });
  const waits = [regularMs];
  if (againInMs !== null) waits.push(againInMs);
  const { pause } = snapshot.tenant;
  if (isOn(pause) && pause.leftMs !== null) waits.push(pause.leftMs);
  // An attempt that this run found settled was still in the way of the next one.
  const freed = looked.settled.some(({ outcome }) => outcome !== 'unknown');
  if ((acted.sent || freed) && untried) waits.push(0);
  if (!standsAs(judged.rotation, snapshot.rotation)) waits.push(0);
  if (acted.heldMs !== null) waits.push(acted.heldMs);
  for (const at of [judged.rotationWakesAt, judged.acceptanceWakesAt]) {
    if (at !== null) waits.push(Math.max(0, Date.parse(at) - judged.ground.now.getTime()));
  }
  if ([...looked.unsettled, ...acted.unsettled].length > 0) waits.push(SETTLE_MS);
  if (candidates.some(({ becomes }) => becomes === 'candidate')) waits.push(PROVE_AGAIN_MS);
  return Math.max(Math.min(...waits), trouble.retryAfterMs);
}

interface Trouble {
  /** Neither vendor showed anything, so that the run counts as failed and is tried again sooner. */
  blind: boolean;
  failures: string[];
  retryAfterMs: number;
}

function readingTrouble(observation: Observation): Trouble {
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
function nextInMs(
  spec: TenantSpec,
  now: Date,
  failures: number,
  retryAfterMs: number,
  random: () => number,
): number {
  const period = periodMs(spec.every, now);
  const cron = spec.every.includes(' ');
  const phase = cron ? 0 : Math.floor(spreadOf(spec.id) * 2 ** 32) % period;
  const rest = cron ? period : period - ((now.getTime() - phase) % period);
  const regular = rest < period / 2 ? rest + period : rest;
  if (failures === 0) return Math.max(regular, retryAfterMs);
  const pause = Math.min(BACKOFF.first * 2 ** (failures - 1), BACKOFF.cap);
  const jittered = pause * (0.75 + random() / 2);
  return Math.round(Math.max(Math.min(jittered, Math.max(period, BACKOFF.first)), retryAfterMs));
}
