import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type {
  Applied,
  Examination,
  PlanView,
  StatusView,
  TenantSummary,
} from '../../src/reconciler/commands.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import { demoCompanies, robotIdentity, scenarioSecrets, seedDemo } from '../../src/simulator/index.ts';
import {
  database,
  expectNothingLeft,
  folder,
  isSettled,
  KEK,
  reconciled,
  ROOT,
  run,
  simulator,
  startService,
  statusWhen,
  verdict,
  type Ran,
  type Service,
} from './harness.ts';

expectNothingLeft();
// On a busy machine each process takes seconds to start.
vi.setConfig({ testTimeout: 90_000 });

/** What `observe` must tell of a tenant of `examples/tenants.yaml`, and what `repair` then makes of it. */
interface Truth {
  ready: string;
  /** Conditions that are not True; `Braked` and `Paused` are False everywhere. */
  not: string[];
  /** `path: observed, not desired` */
  drift: string[];
  /** What `repair` would do now, and what waits. */
  plan: string[];
  repaired: {
    ready: string;
    writes: string[];
    handoffs: string[];
  };
}

const NO_KEY_YET = [
  'TableSetupReady Unknown NoIntegrationKey',
  'IntegrationKeyValid Unknown NotGiven',
  'UmbrellaIntegrated Unknown NeverSeen',
];

const TRUTHS: Record<string, Truth> = {
  acme: {
    ready: 'True',
    not: [],
    drift: [],
    plan: [],
    repaired: { ready: 'True', writes: [], handoffs: [] },
  },
  birch: {
    ready: 'False',
    not: ['RoleReady False RoleMissing', 'MembersReady False MemberMissing', ...NO_KEY_YET],
    drift: ['role: none, not Umbrella', 'members.umbrella-a: none, not umbrella-a'],
    plan: ['now create-role', 'later create-member', 'later issue-integration-key'],
    repaired: {
      ready: 'False',
      writes: ['POST /system/securityroles'],
      handoffs: ['grant-role-levels Umbrella'],
    },
  },
  cedar: {
    ready: 'False',
    not: ['RoleReady False LevelsMissing', 'IntegrationKeyValid False TooWeak'],
    drift: ['role.levels.Companies/Configurations.edit: None, not All'],
    plan: ['now grant-role-levels'],
    repaired: { ready: 'False', writes: [], handoffs: ['grant-role-levels Umbrella'] },
  },
  dune: {
    ready: 'False',
    not: ['RoleReady False LevelsExcess', 'IntegrationKeyValid False TooStrong'],
    drift: [
      'role.levels.Companies/Configurations.delete: All, not None',
      'role.levels.Finance/Invoices.inquire: All, not None',
    ],
    plan: ['now grant-role-levels'],
    repaired: { ready: 'False', writes: [], handoffs: ['grant-role-levels Umbrella'] },
  },
  ember: {
    ready: 'False',
    not: ['TableSetupReady False ItemsMissing'],
    drift: ['role.tableSetup.Service / Priority: not allowed, not allowed'],
    plan: ['now allow-table-setup'],
    repaired: { ready: 'False', writes: [], handoffs: ['allow-table-setup Umbrella'] },
  },
  fjord: {
    ready: 'False',
    not: ['MembersReady False MemberMissing', ...NO_KEY_YET],
    drift: ['members.umbrella-a: none, not umbrella-a'],
    plan: ['now create-member', 'later issue-integration-key'],
    repaired: {
      ready: 'Unknown',
      writes: ['POST /system/apiMembers'],
      handoffs: ['issue-integration-key umbrella-a'],
    },
  },
  grove: {
    ready: 'False',
    not: [
      'TableSetupReady Unknown NotReadable',
      'MembersReady False MemberInactive',
      'IntegrationKeyValid False Refused',
    ],
    drift: ['members.umbrella-a.active: inactive, not active', 'integrationKey: refused, not working'],
    plan: ['now change-member'],
    repaired: { ready: 'True', writes: ['PATCH /system/apiMembers/{id}'], handoffs: [] },
  },
  harbor: {
    ready: 'False',
    // The key shows what its member's role allows, which is not the role of the spec.
    not: [
      'TableSetupReady Unknown NotReadable',
      'MembersReady False MemberDiffers',
      'IntegrationKeyValid False TooWeak',
    ],
    drift: ['members.umbrella-a.role: Helpdesk, not Umbrella'],
    plan: ['now change-member'],
    repaired: { ready: 'True', writes: ['PATCH /system/apiMembers/{id}'], handoffs: [] },
  },
  iris: {
    ready: 'False',
    not: ['TableSetupReady Unknown NotReadable', 'IntegrationKeyValid False Refused'],
    drift: ['integrationKey: refused, not working'],
    plan: ['now issue-integration-key'],
    repaired: { ready: 'False', writes: [], handoffs: ['issue-integration-key umbrella-a'] },
  },
  juniper: {
    ready: 'False',
    not: ['TableSetupReady Unknown NotReadable', 'IntegrationKeyValid False WrongMember'],
    drift: ['integrationKey.member: helpdesk-bot, not umbrella-a'],
    plan: ['now issue-integration-key'],
    repaired: { ready: 'False', writes: [], handoffs: ['issue-integration-key umbrella-a'] },
  },
  kestrel: {
    ready: 'False',
    not: ['UmbrellaKeyValid False Expiring'],
    drift: [],
    plan: [],
    repaired: { ready: 'False', writes: [], handoffs: [] },
  },
  lagoon: {
    ready: 'False',
    not: ['UmbrellaIntegrated False Silent'],
    drift: [],
    plan: ['now install-integration-key'],
    repaired: {
      ready: 'False',
      writes: [],
      handoffs: [expect.stringMatching(/^install-integration-key [0-9a-f]{16}$/)],
    },
  },
  meadow: {
    ready: 'True',
    not: [],
    drift: [],
    plan: [],
    repaired: { ready: 'True', writes: [], handoffs: [] },
  },
};
const TENANTS = Object.keys(TRUTHS);

