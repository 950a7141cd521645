import type { Acceptance, AcceptanceChange } from '../domain/acceptance.ts';
import type { BrakeBounds, Hold, Sighting } from '../domain/brake.ts';
import type { CredentialState, HeldCredential } from '../domain/credential.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Condition, IntegrationMemory, Truth } from '../domain/condition.ts';
import type { Drift } from '../domain/drift.ts';
import type { BudgetKind, Given } from '../domain/budget.ts';
import type { Handoff, HandoffContent, HandoffKind } from '../domain/handoff.ts';
import type {
  ConfigurationFact,
  CustomerFact,
  Facts,
  LevelRow,
  MemberFact,
  Reference,
  RoleFact,
  UmbrellaKeyFact,
} from '../domain/observation.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { Part } from '../domain/part.ts';
import type { Plan } from '../domain/action.ts';
import type { OwnedObject } from '../domain/ground.ts';
import type { Pause } from '../domain/pause.ts';
import type { KeyPair } from '../domain/secret.ts';
import type { Rotation, RotationPhase, Wish } from '../domain/rotation.ts';
import type { Purpose, TenantSpec } from '../domain/tenant.ts';
import type { Waiting } from '../domain/waiting.ts';
import type { UmbrellaRotation } from '../domain/umbrella-rotation.ts';

/**
 * What the reconciler needs of the world, and nothing else. `store`, `vault` and `providers` implement these
 * and do not know each other. Times are ISO 8601 in UTC; spans are milliseconds.
 */

export interface Clock {
  now(): Date;
}
export interface Ids {
  /** A new id that sorts by time (UUID v7). */
  next(): string;
}

// ── the vault ────────────────────────────────────────────────────────────────────────────────────────────

/** What a sealed pair is bound to: opening it for another tenant, purpose or origin fails (rulings 11). */
export interface SealedFor {
  tenantId: string;
  credentialId: string;
  purpose: Purpose;
  origin: string;
}

export interface Vault {
  seal(pair: KeyPair, bound: SealedFor): Promise<string>;
  /** Throws `VaultError` if it was sealed under another key or for something else. */
  open(sealed: string, bound: SealedFor): Promise<KeyPair>;
  /** Names a pair everywhere but in the vault; the same pair has the same fingerprint. */
  fingerprint(pair: KeyPair): string;
}

// ── the vendors ──────────────────────────────────────────────────────────────────────────────────────────

/** Bounds of one reconcile's calls: when to stop, and what hears that the claim was lost. */
export interface CallContext {
  tenantId: string;
  /** No call starts that could not end by then. */
  deadline: Date;
  signal: AbortSignal;
  /** Serves a rotation or a key that is compromised: it may use what is kept for those of the vendors' budgets. */
  urgent?: boolean;
}

export interface CompanyInfo {
  companyName: string;
  codebase: string;
}

/** ConnectWise, read with one key. Every list has been paged to its end unless said otherwise. */
export interface ConnectWiseReads {
  /** Whose key this is and its effective levels (`/system/mySecurity`, domain.md §2). */
  mySecurity(): Promise<Outcome<{ member: string | null; levels: LevelRow[] }>>;
  /** The Table Setup allow list of this key's own member (domain.md §2, trailing slash and all). */
  tableSetup(): Promise<Outcome<string[]>>;
  membersByIdentifier(identifiers: string[]): Promise<Outcome<MemberFact[]>>;
  /** Roles of this name or of these ids, inactive ones too. */
  roles(name: string, ids: number[]): Promise<Outcome<RoleFact[]>>;
  roleLevels(roleId: number): Promise<Outcome<LevelRow[]>>;
  /** Which of the things that Umbrella needs (domain.md §1) this key may not read; by calling for one row of each. */
  unreadable(): Promise<Outcome<string[]>>;
  /** Configuration types whose name contains the text. */
  configurationTypes(nameContains: string): Promise<Outcome<Reference[]>>;
  /**
   * Configurations, newest write first where the server allows ordering on `_info/lastUpdated` (domain.md §4),
   * at most `limit`; `complete` tells whether there were no more.
   */
  configurations(query: {
    typeId: number | null;
    limit: number;
  }): Promise<Outcome<{ rows: ConfigurationFact[]; complete: boolean }>>;
}

