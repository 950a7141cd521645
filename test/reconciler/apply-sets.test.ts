import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseSelector } from '../../src/domain/labels.ts';
import type { TenantInput } from '../../src/domain/tenant.ts';
import type { Commands } from '../../src/reconciler/commands.ts';
import { applied, connectwiseKey, input, openDesk, refusal, value } from './commands-fixtures.ts';

let desk: Awaited<ReturnType<typeof openDesk>>;
let commands: Commands;
beforeAll(async () => {
  desk = await openDesk();
  ({ commands } = desk);
});
afterAll(() => desk.close());

describe('what a set changes is told field by field:', () => {
  test('of a new tenant all that is not as it is by default, and its keys by fingerprint', async () => {
    const managementKey = connectwiseKey('told-m');
    const [change] = await applied(
      commands,
      input('told', { labels: { team: 'north' }, mode: 'repair', connectwise: { managementKey } }),
    );
    const told = Object.fromEntries(change!.differences.map(({ path, after }) => [path, after]));
    expect(told).toMatchObject({
      name: 'told MSP',
      'labels.team': 'north',
      mode: 'repair',
      'connectwise.companyId': 'told',
      'connectwise.managementKey': desk.fingerprint('told-m'),
    });
    expect(Object.keys(told)).not.toContain('id');
    expect(Object.keys(told)).not.toContain('every');
    expect(change!.differences.every(({ before }) => before === null)).toBe(true);
  });

  test('of a known one both sides, and null for a side that is not there', async () => {
    await applied(commands, input('sides', { labels: { team: 'north' } }));
    const [change] = await applied(
      commands,
      input('sides', { paused: true, labels: { tier: 'one' }, rotation: { window: 'Sat 02:00-06:00 UTC' } }),
    );
    expect(change!.differences).toEqual([
      { path: 'labels.team', kind: 'setting', before: 'north', after: null },
      { path: 'labels.tier', kind: 'setting', before: null, after: 'one' },
      { path: 'paused', kind: 'setting', before: false, after: true },
      { path: 'rotation.window', kind: 'setting', before: null, after: 'Sat 02:00-06:00 UTC' },
    ]);
  });

  test('a key that comes into use for another site, beside the one in use so far', async () => {
    const site = (name: string, managementKey: object) =>
      input('moving', { connectwise: { site: `https://${name}.myconnectwise.net`, managementKey } });
    await applied(commands, site('na', connectwiseKey('moving-1')));
    const [change] = await applied(commands, site('eu', connectwiseKey('moving-2')));
    expect(change!.differences.at(-1)).toEqual({
      path: 'connectwise.managementKey',
      kind: 'key',
      before: desk.fingerprint('moving-1'),
      after: desk.fingerprint('moving-2'),
    });
  });
});

