/**
 * Why a sealed pair could not be opened, or why there is no usable key-encryption key.
 * `wrong-key`: sealed under another one; `bound-elsewhere`: sealed for something else (rulings 11);
 * `damaged`: changed since it was sealed; `no-key`: none given, none found, none may be made;
 * `bad-key`: given, but no key; `retired`: another key took its place; `under-way`: the key is being changed.
 * The message is for people and holds no secret.
 */
export type VaultReason =
  'wrong-key' | 'bound-elsewhere' | 'damaged' | 'no-key' | 'bad-key' | 'retired' | 'under-way';

export class VaultError extends Error {
  override readonly name = 'VaultError';
  readonly reason: VaultReason;
  constructor(reason: VaultReason, message: string) {
    super(message);
    this.reason = reason;
  }
}

/** Expected at a start, hence a value: the machine is whole, the keys are not. */
export type VaultAnswer<T> = { ok: true; value: T } | { ok: false; error: VaultError };

export const refused = (reason: VaultReason, message: string): { ok: false; error: VaultError } => ({
  ok: false,
  error: new VaultError(reason, message),
});
