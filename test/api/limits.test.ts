import { describe, expect, it, test } from 'vitest';
import { applied, input, openDesk } from '../reconciler/commands-fixtures.ts';
import { startApi } from './harness.ts';
import { identity, startService } from './service.ts';

describe('a token that asks too often', () => {
  it('is told when to come again, and takes nothing from others', async () => {
    const desk = await openDesk();
    try {
      const { call } = startService(desk, [identity('busy'), identity('calm')], {
        limits: { requestsPerMinute: 3 },
      });
      const codes = [];
      for (let asked = 0; asked < 4; asked += 1)
        codes.push((await call('busy', 'GET', '/tenants')).statusCode);
      expect(codes).toEqual([200, 200, 200, 429]);
      const refused = await call('busy', 'GET', '/tenants');
      expect(refused.headers['content-type']).toMatch(/^application\/problem\+json/);
      expect(refused.json()).toMatchObject({ status: 429, title: 'Too many requests' });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect((await call('calm', 'GET', '/tenants')).statusCode).toBe(200);
      // Probes must not fail because somebody is busy.
      expect((await call('busy', 'GET', '/healthz')).statusCode).toBe(200);
    } finally {
      await desk.close();
    }
  });
});

describe('a body', () => {
  it('over the limit is refused, whatever it holds', async () => {
    const { call, commands } = startApi({ limits: { bodyBytes: 1_000 } });
    const payload = { by: 'Ada', reason: 'x'.repeat(2_000) };
    const answer = await call('POST', '/tenants/acme/pause', { payload });
    expect(answer.json()).toMatchObject({ status: 413 });
    expect(commands.pause).not.toHaveBeenCalled();
  });
});

describe('browsers', () => {
  test.each(['/tenants', '/healthz', '/nothing-here'])(
    'are told at %s to trust no page with it',
    async (url) => {
      const { call } = startApi();
      const { headers } = await call('GET', url, { headers: { origin: 'https://evil.example' } });
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'SAMEORIGIN',
        'cache-control': 'no-store',
        'content-security-policy': expect.stringContaining("default-src 'self'"),
      });
      expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    },
  );

  it('are not let in from elsewhere', async () => {
    const { call } = startApi();
    const asked = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    const answer = await call('OPTIONS', '/tenants', { headers: asked });
    expect(answer.statusCode).toBeGreaterThanOrEqual(400);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
  });
});

describe('where a change came from', () => {
  const asked = { payload: { reason: 'now' }, headers: { 'x-forwarded-for': '203.0.113.9' } };
  test.each([
    ['is what a trusted proxy says', ['10.0.0.0/8'], '203.0.113.9'],
    ['is the connection’s own address where nobody is trusted', [], '10.1.2.3'],
    ['is it where the proxy is not among those', ['192.0.2.1'], '10.1.2.3'],
  ])('%s', async (_, trustedProxies, from) => {
    const desk = await openDesk();
    try {
      await applied(desk.commands, input('proxied'));
      const { call } = startService(desk, [identity('ci')], { trustedProxies });
      await call('ci', 'POST', '/tenants/proxied/reconcile', { ...asked, remoteAddress: '10.1.2.3' });
      const page = { before: null, limit: 1, tenant: 'proxied', actor: 'ci', action: null, since: null };
      expect((await desk.commands.auditLog(page)).items).toMatchObject([{ address: from }]);
    } finally {
      await desk.close();
    }
  });
});
