import { describe, expect, it, test } from 'vitest';
import { TROUBLES, type FaultEffect, type Trouble } from '../../src/simulator/index.ts';
import { scene, useStore, type Scene } from './harness.ts';

useStore();

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** What is told of a tenant. */
interface Told {
  ready: string;
  /** Conditions that are not True; `Braked` and `Paused` are False everywhere. */
  not: string[];
  drift: string[];
  plan: string[];
}

const KEYLESS = [
  'IntegrationKeyValid Unknown NotGiven',
  'TableSetupReady Unknown NoIntegrationKey',
  'UmbrellaIntegrated Unknown NeverSeen',
];

const TRUTHS: Record<Trouble, Told> = {
  healthy: { ready: 'True', not: [], drift: [], plan: [] },
  'role-missing': {
    ready: 'False',
    not: ['MembersReady False MemberMissing', 'RoleReady False RoleMissing', ...KEYLESS],
    drift: ['role is none', 'members.umbrella-a is none'],
    plan: ['now create-role', 'later create-member', 'later issue-integration-key'],
  },
  'level-missing': {
    ready: 'False',
    not: ['IntegrationKeyValid False TooWeak', 'RoleReady False LevelsMissing'],
    drift: ['role.levels.Companies/Configurations.edit is None'],
    plan: ['now grant-role-levels'],
  },
  'level-excess': {
    ready: 'False',
    not: ['IntegrationKeyValid False TooStrong', 'RoleReady False LevelsExcess'],
    drift: [
      'role.levels.Companies/Configurations.delete is All',
      'role.levels.Finance/Invoices.inquire is All',
    ],
    plan: ['now grant-role-levels'],
  },
  'allow-list-short': {
    ready: 'False',
    not: ['TableSetupReady False ItemsMissing'],
    drift: ['role.tableSetup.Service / Priority is not allowed'],
    plan: ['now allow-table-setup'],
  },
  'member-missing': {
    ready: 'False',
    not: ['MembersReady False MemberMissing', ...KEYLESS],
    drift: ['members.umbrella-a is none'],
    plan: ['now create-member', 'later issue-integration-key'],
  },
  'member-inactive': {
    ready: 'False',
    not: [
      'IntegrationKeyValid False Refused',
      'MembersReady False MemberInactive',
      'TableSetupReady Unknown NotReadable',
    ],
    drift: ['members.umbrella-a.active is inactive', 'integrationKey is refused'],
    plan: ['now change-member'],
  },
  'member-wrong-role': {
    ready: 'False',
    not: [
      'IntegrationKeyValid False TooWeak',
      'MembersReady False MemberDiffers',
      'TableSetupReady Unknown NotReadable',
    ],
    drift: ['members.umbrella-a.role is Helpdesk'],
    plan: ['now change-member'],
  },
  'key-dead': {
    ready: 'False',
    not: ['IntegrationKeyValid False Refused', 'TableSetupReady Unknown NotReadable'],
    drift: ['integrationKey is refused'],
    plan: ['now issue-integration-key'],
  },
  'key-of-another-member': {
    ready: 'False',
    not: ['IntegrationKeyValid False WrongMember', 'TableSetupReady Unknown NotReadable'],
    drift: ['integrationKey.member is helpdesk-bot'],
    plan: ['now issue-integration-key'],
  },
  'umbrella-key-expiring': {
    ready: 'False',
    not: ['UmbrellaKeyValid False Expiring'],
    drift: [],
    plan: [],
  },
  'umbrella-silent': {
    ready: 'False',
    not: ['UmbrellaIntegrated False Silent'],
    drift: [],
    plan: ['now install-integration-key'],
  },
};

/** Members may be repaired, so that there is something to plan. */
const ADOPTING = { connectwise: { members: { adopt: true } } };

