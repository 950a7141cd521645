import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, describe, expect, it, test } from 'vitest';
import { stringify } from 'yaml';
import { EXIT } from '../../src/cli/io.ts';
import { readTenantSet } from '../../src/cli/read-tenants.ts';
import { parseTenants, type TenantsFile } from '../../src/cli/tenants-file.ts';
import { tenantInputSchema } from '../../src/domain/tenant.ts';
import { fakeService, run } from './harness.ts';

const ENV = { PUB: 'sentinel-public', PRIV: 'sentinel-private', KEY: 'sentinel-key', EMPTY: '' };
const FILES: Record<string, string> = { '/run/secrets/priv': 'sentinel-of-a-file\n', '/run/empty': '\n' };

const readFile = (path: string): string => {
  const text = FILES[path];
  if (text === undefined) throw Object.assign(new Error('sentinel: no such file'), { code: 'ENOENT' });
  return text;
};
const parse = (text: string): TenantsFile => parseTenants(text, { env: ENV, readFile });

/** The problems as a person reads them: `line:column path: message`. */
function told(file: TenantsFile): string[] {
  if (file.ok) return [];
  return file.problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

const problems = (text: string): string[] => told(parse(text));

function tenants(file: TenantsFile) {
  if (!file.ok) throw new Error(told(file).join('\n'));
  return file.tenants;
}

interface Parts {
  id?: string;
  site?: string;
  company?: string;
  connectwise?: string;
  umbrella?: string;
  rest?: string;
}

/** One tenant of ten lines, and what is put into it; the first stands on lines 2 to 9 of a file. */
const tenant = ({
  id = 'acme',
  site,
  company = id,
  connectwise = '',
  umbrella = '',
  rest = '',
}: Parts = {}) =>
  `  - id: ${id}
    name: Acme MSP
    connectwise:
      site: ${site ?? 'https://na.myconnectwise.net'}
      companyId: ${company}
      clientId: 7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a
${connectwise}    umbrella:
      console: msp
${umbrella}${rest}`;

const file = (...parts: Parts[]) => `tenants:\n${parts.map(tenant).join('')}`;

describe('a good file', () => {
  const minimal = {
    id: 'acme',
    name: 'Acme MSP',
    connectwise: {
      site: 'https://na.myconnectwise.net',
      companyId: 'acme',
      clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
    },
    umbrella: { console: 'msp' },
  };

  test.each([
    ['as people write it', file({})],
    ['with a byte order mark', `\ufeff${file({})}`],
    ['with the line ends of Windows', file({}).replaceAll('\n', '\r\n')],
    ['with settings that have no value', file({ rest: '    rotation:\n    notify: ~\n' })],
  ])('%s gives its tenants, with every default', (_, text) => {
    expect(tenants(parse(text))).toEqual([tenantInputSchema.parse(minimal)]);
  });

  it('has its references resolved, in braces and outside of them, from variables and from files', () => {
    const [read] = tenants(
      parse(
        file({
          connectwise:
            '      managementKey: { publicKey: ${env:PUB}, privateKey: ${file:/run/secrets/priv} }\n' +
            '      integrationKey:\n        member: umbrella-a\n        publicKey: "${env:PUB}"\n' +
            "        privateKey: '${env:PRIV}'\n",
          umbrella: '      apiKey: {key: ${env:KEY}, secret: ${env:PRIV}}\n',
        }),
      ),
    );
    expect(read?.connectwise.managementKey).toEqual({
      publicKey: 'sentinel-public',
      // The line break that an editor leaves is no part of a key.
      privateKey: 'sentinel-of-a-file',
    });
    expect(read?.connectwise.integrationKey).toEqual({
      member: 'umbrella-a',
      publicKey: 'sentinel-public',
      privateKey: 'sentinel-private',
    });
    expect(read?.umbrella.apiKey).toEqual({ key: 'sentinel-key', secret: 'sentinel-private' });
  });

  it('may say a thing once, and point at it from elsewhere', () => {
    const [, second] = tenants(
      parse(
        file(
          { id: 'acme', rest: '    rotation: &ours { maxAge: 80d }\n' },
          { id: 'birch', rest: '    rotation: *ours\n' },
        ),
      ),
    );
    expect(second?.rotation.maxAge).toBe('80d');
  });

  it('reads an alias as the last anchor of its name before it', () => {
    const [, second, third] = tenants(
      parse(
        file(
          { id: 'a', rest: '    every: &often 1m\n' },
          { id: 'b', rest: '    every: *often\n    mode: &often alert\n' },
          { id: 'c', rest: '    mode: *often\n' },
        ),
      ),
    );
    expect([second?.every, third?.mode]).toEqual(['1m', 'alert']);
  });

  it('knows where a path of the service stands, and takes its secrets out of any text', () => {
    const read = parse(
      file({ connectwise: '      managementKey: { publicKey: ${env:PUB}, privateKey: ${env:PRIV} }\n' }),
    );
    if (!read.ok) throw new Error('it is a good file');
    expect(read.locate('tenants.0.connectwise.companyId')).toEqual({ line: 6, column: 18 });
    // What is not in the file is shown at what is nearest to it.
    expect(read.locate('tenants.0.connectwise.role.name')).toEqual({ line: 4, column: 5 });
    expect(read.locate('elsewhere')).toBeNull();
    expect(read.conceal('sentinel-private is wrong')).toBe('[secret] is wrong');
  });

  it('of a whole fleet is read', () => {
    const fleet = file(...Array.from({ length: 2_000 }, (_, at) => ({ id: `tenant-${at}` })));
    expect(tenants(parse(fleet))).toHaveLength(2_000);
  });
});

const pair = (text: string): Parts => ({ connectwise: `      managementKey: ${text}\n` });
const under = (setting: string): Parts => ({ rest: `    ${setting}\n` });
const inConnectwise = (setting: string): Parts => ({ connectwise: `      ${setting}\n` });

const LITERAL =
  'is a secret, which never stands in a file: write ${env:NAME}, ${file:PATH} or ${command:WORDS}';

describe('bad input is told with its place', () => {
  test.each<[string, Parts, string[]]>([
    [
      'labels that are none',
      { rest: '    labels:\n      a.b/team: North\n      Tier: one\n      beta:\n      stage: 2\n' },
      [
        '11:17 tenants[0].labels.a.b/team: must be a-z, 0-9 and inner dots, hyphens, underscores or slashes, at most 63',
        '12:13 tenants[0].labels.Tier: must be a-z, 0-9 and inner dots, hyphens, underscores or slashes, at most 63',
        '13:12 tenants[0].labels.beta: must be text',
        '14:14 tenants[0].labels.stage: must be text: put it in quotes',
      ],
    ],
    [
      'a literal secret',
      pair('{ publicKey: sentinel, privateKey: ${env:PRIV} }'),
      [`8:35 tenants[0].connectwise.managementKey.publicKey: ${LITERAL}`],
    ],
    [
      'a reference that is only a part of a secret',
      pair('{ publicKey: "x${env:PUB}", privateKey: ${env:PRIV} }'),
      [`8:35 tenants[0].connectwise.managementKey.publicKey: ${LITERAL}`],
    ],
    [
      'a literal secret of Umbrella',
      { umbrella: '      apiKey: { key: 12345678, secret: ${env:PRIV} }\n' },
      [`10:22 tenants[0].umbrella.apiKey.key: ${LITERAL}`],
    ],
    [
      'a literal secret behind an alias',
      pair('{ publicKey: &it sentinel, privateKey: *it }'),
      [
        `8:39 tenants[0].connectwise.managementKey.publicKey: ${LITERAL}`,
        `8:61 tenants[0].connectwise.managementKey.privateKey: ${LITERAL}`,
      ],
    ],
    [
      'a secret in place of a pair',
      pair('sentinel'),
      ['8:22 tenants[0].connectwise.managementKey: must be a group of settings'],
    ],
    [
      'a secret that slipped to the left of its colon',
      pair('{ publicKey: ${env:PUB}, sentinel: x }'),
      [
        '8:7 tenants[0].connectwise.managementKey.privateKey: is missing',
        '8:47 tenants[0].connectwise.managementKey.…: is not a known setting',
      ],
    ],
    ['an unknown key', under('rotaton: {}'), ['10:5 tenants[0].rotaton: is not a known setting']],
    [
      'an unknown key further in',
      under('rotation: { maxage: 90d }'),
      ['10:17 tenants[0].rotation.maxage: is not a known setting'],
    ],
    [
      'an id that is not a slug',
      { id: 'Acme_MSP', company: 'acme' },
      ['2:9 tenants[0].id: must be a slug: a-z, 0-9 and inner hyphens, at most 63'],
    ],
    [
      'an id that YAML takes for a number',
      { id: '42', company: 'acme' },
      ['2:9 tenants[0].id: must be text: put it in quotes'],
    ],
    [
      'a reference to a variable that is not set',
      pair('{ publicKey: ${env:PUB}, privateKey: ${env:NOPE} }'),
      [
        '8:59 tenants[0].connectwise.managementKey.privateKey: ' +
          'needs the environment variable NOPE, which is not set',
      ],
    ],
    [
      'a reference to a variable that is empty',
      pair('{ publicKey: ${env:EMPTY}, privateKey: ${env:PRIV} }'),
      [
        '8:35 tenants[0].connectwise.managementKey.publicKey: ' +
          'needs the environment variable EMPTY, which is empty',
      ],
    ],
    [
      'a reference to a file that is not there',
      pair('{ publicKey: ${env:PUB}, privateKey: ${file:/run/nope} }'),
      [
        '8:59 tenants[0].connectwise.managementKey.privateKey: ' +
          'needs the file /run/nope, which cannot be read (there is none)',
      ],
    ],
    [
      'a reference to a file that is empty',
      pair('{ publicKey: ${env:PUB}, privateKey: ${file:/run/empty} }'),
      ['8:59 tenants[0].connectwise.managementKey.privateKey: needs the file /run/empty, which is empty'],
    ],
    [
      'a reference inside of a text',
      under('every: every ${env:PUB}'),
      [
        '10:12 tenants[0].every: ' +
          'has a reference that is none: it must be the whole value, ${env:NAME}, ${file:PATH} or ${command:WORDS}; a text with ${ in it is written with $${',
      ],
    ],
    [
      'a bad cron expression',
      under('every: 61 * * * *'),
      [
        '10:12 tenants[0].every: must be a duration such as 15m, ' +
          'or a cron expression of five fields such as "0 6 * * *" (UTC)',
      ],
    ],
    [
      'a bad window',
      under('rotation: { window: Sat 02:00-26:00 Europe/Madrid }'),
      [
        '10:25 tenants[0].rotation.window: ' +
          'must be days, hours and a time zone, such as "Sat 02:00-06:00 Europe/Madrid"',
      ],
    ],
    [
      'a window in a time zone that is none',
      under('rotation: { window: Sat 02:00-06:00 Mars/Olympus }'),
      [
        '10:25 tenants[0].rotation.window: ' +
          'must be days, hours and a time zone, such as "Sat 02:00-06:00 Europe/Madrid"',
      ],
    ],
    [
      'a bad duration',
      under('rotation: { overlap: two days }'),
      ['10:26 tenants[0].rotation.overlap: must be a duration such as 90d, 36h, 15m or 5s'],
    ],
    [
      'an identifier over 15 characters',
      inConnectwise('members: { identifiers: [umbrella-of-acme-a, umbrella-b] }'),
      ['8:32 tenants[0].connectwise.members.identifiers[0]: must have at most 15 characters'],
    ],
    [
      'a role name over 30 characters',
      inConnectwise('role: { name: The Role Of Umbrella Integrations }'),
      ['8:21 tenants[0].connectwise.role.name: must have at most 30 characters'],
    ],
    [
      'a setting without a value that needs one',
      { company: '' },
      ['6:18 tenants[0].connectwise.companyId: is missing'],
    ],
    [
      'plain http',
      { site: 'http://na.myconnectwise.net' },
      [
        '5:13 tenants[0].connectwise.site: ' +
          'must be an https:// address without a path (plain http only to loopback)',
      ],
    ],
    [
      'a webhook that is none',
      under('handoffs: { grant-role-levels: { webhook: "http://x.example" } }'),
      [
        '10:47 tenants[0].handoffs.grant-role-levels.webhook: ' +
          'must be an https:// address without user, query or fragment (plain http only to loopback)',
      ],
    ],
    [
      'an alias of nothing',
      under('rotation: *sentinel'),
      ['10:15 tenants[0].rotation: is an alias, and no anchor of its name stands before it'],
    ],
    ['the same key twice', under('name: Other'), ['10:5 : the same key stands twice']],
  ])('%s', (_, parts, expected) => {
    expect(problems(file(parts))).toEqual(expected);
  });

  it('in lines of Windows as in others', () => {
    const bad = file({ id: 'Acme_MSP' }).replaceAll('\n', '\r\n');
    expect(problems(bad)).toEqual([
      '2:9 tenants[0].id: must be a slug: a-z, 0-9 and inner hyphens, at most 63',
    ]);
  });
});

describe('no two tenants are one', () => {
  const org = (id: string): Parts => ({ umbrella: `      organizationId: ${id}\n` });
  const key = (name: string, more = ''): Parts => ({
    umbrella: `      apiKey: { key: \${env:${name}}, secret: \${env:PRIV} }\n${more}`,
  });

  test.each<[string, Parts, Parts, string[]]>([
    [
      'by id',
      { id: 'acme', company: 'one' },
      { id: 'acme', company: 'two' },
      ['10:9 tenants[1].id: has the same id as the tenant on line 2'],
    ],
    [
      'by ConnectWise company, however it is spelled',
      { id: 'a', company: 'acme' },
      { id: 'b', company: 'ACME', site: 'https://na.myconnectwise.net/' },
      ['14:18 tenants[1].connectwise.companyId: is the same ConnectWise company as the tenant on line 2'],
    ],
    [
      'by Umbrella organization',
      { id: 'a', ...org('1234567') },
      { id: 'b', ...org('"1234567"') },
      ['19:23 tenants[1].umbrella.organizationId: is the same Umbrella console as the tenant on line 2'],
    ],
    [
      'by Umbrella key, without an organization',
      { id: 'a', ...key('KEY') },
      { id: 'b', ...key('KEY') },
      ['19:22 tenants[1].umbrella.apiKey.key: is the same Umbrella console as the tenant on line 2'],
    ],
  ])('%s', (_, first, second, expected) => {
    expect(problems(file(first, second))).toEqual(expected);
  });

  test.each<[string, Parts, Parts]>([
    [
      'companies of one name on two sites',
      { id: 'a', company: 'acme' },
      { id: 'b', company: 'acme', site: 'https://eu.myconnectwise.net' },
    ],
    [
      'child organizations under one key',
      { id: 'a', ...key('KEY', '      organizationId: 1\n') },
      { id: 'b', ...key('KEY', '      organizationId: 2\n') },
    ],
    ['different keys', { id: 'a', ...key('KEY') }, { id: 'b', ...key('PUB') }],
  ])('yet %s are two', (_, first, second) => {
    expect(problems(file(first, second))).toEqual([]);
  });

  it('even where something else is wrong with them', () => {
    expect(
      problems(file({ id: 'acme', company: 'a' }, { id: 'acme', company: 'b', ...under('x: 1') })),
    ).toEqual([
      '10:9 tenants[1].id: has the same id as the tenant on line 2',
      '18:5 tenants[1].x: is not a known setting',
    ]);
  });
});

describe('what is no file of tenants', () => {
  const NONE = '1:1 : has no tenants: the file starts with "tenants:" and a list';
  test.each([
    ['nothing', '', [NONE]],
    ['a byte order mark alone', '\ufeff', [NONE]],
    ['only a comment', '# tenants\n', [NONE]],
    ['a list', '- id: acme\n', [NONE]],
    ['a word', 'tenants\n', [NONE]],
    ['no list', 'tenants: {}\n', ['1:10 tenants: must be a list of at least one tenant']],
    ['an empty list', 'tenants: []\n', ['1:10 tenants: must be a list of at least one tenant']],
    ['a tenant that is a word', 'tenants: [acme]\n', ['1:11 tenants[0]: must be a group of settings']],
    ['more than tenants', `defaults: {}\n${file({})}`, ['1:1 defaults: is not a known setting']],
    [
      'two documents',
      `${file({})}---\ntenants: []\n`,
      ['10:1 : a second document starts: one file is one document'],
    ],
    ['tabs', 'tenants:\n\t- id: acme\n', ['2:1 : is indented with a tab: YAML takes spaces only']],
    [
      'an alias that contains itself',
      'tenants: &all [*all, *all]\n',
      ['1:16 tenants[0]: is an alias of something that contains it'],
    ],
    [
      'a tenant that contains itself',
      'tenants:\n  - &it\n    id: acme\n    notify: *it\n',
      ['4:13 tenants[0].notify: is an alias of something that contains it'],
    ],
    [
      'a tenant without what it needs',
      'tenants:\n  - id: acme\n    name: Acme\n',
      ['2:5 tenants[0].connectwise: is missing', '2:5 tenants[0].umbrella: is missing'],
    ],
  ])('%s', (_, text, expected) => {
    expect(problems(text)).toEqual(expected);
  });

  it('lists in lists without end', () => {
    expect(problems(`tenants: ${'['.repeat(50_000)}`)).toEqual([
      expect.stringMatching(/^1:\d+ : is nested too deeply$/),
    ]);
  });

  it('aliases of aliases, which a short file makes endless', () => {
    const levels = 'abcdefghij'.split('');
    const bomb = levels.map(
      (name, at) =>
        `${name}: &${name} [${Array(10)
          .fill(at === 0 ? 'x' : `*${levels[at - 1]}`)
          .join(', ')}]`,
    );
    expect(problems(`${bomb.join('\n')}\ntenants: *j\n`)).toEqual([
      expect.stringContaining('makes the file far too large'),
    ]);
  });
});

const EVERYTHING = file(
  { id: 'Acme', company: 'acme', ...pair('{ publicKey: sentinel-literal, privateKey: ${env:NOPE} }') },
  {
    id: 'birch',
    company: 'acme',
    connectwise:
      '      members: { identifiers: [an-identifier-too-long, b] }\n' +
      '      role: { name: A name of more than thirty letters }\n',
    umbrella: '      organizationId: 7\n',
    rest: '    every: often\n    rotation: { maxAge: old, window: Sat }\n    colour: red\n',
  },
  { id: 'birch', company: 'b', umbrella: '      organizationId: 7\n' },
);
const EVERY_PROBLEM = [
  '2:9 tenants[0].id: must be a slug: a-z, 0-9 and inner hyphens, at most 63',
  `8:35 tenants[0].connectwise.managementKey.publicKey: ${LITERAL}`,
  '8:65 tenants[0].connectwise.managementKey.privateKey: needs the environment variable NOPE, which is not set',
  '15:18 tenants[1].connectwise.companyId: is the same ConnectWise company as the tenant on line 2',
  '17:32 tenants[1].connectwise.members.identifiers[0]: must have at most 15 characters',
  '18:21 tenants[1].connectwise.role.name: must have at most 30 characters',
  '22:12 tenants[1].every: must be a duration such as 15m, or a cron expression of five fields such as "0 6 * * *" (UTC)',
  '23:25 tenants[1].rotation.maxAge: must be a duration such as 90d, 36h, 15m or 5s',
  '23:38 tenants[1].rotation.window: must be days, hours and a time zone, such as "Sat 02:00-06:00 Europe/Madrid"',
  '24:5 tenants[1].colour: is not a known setting',
  '25:9 tenants[2].id: has the same id as the tenant on line 11',
  '33:23 tenants[2].umbrella.organizationId: is the same Umbrella console as the tenant on line 11',
];

describe('a file with everything wrong', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parasol-file-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is told whole, in the order of its lines', () => {
    expect(problems(EVERYTHING)).toEqual(EVERY_PROBLEM);
  });

  it('is applied in no part, and shows a person each place', async () => {
    const path = join(folder, 'tenants.yaml');
    writeFileSync(path, EVERYTHING);
    await using service = await fakeService({});
    const { out, err, code } = await run(['apply', '-f', path], {
      env: { ...ENV, PARASOL_URL: service.url },
    });
    expect(service.asked).toEqual([]);
    expect([out, code]).toEqual(['', EXIT.refused]);
    const words = err.replaceAll(/\s+/g, ' ');
    expect(words).toContain('12 problems; nothing was applied.');
    for (const problem of EVERY_PROBLEM) {
      const [, line, column, rest] = /^(\d+):(\d+) (.*)$/.exec(problem) ?? [];
      expect(words.replaceAll(' ', '')).toContain(
        `line ${line}, column ${column}: ${rest?.replace(': ', ' ')}`.replaceAll(' ', ''),
      );
    }
    expect(err.split('\n').filter((line) => line.length > 80)).toEqual([]);
    expect(err).not.toContain('sentinel');
  });

  it('finds files beside itself, whatever folder the person is in', async () => {
    const world = { env: ENV, stdin: Readable.from([]), stderr: { write: () => true } };
    const read = () => readTenantSet(world, { paths: [path] });
    mkdirSync(join(folder, 'secrets'));
    writeFileSync(join(folder, 'secrets', 'priv'), 'beside\r\n');
    const path = join(folder, 'beside.yaml');
    writeFileSync(path, file(pair('{ publicKey: ${env:PUB}, privateKey: ${file:secrets/priv} }')));
    expect((await read()).tenants[0]?.connectwise.managementKey?.privateKey).toBe('beside');
    const folderInPlace = file(pair('{ publicKey: ${env:PUB}, privateKey: ${file:secrets} }'));
    writeFileSync(path, folderInPlace);
    expect((await read()).problems).toMatchObject([
      { message: 'needs the file secrets, which cannot be read (it is a folder)' },
    ]);
  });
});

