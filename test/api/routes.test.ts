import { describe, expect, it } from 'vitest';
import { EVERYBODY } from '../../src/domain/tenant-filter.ts';
import { tenantInputSchema } from '../../src/domain/tenant.ts';
import { tenantsSchema } from '../../src/domain/tenants-schema.ts';
import {
  bulk,
  credential,
  customer,
  event,
  fleet,
  handoff,
  HANDOFF_ID,
  plan,
  ROTATION_ID,
  run,
  runDetail,
  startApi,
  status,
  summary,
  tenant,
  view,
} from './harness.ts';

describe('tenants', () => {
  it('are listed in pages by id', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/tenants?after=aaa&limit=2');
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual({ items: [summary], next: 'acme' });
    expect(commands.tenants).toHaveBeenCalledWith({ sort: 'id', filter: EVERYBODY, after: 'aaa', limit: 2 });
    await call('GET', '/tenants');
    expect(commands.tenants).toHaveBeenLastCalledWith({
      sort: 'id',
      filter: EVERYBODY,
      after: null,
      limit: 50,
    });
  });

  it('are those that every parameter means, some of which may be given again', async () => {
    const { call, commands } = startApi();
    await call(
      'GET',
      '/tenants?sort=since&ready=False&ready=Unknown&condition=RoleReady&condition=TableSetupReady%3DFalse%2FDiffers' +
        '&mode=repair&label=team%3Dnorth&label=vip&drift=role.levels&q=%20Acme%20',
    );
    expect(commands.tenants).toHaveBeenLastCalledWith({
      sort: 'since',
      filter: {
        ids: null,
        ready: ['False', 'Unknown'],
        marks: ['RoleReady=True', 'TableSetupReady=False/Differs'],
        mode: 'repair',
        labels: [
          { key: 'team', value: 'north' },
          { key: 'vip', value: null },
        ],
        drift: 'role.levels',
        words: 'Acme',
      },
      after: null,
      limit: 50,
    });
  });

  it.each([
    ['true', true],
    ['false', false],
  ])('drift=%s asks whether there is any', async (drift, asked) => {
    const { call, commands } = startApi();
    await call('GET', `/tenants?drift=${drift}`);
    expect(commands.tenants).toHaveBeenLastCalledWith(
      expect.objectContaining({ filter: { ...EVERYBODY, drift: asked } }),
    );
  });

  it.each([
    ['sort=size', 'sort'],
    ['ready=yes', 'ready.0'],
    ['condition=Ready', 'condition.0'],
    ['condition=RoleReady%3DMaybe', 'condition.0'],
    ['label=Team%3DNorth', 'label.0'],
    ['mode=watch', 'mode'],
    ['q=', 'q'],
    ['after=%20', 'after'],
  ])('with %s are refused, naming the parameter', async (query, path) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/tenants?${query}`);
    expect(answer.statusCode).toBe(400);
    expect(answer.json().errors).toMatchObject([{ path }]);
    expect(commands.tenants).not.toHaveBeenCalled();
  });

  it('are reconciled or rotated together, once they were looked at', async () => {
    const { call, commands } = startApi();
    const selector = {
      labels: ['team=north', 'vip'],
      ready: ['False'],
      conditions: ['RoleReady=False'],
      drift: true,
    };
    const reason = 'after the audit';
    const looked = await call('POST', '/fleet/reconcile', { payload: { selector, reason, dryRun: true } });
    expect([looked.statusCode, looked.json()]).toEqual([200, bulk]);
    const filter = {
      ...EVERYBODY,
      ready: ['False'],
      marks: ['RoleReady=False'],
      labels: [
        { key: 'team', value: 'north' },
        { key: 'vip', value: null },
      ],
      drift: true,
    };
    expect(commands.reconcileMany).toHaveBeenLastCalledWith({ filter, reason, confirmation: null });
    const confirmation = bulk.confirmation!.token;
    await call('POST', '/fleet/rotations', {
      payload: { selector: { all: true }, reason, by: 'Ada', confirmation },
    });
    expect(commands.rotateMany).toHaveBeenLastCalledWith({
      filter: EVERYBODY,
      reason,
      by: 'Ada',
      confirmation,
    });
  });

  it.each([
    ['nobody is meant', { selector: {}, reason: 'x', dryRun: true }, 'selector'],
    [
      'all and some are meant',
      { selector: { all: true, ids: ['acme'] }, reason: 'x', dryRun: true },
      'selector',
    ],
    ['no id is meant', { selector: { ids: [] }, reason: 'x', dryRun: true }, 'selector.ids'],
    ['it was not looked at', { selector: { all: true }, reason: 'x' }, 'confirmation'],
    [
      'it is looked at and confirmed',
      { selector: { all: true }, reason: 'x', dryRun: true, confirmation: ROTATION_ID },
      'confirmation',
    ],
    ['there is no reason', { selector: { all: true }, dryRun: true }, 'reason'],
  ])('are not reconciled together where %s', async (_, payload, path) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/fleet/reconcile', { payload });
    expect([answer.statusCode, answer.json().errors[0].path]).toEqual([400, path]);
    expect(commands.reconcileMany).not.toHaveBeenCalled();
  });

  it('are counted, all of them or those with labels', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/fleet');
    expect([answer.statusCode, answer.json()]).toEqual([200, fleet]);
    expect(commands.fleet).toHaveBeenLastCalledWith([]);
    await call('GET', '/fleet?label=team%3Dnorth&label=vip');
    expect(commands.fleet).toHaveBeenLastCalledWith([
      { key: 'team', value: 'north' },
      { key: 'vip', value: null },
    ]);
    expect((await call('GET', '/fleet?label=%3D')).statusCode).toBe(400);
  });

  it('are made with their defaults filled in', async () => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants', { payload: tenant() });
    expect(answer.statusCode).toBe(201);
    expect(answer.headers).toMatchObject({ location: '/tenants/acme', etag: '"1"' });
    expect(commands.createTenant).toHaveBeenCalledWith(tenantInputSchema.parse(tenant()));
    expect(answer.json()).toEqual(view(undefined, 1));
  });

  it('are read with their generation as ETag', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/tenants/acme');
    expect(answer.headers.etag).toBe('"3"');
    expect(answer.json()).toEqual(view());
    expect(commands.tenant).toHaveBeenCalledWith('acme');
  });

  it.each([
    [undefined, null],
    ['*', null],
    ['"3"', 3],
  ])('are replaced with If-Match %s', async (header, generation) => {
    const { call, commands } = startApi();
    const headers = header === undefined ? {} : { 'if-match': header };
    const answer = await call('PUT', '/tenants/acme', { payload: tenant(), headers });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers.etag).toBe('"4"');
    expect(commands.replaceTenant).toHaveBeenCalledWith(tenantInputSchema.parse(tenant()), generation);
  });

  it('keep their id', async () => {
    const { call, commands } = startApi();
    const answer = await call('PUT', '/tenants/acme', { payload: tenant('other') });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ path: 'id' }] });
    expect(commands.replaceTenant).not.toHaveBeenCalled();
  });

  it('are removed later than the answer, and from the generation that was read', async () => {
    const { call, commands } = startApi();
    const answer = await call('DELETE', '/tenants/acme', { headers: { 'if-match': '"3"' } });
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toEqual({ trigger: 5 });
    expect(commands.deleteTenant).toHaveBeenCalledWith('acme', {
      ifGeneration: 3,
      by: null,
      reason: null,
      force: false,
      unseen: false,
    });
  });

  it('are removed though a rotation is in flight or no vendor answers, where that is said', async () => {
    const { call, commands } = startApi();
    const query = 'by=Jo&reason=they%20left&force=true&unseen=true';
    expect((await call('DELETE', `/tenants/acme?${query}`)).statusCode).toBe(202);
    expect(commands.deleteTenant).toHaveBeenCalledWith('acme', {
      ifGeneration: null,
      by: 'Jo',
      reason: 'they left',
      force: true,
      unseen: true,
    });
    for (const wrong of ['force=yes', 'reason=', 'forced=true']) {
      expect((await call('DELETE', `/tenants/acme?${wrong}`)).statusCode).toBe(400);
    }
  });

  it('stay, where somebody takes their deletion back', async () => {
    const { call, commands } = startApi();
    const payload = { by: 'Jo', reason: 'they stay' };
    const answer = await call('POST', '/tenants/acme/undelete', { payload });
    expect([answer.statusCode, answer.json()]).toEqual([202, { trigger: 9 }]);
    expect(commands.keepTenant).toHaveBeenCalledWith('acme', payload);
  });

  it.each([
    ['status', 'status', status],
    ['plan', 'plan', plan],
    ['customers', 'customers', { items: [customer] }],
    ['credentials', 'credentials', { items: [credential] }],
  ] as const)('tell their %s', async (path, command, expected) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/tenants/acme/${path}`);
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toEqual(expected);
    expect(commands[command]).toHaveBeenCalledWith('acme');
  });

  it('tell what one of their runs saw and did', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/tenants/acme/runs/r1');
    expect(answer.json()).toEqual(runDetail);
    expect(commands.run).toHaveBeenCalledWith('acme', 'r1');
  });

  it.each([
    ['events', { items: [event], next: '12' }],
    ['runs', { items: [run], next: null }],
  ] as const)('tell their %s in pages, newest first', async (path, expected) => {
    const { call, commands } = startApi();
    const answer = await call('GET', `/tenants/acme/${path}?before=99&limit=7`);
    expect(answer.json()).toEqual(expected);
    expect(commands[path]).toHaveBeenCalledWith('acme', { before: '99', limit: 7 });
  });

  it.each([
    ['with a reason', { payload: { reason: 'after the audit' } }, 'after the audit'],
    ['with an empty object', { payload: {} }, 'manual'],
    ['without a body', {}, 'manual'],
  ])('are reconciled %s', async (_, options, reason) => {
    const { call, commands } = startApi();
    const answer = await call('POST', '/tenants/acme/reconcile', options);
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toEqual({ trigger: 6 });
    expect(commands.reconcile).toHaveBeenCalledWith('acme', reason);
  });
});

