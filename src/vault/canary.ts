import { Secret, type KeyPair } from '../domain/secret.ts';
import type { KekRecord, Keyring, SealedFor } from '../reconciler/ports.ts';
import { refused, VaultError, type VaultAnswer } from './error.ts';
import type { Kek } from './kek.ts';
import { createVault } from './vault.ts';

const BOUND: SealedFor = {
  tenantId: '*',
  credentialId: 'canary',
  purpose: 'management',
  origin: 'parasol:canary',
};
const canary = (): KeyPair => ({ publicHalf: 'canary', privateHalf: new Secret('canary') });

/** What proves this key later on. */
export const sealCanary = (kek: Kek): Promise<string> => createVault(kek).seal(canary(), BOUND);

/** Keys that something may be sealed under: one, or both while the key is changed. */
export const inUse = (keys: KekRecord[]): (KekRecord & { check: string })[] =>
  keys.flatMap((key) => (key.check === null ? [] : [{ ...key, check: key.check }]));

/**
 * Shows that this key can open what the database holds, by opening a canary that was sealed at the first start. A
 * wrong key stops the start here, before anything is sealed under it; nothing is changed.
 */
export async function checkVault(
  kek: Kek,
  keyring: Pick<Keyring, 'keys' | 'first'>,
): Promise<VaultAnswer<null>> {
  let keys = await keyring.keys();
  if (keys.length === 0) keys = await keyring.first(kek.id, await sealCanary(kek));
  const [key, ...others] = inUse(keys);
  if (!key) throw new Error('no key-encryption key is in use, although there was one');
  if (others.length > 0) {
    return refused(
      'under-way',
      `The key-encryption key is being changed (${[key, ...others].map(({ kid }) => kid).join(' → ')}): ` +
        'run `parasol vault rekey` again, with the same two keys, to finish it. Nothing was changed.',
    );
  }
  const retired = keys.find(({ kid, check }) => kid === kek.id && check === null);
  if (retired) {
    return refused(
      'retired',
      `This is not the key that the credentials in the database are sealed under: the key ${kek.id} was retired on ` +
        `${retired.retiredAt?.slice(0, 10)}, and ${key.kid} took its place. Give that one as PARASOL_KEK; where ` +
        'Parasol made it, run `parasol vault rekey` again to put it in its place. Nothing was changed.',
    );
  }
  return openCanary(kek, key.check);
}

/** Opens the canary of a key, or tells why that cannot be. */
export async function openCanary(kek: Kek, check: string): Promise<VaultAnswer<null>> {
  try {
    await createVault(kek).open(check, BOUND);
    return { ok: true, value: null };
  } catch (error) {
    if (!(error instanceof VaultError)) throw error;
    return error.reason === 'wrong-key'
      ? refused(
          'wrong-key',
          'This is not the key that the credentials in the database were sealed under. ' +
            `Give that one as PARASOL_KEK (from its backup), or the database that belongs to this key. ` +
            `Nothing was changed. (${error.message})`,
        )
      : refused(
          error.reason,
          `The database’s canary cannot be opened. Nothing was changed. (${error.message})`,
        );
  }
}
