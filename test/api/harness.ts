import { Writable } from 'node:stream';
import type { InjectOptions, LightMyRequestResponse } from 'fastify';
import { pino } from 'pino';
import { Counter, Registry } from 'prom-client';
import { onTestFinished, vi, type Mock } from 'vitest';
import {
  buildApi,
  hashToken,
  oneToken,
  type ApiDeps,
  type Identity,
  type ReadyPart,
} from '../../src/api/index.ts';
import type { BulkAnswer } from '../../src/reconciler/bulk.ts';
import type { FleetCount } from '../../src/domain/fleet.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import { Secret } from '../../src/domain/secret.ts';
import { tenantInputSchema, tenantSpecSchema, type TenantInput } from '../../src/domain/tenant.ts';
import type {
  AdoptionView,
  Answer,
  BrakeView,
  Commands,
  CredentialView,
  CustomerView,
  EventView,
  KeyAudit,
  PlanView,
  RotationRecordView,
  RunDetail,
  AcceptanceView,
  RunView,
  StatusView,
  TenantSummary,
  TenantView,
  TokenView,
} from '../../src/reconciler/commands.ts';
import type { Requests } from '../../src/reconciler/requests.ts';
import { UNTOUCHED } from '../support/handoff.ts';

export const TOKEN = 'a-token-for-the-tests-of-the-api';
const AT = '2026-11-24T08:00:00.000Z';

/** As a person would send it, with a key of each kind. */
export const tenant = (id = 'acme') => ({
  id,
  name: 'Acme MSP',
  mode: 'repair',
  connectwise: {
    site: 'https://na.myconnectwise.net',
    companyId: 'acme',
    clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
    managementKey: { publicKey: 'mp', privateKey: 'ms' },
    integrationKey: { member: 'umbrella-a', publicKey: 'ip', privateKey: 'is' },
  },
  umbrella: {
    console: 'msp',
    apiKey: { key: 'uk', secret: 'us' },
    keyAdmin: { key: 'ak', secret: 'as' },
  },
});

const specOf = (input: TenantInput) => {
  const { managementKey: _m, integrationKey: _i, ...connectwise } = input.connectwise;
  const { apiKey: _a, keyAdmin: _k, ...umbrella } = input.umbrella;
  return tenantSpecSchema.parse({ ...input, connectwise, umbrella });
};

export const view = (input = tenantInputSchema.parse(tenant()), generation = 3): TenantView => ({
  id: input.id,
  generation,
  createdAt: AT,
  updatedAt: AT,
  deleting: false,
  spec: specOf(input),
  credentials: [
    {
      purpose: 'integration',
      slot: 'a',
      member: 'umbrella-a',
      fingerprint: '00112233aabbccdd',
      state: 'active',
      createdAt: AT,
      lastProvedAt: null,
      rotateBy: null,
    },
  ],
});

export const credential: CredentialView = {
  purpose: 'integration',
  slot: 'b',
  member: 'umbrella-b',
  fingerprint: 'ffeeddcc00112233',
  state: 'dead',
  since: AT,
  because: 'ConnectWise refused it',
  createdAt: AT,
  lastProvedAt: AT,
  destroyedAt: AT,
};

export const HANDOFF_ID = '01996f7e-0000-7000-8000-000000000001';
/** Who may read keys, and is no administrator. */
export const REVEALER: Identity = {
  name: 'reveal',
  tokenId: null,
  role: 'revealer',
  scope: null,
  mayReveal: true,
};

export const ROTATION_ID = '01996f7e-0000-7000-8000-000000000002';
export const rotation: RotationRecordView = {
  id: ROTATION_ID,
  phase: 'AwaitingKey',
  since: AT,
  cause: 'request',
  by: 'Ada',
  reason: 'audit',
  member: 'umbrella-b',
  old: { fingerprint: '00112233aabbccdd', member: 'umbrella-a', deadSince: null, lastWrite: null },
  new: null,
  cutNow: false,
  deadline: null,
  next: 'A person makes a key on umbrella-b and gives it.',
  rollingBack: false,
  requestedAt: AT,
  admittedAt: AT,
  installable: null,
  adopted: null,
  history: [{ phase: 'Pending', at: AT, evidence: 'audit' }],
  notices: [],
  outcome: null,
  endedAt: null,
};