describe('a fleet', () => {
  it('is applied as a whole, for real unless it is told otherwise', async () => {
    const { call, commands } = startApi();
    const tenants = [tenant('a'), tenant('b')];
    const answer = await call('POST', '/fleet/apply', { payload: { tenants } });
    expect(answer.statusCode).toBe(200);
    expect(answer.json()).toMatchObject({ dryRun: false, changes: [{ id: 'a' }, { id: 'b' }] });
    await call('POST', '/fleet/apply', { payload: { tenants, dryRun: true } });
    expect(commands.apply.mock.calls.map(([, options]) => options)).toEqual([
      { dryRun: false, keepGoing: false, prune: null },
      { dryRun: true, keepGoing: false, prune: null },
    ]);
  });

  it('are told field by field, and those that are refused beside the others', async () => {
    const { call, commands } = startApi();
    const differences = [{ path: 'mode', kind: 'setting' as const, before: 'observe', after: 'repair' }];
    const value = {
      changes: [{ id: 'a', change: 'updated' as const, generation: 2, differences, warnings: [] }],
      removals: [{ id: 'c', name: 'C', onDelete: 'orphan' as const }],
      refused: [{ id: 'b', problems: [{ path: 'tenants.1.id', message: 'no' }] }],
    };
    commands.apply.mockResolvedValueOnce({ ok: true, value });
    const payload = { tenants: [tenant('a'), tenant('b')], continue: true };
    const answer = await call('POST', '/fleet/apply', { payload });
    expect(answer.json()).toEqual({ dryRun: false, ...value });
    expect(commands.apply.mock.calls[0]![1]).toEqual({ dryRun: false, keepGoing: true, prune: null });
  });

  it('take others away by a label, and never without one', async () => {
    const { call, commands } = startApi();
    const tenants = [tenant('a')];
    const prune = { labels: { team: 'north' }, count: 2 };
    await call('POST', '/fleet/apply', { payload: { tenants, prune } });
    expect(commands.apply.mock.calls[0]![1]).toMatchObject({ prune: { ...prune, by: null } });
    for (const wrong of [
      { prune: { labels: {}, count: 2 } },
      { prune: { count: 2 } },
      { prune, continue: true },
      { prune, tenants: [] },
    ]) {
      const answer = await call('POST', '/fleet/apply', { payload: { tenants, ...wrong } });
      expect([wrong, answer.statusCode]).toEqual([wrong, 400]);
    }
    expect(commands.apply).toHaveBeenCalledTimes(1);
  });

  it('may be larger than any other body', async () => {
    const { call, commands } = startApi();
    // With every default in it, as the command line sends them.
    const one = tenantInputSchema.parse(tenant());
    const tenants = Array.from({ length: 10_000 }, (_, at) => ({ ...one, id: `tenant-${at}` }));
    const payload = JSON.stringify({ tenants });
    expect(payload.length).toBeGreaterThan(1024 * 1024);
    const headers = { 'content-type': 'application/json' };
    expect((await call('POST', '/fleet/apply', { payload, headers })).statusCode).toBe(200);
    expect(commands.apply.mock.calls[0]![0]).toHaveLength(10_000);
    expect((await call('POST', '/tenants', { payload, headers })).statusCode).toBe(413);
  });

  it('names the tenant and the field that is wrong', async () => {
    const { call, commands } = startApi();
    const tenants = [tenant('a'), { ...tenant('b'), every: 'often' }];
    const answer = await call('POST', '/fleet/apply', { payload: { tenants } });
    expect(answer.statusCode).toBe(400);
    expect(answer.json()).toMatchObject({ errors: [{ path: 'tenants.1.every' }] });
    expect(commands.apply).not.toHaveBeenCalled();
  });
});

