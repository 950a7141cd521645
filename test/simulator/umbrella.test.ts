import { describe, expect, test } from 'vitest';
import { fetchAnswer, start } from './harness.ts';

const CUSTOMERS = '/admin/v2/managed/customers';
const KEYS = '/admin/v2/apiKeys';
const CONSOLES = '/reports/v2/providers/consoles';

describe('tokens', () => {
  test('last an hour by the clock', async () => {
    const harness = await start();
    const answer = await harness.token(harness.secrets.umbrellaApiKey);
    expect(answer.json()).toMatchObject({ token_type: 'bearer', expires_in: 3_600 });
    const { access_token: bearer } = answer.json<{ access_token: string }>();
    harness.world.advanceClock(3_599_000);
    expect((await harness.umbrella(CUSTOMERS, bearer)).status).toBe(200);
    harness.world.advanceClock(1_000);
    const expired = await harness.umbrella(CUSTOMERS, bearer);
    expect([expired.status, expired.json()]).toEqual([401, { message: 'Unauthorized' }]);
  });

  test('an expired one may answer 400 instead', async () => {
    const harness = await start();
    harness.world.setConsoleOptions('acme', { expiredTokenAnswer: 400 });
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    harness.world.advanceClock(3_600_000);
    const expired = await harness.umbrella(CUSTOMERS, bearer);
    expect([expired.status, expired.json()]).toEqual([400, { error: 'invalid_request' }]);
  });

  test.each([
    ['a wrong secret', { secret: 'wrong' }],
    ['an unknown key', { key: 'unknown' }],
  ])('%s is refused', async (_name, wrong) => {
    const harness = await start();
    const answer = await harness.token({ ...harness.secrets.umbrellaApiKey, ...wrong });
    expect(answer.status).toBe(401);
    expect(answer.json()).toEqual({ error: 'Unauthorized', message: 'Invalid credentials', statusCode: 401 });
  });

  test('an expired key is refused, and its tokens with it', async () => {
    const harness = await start('umbrella-key-expiring');
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    harness.world.setUmbrellaKeyExpiry('acme', 'Parasol', '2026-11-24T07:59:00Z');
    expect((await harness.token(harness.secrets.umbrellaApiKey)).status).toBe(401);
    expect((await harness.umbrella(CUSTOMERS, bearer)).status).toBe(401);
  });

  test('another grant is a bad request', async () => {
    const harness = await start();
    const { key, secret } = harness.secrets.umbrellaApiKey;
    const answer = await fetchAnswer(`${harness.simulator.umbrellaUrl}/auth/v2/token`, {
      method: 'POST',
      form: 'grant_type=password',
      headers: { authorization: `Basic ${btoa(`${key}:${secret}`)}` },
    });
    expect([answer.status, answer.json()]).toEqual([400, { error: 'invalid_request' }]);
  });

  test("a parent's key speaks for its child organisations, and for no other", async () => {
    const harness = await start();
    const { world, secrets } = harness;
    const parent = world.console('acme').organizationId;
    for (const [company, organizationId] of [
      ['child', 11],
      ['stranger', 12],
    ] as const) {
      world.addCompany(company);
      const family = company === 'child' ? { parentOrganizationId: parent } : {};
      world.addConsole(company, { organizationId, ...family });
      world.addUmbrellaCustomer(company, `Customer of ${company}`);
    }
    const bearer = await harness.bearer(secrets.umbrellaApiKey, { 'X-Umbrella-OrgId': '11' });
    const stranger = await harness.token(secrets.umbrellaApiKey, { 'X-Umbrella-OrgId': '12' });
    expect((await harness.umbrella(CUSTOMERS, bearer)).json()).toMatchObject([
      { customerName: 'Customer of child' },
    ]);
    expect(stranger.status).toBe(403);
  });
});

describe('customers and the console', () => {
  test('come in pages of at most 100, as a bare array without the mapping', async () => {
    const harness = await start('healthy', { customers: 120 });
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    const first = (await harness.umbrella(CUSTOMERS, bearer)).json<unknown[]>();
    const second = (await harness.umbrella(`${CUSTOMERS}?page=2`, bearer)).json<unknown[]>();
    expect([first.length, second.length]).toEqual([100, 20]);
    expect(Object.keys(first[0] as object)).toEqual(['customerId', 'customerName', 'seats']);
    expect((await harness.umbrella(`${CUSTOMERS}?limit=101`, bearer)).status).toBe(400);
  });

  test('an MSSP console has its own path', async () => {
    const harness = await start('healthy', { console: 'mssp' });
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    const own = await harness.umbrella('/admin/v2/providers/customers', bearer);
    const other = await harness.umbrella(CUSTOMERS, bearer);
    expect(own.json<unknown[]>()).toHaveLength(5);
    expect([other.status, Object.keys(other.json())]).toEqual([403, ['message']]);
  });

  test('the console tells its subscription', async () => {
    const harness = await start();
    harness.world.setConsoleOptions('acme', { status: 'expired' });
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    expect((await harness.umbrella(CONSOLES, bearer)).json()).toMatchObject({
      status: 'expired',
      customerCount: 5,
    });
  });
});

describe('scopes', () => {
  test('each family refuses in a shape of its own', async () => {
    const harness = await start();
    const reader = await harness.bearer(harness.secrets.umbrellaApiKey);
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const keys = await harness.umbrella(KEYS, reader);
    const customers = await harness.umbrella(CUSTOMERS, admin);
    const consoles = await harness.umbrella(CONSOLES, admin);
    expect([keys.status, keys.json()]).toEqual([403, { message: 'error', description: 'Forbidden' }]);
    expect([customers.status, customers.json()]).toEqual([403, { message: 'Forbidden' }]);
    expect([consoles.status, consoles.json()]).toEqual([
      403,
      { error: 'Forbidden', message: 'Forbidden', statusCode: 403 },
    ]);
  });
});

