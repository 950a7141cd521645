/** Requests that are done once, however often they are sent: by their `Idempotency-Key`, which is one token's. */

export interface KeyedRequest {
  tokenId: string;
  key: string;
  /** Names this attempt. */
  requestId: string;
}

export interface KeptAnswer {
  status: number;
  headers: Record<string, string>;
  /** As it was sent; null: it is not kept, since it held a secret. */
  body: string | null;
}

/** What the audit tells of a change whose answer was lost. */
export interface DoneEarlier {
  at: string;
  action: string;
  tenantId: string | null;
  subject: string | null;
  after: Record<string, unknown> | null;
}

export type TakenUp =
  /** It was not done yet: do it. */
  | { state: 'begun' }
  | { state: 'answered'; answer: KeptAnswer }
  /** The key was used for another request. */
  | { state: 'other-body' }
  /** Another attempt may be at it. */
  | { state: 'under-way' }
  /** It was done, and who did it ended before it could answer. */
  | { state: 'unanswered'; done: DoneEarlier };

export interface Requests {
  /** Takes the request up, unless it was; `hash` tells one body from another. */
  begin(request: KeyedRequest & { hash: string }): Promise<TakenUp>;
  /** Keeps what this attempt answers; one that was taken over keeps nothing. */
  answered(request: KeyedRequest, answer: KeptAnswer): Promise<void>;
  /** This attempt ended without an answer: the next one need not wait. */
  broken(request: KeyedRequest): Promise<void>;
}