describe('credentials', () => {
  it.each([
    ['management', { publicKey: ' p\n', privateKey: 's\n' }, null],
    ['integration', { publicKey: 'p', privateKey: 's', member: 'umbrella-b' }, 'umbrella-b'],
    ['umbrella-api', { key: 'p', secret: 's' }, null],
    ['umbrella-key-admin', { key: 'p', secret: 's' }, null],
  ] as const)(
    'of purpose %s are replaced, and answered with a fingerprint',
    async (purpose, payload, member) => {
      const { call, commands } = startApi();
      const answer = await call('PUT', `/tenants/acme/credentials/${purpose}`, { payload });
      expect(answer.statusCode).toBe(202);
      expect(answer.json()).toEqual({ fingerprint: 'ffeeddcc00112233', trigger: 8 });
      const [id, given, pair, of] = commands.replaceCredential.mock.calls[0]!;
      expect([id, given, pair.publicHalf, pair.privateHalf.reveal(), of]).toEqual([
        'acme',
        purpose,
        'p',
        's',
        member,
      ]);
    },
  );

  it('of an unknown purpose do not exist', async () => {
    const { call } = startApi();
    const payload = { publicKey: 'p', privateKey: 's' };
    expect((await call('PUT', '/tenants/acme/credentials/other', { payload })).statusCode).toBe(404);
  });

  it('cannot be read', async () => {
    const { call } = startApi();
    const answer = await call('GET', '/tenants/acme/credentials/management');
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'PUT']);
  });

  it('need both halves, and the member of an integration key', async () => {
    const { call } = startApi();
    const payload = { publicKey: 'p' };
    const answer = await call('PUT', '/tenants/acme/credentials/integration', { payload });
    expect(answer.json<{ errors: { path: string }[] }>().errors.map((it) => it.path)).toEqual([
      'privateKey',
      'member',
    ]);
  });
});

