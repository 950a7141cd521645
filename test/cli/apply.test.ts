import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import * as canned from './canned.ts';
import { fakeService, run, type Asked, type Routes } from './harness.ts';

const root = mkdtempSync(join(tmpdir(), 'parasol-apply-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folder = '';
let count = 0;
beforeEach(() => {
  folder = join(root, String((count += 1)));
  mkdirSync(folder);
});

/** Writes a file below this test's folder; its path. */
function given(name: string, text: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
  return path;
}

const tenant = (id: string, more = '') => `  - id: ${id}
    name: ${id}
    connectwise:
      site: https://na.myconnectwise.net
      companyId: ${id}
      clientId: 7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a
${more}    umbrella: { console: msp }
`;
const file = (...ids: string[]) => `tenants:\n${ids.map((id) => tenant(id)).join('')}`;
const keyed = (privateKey: string, id = 'acme') =>
  `tenants:\n${tenant(id, `      managementKey:\n        publicKey: \${env:CW_PUB}\n        privateKey: ${privateKey}\n`)}`;

const env = { CW_PUB: 'sentinel-public-half', CW_PRIV: 'sentinel-private-half' };
const good = () => given('good.yaml', keyed('${env:CW_PRIV}'));

const nothing = { dryRun: false, changes: [], removals: [], refused: [] };
const answers = (body: unknown, status = 200): Routes => ({ 'POST /fleet/apply': () => ({ status, body }) });

async function parasol(args: string[], world: Parameters<typeof run>[1] = {}, routes = answers(nothing)) {
  await using service = await fakeService(routes);
  const ran = await run(args, {
    ...world,
    env: { PATH: process.env['PATH'], PARASOL_URL: service.url, PARASOL_TOKEN: 't', ...world.env },
  });
  return { ...ran, asked: service.asked };
}

interface Sent {
  dryRun: boolean;
  prune?: object;
  tenants: { id: string; connectwise: { managementKey?: { privateKey: string } } }[];
}
const idsSent = (asked: Asked[]) => asked.map(({ body }) => (body as Sent).tenants.map(({ id }) => id));
const keySent = (asked: Asked[]) =>
  (asked[0]!.body as Sent).tenants[0]!.connectwise.managementKey?.privateKey ?? null;

describe('apply', () => {
  it('sends all tenants at once, and tells what differs, field by field', async () => {
    const routes = answers({ ...nothing, dryRun: true, changes: canned.changes });
    const ran = await parasol(['apply', '-f', good(), '--dry-run'], { env }, routes);
    expect(ran.asked).toMatchObject([
      {
        body: {
          dryRun: true,
          tenants: [
            {
              id: 'acme',
              connectwise: { managementKey: { publicKey: env.CW_PUB, privateKey: env.CW_PRIV } },
            },
          ],
        },
      },
    ]);
    expect(ran.out).toBe(`~ birch: updated, generation 4
    mode: observe → repair
    connectwise.role.levels.Companies/Configurations.edit: All → None
    rotation.window: Sat 02:00-06:00 Europe/Madrid → by default
    connectwise.managementKey: 00112233445566aa → new key pair ffeeddcc00112233
+ cedar: created, generation 1
    connectwise.members.identifiers: ["sync-a","sync-b"]
    paused: true
Note: birch: the integration key in the file was superseded by a rotation, and
is ignored
1 created, 1 updated, 1 unchanged.
Dry run: nothing was changed.
`);
    expect(ran.code).toBe(EXIT.ok);
  });

  it('has colours on a terminal only, and fits its width there and elsewhere', async () => {
    const routes = answers({ ...nothing, dryRun: true, changes: canned.changes });
    const ran = await parasol(['diff', '-f', good()], { env, terminal: true }, routes);
    expect(ran.out).toContain('mode: \u001b[31mobserve\u001b[39m → \u001b[32mrepair\u001b[39m');
    const long = 'x'.repeat(300);
    const differences = [
      { path: `a.${long}`, kind: 'setting', before: long, after: `-----\n${long}\n-----` },
    ];
    const wide = { id: 'a', change: 'updated', generation: 2, differences, warnings: [] };
    const plain = await parasol(['diff', '-f', good()], { env }, answers({ ...nothing, changes: [wide] }));
    expect(plain.out).toMatch(/\+ 3 lines, SHA-256 [0-9a-f]{12}…/);
    expect(plain.out.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
  });

  it('gives machines the answer as it came, with what could not be read', async () => {
    const { out } = await parasol(['apply', '-f', good(), '--json'], { env });
    expect(JSON.parse(out)).toEqual({ ...nothing, unread: [] });
  });

  it('sends nothing of a file with problems', async () => {
    const ran = await parasol(['apply', '-f', good()]);
    expect(ran.asked).toEqual([]);
    expect(ran.err).toContain('2 problems; nothing was applied.');
    expect(ran.err).toContain('line 9, column 20: tenants[0].connectwise.managementKey.publicKey');
    expect(ran.code).toBe(EXIT.refused);
  });

  it('tells what the service refuses with its place in the file, and without a secret', async () => {
    const refused = {
      title: 'The input is not valid',
      status: 400,
      detail: 'One field is not as expected.',
      errors: [{ path: 'tenants.0.connectwise.companyId', message: `is taken, said ${env.CW_PRIV}` }],
    };
    const ran = await parasol(['apply', '-f', good()], { env }, answers(refused, 400));
    expect(ran.err).toContain('line 6, column 18: tenants.0.connectwise.companyId');
    expect(ran.err).toContain('is taken, said [secret]');
    expect(ran.err + ran.out).not.toContain('sentinel');
    expect(ran.code).toBe(EXIT.refused);
  });

  it('leaves every key out with --no-secrets, and looks none of them up', async () => {
    const path = given('a.yaml', keyed('${command:touch ran}'));
    const ran = await parasol(['apply', '-f', path, '--no-secrets']);
    expect(keySent(ran.asked)).toBeNull();
    expect((await parasol(['apply', '-f', given('b.yaml', keyed('literal')), '--no-secrets'])).err).toContain(
      'is a secret, which never stands in a file',
    );
    const elsewhere = file('acme').replace('name: acme', "name: '${command:touch ran}'");
    const refused = await parasol(['diff', '-f', given('c.yaml', elsewhere), '--no-secrets']);
    expect(refused.err).toContain('needs the command touch, which is not run here');
    expect(await parasol(['apply', '-f', join(folder, 'ran')])).toMatchObject({ code: EXIT.refused });
  });
});

describe('diff', () => {
  test.each([
    ['there is something to change', canned.changes, EXIT.drift],
    ['there is nothing to change', canned.changes.slice(0, 1), EXIT.ok],
  ])('changes nothing, and its code says whether %s', async (_, changes, code) => {
    const ran = await parasol(['diff', '-f', good()], { env }, answers({ ...nothing, changes }));
    expect(ran.asked).toMatchObject([{ body: { dryRun: true } }]);
    expect(ran.code).toBe(code);
  });
});

describe('several files', () => {
  it('are one set, in the order given; of a folder every YAML file by its name', async () => {
    given('fleet/b.yml', file('b1', 'b2'));
    given('fleet/a.yaml', file('a'));
    given('fleet/.hidden.yaml', 'not: ours');
    given('fleet/notes.txt', 'not ours');
    given('fleet/north/c.yaml', file('c'));
    const first = given('first.yaml', file('first'));
    symlinkSync(first, join(folder, 'same.yaml'));
    const args = ['apply', '-f', first, '-f', join(folder, 'fleet'), '-f', join(folder, 'same.yaml')];
    expect(idsSent((await parasol(args)).asked)).toEqual([['first', 'a', 'b1', 'b2']]);
    expect(idsSent((await parasol([...args, '-R'])).asked)).toEqual([['first', 'a', 'b1', 'b2', 'c']]);
  });

  it('may be standard input', async () => {
    const ran = await parasol(['apply', '-f', '-'], { input: [file('a').slice(0, 20), file('a').slice(20)] });
    expect(idsSent(ran.asked)).toEqual([['a']]);
    const wrong = await parasol(['apply', '-f', '-'], { input: 'tenants: []' });
    expect(wrong.err).toContain('standard input has 1 problem');
  });

  it('are told all at once, each problem with its file', async () => {
    given('a.yaml', file('a').replace('name: a', 'nome: a'));
    given('b.yaml', 'tenants: [');
    given('c.yaml', file('c'));
    mkdirSync(join(folder, 'empty'));
    const absent = join(folder, 'absent.yaml');
    const ran = await parasol(['apply', '-f', folder, '-f', absent, '-f', join(folder, 'empty'), '--json']);
    expect(ran.asked).toEqual([]);
    expect(JSON.parse(ran.err)).toEqual({
      error: '3 files have 5 problems; nothing was applied.',
      errors: [
        { file: absent, path: '', message: 'cannot be read (there is none)' },
        {
          file: join(folder, 'empty'),
          path: '',
          message: 'is a folder without a file of tenants (*.yaml, *.yml)',
        },
        { file: join(folder, 'a.yaml'), line: 2, column: 5, path: 'tenants[0].name', message: 'is missing' },
        {
          file: join(folder, 'a.yaml'),
          line: 3,
          column: 5,
          path: 'tenants[0].nome',
          message: 'is not a known setting',
        },
        {
          file: join(folder, 'b.yaml'),
          line: 1,
          column: 11,
          path: '',
          message: 'is not indented like its neighbours',
        },
      ],
    });
    expect(ran.code).toBe(EXIT.refused);
  });

  it('show the place of what the service refuses in the right one', async () => {
    given('a.yaml', file('a1', 'a2'));
    const b = given('b.yaml', file('b1', 'b2'));
    const errors = [{ path: 'tenants.3.connectwise.companyId', message: 'is taken' }];
    const ran = await parasol(['apply', '-f', folder, '--json'], {}, answers({ detail: 'No.', errors }, 400));
    expect(JSON.parse(ran.err)).toEqual({
      error: '2 files: No.',
      errors: [
        { file: b, line: 13, column: 18, path: 'tenants.3.connectwise.companyId', message: 'is taken' },
      ],
    });
  });
});

describe('with --continue', () => {
  it('the tenants that are in order go on without the others, each of which is told', async () => {
    given('a.yaml', file('a1', 'a2', 'a3').replace('name: a2', 'nome: a2'));
    given('b.yaml', 'tenants: [');
    const refused = [
      { id: 'a3', problems: [{ path: 'tenants.1.connectwise.companyId', message: 'is taken' }] },
    ];
    const applied = { ...nothing, changes: canned.changes.slice(0, 1), refused };
    const ran = await parasol(['apply', '-f', folder, '--continue'], {}, answers(applied));
    expect(ran.asked).toMatchObject([{ body: { continue: true, tenants: [{ id: 'a1' }, { id: 'a3' }] } }]);
    const told = ran.out.replaceAll(/\s+/g, ' ');
    expect(told).toContain('a3 was refused:');
    expect(told).toContain('line 20, column 18: tenants.1.connectwise.companyId is taken');
    expect(told).toContain('tenants[1].nome is not a known setting');
    expect(told).toContain('b.yaml, line 1, column 11');
    expect(told).toContain('1 unchanged, 1 refused.');
    expect(ran.code).toBe(EXIT.refused);
  });

  it('a set of which nothing is in order is refused, and one in which all is in order ends well', async () => {
    const bad = await parasol(['apply', '--continue', '-f', given('a.yaml', 'tenants: [')]);
    expect([bad.asked, bad.code]).toEqual([[], EXIT.refused]);
    const ran = await parasol(['apply', '--continue', '-f', given('b.yaml', file('b'))]);
    expect([ran.asked.length, ran.code]).toEqual([1, EXIT.ok]);
  });
});

describe('with --prune', () => {
  const removals = [
    { id: 'old', name: 'Old', onDelete: 'orphan' },
    { id: 'older', name: 'Older', onDelete: 'deactivate-members' },
  ];
  const routes: Routes = {
    'POST /fleet/apply': ({ body }) => ({ body: { ...nothing, dryRun: (body as Sent).dryRun, removals } }),
  };
  const args = (...more: string[]) => [
    'apply',
    '-f',
    given('a.yaml', file('a')),
    '--prune',
    '--prune-label',
    'team=north',
    ...more,
  ];
  const pruned = (asked: Asked[]) =>
    asked.map(({ body }) => ({ dryRun: (body as Sent).dryRun, ...(body as Sent).prune }));
  const TRIED = { dryRun: true, labels: { team: 'north' }, by: 'jamie' };
  const DONE = { ...TRIED, dryRun: false, count: 2 };

  it('names each that goes, and what becomes of its members, before their number is typed', async () => {
    const ran = await parasol(args(), { terminal: true, input: '2\n' }, routes);
    expect(pruned(ran.asked)).toEqual([TRIED, DONE]);
    expect(ran.err).toContain('- old (Old): goes; its members are left as they are (onDelete: orphan)');
    expect(ran.err).toContain('- older (Older): goes; its members are switched off');
    expect(ran.err.indexOf('older')).toBeLessThan(ran.err.indexOf('Type 2 to delete them: '));
    expect(ran.out).toContain('2 deleted.');
    expect(ran.code).toBe(EXIT.ok);
  });

  test.each([
    [
      'where another number is typed',
      ['--prune-label', 'tier=1'],
      { terminal: true, input: 'y\n' },
      'That is not 2',
    ],
    ['where there is no terminal', [], {}, 'Confirm it with --confirm-prune 2.'],
    ['where another number was confirmed', ['--confirm-prune', '3'], {}, '3 were confirmed, and 2 would go'],
  ])('applies nothing %s', async (_, more, world, words) => {
    const ran = await parasol(args(...more), world, routes);
    expect(pruned(ran.asked)).toMatchObject([{ dryRun: true }]);
    expect(ran.err.replaceAll(/\s+/g, ' ')).toContain(words);
    expect(ran.code).toBe(EXIT.refused);
  });

  it('asks nothing where the number was confirmed, where none goes, and of a dry run', async () => {
    expect(pruned((await parasol(args('--confirm-prune', '2'), {}, routes)).asked)).toEqual([TRIED, DONE]);
    expect(pruned((await parasol(args())).asked)).toEqual([TRIED, { ...DONE, count: 0 }]);
    const dry = await parasol(args('--dry-run'), {}, routes);
    expect([pruned(dry.asked), dry.code]).toEqual([[TRIED], EXIT.ok]);
    const [, ...diff] = args();
    expect((await parasol(['diff', ...diff], {}, routes)).code).toBe(EXIT.drift);
  });

  test.each([
    ['without a label', ['--prune'], '--prune needs --prune-label'],
    ['with the key of a label alone', ['--prune', '--prune-label', 'team'], 'such as team=north'],
    [
      'with two values of a label',
      ['--prune', '--prune-label', 'a=1', '--prune-label', 'a=2'],
      'no tenant carries both',
    ],
    ['beside --continue', ['--prune', '--prune-label', 'a=1', '--continue'], 'it is all or nothing'],
    ['by its label alone', ['--prune-label', 'a=1'], 'go with --prune'],
  ])('is refused %s', async (_, more, words) => {
    const ran = await parasol(['apply', '-f', given('a.yaml', file('a')), ...more], {}, routes);
    expect(ran.err.replaceAll(/\s+/g, ' ')).toContain(words);
    expect([ran.asked, ran.code]).toEqual([[], EXIT.refused]);
  });

  it('looks at nothing of the service when any file has a problem', async () => {
    const bad = given('b.yaml', file('b').replace('name: b', 'nome: b'));
    const ran = await parasol(args('-f', bad, '--confirm-prune', '2'), {}, routes);
    expect([ran.asked, ran.code]).toEqual([[], EXIT.refused]);
  });
});

describe('a reference to a command', () => {
  it('has its output as the value: run once, beside its file, with no shell', async () => {
    const count = '${command:sh -c "echo run >> runs; cat \'my key\'"}';
    const path = given('keys/a.yaml', keyed(count) + keyed(count, 'birch').replace('tenants:\n', ''));
    given('keys/my key', 'sentinel-of-a-command\n');
    const ran = await parasol(['diff', '-f', path], { env });
    expect(keySent(ran.asked)).toBe('sentinel-of-a-command');
    expect(ran.err).toBe('Running a command for values.\n');
    const runs = await parasol(['diff', '-f', given('keys/b.yaml', keyed('${command:cat runs}'))], { env });
    expect(keySent(runs.asked)).toBe('run');
    const plain = given('keys/c.yaml', keyed("'${command:echo $CW_PUB *}'"));
    expect(keySent((await parasol(['diff', '-f', plain], { env })).asked)).toBe('$CW_PUB *');
  });

  it('is not run where it is only a comment', async () => {
    const path = given('a.yaml', `# \${command:touch ran}\n${file('acme')}`);
    expect(await parasol(['apply', '-f', path])).toMatchObject({ err: '', code: EXIT.ok });
    expect((await parasol(['apply', '-f', join(folder, 'ran')])).err).toContain('there is none');
  });

  test.each([
    ['fails', 'sh -c "echo sentinel-output; echo not signed in >&2; exit 7"', 'ended with 7: not signed in'],
    [
      'tells its output',
      'sh -c "echo sentinel-1; echo no: sentinel-1 >&2; exit 1"',
      'ended with 1: no: [secret]',
    ],
    ['gives nothing', 'true', 'gave nothing'],
    [
      'is not there',
      'parasol-no-such-program sentinel',
      'is not there: no program of that name is on the PATH',
    ],
    ['may not be run', './forbidden', 'cannot be started (no permission)'],
    ['is cut off', 'sh -c "kill -9 $$"', 'was ended by SIGKILL'],
    ['never ends its output', 'yes sentinel', 'gave far more than a key'],
    ['has an open quote', 'echo "sentinel', 'has a quote or a backslash too many'],
  ])('that %s is told with its place, and without its output or its words', async (_, command, why) => {
    chmodSync(given('forbidden', '#!/bin/sh\n'), 0o600);
    const path = given('a.yaml', keyed(`'\${command:${command}}'`));
    const ran = await parasol(['apply', '-f', path, '--json'], { env });
    const [told = ''] = ran.err.split('\n').filter((line) => line.startsWith('{'));
    const name = command.split(' ')[0];
    expect(JSON.parse(told)).toMatchObject({
      errors: [{ line: 10, column: 21, message: `needs the command ${name}, which ${why}` }],
    });
    expect(ran.asked).toEqual([]);
    expect(ran.err).not.toContain('sentinel');
    expect(ran.code).toBe(EXIT.refused);
  });
});
