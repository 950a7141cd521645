import { createHash } from 'node:crypto';
import { describe, expect, it, test, vi } from 'vitest';
import { hashToken, oneToken, type Authenticate, type Identity } from '../../src/api/index.ts';
import { addressOf, BODIES, HANDOFF_ID, REVEALER, startApi, TOKEN } from './harness.ts';

const CI: Identity = { name: 'ci', tokenId: 'token-1', role: 'admin', scope: null, mayReveal: false };

/** Why a caller is nobody. */
const STRANGERS: [string, Record<string, string>, string][] = [
  ['no token', {}, 'Send an Authorization header with a Bearer token.'],
  ['a wrong token', { authorization: 'Bearer not-the-token' }, 'This token is not known.'],
  ['the token and more', { authorization: `Bearer ${TOKEN}x` }, 'This token is not known.'],
  [
    'a token that cannot be one',
    { authorization: 'Bearer two words' },
    'Send an Authorization header with a Bearer token.',
  ],
  [
    'the token in another scheme',
    { authorization: `Basic ${Buffer.from(`admin:${TOKEN}`).toString('base64')}` },
    'Send an Authorization header with a Bearer token.',
  ],
  [
    'the token in a cookie',
    { cookie: `authorization=Bearer ${TOKEN}` },
    'Send an Authorization header with a Bearer token.',
  ],
];

describe('the door', () => {
  test.each(STRANGERS)('is shut on every route to %s', async (_, headers, detail) => {
    const { app, allRoutes, commands } = startApi();
    const guarded = (await allRoutes()).filter(({ permission }) => permission !== 'public');
    expect(guarded.length).toBeGreaterThan(20);
    for (const { method, url } of guarded) {
      const answer = await app.inject({ method: method as 'GET', url: addressOf(url), headers });
      expect([method, url, answer.statusCode]).toEqual([method, url, 401]);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer realm="parasol"/);
      const told = { status: 401, detail };
      expect(method === 'HEAD' ? told : answer.json()).toMatchObject(told);
    }
    for (const command of Object.values(commands)) expect(command).not.toHaveBeenCalled();
  });

  it('lets probes through, and nothing else', async () => {
    const { allRoutes } = startApi();
    const open = (await allRoutes()).filter(({ permission }) => permission === 'public');
    expect(open.map(({ method, url }) => `${method} ${url}`).toSorted()).toEqual([
      'GET /healthz',
      'GET /readyz',
      // For editors, which have no token; it tells nothing of any tenant.
      'GET /schemas/tenants.json',
      'HEAD /healthz',
      'HEAD /readyz',
      'HEAD /schemas/tenants.json',
      // Known by the one-time token of a request, and by nothing else.
      'POST /automation/answers',
    ]);
  });

  test.each([
    ['an address that does not exist', 'GET', '/nothing'],
    ['a method that is not taken', 'PATCH', '/tenants'],
    ['the documentation', 'GET', '/docs'],
    ['the token in the address', 'GET', `/tenants?access_token=${TOKEN}`],
  ] as const)('tells a stranger nothing of %s', async (_, method, url) => {
    const { app } = startApi();
    expect((await app.inject({ method, url })).statusCode).toBe(401);
  });

  it('opens to the token, however the scheme is spelled', async () => {
    const { app } = startApi();
    for (const scheme of ['Bearer', 'bearer', 'BEARER']) {
      const answer = await app.inject({ url: '/tenants', headers: { authorization: `${scheme} ${TOKEN}` } });
      expect(answer.statusCode).toBe(200);
    }
  });

  test.each([
    ['GET', undefined],
    ['POST', {}],
    ['PUT', { rateLimit: false }],
  ] as const)('has no place for a route of method %s that declares no permission', (method, config) => {
    const { app } = startApi();
    const handler = async () => 'open to all';
    expect(() => app.route({ method, url: '/new', handler, ...(config ? { config } : {}) })).toThrow(
      `${method} /new declares no permission`,
    );
  });
});

describe('reading a key', () => {
  const url = '/handoffs/' + HANDOFF_ID + '/reveal';
  const payload = { by: 'Ada', reason: 'the window is closed' };

  it('is a permission of its own, which the administrator has not', async () => {
    const { call, commands } = startApi();
    const answer = await call('POST', url, { payload });
    expect([answer.statusCode, answer.json()]).toMatchObject([
      403,
      { type: 'urn:parasol:problem:forbidden', detail: 'It lacks the permission secrets:reveal.' },
    ]);
    expect(commands.reveal).not.toHaveBeenCalled();
  });

  it('shows the pair to who has it, and keeps it out of the log', async () => {
    const { call, lines } = startApi({ authenticate: async () => REVEALER });
    const answer = await call('POST', url, { payload });
    expect(answer.json()).toMatchObject({ publicKey: 'shown-public', privateKey: 'shown-private' });
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(lines.join('')).not.toContain('shown-');
  });

  it('opens nothing else that changes anything', async () => {
    const { call, allRoutes } = startApi({ authenticate: async () => REVEALER });
    const open = ['/claim', '/release', '/submit', '/reveal'];
    for (const { method, url, permission } of await allRoutes()) {
      if (permission === 'public') continue;
      if (!['POST', 'PUT', 'DELETE'].includes(method) || open.some((end) => url.endsWith(end))) continue;
      const body = BODIES[`${method} ${url}`];
      const answer = await call(method, addressOf(url), body ? { payload: body } : {});
      expect([method, url, answer.statusCode]).toEqual([method, url, 403]);
    }
  });
});

describe('tokens', () => {
  it('are looked up by their SHA-256, and never by themselves', async () => {
    const authenticate = vi.fn<Authenticate>(async () => CI);
    const { app } = startApi({ authenticate });
    await app.inject({ url: '/tenants', headers: { authorization: 'Bearer some-token' } });
    const sha256 = createHash('sha256').update('some-token').digest('hex');
    expect(authenticate.mock.calls).toEqual([[sha256]]);
  });

  it('that have expired are strangers, from one call to the next', async () => {
    let now = new Date('2026-11-24T08:00:00Z');
    const stored = new Map([[hashToken('short-lived'), { expiresAt: new Date('2026-11-24T09:00:00Z') }]]);
    const { app } = startApi({
      authenticate: async (hash) => {
        const token = stored.get(hash);
        return token && token.expiresAt > now ? CI : null;
      },
    });
    const call = () => app.inject({ url: '/tenants', headers: { authorization: 'Bearer short-lived' } });
    expect((await call()).statusCode).toBe(200);
    now = new Date('2026-11-24T09:00:00Z');
    const answer = await call();
    expect([answer.statusCode, answer.json()]).toMatchObject([401, { detail: 'This token is not known.' }]);
  });

  it('cannot be judged while their store is broken: nobody is let in', async () => {
    const { app, commands } = startApi({ authenticate: () => Promise.reject(new Error('no database')) });
    const answer = await app.inject({ url: '/tenants', headers: { authorization: `Bearer ${TOKEN}` } });
    expect(answer.statusCode).toBe(500);
    expect(commands.tenants).not.toHaveBeenCalled();
  });

  it('of which only one is known are compared whole', async () => {
    const one = oneToken(hashToken('it'), CI);
    expect(await one(hashToken('it'))).toEqual(CI);
    const hash = hashToken('it');
    for (const other of [hashToken('another'), hash.slice(0, -2), `${hash}00`, '', 'not hex']) {
      expect(await one(other)).toBeNull();
    }
    expect(() => oneToken('the token itself')).toThrow('SHA-256 in hex');
  });
});