describe.each(['msp', 'mssp'] as const)('with an %s console, in mode observe', (console) => {
  test.each(TROUBLES)('%s is told as it is; what is planned is what repair then does', async (trouble) => {
    const acme = await (await scene(trouble, { console, spec: { mode: 'observe', ...ADOPTING } })).apply();
    await acme.reconcile();
    await acme.later();

    const told = await acme.told();
    expect({ ...told, not: told.not.toSorted() }).toEqual({
      ...TRUTHS[trouble],
      not: TRUTHS[trouble].not.toSorted(),
    });
    expect(acme.writes()).toEqual([]);
    expect(await acme.allHandoffs()).toEqual([]);

    await acme.change({ mode: 'repair', ...ADOPTING });
    await acme.reconcile();
    const due = told.plan.filter((step) => step.startsWith('now ')).map((step) => step.slice(4));
    const { lastRun } = await acme.record();
    const opened = (await acme.allHandoffs()).map(({ kind }) => kind as string);
    const written = lastRun!.actions.length;
    expect(lastRun!.actions.filter(({ outcome }) => outcome !== 'done')).toEqual([]);
    expect(acme.writes()).toHaveLength(written);
    // What was done may make the next hand-off possible: that is opened at once.
    expect(due.filter((kind) => !opened.includes(kind))).toHaveLength(written);
  });
});

/* Weather ---------------------------------------------------------------------------------------------- */

/** Every read of a healthy tenant's look: who asks what of whom, and what rests on it. */
const READS = [
  ['mySecurity of the management key', '/system/mySecurity', 'parasol', 'ManagementKeyValid Unknown'],
  ['mySecurity of the integration key', '/system/mySecurity', 'umbrella-a', 'IntegrationKeyValid Unknown'],
  ['the allow list', '/system/mySecurity/customizeItems/', 'umbrella-a', 'TableSetupReady Unknown'],
  ['members', '/system/apiMembers', 'parasol', 'MembersReady Unknown'],
  ['roles', '/system/securityroles', 'parasol', 'ManagementKeyValid Unknown'],
  ['levels', '/system/securityRoles/{parentId}/settings', 'parasol', 'RoleReady True'],
  ['configurations', '/company/configurations', 'parasol', 'ManagementKeyValid Unknown'],
  ['customers', '/admin/v2/managed/customers', undefined, 'UmbrellaKeyValid Unknown'],
  ['Umbrella keys', '/admin/v2/apiKeys', undefined, 'UmbrellaKeyValid Unknown'],
] as const;

const ELSEWHERE = 'https://elsewhere.example/login';

/** What may be answered, or not, on any night, and says nothing. */
const WEATHER: Record<string, FaultEffect> = {
  'a server error': { kind: 'status', status: 500 },
  'a server that is down': { kind: 'status', status: 503 },
  'a proxy’s page': { kind: 'html', status: 502 },
  'a page that says 200': { kind: 'html', status: 200 },
  'a page that says 403': { kind: 'html', status: 403 },
  'text that says 200': { kind: 'text', status: 200 },
  'text that says 404': { kind: 'text', status: 404 },
  'a disguised 404': { kind: 'status', status: 404, body: { code: 'NotFound', message: 'not found' } },
  'another shape': { kind: 'status', status: 200, body: { unexpected: true } },
  'a redirect elsewhere': { kind: 'redirect', location: ELSEWHERE },
  'a redirect without end': { kind: 'redirect', location: '' },
  'a wait': { kind: 'rateLimit', retryAfterSeconds: 30 },
  'a wait without a number': { kind: 'rateLimit' },
  'half an answer': { kind: 'truncate' },
  'an answer without end': { kind: 'oversize', megabytes: 9 },
  'a lost connection': { kind: 'resetBefore' },
  'a lost answer': { kind: 'resetAfter' },
};

/** All that may be written is Parasol's to write, so that nothing but the look keeps it from writing. */
const EAGER = {
  onDelete: 'deactivate-members',
  connectwise: { members: { adopt: true, dedicated: true } },
} as const;

/** What a look did that it may not do: turn anything but the site False, unsay what holds, plan, write, ask. */
async function wrongs(acme: Scene, { past }: { past: boolean }): Promise<string[]> {
  const { status } = await acme.record();
  const { not, plan } = await acme.told();
  return [
    ...not.filter(
      (condition) => condition.includes(' False ') && !condition.startsWith('ConnectWiseReachable'),
    ),
    ...(past ? [] : not.filter((condition) => condition.includes(' Unknown '))),
    ...status!.conditions
      .filter(({ status, message }) => status === 'Unknown' && !message.includes('{ago '))
      .map(({ type, message }) => `${type} tells no age: ${message}`),
    ...plan.map((step) => `plans: ${step}`),
    ...acme.writes().map((write) => `writes: ${write}`),
    ...(await acme.allHandoffs()).map(({ kind }) => `asks for: ${kind}`),
  ];
}