const resources = new AsyncDisposableStack();
let service: Service;
let vendors: Awaited<ReturnType<typeof simulator>>;
let env: Record<string, string>;
let files: Record<'observe' | 'repair', string>;

beforeAll(async () => {
  const store = resources.use(await database());
  vendors = resources.use(await simulator());
  const { path } = resources.use(await folder());
  seedDemo(vendors.world);
  service = resources.use(await startService({ databaseUrl: store.url, data: path }));
  env = { ...service.cli, ...demoSecrets(), DATABASE_URL: store.url, PARASOL_KEK: KEK, PARASOL_DATA: path };
  const example = await readFile(join(ROOT, 'examples/tenants.yaml'), 'utf8');
  const copy = async (mode: string) => {
    const file = join(path, `${mode}.yaml`);
    const text = example
      .replaceAll('http://127.0.0.1:9080', vendors.connectwiseUrl)
      .replaceAll('http://127.0.0.1:9081', vendors.umbrellaUrl)
      .replaceAll('mode: repair', `mode: ${mode}`)
      // Only what a test asks for happens.
      .replaceAll('every: 5s', 'every: 1h');
    await writeFile(file, text);
    return file;
  };
  files = { observe: await copy('observe'), repair: await copy('repair') };
});
afterAll(async () => {
  await service.stop();
  await resources.disposeAsync();
});

/** The variables that the examples refer to. */
function demoSecrets(): Record<string, string> {
  const robot = robotIdentity();
  const ofTenants = Object.fromEntries(
    demoCompanies.flatMap(({ companyId }) => {
      const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(companyId);
      const of = (name: string, value: string) => [`DEMO_${companyId.toUpperCase()}_${name}`, value];
      return [
        of('CW_PUB', managementKey.publicKey),
        of('CW_PRIV', managementKey.privateKey),
        of('PUB', integrationKey.publicKey),
        of('PRIV', integrationKey.privateKey),
        of('UMB_KEY', umbrellaApiKey.key),
        of('UMB_SECRET', umbrellaApiKey.secret),
        of('UMB_KA', umbrellaKeyAdmin.key),
        of('UMB_KA_SECRET', umbrellaKeyAdmin.secret),
      ];
    }),
  );
  return { ...ofTenants, DEMO_ROBOT_SECRET: robot.secret, DEMO_ROBOT_KEY: robot.publicKey };
}