export const BRAKE_ID = '01996f7e-0000-7000-8000-000000000003';
export const brake: BrakeView = {
  id: BRAKE_ID,
  state: 'on',
  signatures: ['members.*.active different'],
  what: ['members.*.active is different'],
  setAt: AT,
  counted: 5,
  fleet: 20,
  held: ['birch', 'cedar'],
  canaries: [
    {
      tenant: 'acme',
      at: AT,
      by: 'Ada',
      reason: 'looked',
      conforms: true,
      run: { id: 'run-1', outcome: 'succeeded', summary: 'ready: True', actions: [] },
    },
  ],
  released: null,
  endedAt: null,
};

export const handoff = (change: Partial<Handoff> = {}): Handoff => ({
  id: HANDOFF_ID,
  tenantId: 'acme',
  kind: 'issue-integration-key',
  subject: 'umbrella-b',
  content: {
    title: 'Make a key on umbrella-b',
    why: 'No API makes keys.',
    steps: ['System', 'Members'],
    closedBy: 'a key that proves itself',
    input: { purpose: 'integration', member: 'umbrella-b' },
    cells: [{ function: 'Companies/Configurations', right: 'edit', observed: 'None', desired: 'All' }],
  },
  openedAt: AT,
  deadline: AT,
  ...UNTOUCHED,
  ...change,
});

export const acceptance: AcceptanceView = {
  id: 'a1',
  path: 'role.levels.Companies/Configurations.delete',
  kind: 'excess',
  desired: 'None',
  observed: 'All',
  by: 'Ada',
  reason: 'they need it',
  acceptedAt: AT,
  expiresAt: AT,
  state: 'in-force',
  endedAt: null,
  because: null,
};

export const run: RunView = {
  id: 'r1',
  trigger: 'schedule',
  startedAt: AT,
  finishedAt: AT,
  outcome: 'succeeded',
  reads: 9,
  writes: 0,
  summary: 'nothing to do',
  actions: [{ action: 'create-role', outcome: 'applied' }],
};

export const runDetail: RunDetail = {
  ...run,
  calls: { 'GET system/members': 2 },
  saw: {
    since: 'r1',
    conditions: [
      { type: 'RoleReady', status: 'False', reason: 'LevelsMissing', message: 'Levels are missing.' },
    ],
    drift: [{ path: 'role', kind: 'missing', desired: 'Umbrella', observed: 'none' }],
  },
};

export const status: StatusView = {
  tenant: 'acme',
  name: 'Acme MSP',
  mode: 'repair',
  paused: false,
  pause: null,
  deleting: null,
  generation: 3,
  observedGeneration: 3,
  ready: 'False',
  conditions: [
    {
      type: 'RoleReady',
      status: 'False',
      reason: 'LevelsMissing',
      message: 'Levels are missing.',
      observedGeneration: 3,
      lastTransitionTime: AT,
    },
  ],
  drift: [
    {
      path: 'role.levels.Companies/Configurations.edit',
      kind: 'missing',
      desired: 'All',
      observed: 'None',
      since: AT,
      action: 'handoff:grant-role-levels',
      accepted: null,
    },
  ],
  keys: view().credentials,
  evidence: { lastUmbrellaWriteAt: AT, by: 'umbrella-a', customers: 41, configurations: 40 },
  rotation: null,
  umbrellaRotation: null,
  handoffs: [
    {
      id: HANDOFF_ID,
      kind: 'issue-integration-key',
      subject: 'umbrella-b',
      state: 'open',
      deadline: AT,
      claimedBy: null,
      overdueSince: null,
      automation: null,
    },
  ],
  lastRun: run,
  trigger: { requested: 4, handled: 3 },
  nextReconcileAt: AT,
  waiting: null,
};

