import type { FleetCount } from '../../src/domain/fleet.ts';
import type { Condition } from '../../src/domain/condition.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import type {
  ApplyChange,
  CredentialView,
  CustomerView,
  KekView,
  PlanView,
  RekeyReport,
  StatusView,
  TenantSummary,
} from '../../src/reconciler/commands.ts';
import { UNTOUCHED } from '../support/handoff.ts';

/** Answers as the service gives them, long enough to strain a screen of 80 columns. */

const condition = (
  type: Condition['type'],
  status: Condition['status'],
  reason: string,
  message: string,
): Condition => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 3,
  lastTransitionTime: '2026-11-23T06:00:00.000Z',
});

export const handoff: Handoff = {
  id: '019abf52-7c00-7e11-8a01-5d3c90aa71f2',
  tenantId: 'cedar',
  kind: 'grant-role-levels',
  subject: 'Umbrella',
  content: {
    title: 'Give the security role “Umbrella” the levels that the integration needs',
    why: 'The role lacks Companies/Configurations edit. No API of ConnectWise edits the levels of a role, so a person does it.',
    steps: [
      'Log in to ConnectWise as an administrator of cedar.',
      'Open System / Security Roles and choose the role “Umbrella”.',
      'Set each cell of the matrix below, leave all others as they are, and press Save.',
    ],
    closedBy: 'The levels of the role, read again, equal the spec.',
    cells: [
      { function: 'Companies/Configurations', right: 'edit', observed: 'None', desired: 'All' },
      {
        function: 'Finance/Some Very Long Module Function',
        right: 'inquire',
        observed: 'All',
        desired: 'None',
      },
    ],
  },
  openedAt: '2026-11-24T07:30:00.000Z',
  deadline: '2026-11-27T07:30:00.000Z',
  ...UNTOUCHED,
};

export const keyHandoff: Handoff = {
  ...handoff,
  id: '019abf52-7c01-7f22-9b02-77aa01bb23c4',
  tenantId: 'iris',
  kind: 'issue-integration-key',
  subject: 'umbrella-b',
  state: 'claimed',
  claimedBy: 'jamie',
  claimedAt: '2026-11-24T07:45:00.000Z',
  content: {
    title: 'Make an API key for umbrella-b',
    why: 'The key in use does not authenticate any more.',
    steps: ['Open System / Members / API Members.', 'Open umbrella-b, API Keys, “+”.'],
    closedBy: 'The pair authenticates as umbrella-b with the levels of the role.',
    input: { purpose: 'integration', member: 'umbrella-b' },
  },
};

export const status: StatusView = {
  tenant: 'cedar',
  name: 'Cedar Cloud Services',
  mode: 'repair',
  paused: false,
  pause: null,
  deleting: null,
  generation: 3,
  observedGeneration: 3,
  ready: 'False',
  conditions: [
    condition('ConnectWiseReachable', 'True', 'Answers', 'https://na.myconnectwise.net answers as Cedar.'),
    condition(
      'RoleReady',
      'False',
      'LevelsMissing',
      'The role Umbrella lacks Companies/Configurations edit (None, should be All). Hand-off grant-role-levels is open.',
    ),
    condition('UmbrellaIntegrated', 'Unknown', 'NeverSeen', ''),
    condition('Paused', 'False', 'NotPaused', ''),
  ],
  drift: [
    {
      path: 'role.levels.Companies/Configurations.edit',
      kind: 'missing',
      desired: 'All',
      observed: 'None',
      since: '2026-11-23T06:00:00.000Z',
      action: 'handoff:grant-role-levels',
      accepted: null,
    },
  ],
  keys: [
    {
      purpose: 'integration',
      slot: 'a',
      member: 'umbrella-a',
      fingerprint: '3f9a0c1d22ab44ef',
      state: 'active',
      createdAt: '2026-10-01T00:00:00.000Z',
      lastProvedAt: '2026-11-24T07:59:30.000Z',
      rotateBy: '2026-12-30T00:00:00.000Z',
    },
    {
      purpose: 'umbrella-key-admin',
      slot: null,
      member: null,
      fingerprint: '99ac0c1d22ab44ef',
      state: 'active',
      createdAt: '2026-10-01T00:00:00.000Z',
      lastProvedAt: null,
      rotateBy: null,
    },
  ],
  evidence: {
    lastUmbrellaWriteAt: '2026-11-24T04:48:00.000Z',
    by: 'umbrella-a',
    customers: 18,
    configurations: 17,
  },
  rotation: null,
  umbrellaRotation: null,
  handoffs: [
    {
      id: handoff.id,
      kind: handoff.kind,
      subject: handoff.subject,
      state: 'open',
      deadline: handoff.deadline,
      claimedBy: null,
      overdueSince: null,
      automation: null,
    },
  ],
  lastRun: {
    id: '019abf52-0000-7000-8000-000000000001',
    trigger: 'schedule',
    startedAt: '2026-11-24T07:59:28.000Z',
    finishedAt: '2026-11-24T07:59:30.000Z',
    outcome: 'succeeded',
    reads: 9,
    writes: 0,
    summary: 'One drift; it waits for a person.',
    actions: [],
  },
  trigger: { requested: 4, handled: 4 },
  nextReconcileAt: '2026-11-24T08:00:05.000Z',
  waiting: null,
};