/** What a new member needs beside its names: whole references, taken from what exists (domain.md §4). */
export interface NewMember {
  identifier: string;
  name: string;
  roleId: number;
  roleName: string;
  level: string;
  location?: string;
  /** A member whose location, department and time zone serve as the model; the management key's own. */
  likeIdentifier: string | null;
}

/** Only what differs; each reference is replaced whole and read back (domain.md §4). */
export interface MemberChange {
  active?: boolean;
  roleId?: number;
  roleName?: string;
  level?: string;
  location?: string;
}

/** What the last door asks before each write leaves (design.md §3; rulings 8). */
export interface WritePass {
  /** Members that are Parasol's, by ConnectWise's ids. */
  ownedMembers: ReadonlySet<number>;
  /** The role of the spec's name, as this reconcile saw it; null: it saw none. */
  roleId: number | null;
  /** A person's, as this reconcile knows it. */
  pause: Pause | null;
  /** False: the claim, or what may be done, is no longer what the write was decided on. */
  confirm(): Promise<boolean>;
}

/** ConnectWise, written. What the last door does not let out is `Barred`, and was not sent. */
export interface ConnectWiseWrites {
  createRole(name: string): Promise<Outcome<RoleFact>>;
  createMember(member: NewMember): Promise<Outcome<MemberFact>>;
  /** Reads back: an answer of 200 that changed nothing is `Invalid`, naming the field. */
  changeMember(id: number, change: MemberChange): Promise<Outcome<MemberFact>>;
}

export interface ConnectWise {
  /** Without credentials; null: the site answers, and knows no such company. */
  companyInfo(context: CallContext): Promise<Outcome<CompanyInfo | null>>;
  reads(key: KeyPair, context: CallContext): ConnectWiseReads;
  writes(key: KeyPair, context: CallContext, pass: WritePass): ConnectWiseWrites;
  /** What a live tenant really answers, for people to read: rows as they are, secrets removed (domain.md §6). */
  samples(key: KeyPair, context: CallContext): Promise<Sample[]>;
}

/** One answer of a vendor as it came: a title, and text of at most a few thousand characters. */
export interface Sample {
  title: string;
  text: string;
}

export interface Umbrella {
  /**
   * Gets a token with this key, or uses the one that the key still has; refused: `Unauthorized`. `anew`: asks for
   * one whatever is kept, which alone shows that the key works now. `asOwn`: for the key's own organisation,
   * whatever child organisation the tenant is.
   */
  authenticate(
    key: KeyPair,
    context: CallContext,
    how?: { anew?: boolean; asOwn?: boolean },
  ): Promise<Outcome<{ expiresAt: string }>>;
  customers(key: KeyPair, context: CallContext): Promise<Outcome<CustomerFact[]>>;
  /** Every API key of the organisation that this KeyAdmin key itself is of: a parent's, not its child's. */
  apiKeys(keyAdmin: KeyPair, context: CallContext): Promise<Outcome<ListedApiKey[]>>;
  /** Makes and deletes API keys of that organisation; none is ever refreshed (rulings 22). */
  writes(keyAdmin: KeyPair, context: CallContext, pass: ApiKeyPass): UmbrellaWrites;
}

/** A row of `/admin/v2/apiKeys` (domain.md §5). */
export interface ListedApiKey extends UmbrellaKeyFact {
  id: string;
  lastUsedAt: string | null;
  clientId: string;
  allowedIPs: string[];
  /** ISO 8601; null: not told. */
  createdAt: string | null;
}