export const plan: PlanView = {
  tenant: 'acme',
  mode: 'observe',
  generation: 3,
  observedAt: AT,
  plan: {
    steps: [
      {
        action: { kind: 'create-role', name: 'Umbrella' },
        state: 'now',
        because: 'It is missing.',
        removes: ['role'],
      },
      {
        action: {
          kind: 'create-member',
          identifier: 'umbrella-a',
          roleId: 7,
          roleName: 'Umbrella',
          level: 'Corporate',
          location: null,
        },
        state: 'later',
        because: 'It waits for the role.',
        removes: ['members.umbrella-a'],
      },
      {
        action: { kind: 'change-member', id: 9, identifier: 'umbrella-b', set: { active: true, roleId: 7 } },
        state: 'held',
        because: 'It is not owned.',
        removes: ['members.umbrella-b.role'],
      },
      {
        action: {
          kind: 'open-handoff',
          handoff: 'grant-role-levels',
          subject: 'Umbrella',
          content: handoff().content,
        },
        state: 'now',
        because: 'No API edits levels.',
        removes: ['role.levels'],
      },
    ],
  },
};

export const bulk: BulkAnswer = {
  dryRun: true,
  tenants: [
    { id: 'acme', name: 'Acme MSP', refused: null, trigger: null, rotation: null },
    { id: 'bolt', name: 'Bolt', refused: 'the tenant is paused', trigger: null, rotation: null },
  ],
  confirmation: { token: ROTATION_ID, expiresAt: AT },
};

export const fleet: FleetCount = {
  at: AT,
  tenants: { total: 3, ready: { True: 1, False: 1, Unknown: 1 }, unseen: 1 },
  modes: { observe: 1, alert: 0, repair: 2 },
  conditions: [{ type: 'RoleReady', status: 'False', reason: 'LevelsMissing', count: 1 }],
  oldestEvidence: { tenant: 'acme', at: AT },
  keys: [{ purpose: 'integration', youngerThanDays: null, count: 2, pastMaxAge: 1 }],
  handoffs: [{ kind: 'delete-key', overdue: 1, today: 0, week: 0, later: 0 }],
  rotations: {
    integration: [{ phase: 'AwaitingKey', count: 1 }],
    umbrella: [{ phase: 'Resting', count: 1 }],
  },
  braked: 0,
  paused: 1,
  overdue: 0,
  failing: 1,
  drift: { tenants: 1, paths: [{ path: 'role.levels.Companies/Configurations.edit', count: 1 }] },
};

export const summary: TenantSummary = {
  id: 'acme',
  name: 'Acme MSP',
  mode: 'repair',
  ready: 'Unknown',
  waitsFor: 'RoleReady',
  paused: false,
  labels: { team: 'north' },
  unreadySince: AT,
  drift: 2,
  observedAt: null,
  nextReconcileAt: AT,
};

export const event: EventView = {
  id: '12',
  tenant: 'acme',
  at: AT,
  type: 'spec-changed',
  message: 'Generation 3.',
  data: { generation: 3 },
};

const adoption: AdoptionView = {
  ...plan,
  verdict: 'differs',
  found: [
    {
      what: 'member',
      name: 'umbrella-a',
      state: 'conforms',
      detail: 'Active, role Umbrella, Corporate.',
      ours: { how: 'conforming', since: AT },
    },
    { what: 'levels', name: 'Umbrella', state: 'differs', detail: '1 cell differs.', ours: null },
  ],
  differences: [
    { path: 'role.levels.Companies/Configurations.edit', kind: 'missing', desired: 'All', observed: 'None' },
  ],
};

export const customer: CustomerView = {
  customerId: 5,
  customer: 'Globex',
  configuration: { id: 8, name: 'Globex', company: 'globex' },
  matchedBy: 'name',
  lastWriteAt: AT,
  lastWriteBy: 'umbrella-a',
};