/** A 404 may be the truth: an allow list that is not there for this key is not known (rulings 1). */
const isAllowed = (weather: string, operation: string, wrong: string): boolean =>
  weather.includes('404') && operation.endsWith('/customizeItems/') && wrong.startsWith('TableSetupReady');

describe('bad weather', () => {
  test.each(READS)(
    'on %s unsays nothing, until too much time has passed',
    async (_, operation, actor, rests) => {
      const acme = await (await scene('healthy', { spec: EAGER })).apply();
      await acme.reconcile();
      const when = { operation, ...(actor === undefined ? {} : { actor }) };

      const found: string[] = [];
      for (const [name, effect] of Object.entries(WEATHER)) {
        acme.world.addFault({ when, effect });
        await acme.later(MINUTE);
        const wrong = (await wrongs(acme, { past: false })).filter((one) => !isAllowed(name, operation, one));
        found.push(...wrong.map((one) => `${name}: ${one}`));
        acme.world.clearFaults();
        if (name.includes('404')) await acme.reconcile();
      }
      expect(found).toEqual([]);

      acme.world.addFault({ when, effect: { kind: 'status', status: 503 } });
      await acme.later(4 * HOUR);
      expect(await wrongs(acme, { past: true })).toEqual([]);
      const conditions = (await acme.record()).status!.conditions;
      expect(conditions.map(({ type, status }) => `${type} ${status}`)).toContain(rests);

      acme.world.clearFaults();
      await acme.later();
      expect(await acme.told()).toEqual(TRUTHS.healthy);
    },
  );

  type Whose = { vendor?: 'connectwise' | 'umbrella' };
  const ofConnectWise = ['IntegrationKeyValid', 'ManagementKeyValid', 'MembersReady'];
  /** What rests on a key alone holds shortest. */
  const isFirst = (one: string) =>
    one === 'ConnectWiseReachable False Unreachable' || one.startsWith('IntegrationKeyValid');
  test.each<[string, Whose, string[], string[], string]>([
    [
      'ConnectWise',
      { vendor: 'connectwise' },
      ['ConnectWiseReachable False Unreachable'],
      [
        'ConnectWiseReachable False Unreachable',
        ...ofConnectWise.map((type) => `${type} Unknown EvidenceTooOld`),
      ],
      'degraded',
    ],
    ['Umbrella', { vendor: 'umbrella' }, [], ['UmbrellaKeyValid Unknown EvidenceTooOld'], 'degraded'],
    [
      'both',
      {},
      ['ConnectWiseReachable False Unreachable'],
      [
        'ConnectWiseReachable False Unreachable',
        ...ofConnectWise.map((type) => `${type} Unknown EvidenceTooOld`),
        'UmbrellaKeyValid Unknown EvidenceTooOld',
      ],
      'failed',
    ],
  ])(
    '%s down: what rests on it holds, then is not known; the rest stands',
    async (_, when, soon, late, outcome) => {
      const acme = await (await scene('healthy', { spec: EAGER })).apply();
      await acme.reconcile();
      const memory = (await acme.record()).status!.memory;
      const proved = await acme.provedAt();

      acme.world.addFault({ when, effect: { kind: 'status', status: 503 } });
      await acme.later();
      expect((await acme.told()).not).toEqual(soon);
      expect(acme.result.run.outcome).toBe(outcome);
      await acme.later(90 * MINUTE);
      expect((await acme.told()).not).toEqual(late.filter(isFirst));
      await acme.later(90 * MINUTE);
      const { not } = await acme.told();
      for (const condition of late) expect(not).toContain(condition);
      expect(await wrongs(acme, { past: true })).toEqual([]);
      expect((await acme.record()).status!.memory).toEqual(memory);
      // What nobody was asked for was not proved.
      const silent = when.vendor === undefined ? ['connectwise', 'umbrella'] : [when.vendor];
      const after = await acme.provedAt();
      for (const vendor of silent) expect(after[vendor]).toEqual(proved[vendor]);
      expect((await acme.record()).tenant.failures).toBe(outcome === 'failed' ? 3 : 0);

      acme.world.clearFaults();
      await acme.later();
      expect(await acme.told()).toEqual(TRUTHS.healthy);
      expect((await acme.record()).tenant.failures).toBe(0);
    },
  );

  it('with vendors that never answer ends the run all the same, and unsays nothing', async () => {
    const acme = await (await scene('healthy', { spec: EAGER })).apply();
    await acme.reconcile();
    acme.world.addFault({ effect: { kind: 'hangBefore' } });
    acme.clock.advance(MINUTE);
    expect(await acme.reconcileWithoutAnswers()).toMatchObject({
      end: 'recorded',
      run: { outcome: 'failed' },
    });
    expect((await acme.told()).not).toEqual(['ConnectWiseReachable False Unreachable']);
    expect(acme.writes()).toEqual([]);
  });

  it('in which a vendor asks to wait: the tenant is not looked at before', async () => {
    const acme = await (await scene('healthy', { spec: { every: '5s' } })).apply();
    await acme.reconcile();
    acme.world.addFault({
      when: { vendor: 'connectwise', nth: 1 },
      effect: { kind: 'rateLimit', retryAfterSeconds: 240 },
    });
    const { seq } = acme.world.journal.query().at(-1)!;
    await acme.later(MINUTE);
    expect(acme.result.next.inMs).toBeGreaterThanOrEqual(239_000);
    // Whatever asks for a run meanwhile: nothing more leaves for ConnectWise.
    await acme.later(MINUTE);
    expect(acme.world.journal.query({ since: seq, vendor: 'connectwise' })).toHaveLength(1);
    expect(acme.result.next.inMs).toBeGreaterThanOrEqual(179_000);
    expect((await acme.told()).not).toEqual([]);
  });

  it('on the page that tells whose refusal it is: a key that is refused beside it is not believed dead', async () => {
    const acme = await (await scene('key-dead', { spec: EAGER })).apply();
    acme.world.deleteKey('acme', acme.secrets.managementKey.publicKey);
    acme.world.addFault({
      when: { operation: '/login/companyinfo/{companyId}', nth: 2, times: 9 },
      effect: { kind: 'status', status: 503 },
    });
    await acme.reconcile();
    expect((await acme.told()).not.filter((one) => one.includes(' False '))).toEqual([
      'ConnectWiseReachable False Unreachable',
    ]);
  });
});

