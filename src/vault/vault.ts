import { createHash, hash } from 'node:crypto';
import { compactDecrypt, CompactEncrypt, decodeProtectedHeader } from 'jose';
import { Secret, type KeyPair } from '../domain/secret.ts';
import type { SealedFor, Vault } from '../reconciler/ports.ts';
import { VaultError } from './error.ts';
import type { Kek } from './kek.ts';

const ALG = 'A256GCMKW';
const ENC = 'A256GCM';
/** As many as ten thousand tenants call with; the oldest go first. */
const MOST_OPENED = 40_000;

/** What the pair is bound to, in the protected header: authenticated, hence impossible to change unseen. */
const headerOf = (bound: SealedFor) => ({
  tenant: bound.tenantId,
  credential: bound.credentialId,
  purpose: bound.purpose,
  origin: bound.origin,
});

const describe = (bound: SealedFor): string =>
  `The ${bound.purpose} credential ${bound.credentialId} of ${bound.tenantId}`;

/**
 * Seals pairs as JWE compact (a fresh content key each, wrapped with the key-encryption key), bound to the
 * tenant, credential, purpose and origin that they are for.
 */
export function createVault(kek: Kek): Vault {
  /** Pairs that were opened, by a hash of their sealed text and of what they were opened for: each run calls with them. */
  const opened = new Map<string, KeyPair>();
  return {
    async seal(pair, bound) {
      const plaintext = JSON.stringify([pair.publicHalf, pair.privateHalf.reveal()]);
      return await new CompactEncrypt(new TextEncoder().encode(plaintext))
        .setProtectedHeader({ alg: ALG, enc: ENC, kid: kek.id, ...headerOf(bound) })
        .encrypt(kek.key);
    },

    async open(sealed, bound) {
      const name = hash('sha256', JSON.stringify([sealed, headerOf(bound)]), 'base64');
      const known = opened.get(name);
      if (known) return known;
      const kid = kidOf(sealed);
      if (kid === null) throw new VaultError('damaged', `${describe(bound)} is not sealed text.`);
      if (kid !== kek.id) {
        throw new VaultError(
          'wrong-key',
          `${describe(bound)} was sealed under the key ${kid}, and this is the key ${kek.id}.`,
        );
      }
      const decrypted = await openWith(sealed, kek);
      if (!decrypted) throw new VaultError('damaged', `${describe(bound)} was changed since it was sealed.`);
      const { plaintext, protectedHeader } = decrypted;
      for (const [name, wanted] of Object.entries(headerOf(bound))) {
        if (protectedHeader[name] !== wanted) {
          throw new VaultError('bound-elsewhere', `${describe(bound)} was sealed for another ${name}.`);
        }
      }
      const pair = pairOf(plaintext, bound);
      if (opened.size >= MOST_OPENED) opened.delete(opened.keys().next().value!);
      opened.set(name, pair);
      return pair;
    },

    fingerprint: fingerprintOf,
  };
}

/** The first 16 hex digits of SHA-256 over both halves; NUL between them cannot occur in a key. */
export function fingerprintOf(pair: KeyPair): string {
  return createHash('sha256')
    .update(`${pair.publicHalf}\0${pair.privateHalf.reveal()}`)
    .digest('hex')
    .slice(0, 16);
}

/**
 * The same content for the same purpose, sealed under another key; what it is does not matter. Null: it cannot be
 * opened with `from`, and so with no key at all where it says that it was sealed under that one.
 */
export async function reseal(sealed: string, from: Kek, to: Kek): Promise<string | null> {
  const opened = await openWith(sealed, from);
  if (!opened) return null;
  // How the content key was wrapped is the old key's; everything else stays.
  const { kid: _kid, iv: _iv, tag: _tag, ...header } = opened.protectedHeader;
  const fresh = await new CompactEncrypt(opened.plaintext)
    .setProtectedHeader({ ...header, alg: ALG, enc: ENC, kid: to.id })
    .encrypt(to.key);
  const again = await openWith(fresh, to);
  if (!again || !Buffer.from(again.plaintext).equals(opened.plaintext)) {
    throw new Error('what was sealed anew does not open to what it was');
  }
  return fresh;
}

/** What a text holds, as bytes; null: this key does not open it. */
export async function openWith(sealed: string, kek: Kek) {
  if (kidOf(sealed) !== kek.id) return null;
  try {
    return await compactDecrypt(sealed, kek.key, {
      keyManagementAlgorithms: [ALG],
      contentEncryptionAlgorithms: [ENC],
    });
  } catch {
    return null;
  }
}

function kidOf(sealed: string): string | null {
  try {
    return decodeProtectedHeader(sealed).kid ?? null;
  } catch {
    return null;
  }
}

function pairOf(plaintext: Uint8Array, bound: SealedFor): KeyPair {
  const halves: unknown = JSON.parse(new TextDecoder().decode(plaintext));
  if (!Array.isArray(halves) || typeof halves[0] !== 'string' || typeof halves[1] !== 'string') {
    throw new VaultError('damaged', `${describe(bound)} does not hold a pair.`);
  }
  return { publicHalf: halves[0], privateHalf: new Secret(halves[1]) };
}
