import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PARASOL, type Caller } from '../../src/domain/access.ts';
import { EVERYBODY, type TenantFilter } from '../../src/domain/tenant-filter.ts';
import type { BulkAnswer } from '../../src/reconciler/bulk.ts';
import type { Answer, Commands } from '../../src/reconciler/commands.ts';
import { applied, input, openDesk, value } from './commands-fixtures.ts';

let desk: Awaited<ReturnType<typeof openDesk>>;
beforeAll(async () => {
  desk = await openDesk();
});
afterAll(() => desk.close());

const ADA: Caller = { ...PARASOL, name: 'ada', tokenId: 'token-of-ada', role: 'admin' };
const as = (caller: Partial<Caller> = {}): Commands => desk.commands.as({ ...ADA, ...caller });
const reason = 'after the audit';
const of = (team: string): TenantFilter => ({ ...EVERYBODY, labels: [{ key: 'team', value: team }] });
const named = (...ids: string[]): TenantFilter => ({ ...EVERYBODY, ids });

let count = 0;
/** Tenants of a team of their own. */
async function team(...changes: object[]): Promise<{ name: string; ids: string[] }> {
  const name = `team-${(count += 1)}`;
  const ids = changes.map((_, index) => `${name}-${index}`);
  for (const [index, change] of changes.entries()) {
    await applied(desk.commands, input(ids[index]!, { mode: 'repair', labels: { team: name }, ...change }));
  }
  return { name, ids };
}

const look = async (filter: TenantFilter, commands = as()) =>
  value(await commands.reconcileMany({ filter, reason, confirmation: null }));
const confirm = (filter: TenantFilter, token: string, commands = as()) =>
  commands.reconcileMany({ filter, reason, confirmation: token });
const triggers = async (ids: string[]): Promise<number[]> => {
  const { rows } = await desk.store.pool.query<{ seq: string }>(
    'select trigger_seq as seq from tenants where id = any($1) order by id',
    [ids],
  );
  return rows.map(({ seq }) => Number(seq));
};
const entries = async (ids: string[]) => {
  const { rows } = await desk.store.pool.query(
    `select tenant_id, action, actor, reason from audit where tenant_id = any($1) and actor = 'ada' order by tenant_id`,
    [ids],
  );
  return rows;
};
const refusal = (answer: Answer<BulkAnswer>) => (answer.ok ? null : answer.refusal);

describe('a reconcile of many tenants', () => {
  test('names each first and changes nothing, then runs exactly those, each with its entry in the audit', async () => {
    const { name, ids } = await team({}, {}, {});
    const [other] = (await team({})).ids;
    const before = await triggers([...ids, other!]);
    const found = await look(of(name));
    expect(found).toMatchObject({
      dryRun: true,
      tenants: ids.map((id) => ({ id, refused: null, trigger: null })),
    });
    expect(await triggers([...ids, other!])).toEqual(before);
    const ran = value(await confirm(of(name), found.confirmation!.token));
    expect(ran).toMatchObject({ dryRun: false, confirmation: null });
    expect(ran.tenants.map(({ trigger }) => trigger)).toEqual(before.slice(0, 3).map((seq) => seq + 1));
    expect(await triggers([...ids, other!])).toEqual(before.map((seq, index) => (index < 3 ? seq + 1 : seq)));
    expect(await entries(ids)).toEqual(
      ids.map((id) => ({ tenant_id: id, action: 'tenant.reconcile', actor: 'ada', reason })),
    );
  });

  test.each<[string, (filter: TenantFilter, token: string) => Promise<Answer<BulkAnswer>>]>([
    ['of another caller', (filter, token) => confirm(filter, token, as({ tokenId: 'token-of-bo' }))],
    ['for others', (_, token) => confirm(EVERYBODY, token)],
    [
      'for another command',
      (filter, token) => as().rotateMany({ filter, reason, by: 'Ada', confirmation: token }),
    ],
    [
      'that is too old',
      async (filter, token) => {
        await desk.store.pool.query("update confirmations set expires_at = now() - interval '1 second'");
        return confirm(filter, token);
      },
    ],
    ['that nobody gave', (filter) => confirm(filter, '01996f7e-0000-7000-8000-000000000009')],
  ])('does not take a confirmation %s', async (_, use) => {
    const { name, ids } = await team({}, {});
    const { confirmation } = await look(of(name));
    const before = await triggers(ids);
    expect(refusal(await use(of(name), confirmation!.token))).toMatchObject({
      kind: 'invalid',
      problems: [{ path: 'confirmation' }],
    });
    expect([await triggers(ids), await entries(ids)]).toEqual([before, []]);
  });

  test('is confirmed once, also by two at the same time', async () => {
    const { name, ids } = await team({}, {});
    const { confirmation } = await look(of(name));
    const before = await triggers(ids);
    const answers = await Promise.all([1, 2, 3].map(() => confirm(of(name), confirmation!.token)));
    expect(answers.filter(({ ok }) => ok)).toHaveLength(1);
    expect(answers.flatMap((answer) => refusal(answer) ?? [])).toEqual(
      [1, 2].map(() => ({ kind: 'conflict', message: expect.stringContaining('done already') })),
    );
    expect(await triggers(ids)).toEqual(before.map((seq) => seq + 1));
  });

  test('is known as done to who confirms again, for a day, and though one of them is gone by then', async () => {
    const { ids } = await team({}, {});
    const { confirmation } = await look(named(...ids));
    const { token } = confirmation!;
    value(await confirm(named(...ids), token));
    const before = await triggers(ids);
    await desk.store.pool.query('delete from tenants where id = $1', [ids[1]]);
    await look(EVERYBODY);
    expect(refusal(await confirm(named(...ids), token))).toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining('Nothing was done again'),
    });
    for (const [commands, filter] of [
      [as({ tokenId: 'token-of-bo' }), named(...ids)],
      [as(), named(ids[0]!)],
    ] as const) {
      expect(refusal(await confirm(filter, token, commands))).toMatchObject({ kind: 'invalid' });
    }
    await desk.store.pool.query("update confirmations set expires_at = expires_at - interval '1 day'");
    expect(refusal(await confirm(named(...ids), token))).toMatchObject({ kind: 'invalid' });
    expect(await triggers([ids[0]!])).toEqual(before.slice(0, 1));
  });

  test('is refused, and tells who came and who went, where others are meant by now', async () => {
    const { name, ids } = await team({}, {});
    const { confirmation } = await look(of(name));
    await applied(desk.commands, input('newcomer', { labels: { team: name } }));
    await applied(desk.commands, input(ids[0]!, { labels: {} }));
    const before = await triggers([...ids, 'newcomer']);
    expect(refusal(await confirm(of(name), confirmation!.token))).toMatchObject({
      kind: 'conflict',
      message: expect.stringMatching(/1 came \(newcomer\), 1 went \(team-\d+-0\)\. Nothing was done/),
    });
    expect(await triggers([...ids, 'newcomer'])).toEqual(before);
  });

  test('tells of tenants that there are not, and of other people’s no more than of those', async () => {
    const { ids } = await team({}, {});
    const mine = as({ scope: { tenants: [ids[0]!], labels: [] } });
    for (const [commands, filter, missing] of [
      [as(), named(ids[0]!, 'nobody'), 'nobody'],
      [mine, named(...ids), ids[1]],
    ] as const) {
      expect(refusal(await commands.reconcileMany({ filter, reason, confirmation: null }))).toEqual({
        kind: 'invalid',
        problems: [{ path: 'selector.ids', message: `there is no tenant ${missing}` }],
      });
    }
    expect((await look(EVERYBODY, mine)).tenants.map(({ id }) => id)).toEqual([ids[0]]);
  });

  test('of nobody has nothing to confirm; one that is named and not meant is none that is missing', async () => {
    expect(await look(of('nowhere'))).toEqual({ dryRun: true, tenants: [], confirmation: null });
    const { ids } = await team({});
    expect((await look({ ...named(...ids), mode: 'alert' })).tenants).toEqual([]);
  });
});

