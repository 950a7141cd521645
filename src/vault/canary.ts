import { Secret, type KeyPair } from '../domain/secret.ts';
import type { SealedFor, Vault } from '../reconciler/ports.ts';
import { refused, VaultError, type VaultAnswer } from './error.ts';

/** Where the canary lives: one row beside the sealed credentials. */
export interface CanaryStore {
  /** The sealed canary; null where nothing was ever sealed. */
  read(): Promise<string | null>;
  /** Stores it unless there is one already; returns the one that stands. */
  keep(sealed: string): Promise<string>;
}

const BOUND: SealedFor = {
  tenantId: '*',
  credentialId: 'canary',
  purpose: 'management',
  origin: 'parasol:canary',
};
const canary = (): KeyPair => ({ publicHalf: 'canary', privateHalf: new Secret('canary') });

/**
 * Shows that this vault can open what the database holds, by opening a canary that was sealed at the first
 * start. A wrong key stops the start here, before anything is sealed under it; nothing is changed.
 */
export async function checkVault(vault: Vault, store: CanaryStore): Promise<VaultAnswer<null>> {
  const sealed = (await store.read()) ?? (await store.keep(await vault.seal(canary(), BOUND)));
  try {
    await vault.open(sealed, BOUND);
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
