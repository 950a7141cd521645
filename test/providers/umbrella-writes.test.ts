import { describe, expect, test } from 'vitest';
import type { TenantSpec } from '../../src/domain/tenant.ts';
import type { ApiKeyPass, CallContext, NewApiKey } from '../../src/reconciler/ports.ts';
import type { FaultEffect } from '../../src/simulator/index.ts';
import { bench, contextOf } from './harness.ts';

/** API keys made and deleted, and the door that both leave through. */

const KEY: NewApiKey = {
  name: 'parasol-1',
  description: 'Made by Parasol in place of Parasol',
  scopes: ['admin.customers:read'],
  allowedIPs: ['192.0.2.0/24'],
  expiresAt: '2027-02-01T00:00:00.000Z',
};
const KEYS = '/admin/v2/apiKeys';

type Bench = Awaited<ReturnType<typeof bench>>;

const passOf = (fields: Partial<ApiKeyPass> = {}): ApiKeyPass => ({
  name: KEY.name,
  deletable: new Set(),
  pause: null,
  confirm: () => Promise.resolve(true),
  ...fields,
});

const make = ({ umbrella, keys, context }: Bench, pass = passOf(), within: CallContext = context) =>
  umbrella.writes(keys.keyAdmin, within, pass).createApiKey(KEY);

const names = ({ world }: Bench) => world.listUmbrellaKeys('acme').map(({ name }) => name);

const writes = ({ world }: Bench) =>
  world.journal.query({ writes: true }).map(({ method, operation }) => `${method} ${operation}`);

describe('making a key', () => {
  test('gives its pair once, with scopes, addresses and expiry as asked for, and the pair works', async () => {
    const at = await bench();
    const made = await make(at);
    if (!made.ok || !made.value.made) throw new Error('not made');
    const [row] = at.world.listUmbrellaKeys('acme').filter(({ name }) => name === KEY.name);
    expect(row).toMatchObject({
      id: made.value.id,
      clientId: made.value.pair.publicHalf,
      scopes: KEY.scopes,
      expireAt: KEY.expiresAt,
    });
    const listed = await at.umbrella.apiKeys(at.keys.keyAdmin, at.context);
    expect(listed.ok && listed.value.find(({ name }) => name === KEY.name)).toMatchObject({
      allowedIPs: KEY.allowedIPs,
    });
    expect(await at.umbrella.customers(made.value.pair, at.context)).toMatchObject({ ok: true });
    expect(JSON.stringify(made)).not.toContain(made.value.pair.privateHalf.reveal());
    expect(at.vendors.callsOf(at.context).writes).toBe(1);
  });

  test('that never expires says so with an empty text', async () => {
    const at = await bench();
    await at.umbrella
      .writes(at.keys.keyAdmin, at.context, passOf())
      .createApiKey({ ...KEY, expiresAt: null });
    const [row] = at.world.listUmbrellaKeys('acme').filter(({ name }) => name === KEY.name);
    expect(row?.expireAt).toBe('');
  });

  test('a name that is taken is an outcome of its own: nothing was made', async () => {
    const at = await bench();
    at.world.addUmbrellaKey('acme', { name: KEY.name });
    expect(await make(at)).toEqual({ ok: true, value: { made: false, because: 'name-taken' } });
    expect(names(at).filter((name) => name === KEY.name)).toHaveLength(1);
  });

  test.each<[string, FaultEffect]>([
    ['the connection broke after the effect', { kind: 'resetAfter' }],
    ['the answer was cut short', { kind: 'truncate' }],
    ['a gateway gave up', { kind: 'status', status: 502, applied: true }],
    ['a proxy answered with HTML', { kind: 'html', status: 403, applied: true }],
    ['the answer has no secret', { kind: 'status', status: 201, body: { key: { id: '1' } }, applied: true }],
  ])('is of unknown outcome where %s, and is not sent again', async (_, effect) => {
    const at = await bench();
    at.world.addFault({ when: { method: 'POST', operation: KEYS }, effect });
    expect(await make(at)).toMatchObject({ ok: false, failure: { kind: 'OutcomeUnknown' } });
    expect(writes(at)).toEqual([`POST ${KEYS}`]);
  });

  test('throttled was not done', async () => {
    const at = await bench();
    at.world.addFault({ when: { method: 'POST', operation: KEYS }, effect: { kind: 'rateLimit' } });
    expect(await make(at)).toMatchObject({ ok: false, failure: { kind: 'RateLimited' } });
    expect(names(at)).not.toContain(KEY.name);
  });

  test('with an old token is sent once more with a new one, through the door again', async () => {
    const at = await bench();
    await at.umbrella.apiKeys(at.keys.keyAdmin, at.context);
    at.world.advanceClock(2 * 3_600_000);
    let asked = 0;
    const confirm = () => {
      asked += 1;
      return Promise.resolve(true);
    };
    expect(await make(at, passOf({ confirm }))).toMatchObject({ ok: true, value: { made: true } });
    expect(names(at).filter((name) => name === KEY.name)).toHaveLength(1);
    expect(asked).toBe(2);
  });

  test('without the scope is Forbidden', async () => {
    const at = await bench();
    at.world.setUmbrellaKeyScopes('acme', 'Parasol KeyAdmin', ['admin.apikeys:read']);
    expect(await make(at)).toMatchObject({ ok: false, failure: { kind: 'Forbidden' } });
  });
});

