import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { pino } from 'pino';
import { adoptTenant, examineTenant } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';
import { EXIT, type CliIo } from '../../src/cli/io.ts';
import { readTenantSet } from '../../src/cli/read-tenants.ts';
import type { Trouble } from '../../src/simulator/index.ts';
import { start } from '../simulator/harness.ts';
import * as canned from './canned.ts';
import { converse, type Turn } from './dialogue.ts';
import { fakeService, run } from './harness.ts';

/** `init` asks, tries each answer with vendors that really answer, and leaves at any moment what it has. */

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'parasol-init-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const log = pino({ level: 'silent' });
const config = readConfig({}, () => '');
const looks: Pick<CliIo, 'doctor' | 'adopt'> = {
  doctor: async (request) => {
    if (!config.ok) throw new Error('the defaults are no configuration');
    return (await examineTenant(config.config, log, request))!;
  },
  adopt: adoptTenant,
};

const CLIENT_ID = '0a3e1f64-0000-4000-8000-000000000001';

/** A company in the simulator, and the answers that a person who has its keys gives. */
async function company(trouble: Trouble = 'healthy') {
  const { simulator, secrets } = await start(trouble);
  const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = secrets;
  const begin: Turn[] = [
    ['Its name', 'Acme MSP'],
    ['Its id', ''],
    ['Keys in', ''],
  ];
  const where: Turn[] = [
    ['address at which you log in', simulator.connectwiseUrl],
    ['company that you type', 'acme'],
    ['client id', CLIENT_ID],
  ];
  const management: Turn[] = [
    ['Public key (not shown)', managementKey.publicKey],
    ['Private key (not shown)', managementKey.privateKey],
  ];
  const objects: Turn[] = [
    ['Its security role', ''],
    ['Its two API members', ''],
  ];
  const inUse: Turn[] = [
    ['Do you have both halves', 'y'],
    ['Whose key is it', ''],
    ['Public key', integrationKey.publicKey],
    ['Private key', integrationKey.privateKey],
  ];
  const umbrella: Turn[] = [
    ['The console', ''],
    ['Key (not shown)', umbrellaApiKey.key],
    ['Secret (not shown)', umbrellaApiKey.secret],
    ['Do you have a KeyAdmin key', 'yes'],
    ['Key (not shown)', umbrellaKeyAdmin.key],
    ['Secret (not shown)', umbrellaKeyAdmin.secret],
  ];
  return { simulator, secrets, begin, where, management, objects, inUse, umbrella };
}

type Company = Awaited<ReturnType<typeof company>>;
/** As a person sets them who keeps keys in variables. */
const variablesOfAll = ({
  secrets: { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin },
}: Company): [string, string][] => [
  ['ACME_MSP_CW_PUBLIC_KEY', managementKey.publicKey],
  ['ACME_MSP_CW_PRIVATE_KEY', managementKey.privateKey],
  ['ACME_MSP_UMBRELLA_MEMBER_PUBLIC_KEY', integrationKey.publicKey],
  ['ACME_MSP_UMBRELLA_MEMBER_PRIVATE_KEY', integrationKey.privateKey],
  ['ACME_MSP_UMBRELLA_KEY', umbrellaApiKey.key],
  ['ACME_MSP_UMBRELLA_SECRET', umbrellaApiKey.secret],
  ['ACME_MSP_UMBRELLA_KEY_ADMIN_KEY', umbrellaKeyAdmin.key],
  ['ACME_MSP_UMBRELLA_KEY_ADMIN_SECRET', umbrellaKeyAdmin.secret],
];
const all = ({ begin, where, management, objects, inUse, umbrella }: Company): Turn[] => [
  ...begin,
  ...where,
  ...management,
  ...objects,
  ...inUse,
  ...umbrella,
];

const file = () => join(folder, 'tenants.yaml');
const init = (at: Company, turns: readonly Turn[], world: Partial<CliIo> = {}) =>
  converse(['init', '-f', file(), '--umbrella', at.simulator.umbrellaUrl], turns, { ...looks, ...world });
const plain = (text: string) => text.replaceAll(/\s+/g, ' ');