describe('a refusal that passes', () => {
  test.each([
    ['the integration key', 'umbrella-a'],
    ['the management key', 'parasol'],
  ])(
    'of %s by one call is told as weather: no key is blamed, and nobody is asked for one',
    async (_, actor) => {
      const acme = await (await scene('healthy', { spec: EAGER })).apply();
      await acme.reconcile();
      const when = { operation: '/system/mySecurity', actor, times: 1 };
      acme.world.addFault({ when, effect: { kind: 'status', status: 401 } });
      await acme.later(MINUTE);
      expect((await acme.told()).not.filter((one) => one.includes(' False '))).toEqual([]);
      const { rotation, handoffs } = await acme.record();
      expect({ rotation, handoffs }).toEqual({ rotation: null, handoffs: [] });
      expect(acme.result.run.actions).toEqual([]);
      await acme.later(MINUTE);
      expect(await acme.told()).toEqual(TRUTHS.healthy);
    },
  );
});

test('a key that other calls are forbidden to, as one of a member that is off may be, is dead all the same', async () => {
  const acme = await (await scene('key-dead', { spec: EAGER })).apply();
  const when = { operation: '/system/mySecurity/customizeItems/' };
  acme.world.addFault({ when, effect: { kind: 'status', status: 403 } });
  await acme.reconcile();
  expect((await acme.told()).not.filter((one) => one.includes(' False '))).toContainEqual(
    expect.stringContaining('IntegrationKeyValid False'),
  );
});

/* What is answered, and is not the whole truth ----------------------------------------------------------- */

