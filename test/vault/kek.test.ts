import { randomBytes } from 'node:crypto';
import { link, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { hashToken } from '../../src/api/index.ts';
import { Secret } from '../../src/domain/secret.ts';
import {
  bootstrapToken,
  installNextKek,
  loadKek,
  nextKek,
  parseKek,
  type Kek,
} from '../../src/vault/index.ts';

let data: string;
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'parasol-vault-'));
});
afterEach(() => rm(data, { recursive: true }));

const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

describe('a key-encryption key', () => {
  test('is read alike from hex, base64 and base64url', () => {
    const random = fc
      .uint8Array({ minLength: 32, maxLength: 32 })
      .filter((bytes) => new Set(bytes).size >= 12);
    fc.assert(
      fc.property(random, (bytes) => {
        const buffer = Buffer.from(bytes);
        for (const encoding of ['hex', 'base64', 'base64url'] as const) {
          const parsed = parseKek(`${buffer.toString(encoding)}\n`);
          expect(parsed.ok && Buffer.from(parsed.value.key).equals(buffer)).toBe(true);
        }
      }),
    );
  });

  it.each([
    ['blank', '   '],
    ['too short', randomBytes(31).toString('base64')],
    ['too long', randomBytes(33).toString('base64')],
    ['a password', 'correct horse battery staple'],
    ['all zero', '0'.repeat(64)],
    ['a repeated word', Buffer.from('changeme'.repeat(4)).toString('base64')],
  ])('is refused when it is %s, without being told', (_, text) => {
    const parsed = parseKek(text);
    expect(parsed).toMatchObject({ ok: false, error: { reason: 'bad-key' } });
    expect(!parsed.ok && parsed.error.message).not.toContain(text);
  });

  it('comes from the configuration before its file', async () => {
    const file = join(data, 'kek');
    await writeFile(file, randomBytes(32).toString('hex'));
    const text = randomBytes(32).toString('hex');
    const loaded = await loadKek({ kek: new Secret(text), file, mayCreate: true });
    expect(loaded.ok && Buffer.from(loaded.value.kek.key).toString('hex')).toBe(text);
  });

  it('is made once, mode 0600, with a word about its backup', async () => {
    const file = join(data, 'deep', 'kek');
    const first = await loadKek({ file, mayCreate: true });
    expect(first.ok && first.value.notice).toMatch(/Back it up/);
    expect(await modeOf(file)).toBe(0o600);
    expect(first.ok && first.value.notice).not.toContain((await readFile(file, 'utf8')).trim());
    const second = await loadKek({ file, mayCreate: true });
    expect(second).toMatchObject({ ok: true, value: { notice: null } });
    expect(second.ok && first.ok && second.value.kek.id === first.value.kek.id).toBe(true);
    expect(await readdir(join(data, 'deep'))).toEqual(['kek']);
  });

  it('is one and the same for two processes that start at once', async () => {
    const file = join(data, 'kek');
    const loads = await Promise.all(Array.from({ length: 8 }, () => loadKek({ file, mayCreate: true })));
    const ids = loads.map((it) => it.ok && it.value.kek.id);
    expect(new Set(ids).size).toBe(1);
    expect(loads.filter((it) => it.ok && it.value.notice !== null)).toHaveLength(1);
    expect(await readdir(data)).toEqual(['kek']);
  });

  it('is not made where something may have been sealed already', async () => {
    const answer = await loadKek({ file: join(data, 'kek'), mayCreate: false });
    expect(answer).toMatchObject({ ok: false, error: { reason: 'no-key' } });
    expect(!answer.ok && answer.error.message).toMatch(
      /PARASOL_KEK is not set.*backup.*Nothing was changed/s,
    );
    expect(await readdir(data)).toEqual([]);
  });

  it('is refused from a spoilt file, which is left as it is', async () => {
    const file = join(data, 'kek');
    await writeFile(file, 'half of a ke');
    const answer = await loadKek({ file, mayCreate: true });
    expect(answer).toMatchObject({ ok: false, error: { reason: 'bad-key' } });
    expect(!answer.ok && answer.error.message).toContain(file);
    expect(await readFile(file, 'utf8')).toBe('half of a ke');
  });
});

describe('the key that takes its place', () => {
  const loaded = async (file: string): Promise<Kek> => {
    const answer = await loadKek({ file, mayCreate: true });
    if (!answer.ok) throw answer.error;
    return answer.value.kek;
  };
  const next = async (file: string): Promise<Kek> => {
    const answer = await nextKek(file);
    if (!answer.ok) throw answer.error;
    return answer.value;
  };

  it('is made beside it, mode 0600, and is the same when it is asked for again', async () => {
    const file = join(data, 'kek');
    const old = await loaded(file);
    const made = await next(file);
    expect(made.id).not.toBe(old.id);
    expect((await next(file)).id).toBe(made.id);
    expect((await loaded(file)).id).toBe(old.id);
    expect(await modeOf(join(data, 'kek.new'))).toBe(0o600);
  });

  it('comes in its place, and the old one stays beside it', async () => {
    const file = join(data, 'kek');
    const old = await loaded(file);
    const made = await next(file);
    const kept = await installNextKek(file, old);
    expect((await loaded(file)).id).toBe(made.id);
    expect((await loaded(kept)).id).toBe(old.id);
    expect((await readdir(data)).toSorted()).toEqual(['kek', `kek.${old.id}`]);
    for (const name of await readdir(data)) expect(await modeOf(join(data, name))).toBe(0o600);
  });

  it('comes in its place also where that was cut off between its two steps', async () => {
    const file = join(data, 'kek');
    const old = await loaded(file);
    const made = await next(file);
    await link(file, join(data, `kek.${old.id}`));
    await installNextKek(file, old);
    expect((await loaded(file)).id).toBe(made.id);
    expect((await readdir(data)).toSorted()).toEqual(['kek', `kek.${old.id}`]);
  });

  it('is refused from a spoilt file, which is left as it is', async () => {
    await writeFile(join(data, 'kek.new'), 'half of a ke');
    expect(await nextKek(join(data, 'kek'))).toMatchObject({ error: { reason: 'bad-key' } });
    expect(await readFile(join(data, 'kek.new'), 'utf8')).toBe('half of a ke');
  });
});

describe('the bootstrap token', () => {
  it('is known by the hash that the API compares', async () => {
    const token = randomBytes(32).toString('hex');
    expect(await bootstrapToken({ token: new Secret(token), data })).toEqual({
      hash: hashToken(token),
      file: null,
      made: false,
    });
    expect(await readdir(data)).toEqual([]);
  });

  it('is made once and kept in a file of mode 0600', async () => {
    const made = await bootstrapToken({ token: null, data });
    const file = join(data, 'admin-token');
    const text = (await readFile(file, 'utf8')).trim();
    expect(made).toEqual({ hash: hashToken(text), file, made: true });
    expect(Buffer.from(text, 'base64url')).toHaveLength(32);
    expect(await modeOf(file)).toBe(0o600);
    expect(await bootstrapToken({ token: null, data })).toEqual({ ...made, made: false });
  });

  it('is never an emptied file', async () => {
    await writeFile(join(data, 'admin-token'), '\n');
    await expect(bootstrapToken({ token: null, data })).rejects.toThrow('holds no token');
  });
});
