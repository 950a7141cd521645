import { describe, expect, it, test } from 'vitest';
import { hashToken, type Identity } from '../../src/api/index.ts';
import { HANDOFF_ID, REVEALER, startApi, token, TOKEN, TOKEN_ID } from './harness.ts';

const VIEWER: Identity = { name: 'eye', tokenId: 'token-2', role: 'viewer', scope: null, mayReveal: false };

describe('tokens', () => {
  it('are listed, and revoked with the reason', async () => {
    const { call, commands } = startApi();
    expect((await call('GET', '/tokens')).json()).toEqual({ items: [token] });
    const answer = await call('DELETE', `/tokens/${TOKEN_ID}?reason=left`);
    expect([answer.statusCode, answer.json()]).toEqual([200, token]);
    expect(commands.revokeToken).toHaveBeenCalledWith(TOKEN_ID, 'left');
  });

  it('are shown once, each another, and only their hash goes further', async () => {
    const { call, commands, logged } = startApi();
    const payload = { name: 'ci', role: 'operator', tenants: ['acme'], labels: ['team=north', 'tier'] };
    const shown = [];
    for (const _ of [1, 2]) {
      const answer = await call('POST', '/tokens', { payload: { ...payload, expires: '90d', reason: 'CI' } });
      expect(answer.statusCode).toBe(201);
      expect(answer.headers['cache-control']).toBe('no-store');
      shown.push(answer.json<{ token: string }>().token);
    }
    expect(new Set(shown).size).toBe(2);
    for (const [index, value] of shown.entries()) {
      expect(value).toMatch(/^parasol_[A-Za-z0-9_-]{43}$/);
      expect(commands.createToken.mock.calls[index]).toEqual([
        {
          name: 'ci',
          role: 'operator',
          scope: {
            tenants: ['acme'],
            labels: [
              { key: 'team', value: 'north' },
              { key: 'tier', value: null },
            ],
          },
          mayReveal: false,
          expires: '90d',
          hash: hashToken(value),
          witness: null,
          reason: 'CI',
        },
      ]);
      expect(logged()).not.toContain(value);
    }
  });

  it('without tenants and labels see all', async () => {
    const { call, commands } = startApi();
    await call('POST', '/tokens', { payload: { name: 'ci', role: 'viewer' } });
    expect(commands.createToken.mock.calls[0]).toMatchObject([{ scope: null, expires: null }]);
  });

  it('that may reveal are asked for with a second token, which is never written down', async () => {
    const { call, commands, logged } = startApi({
      authenticate: async (hash) =>
        hash === hashToken('second')
          ? { ...REVEALER, tokenId: 'token-3' }
          : hash === hashToken(TOKEN)
            ? { ...VIEWER, role: 'admin' }
            : null,
    });
    const payload = { name: 'reader', role: 'operator', mayReveal: true };
    const headers = { 'parasol-reveal-token': 'second' };
    expect((await call('POST', '/tokens', { payload, headers })).statusCode).toBe(201);
    expect(commands.createToken.mock.calls[0]).toMatchObject([{ mayReveal: true, witness: 'token-3' }]);
    const unknown = await call('POST', '/tokens', { payload, headers: { 'parasol-reveal-token': 'third' } });
    expect([unknown.statusCode, unknown.json()]).toMatchObject([
      400,
      { errors: [{ path: 'parasol-reveal-token', message: 'is no token that is known' }] },
    ]);
    expect(commands.createToken).toHaveBeenCalledTimes(1);
    commands.createToken.mockRejectedValueOnce(new Error('lost the row of second'));
    expect((await call('POST', '/tokens', { payload, headers })).statusCode).toBe(500);
    expect(logged()).not.toContain('second');
  });

  test.each([
    ['a role that is none', { role: 'root' }, 'role'],
    ['the role of the configuration’s token', { role: 'revealer' }, 'role'],
    ['a name with spaces', { name: 'admin of x' }, 'name'],
    ['a label that is none', { labels: ['team=north=south'] }, 'labels.0'],
    ['a time that is none', { expires: 'soon' }, 'expires'],
    ['an unknown field', { admin: true }, ''],
  ])('are refused with %s', async (_, change, path) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tokens', { payload: { name: 'ci', role: 'viewer', ...change } });
    expect([answer.statusCode, answer.json()]).toMatchObject([400, { errors: [{ path }] }]);
    expect(commands.createToken).not.toHaveBeenCalled();
  });
});

describe('what a token may not', () => {
  test.each([
    ['POST', '/tenants/acme/reconcile', { tenant: 'acme' }, 'tenants:reconcile'],
    ['POST', `/handoffs/${HANDOFF_ID}/reveal`, { handoff: HANDOFF_ID }, 'secrets:reveal'],
    ['DELETE', '/tenants/acme', { tenant: 'acme' }, 'tenants:write'],
  ] as const)('is noted where it names a tenant: %s %s', async (method, url, about, permission) => {
    const { call, commands } = startApi({ authenticate: async () => VIEWER });
    expect((await call(method, url, {})).statusCode).toBe(403);
    expect(commands.noteRefusal.mock.calls).toEqual([[about, permission]]);
    expect(commands.as.mock.calls.at(-1)).toMatchObject([{ name: 'eye', tokenId: 'token-2' }]);
  });

  test.each([
    ['POST', '/tenants'],
    ['GET', '/tokens'],
    ['DELETE', `/tokens/${TOKEN_ID}`],
    ['DELETE', '/tenants/Not%20an%20id'],
  ] as const)('is not where it names none: %s %s', async (method, url) => {
    const { call, commands } = startApi({ authenticate: async () => VIEWER });
    expect((await call(method, url, {})).statusCode).toBe(403);
    expect(commands.noteRefusal).not.toHaveBeenCalled();
  });

  it('counts towards the limit on requests', async () => {
    const { call, commands } = startApi({
      authenticate: async () => VIEWER,
      limits: { requestsPerMinute: 2 },
    });
    const codes = [];
    for (const _ of [1, 2, 3]) codes.push((await call('DELETE', '/tenants/acme')).statusCode);
    expect(codes).toEqual([403, 403, 429]);
    expect(commands.noteRefusal).toHaveBeenCalledTimes(2);
  });
});

test('who is calling is told to the commands, with the address and the request', async () => {
  const { call, commands } = startApi({ authenticate: async () => ({ ...VIEWER, name: 'jo' }) });
  const answer = await call('GET', '/tenants/acme', { remoteAddress: '10.1.2.3' });
  expect(commands.as.mock.calls).toEqual([
    [
      {
        name: 'jo',
        tokenId: 'token-2',
        role: 'viewer',
        scope: null,
        from: '10.1.2.3',
        requestId: answer.headers['x-request-id'],
        idempotencyKey: null,
      },
    ],
  ]);
});
