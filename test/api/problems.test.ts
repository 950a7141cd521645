import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, test, type Mock } from 'vitest';
import type { Refusal } from '../../src/reconciler/commands.ts';
import { addressOf, BODIES, HANDOFF_ID, startApi, tenant, REVEALER, TOKEN } from './harness.ts';

type Called = Awaited<ReturnType<ReturnType<typeof startApi>['call']>>;

/** The problem of an answer, checked for what every one has. */
function problemOf(answer: Called) {
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  const problem = answer.json<Record<string, unknown>>();
  expect(problem).toEqual({
    ...problem,
    type: expect.stringMatching(/^urn:parasol:problem:[a-z-]+$/) as string,
    title: expect.any(String) as string,
    status: answer.statusCode,
    detail: expect.stringMatching(/\.$/) as string,
    instance: `urn:uuid:${answer.headers['x-request-id'] as string}`,
  });
  return problem;
}

const json = { 'content-type': 'application/json' };

describe('what is asked wrongly', () => {
  test.each([
    [
      'a body over the limit',
      'POST',
      '/tenants',
      { payload: { ...tenant(), name: 'x'.repeat(1024 * 1024) } },
      { status: 413, type: 'urn:parasol:problem:too-large' },
    ],
    [
      'malformed JSON',
      'POST',
      '/tenants',
      { payload: '{"id": ', headers: json },
      { status: 400, type: 'urn:parasol:problem:malformed', detail: 'The body is not valid JSON.' },
    ],
    [
      'no JSON where JSON was promised',
      'POST',
      '/tenants',
      { payload: '', headers: json },
      { status: 400, type: 'urn:parasol:problem:malformed' },
    ],
    [
      'JSON that would change what an object is',
      'POST',
      '/tenants',
      { payload: '{"__proto__": {"admin": true}}', headers: json },
      { status: 400 },
    ],
    [
      'text',
      'POST',
      '/tenants',
      { payload: 'id: acme', headers: { 'content-type': 'text/plain' } },
      { status: 415, detail: 'Send application/json.' },
    ],
    [
      'a form',
      'POST',
      `/handoffs/${HANDOFF_ID}/submit`,
      { payload: 'by=Ada', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
      { status: 415 },
    ],
    [
      'a content type that is none',
      'POST',
      '/tenants',
      { payload: '{}', headers: { 'content-type': 'json' } },
      { status: 415 },
    ],
    [
      'an If-Match that is no ETag',
      'PUT',
      '/tenants/acme',
      { payload: tenant(), headers: { 'if-match': '3' } },
      {
        status: 400,
        errors: [{ path: 'if-match', message: 'must be the ETag of the tenant, such as "3", or *' }],
      },
    ],
    [
      'an id that is no slug',
      'GET',
      '/tenants/Acme_MSP/status',
      {},
      {
        status: 400,
        errors: [{ path: 'id', message: 'must be a slug: a-z, 0-9 and inner hyphens, at most 63' }],
      },
    ],
    [
      'an id of a hand-off that is none',
      'GET',
      '/handoffs/17',
      {},
      { status: 400, errors: [{ path: 'id' }] },
    ],
    [
      'a page that is too long',
      'GET',
      '/tenants?limit=201',
      {},
      { status: 400, errors: [{ path: 'limit' }] },
    ],
    [
      'a cursor that is none',
      'GET',
      '/tenants/acme/runs?before=%27%20OR%201',
      {},
      { status: 400, errors: [{ path: 'before', message: 'must be the `next` of the page before' }] },
    ],
    ['a filter that is not known', 'GET', '/handoffs?state=open', {}, { status: 400 }],
    [
      'an unknown setting',
      'POST',
      '/tenants',
      { payload: { ...tenant(), colour: 'red' } },
      { status: 400, errors: [{ path: '', message: 'Unrecognized key: "colour"' }] },
    ],
    [
      'several wrong fields',
      'POST',
      '/tenants',
      { payload: { ...tenant('A'), mode: 'fix', rotation: { maxAge: 'old' } } },
      {
        status: 400,
        detail: '3 fields are not as expected.',
        errors: [{ path: 'id' }, { path: 'mode' }, { path: 'rotation.maxAge' }],
      },
    ],
    ['an address that does not exist', 'GET', '/nothing', {}, { status: 404 }],
    ['an address that cannot be read', 'GET', '/tenants/%zz', {}, { status: 404 }],
    [
      'a method that is not taken',
      'PATCH',
      '/tenants/acme',
      { payload: {} },
      { status: 405, detail: 'This address takes DELETE, GET, HEAD, PUT.' },
    ],
    ['a method that a probe does not take', 'POST', '/healthz', {}, { status: 405 }],
  ] as const)('%s', async (_, method, url, options, expected) => {
    const { call, commands } = startApi();
    const answer = await call(method, url, options);
    expect(problemOf(answer)).toMatchObject(expected);
    expect(expected.status === 405 ? answer.headers.allow : 'GET').toContain('GET');
    for (const command of Object.values(commands)) expect(command).not.toHaveBeenCalled();
  });

  it('a route that takes a body gets none, or one that is no object', async () => {
    const { call } = startApi();
    const { call: revealing } = startApi({ authenticate: async () => REVEALER });
    for (const route of Object.keys(BODIES)) {
      const [method = '', url = ''] = route.split(' ');
      const bodies = route.endsWith('/reconcile') ? ['[]', '7'] : [undefined, 'null', '[]', '7'];
      for (const payload of bodies) {
        const options = payload === undefined ? {} : { payload, headers: json };
        const answer = await (url.endsWith('/reveal') ? revealing : call)(method, addressOf(url), options);
        expect([route, payload, problemOf(answer)['status']]).toEqual([route, payload, 400]);
      }
    }
  });
});

const refused = (refusal: Refusal) => ({ ok: false as const, refusal });
const stale = refused({ kind: 'stale', generation: 7 });
const gone = refused({ kind: 'not-found', what: 'There is no tenant acme.' });

describe('what a command refuses', () => {
  it('a tenant that changed since it was read is 412, with the ETag that it has now', async () => {
    const { call, commands } = startApi();
    commands.replaceTenant.mockResolvedValue(stale);
    commands.deleteTenant.mockResolvedValue(stale);
    const headers = { 'if-match': '"3"' };
    for (const answer of [
      await call('PUT', '/tenants/acme', { payload: tenant(), headers }),
      await call('DELETE', '/tenants/acme', { headers }),
    ]) {
      expect(problemOf(answer)).toMatchObject({ status: 412, type: 'urn:parasol:problem:stale' });
      expect(answer.headers.etag).toBe('"7"');
    }
  });

  it('a tenant that does not exist is 404 on every route of it', async () => {
    const { call, commands, allRoutes } = startApi();
    for (const name of [
      'tenant',
      'replaceTenant',
      'deleteTenant',
      'keepTenant',
      'status',
      'plan',
      'adoption',
      'customers',
      'credentials',
      'reconcile',
      'events',
      'runs',
      'run',
      'replaceCredential',
      'rotate',
      'rollback',
      'rotations',
      'pause',
      'resume',
      'accept',
      'withdrawAcceptance',
      'acceptances',
      'audit',
    ] as const) {
      // Of so many commands together the compiler can make no type.
      (commands[name] as Mock<() => Promise<typeof gone>>).mockResolvedValue(gone);
    }
    const routes = (await allRoutes()).filter(({ url }) => url.startsWith('/tenants/:id'));
    expect(routes.length).toBeGreaterThan(12);
    for (const { method, url } of routes) {
      const body = BODIES[`${method} ${url}`];
      const answer = await call(method, addressOf(url), body ? { payload: body } : {});
      expect([method, url, answer.statusCode]).toEqual([method, url, 404]);
      const told = { detail: 'There is no tenant acme.' };
      expect(method === 'HEAD' ? told : problemOf(answer)).toMatchObject(told);
    }
  });

  it('a hand-off that does not exist is 404', async () => {
    const { call, commands } = startApi();
    const none = refused({ kind: 'not-found', what: 'There is no such hand-off.' });
    for (const name of ['handoff', 'claimHandoff', 'releaseHandoff', 'submitHandoff'] as const) {
      commands[name].mockResolvedValue(none);
    }
    for (const [method, rest, payload] of [
      ['GET', '', undefined],
      ['POST', '/claim', { by: 'Ada' }],
      ['POST', '/release', { by: 'Ada' }],
      ['POST', '/submit', { by: 'Ada' }],
    ] as const) {
      const answer = await call(method, `/handoffs/${HANDOFF_ID}${rest}`, payload ? { payload } : {});
      expect(problemOf(answer)).toMatchObject({ status: 404, detail: 'There is no such hand-off.' });
    }
  });

  it('a conflict is 409, with the reason', async () => {
    const { call, commands } = startApi();
    commands.claimHandoff.mockResolvedValue(refused({ kind: 'conflict', message: 'Bob claimed it.' }));
    const answer = await call('POST', `/handoffs/${HANDOFF_ID}/claim`, { payload: { by: 'Ada' } });
    expect(problemOf(answer)).toMatchObject({ status: 409, detail: 'Bob claimed it.' });
  });

  it('input that only the command can judge is 400, field by field', async () => {
    const { call, commands } = startApi();
    const problems = [{ path: 'tenants.0.connectwise.companyId', message: 'is taken' }];
    commands.apply.mockResolvedValue(refused({ kind: 'invalid', problems }));
    const answer = await call('POST', '/fleet/apply', { payload: { tenants: [tenant()] } });
    expect(problemOf(answer)).toMatchObject({ status: 400, errors: problems });
  });
});

describe('a database that is not available', () => {
  const away = (code: string) =>
    Object.assign(new Error('the words of the database'), { code, passes: true });

  it.each(['ECONNREFUSED', '57P01', '53300', '25006'])(
    'is 503 with a time to come back at (%s), and is told in the log',
    async (code) => {
      const { call, commands, lines } = startApi();
      commands.plan.mockRejectedValue(away(code));
      const answer = await call('GET', '/tenants/acme/plan');
      expect(problemOf(answer)).toMatchObject({ status: 503, type: 'urn:parasol:problem:unavailable' });
      expect(answer.headers['retry-after']).toMatch(/^[1-9]\d*$/);
      expect(answer.payload).not.toContain('the words of the database');
      const [told] = lines.map((line) => JSON.parse(line) as object);
      expect(told).toMatchObject({ level: 40, msg: 'the database is not available', err: { code } });
    },
  );

  it('is 503 where it is the token that cannot be looked for', async () => {
    const { app } = startApi({ authenticate: () => Promise.reject(away('ECONNREFUSED')) });
    const answer = await app.inject({ url: '/tenants', headers: { authorization: `Bearer ${TOKEN}` } });
    expect(answer.statusCode).toBe(503);
  });

  it('is not blamed for what would fail again', async () => {
    const { call, commands } = startApi();
    commands.plan.mockRejectedValue(Object.assign(away('42P01'), { passes: false }));
    expect((await call('GET', '/tenants/acme/plan')).statusCode).toBe(500);
  });
});

describe('what is broken here', () => {
  it('is 500 and says no more; the log tells the rest under the same name', async () => {
    const { call, commands, lines } = startApi();
    commands.plan.mockRejectedValue(new TypeError('the plan is not there'));
    const answer = await call('GET', '/tenants/acme/plan');
    expect(problemOf(answer)).toMatchObject({
      status: 500,
      detail: 'The fault is on this side; the log tells more about this request.',
    });
    expect(answer.payload).not.toMatch(/the plan|TypeError|\.ts:\d|node_modules/);
    const [failed] = lines.map((line) => JSON.parse(line) as { msg: string; request: string; err: object });
    expect(failed).toMatchObject({
      msg: 'request failed',
      request: answer.headers['x-request-id'],
      err: { type: 'TypeError', message: 'the plan is not there' },
    });
  });

  it('is told the same where what is thrown is no error', async () => {
    const { call, commands } = startApi();
    commands.plan.mockRejectedValue('just words');
    expect((await call('GET', '/tenants/acme/plan')).statusCode).toBe(500);
  });

  it('does not end the service, even where the request is not HTTP', async () => {
    const { app, call, logged } = startApi();
    await app.listen({ host: '127.0.0.1', port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const answer = await new Promise<string>((resolve, reject) => {
      let text = '';
      const socket = connect(port, '127.0.0.1', () =>
        socket.write('GET / HTTP/1.1\r\nAuthorization: Bearer SENTINEL\r\nno header\r\n\r\n'),
      );
      socket.on('data', (part) => (text += String(part)));
      socket.on('close', () => resolve(text)).on('error', reject);
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer + logged()).not.toContain('SENTINEL');
    expect((await call('GET', '/tenants')).statusCode).toBe(200);
  });
});