const parasol = (...args: string[]): Promise<Ran> => run(args, { env });

// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the test says what it expects
const json = <T>({ stdout }: Ran): T => JSON.parse(stdout) as T;

/** What a command answered that did what it was told; fails with its words where it did not. */
function done(ran: Ran): Ran {
  if (ran.code !== 0) throw new Error(`ended with ${ran.code}: ${ran.stderr}`);
  return ran;
}

const writes = () =>
  vendors.world.journal.query({ writes: true }).map(({ company, method, operation, status }) => ({
    company,
    call: `${method} ${operation}`,
    status,
  }));

const notTrue = (status: StatusView): string[] =>
  status.conditions
    .filter(({ type, status }) => status !== 'True' && type !== 'Braked' && type !== 'Paused')
    .map(({ type }) => `${type} ${verdict(status, type)}`);

const planWords = ({ plan }: PlanView): string[] =>
  plan.steps.map(
    ({ action, state }) => `${state} ${action.kind === 'open-handoff' ? action.handoff : action.kind}`,
  );

const observed = (tenant: string): Promise<StatusView> => statusWhen(service, tenant, 'observed', isSettled);

describe('the thirteen tenants of the examples, observed', () => {
  let dry: Ran;
  let applied: Ran;
  let whileDry: TenantSummary[];
  beforeAll(async () => {
    dry = done(await parasol('apply', '-f', files.observe, '--dry-run'));
    whileDry = await service.client.tenants();
    applied = done(await parasol('--json', 'apply', '-f', files.observe));
    await Promise.all(TENANTS.map(observed));
  });

  test('are applied whole, after a rehearsal that changed nothing', () => {
    for (const id of TENANTS)
      expect(dry.stdout).toMatch(new RegExp(`^\\+ ${id}: created, generation 1$`, 'm'));
    expect(whileDry).toEqual([]);
    const { changes, ...rest } = json<Applied>(applied);
    expect(
      changes.map(({ id, change, generation, warnings }) => ({ id, change, generation, warnings })),
    ).toEqual(TENANTS.map((id) => ({ id, change: 'created', generation: 1, warnings: [] })));
    expect(rest).toEqual({ dryRun: false, refused: [], removals: [], unread: [] });
  });

  test.each(demoCompanies.map(({ companyId, trouble }) => ({ companyId, trouble })))(
    '$companyId ($trouble) is told as it is',
    async ({ companyId }) => {
      const truth = TRUTHS[companyId];
      const status = await observed(companyId);
      expect({
        ready: status.ready,
        not: notTrue(status).sort(),
        drift: status.drift.map(({ path, observed, desired }) => `${path}: ${observed}, not ${desired}`),
        plan: planWords(await service.client.plan(companyId)),
        handoffs: status.handoffs,
        lastRun: status.lastRun?.outcome,
      }).toEqual({
        ready: truth?.ready,
        not: truth?.not.toSorted(),
        drift: truth?.drift,
        plan: truth?.plan,
        handoffs: [],
        lastRun: 'succeeded',
      });
    },
  );

  test.each(TENANTS)('%s: each condition speaks in sentences, and evidence has an age', async (tenant) => {
    const { conditions } = await service.client.status(tenant);
    const messages = conditions.map(({ message }) => message);
    expect(messages.filter((message) => !/^\S.*\.$/s.test(message))).toEqual([]);
    const { message } = conditions.find(({ type }) => type === 'UmbrellaIntegrated')!;
    expect(message).toMatch(/last wrote .* ago|No write .* was ever seen/);
  });

  test('which customers sync is told one by one', async () => {
    const customers = await service.client.customers('acme');
    expect(customers).toHaveLength(41);
    // One of Acme's customers is not mapped in Umbrella.
    expect(customers.filter(({ lastWriteAt }) => lastWriteAt === null)).toHaveLength(1);
    expect(customers.filter(({ lastWriteBy }) => lastWriteBy === 'umbrella-a')).toHaveLength(40);
  });

  test('the command line shows the same, as text and as JSON, and ends with the code that says so', async () => {
    const [get, getJson] = await Promise.all([parasol('get'), parasol('--json', 'get')]);
    const [ready, drifting] = await Promise.all([
      parasol('status', 'acme'),
      parasol('status', 'cedar', '--json'),
    ]);
    const [plan, planJson] = await Promise.all([
      parasol('plan', 'birch'),
      parasol('plan', 'birch', '--json'),
    ]);
    const [nothing, again] = await Promise.all([
      parasol('handoffs'),
      parasol('reconcile', 'ember', '--wait', '--json'),
    ]);

    expect(get.code).toBe(2);
    expect(json<TenantSummary[]>(getJson).map(({ id, ready }) => `${id} ${ready}`)).toEqual(
      TENANTS.map((id) => `${id} ${TRUTHS[id]?.ready}`),
    );
    for (const id of TENANTS) expect(get.stdout).toContain(id);
    expect(ready.code).toBe(0);
    expect(ready.stdout).toMatch(/ready/i);
    expect(drifting.code).toBe(2);
    expect(json<StatusView>(drifting).drift).toMatchObject([
      { path: 'role.levels.Companies/Configurations.edit', action: 'handoff:grant-role-levels' },
    ]);
    expect(plan.code).toBe(2);
    expect(plan.stdout).toContain('Creates the security role Umbrella');
    expect(planWords(json<PlanView>(planJson))).toEqual(TRUTHS['birch']?.plan);
    expect(nothing).toMatchObject({ code: 0, stderr: '' });
    expect(again.code).toBe(2);
    expect(json<StatusView>(again)).toMatchObject({ tenant: 'ember', ready: 'False' });
    for (const { stderr } of [get, getJson, ready, drifting, plan, planJson]) expect(stderr).toBe('');
  });

  test('doctor examines with the real keys, as the service has them and as a file names them', async () => {
    const [held, filed] = await Promise.all([
      parasol('doctor', 'acme'),
      parasol('--json', 'doctor', 'cedar', '-f', files.observe),
    ]);
    // The simulated Umbrella keys may more than they need, which is a warning.
    expect(held.code).toBe(2);
    expect(held.stdout).toMatch(/RoleReady +ok/);
    expect(held.stdout).toContain('Levels of this key (GET /system/mySecurity)');
    expect(filed.code).toBe(2);
    const { checks, samples } = json<Examination>(filed);
    expect(checks.filter(({ verdict }) => verdict === 'failed').map(({ name }) => name)).toEqual([
      'RoleReady',
      'IntegrationKeyValid',
    ]);
    expect(samples.length).toBeGreaterThan(0);
    for (const secret of Object.values(demoSecrets()))
      expect(held.stdout + filed.stdout).not.toContain(secret);
  });

  test('nothing was written, by no key', () => {
    expect(writes()).toEqual([]);
    expect(
      Object.keys(vendors.world.journal.counts().byOperation).filter((call) => !call.startsWith('GET ')),
    ).toEqual(['POST /auth/v2/token']);
  });
});

