import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { decodeProtectedHeader } from 'jose';
import { describe, expect, it, test } from 'vitest';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';
import { PURPOSES } from '../../src/domain/tenant.ts';
import type { KekRecord, SealedFor } from '../../src/reconciler/ports.ts';
import { checkVault, createVault, parseKek, VaultError, type Kek } from '../../src/vault/index.ts';

const kek = () => {
  const parsed = parseKek(randomBytes(32).toString('hex'));
  if (!parsed.ok) throw parsed.error;
  return parsed.value;
};
const KEK = kek();
const vault = createVault(KEK);

const BOUND: SealedFor = {
  tenantId: 'acme',
  credentialId: '01996f7e-0000-7000-8000-000000000001',
  purpose: 'integration',
  origin: 'https://na.myconnectwise.net',
};
const pair = (publicHalf: string, privateHalf: string): KeyPair => ({
  publicHalf,
  privateHalf: new Secret(privateHalf),
});
const reasonOf = (opening: Promise<unknown>) =>
  opening.then(
    () => 'opened',
    (error: unknown) => (error instanceof VaultError ? error.reason : error),
  );

describe('a sealed pair', () => {
  test('opens to what was sealed, whatever the halves hold', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'binary' }),
        fc.string({ unit: 'binary' }),
        fc.constantFrom(...PURPOSES),
        fc.webUrl(),
        async (publicHalf, privateHalf, purpose, origin) => {
          const bound = { ...BOUND, purpose, origin };
          const opened = await vault.open(await vault.seal(pair(publicHalf, privateHalf), bound), bound);
          expect(opened.publicHalf).toBe(publicHalf);
          expect(opened.privateHalf.reveal()).toBe(privateHalf);
        },
      ),
    );
  });

  it('says in its protected header under which key and for what it was sealed, and nothing of the pair', async () => {
    const sealed = await vault.seal(pair('the-public-half', 'the-private-half'), BOUND);
    expect(decodeProtectedHeader(sealed)).toMatchObject({
      alg: 'A256GCMKW',
      enc: 'A256GCM',
      kid: KEK.id,
      tenant: BOUND.tenantId,
      credential: BOUND.credentialId,
      purpose: BOUND.purpose,
      origin: BOUND.origin,
    });
    const everything = sealed
      .split('.')
      .map((part) => Buffer.from(part, 'base64url').toString('latin1'))
      .join();
    expect(everything).not.toContain('the-public-half');
    expect(everything).not.toContain('the-private-half');
  });

  it('is never sealed twice alike', async () => {
    const one = pair('p', 's');
    expect(await vault.seal(one, BOUND)).not.toBe(await vault.seal(one, BOUND));
  });

  it.each([
    ['tenant', { tenantId: 'other' }],
    ['credential', { credentialId: '01996f7e-0000-7000-8000-000000000002' }],
    ['purpose', { purpose: 'management' }],
    ['origin', { origin: 'https://evil.example' }],
  ] as const)('does not open for another %s', async (name, change) => {
    const sealed = await vault.seal(pair('p', 's'), BOUND);
    const opening = vault.open(sealed, { ...BOUND, ...change });
    await expect(opening).rejects.toThrow(`was sealed for another ${name}`);
    expect(await reasonOf(opening)).toBe('bound-elsewhere');
  });

  it('does not open under another key, and names both keys', async () => {
    const other = kek();
    const opening = createVault(other).open(await vault.seal(pair('p', 's'), BOUND), BOUND);
    await expect(opening).rejects.toThrow(new RegExp(`${KEK.id}.*${other.id}`));
    expect(await reasonOf(opening)).toBe('wrong-key');
  });

  test('does not open once any character of it was changed', async () => {
    const sealed = await vault.seal(pair('public', 'private'), BOUND);
    await fc.assert(
      fc.asyncProperty(fc.nat(sealed.length - 1), fc.constantFrom('A', 'z', '0', '.'), async (at, letter) => {
        const changed = sealed.slice(0, at) + letter + sealed.slice(at + 1);
        const bits = (text: string) =>
          text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
        // The last letter of a part may carry unused bits: then the bytes are the same.
        fc.pre(bits(changed).join() !== bits(sealed).join());
        expect(await reasonOf(vault.open(changed, BOUND))).toMatch(/^(damaged|wrong-key)$/);
      }),
    );
  });

  it('does not open when its header was rewritten for another tenant', async () => {
    const [header = '', ...rest] = (await vault.seal(pair('p', 's'), BOUND)).split('.');
    const rewritten = {
      ...JSON.parse(Buffer.from(header, 'base64url').toString()),
      tenant: 'evil',
    } as object;
    const forged = [Buffer.from(JSON.stringify(rewritten)).toString('base64url'), ...rest].join('.');
    expect(await reasonOf(vault.open(forged, { ...BOUND, tenantId: 'evil' }))).toBe('damaged');
  });

  it.each(['', 'nonsense', '{}', 'a.b.c.d.e'])('does not open from %j', async (text) => {
    expect(await reasonOf(vault.open(text, BOUND))).toBe('damaged');
  });

  it('tells no half in any error', async () => {
    const sealed = await vault.seal(pair('PUBLIC-SENTINEL', 'PRIVATE-SENTINEL'), BOUND);
    const openings = [
      createVault(kek()).open(sealed, BOUND),
      vault.open(sealed, { ...BOUND, tenantId: 'other' }),
      vault.open(sealed.slice(0, -4), BOUND),
    ];
    for (const result of await Promise.allSettled(openings)) {
      expect(result.status).toBe('rejected');
      const { message, stack } = (result as PromiseRejectedResult).reason as Error;
      expect(`${message}${stack}`).not.toMatch(/SENTINEL/);
    }
  });
});

