import { createHash } from 'node:crypto';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { PARASOL, type Caller, type Scope } from '../../src/domain/access.ts';
import type { TokenRequest } from '../../src/reconciler/commands.ts';
import { knowTokens } from '../../src/reconciler/known-tokens.ts';
import type { Tokens } from '../../src/reconciler/ports.ts';
import { openDesk, refusal, value } from './commands-fixtures.ts';

/** Tokens as people make and revoke them, over a real database. */

let desk: Awaited<ReturnType<typeof openDesk>>;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const hashOf = (name: string) => createHash('sha256').update(name).digest('hex');
const wanted = (name: string, change: Partial<TokenRequest> = {}): TokenRequest => ({
  name,
  hash: hashOf(name),
  role: 'admin',
  scope: null,
  mayReveal: false,
  expires: null,
  witness: null,
  reason: null,
  ...change,
});
const SOME: Scope = { tenants: ['acme', 'birch'], labels: [{ key: 'team', value: 'north' }] };

/** The commands of a token that is there; what it may is read from its row. */
async function bearer(name: string, change: Partial<TokenRequest> = {}) {
  const { id } = value(await desk.commands.createToken(wanted(name, change)));
  const caller: Caller = { ...PARASOL, name, tokenId: id, role: 'admin', scope: change.scope ?? null };
  return { id, commands: desk.commands.as(caller) };
}
const find = (name: string) => desk.store.tokens.findByHash(hashOf(name));

describe('a token', () => {
  test('is kept as a hash, listed without it, and is one until it is revoked', async () => {
    const made = value(
      await desk.commands.createToken(wanted('kept', { role: 'operator', scope: SOME, expires: '90d' })),
    );
    expect(made).toMatchObject({
      name: 'kept',
      role: 'operator',
      scope: { tenants: ['acme', 'birch'], labels: ['team=north'] },
      createdBy: 'parasol',
      lastUsedAt: null,
    });
    expect(Date.parse(made.expiresAt!) - Date.parse(made.createdAt)).toBe(90 * 86_400_000);
    expect(await desk.commands.tokens()).toContainEqual(made);
    expect(await find('kept')).toMatchObject({ id: made.id, role: 'operator', scope: SOME });
    expect(value(await desk.commands.revokeToken(made.id, 'left the company'))).toEqual(made);
    expect(await find('kept')).toBeNull();
    expect(await desk.commands.tokens()).not.toContainEqual(made);
    expect(refusal(await desk.commands.revokeToken(made.id, null))).toBe(
      'not found: There is no such token.',
    );
    const { rows } = await desk.store.pool.query(
      'select action, reason, before, after from audit where subject = $1 order by id',
      [made.id],
    );
    expect(rows).toMatchObject([
      { action: 'token.create', before: null, after: { name: 'kept', role: 'operator', scope: SOME } },
      { action: 'token.revoke', reason: 'left the company', before: { name: 'kept' }, after: null },
    ]);
    expect(JSON.stringify(rows)).not.toContain(hashOf('kept'));
  });

  test('that has expired is none, by the database’s clock', async () => {
    value(await desk.commands.createToken(wanted('brief', { expires: '1h' })));
    expect(await find('brief')).not.toBeNull();
    await desk.store.pool.query("update tokens set expires_at = now() where name = 'brief'");
    expect(await find('brief')).toBeNull();
  });

  test.each([
    ['a name that is taken', { name: 'twice' }, /There is a token twice already/],
    ['a name of Parasol’s own', { name: 'admin' }, /name: is a name of Parasol’s own/],
    ['no time at all', { expires: '0s' }, /expires: must be longer than nothing/],
  ])('is refused with %s', async (_, change, words) => {
    await desk.commands.createToken(wanted('twice'));
    const asked = wanted('twice-more', { ...change, hash: hashOf('twice-more') });
    expect(refusal(await desk.commands.createToken(asked))).toMatch(words);
    expect(await find('twice-more')).toBeNull();
  });

  test('of the configuration is not revoked here', async () => {
    await desk.store.tokens.put({ id: 'configured', name: 'admin', role: 'admin', hash: hashOf('admin') });
    expect(refusal(await desk.commands.revokeToken('configured', null))).toMatch(
      /change PARASOL_ADMIN_TOKEN/,
    );
    expect(await find('admin')).not.toBeNull();
  });
});