export const audit: KeyAudit = {
  tenant: 'acme',
  name: 'Acme MSP',
  exportedAt: AT,
  rotations: [{ ...rotation, handoffs: [handoff()], events: [event] }],
  umbrellaRotation: null,
  credentials: [credential],
  handoffs: [],
  events: [],
};

export const TOKEN_ID = '01996f7e-0000-7000-8000-000000000003';
export const token: TokenView = {
  id: TOKEN_ID,
  name: 'ci',
  role: 'operator',
  scope: { tenants: ['acme'], labels: ['team=north'] },
  mayReveal: false,
  createdAt: AT,
  createdBy: 'admin',
  expiresAt: AT,
  lastUsedAt: null,
};

const yes = <T>(value: T): Answer<T> => ({ ok: true, value });

/** Commands that succeed at everything; a test replaces what it wants to go otherwise. */
const fakeCommands = () => {
  const commands = {
    apply: vi.fn<Commands['apply']>(async (tenants) =>
      yes({
        changes: tenants.map(({ id }) => ({
          id,
          change: 'created' as const,
          generation: 1,
          differences: [{ path: 'name', kind: 'setting' as const, before: null, after: id }],
          warnings: [],
        })),
        removals: [],
        refused: [],
      }),
    ),
    specs: vi.fn<Commands['specs']>(async () => ({ items: [view()], next: null })),
    createTenant: vi.fn<Commands['createTenant']>(async (input) => yes(view(input, 1))),
    replaceTenant: vi.fn<Commands['replaceTenant']>(async (input) => yes(view(input, 4))),
    deleteTenant: vi.fn<Commands['deleteTenant']>(async () => yes({ trigger: 5 })),
    adoption: vi.fn<Commands['adoption']>(async () => yes(adoption)),
    keepTenant: vi.fn<Commands['keepTenant']>(async () => yes({ trigger: 9 })),
    tenant: vi.fn<Commands['tenant']>(async () => yes(view())),
    reconcileMany: vi.fn<Commands['reconcileMany']>(async () => yes(bulk)),
    rotateMany: vi.fn<Commands['rotateMany']>(async () => yes(bulk)),
    fleet: vi.fn<Commands['fleet']>(async () => fleet),
    tenants: vi.fn<Commands['tenants']>(async () => yes({ items: [summary], next: 'acme' })),
    status: vi.fn<Commands['status']>(async () => yes(status)),
    waitForStatus: vi.fn<Commands['waitForStatus']>(async () => yes({ status, end: 'met' as const })),
    fleetEvents: vi.fn<Commands['fleetEvents']>(async () => ({ items: [event], next: '12' })),
    followEvents: vi.fn<Commands['followEvents']>(async (_, listener) => {
      listener.take([{ place: 12, event, labels: {} }]);
      listener.end();
      return () => {};
    }),
    plan: vi.fn<Commands['plan']>(async () => yes(plan)),
    customers: vi.fn<Commands['customers']>(async () => yes([customer])),
    credentials: vi.fn<Commands['credentials']>(async () => yes([credential])),
    reconcile: vi.fn<Commands['reconcile']>(async () => yes({ trigger: 6 })),
    events: vi.fn<Commands['events']>(async () => yes({ items: [event], next: '12' })),
    run: vi.fn<Commands['run']>(async () => yes(runDetail)),
    runs: vi.fn<Commands['runs']>(async () => yes({ items: [run], next: null })),
    handoffs: vi.fn<Commands['handoffs']>(async () => [handoff()]),
    handoff: vi.fn<Commands['handoff']>(async () => yes(handoff())),
    claimHandoff: vi.fn<Commands['claimHandoff']>(async (_, by) =>
      yes(handoff({ state: 'claimed', claimedBy: by, claimedAt: AT })),
    ),
    releaseHandoff: vi.fn<Commands['releaseHandoff']>(async () => yes(handoff())),
    submitHandoff: vi.fn<Commands['submitHandoff']>(async (_, { by }) =>
      yes({ handoff: handoff({ state: 'submitted', submittedBy: by, submittedAt: AT }), trigger: 7 }),
    ),
    rotate: vi.fn<Commands['rotate']>(async () => yes({ rotation: ROTATION_ID, trigger: 9 })),
    rollback: vi.fn<Commands['rollback']>(async () => yes({ rotation: ROTATION_ID, trigger: 10 })),
    brakes: vi.fn<Commands['brakes']>(async () => [brake]),
    releaseBrake: vi.fn<Commands['releaseBrake']>(async () =>
      yes({ triggered: [{ tenant: 'acme', trigger: 11 }] }),
    ),
    rotations: vi.fn<Commands['rotations']>(async () => yes([rotation])),
    audit: vi.fn<Commands['audit']>(async () => yes(audit)),
    reveal: vi.fn<Commands['reveal']>(async (_, { by }) =>
      yes({
        handoff: handoff({ state: 'claimed', claimedBy: by, revealedAt: AT, revealedTo: by }),
        fingerprint: 'ffeeddcc00112233',
        member: 'umbrella-b',
        pair: { publicHalf: 'shown-public', privateHalf: new Secret('shown-private') },
      }),
    ),
    answerAutomation: vi.fn<Commands['answerAutomation']>(async () => yes({ taken: true })),
    pause: vi.fn<Commands['pause']>(async () => yes({ trigger: 8, until: AT })),
    accept: vi.fn<Commands['accept']>(async () => yes({ trigger: 8, until: AT })),
    withdrawAcceptance: vi.fn<Commands['withdrawAcceptance']>(async () => yes({ trigger: 9 })),
    acceptances: vi.fn<Commands['acceptances']>(async () => yes([acceptance])),
    resume: vi.fn<Commands['resume']>(async () => yes({ trigger: 9 })),
    replaceCredential: vi.fn<Commands['replaceCredential']>(async () =>
      yes({ fingerprint: 'ffeeddcc00112233', trigger: 8 }),
    ),
    noteRefusal: vi.fn<Commands['noteRefusal']>(async () => undefined),
    auditLog: vi.fn<Commands['auditLog']>(async () => ({ items: [], next: null })),
    tokens: vi.fn<Commands['tokens']>(async () => [token]),
    createToken: vi.fn<Commands['createToken']>(async ({ name, role }) => yes({ ...token, name, role })),
    revokeToken: vi.fn<Commands['revokeToken']>(async () => yes(token)),
  } satisfies Omit<Commands, 'as'>;
  const as: Mock<Commands['as']> = vi.fn(() => ({ ...commands, as }));
  return { ...commands, as };
};