describe('a fingerprint', () => {
  test('is the same for the same pair and another one for any other pair', () => {
    const half = fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(half, half, half, half, (a, b, c, d) => {
        const same = a === c && b === d;
        expect(vault.fingerprint(pair(a, b)) === vault.fingerprint(pair(c, d))).toBe(same);
        expect(vault.fingerprint(pair(a, b))).toMatch(/^[0-9a-f]{16}$/);
      }),
    );
  });

  it('tells where one half ends', () => {
    expect(vault.fingerprint(pair('ab', 'c'))).not.toBe(vault.fingerprint(pair('a', 'bc')));
  });

  it('does not depend on the vault’s key', () => {
    expect(createVault(kek()).fingerprint(pair('p', 's'))).toBe(vault.fingerprint(pair('p', 's')));
  });
});

describe('the canary', () => {
  /** One key's record, as the database would hold it. */
  const keyring = (keys: KekRecord[] = []) => ({
    stored: keys,
    async keys() {
      return this.stored;
    },
    async first(kid: string, check: string) {
      if (this.stored.length === 0) {
        this.stored = [{ kid, createdAt: '2026-01-01T00:00:00.000Z', retiredAt: null, check }];
      }
      return this.stored;
    },
  });
  const sealed = async (key: Kek): Promise<KekRecord[]> => {
    const ring = keyring();
    await checkVault(key, ring);
    return ring.stored;
  };

  it('is sealed at the first start and opens at every later one', async () => {
    const ring = keyring();
    expect(await checkVault(KEK, ring)).toEqual({ ok: true, value: null });
    const [first] = ring.stored;
    expect(first).toMatchObject({ kid: KEK.id, check: expect.any(String) });
    expect(await checkVault(KEK, ring)).toEqual({ ok: true, value: null });
    expect(ring.stored).toEqual([first]);
  });

  it('stops a start with the wrong key, in clear words, and destroys nothing', async () => {
    const ring = keyring(await sealed(KEK));
    const before = structuredClone(ring.stored);
    const answer = await checkVault(kek(), ring);
    expect(answer).toMatchObject({ ok: false, error: { reason: 'wrong-key' } });
    expect(!answer.ok && answer.error.message).toMatch(/not the key.*PARASOL_KEK.*Nothing was changed/s);
    expect(ring.stored).toEqual(before);
  });

  it('stops the slower of two first starts that brought different keys', async () => {
    const ring = keyring(await sealed(KEK));
    ring.keys = async () => [];
    expect(await checkVault(kek(), ring)).toMatchObject({ error: { reason: 'wrong-key' } });
  });

  it('stops a start on a damaged canary', async () => {
    const [stored] = await sealed(KEK);
    const answer = await checkVault(KEK, keyring([{ ...stored!, check: 'nonsense' }]));
    expect(answer).toMatchObject({ error: { reason: 'damaged' } });
  });

  it('lets a broken database be what it is', async () => {
    const ring = { ...keyring(), keys: () => Promise.reject(new Error('connection lost')) };
    await expect(checkVault(KEK, ring)).rejects.toThrow('connection lost');
  });

  it('stops a start with either key while the key is changed, and tells what to do', async () => {
    const other = kek();
    const ring = keyring([...(await sealed(KEK)), ...(await sealed(other))]);
    for (const key of [KEK, other]) {
      const answer = await checkVault(key, ring);
      expect(answer).toMatchObject({ error: { reason: 'under-way' } });
      expect(!answer.ok && answer.error.message).toContain('run `parasol vault rekey` again');
    }
  });

  it('stops a start with a key that was replaced, and names the one that took its place', async () => {
    const other = kek();
    const [old] = await sealed(KEK);
    const ring = keyring([
      { ...old!, check: null, retiredAt: '2026-03-01T10:00:00.000Z' },
      ...(await sealed(other)),
    ]);
    const answer = await checkVault(KEK, ring);
    expect(answer).toMatchObject({ error: { reason: 'retired' } });
    expect(!answer.ok && answer.error.message).toMatch(
      new RegExp(`${KEK.id} was retired on 2026-03-01, and ${other.id} took its place`),
    );
    expect(await checkVault(other, ring)).toEqual({ ok: true, value: null });
  });
});