describe('the same tenants, in repair', () => {
  beforeAll(async () => {
    done(await parasol('apply', '-f', files.repair));
    await Promise.all(TENANTS.map(observed));
  });

  const outcome = async (companyId: string) => {
    const status = await observed(companyId);
    return {
      ready: status.ready,
      writes: writes()
        .filter(({ company, status }) => company === companyId && (status ?? 0) < 300)
        .map(({ call }) => call),
      handoffs: status.handoffs.map(({ kind, subject }) => `${kind} ${subject}`),
    };
  };

  test.each(TENANTS)(
    '%s: what Parasol owns is repaired, the rest is handed to a person',
    async (companyId) => {
      expect(await outcome(companyId)).toEqual(TRUTHS[companyId]?.repaired);
    },
  );

  test('another look changes nothing more: no second write, no second hand-off', async () => {
    await Promise.all(TENANTS.map((tenant) => reconciled(service, tenant)));
    const after = Object.fromEntries(await Promise.all(TENANTS.map(async (id) => [id, await outcome(id)])));
    expect(after).toEqual(Object.fromEntries(TENANTS.map((id) => [id, TRUTHS[id]?.repaired])));
  });

  test('a person finds the work, is told click by click, and hands in a key on standard input', async () => {
    const [list, open] = await Promise.all([parasol('handoffs'), parasol('--json', 'handoffs', 'iris')]);
    expect(list.code).toBe(3);
    expect(list.stdout).toContain('iris');
    expect(open.code).toBe(3);
    const [handoff] = json<Handoff[]>(open);
    const id = handoff?.id ?? '';
    const made = vendors.world.makeKey('iris', 'umbrella-a', 'Umbrella, by Parasol');

    const [shown, half, waiting] = await Promise.all([
      parasol('handoffs', 'show', id),
      run(['submit', id, '--as', 'ann'], { env, input: `${made.publicKey}\n` }),
      parasol('status', 'iris'),
    ]);
    expect(shown.stdout).toContain('umbrella-a > API Keys');
    expect(half.code).toBe(4);
    expect(half.stderr).toContain('two lines');
    expect(waiting.code).toBe(3);
    expect(waiting.stdout).toContain('issue-integration-key');

    const input = `${made.publicKey}\n${made.privateKey}\n`;
    const given = done(await run(['submit', id.slice(-8), '--as', 'ann', '--json'], { env, input }));
    expect(given.stdout + given.stderr).not.toContain(made.privateKey);
    const proved = await parasol('reconcile', 'iris', '--wait', '--json');
    const status = json<StatusView>(proved);
    expect(verdict(status, 'IntegrationKeyValid')).toBe('True Valid');
    // It was proved, and is now to be put into Umbrella.
    expect(status.handoffs.map(({ kind }) => kind)).toEqual(['install-integration-key']);

    vendors.world.installKey('iris', made);
    const adopted = await statusWhen(service, 'iris', 'Umbrella was seen to use the key', ({ handoffs }) => {
      // A write in the second of the promotion does not tell of it.
      vendors.world.runSync('iris');
      void service.client.reconcile('iris', 'test');
      return handoffs.length === 0;
    });
    expect(adopted.ready).toBe('True');
    expect((await parasol('status', 'iris')).code).toBe(0);
  });

  test('what cannot be done is refused with the code that says why, and changes nothing', async () => {
    const broken = join(env['PARASOL_DATA'] ?? '', 'broken.yaml');
    const text = (await readFile(files.repair, 'utf8')).replace('mode: repair', 'mode: improve');
    await writeFile(broken, text);
    const [file, unknown] = await Promise.all([parasol('apply', '-f', broken), parasol('status', 'zebra')]);
    const [stranger, away] = await Promise.all([
      run(['get'], { env: { ...env, PARASOL_TOKEN: 'nobody-s-token-nobody-s-token' } }),
      run(['get'], { env: { ...env, PARASOL_URL: 'http://127.0.0.1:9' } }),
    ]);
    expect(file.code).toBe(4);
    expect(file.stderr).toMatch(/line \d+, column \d+: tenants\[0\]\.mode/);
    expect((await service.client.status('acme')).generation).toBe(2);
    expect(unknown).toMatchObject({ code: 4, stdout: '' });
    expect(stranger.code).toBe(1);
    expect(away.code).toBe(1);
  });
});
