import type { HeldCredential } from '../domain/credential.ts';
import type { Handoff } from '../domain/handoff.ts';
import type { KeyPair, Secret } from '../domain/secret.ts';
import type { TenantSpec } from '../domain/tenant.ts';

/** What work that goes to a tenant's automation needs of the store, the vault and the network. */

/** A pair as it lies in the store. */
export interface SealedCredential {
  credential: HeldCredential;
  sealed: string;
}

/** What a request carries besides the hand-off, and what opens the answer to it. */
export interface Departure {
  handoff: Handoff;
  spec: TenantSpec;
  /** What signs it: the secret in use first, then the one before it, while that still signs. */
  signing: SealedCredential[];
  /** The sealed token and one-time key of this hand-off: the same for every attempt. */
  answerKey: string;
  /** The pair that an install or a deletion is about; null: Parasol does not hold it. */
  subject: SealedCredential | null;
}

export type Begun =
  | { go: true; departure: Departure }
  /** `settled`: there is nothing to be delivered any more; `held`: not now, by mode, pause or what a person asked. */
  | { go: false; because: 'settled' | 'held' };

/** Why an answer is not taken; nothing more is told. */
export type AnswerRefusal = 'unknown' | 'answered' | 'late';

/** One transaction each. */
export interface Deliveries {
  /** What is to be delivered; null: nothing any more. */
  read(handoffId: string): Promise<{ handoff: Handoff; hasAnswerKey: boolean } | null>;
  /**
   * Commits, before a request leaves, that it leaves: the attempt, the key of the answer unless there is one
   * already, and for an install that the pair may be in Umbrella from now on (rulings 17).
   */
  begin(handoffId: string, answerKey: { tokenHash: string; sealed: string } | null): Promise<Begun>;
  /** The automation took it, and will answer later. */
  accepted(handoffId: string): Promise<void>;
  /** An attempt failed; the next one is due by itself. */
  attemptFailed(handoffId: string, why: string): Promise<void>;
  /** The work goes to people, with an event, and the key of the answer is destroyed. */
  toPeople(handoffId: string, why: string): Promise<void>;
  /** Whose answer this token's bearer may give, and what opens it, or why none is taken. */
  answerable(
    tokenHash: string,
    now: Date,
  ): Promise<{ ok: true; handoff: Handoff; answerKey: string } | { ok: false; because: AnswerRefusal }>;
}

/** The queue of deliveries. A delivery is put into it by the transaction that opens the hand-off. */
export interface DeliveryQueue {
  /**
   * Works on what is due until `stop`. `deliver` says `done`, or that it failed, for good or until the next attempt,
   * or in how long it is to be asked again; what failed for good, or as often as it may, is given to `bury`.
   */
  work(handlers: {
    deliver: (handoffId: string) => Promise<'done' | { failed: 'once' | 'for-good' } | { laterMs: number }>;
    bury: (handoffId: string) => Promise<void>;
  }): Promise<void>;
  stop(): Promise<void>;
}

/** Secrets on their way to an automation and back: encrypted so that nobody between can read them. */
export interface Envelopes {
  /** A new token and a new private key for one answer. */
  oneTime(): Promise<{ token: string; key: Secret }>;
  /** As a JWK, which the request carries. */
  publicHalfOf(oneTimeKey: Secret): Record<string, string>;
  /** The pair in an answer; null: it is not encrypted to this key, or holds no pair. */
  open(jwe: string, oneTimeKey: Secret): Promise<KeyPair | null>;
  /** A pair, or only its public half, encrypted to an automation's public key (PEM). */
  sealFor(pem: string, content: { publicKey: string; privateKey?: Secret }): Promise<string>;
}

/** What became of a request; words carry nothing of what was answered. */
export type Delivered =
  | { outcome: 'answered'; body: unknown }
  | { outcome: 'accepted' }
  /** Sent again it would end the same. */
  | { outcome: 'refused'; why: string }
  | { outcome: 'unavailable'; why: string };

export interface AutomationCalls {
  /** Sends a signed request, once; `secrets` sign it, each with a signature of its own. */
  post(
    webhook: string,
    request: { id: string; at: Date; body: string; secrets: Secret[] },
  ): Promise<Delivered>;
  close(): Promise<void>;
}
