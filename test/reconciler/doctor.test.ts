import { describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/domain/credential.ts';
import { failed, ok } from '../../src/domain/outcome.ts';
import type { KeyPair } from '../../src/domain/secret.ts';
import { originFor, type Purpose, type TenantSpec } from '../../src/domain/tenant.ts';
import type { Examination } from '../../src/reconciler/commands.ts';
import { examine, type ExamineRequest } from '../../src/reconciler/doctor.ts';
import { MANAGEMENT_RIGHTS, UMBRELLA_SCOPES, type HeldKey, type Keys } from '../../src/reconciler/observe.ts';
import type { Sample, Vendors } from '../../src/reconciler/ports.ts';
import type { ScenarioOptions, Trouble } from '../../src/simulator/index.ts';
import { bench } from '../providers/harness.ts';

const PURPOSES = {
  management: 'management',
  integration: 'integration',
  umbrellaApi: 'umbrella-api',
  umbrellaKeyAdmin: 'umbrella-key-admin',
} as const satisfies Record<string, Purpose>;
type Slot = keyof typeof PURPOSES;

function held(spec: TenantSpec, pairs: Partial<Record<Slot, KeyPair>>) {
  const keys: Keys = {
    management: null,
    integration: null,
    umbrellaApi: null,
    umbrellaKeyAdmin: null,
    candidates: [],
    successors: [],
  };
  const credentials: HeldCredential[] = [];
  for (const slot of Object.keys(PURPOSES) as Slot[]) {
    const pair = pairs[slot];
    if (pair === undefined) continue;
    const purpose = PURPOSES[slot];
    const key: HeldKey = { credentialId: slot, fingerprint: `fp-${slot}`, pair };
    keys[slot] = key;
    credentials.push({
      id: slot,
      purpose,
      state: 'active',
      fingerprint: key.fingerprint,
      member: slot === 'integration' ? 'umbrella-a' : null,
      origin: originFor(spec, purpose),
      createdAt: '2026-11-01T00:00:00Z',
      lastProvedAt: null,
      handoffId: null,
    });
  }
  return { keys, credentials };
}

/** A tenant in some trouble, all of whose keys are at hand, with Umbrella keys of exactly the scopes needed. */
async function tenant(trouble: Trouble = 'healthy', options: ScenarioOptions = {}) {
  const at = await bench(trouble, { ...options, mode: 'repair' });
  at.world.setUmbrellaKeyScopes('acme', 'Parasol', UMBRELLA_SCOPES['umbrella-api']);
  at.world.setUmbrellaKeyScopes('acme', 'Parasol KeyAdmin', UMBRELLA_SCOPES['umbrella-key-admin']);
  const pairs = {
    management: at.keys.management,
    integration: at.keys.integration,
    umbrellaApi: at.keys.umbrella,
    umbrellaKeyAdmin: at.keys.keyAdmin,
  };
  return {
    ...at,
    pairs,
    look: (fields: Partial<ExamineRequest> = {}) =>
      examine(
        { vendors: at.vendors, clock: at.clock },
        { spec: at.spec, ...held(at.spec, pairs), ...fields },
      ),
  };
}

const verdicts = ({ checks }: Examination) =>
  Object.fromEntries(checks.map(({ name, verdict }) => [name, verdict]));
const check = (examination: Examination, name: string) =>
  examination.checks.find((one) => one.name === name) ?? `no check ${name}`;

const ALL_WELL = {
  ConnectWiseReachable: 'ok',
  ManagementKeyValid: 'ok',
  RoleReady: 'ok',
  TableSetupReady: 'ok',
  MembersReady: 'ok',
  IntegrationKeyValid: 'ok',
  UmbrellaKeyValid: 'ok',
  UmbrellaIntegrated: 'ok',
  SiteAndClientId: 'ok',
  ManagementKeyLevels: 'ok',
  UmbrellaKeyScopes: 'ok',
  KeyAdminKeyScopes: 'ok',
  KeyAdminKeyExpiry: 'ok',
};

describe('an examination', () => {
  test('of a healthy tenant finds everything well, and shows what the vendors answer', async () => {
    const { look } = await tenant();
    const examination = await look();
    expect(verdicts(examination)).toEqual(ALL_WELL);
    const titles = examination.samples.map(({ title }) => title);
    expect(titles).toContain('management key: Levels of this key (GET /system/mySecurity)');
    expect(titles).toContain(
      'integration key: Dialog items of this key (GET /system/mySecurity/customizeItems/)',
    );
    const rows = examination.samples.find(({ title }) => title === 'KeyAdmin key: API keys');
    expect(rows?.text).toContain('"admin.apikeys:delete"');
  });

  test.each<[Trouble, string, string]>([
    ['role-missing', 'RoleReady', 'failed'],
    ['level-missing', 'RoleReady', 'failed'],
    ['level-excess', 'RoleReady', 'failed'],
    ['allow-list-short', 'TableSetupReady', 'failed'],
    ['member-missing', 'MembersReady', 'failed'],
    ['member-inactive', 'MembersReady', 'failed'],
    ['member-wrong-role', 'MembersReady', 'failed'],
    ['key-dead', 'IntegrationKeyValid', 'failed'],
    ['key-of-another-member', 'IntegrationKeyValid', 'failed'],
    ['umbrella-key-expiring', 'UmbrellaKeyValid', 'failed'],
    ['umbrella-silent', 'UmbrellaIntegrated', 'failed'],
  ])(
    'of a tenant in trouble (%s) says so, and writes nothing, in mode repair too',
    async (trouble, name, verdict) => {
      const { look, world, vendors, sent } = await tenant(trouble);
      expect(check(await look(), name)).toMatchObject({ verdict });
      expect(world.journal.query({ writes: true })).toEqual([]);
      expect(sent().length).toBeGreaterThan(5);
      expect(
        sent().every(({ method, operation }) => method === 'GET' || operation === '/auth/v2/token'),
      ).toBe(true);
      expect(
        vendors.callsOf({ tenantId: '', deadline: new Date(), signal: AbortSignal.abort() }).writes,
      ).toBe(0);
    },
  );

  test('without any key asks for the site alone, and says which keys it lacks', async () => {
    const { look, spec, sent } = await tenant();
    const examination = await look(held(spec, {}));
    expect(check(examination, 'ManagementKeyValid')).toMatchObject({ verdict: 'failed' });
    expect(examination.samples).toEqual([]);
    expect(sent().map(({ operation }) => operation)).toEqual(['/login/companyinfo/{companyId}']);
  });

  test('of a site that does not answer ends soon, without samples', async () => {
    const { look, world, sent } = await tenant();
    world.addFault({ when: { vendor: 'connectwise' }, effect: { kind: 'status', status: 503 } });
    const examination = await look();
    expect(check(examination, 'ConnectWiseReachable')).toMatchObject({ verdict: 'failed' });
    expect(examination.samples.map(({ title }) => title)).toEqual(['KeyAdmin key: API keys']);
    expect(sent().filter(({ vendor }) => vendor === 'connectwise').length).toBeLessThan(20);
  });

  test('shows the answer that cannot be understood', async () => {
    const { look, world } = await tenant();
    world.addFault({
      when: { operation: '/system/mySecurity' },
      effect: { kind: 'status', status: 200, body: { levels: 'in a new shape' } },
    });
    const { samples } = await look();
    expect(samples[0]?.text).toContain('in a new shape');
  });

  test('holds no secret, though the vendors echo all that they are sent', async () => {
    const { look, world, pairs } = await tenant();
    const formsOf = (prefix: string, { publicHalf, privateHalf }: KeyPair) => {
      const whole = `${prefix}${publicHalf}:${privateHalf.reveal()}`;
      return [publicHalf, privateHalf.reveal(), Buffer.from(whole).toString('base64')];
    };
    const callers: [string, string[]][] = [
      ['parasol', formsOf('acme+', pairs.management)],
      ['umbrella-a', formsOf('acme+', pairs.integration)],
      [pairs.umbrellaApi.publicHalf, formsOf('', pairs.umbrellaApi)],
      [pairs.umbrellaKeyAdmin.publicHalf, formsOf('', pairs.umbrellaKeyAdmin)],
    ];
    for (const [actor, forms] of callers) {
      const message = forms.join('\n');
      const echo = { id: 1, name: message, code: message, message, errors: [{ field: message, message }] };
      const effect = (status: number, body: unknown) => ({ kind: 'status', status, body }) as const;
      world.addFault({ when: { actor, path: '/v2025_1', nth: 3, times: 5 }, effect: effect(200, [echo]) });
      world.addFault({ when: { actor, path: '/v2025_1' }, effect: effect(400, echo) });
      world.addFault({ when: { actor, path: '/admin' }, effect: effect(403, echo) });
    }
    const told = JSON.stringify(await look());
    expect(told).toContain('[redacted]');
    expect(callers.flatMap(([, forms]) => forms).filter((form) => told.includes(form))).toEqual([]);
  });
});

describe('the management key’s levels', () => {
  test.each<[string, Record<string, object>, { verdict: string; detail: string }]>([
    [
      'that are missing fail',
      { 'System/Members': { edit: 'None' }, 'System/Security Roles': { inquire: 'None' } },
      {
        verdict: 'failed',
        detail: 'it lacks: System/Security Roles inquire All, System/Members edit All.',
      },
    ],
    [
      'that are too many are a warning',
      { 'System/Members': { delete: 'All' }, 'Finance/Invoices': { inquire: 'My' } },
      {
        verdict: 'warning',
        detail: 'more than it needs: System/Members delete All, Finance/Invoices inquire My.',
      },
    ],
    [
      'that are both are told as both',
      { 'Companies/Configurations': { inquire: 'My', edit: 'All' } },
      {
        verdict: 'failed',
        detail:
          'it lacks: Companies/Configurations inquire All; more than it needs: Companies/Configurations edit All.',
      },
    ],
  ])('%s', async (_, changes, expected) => {
    const { look, world } = await tenant();
    world.setLevels('acme', 'Parasol Management', changes);
    expect(check(await look(), 'ManagementKeyLevels')).toEqual({ name: 'ManagementKeyLevels', ...expected });
  });

  test('are not called missing where the server has no function of that name', async () => {
    const { look, world } = await tenant();
    const rows = Object.entries(MANAGEMENT_RIGHTS)
      .filter(([name]) => name !== 'System/My Company')
      .map(([name, rights]) => ({
        moduleName: name.split('/')[0],
        moduleFunctionName: name.split('/')[1],
        ...Object.fromEntries(rights.map((right) => [`${right}Level`, 'All'])),
        member: { identifier: 'parasol' },
      }));
    world.addFault({
      when: { operation: '/system/mySecurity', actor: 'parasol' },
      effect: { kind: 'status', status: 200, body: rows },
    });
    expect(check(await look(), 'ManagementKeyLevels')).toMatchObject({
      verdict: 'unknown',
      detail: 'not shown under this name: System/My Company.',
    });
  });

  test('of a very mighty key are told in a line that can be read', async () => {
    const { look, world } = await tenant();
    world.setMemberRole('acme', 'parasol', 'Admin');
    const { verdict, detail } = check(await look(), 'ManagementKeyLevels') as Examination['checks'][number];
    expect(verdict).toBe('warning');
    expect(detail).toMatch(/ and \d+ more\.$/);
    expect(detail.length).toBeLessThan(600);
  });
});

describe('Umbrella’s keys', () => {
  test.each<[string, string, readonly string[], { verdict: string; detail: string }]>([
    [
      'an API key with more scopes than it needs is a warning',
      'Parasol',
      ['admin.customers:read', 'reports.customers:read'],
      { verdict: 'warning', detail: 'more than it needs: reports.customers:read.' },
    ],
    [
      'an API key without its scope fails',
      'Parasol',
      ['reports.customers:read'],
      {
        verdict: 'failed',
        detail: 'it lacks: admin.customers:read; more than it needs: reports.customers:read.',
      },
    ],
    [
      'a KeyAdmin key that cannot delete fails',
      'Parasol KeyAdmin',
      ['admin.apikeys:read', 'admin.apikeys:create'],
      { verdict: 'failed', detail: 'it lacks: admin.apikeys:delete.' },
    ],
  ])('%s', async (_, key, scopes, expected) => {
    const { look, world } = await tenant();
    world.setUmbrellaKeyScopes('acme', key, scopes);
    const name = key === 'Parasol' ? 'UmbrellaKeyScopes' : 'KeyAdminKeyScopes';
    expect(check(await look(), name)).toEqual({ name, ...expected });
  });

  test('a scope of another name is no failure where the customers are listed all the same', async () => {
    const { look, world } = await tenant();
    world.setUmbrellaKeyScopes('acme', 'Parasol', ['customers.read']);
    world.addFault({
      when: { path: '/admin/v2/managed/customers' },
      effect: { kind: 'status', status: 200, body: [] },
    });
    expect(check(await look(), 'UmbrellaKeyScopes')).toMatchObject({
      verdict: 'warning',
      detail: 'it lacks: admin.customers:read; more than it needs: customers.read, though it works.',
    });
  });

  test('without a KeyAdmin key nothing is known of scopes', async () => {
    const { look, spec, pairs } = await tenant();
    const { umbrellaKeyAdmin: _, ...others } = pairs;
    const examination = await look(held(spec, others));
    expect(check(examination, 'UmbrellaKeyScopes')).toMatchObject({ verdict: 'unknown' });
    expect(check(examination, 'KeyAdminKeyScopes')).toBe('no check KeyAdminKeyScopes');
  });

  test('a KeyAdmin key that may not list says so', async () => {
    const { look, world } = await tenant();
    world.setUmbrellaKeyScopes('acme', 'Parasol KeyAdmin', ['admin.customers:read']);
    const examination = await look();
    expect(check(examination, 'KeyAdminKeyScopes')).toMatchObject({
      verdict: 'unknown',
      detail: expect.stringContaining('lacks the right'),
    });
    expect(check(examination, 'KeyAdminKeyExpiry')).toMatchObject({ verdict: 'unknown' });
  });

  test('the KeyAdmin key’s own expiry is watched', async () => {
    const { look, world } = await tenant();
    world.setUmbrellaKeyExpiry('acme', 'Parasol KeyAdmin', '2026-12-01T08:00:00Z');
    expect(check(await look(), 'KeyAdminKeyExpiry')).toMatchObject({
      verdict: 'warning',
      detail: expect.stringContaining('expires in 7d'),
    });
    world.setUmbrellaKeyExpiry('acme', 'Parasol KeyAdmin', '2027-12-01T08:00:00Z');
    expect(check(await look(), 'KeyAdminKeyExpiry')).toMatchObject({ verdict: 'ok' });
  });
});

test('a key that was given for another address is told, and asked for again', async () => {
  const { look, spec, pairs } = await tenant();
  const { keys, credentials } = held(spec, pairs);
  const moved = credentials.map((one) =>
    one.purpose === 'integration' ? { ...one, origin: 'https://old.example.com' } : one,
  );
  const examination = await look({ keys: { ...keys, integration: null }, credentials: moved });
  expect(check(examination, 'CredentialOrigin')).toMatchObject({
    verdict: 'failed',
    detail: expect.stringContaining('https://old.example.com'),
  });
});

/** Vendors of which only the site says anything: what no loopback address can be. */
function siteAnswering(codebase: string, samples: Sample[] = []): Vendors {
  const silent = () => Promise.resolve(failed({ kind: 'Unavailable', why: 'timeout', detail: 'silent' }));
  const refusing = () => Promise.resolve(failed({ kind: 'Unauthorized', detail: 'refused' }));
  return {
    connectwise: () => ({
      companyInfo: () => Promise.resolve(ok({ companyName: 'Acme', codebase })),
      reads: () => ({
        mySecurity: refusing,
        tableSetup: refusing,
        membersByIdentifier: silent,
        roles: silent,
        roleLevels: silent,
        unreadable: silent,
        configurationTypes: silent,
        configurations: silent,
      }),
      writes: () => {
        throw new Error('nothing is written');
      },
      samples: () => Promise.resolve(samples),
    }),
    umbrella: () => ({
      authenticate: silent,
      customers: silent,
      apiKeys: silent,
      writes: () => {
        throw new Error('nothing is written');
      },
    }),
    callsOf: () => ({ reads: 0, writes: 0 }),
    reserve: () => Promise.resolve({ given: true, calls: [] }),
    giveBack: () => undefined,
    kindsOf: () => ({}),
    close: () => Promise.resolve(),
  };
}

test.each<
  [string, { site: string; clientId?: string; codebase: string }, { verdict: string; detail: string }]
>([
  [
    'a cloud host with its codebase is well',
    { site: 'https://na.myconnectwise.net', codebase: 'v2025_1/' },
    { verdict: 'ok', detail: 'v2025_1/' },
  ],
  [
    'a server of one’s own with its codebase is well',
    { site: 'https://psa.example.com', codebase: 'v4_6_release/' },
    { verdict: 'ok', detail: 'v4_6_release/' },
  ],
  [
    'a cloud codebase behind another name is strange',
    { site: 'https://psa.example.com', codebase: 'v2025_1/' },
    { verdict: 'warning', detail: 'a server of your own' },
  ],
  [
    'an on-premise codebase in the cloud is strange',
    { site: 'https://eu.myconnectwise.net', codebase: 'v4_6_release/' },
    { verdict: 'warning', detail: 'a cloud host' },
  ],
  [
    'the API’s own host is not where one logs in',
    { site: 'https://api-na.myconnectwise.net', codebase: 'v2025_1/' },
    { verdict: 'failed', detail: 'https://na.myconnectwise.net' },
  ],
  [
    'a client id of zeros is nobody’s',
    {
      site: 'https://na.myconnectwise.net',
      clientId: '00000000-0000-0000-0000-000000000000',
      codebase: 'v2025_1/',
    },
    { verdict: 'failed', detail: 'developer.connectwise.com' },
  ],
])('%s', async (_, { codebase, ...connectwise }, { verdict, detail }) => {
  const { spec: base, clock } = await tenant();
  const spec: TenantSpec = { ...base, connectwise: { ...base.connectwise, ...connectwise } };
  const found = await examine({ vendors: siteAnswering(codebase), clock }, { spec, ...held(spec, {}) });
  expect(check(found, 'SiteAndClientId')).toMatchObject({ verdict, detail: expect.stringContaining(detail) });
});

test('a refused management key makes the client id suspect, and no samples are taken with it', async () => {
  const { spec, clock, pairs } = await tenant();
  const vendors = siteAnswering('v2025_1/', [{ title: 'not to be seen', text: '' }]);
  const { management } = pairs;
  const found = await examine({ vendors, clock }, { spec, ...held(spec, { management }) });
  expect(check(found, 'ManagementKeyValid')).toMatchObject({ verdict: 'failed' });
  expect(check(found, 'SiteAndClientId')).toMatchObject({
    verdict: 'unknown',
    detail: expect.stringContaining('clientId'),
  });
  expect(found.samples).toEqual([]);
});
