import { createHash } from 'node:crypto';
import { inspect } from 'node:util';

/**
 * A value that was shown once. It prints as `[secret]` wherever it is logged, inspected, interpolated or put
 * into JSON; only `reveal()` gives it out, and only the vault's three ways out call that (rulings 25).
 */
export class Secret {
  readonly #value: string;
  constructor(value: string) {
    this.#value = value;
  }
  reveal(): string {
    return this.#value;
  }
  toString(): string {
    return '[secret]';
  }
  toJSON(): string {
    return '[secret]';
  }
  [inspect.custom](): string {
    return '[secret]';
  }
}

/** The longest secret that is taken from a vendor's answer, in characters: a longer one is no key of anything. */
export const LONGEST_SECRET = 8_192;

/**
 * Both halves of a credential. ConnectWise calls them public and private key, Umbrella key and secret.
 * The public half is an identifier, yet it is not shown either: the fingerprint names a credential.
 */
export interface KeyPair {
  publicHalf: string;
  privateHalf: Secret;
}

/** One secret as a pair: its public half only names it. */
export const secretPair = (secret: string): KeyPair => ({
  publicHalf: createHash('sha256').update(secret).digest('hex').slice(0, 8),
  privateHalf: new Secret(secret),
});
