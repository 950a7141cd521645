import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Commands } from '../../src/reconciler/commands.ts';
import type { Requests } from '../../src/reconciler/ports.ts';
import { pruneAll } from '../../src/reconciler/calendar.ts';
import { applied, input, openDesk, status } from '../reconciler/commands-fixtures.ts';
import { identity, startService } from './service.ts';

/** Each POST with a key is done once, however often it is sent, and whoever is killed in between. */

let desk: Awaited<ReturnType<typeof openDesk>>;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const WHO = [identity('ci'), identity('jo'), identity('reader', { mayReveal: true })];
let made = 0;
const newKey = () => `key-${(made += 1)}`;
const ASKED = { by: 'Ada', reason: 'audit' };

const rotatable = async (id: string) => applied(desk.commands, input(id, { mode: 'repair' }));
const count = async (what: string, ...values: unknown[]) =>
  (await desk.store.pool.query<{ n: number }>(`select count(*)::int as n from ${what}`, values)).rows[0]!.n;
const rotationsOf = (id: string) => count('rotations where tenant_id = $1', id);
const changesOf = (id: string, action: string) =>
  count('audit where tenant_id = $1 and action = $2', id, action);

/** The commands, one of which a test replaces, whoever is calling. */
const withCommand = <Name extends keyof Commands>(
  name: Name,
  make: (whole: Commands) => Commands[Name],
): Pick<Commands, 'as'> => ({
  as: (caller) => {
    const whole = desk.commands.as(caller);
    return { ...whole, [name]: make(whole) };
  },
});

/** What waits for an attempt that does not come back waits no longer. */
const later = () => desk.store.pool.query('update requests set until = now() where answer is null');