/** The half of each pair that nobody may see. */
const privateHalves = ({
  secrets: { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin },
}: Company): string[] => [
  managementKey.privateKey,
  integrationKey.privateKey,
  umbrellaApiKey.secret,
  umbrellaKeyAdmin.secret,
];
/** All that was written, but for the files that are there to hold keys. */
const written = (): string =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(folder, 'secrets')))
    .map((path) => readFileSync(path, 'utf8'))
    .join('\n');

describe('init', () => {
  it('writes a file that apply reads, with every key in a file of its owner’s alone, and writes to no vendor', async () => {
    const at = await company();
    const ran = await init(at, [...all(at), ['Apply it to the service now', 'no']]);
    expect(ran.left).toEqual([]);
    expect(ran.code).toBe(EXIT.ok);
    expect(plain(ran.out)).toContain('It conforms, and is taken over. Nothing was written.');
    expect(at.simulator.world.journal.query({ writes: true })).toEqual([]);

    const yaml = readFileSync(file(), 'utf8');
    const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = at.secrets;
    const values = [managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin].flatMap(
      Object.values,
    ) as string[];
    for (const value of values) expect(yaml + ran.out + ran.err).not.toContain(value);
    const read = await readTenantSet(
      { env: {}, stdin: null!, stderr: { write: () => {} } },
      { paths: [file()] },
    );
    expect(read.problems).toEqual([]);
    expect(read.tenants).toMatchObject([
      {
        id: 'acme-msp',
        mode: 'observe',
        connectwise: {
          companyId: 'acme',
          clientId: CLIENT_ID,
          managementKey,
          integrationKey: { member: 'umbrella-a', ...integrationKey },
        },
        umbrella: { console: 'msp', apiKey: umbrellaApiKey, keyAdmin: umbrellaKeyAdmin },
      },
    ]);
    const secrets = join(folder, 'secrets', 'acme-msp');
    expect(readdirSync(secrets)).toHaveLength(8);
    for (const name of readdirSync(secrets)) expect(statSync(join(secrets, name)).mode & 0o777).toBe(0o600);
    expect(existsSync(`${file()}.init`)).toBe(false);
    // The terminal shows again what is typed.
    expect(ran.raw.filter(Boolean)).toHaveLength(ran.raw.length / 2);
  });

  it('tells a wrong key at once, and asks again', async () => {
    const at = await company();
    const wrong: Turn[] = [
      ['Public key', 'nobody'],
      ['Private key', 'nobody'],
      ['Type it again', ''],
    ];
    const empty: Turn[] = [
      ['Public key', ''],
      ['Private key', ''],
    ];
    const ran = await init(at, [
      ...at.begin,
      ...at.where,
      ...wrong,
      ...empty,
      ...at.management,
      ...at.objects,
      ['Do you have both halves', null],
    ]);
    expect(ran.left).toEqual([]);
    expect(plain(ran.err)).toMatch(/✗ ConnectWise refuses .*key/);
    expect(plain(ran.err)).toContain('✗ Public key is empty.');
    expect(ran.code).toBe(EXIT.refused);
  });

  test.each<[string, string, string, RegExp]>([
    ['a company that is unknown', '', 'nobody', /knows no company nobody|nobody/],
    ['an address that is no ConnectWise', 'umbrella', 'acme', /does not answer as ConnectWise/],
  ])('tells %s at once, and asks again', async (_, site, name, words) => {
    const at = await company();
    const { connectwiseUrl, umbrellaUrl } = at.simulator;
    const ran = await init(at, [
      ...at.begin,
      ['address at which you log in', site === '' ? connectwiseUrl : umbrellaUrl],
      ['company that you type', name],
      ['Type it again', 'again'],
      ['address at which you log in', connectwiseUrl],
      ['company that you type', 'acme'],
      ['client id', 'mine'],
      ['client id', '11111111-1111-1111-1111-111111111111'],
      ['client id', CLIENT_ID],
      ['Public key', null],
    ]);
    expect(ran.left).toEqual([]);
    expect(plain(ran.err)).toMatch(words);
    expect(plain(ran.err)).toContain('✗ That is no GUID');
    expect(plain(ran.err)).toContain('✗ That is nobody’s client id.');
  });

  it('looks at both vendors with each answer, before it asks for the next one', async () => {
    const at = await company();
    const tried: string[] = [];
    const doctor: CliIo['doctor'] = async (request) => {
      const { connectwise, umbrella } = request.input!;
      const given = { ...connectwise, ...umbrella };
      const pairs = ['managementKey', 'integrationKey', 'apiKey', 'keyAdmin'].filter((name) => name in given);
      const before = at.simulator.world.journal.query({}).length;
      const seen = await looks.doctor(request);
      const calls = at.simulator.world.journal.query({}).length - before;
      const objects = connectwise.role.name === 'Umbrella-2' ? ['role'] : [];
      tried.push(`${[...objects, ...pairs].join(' ')}: ${calls > 0 ? 'asked' : 'nobody was asked'}`);
      return seen;
    };
    const { objects: _, ...rest } = at;
    const objects: Turn[] = [
      ['Its security role', 'Umbrella-2'],
      ['Its two API members', 'nobody-a nobody-b'],
      ['Do you have both halves', 'n'],
    ];
    const ran = await init(
      at,
      [...all({ ...rest, objects, inUse: [] }), ['Apply it to the service now', 'no']],
      { doctor },
    );
    expect(ran.left).toEqual([]);
    expect(tried).toEqual([
      ': asked',
      'managementKey: asked',
      'role managementKey: asked',
      'role managementKey apiKey: asked',
      'role managementKey apiKey keyAdmin: asked',
    ]);
    // What is not there yet is told, and is no reason to ask again.
    expect(plain(ran.err)).toMatch(/[✗!] .*Umbrella-2.*[✗!] .*nobody-a/);
  });

  const wrong = 'of-nobody-at-all';
  test.each<[string, 'inUse' | 'apiKey' | 'keyAdmin', RegExp]>([
    ['the key that is in Umbrella', 'inUse', /✗ ConnectWise refuses the key/],
    ['Umbrella’s API key', 'apiKey', /✗ Umbrella refuses the key/],
    ['a KeyAdmin key', 'keyAdmin', /✗ It was refused/],
  ])(
    'tells at once that %s is wrong, asks again, and shows and keeps nothing of it',
    async (_, which, words) => {
      const at = await company();
      const refused = (labels: string[]): Turn[] => [
        ...labels.map((label): Turn => [label, wrong]),
        ['Type it again', ''],
      ];
      const turns: Turn[] = [...at.begin, ...at.where, ...at.management, ...at.objects];
      if (which === 'inUse') {
        turns.push(...at.inUse.slice(0, 2), ...refused(['Public key', 'Private key']), ...at.inUse.slice(2));
      } else turns.push(['Do you have both halves', 'n']);
      const split = { inUse: 0, apiKey: 1, keyAdmin: 4 }[which];
      turns.push(
        ...at.umbrella.slice(0, split),
        ...(which === 'inUse' ? [] : refused(['Key (not shown)', 'Secret (not shown)'])),
        ...at.umbrella.slice(split),
        ['Apply it to the service now', 'no'],
      );
      const ran = await init(at, turns);
      expect(ran.left).toEqual([]);
      expect(ran.code).toBe(EXIT.ok);
      expect(plain(ran.err)).toMatch(words);
      const kept = readdirSync(join(folder, 'secrets', 'acme-msp')).map((name) =>
        readFileSync(join(folder, 'secrets', 'acme-msp', name), 'utf8'),
      );
      for (const text of [written(), ran.out, ran.err, ...kept]) expect(text).not.toContain(wrong);
    },
  );

  it.each(['files', 'variables'])(
    'has each private half in no place but its own, with keys in %s',
    async (where) => {
      const at = await company();
      const begin: Turn[] = [...at.begin.slice(0, 2), ['Keys in', where]];
      const turns: Turn[] = [...all({ ...at, begin }), ['Apply it to the service now', null]];
      // Also of what is kept while it is interrupted.
      for (const rest of [turns, [['Apply it to the service now', 'no'] as const]]) {
        const env = rest !== turns && where === 'variables' ? Object.fromEntries(variablesOfAll(at)) : {};
        const ran = await init(at, rest, { env });
        expect(ran.left).toEqual([]);
        for (const half of privateHalves(at)) expect(written() + ran.out + ran.err).not.toContain(half);
      }
      const yaml = readFileSync(file(), 'utf8');
      expect(yaml.match(/\$\{(file|env):[^}]+\}/g)).toHaveLength(8);
      const held = where === 'files' ? readdirSync(join(folder, 'secrets', 'acme-msp')) : [];
      const texts = held.map((name) =>
        readFileSync(join(folder, 'secrets', 'acme-msp', name), 'utf8').trim(),
      );
      expect(texts.filter((text) => privateHalves(at).includes(text)).toSorted()).toEqual(
        where === 'files' ? privateHalves(at).toSorted() : [],
      );
    },
  );

  it('goes on where it was left, and asks nothing twice', async () => {
    const at = await company();
    const turns = [...all(at), ['Apply it to the service now', 'no'] as const];
    // The terminal is closed at every question but the first, one after the other.
    let from = 0;
    for (let cut = 1; cut < turns.length; cut += 1) {
      const begun = existsSync(`${file()}.init`);
      const ran = await init(at, [...turns.slice(from, cut), [turns[cut]![0], null]]);
      expect([turns[cut]![0], ran.code]).toEqual([turns[cut]![0], EXIT.refused]);
      expect(ran.err.includes('Going on with acme-msp (Acme MSP)')).toBe(begun);
      const kept = existsSync(`${file()}.init`) ? readFileSync(`${file()}.init`, 'utf8') : '';
      for (const { privateKey } of [at.secrets.managementKey, at.secrets.integrationKey]) {
        expect(kept).not.toContain(privateKey);
      }
      from = asked(kept, turns);
    }
    const ran = await init(at, turns.slice(from));
    expect(ran.left).toEqual([]);
    expect(ran.code).toBe(EXIT.ok);
  });

  it('keeps comments and tenants of a file that is there, and refuses what is no such file', async () => {
    const at = await company();
    writeFileSync(file(), '# ours\ntenants:\n  - id: birch # the other one\n    name: Birch\n');
    const ran = await init(at, [
      ['Its name', 'Birch'],
      ['Its id', ''],
      ['Its id', 'acme'],
      ...at.begin.slice(2),
      ...at.where,
      ...at.management,
      ...at.objects,
      ['Do you have both halves', 'n'],
      ...at.umbrella.slice(0, 3),
      ['Do you have a KeyAdmin key', 'n'],
      ['Apply it to the service now', 'n'],
    ]);
    expect(ran.left).toEqual([]);
    expect(plain(ran.err)).toContain('has a tenant birch already.');
    expect(readFileSync(file(), 'utf8')).toMatch(
      /^# ours\ntenants:\n {2}- id: birch # the other one[^]*- id: acme\n/,
    );
  });

  it('keeps keys in variables where that is wanted, and writes none', async () => {
    const at = await company();
    const ran = await init(at, [
      ...at.begin.slice(0, 2),
      ['Keys in', 'variables'],
      ...at.where,
      ...at.management,
      ...at.objects,
      ['Do you have both halves', 'n'],
      ...at.umbrella.slice(0, 3),
      ['Do you have a KeyAdmin key', 'n'],
      ['Apply it to the service now', 'n'],
    ]);
    expect(plain(ran.err)).toContain('Set ACME_MSP_CW_PUBLIC_KEY and ACME_MSP_CW_PRIVATE_KEY');
    expect(readFileSync(file(), 'utf8')).toContain('${env:ACME_MSP_CW_PRIVATE_KEY}');
    expect(readdirSync(folder)).toEqual(['tenants.yaml']);
  });

  it('is refused without a terminal, and in a file that it cannot go on in', async () => {
    const piped = await run(['init', '-f', file()], { input: 'Acme\n' });
    expect(piped.code).toBe(EXIT.refused);
    expect(piped.err).toContain('init asks on a terminal.');
    writeFileSync(`${file()}.init`, 'nonsense');
    const broken = await converse(['init', '-f', file()], []);
    expect(plain(broken.err)).toContain('is not what init wrote');
  });
});