export const readyStatus: StatusView = {
  ...status,
  ready: 'True',
  conditions: status.conditions.slice(0, 1),
  drift: [],
  handoffs: [],
};

export const plan: PlanView = {
  tenant: 'birch',
  mode: 'repair',
  generation: 1,
  observedAt: '2026-11-24T07:59:30.000Z',
  plan: {
    steps: [
      {
        action: { kind: 'create-role', name: 'Umbrella' },
        state: 'now',
        because: 'The role Umbrella does not exist.',
        removes: ['role'],
      },
      {
        action: {
          kind: 'open-handoff',
          handoff: 'grant-role-levels',
          subject: 'Umbrella',
          content: handoff.content,
        },
        state: 'later',
        because: 'The role has to exist first.',
        removes: [
          'role.levels.Companies/Configurations.edit',
          'role.levels.Service Desk/Service Tickets.inquire',
        ],
      },
      {
        action: {
          kind: 'change-member',
          id: 12,
          identifier: 'umbrella-a',
          set: { active: true, roleId: 4, roleName: 'Umbrella', level: 'Corporate' },
        },
        state: 'held',
        because: 'The member was not made by Parasol; adopt: true in the spec makes it Parasol’s.',
        removes: ['members.umbrella-a.role'],
      },
    ],
  },
};

export const credentials: CredentialView[] = [
  {
    purpose: 'integration',
    slot: 'b',
    member: 'umbrella-b',
    fingerprint: '3f9a0c1d22ab44ef',
    state: 'active',
    since: '2026-11-20T08:00:00.000Z',
    because: 'it proved itself: member umbrella-b, exactly the levels of the role',
    createdAt: '2026-11-20T07:00:00.000Z',
    lastProvedAt: '2026-11-24T07:45:00.000Z',
    destroyedAt: null,
  },
  {
    purpose: 'umbrella-key-admin',
    slot: null,
    member: null,
    fingerprint: '77aa01bb23c4d5e6',
    state: 'bound-elsewhere',
    since: '2026-01-20T08:00:00.000Z',
    because: 'apply',
    createdAt: '2026-01-20T08:00:00.000Z',
    lastProvedAt: null,
    destroyedAt: null,
  },
  {
    purpose: 'integration',
    slot: 'a',
    member: 'umbrella-a',
    fingerprint: '00112233aabbccdd',
    state: 'dead',
    since: '2026-02-01T08:00:00.000Z',
    because: 'ConnectWise refuses it while its member is active',
    createdAt: '2025-11-20T07:00:00.000Z',
    lastProvedAt: '2026-01-31T07:45:00.000Z',
    destroyedAt: '2026-06-02T02:43:00.000Z',
  },
];

export const keks: KekView[] = [
  {
    kid: 'a1b2c3d4e5f60718',
    createdAt: '2024-11-24T08:00:00.000Z',
    state: 'being-replaced',
    retiredAt: '2026-11-24T07:59:00.000Z',
    sealed: 12,
  },
  {
    kid: '0123456789abcdef',
    createdAt: '2026-11-24T07:59:00.000Z',
    state: 'in-use',
    retiredAt: null,
    sealed: 40_000,
  },
];

export const rekeyed: RekeyReport = {
  from: 'a1b2c3d4e5f60718',
  to: '0123456789abcdef',
  resealed: 12,
  total: 40_012,
  damaged: [],
  file: { kek: '/var/lib/parasol/kek', old: '/var/lib/parasol/kek.a1b2c3d4e5f60718' },
};