describe('the same request again', () => {
  test('gets the same answer, from another process too, and is done once', async () => {
    await rotatable('twice');
    const key = newKey();
    const send = (service: ReturnType<typeof startService>) =>
      service.call('ci', 'POST', '/tenants/twice/rotations', {
        payload: ASKED,
        headers: { 'idempotency-key': key },
      });
    const first = await send(startService(desk, WHO));
    expect(first.statusCode).toBe(202);
    expect(first.headers['idempotency-replayed']).toBeUndefined();
    const service = startService(desk, WHO);
    for (const _ of [1, 2]) {
      const again = await send(service);
      expect([again.statusCode, again.json()]).toEqual([202, first.json()]);
      expect(again.headers).toMatchObject({
        'idempotency-replayed': 'true',
        'content-type': first.headers['content-type'],
      });
      expect(again.headers['x-request-id']).not.toBe(first.headers['x-request-id']);
    }
    expect([await rotationsOf('twice'), await changesOf('twice', 'rotation.request')]).toEqual([1, 1]);
  });

  test('gets the same refusal, and its headers', async () => {
    const { call } = startService(desk, WHO);
    const headers = { 'idempotency-key': newKey() };
    const refused = await call('ci', 'POST', '/tenants/nowhere/rotations', { payload: ASKED, headers });
    await rotatable('nowhere');
    const again = await call('ci', 'POST', '/tenants/nowhere/rotations', { payload: ASKED, headers });
    expect([again.statusCode, again.json()]).toEqual([404, refused.json()]);
    const creation = { payload: input('made-once'), headers: { 'idempotency-key': newKey() } };
    const created = await call('ci', 'POST', '/tenants', creation);
    const twice = await call('ci', 'POST', '/tenants', creation);
    expect(created.headers).toMatchObject({ location: '/tenants/made-once', etag: '"1"' });
    expect(twice.headers).toMatchObject({ location: '/tenants/made-once', etag: '"1"' });
    expect(twice.body).toBe(created.body);
  });

  test.each([
    ['another body', '/tenants/other/reconcile', { reason: 'another' }],
    ['another address', '/tenants/twice/reconcile', { reason: 'audit' }],
  ] as const)('with %s is refused', async (_, url, payload) => {
    await applied(desk.commands, input('other'));
    const { call } = startService(desk, WHO);
    const headers = { 'idempotency-key': newKey() };
    await call('ci', 'POST', '/tenants/other/reconcile', { payload: { reason: 'audit' }, headers });
    const before = await count('audit');
    const answer = await call('ci', 'POST', url, { payload, headers });
    expect([answer.statusCode, answer.json()]).toMatchObject([
      409,
      { type: 'urn:parasol:problem:key-reused' },
    ]);
    expect(await count('audit')).toBe(before);
  });

  test('of another token is another one', async () => {
    await applied(desk.commands, input('shared'));
    const { call } = startService(desk, WHO);
    const options = { payload: { reason: 'audit' }, headers: { 'idempotency-key': newKey() } };
    await call('ci', 'POST', '/tenants/shared/reconcile', options);
    const answer = await call('jo', 'POST', '/tenants/shared/reconcile', options);
    expect([answer.statusCode, answer.headers['idempotency-replayed']]).toEqual([202, undefined]);
    expect(await changesOf('shared', 'tenant.reconcile')).toBe(2);
  });

  test('that comes while the first is under way is told to wait, and is not done', async () => {
    await applied(desk.commands, input('slow'));
    let go = () => {};
    const held = new Promise<void>((resolve) => (go = resolve));
    let begun = () => {};
    const began = new Promise<void>((resolve) => (begun = resolve));
    const commands = withCommand('reconcile', (whole) => async (id, reason) => {
      begun();
      await held;
      return whole.reconcile(id, reason);
    });
    const { call } = startService(desk, WHO, { commands });
    const options = { payload: { reason: 'audit' }, headers: { 'idempotency-key': newKey() } };
    const first = call('ci', 'POST', '/tenants/slow/reconcile', options);
    await began;
    const second = await call('ci', 'POST', '/tenants/slow/reconcile', options);
    expect([second.statusCode, second.headers['retry-after'], second.json()]).toMatchObject([
      409,
      '2',
      { type: 'urn:parasol:problem:under-way' },
    ]);
    go();
    const answer = await first;
    const third = await call('ci', 'POST', '/tenants/slow/reconcile', options);
    expect(third.body).toBe(answer.body);
    expect(await changesOf('slow', 'tenant.reconcile')).toBe(1);
  });

  test('without a key is another request each time, and a GET heeds none', async () => {
    await applied(desk.commands, input('keyless'));
    const { call } = startService(desk, WHO);
    for (const _ of [1, 2]) await call('ci', 'POST', '/tenants/keyless/reconcile');
    expect(await changesOf('keyless', 'tenant.reconcile')).toBe(2);
    const headers = { 'idempotency-key': newKey() };
    expect((await call('ci', 'GET', '/tenants/keyless', { headers })).statusCode).toBe(200);
    expect(await count('requests where key = $1', headers['idempotency-key'])).toBe(0);
  });

  test.each(['', 'two words', 'ü', 'x'.repeat(201)])('with the key “%s” is refused', async (key) => {
    await applied(desk.commands, input('bad-key'));
    const { call } = startService(desk, WHO);
    const answer = await call('ci', 'POST', '/tenants/bad-key/reconcile', {
      headers: { 'idempotency-key': key },
    });
    expect([answer.statusCode, answer.json()]).toMatchObject([
      400,
      { errors: [{ path: 'idempotency-key' }] },
    ]);
    expect(await changesOf('bad-key', 'tenant.reconcile')).toBe(0);
  });

  test('is another one after a day', async () => {
    await applied(desk.commands, input('old'));
    const { call } = startService(desk, WHO);
    const options = { payload: { reason: 'audit' }, headers: { 'idempotency-key': newKey() } };
    const first = await call('ci', 'POST', '/tenants/old/reconcile', options);
    const key = options.headers['idempotency-key'];
    await desk.store.pool.query(
      "update requests set created_at = now() - interval '23 hours' where key = $1",
      [key],
    );
    await pruneAll(desk.store.housekeeping, 1e12);
    expect((await call('ci', 'POST', '/tenants/old/reconcile', options)).body).toBe(first.body);
    await desk.store.pool.query(
      "update requests set created_at = now() - interval '25 hours' where key = $1",
      [key],
    );
    await pruneAll(desk.store.housekeeping, 1e12);
    expect((await call('ci', 'POST', '/tenants/old/reconcile', options)).body).not.toBe(first.body);
    expect(await changesOf('old', 'tenant.reconcile')).toBe(2);
  });
});

