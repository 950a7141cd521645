/**
 * Examples for the documentation, by operation: a body that is taken as it stands here, and what a good answer looks
 * like. A test sends each body to the API over a real database, and compares the answers.
 */
export interface Example {
  body?: unknown;
  answer?: unknown;
}

const AT = '2026-11-24T08:00:00.000Z';
const HANDOFF = '019ab3f0-7c00-7000-8000-000000000001';
const ROTATION = '019ab3f0-7c00-7000-8000-000000000002';
const RUN = '019ab3f0-7c00-7000-8000-000000000003';
const REASON = { by: 'Ada', reason: 'Yearly audit' };

const TENANT = {
  id: 'acme',
  name: 'Acme MSP',
  mode: 'repair',
  labels: { team: 'north' },
  connectwise: {
    site: 'https://na.myconnectwise.net',
    companyId: 'acme',
    clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
    managementKey: { publicKey: 'PUBLIC-HALF', privateKey: 'PRIVATE-HALF' },
    integrationKey: { member: 'umbrella-a', publicKey: 'ITS-PUBLIC-HALF', privateKey: 'ITS-PRIVATE-HALF' },
  },
  umbrella: {
    console: 'msp',
    apiKey: { key: 'KEY', secret: 'SECRET' },
    keyAdmin: { key: 'KEY-OF-KEY-ADMIN', secret: 'SECRET-OF-KEY-ADMIN' },
  },
  handoffs: {
    'delete-key': { webhook: 'https://rpa.example/parasol' },
    secret: 'whsec_AgICAgICAgICAgICAgICAgICAgICAgIC',
  },
};

const RUN_ANSWER = {
  id: RUN,
  trigger: 'manual: Yearly audit',
  startedAt: AT,
  finishedAt: '2026-11-24T08:00:02.000Z',
  outcome: 'succeeded',
  reads: 9,
  writes: 0,
  summary: 'ready: False; RoleReady LevelsMissing',
  actions: [],
};

const EVENT = {
  id: '4711',
  tenant: 'acme',
  at: AT,
  type: 'DriftFound',
  message: 'role.levels.Companies/Configurations.edit is None, wanted All',
  data: { path: 'role.levels.Companies/Configurations.edit', desired: 'All', observed: 'None' },
};

const TRIGGERED = { trigger: 17 };
const SEALED = { fingerprint: '00112233aabbccdd', trigger: 17 };

export const EXAMPLES: Readonly<Record<string, Example>> = {
  createTenant: { body: TENANT },
  replaceTenant: { body: { ...TENANT, name: 'Acme Managed Services' } },
  keepTenant: { body: REASON, answer: TRIGGERED },
  applyFleet: { body: { tenants: [TENANT], dryRun: true } },
  reconcileFleet: { body: { selector: { labels: ['team=north'] }, reason: 'Yearly audit', dryRun: true } },
  rotateFleet: { body: { ...REASON, selector: { labels: ['team=north'] }, dryRun: true } },
  listTenants: {
    answer: {
      items: [
        {
          id: 'acme',
          name: 'Acme MSP',
          mode: 'repair',
          paused: false,
          labels: { team: 'north' },
          ready: 'False',
          unreadySince: AT,
          drift: 1,
          waitsFor: 'Levels are missing in the role Umbrella.',
          observedAt: AT,
          nextReconcileAt: '2026-11-24T08:15:00.000Z',
        },
      ],
      next: null,
    },
  },
  reconcileTenant: { body: { reason: 'Yearly audit' }, answer: TRIGGERED },
  pauseTenant: { body: REASON },
  resumeTenant: { body: REASON },
  rotate: { body: { ...REASON, credential: 'integration' }, answer: { rotation: ROTATION, trigger: 17 } },
  acceptDrift: {
    body: { ...REASON, path: 'role.levels.Companies/Configurations.delete', expires: '30d' },
  },
  withdrawAcceptance: { body: { ...REASON, path: 'role.levels.Companies/Configurations.delete' } },
  releaseBrake: { body: REASON },
  rollback: { body: REASON, answer: { rotation: ROTATION, trigger: 18 } },
  'replaceCredential-management': {
    body: { publicKey: 'NEW-PUBLIC-HALF', privateKey: 'NEW-PRIVATE-HALF' },
    answer: SEALED,
  },
  'replaceCredential-integration': {
    body: { member: 'umbrella-b', publicKey: 'ITS-NEW-PUBLIC-HALF', privateKey: 'ITS-NEW-PRIVATE-HALF' },
    answer: SEALED,
  },
  'replaceCredential-umbrella-api': { body: { key: 'NEW-KEY', secret: 'NEW-SECRET' }, answer: SEALED },
  'replaceCredential-umbrella-key-admin': {
    body: { key: 'NEW-KEY-OF-KEY-ADMIN', secret: 'NEW-SECRET-OF-KEY-ADMIN' },
    answer: SEALED,
  },
  'replaceCredential-automation': {
    body: { secret: 'whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB' },
    answer: SEALED,
  },
  claimHandoff: { body: { by: 'Ada' } },
  releaseHandoff: { body: { by: 'Ada' } },
  submitHandoff: { body: { by: 'Ada', publicKey: 'MADE-PUBLIC-HALF', privateKey: 'MADE-PRIVATE-HALF' } },
  revealHandoff: { body: { by: 'Ada', reason: 'The window was closed' } },
  answerAutomation: { body: { done: false, reason: 'The robot cannot log in' } },
  createToken: { body: { name: 'ci', role: 'operator', tenants: ['acme'], expires: '90d' } },
  getStatus: {
    answer: {
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
          message: 'Levels are missing in the role Umbrella.',
          observedGeneration: 3,
          lastTransitionTime: AT,
        },
      ],
      drift: [],
      keys: [
        {
          purpose: 'integration',
          slot: 'a',
          member: 'umbrella-a',
          fingerprint: '00112233aabbccdd',
          state: 'active',
          createdAt: AT,
          lastProvedAt: AT,
          rotateBy: '2027-02-22T08:00:00.000Z',
        },
      ],
      evidence: { lastUmbrellaWriteAt: AT, by: 'umbrella-a', customers: 41, configurations: 40 },
      rotation: null,
      umbrellaRotation: null,
      handoffs: [
        {
          id: HANDOFF,
          kind: 'grant-role-levels',
          subject: 'Umbrella',
          state: 'open',
          deadline: '2026-12-01T08:00:00.000Z',
          claimedBy: null,
          overdueSince: null,
          automation: null,
        },
      ],
      lastRun: RUN_ANSWER,
      trigger: { requested: 17, handled: 17 },
      nextReconcileAt: '2026-11-24T08:15:00.000Z',
      waiting: null,
    },
  },
  listEvents: { answer: { items: [EVENT], next: null } },
  followEvents: { answer: { items: [EVENT], next: '4711' } },
  listRuns: { answer: { items: [RUN_ANSWER], next: null } },
  getRun: {
    answer: {
      ...RUN_ANSWER,
      calls: { 'GET system/members': 1, 'GET system/securityroles': 1 },
      saw: {
        since: RUN,
        conditions: [
          {
            type: 'RoleReady',
            status: 'False',
            reason: 'LevelsMissing',
            message: 'Levels are missing in the role Umbrella.',
          },
        ],
        drift: [],
      },
    },
  },
};
