import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Condition } from '../../src/domain/condition.ts';
import type { ConfigurationFact, Facts } from '../../src/domain/observation.ts';
import { subjectOf } from '../../src/domain/tenant.ts';
import { EVERYBODY, type TenantSort } from '../../src/domain/tenant-filter.ts';
import { ago } from '../../src/domain/told.ts';
import type { Commands, Page, TenantSummary } from '../../src/reconciler/commands.ts';
import {
  applied,
  conditions,
  connectwiseKey,
  EU_SITE,
  input,
  openDesk,
  pair,
  status,
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

let count = 0;

/** The row of the list for this tenant. */
async function row(id: string): Promise<TenantSummary> {
  const { items } = value(await commands.tenants({ after: null, limit: 200 }));
  return items.find((one) => one.id === id)!;
}

describe('a tenant in the list', () => {
  const bad: Partial<Condition> = { status: 'False', message: 'Something is wrong.' };
  const unseen: Partial<Condition> = { status: 'Unknown', message: 'It was never seen.' };
  const ready = (seen: Condition[]) => ({ conditions: seen });

  test.each<[string, Parameters<typeof status>[0], TenantSummary['ready'], string | null]>([
    ['is ready and waits for nothing', {}, 'True', null],
    [
      'waits for the first condition that is False',
      ready(
        conditions({
          TableSetupReady: unseen,
          MembersReady: bad,
          UmbrellaKeyValid: { ...bad, message: 'x' },
        }),
      ),
      'False',
      'Something is wrong.',
    ],
    [
      'waits for the first that is Unknown where none is False',
      ready(conditions({ TableSetupReady: unseen, UmbrellaIntegrated: { ...unseen, message: 'x' } })),
      'Unknown',
      'It was never seen.',
    ],
    [
      'tells how long ago by the time at which it is read',
      ready(conditions({ MembersReady: { ...bad, message: `Seen ${ago('2026-11-24T05:00:00.000Z')}.` } })),
      'False',
      'Seen 3h ago.',
    ],
    [
      'is ready though nothing is to be seen, as declared',
      ready(conditions({ UmbrellaIntegrated: { ...unseen, reason: 'NothingMapped' } })),
      'True',
      null,
    ],
    [
      'is ready though it is paused and braked',
      ready(conditions({ Paused: { status: 'True' }, Braked: { status: 'True' } })),
      'True',
      null,
    ],
    [
      'is not said to be ready by what was seen of an earlier generation',
      ready(conditions({}, 0)),
      'Unknown',
      'a reconcile of generation 1',
    ],
    [
      'is ready within four periods of the last look',
      { observedAt: '2026-11-24T07:00:00.000Z' },
      'True',
      null,
    ],
    [
      'is not said to be ready by what was seen too long ago',
      { observedAt: '2026-11-24T06:59:00.000Z' },
      'Unknown',
      'a reconcile: the last one was 1h 1m ago',
    ],
  ])('%s', async (_, seen, expected, waitsFor) => {
    const id = `row-${++count}`;
    await applied(commands, input(id));
    await desk.run(id, { status: status(seen) });
    expect(await row(id)).toMatchObject({ ready: expected, waitsFor });
    const told = value(await commands.status(id));
    expect(told.ready).toBe(expected);
    expect(JSON.stringify(told)).not.toContain('{ago');
  });

  test('waits for its first reconcile', async () => {
    await applied(commands, input('new', { mode: 'repair' }));
    expect(await row('new')).toEqual({
      id: 'new',
      name: 'new MSP',
      mode: 'repair',
      ready: 'Unknown',
      waitsFor: 'its first reconcile',
      paused: false,
      labels: {},
      unreadySince: expect.any(String),
      drift: 0,
      observedAt: null,
      nextReconcileAt: expect.any(String),
    });
  });

  test('waits for its deletion', async () => {
    await applied(commands, input('ending'));
    value(await commands.deleteTenant('ending', leaving()));
    expect((await row('ending')).waitsFor).toBe('its deletion');
  });

  test('of a daily schedule is ready all day long', async () => {
    await applied(commands, input('daily', { every: '5 8 * * *' }));
    await desk.run('daily', { status: status({ observedAt: '2026-11-23T08:05:30.000Z' }) });
    expect((await row('daily')).ready).toBe('True');
  });

  test('comes on the page after the one before it, and none is left out', async () => {
    const all = value(await commands.tenants({ after: null, limit: 200 })).items.map(({ id }) => id);
    const paged: string[] = [];
    let after: string | null = null;
    do {
      const page: Page<TenantSummary> = value(await commands.tenants({ after, limit: 3 }));
      paged.push(...page.items.map(({ id }) => id));
      after = page.next;
    } while (after !== null);
    expect(paged).toEqual(all);
    expect(all.length).toBeGreaterThan(6);
  });

  test('is not among the ready ones once what was seen of it holds no longer', async () => {
    await applied(commands, input('old'));
    await desk.run('old', { status: status({ observedAt: '2026-11-24T06:59:59.000Z' }) });
    const page = value(
      await commands.tenants({ filter: { ...EVERYBODY, ready: ['True'] }, after: null, limit: 200 }),
    );
    expect(page.items.length).toBeGreaterThan(0);
    expect(page.items.map(({ id }) => id)).not.toContain('old');
  });

  const cursor = (parts: unknown) => Buffer.from(JSON.stringify(parts)).toString('base64url');
  test.each<[string, TenantSort, string]>([
    ['of another sort', 'since', cursor(['name', 'acme', 'acme'])],
    ['of a rank that there is not', 'ready', cursor(['ready', '7', 'acme'])],
    ['of no time', 'next', cursor(['next', '2026-02-30T00:00:00Z', 'acme'])],
    ['of other parts', 'id', cursor(['id', 3, 'acme'])],
    ['that is text', 'id', 'acme'],
  ])('does not go on after a cursor %s', async (_, sort, after) => {
    const answer = await commands.tenants({ sort, after, limit: 3 });
    expect(answer).toMatchObject({ ok: false, refusal: { kind: 'invalid', problems: [{ path: 'after' }] } });
  });
});

const at = '2026-11-24T07:59:00.000Z';
const seen = <T>(value: T) => ({ value, at, source: 'management key' });
const configuration = (
  id: number,
  name: string,
  change: Partial<ConfigurationFact> = {},
): ConfigurationFact => ({
  id,
  name,
  company: { id, identifier: `${name}Co`, name },
  typeId: 1,
  updatedBy: 'umbrella-a',
  lastUpdated: `2026-11-24T0${id}:00:00.000Z`,
  ...change,
});
const facts: Facts = {
  candidates: {},
  customers: seen([
    { id: 1, name: 'Globex, Inc.' },
    { id: 2, name: 'Initech' },
  ]),
  writes: seen({
    type: { id: 1, name: 'Cisco Umbrella' },
    complete: true,
    configurations: [
      configuration(4, 'Globex Inc'),
      configuration(5, 'Hooli', { updatedBy: 'technician' }),
      configuration(3, 'Umbra', { updatedBy: 'umbrella-b', company: null }),
    ],
  }),
};

describe('the status', () => {
  test('of a tenant that no run has seen says what is not known', async () => {
    await applied(commands, input('blank'));
    expect(value(await commands.status('blank'))).toEqual({
      tenant: 'blank',
      name: 'blank MSP',
      mode: 'observe',
      paused: false,
      pause: null,
      deleting: null,
      generation: 1,
      observedGeneration: null,
      ready: 'Unknown',
      conditions: [],
      drift: [],
      keys: [],
      evidence: { lastUmbrellaWriteAt: null, by: null, customers: null, configurations: null },
      rotation: null,
      umbrellaRotation: null,
      handoffs: [],
      lastRun: null,
      trigger: { requested: 1, handled: 0 },
      nextReconcileAt: expect.any(String),
      waiting: null,
    });
  });

  test('tells what the last run saw', async () => {
    const spec = {
      mode: 'repair',
      connectwise: { integrationKey: { member: 'umbrella-b', ...connectwiseKey('seen') } },
    };
    await applied(commands, input('seen', spec));
    const drift = [
      {
        path: 'members.umbrella-b.role',
        kind: 'different' as const,
        desired: 'Umbrella',
        observed: 'Admin',
        since: at,
        action: 'api:change-member',
        accepted: null,
      },
    ];
    const run = {
      id: 'run-1',
      trigger: 'schedule',
      startedAt: at,
      finishedAt: at,
      outcome: 'degraded' as const,
      reads: 9,
      writes: 1,
      summary: 'ready: True',
      actions: [{ action: 'change role', outcome: 'done' }],
    };
    const credential = (await desk.store.reconciles.snapshot('seen'))!.credentials[0]!;
    await desk.run('seen', { status: status({ facts, drift }), run, provedAt: { [credential.id]: at } });
    const handoff = await desk.handoff('seen', 'grant-role-levels', 'Umbrella');
    value(await commands.claimHandoff(handoff, 'pat'));

    const shown = value(await commands.status('seen'));
    expect(shown).toMatchObject({
      mode: 'repair',
      observedGeneration: 1,
      ready: 'True',
      conditions: conditions(),
      drift,
      evidence: {
        lastUmbrellaWriteAt: '2026-11-24T04:00:00.000Z',
        by: 'umbrella-a',
        customers: 2,
        configurations: 2,
      },
      handoffs: [
        {
          id: handoff,
          kind: 'grant-role-levels',
          subject: 'Umbrella',
          state: 'claimed',
          deadline: '2026-11-27T08:00:00.000Z',
          claimedBy: 'pat',
          overdueSince: null,
        },
      ],
    });
    expect(shown.keys).toEqual([
      {
        purpose: 'integration',
        slot: 'b',
        member: 'umbrella-b',
        fingerprint: desk.fingerprint('seen'),
        state: 'active',
        createdAt: credential.createdAt,
        lastProvedAt: at,
        rotateBy: new Date(Date.parse(credential.createdAt) + 90 * 86_400_000).toISOString(),
      },
    ]);
    const { items } = value(await commands.runs('seen', { before: null, limit: 10 }));
    expect(items).toHaveLength(2);
    expect(items).toContainEqual(run);
  });

  test('remembers a write of Umbrella’s that a technician’s edit covered', async () => {
    await applied(commands, input('covered'));
    const lastWrite = { at: '2026-11-24T06:30:00.000Z', by: 'umbrella-b', configuration: 'Globex Inc' };
    await desk.run('covered', { status: status({ facts, memory: { type: null, bursts: [], lastWrite } }) });
    expect(value(await commands.status('covered')).evidence).toMatchObject({
      lastUmbrellaWriteAt: lastWrite.at,
      by: 'umbrella-b',
    });
  });

  test('tells no write that is dated ahead of the clock', async () => {
    await applied(commands, input('ahead'));
    const configurations = [
      configuration(4, 'Globex Inc'),
      configuration(6, 'Initech', { lastUpdated: '2027-01-01T00:00:00.000Z' }),
    ];
    const writes = seen({ type: { id: 1, name: 'Cisco Umbrella' }, complete: true, configurations });
    await desk.run('ahead', { status: status({ facts: { ...facts, writes } }) });
    expect(value(await commands.status('ahead')).evidence).toMatchObject({
      lastUmbrellaWriteAt: '2026-11-24T04:00:00.000Z',
      configurations: 2,
    });
  });

  test('leaves out what was replaced, and tells what died since', async () => {
    await applied(
      commands,
      input('keys', {
        connectwise: { managementKey: connectwiseKey('keys-m1') },
        umbrella: { apiKey: umbrellaKey('keys-u') },
      }),
    );
    value(await commands.replaceCredential('keys', 'management', pair('keys-m2'), null));
    await desk.becomes('keys', 'keys-m2', 'active');
    value(await commands.replaceCredential('keys', 'integration', pair('keys-i1'), 'umbrella-a'));
    await desk.becomes('keys', 'keys-i1', 'dead');
    const states = async () =>
      value(await commands.status('keys'))
        .keys.map(({ purpose, state }) => `${purpose} ${state}`)
        .toSorted();
    expect(await states()).toEqual(['integration dead', 'management active', 'umbrella-api active']);
    value(await commands.replaceCredential('keys', 'integration', pair('keys-i2'), 'umbrella-a'));
    await desk.becomes('keys', 'keys-i2', 'active');
    expect(await states()).toEqual(['integration active', 'management active', 'umbrella-api active']);
    expect(value(await commands.tenant('keys')).credentials).toHaveLength(5);
  });

  test('gives a time to rotate by to the integration key in use alone', async () => {
    await applied(
      commands,
      input('by', {
        rotation: { maxAge: '1h' },
        connectwise: {
          managementKey: connectwiseKey('by-m'),
          integrationKey: { member: 'umbrella-a', ...connectwiseKey('by-i') },
        },
      }),
    );
    value(await commands.replaceCredential('by', 'integration', pair('by-i2'), 'umbrella-b'));
    const { keys } = value(await commands.status('by'));
    const rotating = keys.map(
      ({ purpose, state, rotateBy }) => `${purpose} ${state} ${rotateBy === null ? 'stays' : 'rotates'}`,
    );
    expect(rotating.toSorted()).toEqual([
      'integration active rotates',
      'integration candidate stays',
      'management active stays',
    ]);
  });
});

describe('the plan', () => {
  test('has no step before anything was observed', async () => {
    await applied(commands, input('unplanned', { mode: 'repair' }));
    expect(value(await commands.plan('unplanned'))).toEqual({
      tenant: 'unplanned',
      mode: 'repair',
      generation: 1,
      observedAt: null,
      plan: { steps: [] },
    });
  });

  test('is told with the generation that it was made for', async () => {
    await applied(commands, input('planned'));
    const plan = {
      steps: [
        {
          action: { kind: 'create-role' as const, name: 'Umbrella' },
          state: 'now' as const,
          because: 'It is missing.',
          removes: ['role'],
        },
      ],
    };
    await desk.run('planned', { status: status({ plan }) });
    await applied(commands, input('planned', { mode: 'repair' }));
    expect(value(await commands.plan('planned'))).toEqual({
      tenant: 'planned',
      mode: 'repair',
      generation: 1,
      observedAt: at,
      plan,
    });
  });
});

describe('customers', () => {
  test('are told one by one, with what they were matched to and who wrote it last', async () => {
    await applied(commands, input('msp'));
    await desk.run('msp', { status: status({ facts }) });
    expect(value(await commands.customers('msp'))).toEqual([
      {
        customerId: 1,
        customer: 'Globex, Inc.',
        configuration: { id: 4, name: 'Globex Inc', company: 'Globex IncCo' },
        matchedBy: 'name',
        lastWriteAt: '2026-11-24T04:00:00.000Z',
        lastWriteBy: 'umbrella-a',
      },
      {
        customerId: 2,
        customer: 'Initech',
        configuration: null,
        matchedBy: null,
        lastWriteAt: null,
        lastWriteBy: null,
      },
      {
        customerId: null,
        customer: 'Hooli',
        configuration: { id: 5, name: 'Hooli', company: 'HooliCo' },
        matchedBy: null,
        lastWriteAt: '2026-11-24T05:00:00.000Z',
        lastWriteBy: 'technician',
      },
      {
        customerId: null,
        customer: 'Umbra',
        configuration: { id: 3, name: 'Umbra', company: null },
        matchedBy: null,
        lastWriteAt: '2026-11-24T03:00:00.000Z',
        lastWriteBy: 'umbrella-b',
      },
    ]);
  });

  test('of another console, and evidence of it, are not told once the spec names a new one', async () => {
    const before = input('swap', { umbrella: { organizationId: 101 } });
    await applied(commands, before);
    const { spec } = value(await commands.tenant('swap'));
    await desk.run('swap', {
      status: status({ facts, memory: { type: null, bursts: [], subject: subjectOf(spec) } }),
    });
    expect(value(await commands.customers('swap'))).toHaveLength(4);
    await applied(commands, input('swap', { umbrella: { organizationId: 102 } }));
    expect(value(await commands.customers('swap'))).toEqual([]);
    expect(value(await commands.status('swap')).evidence).toEqual({
      lastUmbrellaWriteAt: null,
      by: null,
      customers: null,
      configurations: null,
    });
  });

  test('are none before anything was observed', async () => {
    await applied(commands, input('empty'));
    expect(value(await commands.customers('empty'))).toEqual([]);
  });
});

describe('credentials', () => {
  test('are told with their history, newest first, and never by a value', async () => {
    const first = { connectwise: { integrationKey: { member: 'umbrella-a', ...connectwiseKey('first') } } };
    await applied(commands, input('history', first));
    await commands.replaceCredential('history', 'integration', pair('second'), 'umbrella-b');
    await desk.becomes('history', 'second', 'active');
    await desk.becomes('history', 'first', 'dead');
    const told = value(await commands.credentials('history'));
    expect(told).toEqual([
      {
        purpose: 'integration',
        slot: 'b',
        member: 'umbrella-b',
        fingerprint: desk.fingerprint('second'),
        state: 'active',
        since: expect.any(String),
        because: 'a run saw it',
        createdAt: expect.any(String),
        lastProvedAt: null,
        destroyedAt: null,
      },
      expect.objectContaining({ slot: 'a', fingerprint: desk.fingerprint('first'), state: 'dead' }),
    ]);
    expect(JSON.stringify(told)).not.toMatch(/-(public|private)/);
  });

  test('that were given for another address than the spec’s say so', async () => {
    await applied(commands, input('moved', { connectwise: { managementKey: connectwiseKey('moved') } }));
    await applied(commands, input('moved', { connectwise: { site: EU_SITE } }));
    expect(value(await commands.credentials('moved'))).toMatchObject([{ state: 'bound-elsewhere' }]);
  });

  test('of no tenant are not found', async () => {
    expect(await commands.credentials('nobody')).toMatchObject({ refusal: { kind: 'not-found' } });
  });
});

test('events and runs come newest first, page by page', async () => {
  await applied(commands, input('paged'));
  for (const name of ['b', 'c', 'd']) {
    await applied(commands, input('paged', { name }));
    await desk.run('paged');
  }
  const first = value(await commands.events('paged', { before: null, limit: 3 }));
  const second = value(await commands.events('paged', { before: first.next, limit: 3 }));
  expect([...first.items, ...second.items].map(({ message }) => message)).toEqual([
    'Generation 4: name.',
    'Generation 3: name.',
    'Generation 2: name.',
    'Generation 1.',
  ]);
  expect(second.next).toBeNull();
  const runs = value(await commands.runs('paged', { before: null, limit: 2 }));
  const rest = value(await commands.runs('paged', { before: runs.next, limit: 2 }));
  const ids = [...runs.items, ...rest.items].map(({ id }) => id);
  expect(ids).toHaveLength(3);
  expect(ids).toEqual(ids.toSorted().toReversed());
});