describe('a rotation of many tenants', () => {
  const ask = (filter: TenantFilter, confirmation: string | null) =>
    as().rotateMany({ filter, reason, by: 'Ada', confirmation });
  const rotating = async (ids: string[]) => {
    const { rows } = await desk.store.pool.query<{ tenant: string }>(
      'select tenant_id as tenant from rotations where tenant_id = any($1) and ended_at is null order by 1',
      [ids],
    );
    return rows.map(({ tenant }) => tenant);
  };

  test('says of which it would be refused and why, and begins all of the others', async () => {
    const { name, ids } = await team({}, { mode: 'observe' }, { paused: true }, {}, {});
    value(
      await desk.commands.rotate(ids[3]!, {
        credential: 'integration',
        by: 'Bo',
        reason: 'x',
        compromised: false,
        cutNow: false,
      }),
    );
    const found = value(await ask(of(name), null));
    expect(found.tenants.map(({ refused }) => refused)).toEqual([
      null,
      expect.stringContaining('mode observe'),
      expect.stringContaining('paused'),
      expect.stringContaining('under way'),
      null,
    ]);
    expect(await rotating(ids)).toEqual([ids[3]]);
    const begun = value(await ask(of(name), found.confirmation!.token));
    expect(await rotating(ids)).toEqual([ids[0], ids[3], ids[4]]);
    const [record] = value(await desk.commands.rotations(ids[0]!));
    expect(record).toMatchObject({ id: begun.tenants[0]!.rotation, cause: 'request', by: 'Ada', reason });
    expect(await entries(ids)).toEqual(
      [ids[0], ids[4]].map((id) => ({ tenant_id: id, action: 'rotation.request', actor: 'ada', reason })),
    );
    const { items } = value(await desk.commands.events(ids[4]!, { before: null, limit: 10 }));
    expect(items.map(({ type }) => type)).toContain('RotationRequested');
  });

  test('is refused where one of them can no longer be rotated', async () => {
    const { name, ids } = await team({}, {});
    const { confirmation } = value(await ask(of(name), null));
    await applied(desk.commands, input(ids[1]!, { mode: 'repair', paused: true, labels: { team: name } }));
    expect(refusal(await ask(of(name), confirmation!.token))).toMatchObject({
      kind: 'conflict',
      message: expect.stringContaining(`1 went (${ids[1]})`),
    });
    expect(await rotating(ids)).toEqual([]);
  });
});
