import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { compactDecrypt, CompactEncrypt, importJWK } from 'jose';
import { describe, expect, it, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createEnvelopes } from '../../src/vault/index.ts';

const envelopes = createEnvelopes();

/** What an automation does with a pair. */
async function answered(jwk: Record<string, string>, content: unknown, enc = 'A256GCM'): Promise<string> {
  return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(content)))
    .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc })
    .encrypt(await importJWK(jwk, 'ECDH-ES+A256KW'));
}

describe('an answer', () => {
  it('is read with the key of its request alone', async () => {
    const [one, other] = [await envelopes.oneTime(), await envelopes.oneTime()];
    expect(one.token).not.toBe(other.token);
    const jwe = await answered(envelopes.publicHalfOf(one.key), { publicKey: ' pub ', privateKey: 'priv\n' });
    const pair = await envelopes.open(jwe, one.key);
    expect([pair?.publicHalf, pair?.privateHalf.reveal()]).toEqual(['pub', 'priv']);
    expect(await envelopes.open(jwe, other.key)).toBeNull();
  });

  it('carries nothing of the private key in the request', async () => {
    const { key } = await envelopes.oneTime();
    const { d } = JSON.parse(key.reveal()) as { d: string };
    expect(JSON.stringify(envelopes.publicHalfOf(key))).not.toContain(d);
    expect(Object.keys(envelopes.publicHalfOf(key)).toSorted()).toEqual([
      'alg',
      'crv',
      'kty',
      'use',
      'x',
      'y',
    ]);
  });

  test.each([
    ['no pair', { publicKey: 'pub' }],
    ['an empty half', { publicKey: 'pub', privateKey: '  ' }],
    ['numbers', { publicKey: 1, privateKey: 2 }],
    ['more than a key ever is', { publicKey: 'pub', privateKey: 'x'.repeat(5_000) }],
    ['nothing', null],
  ])('with %s is none', async (_, content) => {
    const { key } = await envelopes.oneTime();
    expect(await envelopes.open(await answered(envelopes.publicHalfOf(key), content), key)).toBeNull();
  });

  test.each(['', 'a.b.c.d.e', 'clear text'])('that is %j is none', async (jwe) => {
    const { key } = await envelopes.oneTime();
    expect(await envelopes.open(jwe, key)).toBeNull();
  });

  it('that was changed on its way is none', async () => {
    const { key } = await envelopes.oneTime();
    const jwe = await answered(envelopes.publicHalfOf(key), { publicKey: 'pub', privateKey: 'priv' });
    const parts = jwe.split('.');
    parts[3] = `${parts[3]!.startsWith('A') ? 'B' : 'A'}${parts[3]!.slice(1)}`;
    expect(await envelopes.open(parts.join('.'), key)).toBeNull();
  });
});

test.each([
  ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 }), 'RSA-OAEP-256'],
  ['P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ECDH-ES+A256KW'],
  ['P-521', generateKeyPairSync('ec', { namedCurve: 'P-521' }), 'ECDH-ES+A256KW'],
])('a pair for an automation with a key of %s is read with that key alone', async (_, keys, alg) => {
  const pem = keys.publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const jwe = await envelopes.sealFor(pem, { publicKey: 'pub', privateKey: new Secret('private-half') });
  expect(jwe).not.toContain('private-half');
  const { plaintext, protectedHeader } = await compactDecrypt(
    jwe,
    createPrivateKey(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })),
  );
  expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual({
    publicKey: 'pub',
    privateKey: 'private-half',
  });
  expect(protectedHeader).toMatchObject({ alg, enc: 'A256GCM' });
});

it('the public half goes alone where nothing else is asked for', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwe = await envelopes.sealFor(publicKey.export({ type: 'spki', format: 'pem' }) as string, {
    publicKey: 'pub',
  });
  const { plaintext } = await compactDecrypt(jwe, privateKey);
  expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual({ publicKey: 'pub' });
});