/** A key to be made; `expiresAt` null: never. */
export interface NewApiKey {
  name: string;
  description: string;
  scopes: string[];
  allowedIPs: string[];
  expiresAt: string | null;
}

/** What the last door asks before an API key is made or deleted. */
export interface ApiKeyPass {
  /** The one name under which a key may be made; null: none may. */
  name: string | null;
  /** The ids of the keys that may be deleted. */
  deletable: ReadonlySet<string>;
  /** A person's, of the tenant whose KeyAdmin key is called with. */
  pause: Pause | null;
  /** False: the claim, or what a tenant that uses the key allows, is no longer what it was decided on. */
  confirm(): Promise<boolean>;
}

export type MadeApiKey = { made: true; id: string; pair: KeyPair } | { made: false; because: 'name-taken' };

/** Umbrella, written. What the last door does not let out is `Barred`, and was not sent. */
export interface UmbrellaWrites {
  createApiKey(key: NewApiKey): Promise<Outcome<MadeApiKey>>;
  /** One that is gone already is `NotFound`. */
  deleteApiKey(id: string): Promise<Outcome<null>>;
}

/** With what a tenant is to be looked at. */
export interface ExpectedLook {
  spec: TenantSpec;
  /** Whether there is a management key, and how many other pairs of ConnectWise are called with. */
  management: boolean;
  pairs: number;
  umbrellaApi: KeyPair | null;
  umbrellaKeyAdmin: KeyPair | null;
  /** As far as is known; each page of them is a call. */
  customers: number;
  /** What a brief look leaves out. */
  leaves: ReadonlySet<Part>;
}

/** One per process: connections, breakers, codebases and tokens are shared by the tenants of an origin. */
export interface Vendors {
  connectwise(spec: TenantSpec): ConnectWise;
  umbrella(spec: TenantSpec): Umbrella;
  /**
   * Sets aside what a look is expected to need of the vendors' budgets, all of it or nothing, so that it is not stopped
   * in its middle. `turn`: until when it was told to wait before, in ms since the epoch; 0: it was not. Null: it waits in
   * no line.
   */
  reserve(look: ExpectedLook, context: CallContext, turn: number | null): Promise<Given>;
  /** What the run did not use of it serves whoever calls next. */
  giveBack(context: CallContext): void;
  /** Calls made so far for a tenant's run, for the run's record. */
  callsOf(context: CallContext): { reads: number; writes: number };
  /** The same by kind, such as `GET system/members`: without ids and queries. */
  kindsOf(context: CallContext): Record<string, number>;
  close(): Promise<void>;
}

// ── the store ────────────────────────────────────────────────────────────────────────────────────────────

/** The right to run one tenant until `until`; worthless once the token in the row has moved on. */
export interface Claim {
  tenantId: string;
  token: number;
  owner: string;
  until: string;
}

export interface ClaimedTenant {
  claim: Claim;
  /** Why it was due: the schedule, or the cause of the trigger. */
  trigger: string;
  /** The number of the last trigger that this run answers. */
  runSeq: number;
}

export interface Claims {
  /** Takes up to `limit` due tenants; a tenant is claimed by one owner at a time. */
  take(owner: string, limit: number, leaseMs: number): Promise<ClaimedTenant[]>;
  /** Extends the leases that still hold; returns those that do not. */
  heartbeat(claims: Claim[], leaseMs: number): Promise<Claim[]>;
  /**
   * True if the claim holds for at least that long, its lease extended if it must, people decided nothing since, and
   * a write may leave at all.
   */
  confirm(claim: Claim, forMs: number, decided: Decided): Promise<boolean>;
  /** Makes due what waits at a vendor's origin that answers again: tenants of which it showed nothing; how many. */
  recall(origin: string): Promise<number>;
  /**
   * Makes due what is claimed by owners whose session is gone (`Occupancy.share`), long before their leases run out;
   * how many tenants.
   */
  takeOver(): Promise<number>;
  /** Gives a claim back that was not used, due after a time. */
  release(claim: Claim, dueInMs: number): Promise<void>;
  /**
   * Gives back the claims of runs that were broken off, due at once. A call that had left may still arrive: what takes
   * something away waits until the old lease would have run out, as after a takeover (rulings 10).
   */
  abandon(claims: Claim[]): Promise<void>;
  /** Ms until the next tenant is due; null when none is. */
  nextDueInMs(): Promise<number | null>;
  /** Calls back when somebody triggered a tenant; an accelerator only. */
  onTrigger(listener: () => void): Promise<() => Promise<void>>;
}

