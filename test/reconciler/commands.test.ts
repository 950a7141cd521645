import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { TenantInput } from '../../src/domain/tenant.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import {
  applied,
  connectwiseKey,
  input,
  openDesk,
  refusal,
  SITE,
  umbrellaKey,
  value,
  leaving,
} from './commands-fixtures.ts';

let desk: Awaited<ReturnType<typeof openDesk>>;
let commands: Commands;
beforeAll(async () => {
  desk = await openDesk();
  ({ commands } = desk);
});
afterAll(() => desk.close());

const problemsOf = async (...inputs: TenantInput[]) =>
  refusal(await commands.apply(inputs, { dryRun: false }));

describe('a set of tenants', () => {
  test('is made, and every tenant of it is due', async () => {
    const changes = await applied(
      commands,
      input('made-a', { connectwise: { managementKey: connectwiseKey('made-a-m') } }),
      input('made-b'),
    );
    expect(changes).toMatchObject([
      { id: 'made-a', change: 'created', generation: 1, warnings: [] },
      { id: 'made-b', change: 'created', generation: 1, warnings: [] },
    ]);
    expect(value(await commands.tenant('made-a'))).toMatchObject({
      generation: 1,
      deleting: false,
      spec: { name: 'made-a MSP', mode: 'observe', connectwise: { site: SITE } },
      credentials: [{ purpose: 'management', state: 'active', fingerprint: desk.fingerprint('made-a-m') }],
    });
    expect(value(await commands.status('made-b')).trigger).toEqual({ requested: 1, handled: 0 });
    expect(await desk.eventTypes('made-b')).toEqual(['TenantCreated']);
  });

  test('that is as it was changes nothing: no generation, no event, no run', async () => {
    const same = input('same', { connectwise: { managementKey: connectwiseKey('same-m') } });
    await applied(commands, same);
    await desk.run('same');
    const before = { status: value(await commands.status('same')), events: await desk.eventTypes('same') };
    expect(await applied(commands, same)).toEqual([
      { id: 'same', change: 'unchanged', generation: 1, differences: [], warnings: [] },
    ]);
    expect({ status: value(await commands.status('same')), events: await desk.eventTypes('same') }).toEqual(
      before,
    );
  });

  test('that differs makes a new generation, tells the paths, and triggers', async () => {
    await applied(commands, input('changed'));
    const [change] = await applied(
      commands,
      input('changed', { mode: 'repair', connectwise: { role: { name: 'Cisco' } } }),
    );
    expect(change).toMatchObject({
      change: 'updated',
      generation: 2,
      differences: [
        { path: 'connectwise.role.name', kind: 'setting', before: 'Umbrella', after: 'Cisco' },
        { path: 'mode', kind: 'setting', before: 'observe', after: 'repair' },
      ],
    });
    expect(value(await commands.tenant('changed'))).toMatchObject({
      generation: 2,
      spec: { mode: 'repair' },
    });
    expect(value(await commands.status('changed')).trigger.requested).toBe(2);
    const { items } = value(await commands.events('changed', { before: null, limit: 1 }));
    expect(items).toMatchObject([
      { type: 'SpecChanged', message: 'Generation 2: connectwise.role.name, mode.' },
    ]);
  });

  test('tried out tells the same and changes nothing', async () => {
    await applied(commands, input('dry'));
    const set = [
      input('dry', { paused: true, connectwise: { managementKey: connectwiseKey('dry-m') } }),
      input('dry-new'),
    ];
    const tried = value(await commands.apply(set, { dryRun: true })).changes;
    expect(tried).toMatchObject([
      {
        id: 'dry',
        change: 'updated',
        generation: 2,
        differences: [{ path: 'paused' }, { path: 'connectwise.managementKey' }],
      },
      { id: 'dry-new', change: 'created', generation: 1 },
    ]);
    expect(value(await commands.tenant('dry'))).toMatchObject({ generation: 1, credentials: [] });
    expect(refusal(await commands.tenant('dry-new'))).toBe('not found: There is no tenant dry-new.');
    expect(await applied(commands, ...set)).toEqual(tried);
  });

  test('with what belongs to a later issue is taken, and says that nothing uses it yet', async () => {
    const [change] = await applied(
      commands,
      input('later', {
        mode: 'alert',
        notify: { webhook: 'https://example.com/hook', connectwiseTicket: { board: 'Security' } },
        handoffs: { 'issue-integration-key': { webhook: 'https://example.com/make' } },
        rotation: { window: 'Sat 02:00-06:00 Europe/Madrid', overlap: '2d', adoptionDeadline: '1h' },
      }),
    );
    expect(change!.warnings).toEqual([
      'notify.webhook is kept, and nothing uses it yet.',
      'notify.connectwiseTicket is kept, and nothing uses it yet.',
      'Mode alert tells nobody yet: it does what mode observe does.',
      'handoffs names a webhook, and no secret to sign with: people do its work until one is given, as handoffs.secret or with `parasol credential later automation`.',
    ]);
    const { items } = value(await commands.events('later', { before: null, limit: 1 }));
    expect(items[0]!.data).toMatchObject({ warnings: change!.warnings });
  });

  test('is written whole though others change the same tenants at the same time', async () => {
    await applied(commands, input('busy-a'), input('busy-b'));
    const names = ['one', 'two', 'three'];
    const answers = await Promise.all(
      names.map((name) =>
        commands.apply([input('busy-b', { name }), input('busy-a', { name })], { dryRun: false }),
      ),
    );
    expect(answers.map(({ ok }) => ok)).toEqual([true, true, true]);
    const a = value(await commands.tenant('busy-a'));
    expect(a).toMatchObject({ generation: 4, spec: { name: expect.toBeOneOf(names) } });
    expect(value(await commands.tenant('busy-b'))).toMatchObject({
      generation: 4,
      spec: { name: a.spec.name },
    });
  });
});