export const customers: CustomerView[] = [
  {
    customerId: 11,
    customer: 'Northwind Dental',
    configuration: { id: 501, name: 'Northwind Dental', company: 'Northwind Dental' },
    matchedBy: 'name',
    lastWriteAt: '2026-11-24T04:48:00.000Z',
    lastWriteBy: 'umbrella-a',
  },
  {
    customerId: 12,
    customer: 'Bluebird Legal and Partners of the Greater Metropolitan Area, Limited',
    configuration: null,
    matchedBy: null,
    lastWriteAt: null,
    lastWriteBy: null,
  },
  {
    customerId: null,
    customer: '株式会社ノースウィンド歯科医院サービス',
    configuration: { id: 502, name: '株式会社ノースウィンド歯科医院サービス', company: 'Northwind Japan' },
    matchedBy: 'name',
    lastWriteAt: '2026-11-20T04:48:00.000Z',
    lastWriteBy: 'a-member-of-15c',
  },
];

export const fleet: FleetCount = {
  at: '2026-11-24T08:00:00.000Z',
  tenants: { total: 10_000, ready: { True: 9600, False: 200, Unknown: 200 }, unseen: 3 },
  modes: { observe: 10, alert: 90, repair: 9900 },
  conditions: [
    { type: 'RoleReady', status: 'True', reason: 'AsSpecified', count: 9800 },
    { type: 'RoleReady', status: 'False', reason: 'LevelsMissing', count: 200 },
    { type: 'UmbrellaIntegrated', status: 'Unknown', reason: 'NeverSeen', count: 200 },
    { type: 'Paused', status: 'True', reason: 'PausedBySpec', count: 12 },
  ],
  oldestEvidence: { tenant: 'acme', at: '2026-11-24T05:00:00.000Z' },
  keys: [
    { purpose: 'integration', youngerThanDays: 30, count: 9000, pastMaxAge: 0 },
    { purpose: 'integration', youngerThanDays: 90, count: 20, pastMaxAge: 0 },
    { purpose: 'integration', youngerThanDays: null, count: 980, pastMaxAge: 11 },
    { purpose: 'umbrella-key-admin', youngerThanDays: null, count: 9999, pastMaxAge: 0 },
  ],
  handoffs: [
    { kind: 'delete-key', overdue: 2, today: 1, week: 0, later: 4 },
    { kind: 'install-integration-key', overdue: 0, today: 0, week: 10_000, later: 0 },
  ],
  rotations: {
    integration: [{ phase: 'AwaitingKey', count: 7 }],
    umbrella: [{ phase: 'Resting', count: 2 }],
  },
  braked: 4,
  paused: 12,
  overdue: 3,
  failing: 9,
  drift: {
    tenants: 260,
    paths: [
      { path: 'role.levels.Companies/Configurations of a very long module name.edit', count: 200 },
      { path: 'members.umbrella-a.role', count: 60 },
    ],
  },
};

export const tenants: TenantSummary[] = [
  {
    id: 'acme',
    name: 'Acme Managed IT',
    mode: 'repair',
    ready: 'True',
    waitsFor: null,
    paused: false,
    labels: {},
    unreadySince: null,
    drift: 0,
    observedAt: '2026-11-24T07:59:30.000Z',
    nextReconcileAt: '2026-11-24T08:00:05.000Z',
  },
  {
    id: 'a-tenant-with-an-id-of-the-greatest-length-that-is-allowed-63ch',
    name: 'A managed service provider whose name goes on for about a hundred characters, as names sometimes do',
    mode: 'observe',
    ready: 'Unknown',
    waitsFor: 'RoleReady: the roles cannot be read with the management key',
    paused: true,
    labels: { team: 'north' },
    unreadySince: '2026-11-21T04:00:00.000Z',
    drift: 3,
    observedAt: null,
    nextReconcileAt: null,
  },
];

export const changes: ApplyChange[] = [
  { id: 'acme', change: 'unchanged', generation: 3, differences: [], warnings: [] },
  {
    id: 'birch',
    change: 'updated',
    generation: 4,
    differences: [
      { path: 'mode', kind: 'setting', before: 'observe', after: 'repair' },
      {
        path: 'connectwise.role.levels.Companies/Configurations.edit',
        kind: 'setting',
        before: 'All',
        after: 'None',
      },
      { path: 'rotation.window', kind: 'setting', before: 'Sat 02:00-06:00 Europe/Madrid', after: null },
      {
        path: 'connectwise.managementKey',
        kind: 'key',
        before: '00112233445566aa',
        after: 'ffeeddcc00112233',
      },
    ],
    warnings: ['the integration key in the file was superseded by a rotation, and is ignored'],
  },
  {
    id: 'cedar',
    change: 'created',
    generation: 1,
    differences: [
      { path: 'connectwise.members.identifiers', kind: 'setting', before: null, after: ['sync-a', 'sync-b'] },
      { path: 'paused', kind: 'setting', before: null, after: true },
    ],
    warnings: [],
  },
];
