import type { Hold } from '../domain/brake.ts';
import type { CredentialState } from '../domain/credential.ts';
import type { Facts } from '../domain/observation.ts';
import type { Pause } from '../domain/pause.ts';
import type { TenantSpec } from '../domain/tenant.ts';
import type { UmbrellaCause, UmbrellaRotation } from '../domain/umbrella-rotation.ts';
import type { NewCredential } from './desk.ts';
import type { NewEvent, Result } from './ports.ts';

/**
 * What the rotation of Umbrella's API keys needs of the store. A key is a row of its own with a claim of its own,
 * whoever uses it (rulings 22); who does is told by the credentials. `identity` names a key without its client id.
 */

/** The right to work on one key; worthless once the token in the row has moved on. */
export interface KeyClaim {
  keyId: string;
  token: number;
  owner: string;
}

type UmbrellaPurpose = 'umbrella-api' | 'umbrella-key-admin';

/** A pair that Parasol holds for one of Umbrella's purposes, and the tenant that holds it. */
export interface KeyHolder {
  tenantId: string;
  spec: TenantSpec;
  deleting: boolean;
  pause: Pause | null;
  /** The fleet's brake that holds the tenant; null: none does. */
  brake: Hold | null;
  credentialId: string;
  purpose: UmbrellaPurpose;
  state: Extract<CredentialState, 'active' | 'superseded'>;
  identity: string | null;
  fingerprint: string;
  origin: string;
  sealed: string;
  /** What the tenant's last run remembered of the key. */
  seen: Facts['umbrellaKey'] | null;
}

export interface KeyRequest {
  cause: Extract<UmbrellaCause, 'person' | 'compromise'>;
  /** The tenant of which it is asked. */
  tenant: string;
  by: string;
  why: string;
}

export type KeyRequestRefusal =
  | { because: 'not-found' | 'no-key' | 'no-key-admin' }
  /** The pair was given just now, and was not looked at yet. */
  | { because: 'not-identified' }
  /** A tenant that uses the key too does not allow it; why, where the caller may see that tenant. */
  | { because: 'hindered'; by: string; held: string | null }
  | { because: 'under-way'; rotation: UmbrellaRotation };

export interface StoredUmbrellaKey {
  id: string;
  origin: string;
  /** Of the key in use. */
  identity: string;
  /** The number of the last rotation. */
  rotations: number;
  /** The one under way, or the last one. */
  rotation: UmbrellaRotation | null;
  requested: KeyRequest | null;
  /** The new pair, sealed for this row, from its creation until it is in use. */
  sealed: string | null;
  /** Since when Parasol knows the key's line. */
  createdAt: string;
}

export interface KeySnapshot {
  key: StoredUmbrellaKey;
  /** Pairs in use and superseded ones, of every tenant that uses or used the key, and whoever holds it as KeyAdmin. */
  holders: KeyHolder[];
  /** A pair in use at this origin was not identified yet. */
  unidentified: boolean;
  /** Of this key, not settled yet. */
  intents: { id: string; key: string; openedAt: string }[];
}

/** What must hold as a write leaves. */
export interface KeyBounds {
  /** Everybody who uses one of these must be in mode `repair`, not paused and not being deleted. */
  allowedBy: string[];
  /** Nobody may use these. */
  unused: string[];
}

type KeyVerdict = 'granted' | 'claim-lost' | 'not-allowed' | 'cap';

/** What a step leaves behind. */
export interface KeyChange {
  rotation: UmbrellaRotation;
  /** Absent: it stays as it is. */
  sealed?: string | null;
  /** Told to each of these tenants, in the words for it (`toldTo`); `wake`: their status is to tell it too, so that they run. */
  events: { tenants: string[]; events: NewEvent[]; wake: boolean };
  intents: Result['intents'];
  /** The request that the rotation answers: it is no longer asked. */
  answered?: KeyRequest | null;
  /** Superseded pairs of that key are dead. */
  dead?: { identity: string; because: string };
}

/** A tenant's pair is replaced by the new one. */
export interface SwitchedPair {
  tenantId: string;
  /** The credential that is in use until now. */
  replaces: string;
  credential: NewCredential;
  /** Where the key itself names the console (rulings 26). */
  consoleIdentity?: string;
}

/** An API key that a person gave to a hand-off, and that is to be proved. */
export type GivenKey = Pick<KeyHolder, 'tenantId' | 'spec' | 'credentialId' | 'origin' | 'sealed'>;

export interface UmbrellaKeys {
  /** API keys that were given to a hand-off and are to be proved. */
  given(): Promise<GivenKey[]>;
  /**
   * What a given key showed of itself: it comes into use, or not. `taken`: the console that it names is another
   * tenant's, and it did not. One that is no candidate any more stays as it is.
   */
  judge(
    given: GivenKey,
    verdict: { becomes: 'active' | 'refused' | 'dead'; because: string },
    consoleIdentity: string | undefined,
  ): Promise<'done' | 'taken'>;
  /** Pairs of Umbrella that are in use, and of which it is not known yet which key they are of. */
  unidentified(
    limit: number,
  ): Promise<Pick<KeyHolder, 'tenantId' | 'credentialId' | 'purpose' | 'origin' | 'sealed'>[]>;
  identify(pairs: { credentialId: string; identity: string }[]): Promise<void>;
  /** Makes a row for each key that has none, and drops those that nobody uses and nothing is done about. */
  tidy(newId: () => string): Promise<void>;
  /** Due keys that nobody works on, about which nothing is under way or asked, each with its holders; at most so many. */
  resting(most: number): Promise<Pick<KeySnapshot, 'key' | 'holders'>[]>;
  /** They are due again so many ms from now, if they are at rest still. */
  postpone(keys: { id: string; inMs: number }[]): Promise<void>;
  /** Takes one due key; null: none is due. */
  take(owner: string, leaseMs: number): Promise<KeyClaim | null>;
  nextDueInMs(): Promise<number | null>;
  snapshot(claim: KeyClaim): Promise<KeySnapshot | null>;
  /** True if the claim holds for at least that long (its lease extended if it must) and the bounds do. */
  confirm(claim: KeyClaim, forMs: number, bounds: KeyBounds): Promise<boolean>;
  /** Commits the rotation and an intent before its effect, within the fleet's cap (rulings 7, 12). */
  openIntent(
    claim: KeyClaim,
    rotation: UmbrellaRotation,
    intent: { id: string; key: string; action: string },
    bounds: KeyBounds & { perHour: number },
  ): Promise<KeyVerdict>;
  /** False: the claim was lost, and nothing was written. `keepMs`: the claim is kept for that long. */
  record(claim: KeyClaim, change: KeyChange, next: { inMs: number } | { keepMs: number }): Promise<boolean>;
  /**
   * Puts the new pair in use for every tenant of the old key, in one transaction. `changed`: others use it now, or
   * one of them may not be written for; nothing was done.
   */
  switchTo(
    claim: KeyClaim,
    change: KeyChange,
    pairs: SwitchedPair[],
    identities: { old: string; fresh: string },
  ): Promise<'switched' | 'changed' | 'claim-lost'>;
  /** Gives the claim back untouched. */
  release(claim: KeyClaim, dueInMs: number): Promise<void>;
}