describe('hand-offs', () => {
  it.each([
    ['/handoffs', { tenant: null, live: true }],
    ['/handoffs?tenant=acme&live=false', { tenant: 'acme', live: false }],
    ['/handoffs?live=true', { tenant: null, live: true }],
  ])('are listed by %s', async (url, filter) => {
    const { call, commands } = startApi();
    const answer = await call('GET', url);
    expect(answer.json()).toEqual({ items: [handoff()] });
    expect(commands.handoffs).toHaveBeenCalledWith(filter);
  });

  it('are read one by one', async () => {
    const { call } = startApi();
    expect((await call('GET', `/handoffs/${HANDOFF_ID}`)).json()).toEqual(handoff());
  });

  it('are claimed and released by a person', async () => {
    const { call, commands } = startApi();
    const claimed = await call('POST', `/handoffs/${HANDOFF_ID}/claim`, { payload: { by: ' Ada ' } });
    expect(claimed.json()).toMatchObject({ state: 'claimed', claimedBy: 'Ada' });
    const released = await call('POST', `/handoffs/${HANDOFF_ID}/release`, { payload: { by: 'Ada' } });
    expect(released.json()).toMatchObject({ state: 'open' });
    expect(commands.releaseHandoff).toHaveBeenCalledWith(HANDOFF_ID, 'Ada');
  });

  it('are submitted with a pair', async () => {
    const { call, commands } = startApi();
    const answer = await call('POST', `/handoffs/${HANDOFF_ID}/submit`, {
      payload: { by: 'Ada', publicKey: 'p', privateKey: 's' },
    });
    expect(answer.statusCode).toBe(202);
    expect(answer.json()).toMatchObject({ handoff: { state: 'submitted', submittedBy: 'Ada' }, trigger: 7 });
    const [, { pair, attest }] = commands.submitHandoff.mock.calls[0]!;
    expect([pair?.publicHalf, pair?.privateHalf.reveal(), attest]).toEqual(['p', 's', false]);
  });

  it('are submitted without a pair, attested by a person', async () => {
    const { call, commands } = startApi();
    await call('POST', `/handoffs/${HANDOFF_ID}/submit`, { payload: { by: 'Ada', attest: true } });
    expect(commands.submitHandoff).toHaveBeenCalledWith(HANDOFF_ID, { by: 'Ada', pair: null, attest: true });
  });

  it.each([
    ['publicKey', 'privateKey'],
    ['privateKey', 'publicKey'],
  ])('are not submitted with a %s alone', async (given, missing) => {
    const { call, commands } = startApi();
    const answer = await call('POST', `/handoffs/${HANDOFF_ID}/submit`, {
      payload: { by: 'Ada', [given]: 'x' },
    });
    expect(answer.json()).toMatchObject({ status: 400, errors: [{ path: missing }] });
    expect(commands.submitHandoff).not.toHaveBeenCalled();
  });
});