/** Whether this is still the database that it was (rulings 14). */
export interface Lineage {
  /**
   * Holds every tenant by a brake of that id where the database is another one than at the last check, until its active
   * key was seen in use, and answers what is to be told of it; null: it is the same one, or the first that is checked.
   */
  check(brakeId: string): Promise<NewEvent | null>;
}

/** What people decided of a tenant, counted: the same numbers mean that nobody decided anything since. */
export interface Decided {
  generation: number;
  /** Of what lives apart from the spec: a pause, an acceptance, the end of one by a person. */
  decisions: number;
}

export interface StoredTenant extends Decided {
  id: string;
  spec: TenantSpec;
  /** A person's, apart from the spec's; null: none. */
  pause: Pause | null;
  createdAt: string;
  updatedAt: string;
  deleting: boolean;
  /** How its deletion was asked for; null: it is not being deleted. */
  deletion: Deletion | null;
  /** The fleet's brake that holds the tenant; null: none does. */
  brake: Hold | null;
  triggerSeq: number;
  handledSeq: number;
  /** Consecutive failed runs. */
  failures: number;
  nextReconcileAt: string | null;
  /** The vendor's budget that it waits for, or had to wait for before its last run; null: there was enough. */
  waiting: Waiting | null;
}

/** What the last run recorded; conditions and drift carry their times forward. */
export interface StoredStatus {
  observedGeneration: number;
  facts: Facts;
  memory: IntegrationMemory;
  conditions: Condition[];
  drift: Drift[];
  plan: Plan;
  observedAt: string;
}

/** Everything that one reconcile starts from, read in one snapshot. */
export interface Snapshot {
  tenant: StoredTenant;
  status: StoredStatus | null;
  credentials: HeldCredential[];
  /** The sealed text of each credential that may be called with, by credential id. */
  sealed: Record<string, string>;
  handoffs: Handoff[];
  intents: OpenIntent[];
  owned: OwnedObject[];
  /** The rotation of the integration key that has not ended; null: none. */
  rotation: Rotation | null;
  /** The rotation of the Umbrella key in use that is under way, or the last one; null: none yet. */
  umbrellaRotation: UmbrellaRotation | null;
  /** Signatures of the ways in which the tenant was last seen to differ. */
  sighted: string[];
  /** Those that have not ended. */
  acceptances: Acceptance[];
}

export interface OpenIntent {
  id: string;
  /** Deterministic: what can be looked up outside, such as `member:umbrella-a`. */
  key: string;
  action: string;
  openedAt: string;
  outcome: 'open' | 'unknown';
}

export type NewIntent = Pick<OpenIntent, 'id' | 'key' | 'action'> & { request: unknown };

/** `spec-changed`: another spec, a pause, a deletion or a rollback came since this run began, or holds it (rulings 13, 18). */
export type IntentVerdict =
  | { granted: true }
  /** It would take something away, and who had the tenant before may still be at work (rulings 10). */
  | { granted: false; because: 'taken-over'; leftMs: number }
  | { granted: false; because: 'claim-lost' | 'spec-changed' | 'already-open' | 'cap' }
  /** The fleet's brake was set, or holds the tenant anew, since this run looked. */
  | { granted: false; because: 'braked'; brake: Hold };

