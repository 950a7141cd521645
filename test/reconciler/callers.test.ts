import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { inScope, type Caller, type Scope } from '../../src/domain/access.ts';
import { namesOf, wordsFor } from '../../src/domain/shared-words.ts';
import { EVERYBODY } from '../../src/domain/tenant-filter.ts';
import { begin } from '../../src/domain/umbrella-rotation.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import {
  applied,
  connectwiseKey,
  input,
  leaving,
  NOW,
  openDesk,
  pair,
  refusal,
  umbrellaKey,
  value,
} from './commands-fixtures.ts';

/** The use cases of one who asks: what exists for them, and what the audit keeps of them. */

let desk: Awaited<ReturnType<typeof openDesk>>;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const caller = (change: Partial<Caller> = {}): Caller => ({
  name: 'ci',
  tokenId: 'token-1',
  role: 'admin',
  scope: null,
  from: '10.0.0.7',
  requestId: 'request-1',
  idempotencyKey: null,
  ...change,
});
const boundTo = (scope: Partial<Scope>) =>
  desk.commands.as(caller({ scope: { tenants: [], labels: [], ...scope } }));

interface Row {
  action: string;
  subject: string | null;
  reason: string | null;
  before: unknown;
  after: unknown;
}
const auditOf = async (tenant: string): Promise<Row[]> => {
  const { rows } = await desk.store.pool.query<Row>(
    `select action, subject, reason, before, after from audit where tenant_id = $1 and actor = 'ci' order by id`,
    [tenant],
  );
  return rows;
};

