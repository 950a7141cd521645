import { describe, expect, test } from 'vitest';
import type { FaultEffect } from '../../src/simulator/index.ts';
import { bench, contextOf, pairOf } from './harness.ts';

const TOKEN = '/auth/v2/token';
const HOUR = 3_600_000;

describe('tokens', () => {
  test('are fetched once for all tenants and calls of a key, however many ask at a time', async () => {
    const { umbrella, vendors, spec, keys, context, clock, sent } = await bench();
    const other = vendors.umbrella({ ...spec, id: 'other' });
    const all = await Promise.all([
      umbrella.authenticate(keys.umbrella, context),
      umbrella.customers(keys.umbrella, context),
      other.customers(keys.umbrella, contextOf(clock)),
    ]);
    expect(all[0]).toEqual({ ok: true, value: { expiresAt: '2026-11-24T09:00:00.000Z' } });
    expect(all.every(({ ok }) => ok)).toBe(true);
    expect(sent().filter(({ operation }) => operation === TOKEN)).toHaveLength(1);
  });

  test('are fetched anew a minute before they expire', async () => {
    const { umbrella, keys, clock, sent } = await bench();
    const read = async () => (await umbrella.customers(keys.umbrella, contextOf(clock))).ok;
    expect(await read()).toBe(true);
    clock.advance(HOUR - 61_000);
    expect(await read()).toBe(true);
    expect(sent().filter(({ operation }) => operation === TOKEN)).toHaveLength(1);
    clock.advance(2_000);
    expect(await read()).toBe(true);
    expect(sent().filter(({ operation }) => operation === TOKEN)).toHaveLength(2);
  });

  test.each([401, 400] as const)('that expired all the same (%i) are replaced, once', async (answer) => {
    const { umbrella, world, keys, context, sent } = await bench();
    world.setConsoleOptions('acme', { expiredTokenAnswer: answer });
    await umbrella.customers(keys.umbrella, context);
    world.advanceClock(2 * HOUR);
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({ ok: true });
    expect(sent().map(({ status }) => status)).toEqual([200, 200, answer, 200, 200]);
  });

  test('refused again when new are Unauthorized', async () => {
    const { umbrella, world, keys, context, sent } = await bench();
    world.addFault({ when: { path: '/admin' }, effect: { kind: 'status', status: 401 } });
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unauthorized' },
    });
    expect(sent()).toHaveLength(4);
  });

  test('of a deleted key end with it: the key is Unauthorized', async () => {
    const { umbrella, world, keys, context } = await bench();
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({ ok: true });
    world.deleteUmbrellaKey('acme', keys.umbrella.publicHalf);
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unauthorized' },
    });
  });

  test('of the right secret do not prove a wrong one', async () => {
    const { umbrella, keys, context } = await bench();
    await umbrella.authenticate(keys.umbrella, context);
    const wrong = pairOf(keys.umbrella.publicHalf, 'not the secret');
    expect(await umbrella.authenticate(wrong, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unauthorized' },
    });
  });

  test('carry the halves of a key as they are, whatever they hold', async () => {
    const { umbrella, world, context } = await bench();
    const pair = pairOf('client-id_1', 'se:cret+/ %~é');
    world.addUmbrellaKey('acme', { name: 'odd', clientId: pair.publicHalf, secret: 'se:cret+/ %~é' });
    expect(await umbrella.authenticate(pair, context)).toMatchObject({ ok: true });
  });

  test('of a child organisation are asked for by its id, and are not the parent’s', async () => {
    const { umbrella, vendors, spec, world, keys, context, sent } = await bench();
    const parentOrganizationId = world.console('acme').organizationId;
    world.addCompany('child');
    world.addConsole('child', { organizationId: 4_711, parentOrganizationId });
    world.addUmbrellaCustomer('child', 'The child’s customer');
    const child = vendors.umbrella({ ...spec, umbrella: { ...spec.umbrella, organizationId: '4711' } });
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({ ok: true });
    expect(await child.customers(keys.umbrella, context)).toMatchObject({
      ok: true,
      value: [{ name: 'The child’s customer' }],
    });
    const organizations = sent()
      .filter(({ operation }) => operation === TOKEN)
      .map(({ requestHeaders }) => requestHeaders['x-umbrella-orgid']);
    expect(organizations).toEqual([undefined, '4711']);
    const stranger = vendors.umbrella({ ...spec, umbrella: { ...spec.umbrella, organizationId: '99' } });
    expect(await stranger.authenticate(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Forbidden' },
    });
  });

  test('that a stopped run was fetching are fetched by those who waited for it', async () => {
    const { umbrella, world, keys, context, sent } = await bench();
    world.addFault({ when: { operation: TOKEN, nth: 1 }, effect: { kind: 'hangBefore' } });
    const stop = new AbortController();
    const stopped = umbrella.authenticate(keys.umbrella, { ...context, signal: stop.signal });
    const waiting = umbrella.authenticate(keys.umbrella, context);
    await world.waitForHang();
    stop.abort();
    expect(await stopped).toMatchObject({ ok: false, failure: { kind: 'Unavailable', why: 'cancelled' } });
    expect(await waiting).toMatchObject({ ok: true });
    expect(sent()).toHaveLength(2);
  });
});

