import { createHash, randomBytes } from 'node:crypto';
import type { Secret } from '../domain/secret.ts';
import { refused, type VaultAnswer } from './error.ts';
import { keepSecretFile, readSecretFile, replaceSecretFile } from './secret-file.ts';

/** The key-encryption key: seals every credential, and is the one secret that lies outside the database. */
export interface Kek {
  /** Names the key in what it sealed; derived from it, so that no table of names is needed. */
  id: string;
  key: Uint8Array;
}

const BYTES = 32;
const EXPECTED = '32 random bytes as base64, base64url or 64 hex digits (`openssl rand -base64 32`)';

/** A key from text, or why the text is none; the text itself is never told. */
export function parseKek(text: string): VaultAnswer<Kek> {
  const trimmed = text.trim();
  const key = decode(trimmed);
  if (key === null) {
    return refused('bad-key', `is not a key: ${trimmed.length} characters were read, expected ${EXPECTED}`);
  }
  // 32 random bytes have about 30 distinct values; a placeholder (all zero, "changeme" repeated) has few.
  if (new Set(key).size < 12) return refused('bad-key', `is a placeholder, not a key; expected ${EXPECTED}`);
  return { ok: true, value: kekOf(key) };
}

function decode(text: string): Uint8Array | null {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return null;
  const key = Buffer.from(text, 'base64url');
  return key.length === BYTES ? key : null;
}

function kekOf(key: Uint8Array): Kek {
  const id = createHash('sha256').update('parasol-kek\0').update(key).digest('hex').slice(0, 16);
  return { id, key };
}

export interface LoadedKek {
  kek: Kek;
  /** What a person must be told once, where the key was made just now; null otherwise. */
  notice: string | null;
}

/**
 * The key from the configuration, else from its file, else made and kept in that file (mode 0600).
 *
 * `mayCreate` must be true only where nothing can have been sealed yet: with the embedded database, when it
 * holds no canary. A key that is made anywhere else would hide that the right one is missing.
 */
export async function loadKek(from: {
  kek?: Secret | null;
  file: string;
  mayCreate: boolean;
}): Promise<VaultAnswer<LoadedKek>> {
  if (from.kek) return named('PARASOL_KEK', parseKek(from.kek.reveal()));
  const kept = await readSecretFile(from.file);
  if (kept !== null) return named(from.file, parseKek(kept));
  if (!from.mayCreate) {
    return refused(
      'no-key',
      `There is no key to open the sealed credentials with: PARASOL_KEK is not set and ${from.file} does not exist. ` +
        'Give the key that they were sealed under (from its backup). Nothing was changed.',
    );
  }
  const { text, made } = await keepSecretFile(from.file, randomBytes(BYTES).toString('base64url'));
  const loaded = named(from.file, parseKek(text));
  if (!loaded.ok || !made) return loaded;
  return { ok: true, value: { ...loaded.value, notice: backupNotice(from.file) } };
}

const nextFile = (file: string): string => `${file}.new`;

/** The key that is to take the place of the one in `file`: made beside it, or found there from a change cut off. */
export async function nextKek(file: string): Promise<VaultAnswer<Kek>> {
  const { text } = await keepSecretFile(nextFile(file), randomBytes(BYTES).toString('base64url'));
  const loaded = named(nextFile(file), parseKek(text));
  return loaded.ok ? { ok: true, value: loaded.value.kek } : loaded;
}

/** Puts that key in its place, once nothing is sealed under the old one; returns where the old one is kept. */
export async function installNextKek(file: string, old: Kek): Promise<string> {
  const kept = `${file}.${old.id}`;
  await replaceSecretFile(file, nextFile(file), kept);
  return kept;
}

function named(source: string, parsed: VaultAnswer<Kek>): VaultAnswer<LoadedKek> {
  return parsed.ok
    ? { ok: true, value: { kek: parsed.value, notice: null } }
    : refused(parsed.error.reason, `${source} ${parsed.error.message}`);
}

function backupNotice(file: string): string {
  return (
    `Made the key that seals every credential: ${file}. Back it up, apart from the database: ` +
    'without it no stored credential can ever be opened again, and with it and the database every one can.'
  );
}