describe('the audit', () => {
  test('of a tenant tells each change with what was before and after, and keys by fingerprint', async () => {
    const commands = desk.commands.as(caller());
    const keys = { connectwise: { managementKey: connectwiseKey('told-m') } };
    await applied(commands, input('told', keys));
    await applied(commands, input('told', { ...keys, mode: 'repair', labels: { team: 'east' } }));
    // Nothing differs, so that nothing was done.
    await applied(commands, input('told', { ...keys, mode: 'repair', labels: { team: 'east' } }));
    value(await commands.apply([input('told', { mode: 'alert' })], { dryRun: true }));
    value(await commands.replaceCredential('told', 'umbrella-api', pair('told-u'), null));
    value(await commands.reconcile('told', 'a look before the weekend'));
    value(await commands.rotate('told', { ...ASKED, credential: 'integration' }));
    value(await commands.rollback('told', { by: 'Ada', reason: 'changed our minds' }));
    value(await commands.deleteTenant('told', leaving({ reason: 'they left' })));
    value(await commands.keepTenant('told', { by: 'Ada', reason: 'they stay' }));
    const fingerprint = desk.fingerprint('told-m');
    expect(await auditOf('told')).toMatchObject([
      {
        action: 'tenant.create',
        before: null,
        after: { spec: { mode: 'observe' }, pairs: [{ purpose: 'management', fingerprint }] },
      },
      {
        action: 'tenant.replace',
        before: { spec: { mode: 'observe', 'labels.team': null } },
        after: { spec: { mode: 'repair', 'labels.team': 'east' } },
      },
      {
        action: 'credential.replace',
        subject: 'umbrella-api',
        before: null,
        after: { fingerprint: desk.fingerprint('told-u') },
      },
      { action: 'tenant.reconcile', reason: 'manual: a look before the weekend' },
      { action: 'rotation.request', reason: 'audit', after: { by: 'Ada', cause: 'request' } },
      { action: 'rotation.rollback', reason: 'changed our minds', after: { by: 'Ada' } },
      {
        action: 'tenant.delete',
        reason: 'they left',
        before: { deleting: false },
        after: { deleting: true, onDelete: 'orphan', by: 'Jo', unseen: false },
      },
      { action: 'tenant.undelete', reason: 'they stay', after: { deleting: false, by: 'Ada' } },
    ]);
    expect(await desk.dump()).not.toContain('told-m-private');
  });

  test('of a pause tells who paused, what was before, and who ended it', async () => {
    const commands = desk.commands.as(caller());
    await applied(commands, input('paused'));
    value(await commands.pause('paused', { by: 'Ada', reason: 'a freeze', until: null }));
    value(
      await commands.pause('paused', { by: 'Bob', reason: 'another one', until: '2999-01-01T00:00:00Z' }),
    );
    value(await commands.resume('paused', { by: 'Eve', reason: 'it thawed' }));
    // Nothing is paused, so that nothing was done.
    expect(refusal(await commands.resume('paused', { by: 'Eve', reason: 'x' }))).toBe(
      'conflict: paused is not paused.',
    );
    const [, ...told] = await auditOf('paused');
    expect(told).toMatchObject([
      { action: 'tenant.pause', reason: 'a freeze', before: null, after: { by: 'Ada' } },
      {
        action: 'tenant.pause',
        reason: 'another one',
        before: { by: 'Ada', reason: 'a freeze' },
        after: { by: 'Bob', until: '2999-01-01T00:00:00.000Z' },
      },
      {
        action: 'tenant.resume',
        reason: 'it thawed',
        before: { by: 'Bob' },
        after: { by: 'Eve' },
      },
    ]);
  });

  test('of a hand-off tells who had it, what was given, and who saw a pair', async () => {
    const commands = desk.commands.as(caller());
    await applied(commands, input('handed', { mode: 'repair' }));
    const member = { purpose: 'integration' as const, member: 'umbrella-a' };
    const made = await desk.handoff('handed', 'issue-integration-key', 'umbrella-a', { input: member });
    value(await commands.claimHandoff(made, 'Ada'));
    // Again by the same person changes nothing.
    value(await commands.claimHandoff(made, 'Ada'));
    value(await commands.releaseHandoff(made, 'Ada'));
    value(await commands.submitHandoff(made, { by: 'Bob', pair: pair('handed-a'), attest: false }));
    const fingerprint = desk.fingerprint('handed-a');
    const install = await desk.handoff('handed', 'install-integration-key', fingerprint);
    value(await commands.claimHandoff(install, 'Eve'));
    value(await commands.reveal(install, { by: 'Eve', reason: 'the window is closed' }));
    const [, ...told] = await auditOf('handed');
    expect(told).toMatchObject([
      { action: 'handoff.claim', subject: made, before: { claimedBy: null }, after: { claimedBy: 'Ada' } },
      { action: 'handoff.release', subject: made, after: { state: 'open', claimedBy: null } },
      {
        action: 'handoff.submit',
        subject: made,
        before: { state: 'open' },
        after: { state: 'submitted', by: 'Bob', attested: false, pair: { fingerprint } },
      },
      { action: 'handoff.claim', subject: install },
      {
        action: 'handoff.reveal',
        subject: install,
        reason: 'the window is closed',
        after: { shownTo: 'Eve', fingerprint },
      },
    ]);
    expect(await desk.dump()).not.toContain('handed-a-private');
  });

  test('has nothing of what was refused, and nothing of what a run does', async () => {
    const commands = desk.commands.as(caller());
    await applied(commands, input('quiet'));
    refusal(await commands.rotate('quiet', { ...ASKED, credential: 'integration' }));
    refusal(await commands.replaceTenant(input('quiet', { mode: 'repair' }), 7));
    refusal(await commands.createTenant(input('quiet')));
    await desk.run('quiet');
    expect((await auditOf('quiet')).map(({ action }) => action)).toEqual(['tenant.create']);
  });
});

describe('a refusal', () => {
  const noted = async (tenant: string) =>
    (await auditOf(tenant)).filter(({ action }) => action === 'refused');

  test('is noted once a minute, with what was lacked', async () => {
    const commands = desk.commands.as(caller({ role: 'viewer' }));
    await applied(desk.commands, input('refusing', { mode: 'repair' }));
    const handoff = await desk.handoff('refusing', 'issue-integration-key', 'umbrella-a');
    for (const _ of [1, 2]) await commands.noteRefusal({ tenant: 'refusing' }, 'tenants:write');
    await commands.noteRefusal({ tenant: 'refusing' }, 'rotations:write');
    for (const _ of [1, 2]) await commands.noteRefusal({ handoff }, 'secrets:reveal');
    expect(await noted('refusing')).toMatchObject([
      { subject: null, after: { lacks: 'tenants:write' } },
      { subject: null, after: { lacks: 'rotations:write' } },
      { subject: handoff, after: { lacks: 'secrets:reveal' } },
    ]);
  });

  test('about what does not exist for the caller is not noted', async () => {
    const commands = boundTo({ tenants: ['another'] });
    await commands.noteRefusal({ tenant: 'refusing-too' }, 'tenants:write');
    await applied(desk.commands, input('refusing-too'));
    await commands.noteRefusal({ tenant: 'refusing-too' }, 'tenants:write');
    expect(await noted('refusing-too')).toEqual([]);
  });
});