export interface NewEvent {
  type: string;
  message: string;
  data?: Record<string, unknown>;
}

export type HandoffChange =
  | {
      change: 'open';
      id: string;
      kind: HandoffKind;
      subject: string;
      content: HandoffContent;
      deadline: string;
      /** The automation that it is for; with an error: it cannot have it, and people do. Absent: it is people's. */
      automation?: { webhook: string; error: string | null } | null;
    }
  | { change: 'refresh'; id: string; content: HandoffContent }
  | { change: 'overdue'; id: string }
  /** What was submitted was refused: the work is still to be done, by whoever claimed it. */
  | { change: 'reopen'; id: string; because: string }
  | { change: 'close'; id: string; evidence: string }
  /** Nothing happens where somebody claimed it since; without `claimedAt`: whoever claimed it. */
  | { change: 'withdraw'; id: string; evidence: string; claimedAt?: string | null };

export interface CredentialChange {
  id: string;
  state: CredentialState;
  /** Why, for the event and the credential's own history. */
  because: string;
  provedAt?: string;
}

export interface RunRecord {
  id: string;
  trigger: string;
  startedAt: string;
  finishedAt: string;
  outcome: 'succeeded' | 'degraded' | 'failed';
  reads: number;
  writes: number;
  summary: string;
  actions: { action: string; outcome: string }[];
}

/** What a run saw. */
export interface RunFindings {
  /** The run that saw it first; the runs after it saw the same. */
  since: string;
  conditions: Condition[];
  drift: Drift[];
  /** That run's calls by kind; null: not kept. */
  calls: Record<string, number> | null;
}

/** All that one reconcile leaves behind: written in one transaction, or not at all. */
export interface Result {
  run: RunRecord;
  /** How many calls of each kind it made: `connectwise GET system/members`. */
  calls: Record<string, number>;
  /** Null: the run failed before it observed anything; the earlier status stands. */
  status: StoredStatus | null;
  events: NewEvent[];
  handoffs: HandoffChange[];
  credentials: CredentialChange[];
  intents: { id: string; outcome: 'applied' | 'not-applied' | 'unknown'; note: string }[];
  owned: OwnedObject[];
  /** The rotation as it is now, and the wish that this run heeded; null: there is none, or it did not change. */
  rotation: { now: Rotation; heeded: Wish | null } | null;
  /** Proof times of credentials in use, by id. */
  provedAt: Record<string, string>;
  next: { inMs: number; failures: number };
  /** The pause whose time is up: it is forgotten; null: there is none. */
  pauseOver: Pause | null;
  /** What becomes of acceptances; each has an event too. */
  acceptances: AcceptanceChange[];
  /** What is remembered of a wait for a vendor's budget; absent: it stays as it is. */
  waiting?: Waiting | null;
  /**
   * The last event of its history, where the tenant's deletion is final: its row goes in the same transaction,
   * unless the deletion was taken back meanwhile. Null: it stays.
   */
  forget: NewEvent | null;
}

export interface IntentBounds extends Decided {
  deleting: boolean;
  /** Intents that the whole fleet may open within an hour. */
  perHour: number;
  /** The rotation that this run began with, and when a person last asked something of it. */
  rotation: { id: string; wishedAt: string | null } | null;
  /** It waits until nobody else can still be at work (rulings 10). */
  takesAway: boolean;
}

/** What became of the brake by what a tenant was seen to show. */
export interface Sighted {
  /** The brake that holds the tenant; null: none does. */
  brake: Hold | null;
  /** Brakes that were set or ended by it, as the fleet's events. */
  news: NewEvent[];
}