describe('a set that goes on without what is refused', () => {
  const company = (id: string, companyId: string): TenantInput => input(id, { connectwise: { companyId } });
  const goOn = async (set: TenantInput[], dryRun = false) =>
    value(await commands.apply(set, { dryRun, keepGoing: true }));

  test('writes those that are in order, and tells why of each of the others', async () => {
    await applied(commands, company('holder', 'held'));
    const set = [company('one', 'one'), company('two', 'held'), company('three', 'three')];
    const tried = await goOn(set, true);
    expect(refusal(await commands.tenant('one'))).toContain('not found');
    const told = await goOn(set);
    expect(told).toEqual(tried);
    expect(told.changes.map(({ id, change }) => `${id} ${change}`)).toEqual(['one created', 'three created']);
    expect(told.refused).toEqual([
      {
        id: 'two',
        problems: [
          {
            path: 'tenants.1.connectwise.companyId',
            message: 'two and holder are the same ConnectWise company: one company is one tenant',
          },
        ],
      },
    ]);
    expect(value(await commands.tenant('three')).generation).toBe(1);
    expect(refusal(await commands.tenant('two'))).toContain('not found');
  });

  test('refuses as well what a refused one would have made room for', async () => {
    await applied(commands, company('first', 'c1'), company('second', 'c2'), company('fixed', 'c0'));
    // The first cannot move, so that the second cannot take its place, nor the third that of the second.
    const told = await goOn([company('third', 'c2'), company('second', 'c1'), company('first', 'c0')]);
    expect(told.changes).toEqual([]);
    expect(told.refused.map(({ id }) => id)).toEqual(['third', 'second', 'first']);
    expect(value(await commands.tenant('first'))).toMatchObject({
      generation: 1,
      spec: { connectwise: { companyId: 'c1' } },
    });
  });

  test('takes the first of two that cannot both be', async () => {
    const told = await goOn([company('early', 'both'), company('late', 'both'), company('early', 'again')]);
    expect(told.changes.map(({ id }) => id)).toEqual(['early']);
    expect(
      told.refused.map(({ id, problems }) => `${id} ${problems.map(({ path }) => path).join()}`),
    ).toEqual(['late tenants.1.connectwise.companyId', 'early tenants.2.id']);
    expect(value(await commands.tenant('early')).spec.connectwise.companyId).toBe('both');
  });

  test('tells who is bound to tenants no more of the others than that they are others', async () => {
    await applied(commands, company('mine', 'mine'), company('other', 'other'));
    const bound = commands.as({
      name: 'bound',
      tokenId: null,
      role: 'admin',
      scope: { tenants: ['mine'], labels: [] },
      from: null,
      requestId: null,
      idempotencyKey: null,
    });
    const set = [
      input('mine', { paused: true, connectwise: { companyId: 'mine' } }),
      company('other', 'other'),
    ];
    const told = value(
      await bound.apply([...set, company('absent', 'absent')], { dryRun: false, keepGoing: true }),
    );
    expect(told.changes.map(({ id, change }) => `${id} ${change}`)).toEqual(['mine updated']);
    const message = 'is none of the tenants that this token is bound to';
    expect(told.refused).toEqual([
      { id: 'other', problems: [{ path: 'tenants.1.id', message }] },
      { id: 'absent', problems: [{ path: 'tenants.2.id', message }] },
    ]);
  });

  test('is written though somebody else takes one of its companies meanwhile', async () => {
    const answers = await Promise.all(
      ['x', 'y', 'z'].map((id) =>
        goOn([company(`race-${id}`, 'raced'), company(`calm-${id}`, `calm-${id}`)]),
      ),
    );
    const made = answers.flatMap(({ changes }) => changes.map(({ id }) => id));
    expect(made.filter((id) => id.startsWith('calm'))).toHaveLength(3);
    expect(made.filter((id) => id.startsWith('race'))).toHaveLength(1);
    expect(answers.flatMap(({ refused }) => refused)).toHaveLength(2);
  });
});