const ASKED = { by: 'Ada', reason: 'audit', compromised: false, cutNow: false };

describe('tenants outside of a scope', () => {
  const north = { team: 'north' };
  let handoff: string;
  beforeAll(async () => {
    const key = { umbrella: { apiKey: umbrellaKey('theirs-u') } };
    await applied(desk.commands, input('theirs', { mode: 'repair', labels: { team: 'south' }, ...key }));
    await applied(desk.commands, input('mine-by-label', { labels: north }), input('mine-by-id'));
    handoff = await desk.handoff('theirs', 'issue-integration-key', 'umbrella-a', {
      input: { purpose: 'integration', member: 'umbrella-a' },
    });
  });
  const mine = () =>
    boundTo({ tenants: ['mine-by-id', 'not-made-yet'], labels: [{ key: 'team', value: 'north' }] });

  const PAGE = { before: null, limit: 5 };
  const EVENTS = { labels: [], tenant: null, types: [] };
  const MANY = { reason: 'audit', confirmation: null };
  const NOT_LONG = { met: () => false, ms: 1, signal: AbortSignal.timeout(60_000) };
  const EACH: [string, (commands: Commands, tenant: string, handoff: string) => Promise<unknown>][] = [
    ['tenant', (commands, id) => commands.tenant(id)],
    ['status', (commands, id) => commands.status(id)],
    ['plan', (commands, id) => commands.plan(id)],
    ['customers', (commands, id) => commands.customers(id)],
    ['credentials', (commands, id) => commands.credentials(id)],
    ['events', (commands, id) => commands.events(id, PAGE)],
    ['runs', (commands, id) => commands.runs(id, PAGE)],
    ['rotations', (commands, id) => commands.rotations(id)],
    ['audit', (commands, id) => commands.audit(id)],
    ['adoption', (commands, id) => commands.adoption(id)],
    ['a run', (commands, id) => commands.run(id, '01996f7e-0000-7000-8000-00000000dead')],
    ['wait', (commands, id) => commands.waitForStatus(id, NOT_LONG)],
    ['reconcile', (commands, id) => commands.reconcile(id, 'look')],
    [
      'reconcile many',
      (commands, id) => commands.reconcileMany({ ...MANY, filter: { ...EVERYBODY, ids: [id] } }),
    ],
    [
      'rotate many',
      (commands, id) => commands.rotateMany({ ...MANY, by: 'Ada', filter: { ...EVERYBODY, ids: [id] } }),
    ],
    ['rotate', (commands, id) => commands.rotate(id, { ...ASKED, credential: 'integration' })],
    ['rotate the other', (commands, id) => commands.rotate(id, { ...ASKED, credential: 'umbrella-api' })],
    ['rollback', (commands, id) => commands.rollback(id, ASKED)],
    ['pause', (commands, id) => commands.pause(id, { ...ASKED, until: null })],
    ['resume', (commands, id) => commands.resume(id, ASKED)],
    [
      'accept',
      (commands, id) => commands.accept(id, { ...ASKED, path: 'role', expires: '1d', observed: null }),
    ],
    ['withdraw', (commands, id) => commands.withdrawAcceptance(id, { ...ASKED, path: 'role' })],
    ['acceptances', (commands, id) => commands.acceptances(id)],
    ['delete', (commands, id) => commands.deleteTenant(id, leaving())],
    ['take a deletion back', (commands, id) => commands.keepTenant(id, ASKED)],
    ['brake', (commands, id) => commands.releaseBrake('b', id, { ...ASKED, withoutCanary: false })],
    ['replace', (commands, id) => commands.replaceTenant(input(id), null)],
    ['create', (commands, id) => commands.createTenant(input(id))],
    ['apply', (commands, id) => commands.apply([input(id)], { dryRun: false })],
    ['try to apply', (commands, id) => commands.apply([input(id)], { dryRun: true })],
    ['credential', (commands, id) => commands.replaceCredential(id, 'management', pair('x'), null)],
    ['handoff', (commands, _, id) => commands.handoff(id)],
    ['claim', (commands, _, id) => commands.claimHandoff(id, 'Ada')],
    ['release', (commands, _, id) => commands.releaseHandoff(id, 'Ada')],
    ['reveal', (commands, _, id) => commands.reveal(id, ASKED)],
    ['submit', (commands, _, id) => commands.submitHandoff(id, { by: 'A', pair: pair('x'), attest: false })],
    ['handoffs', (commands, id) => commands.handoffs({ tenant: id, live: false })],
  ];
  test.each(EACH)('%s: are not told from tenants that are not there', async (_, ask) => {
    const nowhere = '01996f7e-0000-7000-8000-00000000dead';
    const before = await desk.store.pool.query("select * from tenants where id = 'theirs'");
    const words = (answer: unknown) => JSON.stringify(answer).replaceAll(/theirs|nobody|01[\w-]+/g, '…');
    const theirs = await ask(mine(), 'theirs', handoff);
    expect(words(theirs)).toEqual(words(await ask(mine(), 'nobody', nowhere)));
    expect(JSON.stringify(theirs)).not.toMatch(/"ok":true|umbrella-a/);
    expect((await desk.store.pool.query("select * from tenants where id = 'theirs'")).rows).toEqual(
      before.rows,
    );
    expect(await desk.store.desk.tenants(['nobody'])).toEqual([]);
  });

  /** Those that are of no tenant and no hand-off, or that other tests ask. */
  const OTHERS = {
    'of themselves, in tokens.test.ts': ['tokens', 'createToken', 'revokeToken'],
    'of all that one sees, below': [
      'specs',
      'tenants',
      'fleet',
      'fleetEvents',
      'followEvents',
      'brakes',
      'auditLog',
    ],
    'of the whole fleet, which the API keeps from who is bound': ['brakes'],
    'of who asks': ['as', 'noteRefusal', 'answerAutomation'],
  };
  test('are asked for by every command that there is', async () => {
    const asked = new Set<string>();
    const noting = new Proxy(mine(), {
      get(commands, name: string) {
        asked.add(name);
        return Reflect.get(commands, name);
      },
    });
    for (const [, ask] of EACH) await ask(noting, 'nobody', '01996f7e-0000-7000-8000-00000000dead');
    const others = Object.values(OTHERS).flat();
    expect(Object.keys(desk.commands).toSorted()).toEqual([...new Set([...asked, ...others])].toSorted());
    expect(others.filter((name) => asked.has(name))).toEqual([]);
  });

  test('are counted, told and heard of by nobody', async () => {
    const fleet = await mine().fleet([]);
    expect(fleet.tenants.total).toBe(2);
    const events = await mine().fleetEvents({ before: null, limit: 200 }, EVENTS);
    expect(new Set(events.items.map(({ tenant }) => tenant))).toEqual(
      new Set(['mine-by-id', 'mine-by-label']),
    );
    const heard: (string | null)[] = [];
    const stop = await mine().followEvents(
      { after: 0, filter: EVENTS },
      {
        take: (events) => void heard.push(...events.map(({ event }) => event.tenant)),
        room: () => Promise.resolve(true),
        beat() {},
        gap() {},
        end() {},
      },
    );
    stop();
    expect(new Set(heard)).toEqual(new Set(['mine-by-id', 'mine-by-label']));
    const all = await mine().reconcileMany({ ...MANY, filter: EVERYBODY });
    expect(value(all).tenants.map(({ id }) => id)).toEqual(['mine-by-id', 'mine-by-label']);
  });

  test('are in no list', async () => {
    const { items } = value(await mine().tenants({ after: null, limit: 200 }));
    expect(items.map(({ id }) => id)).toEqual(['mine-by-id', 'mine-by-label']);
    const specs = await mine().specs({ labels: [], after: null, limit: 200 });
    expect(specs.items.map(({ id }) => id)).toEqual(['mine-by-id', 'mine-by-label']);
    expect(await mine().handoffs({ tenant: null, live: false })).toEqual([]);
    expect(await desk.commands.handoffs({ tenant: 'theirs', live: true })).toHaveLength(1);
  });

  test('are not named where they hold what is asked for', async () => {
    const company = { companyId: 'theirs' };
    const asked = [
      await mine().replaceTenant(input('mine-by-id', { connectwise: company }), null),
      await mine().replaceTenant(
        input('mine-by-id', { umbrella: { apiKey: umbrellaKey('theirs-u') } }),
        null,
      ),
      await mine().replaceCredential('mine-by-id', 'umbrella-api', pair('theirs-u'), null),
    ];
    for (const answer of asked) {
      const words = refusal(answer);
      expect(words).toMatch(/another tenant/);
      expect(words.replace('connectwise.companyId', '')).not.toMatch(/theirs/);
    }
  });

  test('are made by who is bound to them by name, and by no other', async () => {
    const made = await mine().apply([input('not-made-yet')], { dryRun: false });
    expect(value(made)).toMatchObject({ changes: [{ change: 'created' }] });
    const outside = await mine().apply(
      [input('mine-by-id', { mode: 'alert' }), input('b', { labels: north })],
      {
        dryRun: false,
      },
    );
    expect(refusal(outside)).toBe('tenants.1.id: is none of the tenants that this token is bound to');
    expect(value(await mine().tenant('mine-by-id')).spec.mode).toBe('observe');
  });

  test('do not become so by a change of one’s own', async () => {
    const asked = await mine().replaceTenant(input('mine-by-label', { labels: { team: 'south' } }), null);
    expect(refusal(asked)).toBe('labels: would take it out of what this token is bound to');
    // Who is bound by name keeps it whatever its labels are.
    value(await mine().replaceTenant(input('mine-by-id', { labels: { team: 'south' } }), null));
  });
});