describe('deleting a key', () => {
  const remove = (at: Bench, id: string, pass = passOf({ deletable: new Set([id]) })) =>
    at.umbrella.writes(at.keys.keyAdmin, at.context, pass).deleteApiKey(id);
  const idOf = (at: Bench, name: string) =>
    at.world.listUmbrellaKeys('acme').find((key) => key.name === name)?.id ?? '';

  test('ends it: the list shows it no more, and its pair is refused, whatever token is still kept', async () => {
    const at = await bench();
    await at.umbrella.authenticate(at.keys.umbrella, at.context);
    expect(await remove(at, idOf(at, 'Parasol'))).toEqual({ ok: true, value: null });
    expect(names(at)).toEqual(['Parasol KeyAdmin']);
    expect(await at.umbrella.authenticate(at.keys.umbrella, at.context)).toMatchObject({ ok: true });
    expect(await at.umbrella.authenticate(at.keys.umbrella, at.context, { anew: true })).toMatchObject({
      ok: false,
      failure: { kind: 'Unauthorized' },
    });
  });

  test('that is gone already is NotFound', async () => {
    const at = await bench();
    expect(await remove(at, 'never-was')).toMatchObject({ ok: false, failure: { kind: 'NotFound' } });
  });

  test('is of unknown outcome where the answer was lost', async () => {
    const at = await bench();
    at.world.addFault({ when: { method: 'DELETE' }, effect: { kind: 'resetAfter' } });
    expect(await remove(at, idOf(at, 'Parasol'))).toMatchObject({
      ok: false,
      failure: { kind: 'OutcomeUnknown' },
    });
    expect(names(at)).toEqual(['Parasol KeyAdmin']);
  });

  test('of another id than was decided on is barred', async () => {
    const at = await bench();
    const pass = passOf({ deletable: new Set([idOf(at, 'Parasol KeyAdmin')]) });
    expect(await remove(at, idOf(at, 'Parasol'), pass)).toMatchObject(BARRED);
    expect(writes(at)).toEqual([]);
  });
});

const BARRED = { ok: false, failure: { kind: 'Barred' } };

describe('the last door', () => {
  test.each<[string, { mode?: TenantSpec['mode']; paused?: boolean }]>([
    ['observe', { mode: 'observe' }],
    ['alert', { mode: 'alert' }],
    ['repair, but paused', { paused: true }],
  ])('is shut in mode %s, and nothing is sent', async (_, fields) => {
    const at = await bench('healthy', fields);
    const confirm = () => Promise.reject(new Error('not to be asked'));
    expect(await make(at, passOf({ confirm }))).toMatchObject(BARRED);
    expect(writes(at)).toEqual([]);
  });

  test.each<[string, Partial<ApiKeyPass>]>([
    ['the claim is lost', { confirm: () => Promise.resolve(false) }],
    ['another name was decided on', { name: 'parasol-2' }],
    ['no key is to be made', { name: null }],
    [
      'a person paused the tenant',
      { pause: { by: 'Jo', reason: 'a freeze', since: '', until: null, leftMs: null } },
    ],
  ])('is shut when %s', async (_, fields) => {
    const at = await bench();
    expect(await make(at, passOf(fields))).toMatchObject(BARRED);
    expect(writes(at)).toEqual([]);
  });

  test('is shut when confirming took the time that the call needs', async () => {
    const at = await bench();
    const confirm = () => {
      at.clock.advance(46_000);
      return Promise.resolve(true);
    };
    expect(await make(at, passOf({ confirm }), contextOf(at.clock))).toMatchObject(BARRED);
    expect(writes(at)).toEqual([]);
  });
});

test('a child organisation’s tenant manages the keys of the parent, whose key it calls with', async () => {
  const at = await bench('healthy', { umbrella: { organizationId: '4711' } });
  const parentOrganizationId = at.world.console('acme').organizationId;
  at.world.addCompany('child');
  at.world.addConsole('child', { organizationId: 4711, parentOrganizationId });
  const listed = await at.umbrella.apiKeys(at.keys.keyAdmin, at.context);
  expect(listed.ok && listed.value.map(({ name }) => name)).toEqual(['Parasol', 'Parasol KeyAdmin']);
  expect(await make(at)).toMatchObject({ ok: true, value: { made: true } });
  expect(names(at)).toContain(KEY.name);
  expect(at.world.listUmbrellaKeys('child')).toEqual([]);
});