describe('a process that is killed', () => {
  const never = new Promise<never>(() => {});
  /** Sends a request to a process that ends before it answers. */
  async function lost(commands: Pick<Commands, 'as'>, reached: Promise<void>, url: string, options: object) {
    const { call } = startService(desk, WHO, { commands });
    void call('ci', 'POST', url, options).catch(() => undefined);
    await reached;
  }

  test('after the change and before its answer: it is answered from the change, once and for all', async () => {
    await rotatable('killed-after');
    let changed = () => {};
    const reached = new Promise<void>((resolve) => (changed = resolve));
    let answered: unknown;
    const commands = withCommand('rotate', (whole) => async (id, request) => {
      answered = await whole.rotate(id, request);
      changed();
      return never;
    });
    const url = '/tenants/killed-after/rotations';
    const options = { payload: ASKED, headers: { 'idempotency-key': newKey() } };
    await lost(commands, reached, url, options);
    const { call } = startService(desk, WHO);
    expect((await call('ci', 'POST', url, options)).json()).toMatchObject({ title: 'It is being done' });
    await later();
    for (const _ of [1, 2]) {
      const again = await call('ci', 'POST', url, options);
      expect(again.statusCode).toBe(202);
      expect({ ok: true, value: again.json() }).toEqual(answered);
    }
    expect([await rotationsOf('killed-after'), await changesOf('killed-after', 'rotation.request')]).toEqual([
      1, 1,
    ]);
  });

  const DRIFT = {
    path: 'role.levels.Companies/Configurations.edit',
    kind: 'excess' as const,
    desired: 'None',
    observed: 'All',
  };
  const accepting = { ...ASKED, path: DRIFT.path, expires: '30d' };
  type Command = 'pause' | 'resume' | 'accept' | 'withdrawAcceptance' | 'reconcile';
  const CASES: [
    Command,
    string,
    object,
    (id: string, service: ReturnType<typeof startService>) => Promise<object>,
  ][] = [
    ['pause', 'pause', { ...ASKED, until: '2h' }, async () => ({})],
    [
      'resume',
      'resume',
      ASKED,
      async (id, { call }) => call('ci', 'POST', `/tenants/${id}/pause`, { payload: ASKED }),
    ],
    ['accept', 'accept', accepting, async () => ({})],
    [
      'withdrawAcceptance',
      'accept/withdraw',
      { ...ASKED, path: DRIFT.path },
      async (id, { call }) => call('ci', 'POST', `/tenants/${id}/accept`, { payload: accepting }),
    ],
    ['reconcile', 'reconcile', { reason: 'now' }, async () => ({})],
  ];
  test.each(CASES)('%s is answered from what it changed', async (command, path, payload, before) => {
    const id = `lost-${command.toLowerCase()}`;
    await applied(desk.commands, input(id, { mode: 'repair' }));
    const drift = [{ ...DRIFT, since: '2026-01-01T00:00:00Z', action: 'none:x', accepted: null }];
    await desk.run(id, { status: status({ drift }) });
    await before(id, startService(desk, WHO));
    let changed = () => {};
    const reached = new Promise<void>((resolve) => (changed = resolve));
    let answered: unknown;
    const commands = withCommand(command, (whole) => async (...asked: never[]) => {
      answered = await (whole[command] as (...asked: never[]) => Promise<unknown>)(...asked);
      changed();
      return never;
    });
    const url = `/tenants/${id}/${path}`;
    const options = { payload, headers: { 'idempotency-key': newKey() } };
    await lost(commands, reached, url, options);
    await later();
    const audited = () => count('audit where tenant_id = $1', id);
    const done = await audited();
    for (const _ of [1, 2]) {
      const again = await startService(desk, WHO).call('ci', 'POST', url, options);
      expect({ ok: true, value: again.json() }).toEqual(answered);
      expect(again.statusCode).toBe(202);
    }
    expect(await audited()).toBe(done);
  });

  type Many = 'reconcileMany' | 'rotateMany';
  const MANY: [string, Many, object, string][] = [
    ['/fleet/reconcile', 'reconcileMany', {}, 'tenant.reconcile'],
    ['/fleet/rotations', 'rotateMany', { by: 'Ada' }, 'rotation.request'],
  ];
  /** Two tenants of a label, and the request that confirms exactly them; the API takes GUIDs, and fixtures make none. */
  async function confirmable(url: string, asked: object) {
    const team = `team-${(made += 1)}`;
    const ids = [1, 2].map((place) => `${team}-${place}`);
    for (const id of ids) await applied(desk.commands, input(id, { mode: 'repair', labels: { team } }));
    const body = { ...asked, selector: { labels: [`team=${team}`] }, reason: 'audit' };
    const look = await startService(desk, WHO).call('ci', 'POST', url, {
      payload: { ...body, dryRun: true },
    });
    const { token } = look.json<{ confirmation: { token: string } }>().confirmation;
    const { rows } = await desk.store.pool.query<{ token: string }>(
      'update confirmations set token = gen_random_uuid() where token = $1 returning token',
      [token],
    );
    return { ids, payload: { ...body, confirmation: rows[0]!.token } };
  }
  const triggersOf = async (ids: string[]) =>
    (
      await desk.store.pool.query<{ seq: string }>(
        'select trigger_seq as seq from tenants where id = any($1) order by id',
        [ids],
      )
    ).rows.map(({ seq }) => Number(seq));

  test.each(MANY)(
    '%s: after the change of many and before its answer: it says that it was done, and nothing runs twice',
    async (url, command, asked, action) => {
      const { ids, payload } = await confirmable(url, asked);
      const before = await triggersOf(ids);
      let changed = () => {};
      const reached = new Promise<void>((resolve) => (changed = resolve));
      const commands = withCommand(command, (whole) => async (request: never) => {
        await whole[command](request);
        changed();
        return never;
      });
      const options = { payload, headers: { 'idempotency-key': newKey() } };
      await lost(commands, reached, url, options);
      await later();
      const after = before.map((seq) => seq + 1);
      expect(await triggersOf(ids)).toEqual(after);
      for (const _ of [1, 2]) {
        const again = await startService(desk, WHO).call('ci', 'POST', url, options);
        expect([again.statusCode, again.json()]).toMatchObject([
          409,
          {
            type: 'urn:parasol:problem:done-already',
            detail: expect.stringMatching(/^It was done at .* Nothing was done again/),
          },
        ]);
      }
      // As by another call of the command line, which has no key of the first one.
      for (const headers of [{ 'idempotency-key': newKey() }, {}]) {
        const again = await startService(desk, WHO).call('ci', 'POST', url, { payload, headers });
        expect([again.statusCode, again.json()]).toMatchObject([
          409,
          { detail: expect.stringContaining('done already. Nothing was done again') },
        ]);
      }
      expect(await triggersOf(ids)).toEqual(after);
      expect(await count('audit where tenant_id = any($1) and action = $2', ids, action)).toBe(ids.length);
      expect(await count('rotations where tenant_id = any($1)', ids)).toBe(
        command === 'rotateMany' ? ids.length : 0,
      );
    },
  );

  test('before the change: it is done then', async () => {
    await rotatable('killed-before');
    let began = () => {};
    const reached = new Promise<void>((resolve) => (began = resolve));
    const commands = withCommand('rotate', () => () => {
      began();
      return never;
    });
    const url = '/tenants/killed-before/rotations';
    const options = { payload: ASKED, headers: { 'idempotency-key': newKey() } };
    await lost(commands, reached, url, options);
    await later();
    const { call } = startService(desk, WHO);
    expect((await call('ci', 'POST', url, options)).statusCode).toBe(202);
    expect(await rotationsOf('killed-before')).toBe(1);
  });

  test('in appearance only: who was taken over commits nothing', async () => {
    await applied(desk.commands, input('slept'));
    let go = () => {};
    const asleep = new Promise<void>((resolve) => (go = resolve));
    let began = () => {};
    const reached = new Promise<void>((resolve) => (began = resolve));
    const commands = withCommand('reconcile', (whole) => async (id, reason) => {
      began();
      await asleep;
      return whole.reconcile(id, reason);
    });
    const sleeper = startService(desk, WHO, { commands });
    const options = { payload: { reason: 'audit' }, headers: { 'idempotency-key': newKey() } };
    const first = sleeper.call('ci', 'POST', '/tenants/slept/reconcile', options);
    await reached;
    await later();
    const { call } = startService(desk, WHO);
    const second = await call('ci', 'POST', '/tenants/slept/reconcile', options);
    expect(second.statusCode).toBe(202);
    go();
    expect((await first).statusCode).toBe(500);
    expect(await changesOf('slept', 'tenant.reconcile')).toBe(1);
    expect((await call('ci', 'POST', '/tenants/slept/reconcile', options)).body).toBe(second.body);
  });

  test('while its answer could not be kept: it is answered from the change', async () => {
    await applied(desk.commands, input('forgetful', { mode: 'repair' }));
    const requests: Requests = {
      ...desk.store.requests,
      answered: () => Promise.reject(new Error('no database')),
    };
    const { call } = startService(desk, WHO, { requests });
    const options = { payload: ASKED, headers: { 'idempotency-key': newKey() } };
    const first = await call('ci', 'POST', '/tenants/forgetful/pause', options);
    expect(first.statusCode).toBe(202);
    await later();
    const again = await startService(desk, WHO).call('ci', 'POST', '/tenants/forgetful/pause', options);
    expect([again.statusCode, again.json()]).toEqual([202, first.json()]);
    expect(await changesOf('forgetful', 'tenant.pause')).toBe(1);
  });

  test('by a fault: it is not answered with it for ever', async () => {
    await applied(desk.commands, input('faulty'));
    const reconcile = vi.fn<Commands['reconcile']>(() => Promise.reject(new Error('out of memory')));
    const options = { payload: { reason: 'audit' }, headers: { 'idempotency-key': newKey() } };
    const broken = startService(desk, WHO, { commands: withCommand('reconcile', () => reconcile) });
    expect((await broken.call('ci', 'POST', '/tenants/faulty/reconcile', options)).statusCode).toBe(500);
    const again = await startService(desk, WHO).call('ci', 'POST', '/tenants/faulty/reconcile', options);
    expect(again.statusCode).toBe(202);
  });
});