describe('a set of tenants is refused whole, with every problem at its path,', () => {
  const key = (name: string) => ({ umbrella: { apiKey: umbrellaKey(name) } });

  beforeAll(async () => {
    await applied(
      commands,
      input('birch', key('birch-u')),
      input('cedar', { umbrella: { organizationId: 77 } }),
      input('leaving'),
    );
    value(await commands.deleteTenant('leaving', leaving()));
  });

  test.each<[string, TenantInput[], string]>([
    [
      'where two of it are one ConnectWise company, written differently',
      [input('x'), input('y', { connectwise: { companyId: 'X', site: `${SITE}/` } })],
      'tenants.1.connectwise.companyId: y and x are the same ConnectWise company: one company is one tenant',
    ],
    [
      'where a stored tenant is that company',
      [input('x', { connectwise: { companyId: 'birch' } })],
      'tenants.0.connectwise.companyId: x and birch are the same ConnectWise company: one company is one tenant',
    ],
    [
      'where two of it use one Umbrella key',
      [input('x', key('shared')), input('y', key('shared'))],
      'tenants.1.umbrella.apiKey.key: y and x are the same Umbrella console: one console is one tenant',
    ],
    [
      'where a stored tenant uses that Umbrella key',
      [input('x', key('birch-u'))],
      'tenants.0.umbrella.apiKey.key: x and birch are the same Umbrella console: one console is one tenant',
    ],
    [
      'where a stored tenant, told again without its key, still uses that key',
      [input('x', key('birch-u')), input('birch', { mode: 'repair' })],
      'tenants.0.umbrella.apiKey.key: x and birch are the same Umbrella console: one console is one tenant',
    ],
    [
      'where a stored tenant speaks for that organization',
      [input('x', { umbrella: { organizationId: '77', apiKey: umbrellaKey('other') } })],
      'tenants.0.umbrella.organizationId: x and cedar are the same Umbrella console: one console is one tenant',
    ],
    ['where one stands twice', [input('x'), input('x')], 'tenants.1.id: x stands twice in this set'],
    [
      'where one is being deleted',
      [input('leaving', { mode: 'repair' })],
      'tenants.0.id: leaving is being deleted. To keep it, take the deletion back: parasol undelete leaving. Or give it again once it is gone',
    ],
    [
      'where a key is of a member that the spec does not name',
      [input('x', { connectwise: { integrationKey: { member: 'someone', ...connectwiseKey('x-i') } } })],
      'tenants.0.connectwise.integrationKey.member: must be one of the members of the spec: umbrella-a, umbrella-b',
    ],
    [
      'where Umbrella is to use Parasol’s own key',
      [
        input('x', {
          connectwise: {
            managementKey: connectwiseKey('x-both'),
            integrationKey: { member: 'umbrella-a', ...connectwiseKey('x-both') },
          },
        }),
      ],
      'tenants.0.connectwise.integrationKey: is the management key: Umbrella needs a key of a member of its own',
    ],
    [
      'with all of them at once',
      [
        input('fine'),
        input('x', { connectwise: { companyId: 'birch' }, umbrella: { organizationId: 77 } }),
        input('y', { connectwise: { companyId: 'fine' } }),
      ],
      [
        'tenants.1.connectwise.companyId: x and birch are the same ConnectWise company: one company is one tenant',
        'tenants.1.umbrella.organizationId: x and cedar are the same Umbrella console: one console is one tenant',
        'tenants.2.connectwise.companyId: y and fine are the same ConnectWise company: one company is one tenant',
      ].join('\n'),
    ],
  ])('%s', async (_, set, problems) => {
    expect(await problemsOf(...set)).toBe(problems);
    expect(refusal(await commands.apply(set, { dryRun: true }))).toBe(problems);
    for (const id of ['x', 'y', 'fine']) expect((await commands.tenant(id)).ok).toBe(false);
    expect(value(await commands.tenant('birch')).generation).toBe(1);
  });

  test('and a company that its tenant leaves in the same set is free', async () => {
    await applied(commands, input('mover-b', { connectwise: { companyId: 'wanted' } }));
    await applied(
      commands,
      input('mover-b', { connectwise: { companyId: 'elsewhere' } }),
      input('mover-c', { connectwise: { companyId: 'wanted' } }),
    );
    expect(value(await commands.tenant('mover-c')).spec.connectwise.companyId).toBe('wanted');
  });

  test('and a company that is taken between the look and the write is told as taken', async () => {
    const answers = await Promise.all(
      ['race-a', 'race-b', 'race-c'].map((id) =>
        commands.apply([input(id, { connectwise: { companyId: 'race' } })], { dryRun: false }),
      ),
    );
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    for (const answer of answers.filter(({ ok }) => !ok)) {
      expect(refusal(answer)).toMatch(
        /^tenants\.0\.connectwise\.companyId: race-\w and race-\w are the same ConnectWise company/,
      );
    }
  });
});

