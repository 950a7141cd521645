import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import type { Secret } from '../domain/secret.ts';
import { keepSecretFile, readSecretFile } from './secret-file.ts';

export interface AdminToken {
  /** SHA-256 of the token, hex: what the API compares with. */
  hash: string;
  /** Where the token can be read; null where the configuration gave it. */
  file: string | null;
  /** Made just now: the caller tells where it lies, never what it is (rulings 25). */
  made: boolean;
}

/** The bootstrap token: from the configuration, else from `<data>/admin-token`, else made there (mode 0600). */
export async function bootstrapToken(from: { token: Secret | null; data: string }): Promise<AdminToken> {
  if (from.token) return { hash: hash(from.token.reveal()), file: null, made: false };
  const file = join(from.data, 'admin-token');
  const kept = await readSecretFile(file);
  const { text, made } =
    kept === null
      ? await keepSecretFile(file, randomBytes(32).toString('base64url'))
      : { text: kept, made: false };
  // An emptied file must not become a token that an empty header matches.
  if (text.length < 24) throw new Error(`${file} holds no token; remove it and a new one is made.`);
  return { hash: hash(text), file, made };
}

const hash = (token: string): string => createHash('sha256').update(token).digest('hex');