export interface Route {
  method: string;
  url: string;
  permission: string | undefined;
}

/** Keeps nothing; what it keeps in truth is shown in test/api/idempotency.test.ts. */
const everyRequestIsNew: Requests = {
  begin: async () => ({ state: 'begun' }),
  answered: async () => undefined,
  broken: async () => undefined,
};

/** An address of a route, with ids of what there is. */
export const addressOf = (url: string): string =>
  url
    .replace(':id', url.startsWith('/handoffs') ? HANDOFF_ID : url.startsWith('/tokens') ? TOKEN_ID : 'acme')
    .replace(':run', 'r1');

/** A good body for each route that takes one, by its method and address. */
export const BODIES: Record<string, object> = {
  'POST /tenants': tenant(),
  'PUT /tenants/:id': tenant(),
  'POST /fleet/apply': { tenants: [tenant()] },
  'POST /fleet/reconcile': { selector: { labels: ['team=north'] }, reason: 'audit', dryRun: true },
  'POST /fleet/rotations': { selector: { ids: ['acme'] }, by: 'Ada', reason: 'audit', dryRun: true },
  'POST /tenants/:id/reconcile': { reason: 'audit' },
  'PUT /tenants/:id/credentials/management': { publicKey: 'p', privateKey: 's' },
  'PUT /tenants/:id/credentials/integration': { publicKey: 'p', privateKey: 's', member: 'umbrella-b' },
  'PUT /tenants/:id/credentials/umbrella-api': { key: 'p', secret: 's' },
  'PUT /tenants/:id/credentials/umbrella-key-admin': { key: 'p', secret: 's' },
  'PUT /tenants/:id/credentials/automation': { secret: `whsec_${Buffer.alloc(24, 1).toString('base64')}` },
  'POST /automation/answers': { done: true },
  'POST /tokens': { name: 'ci', role: 'operator', tenants: ['acme'], expires: '90d' },
  'POST /brakes/:id/release': { by: 'Ada', reason: 'looked' },
  'POST /handoffs/:id/claim': { by: 'Ada' },
  'POST /handoffs/:id/release': { by: 'Ada' },
  'POST /tenants/:id/rotations': { by: 'Ada', reason: 'audit' },
  'POST /tenants/:id/rollback': { by: 'Ada', reason: 'audit' },
  'POST /tenants/:id/undelete': { by: 'Ada', reason: 'they stay' },
  'POST /tenants/:id/pause': { by: 'Ada', reason: 'the vendor mends it', until: '2h' },
  'POST /tenants/:id/accept': {
    path: 'role.levels.Companies/Configurations.delete',
    by: 'Ada',
    reason: 'they need it',
    expires: '30d',
  },
  'POST /tenants/:id/accept/withdraw': { path: 'role', by: 'Ada', reason: 'no longer' },
  'POST /tenants/:id/resume': { by: 'Ada', reason: 'mended' },
  'POST /handoffs/:id/reveal': { by: 'Ada', reason: 'the window is closed' },
  'POST /handoffs/:id/submit': { by: 'Ada', publicKey: 'p', privateKey: 's' },
};