describe('one tenant', () => {
  test('is made, and not made twice', async () => {
    expect(value(await commands.createTenant(input('single')))).toMatchObject({
      id: 'single',
      generation: 1,
    });
    expect(refusal(await commands.createTenant(input('single', { mode: 'repair' })))).toBe(
      'conflict: There is a tenant single already: choose another id, or replace it.',
    );
    expect(value(await commands.tenant('single')).spec.mode).toBe('observe');
  });

  test('has the paths of its problems without the set around them', async () => {
    const taken = input('single-b', { connectwise: { companyId: 'single' } });
    expect(refusal(await commands.createTenant(taken))).toMatch(
      /^connectwise\.companyId: single-b and single /,
    );
  });

  test('is replaced at the generation that was read, and at no other', async () => {
    await applied(commands, input('replaced'));
    const second = value(await commands.replaceTenant(input('replaced', { mode: 'repair' }), 1));
    expect(second).toMatchObject({ generation: 2, spec: { mode: 'repair' } });
    expect(refusal(await commands.replaceTenant(input('replaced', { mode: 'alert' }), 1))).toBe('stale: 2');
    expect(value(await commands.tenant('replaced')).spec.mode).toBe('repair');
    expect(value(await commands.replaceTenant(input('replaced'), null)).generation).toBe(3);
  });

  test('of two that replace the same generation, one is told that it was late', async () => {
    await applied(commands, input('contested'));
    const answers = await Promise.all(
      ['one', 'two', 'three'].map((name) => commands.replaceTenant(input('contested', { name }), 1)),
    );
    const [winner, ...rest] = answers.filter(({ ok }) => ok);
    expect(rest).toEqual([]);
    expect(answers.filter(({ ok }) => !ok).map(refusal)).toEqual(['stale: 2', 'stale: 2']);
    expect(value(await commands.tenant('contested')).spec.name).toBe(value(winner!).spec.name);
  });

  test.each<[string, (id: string) => Promise<Parameters<typeof refusal>[0]>]>([
    ['replaced', (id) => commands.replaceTenant(input(id), null)],
    ['deleted', (id) => commands.deleteTenant(id, leaving())],
    ['shown', (id) => commands.tenant(id)],
    ['asked for its status', (id) => commands.status(id)],
    ['asked for its plan', (id) => commands.plan(id)],
    ['asked for its customers', (id) => commands.customers(id)],
    ['reconciled', (id) => commands.reconcile(id, 'manual')],
    ['asked for its events', (id) => commands.events(id, { before: null, limit: 5 })],
    ['asked for its runs', (id) => commands.runs(id, { before: null, limit: 5 })],
  ])('that does not exist cannot be %s', async (_, ask) => {
    expect(refusal(await ask('nobody'))).toBe('not found: There is no tenant nobody.');
  });

  test('is reconciled for a reason that the run then gives', async () => {
    await applied(commands, input('manual'));
    await desk.run('manual');
    const { trigger } = value(await commands.reconcile('manual', 'a customer called'));
    expect(value(await commands.status('manual')).trigger).toEqual({
      requested: trigger,
      handled: trigger - 1,
    });
    const taken = await desk.store.claims.take('somebody', 100, 30_000);
    expect(taken.find(({ claim }) => claim.tenantId === 'manual')).toMatchObject({
      trigger: 'manual: a customer called',
      runSeq: trigger,
    });
    for (const { claim } of taken) await desk.store.claims.release(claim, 0);
  });
});