/** How many of the questions are answered for good by what was kept. */
function asked(kept: string, turns: readonly Turn[]): number {
  if (kept === '') return 0;
  const {
    secrets,
    clientId,
    pairs,
    members,
    console: kind,
    keyMember,
  } = JSON.parse(kept) as {
    secrets?: string;
    clientId?: string;
    pairs: Record<string, boolean>;
    members?: string[];
    console?: string;
    keyMember?: string;
  };
  const answered: [unknown, number][] = [
    [true, 2],
    [secrets, 1],
    [clientId, 3],
    [pairs['managementKey'], 2],
    [members, 2],
    [keyMember && pairs['integrationKey'], 4],
    [kind, 1],
    [pairs['apiKey'], 2],
    [pairs['keyAdmin'], 3],
  ];
  let count = 0;
  for (const [is, questions] of answered) {
    if (is === undefined) break;
    count += questions;
  }
  return Math.min(count, turns.length);
}

describe('what is left to click', () => {
  it('is told, waited for, and seen; who leaves comes back to it', async () => {
    const at = await company('level-missing');
    const open = {
      ...canned.plan,
      tenant: 'acme-msp',
      mode: 'observe',
      observedAt: '2026-11-24T08:00:00.000Z',
    };
    const todo = { ...open, verdict: 'differs', found: [], differences: [] };
    const done = { ...todo, verdict: 'taken-in', plan: { steps: [] } };
    let looked = 0;
    await using service = await fakeService({
      'POST /fleet/apply': ({ body }) => ({
        body: { dryRun: false, changes: (body as { tenants: object[] }).tenants, refused: [] },
      }),
      'POST /tenants/acme-msp/reconcile': () => {
        looked += 1;
        return { body: { trigger: canned.readyStatus.trigger.handled } };
      },
      'GET /tenants/acme-msp/status': () => ({ body: canned.readyStatus }),
      'GET /tenants/acme-msp/adoption': () => ({ body: looked < 3 ? todo : done }),
    });
    const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' };
    const { umbrella, ...rest } = at;
    const turns: Turn[] = [
      ...all({ ...rest, umbrella: [] }),
      // The key works; what it may do is its role's.
      ['Type it again, or keep it', 'keep'],
      ...umbrella,
      ['Apply it to the service now', ''],
    ];
    const first = await init(at, turns, { env });
    expect(first.left).toEqual([]);
    expect(plain(first.out)).toContain('Companies > Configurations: set edit from None to All.');
    expect(plain(first.err)).toContain('Left as it is. To wait again: parasol init');
    expect(first.code).toBe(EXIT.person);
    expect(service.asked.filter(({ path }) => path === '/fleet/apply')).toHaveLength(1);

    const stays = new Promise<void>(() => {});
    const second = await init(at, [], { env, interrupted: () => stays });
    expect(plain(second.out)).toContain('Log in to ConnectWise as an administrator');
    expect(plain(second.err)).toMatch(
      /Waiting to see it done: .* ✓ Done: .* ✓ Nothing is left to click\. acme-msp is ready: True/,
    );
    expect(second.code).toBe(EXIT.ok);
    expect(service.asked.filter(({ path }) => path === '/fleet/apply')).toHaveLength(1);
    expect(existsSync(`${file()}.init`)).toBe(false);
  });

  it('waits for its service, which may not run yet', async () => {
    const at = await company();
    const env = { PARASOL_URL: 'http://127.0.0.1:1' };
    const first = await init(at, [...all(at), ['Apply it to the service now', '']], { env });
    expect(first.code).toBe(EXIT.error);
    expect(plain(first.err)).toContain('Once it runs, init goes on from here.');
    const second = await init(at, [['Apply it to the service now', 'n']], { env });
    expect([second.left, second.code]).toEqual([[], EXIT.ok]);
  });
});