describe('callers who ask for the same tenants at the same moment', () => {
  const SHARING = ['sharing-a', 'sharing-b', 'sharing-c'];
  beforeAll(async () => {
    const sharing = SHARING.map((id, index) =>
      input(id, { umbrella: { apiKey: umbrellaKey('shared-u'), organizationId: String(index + 1) } }),
    );
    await applied(desk.commands, ...sharing);
    const { pool } = desk.store;
    await pool.query(
      `update credentials set key_identity = 'shared' where tenant_id = any($1) and purpose = 'umbrella-api'`,
      [SHARING],
    );
    const old = { identity: 'shared', fingerprint: desk.fingerprint('shared-u') };
    const asked = { cause: 'person' as const, why: 'xenia left', by: 'xenia', tenant: 'sharing-b' };
    const rotation = {
      ...begin(1, asked, old, NOW),
      phase: 'Resting',
      tenants: SHARING,
      held: wordsFor('sharing-b', 'sharing-b is in mode alert', 'another tenant may not be changed'),
      evidence: [{ at: NOW.toISOString(), what: `The new key is in use for ${namesOf(SHARING)}.` }],
    };
    await pool.query(
      `insert into umbrella_keys (id, origin, identity, rotation) values ('shared', 'https://x', 'shared', $1)`,
      [rotation],
    );
  });

  const READS = {
    status: (commands: Commands, id: string) => commands.status(id),
    customers: (commands: Commands, id: string) => commands.customers(id),
    plan: (commands: Commands, id: string) => commands.plan(id),
  };
  test.each(Object.entries(READS))('%s: each is answered as what exists for them', async (_, read) => {
    const alone = await read(desk.commands, 'sharing-b');
    expect(alone).toMatchObject({ ok: true });
    const query = vi.spyOn(desk.store.pool, 'query');
    try {
      const asking = [desk.commands, ...SHARING.map((id) => boundTo({ tenants: [id] }))];
      const told = await Promise.all(
        asking.map((commands) => Promise.all([...SHARING, 'nobody'].map((id) => read(commands, id)))),
      );
      // All of them are answered from what was read once.
      expect(query.mock.calls.map(([asked]) => (asked as { name?: string }).name)).toEqual([
        'parasol_tenant_record',
      ]);
      const [everybody, ...bound] = told;
      const [first, second, third, nobody] = everybody!;
      expect([first, second, third]).toMatchObject([{ ok: true }, { ok: true }, { ok: true }]);
      const missing = (id: string): unknown => JSON.parse(JSON.stringify(nobody).replaceAll('nobody', id));
      expect(bound).toEqual(
        SHARING.map((own) => [
          ...SHARING.map((id, place) => (id === own ? everybody![place] : missing(id))),
          nobody,
        ]),
      );
    } finally {
      query.mockRestore();
    }
  });

  test('learn of nobody else who shares their Umbrella key, not even by who asks beside them', async () => {
    const [everybody, a, b] = await Promise.all([
      Promise.all(SHARING.map((id) => desk.commands.status(id))),
      boundTo({ tenants: ['sharing-a'] }).status('sharing-a'),
      boundTo({ tenants: ['sharing-b'] }).status('sharing-b'),
    ]);
    const words = (answer: unknown) => JSON.stringify(answer);
    expect(words(everybody)).toMatch(/sharing-a.*sharing-b.*sharing-c/);
    expect(value(b).umbrellaRotation).toMatchObject({
      by: 'xenia',
      why: 'xenia left',
      held: 'sharing-b is in mode alert',
      tenants: ['sharing-b'],
      others: 2,
    });
    expect(words(b)).not.toMatch(/sharing-[ac]/);
    expect(value(a).umbrellaRotation).toMatchObject({
      by: null,
      why: 'A tenant that shares the key asked for it.',
      held: 'another tenant may not be changed',
      tenants: ['sharing-a'],
      others: 2,
      evidence: [{ what: 'The new key is in use for sharing-a, 2 other tenants.' }],
    });
    expect(words(a)).not.toMatch(/sharing-[bc]|xenia|alert/);
  });
});