describe('a tenant is deleted', () => {
  test('after a last run, and its history stays', async () => {
    await applied(commands, input('going'));
    value(await commands.deleteTenant('going', leaving({ ifGeneration: 1 })));
    expect(value(await commands.tenant('going')).deleting).toBe(true);
    expect(refusal(await commands.replaceTenant(input('going'), null))).toBe(
      'conflict: going is being deleted. To keep it, take the deletion back: parasol undelete going.',
    );
    await desk.run('going', { forget: { type: 'TenantDeleted', message: 'Gone.' } });
    expect(refusal(await commands.tenant('going'))).toBe('not found: There is no tenant going.');
    expect(await desk.eventTypes('going')).toEqual(['TenantDeleted', 'DeletionRequested', 'TenantCreated']);
    expect(value(await commands.createTenant(input('going'))).generation).toBe(1);
  });

  test('once, however often it is asked', async () => {
    await applied(commands, input('twice'));
    const first = value(await commands.deleteTenant('twice', leaving()));
    expect(value(await commands.deleteTenant('twice', leaving())).trigger).toBe(first.trigger + 1);
    expect(await desk.eventTypes('twice')).toEqual(['DeletionRequested', 'TenantCreated']);
  });

  test('at the generation that was read, and at no other', async () => {
    await applied(commands, input('kept'));
    expect(refusal(await commands.deleteTenant('kept', leaving({ ifGeneration: 2 })))).toBe('stale: 1');
    expect(value(await commands.tenant('kept')).deleting).toBe(false);
  });

  test.each([
    ['observe', false, /mode observe writes nothing\. Say mode: repair first\. Or say onDelete: orphan/],
    ['alert', false, /mode alert writes nothing\. Say mode: repair first\. Or say onDelete: orphan/],
    ['repair', true, /the tenant is paused\. Say paused: false first\. Or say onDelete: orphan/],
  ])('not where its members are to be switched off in mode %s, paused: %s', async (mode, paused, message) => {
    const id = `off-${mode}`;
    await applied(commands, input(id, { mode, paused, onDelete: 'deactivate-members' }));
    expect(refusal(await commands.deleteTenant(id, leaving()))).toMatch(message);
    expect(value(await commands.tenant(id)).deleting).toBe(false);
  });

  test('where its members are to be switched off and may be', async () => {
    await applied(commands, input('off', { mode: 'repair', onDelete: 'deactivate-members' }));
    value(await commands.deleteTenant('off', leaving()));
    expect(value(await commands.status('off')).deleting).not.toBeNull();
  });
});
