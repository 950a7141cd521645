import type { BulkAnswer, BulkRequest } from './bulk.ts';
import type { Caller } from '../domain/access.ts';
import type { Adoption } from '../domain/adoption.ts';
import type { Condition, Truth } from '../domain/condition.ts';
import type { AutomationAnswer } from '../domain/automation.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Drift } from '../domain/drift.ts';
import type { FleetCount } from '../domain/fleet.ts';
import type { Handoff } from '../domain/handoff.ts';
import type { Labels, LabelSelector } from '../domain/labels.ts';
import type { Plan } from '../domain/action.ts';
import type { BudgetKind } from '../domain/budget.ts';
import type { Pause } from '../domain/pause.ts';
import type { Rotation, RotationCause, RotationPhase } from '../domain/rotation.ts';
import type { KeyPair } from '../domain/secret.ts';
import type { Purpose, TenantInput, TenantSpec } from '../domain/tenant.ts';
import type { TenantFilter, TenantSort } from '../domain/tenant-filter.ts';
import type { UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import type { BrakeRelease, BrakeView } from './brakes.ts';
import type { EventWish, LoggedEvent } from './event-log.ts';
import type { EventListener, Gap } from './follower.ts';
import type { AcceptanceEnd, AuditPage, AuditRecord, NewToken, StoredToken } from './desk.ts';
import type { RekeyProgress } from './keyring.ts';
import type { Waited, Wanted } from './waits.ts';

export type {
  BulkAnswer,
  BulkRequest,
  BrakeRelease,
  BrakeView,
  Caller,
  EventListener,
  Gap,
  LoggedEvent,
  RekeyProgress,
};
export type { AuditPage, AuditRecord } from './desk.ts';
export type { DoneEarlier, KeyedRequest, Requests } from './requests.ts';

/**
 * The use cases: the only way in, shared by the API and the CLI. A command either did all that it says or
 * nothing; what can go wrong is a value.
 */

export type Refusal =
  | { kind: 'not-found'; what: string }
  /** The spec changed since it was read. */
  | { kind: 'stale'; generation: number }
  | { kind: 'conflict'; message: string }
  /** It was there, and is no more. */
  | { kind: 'gone'; message: string }
  | { kind: 'invalid'; problems: { path: string; message: string }[] };

export type Answer<T> = { ok: true; value: T } | { ok: false; refusal: Refusal };

export interface TenantView {
  id: string;
  generation: number;
  createdAt: string;
  updatedAt: string;
  deleting: boolean;
  spec: TenantSpec;
  credentials: KeyView[];
}

export interface KeyView {
  purpose: Purpose;
  slot: 'a' | 'b' | null;
  member: string | null;
  fingerprint: string;
  state: string;
  createdAt: string;
  lastProvedAt: string | null;
  rotateBy: string | null;
}

/** One pair that Parasol holds or held, by fingerprint: its history is kept for ever, its value is not. */
export interface CredentialView extends Omit<KeyView, 'rotateBy'> {
  /** When it came into its state, and why. */
  since: string;
  because: string;
  /** When its sealed text was destroyed, so that nobody can ever open it again; null: it is there. */
  destroyedAt: string | null;
}

/** One key-encryption key, by its name. */
export interface KekView {
  kid: string;
  createdAt: string;
  /** `being-replaced`: `parasol vault rekey` was begun and has not ended; no service starts until it has. */
  state: 'in-use' | 'being-replaced' | 'retired';
  /** From then on nothing new is sealed under it; null: it is the one in use. */
  retiredAt: string | null;
  /** Texts that are sealed under it. */
  sealed: number;
}

/** What `parasol vault rekey` did. */
export interface RekeyReport {
  from: string;
  to: string;
  /** Texts that this call sealed anew. */
  resealed: number;
  /** Texts that are sealed under the new key now. */
  total: number;
  /** Texts that no key opens, and none did before. */
  damaged: string[];
  /** Where the new key lies now and where the old one is kept; null: both were given. */
  file: { kek: string; old: string } | null;
}

/** One row of the list of tenants. */
export interface TenantSummary {
  id: string;
  name: string;
  mode: string;
  ready: Truth;
  /** The first thing that stands between this tenant and ready, in words; null where it is ready. */
  waitsFor: string | null;
  /** By its spec, or by a person. */
  paused: boolean;
  labels: Labels;
  /** Null: it is ready. */
  unreadySince: string | null;
  /** How many paths differ. */
  drift: number;
  observedAt: string | null;
  nextReconcileAt: string | null;
}

/** Which tenants are listed, and how; absent: all of them, by id. */
export interface TenantQuery {
  sort?: TenantSort;
  filter?: TenantFilter;
  /** The `next` of the page before, which had the same sort. */
  after: string | null;
  limit: number;
}

/** `GET /tenants/:id/status`, as design.md §8 has it. */
export interface StatusView {
  tenant: string;
  name: string;
  mode: string;
  /** By the spec, or by a person. */
  paused: boolean;
  /** A person's, which lives apart from the spec; null: there is none. */
  pause: Omit<Pause, 'leftMs'> | null;
  /** Its end, while it waits to be seen; null: it is not being deleted. */
  deleting: DeletionView | null;
  generation: number;
  observedGeneration: number | null;
  ready: Truth;
  conditions: Condition[];
  drift: Drift[];
  keys: KeyView[];
  evidence: {
    lastUmbrellaWriteAt: string | null;
    by: string | null;
    customers: number | null;
    configurations: number | null;
  };
  rotation: RotationView | null;
  umbrellaRotation: UmbrellaRotationView | null;
  handoffs: Pick<
    Handoff,
    'id' | 'kind' | 'subject' | 'state' | 'deadline' | 'claimedBy' | 'overdueSince' | 'automation'
  >[];
  lastRun: RunView | null;
  /** The number of the last trigger, and of the last one that a finished run answered. */
  trigger: { requested: number; handled: number };
  nextReconcileAt: string | null;
  /** Why that is not when the spec wants it; null: nothing holds it up. */
  waiting: WaitingView | null;
}

/** A tenant that waits for a vendor's budget, or is looked at less often than wanted because of that. */
interface WaitingView {
  budget: BudgetKind;
  since: string;
  /** How often it is looked at as it comes out, such as `22m 30s`; null: about as the spec wants. */
  every: string | null;
  message: string;
}

/** A deletion that is not final yet, and what it waits for, in words. */
export type DeletionView = Deletion & { waitsFor: string };

/** Where a rotation of the integration key is. */
export interface RotationView {
  id: string;
  phase: RotationPhase;
  since: string;
  cause: RotationCause;
  by: string | null;
  reason: string | null;
  /** The member that the new key is made on. */
  member: string | null;
  old: { fingerprint: string | null; member: string | null; deadSince: string | null } | null;
  new: { fingerprint: string | null; member: string | null } | null;
  /** When the phase's time is up; null: it has none of its own. */
  deadline: string | null;
  /** What it waits for, in words. */
  next: string;
  rollingBack: boolean;
}

/** Where the rotation of the Umbrella key is, or how the last one ended; the key may be shared (rulings 22). */
export type UmbrellaRotationView = Pick<
  UmbrellaRotation,
  | 'number'
  | 'phase'
  | 'since'
  | 'startedAt'
  | 'cause'
  | 'why'
  | 'by'
  | 'tenants'
  | 'held'
  | 'stuck'
  | 'evidence'
> & {
  /** Other tenants that were switched. */
  others: number;
  old: string;
  /** Null until it was made. */
  new: string | null;
};

/** All that is kept of a rotation, for an auditor: fingerprints and what was seen, never a value. */
export type RotationRecordView = Omit<RotationView, 'old'> &
  Pick<
    Rotation,
    | 'cutNow'
    | 'requestedAt'
    | 'admittedAt'
    | 'installable'
    | 'adopted'
    | 'history'
    | 'notices'
    | 'outcome'
    | 'endedAt'
  > & {
    old:
      | (NonNullable<RotationView['old']> & {
          /** The newest write by its member that was seen. */
          lastWrite: { at: string; configuration: string } | null;
        })
      | null;
  };

/** A rotation with what people did for it and what was recorded meanwhile. */
export type RotationAudit = RotationRecordView & { handoffs: Handoff[]; events: EventView[] };

/** The evidence of a tenant's keys, as an auditor is given it (`parasol export`). */
export interface KeyAudit {
  tenant: string;
  name: string;
  exportedAt: string;
  /** Newest first, as everything here. */
  rotations: RotationAudit[];
  /** The rotation of the Umbrella key that is under way, or the last one. */
  umbrellaRotation: UmbrellaRotationView | null;
  credentials: CredentialView[];
  /** Those that belong to none of the rotations. */
  handoffs: Handoff[];
  events: EventView[];
}

export interface RotationRequest {
  credential: 'integration' | 'umbrella-api';
  by: string;
  reason: string;
  /** Ignores window and overlap. */
  compromised: boolean;
  /** The old key is cut before there is a new one: an outage. */
  cutNow: boolean;
}

export interface AcceptRequest {
  path: string;
  by: string;
  reason: string;
  expires: string;
  observed: string | null;
}

/** What a person accepted, and whether that is in force. */
export interface AcceptanceView {
  id: string;
  path: string;
  kind: Drift['kind'];
  desired: string;
  observed: string;
  by: string;
  reason: string;
  acceptedAt: string;
  expiresAt: string;
  /** `void`: the difference became another, or went away; `replaced`: it was accepted anew. */
  state: 'in-force' | AcceptanceEnd;
  /** When it ended, and why; null: it has not. */
  endedAt: string | null;
  because: string | null;
}

export interface RunView {
  id: string;
  trigger: string;
  startedAt: string;
  finishedAt: string;
  outcome: string;
  reads: number;
  writes: number;
  summary: string;
  actions: { action: string; outcome: string }[];
}

/** One run with what it saw and which calls it made. */
export interface RunDetail extends RunView {
  /** How many calls of each kind; null: a run that saw nothing new and wrote nothing keeps only their numbers. */
  calls: Record<string, number> | null;
  /** Null: no longer kept. */
  saw: {
    /** The run that saw it first; the same as this one's id where it was new. */
    since: string;
    conditions: Pick<Condition, 'type' | 'status' | 'reason' | 'message'>[];
    drift: Pick<Drift, 'path' | 'kind' | 'desired' | 'observed'>[];
  } | null;
}

export interface EventView {
  id: string;
  /** Null: it is the fleet's. */
  tenant: string | null;
  at: string;
  type: string;
  message: string;
  data: Record<string, unknown> | null;
}

export type EventPage = { limit: number } & ({ before: number | null } | { after: number });

/** One Umbrella customer and the configuration that it was matched to (rulings 5). */
export interface CustomerView {
  customerId: number | null;
  customer: string;
  configuration: { id: number; name: string; company: string | null } | null;
  /** `name`: inferred from equal names; null: not matched. */
  matchedBy: 'name' | null;
  lastWriteAt: string | null;
  lastWriteBy: string | null;
}

export interface PlanView {
  tenant: string;
  mode: string;
  generation: number;
  observedAt: string | null;
  plan: Plan;
}

/** One setting or key pair that is not as it was; null: it was, or is, not there. */
export interface Difference {
  /** Dotted: `connectwise.role.name`. */
  path: string;
  /** Of a key both sides are fingerprints, never values. */
  kind: 'setting' | 'key';
  before: unknown;
  after: unknown;
}

/** What was there before Parasol came, and what of it is Parasol's (`parasol adopt`). */
export type AdoptionView = PlanView & Adoption;

export interface ApplyChange {
  id: string;
  change: 'created' | 'updated' | 'unchanged';
  generation: number;
  /** What differs; of a new tenant, all that is not as it is by default. */
  differences: Difference[];
  /** What a person should know: an ignored bootstrap key, a setting that nothing uses yet. */
  warnings: string[];
}

/** A tenant of a set that was left as it is, while others went on. */
export interface RefusedTenant {
  id: string;
  problems: { path: string; message: string }[];
}

/** Which tenants of the service go because the set does not have them. */
export interface Prune {
  /** Those that carry all of these, and no others; never empty. */
  labels: Labels;
  /** How many were confirmed; exactly as many go, or nothing is done. Null: tried out only. */
  count: number | null;
  /** Who asks; null: not told. */
  by: string | null;
}

/** A tenant that goes. */
export interface Removal {
  id: string;
  name: string;
  onDelete: TenantSpec['onDelete'];
}

/** What became of a set of tenants, or would. */
export interface Applied {
  changes: ApplyChange[];
  removals: Removal[];
  /** Empty, unless the others were to go on. */
  refused: RefusedTenant[];
}

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** What `doctor` found: verdicts, then what the vendors really answered, secrets removed (domain.md §6). */
export interface Examination {
  checks: { name: string; verdict: 'ok' | 'warning' | 'failed' | 'unknown'; detail: string }[];
  samples: { title: string; text: string }[];
}

export interface DeleteRequest {
  /** Refused as stale unless that is still the tenant's generation. */
  ifGeneration: number | null;
  by: string | null;
  reason: string | null;
  /** Though a rotation is in flight: nobody retires either key. */
  force: boolean;
  /** Though no vendor may answer. */
  unseen: boolean;
}

/** A token of the API, without its value. */
export interface TokenView extends Omit<StoredToken, 'scope'> {
  /** The tenants that it is bound to, by name and by label; null: it sees all. */
  scope: { tenants: string[]; labels: string[] } | null;
}

export interface TokenRequest extends Pick<
  NewToken,
  'name' | 'role' | 'scope' | 'mayReveal' | 'hash' | 'reason'
> {
  /** A duration; null: as long as its maker's token. */
  expires: string | null;
  /** The id of another token that may reveal, whose bearer asks as well; null: nobody does. */
  witness: string | null;
}

export interface Commands {
  /**
   * The use cases of one who asks: tenants that it may not see do not exist, and what it changes stands in the
   * audit. Without it, Parasol itself is asking.
   */
  as(caller: Caller): Commands;
  /**
   * All tenants or none, and with `prune` those that go as well; with `keepGoing` those that are in order, while the
   * others are told. `dryRun` checks and tells, and changes nothing.
   */
  apply(
    tenants: TenantInput[],
    options: { dryRun: boolean; keepGoing?: boolean; prune?: Prune | null },
  ): Promise<Answer<Applied>>;
  /** How tenants should be, and the keys that are held, by id: those that carry all of the labels. */
  specs(page: { labels: LabelSelector[]; after: string | null; limit: number }): Promise<Page<TenantView>>;
  createTenant(tenant: TenantInput): Promise<Answer<TenantView>>;
  /** `ifGeneration`: refused as stale unless that is still the tenant's generation. */
  replaceTenant(tenant: TenantInput, ifGeneration: number | null): Promise<Answer<TenantView>>;
  /**
   * Begins a tenant's end, which is final once a run has seen it. Refused while a rotation is in flight, unless
   * forced. Asked for again, with `unseen`, it is final with the next run whatever that sees.
   */
  deleteTenant(id: string, request: DeleteRequest): Promise<Answer<{ trigger: number }>>;
  /** Takes a deletion back that still waits; what it switched off meanwhile is drift, as any other. */
  keepTenant(id: string, asked: { by: string; reason: string }): Promise<Answer<{ trigger: number }>>;
  tenant(id: string): Promise<Answer<TenantView>>;
  /** A page may hold fewer than `limit`, where one was seen too long ago just now. */
  tenants(query: TenantQuery): Promise<Answer<Page<TenantSummary>>>;
  /** Asks for a run of each tenant that is meant: first a look, then what it found is confirmed. */
  reconcileMany(request: BulkRequest): Promise<Answer<BulkAnswer>>;
  /** Likewise for a rotation of each one's integration key, where it may be rotated now. */
  rotateMany(request: BulkRequest & { by: string }): Promise<Answer<BulkAnswer>>;
  /** The morning's questions, of the tenants with all of these labels. */
  fleet(labels: readonly LabelSelector[]): Promise<FleetCount>;
  status(id: string): Promise<Answer<StatusView>>;
  /** The first status that is as wanted; what is once the time is up. */
  waitForStatus(id: string, wanted: Wanted): Promise<Answer<Waited>>;
  plan(id: string): Promise<Answer<PlanView>>;
  /** What is there, and what of it is Parasol's, by what the last run saw. */
  adoption(id: string): Promise<Answer<AdoptionView>>;
  /** Every pair that the tenant ever had, newest first. */
  credentials(id: string): Promise<Answer<CredentialView[]>>;
  customers(id: string): Promise<Answer<CustomerView[]>>;
  /** The number of the trigger: handled once the status says `trigger.handled` is at least that. */
  reconcile(id: string, reason: string): Promise<Answer<{ trigger: number }>>;
  /** A page of every tenant's events: newest first, or those after a place in order, for who polls. */
  fleetEvents(page: EventPage, filter: EventWish): Promise<Page<EventView>>;
  /**
   * Tells the listener of every wanted event after that place, once and in order; null: from now on. Resolves once
   * it has caught up; what it returns lets it go.
   */
  followEvents(
    asked: { after: number | null; filter: EventWish },
    listener: EventListener,
  ): Promise<() => void>;
  events(id: string, page: { before: string | null; limit: number }): Promise<Answer<Page<EventView>>>;
  run(id: string, run: string): Promise<Answer<RunDetail>>;
  runs(id: string, page: { before: string | null; limit: number }): Promise<Answer<Page<RunView>>>;
  handoffs(filter: { tenant: string | null; live: boolean }): Promise<Handoff[]>;
  handoff(id: string): Promise<Answer<Handoff>>;
  claimHandoff(id: string, by: string): Promise<Answer<Handoff>>;
  releaseHandoff(id: string, by: string): Promise<Answer<Handoff>>;
  /** Seals the pair as a candidate before anything else; without a pair: says that the work was done. */
  submitHandoff(
    id: string,
    submission: { by: string; pair: KeyPair | null; attest: boolean },
  ): Promise<Answer<{ handoff: Handoff; trigger: number }>>;
  /** What an automation answers to a request, known by the request's token; used once. */
  answerAutomation(token: string, answer: AutomationAnswer): Promise<Answer<{ taken: true }>>;
  /**
   * Asks for a rotation, or hurries the one that is under way. An Umbrella key is rotated for all who share it.
   */
  rotate(id: string, request: RotationRequest): Promise<Answer<{ rotation: string; trigger: number }>>;
  /** Takes the rotation under way back. */
  rollback(
    id: string,
    asked: { by: string; reason: string },
  ): Promise<Answer<{ rotation: string; trigger: number }>>;
  /**
   * Changes nothing of the tenant until a person resumes it, or until that time: a duration from now, or a moment.
   * Whatever is under way stops before its next effect. A pause takes the place of the one before it.
   */
  pause(
    id: string,
    asked: { by: string; reason: string; until: string | null },
  ): Promise<Answer<{ trigger: number; until: string | null }>>;
  /** Ends a person's pause; one of the spec is ended there. */
  resume(id: string, asked: { by: string; reason: string }): Promise<Answer<{ trigger: number }>>;
  /**
   * Takes one drift as it is, of that path and observed value, until a moment: a duration from now, or a time.
   * `observed`: what one means to accept, where it must be that.
   */
  accept(id: string, asked: AcceptRequest): Promise<Answer<{ trigger: number; until: string }>>;
  /** Ends an acceptance: what it accepted is drift again. */
  withdrawAcceptance(
    id: string,
    asked: { path: string; by: string; reason: string },
  ): Promise<Answer<{ trigger: number }>>;
  /** Newest first; those that have ended too. */
  acceptances(id: string): Promise<Answer<AcceptanceView[]>>;
  /** Brakes of the fleet: those that are on first, then the newest first. */
  brakes(): Promise<BrakeView[]>;
  /**
   * Releases one tenant from a brake, or all (null), once a run of one that was released first went well or where it
   * is said that none was; the runs follow at once.
   */
  releaseBrake(
    id: string,
    tenant: string | null,
    release: BrakeRelease,
  ): Promise<Answer<{ triggered: { tenant: string; trigger: number }[] }>>;
  /** Newest first. */
  rotations(id: string): Promise<Answer<RotationRecordView[]>>;
  /** All that an auditor asks of a tenant's keys: who, when, why, what was seen. */
  audit(id: string): Promise<Answer<KeyAudit>>;
  /** As the desk's: the caller was refused what its token may not. */
  noteRefusal(about: { tenant: string } | { handoff: string }, permission: string): Promise<void>;
  /** Who changed what, newest first; `next` is the `before` of the next page. */
  auditLog(page: AuditPage): Promise<Page<AuditRecord>>;
  /** Those that see no more than the caller does. */
  tokens(): Promise<TokenView[]>;
  /** Keeps a token by its hash. It is never stronger than the one that asks for it. */
  createToken(request: TokenRequest): Promise<Answer<TokenView>>;
  revokeToken(id: string, reason: string | null): Promise<Answer<TokenView>>;
  /** Shows a pair, once; only to who claimed its install hand-off. */
  reveal(
    handoffId: string,
    asked: { by: string; reason: string },
  ): Promise<Answer<{ handoff: Handoff; fingerprint: string; member: string | null; pair: KeyPair }>>;
  /** Replaces a credential outright (rulings 15); an integration key becomes a candidate first. */
  replaceCredential(
    id: string,
    purpose: Purpose,
    pair: KeyPair,
    member: string | null,
  ): Promise<Answer<{ fingerprint: string; trigger: number }>>;
}