describe('a secret', () => {
  test('of the body is kept as a keyed hash alone, and one of the answer not at all', async () => {
    const { call } = startService(desk, WHO);
    const key = { publicKey: 'sentinel-public', privateKey: 'sentinel-private' };
    const created = await call('ci', 'POST', '/tenants', {
      payload: {
        ...input('secretive'),
        connectwise: { ...input('secretive').connectwise, managementKey: key },
      },
      headers: { 'idempotency-key': newKey() },
    });
    expect(created.statusCode).toBe(201);
    const token = {
      payload: { name: 'fresh', role: 'viewer' },
      headers: { 'idempotency-key': newKey() },
    };
    await desk.store.pool.query(
      `insert into tokens (id, name, hash, role) values ('id-of-ci', 'ci', 'x', 'admin') on conflict do nothing`,
    );
    const shown = await call('ci', 'POST', '/tokens', token);
    expect(shown.statusCode).toBe(201);
    const again = await call('ci', 'POST', '/tokens', token);
    expect([again.statusCode, again.json()]).toMatchObject([409, { type: 'urn:parasol:problem:shown-once' }]);
    expect(await count("tokens where name = 'fresh'")).toBe(1);
    const dump = await desk.dump();
    expect(dump).not.toContain(shown.json<{ token: string }>().token);
    expect(dump).not.toMatch(/sentinel-(public|private)/);
  });
});