export interface Reconciles {
  snapshot(tenantId: string): Promise<Snapshot | null>;
  /**
   * Gives a claim back of a tenant that waits for a vendor's budget: it is due again after that time, and nothing else
   * of it changes. False: the claim was lost.
   */
  defer(claim: Claim, waiting: Waiting, inMs: number, events: NewEvent[]): Promise<boolean>;
  /**
   * Keeps in which ways a tenant differs now, before anything is done about it; sets the brake where too many
   * tenants came to differ alike, and ends one that no tenant shows any more. Counted by one at a time, whoever
   * asks. `brakeId`: of the brake that is set, if one is. Null: the claim was lost.
   */
  sight(
    claim: Claim,
    sightings: Sighting[],
    bounds: BrakeBounds & { brakeId: string },
  ): Promise<Sighted | null>;
  /**
   * Commits an intent before its effect, if the claim holds, the tenant is still as this run began with it, and
   * neither the fleet's cap nor its brake forbids it (rulings 7, 12).
   */
  openIntent(claim: Claim, intent: NewIntent, bounds: IntentBounds): Promise<IntentVerdict>;
  /**
   * Lets a rotation begin, if fewer than `limit` are in flight in the whole fleet and none that waits is older; null
   * as limit: at once, since nothing works that it could disturb, or the key is compromised. When it was admitted,
   * ISO 8601, or null: it waits.
   */
  admitRotation(claim: Claim, rotationId: string, limit: number | null): Promise<string | null>;
  /**
   * Writes everything and gives the claim back; false: the claim was lost and nothing was written. Hand-offs that
   * were decided on before the brake came to hold the tenant are not opened, and the tenant is due again.
   */
  record(claim: Claim, result: Result): Promise<boolean>;
}

/** The fleet in numbers, for metrics and nothing else. */
export interface Census {
  /** `ready` is null for tenants that no run has observed yet. */
  tenants: { mode: string; ready: Truth | null; count: number }[];
  /** Live hand-offs. */
  handoffs: { kind: HandoffKind; state: string; overdue: boolean; count: number }[];
  /** Rotations that have not ended; `stuck`: `RotationHealthy` is False. */
  rotations: { phase: RotationPhase; stuck: boolean; count: number }[];
  /** Tenants that have been due for more than a minute and that nobody runs. */
  late: number;
  /** Intents of which it is not known yet what became. */
  openIntents: number;
  /** Tenants that wait for a vendor's budget; `stretched`: so long that it changes how often they are looked at. */
  waiting: { budget: BudgetKind; stretched: boolean; count: number }[];
  /** Brakes that are on. */
  braked: number;
  /** Key-encryption keys that something may be sealed under: one, or two while the key is changed. */
  keks: { kid: string; createdAt: string }[];
}

export interface Housekeeping {
  /** Deletes runs, events and settled intents older than that, at most `batch` rows of each; how many went. */
  prune(olderThanMs: number, batch: number): Promise<number>;
  /**
   * Destroys the ciphertext of pairs that have been dead for longer than that, at most `batch` of them, with an
   * event each; how many went. Fingerprint, times and reasons stay (rulings 19: the clock starts when death was
   * seen).
   */
  destroyDead(deadForMs: number, batch: number): Promise<number>;
  /**
   * Lists as `Unknown` those tenants of which nothing was seen for longer than it holds, at most `batch` of them; how
   * many there were.
   */
  unsayOld(batch: number): Promise<number>;
  census(): Promise<Census>;
}

/** What the commands need of the store: the other half of what the store implements. */
export type * from './desk.ts';
export type * from './bulk-store.ts';
/** The log of events. */
export type * from './event-log.ts';
/** What requests that are done once need. */
export type * from './requests.ts';
/** What work that goes to automations needs. */
export type * from './deliveries.ts';
/** What the rotation of Umbrella's API keys needs of it. */
export type * from './umbrella-store.ts';
/** What the vault needs of it. */
export type * from './keyring.ts';
/** Who may call the vendors how often. */
export type * from './budget-ledger.ts';
/** What people ask of the fleet's brake. */
export type * from './brakes.ts';