describe('an empty page', () => {
  const LISTS = READS.filter(([name]) => name !== 'the allow list' && name !== 'Umbrella keys');
  test.each(LISTS)('instead of %s turns nothing False, and leads to nothing', async (_, operation, actor) => {
    const acme = await (await scene('healthy', { spec: EAGER })).apply();
    await acme.reconcile();
    acme.world.addFault({
      when: { operation, ...(actor === undefined ? {} : { actor }) },
      effect: { kind: 'status', status: 200, body: [] },
    });
    await acme.later();
    const { not, plan } = await acme.told();
    expect(not.filter((condition) => condition.includes(' False '))).toEqual([]);
    expect(plan).toEqual([]);
    expect(acme.writes()).toEqual([]);
    expect(await acme.allHandoffs()).toEqual([]);
  });

  test.each([
    ['roles', '/system/securityroles', 'role-missing', 'RoleReady'],
    ['members', '/system/apiMembers', 'member-missing', 'MembersReady'],
  ] as const)(
    'instead of %s shows no absence, so that nothing is made',
    async (_, operation, trouble, type) => {
      const acme = await (await scene(trouble, { spec: EAGER })).apply();
      acme.world.addFault({ when: { operation }, effect: { kind: 'status', status: 200, body: [] } });
      await acme.reconcile();
      await acme.later();
      expect(await acme.verdict(type)).toBe('Unknown AbsenceNotBelieved');
      expect(acme.writes()).toEqual([]);
      expect((await acme.told()).plan.filter((step) => step.startsWith('now create'))).toEqual([]);

      acme.world.clearFaults();
      await acme.later();
      expect(acme.writes()).toHaveLength(1);
    },
  );
});

describe('a management key', () => {
  const ROLE = 'Parasol Management';

  test.each(['role-missing', 'member-missing', 'member-wrong-role', 'member-inactive'] as const)(
    'that may not read roles: of %s nothing is made, and no role is given',
    async (trouble) => {
      const acme = await (await scene(trouble, { spec: EAGER })).apply();
      acme.world.setLevels('acme', ROLE, { 'System/Security Roles': { inquire: 'None' } });
      await acme.reconcile();
      await acme.later();
      expect(await acme.condition('ManagementKeyValid')).toMatchObject({
        status: 'False',
        reason: 'MissingRights',
        message: expect.stringContaining('security roles'),
      });
      const sent = acme.writeCalls().map(({ method, requestBody }) => [method, requestBody]);
      const switchedOn = [['PATCH', [{ op: 'replace', path: 'inactiveFlag', value: false }]]];
      expect(sent).toEqual(trouble === 'member-inactive' ? switchedOn : []);
    },
  );

  it('that may not read roles leaves the levels to be told by the integration key, and said so', async () => {
    const acme = await (await scene('healthy')).apply();
    acme.world.setLevels('acme', ROLE, { 'System/Security Roles': { inquire: 'None' } });
    await acme.reconcile();
    expect(await acme.condition('RoleReady')).toMatchObject({
      status: 'True',
      message: expect.stringContaining('effective levels'),
    });
  });

  it('that lacks a right for repairs is told so where repairs are wanted, and the step is held', async () => {
    const acme = await (await scene('member-wrong-role', { spec: { mode: 'observe', ...ADOPTING } })).apply();
    acme.world.setLevels('acme', ROLE, { 'System/Members': { edit: 'None' } });
    await acme.reconcile();
    expect(await acme.verdict('ManagementKeyValid')).toBe('True Valid');
    expect((await acme.told()).plan).toEqual(['held change-member']);
    await acme.change({ mode: 'repair', ...ADOPTING });
    await acme.reconcile();
    expect(await acme.condition('ManagementKeyValid')).toMatchObject({
      status: 'False',
      message: expect.stringContaining('System/Members edit'),
    });
    expect(acme.writes()).toEqual([]);
  });

  it('that is refused is told so; what it showed before holds, and nothing is written', async () => {
    const acme = await (await scene('healthy', { spec: EAGER })).apply();
    await acme.reconcile();
    acme.world.deleteKey('acme', acme.secrets.managementKey.publicKey);
    await acme.later();
    expect(await acme.told()).toMatchObject({ ready: 'False', not: ['ManagementKeyValid False Refused'] });
    await acme.later(3 * HOUR);
    expect((await acme.told()).not).toEqual([
      'ManagementKeyValid False Refused',
      'MembersReady Unknown EvidenceTooOld',
    ]);
    expect(acme.writes()).toEqual([]);
  });
});