test('SQL and the domain agree on what a scope shows', async () => {
  const key = fc.constantFrom('team', 'tier', 'x/y.z');
  const word = fc.constantFrom('north', 'south', '1');
  const ids = ['agree-a', 'agree-b', 'agree-c', 'agree-d'];
  const labels = fc.dictionary(key, word);
  const scope = fc.record({
    tenants: fc.subarray(ids),
    labels: fc.array(fc.record({ key, value: fc.option(word, { nil: null }) }), { maxLength: 2 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.tuple(labels, labels, labels, labels), scope, async (given, bound) => {
      await applied(desk.commands, ...ids.map((id, index) => input(id, { labels: given[index] })));
      const expected = ids.filter((id, index) => inScope(bound, { id, labels: given[index]! }));
      const seen = desk.store.desk.as(caller({ scope: bound }));
      expect((await seen.tenants(ids)).map(({ tenant }) => tenant.id)).toEqual(expected);
      const heard = await Promise.all(ids.map((id) => seen.events(id, { before: null, limit: 1 })));
      expect(ids.filter((_, index) => heard[index]!.items.length > 0)).toEqual(expected);
    }),
    { numRuns: 40 },
  );
});

test('the audit is read in pages, newest first, by what is asked for, and of one’s own tenants alone', async () => {
  const commands = desk.commands.as(caller());
  await applied(commands, input('read-a'), input('read-b'));
  value(await commands.reconcile('read-a', 'one'));
  value(await desk.commands.as(caller({ name: 'jo' })).reconcile('read-a', 'two'));
  const page = { before: null, limit: 2, tenant: 'read-a', actor: null, action: null, since: null };
  const first = await commands.auditLog(page);
  expect(first.items.map(({ actor, action }) => [actor, action])).toEqual([
    ['jo', 'tenant.reconcile'],
    ['ci', 'tenant.reconcile'],
  ]);
  const second = await commands.auditLog({ ...page, before: Number(first.next) });
  expect([second.items.map(({ action }) => action), second.next]).toEqual([['tenant.create'], null]);
  expect((await commands.auditLog({ ...page, actor: 'jo' })).items).toHaveLength(1);
  expect((await commands.auditLog({ ...page, action: 'tenant.create' })).items).toHaveLength(1);
  expect((await commands.auditLog({ ...page, since: '2100-01-01T00:00:00Z' })).items).toEqual([]);
  const bound = await boundTo({ tenants: ['read-b'] }).auditLog({ ...page, tenant: null, limit: 50 });
  expect(bound.items.map(({ tenantId }) => tenantId)).toEqual(['read-b']);
});