describe('lists', () => {
  test.each(['msp', 'mssp'] as const)('customers of an %s console are read to their end', async (console) => {
    const { umbrella, keys, context, sent } = await bench('healthy', {
      customers: 150,
      console,
      lean: true,
      umbrella: { console },
    });
    const customers = await umbrella.customers(keys.umbrella, context);
    expect(customers.ok && customers.value).toHaveLength(150);
    expect(customers.ok && customers.value[0]).toEqual({ id: expect.any(Number), name: 'Northwind Dental' });
    expect(sent().map(({ query }) => query)).toEqual([
      {},
      { page: '1', limit: '100' },
      { page: '2', limit: '100' },
    ]);
  });

  test('customers of the wrong kind of console are Forbidden', async () => {
    const { umbrella, keys, context } = await bench('healthy', { console: 'mssp' });
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Forbidden' },
    });
  });

  test('API keys tell client id, scopes, expiry and last use', async () => {
    const { umbrella, keys, context } = await bench('umbrella-key-expiring');
    const found = await umbrella.apiKeys(keys.keyAdmin, context);
    expect(found.ok && found.value.map(({ name, expiresAt }) => [name, expiresAt])).toEqual([
      ['Parasol', '2026-11-29T08:00:00.000Z'],
      ['Parasol KeyAdmin', null],
    ]);
    expect(found.ok && found.value[0]).toEqual({
      id: expect.any(String),
      name: 'Parasol',
      clientId: keys.umbrella.publicHalf,
      allowedIPs: [],
      createdAt: '2026-11-24T08:00:00.000Z',
      issuedAt: '2026-11-24T08:00:00.000Z',
      scopes: ['admin.customers:read', 'reports.customers:read'],
      expiresAt: '2026-11-29T08:00:00.000Z',
      lastUsedAt: '2026-11-24T08:00:00.000Z',
    });
  });

  test('more than 100 API keys are read to their end', async () => {
    const { umbrella, world, keys, context } = await bench();
    for (let index = 0; index < 120; index += 1) world.addUmbrellaKey('acme', { name: `Key ${index}` });
    const found = await umbrella.apiKeys(keys.keyAdmin, context);
    expect(found.ok && found.value).toHaveLength(122);
  });

  test('a key without the scope is Forbidden', async () => {
    const { umbrella, keys, context } = await bench();
    expect(await umbrella.apiKeys(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Forbidden' },
    });
  });
});

describe('what Umbrella tells differently than expected', () => {
  const answering = async (path: string, body: unknown) => {
    const at = await bench();
    at.world.addFault({ when: { path }, effect: { kind: 'status', status: 200, body } });
    return at;
  };

  test('fields and scopes that nobody knows are no reason to lose a row', async () => {
    const key = {
      id: 'new-kind-of-id',
      clientId: 'abc',
      name: null,
      scopes: ['a.new:scope'],
      expireAt: '2027-01-31T18:04:26.123+02:00',
      lastUsedAt: 'never',
      tier: { of: 'keys' },
    };
    const { umbrella, keys, context } = await answering('/admin/v2/apiKeys', {
      keys: [key],
      total: null,
      more: 1,
    });
    expect(await umbrella.apiKeys(keys.keyAdmin, context)).toEqual({
      ok: true,
      value: [
        {
          id: 'new-kind-of-id',
          clientId: 'abc',
          name: '',
          scopes: ['a.new:scope'],
          allowedIPs: [],
          createdAt: null,
          issuedAt: null,
          expiresAt: '2027-01-31T16:04:26.123Z',
          lastUsedAt: null,
        },
      ],
    });
    const customer = { customerId: 7, customerName: 'Seven', status: 'A new status', seats: null };
    const other = await answering('/admin/v2/managed', [customer]);
    expect(await other.umbrella.customers(other.keys.umbrella, other.context)).toEqual({
      ok: true,
      value: [{ id: 7, name: 'Seven' }],
    });
  });

  test.each<[string, object]>([
    ['an expiry that cannot be read, which would look like never', { expireAt: 'soon' }],
    ['no expiry at all', {}],
  ])('%s fails the list', async (_, fields) => {
    const key = { id: '1', clientId: 'abc', name: 'x', scopes: [], lastUsedAt: '', ...fields };
    const { umbrella, keys, context } = await answering('/admin/v2/apiKeys', { keys: [key], total: 1 });
    expect(await umbrella.apiKeys(keys.keyAdmin, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unavailable', why: 'wrong-shape' },
    });
  });
});

