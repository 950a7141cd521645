import { createHash, randomBytes } from 'node:crypto';

/** A ConnectWise API key as the technician sees it, once (domain.md §1). */
export interface KeyPair {
  publicKey: string;
  privateKey: string;
}

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

function encode(bytes: Uint8Array, length: number): string {
  let text = '';
  for (let i = 0; i < length; i += 1) text += ALPHABET[(bytes[i % bytes.length] ?? 0) % ALPHABET.length];
  return text;
}

/** A value that is always the same for (companyId, purpose), so that demos can refer to it. */
export function derived(companyId: string, purpose: string, length: number): string {
  return encode(createHash('sha512').update(`parasol-simulator|${companyId}|${purpose}`).digest(), length);
}

/** A fresh random value of letters and digits. */
export function random(length: number): string {
  return encode(randomBytes(length), length);
}

/** A deterministic ConnectWise key pair. */
export function derivedPair(companyId: string, purpose: string): KeyPair {
  return {
    publicKey: derived(companyId, `${purpose}.public`, 16),
    privateKey: derived(companyId, `${purpose}.private`, 16),
  };
}

/** A fresh ConnectWise key pair; keys are opaque strings of no promised length (domain.md §4). */
export function randomPair(): KeyPair {
  return { publicKey: random(16), privateKey: random(16) };
}

/** What the journal keeps instead of a key: 12 hexadecimal digits that cannot be turned back. */
export function fingerprint(secret: string): string {
  return createHash('sha256').update(secret).digest('hex').slice(0, 12);
}