describe('the service', () => {
  it('is alive to anybody', async () => {
    const { app } = startApi();
    const answer = await app.inject('/healthz');
    expect([answer.statusCode, answer.json()]).toEqual([200, { status: 'alive' }]);
  });

  it('is ready when each part is, and otherwise names the part that is not', async () => {
    const { app, parts } = startApi();
    expect((await app.inject('/readyz')).json()).toEqual({ status: 'ready', parts });
    parts[1] = { part: 'migrations', ok: false, detail: 'two are missing' };
    const answer = await app.inject('/readyz');
    expect(answer.statusCode).toBe(503);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.json()).toMatchObject({ status: 503, detail: 'Not ready: migrations.', parts });
  });

  it('gives its metrics as Prometheus reads them', async () => {
    const { call } = startApi();
    const answer = await call('GET', '/metrics');
    expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    expect(answer.payload).toContain('parasol_test_total 2');
  });

  it('shows its documentation', async () => {
    const { call } = startApi();
    const page = await call('GET', '/docs');
    expect([page.statusCode, page.headers['content-type']]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.payload).toContain('swagger-ui');
  });
});

describe('an answer', () => {
  it('shows nothing that its schema does not name', async () => {
    const { call, commands } = startApi();
    commands.status.mockResolvedValue({
      ok: true,
      value: { ...status, privateKey: 'leak' } as typeof status,
    });
    const answer = await call('GET', '/tenants/acme/status');
    expect(answer.statusCode).toBe(200);
    expect(answer.payload).not.toContain('leak');
  });

  it('fails rather than show a spec with a secret in it', async () => {
    const { call, commands, logged } = startApi();
    const leaking = view();
    Object.assign(leaking.spec.connectwise, { managementKey: { publicKey: 'leak', privateKey: 'leak' } });
    commands.tenant.mockResolvedValue({ ok: true, value: leaking });
    const answer = await call('GET', '/tenants/acme');
    expect(answer.statusCode).toBe(500);
    expect(answer.payload).not.toContain('leak');
    expect(logged()).toContain('spec.connectwise');
    expect(logged()).not.toContain('leak');
  });

  it('is never kept by a cache, and carries the headers that browsers heed', async () => {
    const { call } = startApi();
    const { headers } = await call('GET', '/tenants');
    expect(headers).toMatchObject({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    expect(headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
  });
});

describe('the schema of tenants.yaml', () => {
  it('is served to editors, which have no token', async () => {
    const { app } = startApi();
    const answer = await app.inject({ method: 'GET', url: '/schemas/tenants.json' });
    expect([answer.statusCode, answer.headers['content-type']]).toEqual([
      200,
      expect.stringMatching(/^application\/schema\+json/),
    ]);
    expect(answer.json()).toEqual(JSON.parse(JSON.stringify(tenantsSchema())));
  });
});

describe('specs', () => {
  it('are listed by their labels, one or several', async () => {
    const { call, commands } = startApi();
    const answer = await call('GET', '/fleet/specs?label=team%3Dnorth&label=tier&after=a&limit=2');
    expect(answer.json()).toEqual({ items: [view()], next: null });
    expect(commands.specs).toHaveBeenCalledWith({
      labels: [
        { key: 'team', value: 'north' },
        { key: 'tier', value: null },
      ],
      after: 'a',
      limit: 2,
    });
    await call('GET', '/fleet/specs?label=tier');
    expect(commands.specs).toHaveBeenLastCalledWith({
      labels: [{ key: 'tier', value: null }],
      after: null,
      limit: 50,
    });
    expect((await call('GET', '/fleet/specs?label=Team')).statusCode).toBe(400);
  });
});