describe('what a set does not have any more', () => {
  const labelled = (id: string, team: string, more: object = {}) => input(id, { labels: { team }, ...more });
  const pruning = (team: string, count: number | null = null) => ({ labels: { team }, count, by: 'jo' });
  const deleting = async (id: string) => value(await commands.tenant(id)).deleting;

  test('goes where it carries the labels of the set, in the same step as the rest, and nothing else goes', async () => {
    const deactivating = { mode: 'repair', onDelete: 'deactivate-members' };
    await applied(commands, labelled('p-stays', 'p'), labelled('p-goes', 'p', deactivating));
    await applied(commands, labelled('p-other', 'q'), input('p-none'));
    const set = [labelled('p-stays', 'p'), labelled('p-new', 'p')];
    const tried = value(await commands.apply(set, { dryRun: true, prune: pruning('p') }));
    expect(tried.removals).toEqual([{ id: 'p-goes', name: 'p-goes MSP', onDelete: 'deactivate-members' }]);
    expect(await deleting('p-goes')).toBe(false);
    const told = value(await commands.apply(set, { dryRun: false, prune: pruning('p', 1) }));
    expect(told).toEqual(tried);
    expect(await deleting('p-goes')).toBe(true);
    for (const id of ['p-stays', 'p-new', 'p-other', 'p-none']) expect(await deleting(id)).toBe(false);
    const { items } = value(await commands.events('p-goes', { before: null, limit: 1 }));
    expect(items).toMatchObject([
      { type: 'DeletionRequested', data: { by: 'jo', reason: 'in no file any more of those of team=p' } },
    ]);
    // It goes already: nobody is asked to confirm it twice.
    expect(value(await commands.apply(set, { dryRun: true, prune: pruning('p') })).removals).toEqual([]);
  });

  test.each([
    [null, 'conflict: No deletions were confirmed, and it is 2 by now: c-1, c-2'],
    [1, 'conflict: 1 deletion was confirmed, and it is 2 by now: c-1, c-2'],
    [3, 'conflict: 3 deletions were confirmed, and it is 2 by now: c-1, c-2'],
  ])('stays, and nothing is applied, where %j was confirmed and two would go', async (count, words) => {
    await applied(commands, labelled('c-1', 'c'), labelled('c-2', 'c'), labelled('c-3', 'c'));
    const set = [labelled('c-3', 'c', { paused: true })];
    expect(refusal(await commands.apply(set, { dryRun: false, prune: pruning('c', count) }))).toContain(
      words,
    );
    expect(await deleting('c-1')).toBe(false);
    expect(value(await commands.tenant('c-3')).spec.paused).toBe(false);
  });

  test('stays, and nothing is applied, where anything of the set is refused', async () => {
    await applied(
      commands,
      labelled('r-1', 'r'),
      input('r-holder', { connectwise: { companyId: 'r-held' } }),
    );
    const set = [labelled('r-2', 'r', { connectwise: { companyId: 'r-held' } }), input('r-3')];
    const words = refusal(await commands.apply(set, { dryRun: false, prune: pruning('r', 1) }));
    expect(words.split('\n')).toEqual([
      'tenants.1.labels: must have team=r: without, it would not be pruned when it is in no file any more',
      'tenants.0.connectwise.companyId: r-2 and r-holder are the same ConnectWise company: one company is one tenant',
    ]);
    expect(await deleting('r-1')).toBe(false);
  });

  test('stays where its end could never come, and says why', async () => {
    await applied(commands, labelled('n-1', 'n', { onDelete: 'deactivate-members' }));
    const words = refusal(
      await commands.apply([labelled('n-2', 'n')], { dryRun: true, prune: pruning('n') }),
    );
    expect(words).toMatch(/^prune\.n-1: n-1 is to have its members switched off .*mode observe/s);
  });

  test('is decided anew where somebody changes it meanwhile', async () => {
    await applied(commands, labelled('m-1', 'm'), labelled('m-2', 'm'));
    const [pruned] = await Promise.all([
      commands.apply([labelled('m-2', 'm')], { dryRun: false, prune: pruning('m', 1) }),
      ...['one', 'two', 'three'].map((name) =>
        commands.apply([labelled('m-1', 'm', { name })], { dryRun: false }),
      ),
    ]);
    expect(pruned.ok).toBe(true);
    expect(await deleting('m-1')).toBe(true);
  });
});

test('specs are listed by their labels, in pages, with the keys that are held', async () => {
  const managementKey = connectwiseKey('s-m');
  const labels = { team: 's', tier: 'one' };
  await applied(
    commands,
    input('s-1', { labels, connectwise: { managementKey } }),
    input('s-2', { labels: { team: 's' } }),
    input('s-3', { labels }),
  );
  const ids = async (after: string | null, limit: number, ...texts: string[]) => {
    const page = await commands.specs({ labels: texts.map((text) => parseSelector(text)!), after, limit });
    return [...page.items.map(({ id }) => id), page.next];
  };
  expect(await ids(null, 9, 'team=s')).toEqual(['s-1', 's-2', 's-3', null]);
  expect(await ids(null, 2, 'team=s')).toEqual(['s-1', 's-2', 's-2']);
  expect(await ids('s-2', 2, 'team=s')).toEqual(['s-3', null]);
  expect(await ids(null, 9, 'team=s', 'tier')).toEqual(['s-1', 's-3', null]);
  expect(await ids(null, 9, 'team=none')).toEqual([null]);
  const { items } = await commands.specs({ labels: [{ key: 'team', value: 's' }], after: null, limit: 1 });
  expect(items).toEqual([value(await commands.tenant('s-1'))]);
});