describe('a site', () => {
  it('that is not ConnectWise is told as that, and no key is blamed', async () => {
    const acme = await (await scene('healthy')).apply();
    acme.world.addFault({ when: { vendor: 'connectwise' }, effect: { kind: 'html', status: 200 } });
    await acme.reconcile();
    const { not } = await acme.told();
    expect(not.filter((one) => one.includes(' False '))).toEqual([
      'ConnectWiseReachable False NotConnectWise',
    ]);
    expect(await acme.verdict('ManagementKeyValid')).toBe('Unknown NotSeen');
  });

  test.each(['null', '404'] as const)(
    'that knows no such company (by %s) is told as that',
    async (answer) => {
      const acme = await (await scene('healthy', { spec: { connectwise: { companyId: 'nobody' } } })).apply();
      acme.world.setUnknownCompanyAnswer('*', answer);
      await acme.reconcile();
      const { not } = await acme.told();
      expect(not.filter((one) => one.includes(' False '))).toEqual([
        'ConnectWiseReachable False CompanyUnknown',
      ]);
    },
  );

  it('whose codebase changes is found again in the same look', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    acme.world.changeCodebase('acme', 'v2025_2/');
    await acme.later();
    expect(await acme.told()).toEqual(TRUTHS.healthy);
    expect(acme.result.run.outcome).toBe('succeeded');
  });
});

it('an Umbrella key that is refused is told at once', async () => {
  const acme = await (await scene('healthy')).apply();
  await acme.reconcile();
  acme.world.deleteUmbrellaKey('acme', 'Parasol');
  await acme.later();
  expect((await acme.told()).not).toEqual(['UmbrellaKeyValid False Refused']);
});

/* Steady state ------------------------------------------------------------------------------------------- */

describe('a healthy tenant', () => {
  it('writes nothing of its status but the time of the look, and tells ages by the clock', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    await acme.later();
    const stored = async () =>
      (
        await acme.store.pool.query('select to_jsonb(s) - $1::text[] as kept from statuses as s', [
          ['observed_at', 'parts_at'],
        ])
      ).rows;
    const age = async () =>
      / last wrote (.+) ago;/.exec((await acme.condition('UmbrellaIntegrated')).message)?.[1];
    const [before, young] = [await stored(), await age()];
    await acme.later(HOUR);
    expect(await stored()).toEqual(before);
    expect((await acme.record()).status!.observedAt).toBe(acme.clock.now().toISOString());
    expect(await age()).not.toBe(young);
  });

  it('costs nine reads, no write and one row, look after look', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    const before = await acme.rows();
    const { seq } = acme.world.journal.query().at(-1)!;
    await acme.later();
    expect(acme.calls(seq)).toEqual([
      'GET /admin/v2/apiKeys',
      'GET /admin/v2/managed/customers',
      'GET /company/configurations',
      'GET /system/apiMembers',
      'GET /system/mySecurity',
      'GET /system/mySecurity',
      'GET /system/mySecurity/customizeItems/',
      'GET /system/securityRoles/{parentId}/settings',
      'GET /system/securityroles',
    ]);
    expect(acme.result.run).toMatchObject({ reads: 9, writes: 0, outcome: 'succeeded', actions: [] });
    expect(await acme.rows()).toEqual({ ...before, runs: before['runs']! + 1 });
    expect(acme.result).toMatchObject({ events: [], handoffs: [], credentials: [], intents: [], owned: [] });
  });
});

describe('pairs in use', () => {
  it('are told with each look, and their rows written once an hour', async () => {
    const acme = await (await scene('healthy')).apply();
    await acme.reconcile();
    const first = acme.clock.now().toISOString();
    expect(Object.values(acme.result.provedAt)).toEqual([first, first, first, first]);
    await acme.later();
    expect(acme.result.provedAt).toEqual({});
    const status = await acme.ask((commands) => commands.status('acme'));
    const now = acme.clock.now().toISOString();
    expect(status.ok && status.value.keys.map(({ lastProvedAt }) => lastProvedAt)).toEqual([
      now,
      now,
      now,
      now,
    ]);
    await acme.later(HOUR);
    expect(Object.keys(acme.result.provedAt)).toHaveLength(4);
  });
});

describe('in mode repair', () => {
  // Of a silent Umbrella the hand-off tells how long it is silent, so that its text changes.
  test.each(TROUBLES.filter((trouble) => trouble !== 'umbrella-silent'))(
    '%s that stays is told once: nothing is said, asked or written again',
    async (trouble) => {
      const acme = await (await scene(trouble, { spec: ADOPTING })).apply();
      await acme.reconcile();
      await acme.later();
      const before = await acme.rows();
      const written = acme.writes();
      await acme.later();
      expect(acme.result).toMatchObject({
        events: [],
        handoffs: [],
        credentials: [],
        intents: [],
        owned: [],
      });
      expect(await acme.rows()).toEqual({ ...before, runs: before['runs']! + 1 });
      expect(acme.writes()).toEqual(written);
    },
  );
});
