import { createPublicKey, randomBytes } from 'node:crypto';
import {
  compactDecrypt,
  CompactEncrypt,
  exportJWK,
  generateKeyPair,
  importJWK,
  importSPKI,
  type JWK,
} from 'jose';
import { Secret, type KeyPair } from '../domain/secret.ts';
import type { Envelopes } from '../reconciler/ports.ts';

const ENC = 'A256GCM';
const TO_EC = 'ECDH-ES+A256KW';
const TO_RSA = 'RSA-OAEP-256';

/** A key's half is never longer; what is longer is no answer. */
const MOST = 4096;

/** JWE compact, by jose: to an automation's own key on the way out, to a key that is used once on the way back. */
export function createEnvelopes(): Envelopes {
  return {
    async oneTime() {
      const { privateKey } = await generateKeyPair(TO_EC, { crv: 'P-256', extractable: true });
      const key = new Secret(JSON.stringify(await exportJWK(privateKey)));
      return { token: randomBytes(32).toString('base64url'), key };
    },

    publicHalfOf(oneTimeKey) {
      const { kty = '', crv = '', x = '', y = '' } = JSON.parse(oneTimeKey.reveal()) as JWK;
      return { kty, crv, x, y, alg: TO_EC, use: 'enc' };
    },

    async open(jwe, oneTimeKey) {
      try {
        const key = await importJWK(JSON.parse(oneTimeKey.reveal()) as JWK, TO_EC);
        const { plaintext } = await compactDecrypt(jwe, key, {
          keyManagementAlgorithms: [TO_EC],
          contentEncryptionAlgorithms: [ENC],
        });
        return pairOf(JSON.parse(new TextDecoder().decode(plaintext)));
      } catch {
        return null;
      }
    },

    async sealFor(pem, { publicKey, privateKey }) {
      const alg = createPublicKey(pem).asymmetricKeyType === 'rsa' ? TO_RSA : TO_EC;
      const plaintext = JSON.stringify({
        publicKey,
        ...(privateKey ? { privateKey: privateKey.reveal() } : {}),
      });
      return await new CompactEncrypt(new TextEncoder().encode(plaintext))
        .setProtectedHeader({ alg, enc: ENC, cty: 'json' })
        .encrypt(await importSPKI(pem, alg));
    },
  };
}

function pairOf(content: unknown): KeyPair | null {
  if (typeof content !== 'object' || content === null) return null;
  const { publicKey, privateKey } = content as Record<string, unknown>;
  const publicHalf = half(publicKey);
  const privateHalf = half(privateKey);
  return publicHalf && privateHalf ? { publicHalf, privateHalf: new Secret(privateHalf) } : null;
}

function half(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  const trimmed = value.trim();
  return trimmed !== '' && trimmed.length <= MOST ? trimmed : null;
}
