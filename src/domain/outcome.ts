/**
 * What became of a call to a vendor, as a value. Adapters classify; the domain decides; nobody throws for
 * something that a vendor may do on any night. HTTP status codes stay below `providers/`.
 */

/** Why a vendor could not be understood or reached. Never a message of the vendor's: those are not stable. */
export type UnavailableWhy =
  | 'timeout'
  | 'connection'
  | 'dns'
  | 'tls'
  | 'server-error'
  | 'not-json'
  | 'truncated'
  | 'too-large'
  | 'redirected'
  | 'breaker-open'
  | 'wrong-shape'
  | 'cancelled';

/** `detail` is for people: safe to log and store, holds no secret and at most 300 characters. */
export type Failure =
  | { kind: 'RateLimited'; retryAfterMs: number; detail: string }
  | { kind: 'Unauthorized'; detail: string }
  | { kind: 'Forbidden'; detail: string }
  | { kind: 'NotFound'; detail: string }
  | { kind: 'Invalid'; fields: { field: string; message: string }[]; detail: string }
  | { kind: 'Unavailable'; why: UnavailableWhy; detail: string }
  /** A write whose answer was lost: it may have been applied. Look it up before anything else. */
  | { kind: 'OutcomeUnknown'; detail: string }
  /** Our own last door did not let a write out; nothing was sent. */
  | { kind: 'Barred'; detail: string };

export type Outcome<T> = { ok: true; value: T } | { ok: false; failure: Failure };

export const ok = <T>(value: T): Outcome<T> => ({ ok: true, value });
export const failed = (failure: Failure): { ok: false; failure: Failure } => ({ ok: false, failure });

/**
 * How much a failure says: 0 nothing at all (we were asked to wait, or stopped ourselves); 1 that there is bad
 * weather; 2 that the thing asked for was refused; 3 that a right lacks. A lighter word does not unsay a heavier.
 */
export function weightOf(failure: Failure): 0 | 1 | 2 | 3 {
  switch (failure.kind) {
    case 'RateLimited':
    case 'OutcomeUnknown':
    case 'Barred':
      return 0;
    case 'Unavailable':
      return failure.why === 'cancelled' ? 0 : 1;
    case 'Unauthorized':
    case 'NotFound':
    case 'Invalid':
      return 2;
    case 'Forbidden':
      return 3;
  }
}

/** A failure that says nothing about the thing asked for: the earlier value still stands (rulings 2). */
export const saysNothing = (failure: Failure): boolean => weightOf(failure) < 2;

/** One line for people: `rate limited for 30s`, `unavailable (timeout): …`. */
export function describeFailure(failure: Failure): string {
  switch (failure.kind) {
    case 'RateLimited':
      return `rate limited, asked to wait ${Math.ceil(failure.retryAfterMs / 1000)}s`;
    case 'Unavailable':
      return `unavailable (${failure.why}): ${failure.detail}`;
    case 'Unauthorized':
      return `refused the key: ${failure.detail}`;
    case 'Forbidden':
      return `key lacks the right: ${failure.detail}`;
    case 'NotFound':
      return `not found: ${failure.detail}`;
    case 'Invalid':
      return `refused the request: ${failure.fields.map((f) => `${f.field}: ${f.message}`).join('; ') || failure.detail}`;
    case 'Barred':
      return `not sent: ${failure.detail}`;
    case 'OutcomeUnknown':
      return `answer lost, it may have been applied: ${failure.detail}`;
  }
}