/** The API over fake commands, with its log kept. Closed after the test. */
export function startApi(change: Partial<ApiDeps> = {}) {
  const api = openApi(change);
  onTestFinished(() => api.app.close());
  return api;
}

/** The same for what is prepared before any test; whoever opened it closes it. */
export function openApi(change: Partial<ApiDeps> = {}) {
  const commands = fakeCommands();
  const lines: string[] = [];
  const log = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _, done) {
        lines.push(String(chunk));
        done();
      },
    }),
  );
  const metrics = new Registry();
  new Counter({ name: 'parasol_test_total', help: 'Counts nothing', registers: [metrics] }).inc(2);
  const parts: ReadyPart[] = [
    { part: 'database', ok: true, detail: 'answers' },
    { part: 'migrations', ok: true, detail: 'up to date' },
    { part: 'loop', ok: true, detail: 'turned 0s ago' },
  ];
  const app = buildApi({
    commands,
    authenticate: oneToken(hashToken(TOKEN)),
    requests: everyRequestIsNew,
    readiness: async () => parts,
    metrics,
    log,
    version: '0.0.0-test',
    ...change,
    // On a busy machine the loop may be late for long, which is not what is looked at.
    limits: { eventLoopDelayMs: 0, ...change.limits },
  });
  const routes: Route[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    for (const one of [method].flat()) routes.push({ method: one, url, permission: config?.permission });
  });

  /** Calls as the administrator. */
  const call = (
    method: NonNullable<InjectOptions['method']>,
    url: string,
    options: Omit<InjectOptions, 'method' | 'url'> = {},
  ): Promise<LightMyRequestResponse> =>
    app.inject({
      method,
      url,
      ...options,
      headers: { authorization: `Bearer ${TOKEN}`, ...options.headers },
    });

  /** Every route that there is; the documentation's own pages are left out. */
  const allRoutes = async () => {
    await app.ready();
    return routes.filter(({ url }) => !url.startsWith('/docs'));
  };

  return { app, commands, parts, call, allRoutes, logged: () => lines.join(''), lines };
}