describe('a token makes another', () => {
  test('with at most its own tenants, time and rights', async () => {
    const { commands } = await bearer('maker', { scope: SOME, expires: '30d' });
    const asked = await commands.createToken(wanted('child', { expires: '31d', mayReveal: true }));
    expect(refusal(asked).split('\n')).toEqual([
      expect.stringMatching(/^tenants: /),
      expect.stringMatching(/^mayReveal: /),
      expect.stringMatching(/^expires: /),
    ]);
    const child = value(
      await commands.createToken(wanted('child', { scope: { ...SOME, tenants: ['acme'] } })),
    );
    // Without a time of its own it ends with its maker.
    expect(child.expiresAt).toBe((await find('maker'))!.expiresAt);
    expect(child.createdBy).toBe('maker');
  });

  test('and sees and revokes only those that see no more than itself', async () => {
    const { commands } = await bearer('bound', { scope: SOME });
    const unbound = value(await desk.commands.createToken(wanted('unbound')));
    const inner = value(
      await desk.commands.createToken(wanted('inner', { scope: { tenants: ['acme'], labels: [] } })),
    );
    const names = (await commands.tokens()).map(({ name }) => name);
    expect(names).toContain('inner');
    expect(names).not.toContain('unbound');
    expect(refusal(await commands.revokeToken(unbound.id, null))).toBe('not found: There is no such token.');
    value(await commands.revokeToken(inner.id, null));
  });

  test('but not once it was revoked itself', async () => {
    const { id, commands } = await bearer('gone');
    value(await desk.commands.revokeToken(id, null));
    expect(refusal(await commands.createToken(wanted('orphan')))).toMatch(/no longer one/);
    expect(await find('orphan')).toBeNull();
  });

  test('that may reveal with a second one that may, and says which', async () => {
    await desk.store.tokens.put({ id: 'revealer', name: 'reveal', role: 'revealer', hash: hashOf('reveal') });
    const { id, commands } = await bearer('alone');
    for (const witness of [null, id, 'unknown']) {
      const asked = await commands.createToken(wanted('reader', { mayReveal: true, witness }));
      expect(refusal(asked)).toMatch(/^mayReveal: /);
    }
    const made = value(
      await commands.createToken(wanted('reader', { mayReveal: true, witness: 'revealer' })),
    );
    expect(made.mayReveal).toBe(true);
    const { rows } = await desk.store.pool.query('select after from audit where subject = $1', [made.id]);
    expect(rows).toMatchObject([{ after: { mayReveal: true, revealGrantedBy: 'revealer' } }]);
  });
});

describe('a service that knows tokens', () => {
  const silent = pino({ level: 'silent' });
  const at = (ms: number) => new Date(Date.parse('2026-11-24T08:00:00Z') + ms);

  /** Counts what the database is asked. */
  function counted() {
    const findByHash = vi.fn<Tokens['findByHash']>((hash) => desk.store.tokens.findByHash(hash));
    const touch = vi.fn<Tokens['touch']>((id) => desk.store.tokens.touch(id));
    let now = at(0);
    const know = knowTokens({ ...desk.store.tokens, findByHash, touch }, { now: () => now }, silent);
    return { know, findByHash, touch, later: (ms: number) => (now = new Date(now.getTime() + ms)) };
  }

  test('reads one that is busy once in two seconds, and a stranger’s each time', async () => {
    value(await desk.commands.createToken(wanted('busy')));
    const { know, findByHash, later } = counted();
    await Promise.all([know(hashOf('busy')), know(hashOf('busy'))]);
    later(1_999);
    expect(await know(hashOf('busy'))).toMatchObject({ name: 'busy' });
    expect(findByHash).toHaveBeenCalledTimes(1);
    later(1);
    await know(hashOf('busy'));
    expect(findByHash).toHaveBeenCalledTimes(2);
    for (const _ of [1, 2]) expect(await know(hashOf('stranger'))).toBeNull();
    expect(findByHash).toHaveBeenCalledTimes(4);
  });

  test('knows one no more two seconds after it was revoked anywhere', async () => {
    const { id } = value(await desk.commands.createToken(wanted('leaver')));
    const { know, later } = counted();
    expect(await know(hashOf('leaver'))).not.toBeNull();
    value(await desk.commands.revokeToken(id, null));
    later(2_000);
    expect(await know(hashOf('leaver'))).toBeNull();
  });

  test('does not let one live on that expires meanwhile', async () => {
    const { know, later, findByHash } = counted();
    const token = { ...(await find('busy'))!, expiresAt: at(500).toISOString() };
    findByHash.mockResolvedValue(token);
    expect(await know('any')).toEqual(token);
    later(500);
    expect(await know('any')).toBeNull();
  });

  test('notes its use at most once a minute, and answers where that fails', async () => {
    const { id } = value(await desk.commands.createToken(wanted('used')));
    const { know, touch, later } = counted();
    await know(hashOf('used'));
    later(59_999);
    await know(hashOf('used'));
    expect(touch.mock.calls).toEqual([[id]]);
    await touch.mock.results[0]!.value;
    const first = (await find('used'))!.lastUsedAt;
    expect(first).not.toBeNull();
    later(1);
    touch.mockRejectedValueOnce(new Error('no database'));
    expect(await know(hashOf('used'))).not.toBeNull();
    // Two replicas in one minute write it once.
    await desk.store.tokens.touch(id);
    expect((await find('used'))!.lastUsedAt).toBe(first);
  });

  test('asks again after a read that failed', async () => {
    const { know, findByHash } = counted();
    findByHash.mockRejectedValueOnce(new Error('no database'));
    await expect(know(hashOf('busy'))).rejects.toThrow('no database');
    expect(await know(hashOf('busy'))).not.toBeNull();
  });
});
