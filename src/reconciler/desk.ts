import type { Caller, Role, Scope } from '../domain/access.ts';
import type { Deletion } from '../domain/deletion.ts';
import type { Acceptance } from '../domain/acceptance.ts';
import type { Condition } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import type { OwnedObject } from '../domain/ground.ts';
import type { FleetCount } from '../domain/fleet.ts';
import type { Handoff } from '../domain/handoff.ts';
import type { LabelSelector } from '../domain/labels.ts';
import type { Pause } from '../domain/pause.ts';
import type { Rotation, Wish } from '../domain/rotation.ts';
import type { Purpose, TenantSpec } from '../domain/tenant.ts';
import type { TenantFilter, TenantSort } from '../domain/tenant-filter.ts';
import type { UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import type { BrakeDesk } from './brakes.ts';
import type { BulkOrder, BulkOutcome, DecideBulk } from './bulk-store.ts';
import type { EventView, Page } from './commands.ts';
import type { Place } from './cursor.ts';
import type {
  KeyRequest,
  KeyRequestRefusal,
  NewEvent,
  RunFindings,
  RunRecord,
  StoredStatus,
  StoredTenant,
} from './ports.ts';

export type { Caller, EventView, Page };

/**
 * What the commands need of the store. Each method is one transaction: it did all that it says, or nothing.
 * A cause and its trigger are committed together, and with them the entry in the audit. What can go wrong is a
 * value; a throw is a broken database.
 */

/** What was changed, for the audit; who asked is the caller's. */
export interface AuditEntry {
  /** `tenant.replace`: the kind of thing, and what was done to it. */
  action: string;
  /** Null: it is about no tenant. */
  tenantId: string | null;
  /** What of the tenant it is about: a hand-off, a rotation, a purpose; null: the tenant itself. */
  subject: string | null;
  /** What the person gave as the reason. */
  reason: string | null;
  /** What was changed, as it was and as it is; secrets as fingerprints. Null: there was nothing, or is no more. */
  before: Record<string, unknown> | null;
  after: Record<string, unknown> | null;
}

/** A sealed pair to keep. One that is `active` takes the place of the purpose's active one. */
export interface NewCredential {
  id: string;
  purpose: Purpose;
  state: 'candidate' | 'active';
  fingerprint: string;
  member: string | null;
  origin: string;
  /** What the vault made of the pair, bound to this id and origin. */
  sealed: string;
  handoffId: string | null;
}

/** A credential with its history: what is kept for ever. */
export interface CredentialRecord extends HeldCredential {
  /** When it came into its state, and why. */
  since: string;
  because: string;
  /** When its sealed text was destroyed; null: it is there. */
  destroyedAt: string | null;
}

/** One tenant as a set of tenants is applied. */
export interface TenantWrite {
  id: string;
  /** The generation that this was decided on; null: the tenant must not exist yet. */
  expected: number | null;
  spec: TenantSpec;
  /** Names the Umbrella console where it is known (rulings 26); absent: whatever it is stays. */
  consoleIdentity?: string | null;
  credentials: NewCredential[];
  events: NewEvent[];
  /** What the run that this triggers will give as its cause. */
  cause: string;
}

export type ApplyRefusal =
  /** Somebody else was quicker; null: there is no such tenant any more. */
  | { because: 'stale'; id: string; generation: number | null }
  | { because: 'deleting'; id: string }
  /** Another tenant speaks for that company or console; null where it went away meanwhile. As in `holders`. */
  | { because: 'company-taken' | 'console-taken'; id: string; by: string | null };

export type Applied =
  | { ok: true; tenants: { id: string; generation: number; trigger: number }[] }
  | { ok: false; refusal: ApplyRefusal };

/** Everything that is known of one tenant, read in one snapshot. */
export interface TenantRecord {
  tenant: StoredTenant;
  status: StoredStatus | null;
  credentials: HeldCredential[];
  /** The live ones. */
  handoffs: Handoff[];
  lastRun: RunRecord | null;
  /** The rotation that has not ended; null: none. */
  rotation: Rotation | null;
  /** The rotation of the Umbrella key in use that is under way, or the last one; null: none yet. */
  umbrellaRotation: UmbrellaRotation | null;
}

/** All that is kept of a tenant's keys, read in one snapshot. */
export interface KeyRecord {
  tenant: StoredTenant;
  status: StoredStatus | null;
  /** Oldest first. */
  credentials: CredentialRecord[];
  /** Newest first. */
  rotations: Rotation[];
  umbrellaRotation: UmbrellaRotation | null;
  /** Live ones and others. */
  handoffs: Handoff[];
  /** Those about keys and hand-offs, newest first. */
  events: EventView[];
}

/** One row of the list of tenants. */
export interface TenantRow {
  tenant: StoredTenant;
  /** Null until a run has observed something. */
  observed: { conditions: Condition[]; observedAt: string } | null;
  /** Null: it is ready. */
  unreadySince: string | null;
  /** How many paths differ. */
  drift: number;
}

export type HandoffRefusal =
  | { because: 'not-found' }
  /** It was closed or withdrawn, or what was asked needs another state. */
  | { because: 'state'; handoff: Handoff }
  | { because: 'claimed-by-other'; handoff: Handoff };

export interface Submission {
  by: string;
  /** Names the work as done without evidence (rulings 17). */
  attested: boolean;
  /** The pair that was asked for, sealed; null where none was. */
  candidate: NewCredential | null;
  events: NewEvent[];
  cause: string;
}

/** A deletion, and what it was decided on. */
export interface DeletionRequest {
  /** Null: whatever it is by now. */
  generation: number | null;
  deletion: Omit<Deletion, 'since'>;
  /** The rotations that had begun: of the integration key by its id, of the Umbrella key by its number. */
  rotations: { integration: string | null; umbrella: number | null };
}

/** One tenant of a set that is to go. */
export interface DeletionWrite {
  id: string;
  request: DeletionRequest;
  events: NewEvent[];
  cause: string;
}

export type NewAcceptance = Omit<Acceptance, 'acceptedAt' | 'announcedAt'>;

/** `replaced`: accepted anew; `void`: the difference became another, or went away. */
export type AcceptanceEnd = 'withdrawn' | 'replaced' | 'expired' | 'void';

/** An acceptance, and how it ended; null: it has not. */
export interface AcceptanceRecord extends Acceptance {
  endedAt: string | null;
  ended: AcceptanceEnd | null;
  because: string | null;
}

/** Which entries of the audit are asked for; null: any. */
export interface AuditPage {
  /** Entries before the one of this id. */
  before: number | null;
  limit: number;
  tenant: string | null;
  actor: string | null;
  action: string | null;
  since: string | null;
}

/** What was changed, by whom, and from where. */
export interface AuditRecord extends AuditEntry {
  id: string;
  at: string;
  actor: string;
  tokenId: string | null;
  role: string | null;
  address: string | null;
  requestId: string | null;
}

export interface Desk extends BrakeDesk {
  /**
   * The desk of one who asks: tenants that it may not see are not there, and every change writes into the audit
   * who asked for it. The desk itself is that of Parasol, which sees all.
   */
  as(caller: Caller): Desk;
  /**
   * Writes all of these tenants and asks for the end of the others, or does nothing of it. A spec that differs makes
   * a new generation; every tenant given is triggered, its backoff forgotten.
   */
  apply(writes: TenantWrite[], deletions?: DeletionWrite[]): Promise<Applied>;
  /** Marks a tenant as to be deleted and triggers the run that makes it final. */
  requestDelete(
    id: string,
    request: DeletionRequest,
    events: NewEvent[],
    cause: string,
  ): Promise<
    | { ok: true; trigger: number }
    | { ok: false; because: 'not-found' }
    /** It is not what it was decided on any more. */
    | { ok: false; because: 'stale'; generation: number }
    | { ok: false; because: 'rotations' }
  >;
  /** What is Parasol's to write outside (rulings 8). */
  owned(id: string): Promise<OwnedObject[]>;
  /** Takes a deletion back that is not final yet. A run that began before writes nothing more to the vendors. */
  takeDeletionBack(
    id: string,
    asked: { by: string; reason: string },
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; trigger: number } | { ok: false; because: 'not-found' | 'not-deleting' }>;
  /** Asks for a run, at once or right after the one under way; its number, or null: no such tenant. */
  trigger(id: string, cause: string): Promise<number | null>;
  /** Keeps a person's pause in place of the one before it, and triggers the run that tells it. */
  pause(
    id: string,
    pause: Pick<Pause, 'by' | 'reason' | 'until'>,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; trigger: number } | { ok: false; because: 'not-found' }>;
  /** Ends a person's pause, and triggers the run that goes on. */
  resume(
    id: string,
    asked: Pick<Pause, 'by' | 'reason'>,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; trigger: number } | { ok: false; because: 'not-found' | 'not-paused' }>;
  /**
   * Keeps an acceptance, if the drift still is as it was decided on, in place of the one before it of that path; and
   * triggers the run that heeds it.
   */
  accept(
    tenantId: string,
    acceptance: NewAcceptance,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; trigger: number } | { ok: false; because: 'not-found' | 'changed' }>;
  /** Ends the acceptance of a path, and triggers the run that takes it as drift again. */
  withdrawAcceptance(
    tenantId: string,
    asked: Pick<Acceptance, 'path' | 'by' | 'reason'>,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; trigger: number } | { ok: false; because: 'not-found' | 'none' }>;
  /** Those in force and those that have ended, newest first. */
  acceptances(tenantId: string): Promise<AcceptanceRecord[]>;
  /** Keeps a pair and triggers its proof. `consoleIdentity`: as in `TenantWrite`. */
  addCredential(
    tenantId: string,
    credential: NewCredential,
    change: { consoleIdentity?: string | null; events: NewEvent[]; cause: string },
  ): Promise<
    | { ok: true; trigger: number }
    | { ok: false; because: 'not-found' | 'deleting' }
    | { ok: false; because: 'console-taken'; by: string | null }
  >;

  tenant(id: string): Promise<TenantRecord | null>;
  /**
   * What differs, by tenant, whenever a run was recorded or asked for, or the spec was changed: told by one cheap
   * statement. A tenant that is gone has none.
   */
  marks(ids: string[]): Promise<Map<string, string>>;
  /** Those of these tenants that exist, with every credential that they ever had. */
  tenants(ids: string[]): Promise<{ tenant: StoredTenant; credentials: HeldCredential[] }[]>;
  /** The tenants that carry all of the labels, by id, as `tenants` has them. */
  specs(page: {
    labels: LabelSelector[];
    after: string | null;
    limit: number;
  }): Promise<Page<{ tenant: StoredTenant; credentials: HeldCredential[] }>>;
  /** Everything about a tenant's keys; null: there is no such tenant. */
  keyRecord(id: string): Promise<KeyRecord | null>;
  /** The tenant with every credential that it ever had, oldest first; null: there is no such tenant. */
  history(id: string): Promise<{ tenant: StoredTenant; credentials: CredentialRecord[] } | null>;
  /**
   * Who speaks for any of these companies (`companyIdentity`) or Umbrella consoles (rulings 26), by id; whom one may
   * not see, as `HIDDEN_TENANT`.
   */
  holders(identities: {
    companies: string[];
    consoles: string[];
  }): Promise<{ id: string; company: string; console: string | null }[]>;
  /** Those that the filter means; `next` is the `after` of the next page. */
  page(page: {
    sort: TenantSort;
    filter: TenantFilter;
    after: Place | null;
    limit: number;
  }): Promise<{ items: TenantRow[]; next: Place | null }>;
  /**
   * One command for many tenants: `confirmed` null only looks, and gives the token with which exactly that may be
   * done, by this caller and within 10 minutes; all of it or nothing.
   */
  bulk(order: BulkOrder, decide: DecideBulk, confirmed: string | null): Promise<BulkOutcome>;
  /** Of the tenants with all of these labels. */
  fleet(labels: readonly LabelSelector[]): Promise<FleetCount>;
  /** Newest first; `next` is the `before` of the next page. */
  events(tenantId: string, page: { before: string | null; limit: number }): Promise<Page<EventView>>;
  /** One run and what it saw; null: there is none, or no longer. */
  run(tenantId: string, id: string): Promise<{ run: RunRecord; saw: RunFindings | null } | null>;
  /** Newest first; `next` is the `before` of the next page. */
  runs(tenantId: string, page: { before: string | null; limit: number }): Promise<Page<RunRecord>>;

  /** The earliest deadline first. */
  handoffs(filter: { tenant: string | null; live: boolean }): Promise<Handoff[]>;
  handoff(id: string): Promise<Handoff | null>;
  /** Takes an open hand-off for one person; again by the same person: no change. */
  claimHandoff(
    id: string,
    by: string,
  ): Promise<{ ok: true; handoff: Handoff } | { ok: false; refusal: HandoffRefusal }>;
  /** Gives a claimed hand-off back; only who claimed it may. */
  releaseHandoff(
    id: string,
    by: string,
  ): Promise<{ ok: true; handoff: Handoff } | { ok: false; refusal: HandoffRefusal }>;
  /**
   * Says that the work was done, keeps the pair that came of it and triggers the run that looks for evidence.
   * An unclaimed hand-off is claimed by it; one that was submitted may be submitted again.
   */
  submitHandoff(
    id: string,
    submission: Submission,
  ): Promise<{ ok: true; handoff: Handoff; trigger: number } | { ok: false; refusal: HandoffRefusal }>;
  /**
   * Notes that the pair of a hand-off was shown to the person who claimed it, and triggers the run that takes it as
   * installed from then on; once.
   */
  reveal(
    id: string,
    asked: { by: string; reason: string },
    events: NewEvent[],
    cause: string,
  ): Promise<
    | { ok: true; handoff: Handoff; credential: HeldCredential; sealed: string }
    | { ok: false; because: 'not-found' | 'not-claimed' | 'not-held' }
    | { ok: false; because: 'shown'; to: string; at: string }
  >;

  /** Keeps a rotation that waits to begin, and triggers the run that takes it up; one at a time for each tenant. */
  requestRotation(
    rotation: Rotation,
    events: NewEvent[],
    cause: string,
  ): Promise<
    | { ok: true; trigger: number }
    | { ok: false; because: 'not-found' }
    | { ok: false; because: 'live'; rotation: Rotation }
  >;
  /** Keeps what a person asks of the rotation that is under way, and triggers the run that heeds it. */
  wishOfRotation(
    tenantId: string,
    wish: Wish,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; rotation: string; trigger: number } | { ok: false; because: 'not-found' | 'none' }>;
  /**
   * Asks for the rotation of the Umbrella key that a tenant uses, for all who share it, and triggers the tenant's
   * run. `rotation` names the key's row.
   */
  requestKeyRotation(
    tenantId: string,
    request: KeyRequest,
    events: NewEvent[],
    cause: string,
  ): Promise<{ ok: true; rotation: string; trigger: number } | { ok: false; refusal: KeyRequestRefusal }>;
  /** Every rotation of a tenant, newest first. */
  rotations(tenantId: string): Promise<Rotation[]>;

  /**
   * Notes in the audit that a token tried what it may not, once a minute; `about` names a tenant, or a hand-off of
   * one. What does not exist for the caller is not noted.
   */
  noteRefusal(about: { tenant: string } | { handoff: string }, permission: string): Promise<void>;
  /** Newest first; `next` is the `before` of the next page. */
  auditLog(page: AuditPage): Promise<Page<AuditRecord>>;
  /** Tokens that see no more than the caller does, by name; also those that have expired. */
  tokens(): Promise<StoredToken[]>;
  /** Keeps a token that is no stronger than the caller's own, by what that is at this moment. */
  addToken(
    token: NewToken,
  ): Promise<
    | { ok: true; token: StoredToken }
    | { ok: false; because: 'name-taken' | 'not-a-token' }
    | { ok: false; because: 'stronger'; problems: { path: string; message: string }[] }
  >;
  /** From then on it is no token any more; what it did stays in the audit. */
  revokeToken(
    id: string,
    reason: string | null,
  ): Promise<{ ok: true; token: StoredToken } | { ok: false; because: 'not-found' | 'configured' }>;
}

/** A token of the API; its value is known to nobody but its bearer. */
export interface StoredToken {
  id: string;
  /** No two have the same. */
  name: string;
  role: Role;
  /** Null: bound to no tenants, it sees all. */
  scope: Scope | null;
  /** Whether it may read a pair, once, where a hand-off asks for it to be put into Umbrella. */
  mayReveal: boolean;
  createdAt: string;
  /** The name of the token that made it; null: the configuration did. */
  createdBy: string | null;
  /** Null: never. */
  expiresAt: string | null;
  /** To the minute; null: it was never used. */
  lastUsedAt: string | null;
}

/** A token that is to be. */
export interface NewToken extends Pick<StoredToken, 'id' | 'name' | 'role' | 'scope' | 'mayReveal'> {
  hash: string;
  /** How long it is one; null: as long as its maker's token, or for ever. */
  forMs: number | null;
  /** The id of another token that may reveal, whose bearer asks as well; null: nobody does. */
  witness: string | null;
  reason: string | null;
}

export interface Tokens {
  /** Keeps a token of the configuration under its name, bound to no tenants and for ever: another that had this name is no longer one. */
  put(token: Pick<StoredToken, 'id' | 'name' | 'role'> & { hash: string }): Promise<void>;
  /** The token of that name is no longer one. */
  remove(name: string): Promise<void>;
  /** Null: unknown, or expired by the database's clock. */
  findByHash(hash: string): Promise<StoredToken | null>;
  /** Notes that it was used, at most once a minute. */
  touch(id: string): Promise<void>;
}