describe('API keys', () => {
  const body = { name: 'Fresh', scopes: ['admin.customers:read'], allowedIPs: ['192.0.2.1/32'] };

  test('the secret is shown once, and works', async () => {
    const harness = await start();
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const made = await harness.umbrella(KEYS, admin, { method: 'POST', body });
    const { key } = made.json<{ key: { id: string; clientId: string; clientSecret: string } }>();
    const shown = await harness.umbrella(`${KEYS}/${key.id}`, admin);
    expect(made.status).toBe(201);
    expect(shown.text).not.toContain(key.clientSecret);
    expect(shown.json()).toMatchObject({
      key: { name: 'Fresh', expireAt: '', allowedIPs: ['192.0.2.1/32'] },
    });
    const bearer = await harness.bearer({ key: key.clientId, secret: key.clientSecret });
    expect((await harness.umbrella(CUSTOMERS, bearer)).status).toBe(200);
  });

  test('names are unique', async () => {
    const harness = await start();
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const post = { method: 'POST', body: { ...body, name: 'Parasol' } };
    expect((await harness.umbrella(KEYS, admin, post)).status).toBe(409);
  });

  test.each([{ scopes: body.scopes }, { name: 'x' }, { ...body, scopes: [] }, { ...body, expireAt: 'soon' }])(
    '%j is refused',
    async (wrong) => {
      const harness = await start();
      const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
      expect((await harness.umbrella(KEYS, admin, { method: 'POST', body: wrong })).status).toBe(400);
    },
  );

  test('only JSON is read', async () => {
    const harness = await start();
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const answer = await fetchAnswer(harness.simulator.umbrellaUrl + KEYS, {
      method: 'POST',
      form: 'name=x',
      headers: { authorization: `Bearer ${admin}` },
    });
    expect(answer.status).toBe(415);
  });

  test('a refreshed key has another secret; a deleted one none', async () => {
    const harness = await start();
    const { umbrellaApiKey, umbrellaKeyAdmin } = harness.secrets;
    const admin = await harness.bearer(umbrellaKeyAdmin);
    const { id } = harness.world.listUmbrellaKeys('acme').find((key) => key.name === 'Parasol') ?? { id: '' };
    const fresh = (await harness.umbrella(`${KEYS}/${id}/refresh`, admin, { method: 'POST' })).json<{
      key: { clientId: string; clientSecret: string };
    }>().key;
    const credentials = { key: fresh.clientId, secret: fresh.clientSecret };
    expect((await harness.token(umbrellaApiKey)).status).toBe(401);
    const bearer = await harness.bearer(credentials);
    expect((await harness.umbrella(`${KEYS}/${id}`, admin, { method: 'DELETE' })).status).toBe(204);
    expect((await harness.token(credentials)).status).toBe(401);
    expect((await harness.umbrella(CUSTOMERS, bearer)).status).toBe(401);
  });

  test('lastUsedAt moves with tokens and with calls', async () => {
    const harness = await start();
    const lastUsed = () =>
      harness.world.listUmbrellaKeys('acme').find((key) => key.name === 'Parasol')?.lastUsedAt;
    const bearer = await harness.bearer(harness.secrets.umbrellaApiKey);
    harness.world.advanceClock(60_000);
    await harness.umbrella(CUSTOMERS, bearer);
    expect(lastUsed()).toBe('2026-11-24T08:01:00Z');
  });

  test('a page of the list says how many there are', async () => {
    const harness = await start();
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const page = (await harness.umbrella(`${KEYS}?offset=1&limit=1`, admin)).json<{ keys: unknown[] }>();
    expect(page).toMatchObject({ offset: 1, limit: 1, total: 2, keys: [{ name: 'Parasol KeyAdmin' }] });
  });
});

describe('quotas per API key', () => {
  test('20 tokens a minute', async () => {
    const harness = await start();
    const statuses: number[] = [];
    for (let i = 0; i < 21; i += 1)
      statuses.push((await harness.token(harness.secrets.umbrellaApiKey)).status);
    const other = await harness.token(harness.secrets.umbrellaKeyAdmin);
    expect(statuses.filter((status) => status === 200)).toHaveLength(20);
    expect([statuses.at(-1), other.status]).toEqual([429, 200]);
    harness.world.advanceClock(60_000);
    expect((await harness.token(harness.secrets.umbrellaApiKey)).status).toBe(200);
  });

  test('5 calls a second and 14 a minute on API keys; 429 has no Retry-After', async () => {
    const harness = await start();
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    const burst = async (n: number) => {
      const statuses: number[] = [];
      for (let i = 0; i < n; i += 1) statuses.push((await harness.umbrella(KEYS, admin)).status);
      return statuses.filter((status) => status === 200).length;
    };
    expect(await burst(6)).toBe(5);
    harness.world.advanceClock(1_000);
    expect(await burst(6)).toBe(5);
    harness.world.advanceClock(1_000);
    expect(await burst(6)).toBe(4);
    const refused = await harness.umbrella(KEYS, admin);
    expect(refused.json()).toEqual({ message: 'error', description: 'API rate limit exceeded' });
    expect(refused.headers.has('retry-after')).toBe(false);
  });

  test('may be switched off', async () => {
    const harness = await start('healthy', { simulator: { quotas: false } });
    const admin = await harness.bearer(harness.secrets.umbrellaKeyAdmin);
    for (let i = 0; i < 30; i += 1) expect((await harness.umbrella(KEYS, admin)).status).toBe(200);
  });
});