describe('no secret of a file is in any problem', () => {
  const secret = fc.constantFrom(
    'SENTINEL-plain',
    'SENTINEL: with a colon',
    'SENTINEL # and a hash',
    '*SENTINEL',
    '&SENTINEL',
    '!SENTINEL',
    '"SENTINEL',
    'SENTINEL\nof two lines',
    '${env:SECRET}',
    '${file:/secret}',
    '${env:SECRET} SENTINEL',
  );
  const wrong = fc.oneof(
    secret,
    fc.constantFrom<unknown>(null, true, 3, '', 'x', 'x'.repeat(200), [], {}, ['a'], { a: 1 }),
    secret.map((value) => ({ [value]: 'x' })),
    secret.map((value) => [value]),
  );
  const connectwisePair = fc.oneof(
    { weight: 3, arbitrary: fc.record({ publicKey: secret, privateKey: secret }) },
    fc.record({ publicKey: secret, privateKey: wrong }),
    fc.dictionary(secret, wrong, { maxKeys: 2 }),
    wrong,
  );
  const umbrellaPair = fc.oneof(
    { weight: 3, arbitrary: fc.record({ key: secret, secret }) },
    fc.dictionary(secret, wrong, { maxKeys: 2 }),
    wrong,
  );
  const plain = fc.constantFrom<unknown>('acme', 'Acme!', 'x'.repeat(80), 7, null, [], {});
  const anyTenant = fc.record(
    {
      id: plain,
      name: plain,
      mode: plain,
      colour: plain,
      connectwise: fc.record(
        {
          site: fc.constantFrom<unknown>('https://na.myconnectwise.net', 'ftp://x', 7),
          companyId: plain,
          clientId: plain,
          managementKey: connectwisePair,
          integrationKey: connectwisePair,
        },
        { requiredKeys: [] },
      ),
      umbrella: fc.record(
        { console: plain, organizationId: plain, apiKey: umbrellaPair, keyAdmin: umbrellaPair },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['connectwise', 'umbrella'] },
  );
  const text = fc
    .tuple(fc.array(anyTenant, { minLength: 1, maxLength: 3 }), fc.constantFrom(0, 2), fc.boolean())
    .map(([list, indent, flow]) =>
      flow ? JSON.stringify({ tenants: list }, null, indent) : stringify({ tenants: list }, { lineWidth: 0 }),
    );
  /** Typing errors: something lost, or a character of YAML's own too much. */
  const slip = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    lost: fc.integer({ min: 0, max: 8 }),
    typed: fc.constantFrom('', ':', ' ', '"', "'", '{', ']', '&', '*', '!', '%', '|', '\t', ',', '- ', '? '),
  });
  const mistyped = (whole: string, slips: readonly { at: number; lost: number; typed: string }[]) =>
    slips.reduce((sofar, { at, lost, typed }) => {
      const start = Math.floor(at * sofar.length);
      return sofar.slice(0, start) + typed + sofar.slice(start + lost);
    }, whole);

  const sources = {
    env: { SECRET: 'SENTINEL-of-a-variable' },
    readFile: (path: string) => {
      if (path === '/secret') return 'SENTINEL-of-a-file';
      throw Object.assign(new Error(), { code: 'ENOENT' });
    },
  };

  it('whatever the file is like, and however it was mistyped', () => {
    let refused = 0;
    fc.assert(
      fc.property(text, fc.array(slip, { maxLength: 2 }), (whole, slips) => {
        const read = parseTenants(mistyped(whole, slips), sources);
        if (read.ok) return;
        refused += 1;
        expect(JSON.stringify(read.problems)).not.toContain('SENTINEL');
      }),
      { numRuns: 1_000 },
    );
    expect(refused).toBeGreaterThan(500);
  });
});