const REFUSALS: [string, FaultEffect, object][] = [
  [
    '{message, description}',
    { kind: 'status', status: 403, body: { message: 'error', description: 'no' } },
    { kind: 'Forbidden', detail: 'GET /admin/v2/managed/customers answered 403 error: no' },
  ],
  [
    '{message}',
    { kind: 'status', status: 404, body: { message: 'none' } },
    { kind: 'NotFound', detail: 'GET /admin/v2/managed/customers answered 404 none' },
  ],
  [
    '{error, message, statusCode}',
    { kind: 'status', status: 409, body: { error: 'Conflict', message: 'taken', statusCode: 409 } },
    { kind: 'Invalid', detail: 'GET /admin/v2/managed/customers answered 409 Conflict: taken' },
  ],
  ['another 400', { kind: 'status', status: 400, body: { error: 'bad' } }, { kind: 'Invalid' }],
  ['HTML', { kind: 'html', status: 403 }, { kind: 'Unavailable', why: 'not-json' }],
  ['a list that is none', { kind: 'status', status: 200 }, { kind: 'Unavailable', why: 'wrong-shape' }],
  ['500', { kind: 'status', status: 500 }, { kind: 'Unavailable', why: 'server-error' }],
];

describe('refusals', () => {
  test.each(REFUSALS)('are told from the status: %s', async (_, effect, failure) => {
    const { umbrella, world, keys, context } = await bench();
    world.addFault({ when: { path: '/admin' }, effect });
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({ ok: false, failure });
  });

  test('of a token by OAuth’s invalid_client are Unauthorized', async () => {
    const { umbrella, world, keys, context } = await bench();
    world.addFault({ effect: { kind: 'status', status: 400, body: { error: 'invalid_client' } } });
    expect(await umbrella.authenticate(keys.umbrella, context)).toMatchObject({
      ok: false,
      failure: { kind: 'Unauthorized' },
    });
  });

  test('name neither half of the key nor the token', async () => {
    const { umbrella, world, keys, context } = await bench();
    await umbrella.authenticate(keys.umbrella, context);
    const [bearer = ''] = world.tokens.keys();
    const message = [keys.umbrella.publicHalf, keys.umbrella.privateHalf.reveal(), `Bearer ${bearer}`].join(
      ' ',
    );
    world.addFault({ effect: { kind: 'status', status: 403, body: { message } } });
    const refused = await umbrella.customers(keys.umbrella, context);
    expect(refused).toMatchObject({
      ok: false,
      failure: {
        detail: 'GET /admin/v2/managed/customers answered 403 [redacted] [redacted] Bearer [redacted]',
      },
    });
  });
});

describe('throttling', () => {
  test('without Retry-After holds every call of that key back for a second, and no other key’s', async () => {
    const { umbrella, world, keys, clock, context, sent } = await bench();
    await umbrella.authenticate(keys.keyAdmin, context);
    await umbrella.authenticate(keys.umbrella, context);
    world.addFault({ when: { path: '/admin', times: 1 }, effect: { kind: 'rateLimit' } });
    const limited = { ok: false, failure: { kind: 'RateLimited', retryAfterMs: 1_000 } };
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject(limited);
    const { length } = sent();
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject(limited);
    expect(sent()).toHaveLength(length);
    expect(await umbrella.apiKeys(keys.keyAdmin, context)).toMatchObject({ ok: true });
    clock.advance(1_000);
    expect(await umbrella.customers(keys.umbrella, context)).toMatchObject({ ok: true });
  });
});
