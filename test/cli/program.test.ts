import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, describe, expect, it, test } from 'vitest';
import { EXIT, type CliIo } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import type { RekeyReport } from '../../src/reconciler/commands.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import * as canned from './canned.ts';
import { fakeService, run, type Routes } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'parasol-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const answer =
  (body: unknown, status = 200) =>
  () => ({ status, body });

const ROUTES: Routes = {
  'GET /tenants': ({ path }) =>
    path.includes('after=acme')
      ? { body: { items: canned.tenants.slice(1), next: null } }
      : { body: { items: canned.tenants.slice(0, 1), next: 'acme' } },
  'GET /fleet': answer(canned.fleet),
  'GET /tenants/cedar/status': answer(canned.status),
  'GET /tenants/acme/status': answer(canned.readyStatus),
  'GET /tenants/birch/plan': answer(canned.plan),
  'GET /tenants/cedar/customers': answer({ items: canned.customers }),
  'GET /tenants/cedar/credentials': answer({ items: canned.credentials }),
  'GET /handoffs': ({ path }) => ({
    body: { items: path.includes('tenant=acme') ? [] : [canned.handoff, canned.keyHandoff] },
  }),
  [`GET /handoffs/${canned.handoff.id}`]: answer(canned.handoff),
};

async function withService(args: string[], world: Parameters<typeof run>[1] = {}, routes: Routes = {}) {
  await using service = await fakeService({ ...ROUTES, ...routes });
  const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token', ...world.env };
  const ran = await run(args, { ...world, env });
  return { ...ran, asked: service.asked };
}

const tooWide = (text: string) => text.split('\n').filter((line) => widthOf(line) > 80);

describe('what people read', () => {
  const screens: [string, string[], number][] = [
    ['get', ['get'], EXIT.drift],
    ['get of some', ['get', '--ready', 'False', '--sort', 'since', '--limit', '1'], EXIT.ok],
    ['fleet', ['fleet'], EXIT.drift],
    ['help of get', ['get', '--help'], EXIT.ok],
    ['status of a tenant in trouble', ['status', 'cedar'], EXIT.person],
    ['status of a ready tenant', ['status', 'acme'], EXIT.ok],
    ['plan', ['plan', 'birch'], EXIT.drift],
    ['customers', ['customers', 'cedar'], EXIT.ok],
    ['credentials', ['credentials', 'cedar'], EXIT.ok],
    ['handoffs', ['handoffs'], EXIT.person],
    ['handoffs of a tenant without any', ['handoffs', 'acme'], EXIT.ok],
    ['handoffs show', ['handoffs', 'show', canned.handoff.id], EXIT.ok],
    ['help', ['--help'], EXIT.ok],
    ['help of a command', ['submit', '--help'], EXIT.ok],
    ['help of the change of key', ['vault', 'rekey', '--help'], EXIT.ok],
  ];

  test.each(screens)('%s fits 80 columns, without colours, and ends as documented', async (_, args, code) => {
    const ran = await withService(args);
    expect(ran.err).toBe('');
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.out).not.toContain('\u001b');
    expect(ran.out).not.toContain('…');
    expect(ran.code).toBe(code);
  });

  it('has colours on a terminal, and none where NO_COLOR asks for none', async () => {
    expect((await withService(['status', 'cedar'], { terminal: true })).out).toContain('\u001b[31mFalse');
    const plain = await withService(['status', 'cedar'], { terminal: true, env: { NO_COLOR: '1' } });
    expect(plain.out).not.toContain('\u001b');
  });

  it('gives machines the answer as it came', async () => {
    const ran = await withService(['status', 'cedar', '--json']);
    expect(JSON.parse(ran.out)).toEqual(canned.status);
    expect(ran.code).toBe(EXIT.person);
  });

  it('lists all pages', async () => {
    const { out, asked } = await withService(['get', '--json']);
    expect(JSON.parse(out)).toEqual(canned.tenants);
    expect(asked[0]?.path).toBe('/tenants?sort=id&limit=200');
    expect(asked.map(({ authorization }) => authorization)).toEqual(['Bearer the-token', 'Bearer the-token']);
  });

  it('lists those that are meant, so many at most, and says that there are more', async () => {
    const { out, asked, code } = await withService(
      'get --ready False --ready Unknown --condition RoleReady=False/LevelsMissing --mode repair --label team=north'
        .concat(' --label vip --drift --search Acme&co --sort since --limit 1')
        .split(' '),
    );
    expect(asked.map(({ path }) => path)).toEqual([
      '/tenants?ready=False&ready=Unknown&condition=RoleReady%3DFalse%2FLevelsMissing&mode=repair' +
        '&label=team%3Dnorth&label=vip&drift=true&q=Acme%26co&sort=since&limit=1',
    ]);
    expect(out).toContain('1 of 1 ready. There are more: --limit shows them.');
    expect(code).toBe(EXIT.ok);
  });

  it.each([
    [['get', '--ready', 'yes'], 'True, False, Unknown'],
    [['get', '--condition', 'Ready'], 'RoleReady=False'],
    [['get', '--label', 'Team=x'], 'key=value'],
    [['get', '--limit', '0'], 'whole number'],
  ])('refuses %j without asking the service', async (args, words) => {
    const { err, code, asked } = await withService(args);
    expect([code, asked]).toEqual([EXIT.refused, []]);
    expect(err.replaceAll(/\s+/g, ' ')).toContain(words);
  });

  it('tells what to look at of the fleet, and of those with a label', async () => {
    const { out, asked } = await withService(['fleet', '--label', 'team=north']);
    expect(asked[0]?.path).toBe('/fleet?label=team%3Dnorth');
    for (const line of [
      /Ready +9600$/m,
      /Unknown +200 \(3 never seen\)/,
      /the oldest 3h ago: acme/,
      /^200 +RoleReady +False +LevelsMissing$/m,
      /^delete-key +2 +1 +4$/m,
      /^integration +AwaitingKey +7$/m,
      /^integration +9000 +20 +980 +11$/m,
    ]) {
      expect(out).toMatch(line);
    }
    expect(out).not.toContain('AsSpecified');
  });

  test.each<[string, Record<string, number>, string[]]>([
    ['the brake holds', { FleetBraked: 40 }, ['Braked 40 held by the brake']],
    [
      'wait for the hour to be over',
      { RepairCapReached: 3 },
      ['Capped 3 wait: the fleet made as many repairs in this hour as it may'],
    ],
    [
      'do the one or the other',
      { FleetBraked: 40, RepairCapReached: 3 },
      ['Braked 40 held by the brake', 'Capped 3 wait: the fleet made as many repairs in this hour as it may'],
    ],
    ['do neither', {}, []],
  ])('tells of a fleet how many %s', async (_, held, told) => {
    const conditions = Object.entries(held).map(([reason, count]) => ({
      type: 'Braked' as const,
      status: 'True' as const,
      reason,
      count,
    }));
    const braked = Object.values(held).reduce((sum, count) => sum + count, 0);
    const body = { ...canned.fleet, conditions, braked };
    const { out } = await withService(['fleet'], {}, { 'GET /fleet': answer(body) });
    const [head = '', ...tables] = out.split('\n\n');
    const lines = head.split('\n').map((line) => line.trim().replaceAll(/ +/g, ' '));
    expect(lines.filter((line) => /^(Braked|Capped)/.test(line))).toEqual(told);
    const rows = tables.join('\n').matchAll(/^(\d+) +Braked +True +(\w+)$/gm);
    expect(Object.fromEntries([...rows].map(([, count, reason]) => [reason, Number(count)]))).toEqual(held);
    expect(tooWide(out)).toEqual([]);
  });

  describe('a command for many tenants', () => {
    const look = {
      dryRun: true,
      tenants: [
        { id: 'acme', name: 'Acme', refused: null, trigger: null, rotation: null },
        { id: 'birch', name: 'Birch', refused: 'mode observe writes nothing', trigger: null, rotation: null },
        { id: 'cedar', name: 'Cedar', refused: null, trigger: null, rotation: null },
      ],
      confirmation: { token: 'the-confirmation', expiresAt: '2026-11-24T08:10:00.000Z' },
    };
    const many: Routes = Object.fromEntries(
      ['reconcile', 'rotations'].map((path) => [
        `POST /fleet/${path}`,
        ({ body }) => ({
          body: (body as { dryRun?: boolean }).dryRun
            ? look
            : {
                dryRun: false,
                tenants: look.tenants.map((one) => ({ ...one, trigger: one.refused === null ? 7 : null })),
                confirmation: null,
              },
        }),
      ]),
    );
    const selector = { labels: ['team=north'], drift: true };
    const asked = ['--label', 'team=north', '--drift', '--reason', 'audit'];
    const bodies = (ran: { asked: { body: unknown }[] }) => ran.asked.map(({ body }) => body);

    it('names each, asks for their number, and confirms exactly these', async () => {
      const ran = await withService(
        ['rotate', ...asked, '--as', 'Jo'],
        { terminal: true, input: '2\n' },
        many,
      );
      expect(bodies(ran)).toEqual([
        { selector, reason: 'audit', by: 'Jo', dryRun: true },
        { selector, reason: 'audit', by: 'Jo', confirmation: 'the-confirmation' },
      ]);
      const screen = stripVTControlCharacters(ran.err);
      expect(screen).toMatch(/birch +Birch +refused: mode observe/);
      expect(ran.err).toContain('Type 2 to go on with these 2 tenants');
      expect([ran.out, ran.code]).toEqual(['2 tenants will have their integration keys rotated.\n', EXIT.ok]);
      expect(tooWide(screen)).toEqual([]);
    });

    it.each([
      ['another number is typed', { terminal: true, input: '3\n' }, 'That is not 2'],
      ['there is no terminal', {}, '--confirm'],
    ])('does nothing where %s', async (_, world, words) => {
      const ran = await withService(['reconcile', ...asked], world, many);
      expect(bodies(ran)).toEqual([{ selector, reason: 'audit', dryRun: true }]);
      expect(ran.err).toContain(words);
      expect(ran.code).toBe(EXIT.refused);
    });

    it('only looks with --dry-run, goes on with --confirm, and asks nothing with --yes', async () => {
      const looked = await withService(['reconcile', ...asked, '--dry-run'], {}, many);
      expect(looked.out).toContain('--confirm the-confirmation');
      expect(looked.asked).toHaveLength(1);
      const confirmed = await withService(['reconcile', ...asked, '--confirm', 'the-confirmation'], {}, many);
      expect(bodies(confirmed)).toEqual([{ selector, reason: 'audit', confirmation: 'the-confirmation' }]);
      const all = await withService(['reconcile', '--all', '--reason', 'audit', '--yes'], {}, many);
      expect(bodies(all)).toEqual([
        { selector: { all: true }, reason: 'audit', dryRun: true },
        { selector: { all: true }, reason: 'audit', confirmation: 'the-confirmation' },
      ]);
      expect(all.out).toBe('2 tenants will be reconciled.\n');
    });

    it.each([
      [['reconcile'], 'Name a tenant'],
      [['reconcile', '--dry-run', '--reason', 'x'], 'Name a tenant'],
      [['reconcile', 'acme', '--all'], 'not both'],
      [['reconcile', '--all'], '--reason'],
      [['reconcile', '--all', '--reason', 'x', '--wait'], 'one tenant'],
      [['rotate', '--all', '--reason', 'x', '--compromised'], 'one tenant'],
      [['rotate', '--all', '--reason', 'x', '--yes'], 'unknown option'],
    ])('is refused as %j', async (args, words) => {
      const ran = await withService(args, {}, many);
      expect([ran.code, ran.asked]).toEqual([EXIT.refused, []]);
      expect(ran.err.replaceAll(/\s+/g, ' ')).toContain(words);
    });
  });

  it('says so where nobody is meant', async () => {
    const none = { 'GET /tenants': answer({ items: [], next: null }) };
    expect((await withService(['get', '--drift'], {}, none)).out).toContain('No tenant is meant by that.');
    expect((await withService(['get'], {}, none)).out).toContain('No tenant yet.');
  });

  it('shows conditions, drift, keys, evidence and the next command of each hand-off', async () => {
    const { out } = await withService(['status', 'cedar']);
    expect(out).toContain('LevelsMissing');
    expect(out.replaceAll(/\s+/g, '')).toContain('role.levels.Companies/Configurations.edit');
    expect(out).toContain('3f9a0c1d22ab44ef');
    expect(out).toContain('Umbrella last wrote 3h 12m ago, as umbrella-a. 18 customers, 17 configurations');
    expect(out).toContain('parasol handoffs claim 90aa71f2');
  });

  it('names commands as the person types them', async () => {
    const { out } = await withService(['status', 'cedar'], { env: { npm_lifecycle_event: 'parasol' } });
    expect(out).toContain('npm run parasol -- handoffs claim 90aa71f2');
  });

  it('shows exactly the steps of a plan, by when they are done, and the click path of a hand-off', async () => {
    const { out } = await withService(['plan', 'birch']);
    expect(out).toMatch(/\nNow\n {2}- api: create the role Umbrella\n[^]*\nLater\n[^]*\nHeld\n/);
    expect(out.match(/^ {2}- /gm)).toHaveLength(canned.plan.plan.steps.length);
    expect(out).toContain('1. Log in to ConnectWise as an administrator of cedar.');
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'api: change the API member umbrella-a: active, role Umbrella, level Corporate',
    );
    expect(out).toMatch(/Companies\/Configurations +edit +None +All/);
  });

  it('says that nothing of a plan is done outside of mode repair', async () => {
    const observed = { 'GET /tenants/birch/plan': answer({ ...canned.plan, mode: 'observe' }) };
    expect((await withService(['plan', 'birch'], {}, observed)).out).toContain(
      'Mode observe: nothing of this',
    );
  });

  it('lets no name from a vendor steer the terminal', async () => {
    const evil = [{ ...canned.customers[0], customer: '\u001b[2JNorth\u0007wind\u202e' }];
    const { out } = await withService(
      ['customers', 'cedar'],
      {},
      { 'GET /tenants/cedar/customers': answer({ items: evil }) },
    );
    for (const steering of ['\u001b', '\u0007', '\u202e']) expect(out).not.toContain(steering);
    expect(out).toContain('North wind');
  });

  test.each([
    ['ready, yet the spec was changed since', { ...canned.readyStatus, generation: 4 }, EXIT.drift],
    ['ready, yet drift was seen', { ...canned.readyStatus, drift: canned.status.drift }, EXIT.drift],
    ['not ready, and no person can help', { ...canned.status, handoffs: [] }, EXIT.drift],
  ])('a tenant that is %s', async (_, status, code) => {
    const ran = await withService(['status', 'acme'], {}, { 'GET /tenants/acme/status': answer(status) });
    expect(ran.code).toBe(code);
  });
});

describe('reconcile', () => {
  const trigger = { 'POST /tenants/cedar/reconcile': answer({ trigger: 6 }, 202) };

  it('asks, and does not wait', async () => {
    const { out, asked, code } = await withService(
      ['reconcile', 'cedar', '--reason', 'role mended'],
      {},
      trigger,
    );
    expect(out).toContain('trigger 6');
    expect(asked).toMatchObject([{ method: 'POST', body: { reason: 'role mended' } }]);
    expect(code).toBe(EXIT.ok);
  });

  it('waits until a run has answered its trigger, through a busy minute, then shows the status', async () => {
    const handled = [4, null, 5, 6];
    const ran = await withService(
      ['reconcile', 'cedar', '--wait'],
      {},
      {
        ...trigger,
        'GET /tenants/cedar/status': () => {
          const at = handled.shift();
          return at === null
            ? { status: 429, body: { title: 'Too many requests', status: 429 } }
            : { body: { ...canned.status, trigger: { requested: 6, handled: at } } };
        },
      },
    );
    expect(handled).toEqual([]);
    expect(ran.err).toBe('Waiting for cedar (trigger 6).\n');
    expect(ran.out).toContain('cedar: Cedar Cloud Services');
    expect(ran.code).toBe(EXIT.person);
  });

  it('gives up after the timeout, and says that the run still comes', async () => {
    const ran = await withService(['reconcile', 'cedar', '--wait', '--timeout', '30s'], {}, trigger);
    expect(ran.err).toContain('was not reconciled in 30s. It still will be.');
    expect(ran.code).toBe(EXIT.error);
  });

  it('has a line of progress on a terminal, and takes it away', async () => {
    const ran = await withService(
      ['reconcile', 'cedar', '--wait', '--timeout', '2s'],
      { terminal: true },
      trigger,
    );
    expect(ran.err).toContain('\r\u001b[KWaiting for cedar: 1s');
  });
});

describe('hand-offs', () => {
  const claimed = {
    ...canned.handoff,
    state: 'claimed',
    claimedBy: 'jamie',
    claimedAt: '2026-11-24T08:00:00.000Z',
  };

  it('are claimed by the end of their id, in the name of who types', async () => {
    const { out, asked, code } = await withService(
      ['handoffs', 'claim', '90aa71f2'],
      {},
      {
        [`POST /handoffs/${canned.handoff.id}/claim`]: answer(claimed),
      },
    );
    expect(asked.at(-1)).toMatchObject({
      path: `/handoffs/${canned.handoff.id}/claim`,
      body: { by: 'jamie' },
    });
    expect(out).toContain('Next: parasol submit 90aa71f2');
    expect(code).toBe(EXIT.ok);
  });

  it('are given back', async () => {
    const { out, asked } = await withService(
      ['handoffs', 'release', '90aa71f2', '--as', 'zoe'],
      {},
      {
        [`POST /handoffs/${canned.handoff.id}/release`]: answer(canned.handoff),
      },
    );
    expect(asked.at(-1)?.body).toEqual({ by: 'zoe' });
    expect(out).toContain('open again');
  });

  const given = (automation: Handoff['automation'], more: Partial<Handoff> = {}) => ({
    'GET /handoffs': answer({ items: [{ ...canned.handoff, ...more, automation }] }),
    [`GET /handoffs/${canned.handoff.id}`]: answer({ ...canned.handoff, ...more, automation }),
  });
  const tried = { webhook: 'https://rpa.example/work', attempts: 3, since: canned.handoff.openedAt };

  it('that an automation has wait for nobody, and say how far it is', async () => {
    const error = 'it answered with status 503';
    const claimed = { state: 'claimed', claimedBy: 'automation' } as const;
    const has = given({ ...tried, state: 'delivering', error }, claimed);
    const list = await withService(['handoffs'], {}, has);
    expect(list.out).toContain('Attempt 3 failed: it answered with status 503');
    expect(list.code).toBe(EXIT.ok);
    const shown = await withService(['handoffs', 'show', canned.handoff.id.slice(-8)], {}, has);
    expect(shown.out.replaceAll(/\s+/g, ' ')).toContain('3 attempts, https://rpa.example/work');
  });

  it('that an automation failed at wait for a person, and say why', async () => {
    const failed = given({ ...tried, state: 'failed', error: 'it says: no robot' });
    const list = await withService(['handoffs'], {}, failed);
    expect(list.out).toContain('The automation failed: it says: no robot');
    expect(list.code).toBe(EXIT.person);
  });

  test.each([
    ['nobody knows', 'ffffffff', 'There is no hand-off ffffffff.'],
    ['two have in common', '', '2 hand-offs end in'],
  ])('an id that %s is refused', async (_, id, words) => {
    const ran = await withService(['handoffs', 'show', id]);
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(EXIT.refused);
  });

  const submitted = {
    [`POST /handoffs/${canned.keyHandoff.id}/submit`]: answer(
      { handoff: { ...canned.keyHandoff, state: 'submitted' }, trigger: 9 },
      202,
    ),
  };

  it('take a pair from two lines of standard input, and show none of it', async () => {
    const input = 'sentinel-public\nsentinel-private\n';
    const ran = await withService(['submit', '01bb23c4'], { input }, submitted);
    expect(ran.asked.at(-1)?.body).toEqual({
      by: 'jamie',
      publicKey: 'sentinel-public',
      privateKey: 'sentinel-private',
    });
    expect(ran.out + ran.err).not.toContain('sentinel');
    expect(ran.out).toContain('Received: submitted.');
    expect(ran.code).toBe(EXIT.ok);
  });

  it('ask for a pair on a terminal without echo, whatever is typed, erased or pasted', async () => {
    const input = ['s', 'entinel-pubX', '\u007f', '\r', 'sentinel-priv\r\n'];
    const ran = await withService(['submit', '01bb23c4'], { input, terminal: true }, submitted);
    expect(ran.asked.at(-1)?.body).toMatchObject({ publicKey: 'sentinel-pub', privateKey: 'sentinel-priv' });
    expect(ran.err).toContain('Public key (not shown): \nPrivate key (not shown): \n');
    expect(ran.out + ran.err).not.toContain('sentinel');
  });

  test.each([
    ['one line', 'sentinel-only\n', 'It had 1.'],
    ['nothing', '', 'It had 0.'],
    ['three lines', 'sentinel-a\nsentinel-b\nsentinel-c\n', 'It had 3.'],
    ['a blank in a key', 'sentinel a\nsentinel-b\n', 'Public key has a blank'],
  ])('refuse %s, and send nothing', async (_, input, words) => {
    const ran = await withService(['submit', '01bb23c4'], { input }, submitted);
    expect(ran.err).toContain(words);
    expect(ran.out + ran.err).not.toContain('sentinel');
    expect(ran.asked.every(({ method }) => method === 'GET')).toBe(true);
    expect(ran.code).toBe(EXIT.refused);
  });

  it('end without a change when a person gives up', async () => {
    const ran = await withService(
      ['submit', '01bb23c4'],
      { input: ['abc\u0003'], terminal: true },
      submitted,
    );
    expect(ran.err).toContain('Given up. Nothing was sent.');
    expect(ran.code).toBe(EXIT.refused);
  });

  it('are attested without a pair, and named as that', async () => {
    const ran = await withService(
      ['submit', '90aa71f2', '--attest'],
      {},
      {
        [`POST /handoffs/${canned.handoff.id}/submit`]: answer(
          { handoff: { ...canned.handoff, state: 'submitted', attested: true }, trigger: 9 },
          202,
        ),
      },
    );
    expect(ran.asked.at(-1)?.body).toEqual({ by: 'jamie', attest: true });
    expect(ran.out).toContain('submitted, attested');
  });

  it('that are closed take nothing', async () => {
    const closed = { 'GET /handoffs': answer({ items: [{ ...canned.handoff, state: 'closed' }] }) };
    const ran = await withService(['submit', '90aa71f2'], {}, closed);
    expect(ran.err).toContain('is closed: nothing is to be submitted');
    expect(ran.code).toBe(EXIT.refused);
  });
});

describe('credential', () => {
  const sealed = answer({ fingerprint: 'ab12', trigger: 3 }, 202);
  test.each([
    ['management', [], { publicKey: 'sentinel-1', privateKey: 'sentinel-2' }],
    [
      'integration',
      ['--member', 'umbrella-b'],
      { publicKey: 'sentinel-1', privateKey: 'sentinel-2', member: 'umbrella-b' },
    ],
    ['umbrella-api', [], { key: 'sentinel-1', secret: 'sentinel-2' }],
  ])('replaces the %s key', async (purpose, more, body) => {
    const input = 'sentinel-1\nsentinel-2';
    const path = `/tenants/acme/credentials/${purpose}`;
    const ran = await withService(
      ['credential', 'acme', purpose, ...more],
      { input },
      { [`PUT ${path}`]: sealed },
    );
    expect(ran.asked).toMatchObject([{ path, body }]);
    expect(ran.out).toContain('sealed as ab12');
    expect(ran.out + ran.err).not.toContain('sentinel');
  });

  it('replaces the one secret of an automation', async () => {
    const path = '/tenants/acme/credentials/automation';
    const one = { input: 'whsec_sentinel\n' };
    const ran = await withService(['credential', 'acme', 'automation'], one, { [`PUT ${path}`]: sealed });
    expect(ran.asked).toMatchObject([{ path, body: { secret: 'whsec_sentinel' } }]);
    expect(ran.out).toContain('It signs from now on');
    expect(ran.out + ran.err).not.toContain('sentinel');
    const two = { input: 'a\nb\n' };
    const refused = await withService(['credential', 'acme', 'automation'], two, { [`PUT ${path}`]: sealed });
    expect(refused.err).toContain('Standard input must be one line');
    expect(refused.code).toBe(EXIT.refused);
  });

  it('takes the member of an integration key, and of no other', async () => {
    const ran = await withService(['credential', 'acme', 'integration']);
    expect(ran.err).toContain('--member goes with an integration key');
    expect(ran.code).toBe(EXIT.refused);
  });
});

describe('credentials', () => {
  it('tells the history of each pair, and of which nothing else is left', async () => {
    const { out } = await withService(['credentials', 'cedar']);
    expect(out).toMatch(/integration +umbrella-a \(a\) +00112233aabbccdd +dead/);
    expect(out.replaceAll(/\s+/g, ' ')).toContain(
      'given on 2025-11-20; last proved on 2026-01-31; dead since 2026-02-01: ' +
        'ConnectWise refuses it while its member is active; destroyed on 2026-06-02',
    );
    expect(out).toContain('3 in all, newest first; of 1 only this history is left.');
  });
});

describe('vault', () => {
  const vault = () => Promise.resolve(canned.keks);

  test.each([[['vault']], [['vault', 'status']]])(
    '%j tells each key, its age, and a change that was cut off',
    async (args) => {
      const { out, code } = await run(args, { vault });
      expect(out).toMatch(/a1b2c3d4e5f60718 +730d +2024-11-24 +being replaced +12\n/);
      expect(out).toMatch(/0123456789abcdef +1m +2026-11-24 +in use +40000\n/);
      expect(out.replaceAll(/\s+/g, ' ')).toContain('run `parasol vault rekey` again');
      expect(tooWide(out)).toEqual([]);
      expect(code).toBe(EXIT.ok);
    },
  );

  it('is JSON for machines', async () => {
    expect(JSON.parse((await run(['--json', 'vault'], { vault })).out)).toEqual(canned.keks);
  });

  it('has nothing to tell where nothing was sealed', async () => {
    const { out } = await run(['vault'], { vault: () => Promise.resolve([]) });
    expect(out).toBe('Nothing was ever sealed here.\n');
  });

  const rekey =
    (report: Partial<RekeyReport> = {}): CliIo['rekey'] =>
    (_, progress) => {
      for (let done = 0; done <= 1_000; done += 5) progress({ step: 'seal', done, total: 1_000 });
      progress({ step: 'check', done: 1_000, total: 1_000 });
      return Promise.resolve({ ...canned.rekeyed, ...report });
    };

  it('tells how far a change of key is, in few lines, and what is to be done with both keys', async () => {
    const { out, err, code } = await run(['vault', 'rekey'], { rekey: rekey() });
    expect(err.split('\n').slice(0, 3)).toEqual([
      'Sealed anew: 0 of 1000',
      'Sealed anew: 100 of 1000',
      'Sealed anew: 200 of 1000',
    ]);
    expect(err).toMatch(/Sealed anew: 1000 of 1000\nChecked: 1000 of 1000\n$/);
    const words = out.replaceAll(/\s+/g, ' ');
    expect(words).toContain('40012 pairs are sealed under the key 0123456789abcdef now (12 of them');
    expect(words).toContain('/var/lib/parasol/kek. Back it up, apart from the database.');
    expect(words).toContain('/var/lib/parasol/kek.a1b2c3d4e5f60718 holds it');
    expect(tooWide(out)).toEqual([]);
    expect(code).toBe(EXIT.ok);
  });

  it('shows it in one place on a terminal', async () => {
    const { err } = await run(['vault', 'rekey'], { rekey: rekey(), terminal: true });
    expect(err).toContain('\r\u001b[KSealed anew: 5 of 1000\r');
    expect(err.endsWith('Sealed anew: 1000 of 1000\n\r\u001b[KChecked: 1000 of 1000\n')).toBe(true);
  });

  it('says which variable holds the key from now on where both were given', async () => {
    const { out } = await run(['vault', 'rekey'], { rekey: rekey({ file: null }) });
    expect(out.replaceAll(/\s+/g, ' ')).toContain('From now on give the new key as PARASOL_KEK');
  });

  it('names what no key opens, and ends as a failure', async () => {
    const { out, code } = await run(['vault', 'rekey'], {
      rekey: rekey({ damaged: ['credentials/0190-7'] }),
    });
    expect(out).toContain('  credentials/0190-7\n');
    expect(code).toBe(EXIT.error);
  });

  it('takes the new key from a file, and never as an argument', async () => {
    const asked: (string | null)[] = [];
    const io: Partial<CliIo> = {
      rekey: (file) => {
        asked.push(file);
        return Promise.resolve(canned.rekeyed);
      },
    };
    await run(['vault', 'rekey', '--new-kek-file', '/run/secrets/new'], io);
    await run(['vault', 'rekey'], io);
    expect(asked).toEqual(['/run/secrets/new', null]);
    const typed = await run(['vault', 'rekey', 'SENTINEL-of-a-key'], io);
    expect(typed.code).toBe(EXIT.refused);
    expect(typed.err).not.toContain('SENTINEL');
  });
});

describe('what goes wrong', () => {
  test.each([
    ['an unknown command', ['frobnicate'], EXIT.refused],
    ['a purpose that is none', ['credential', 'acme', 'password'], EXIT.refused],
    ['a secret as an argument', ['submit', '01bb23c4', 'sentinel-secret'], EXIT.refused],
    ['a duration that is none', ['reconcile', 'acme', '--timeout', 'soon'], EXIT.refused],
    ['a tenant that nobody knows', ['status', 'nobody'], EXIT.refused],
  ])('%s ends as documented', async (_, args, code) => {
    const ran = await withService(args);
    expect(ran.err).not.toBe('');
    expect(ran.err).not.toContain('sentinel');
    expect(ran.code).toBe(code);
  });

  test.each([
    ['no permission', { status: 401, body: { title: 'A token is needed', status: 401 } }, 'PARASOL_TOKEN'],
    [
      'a broken service',
      { status: 500, body: { detail: 'The fault is on this side.' } },
      'The fault is on this side.',
    ],
    ['something else that listens', { status: 200, body: '<html>' }, 'not as Parasol does'],
  ])('%s is an error, told in words', async (_, reply, words) => {
    const ran = await withService(['get'], {}, { 'GET /tenants': () => reply });
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(EXIT.error);
  });

  it('no service is an error that says what to do', async () => {
    const ran = await run(['get'], { env: { PARASOL_URL: 'http://127.0.0.1:9' } });
    expect(ran.err.replaceAll('\n', ' ')).toContain('nothing listens there. Is it running (npm start)?');
    expect(ran.code).toBe(EXIT.error);
  });

  it('an address that is none is refused', async () => {
    const ran = await run(['get'], { env: { PARASOL_URL: '127.0.0.1:8080' } });
    expect(ran.code).toBe(EXIT.refused);
  });

  it('machines get the error as JSON too', async () => {
    const ran = await withService(['status', 'nobody', '--json']);
    expect(JSON.parse(ran.err)).toEqual({ error: 'There is nothing at /tenants/nobody/status.', errors: [] });
  });
});

describe('the token', () => {
  const tokenOf = async (env: Record<string, string>) => {
    await using service = await fakeService(ROUTES);
    const url = env['PARASOL_URL'] ?? service.url;
    const ran = await run(['get'], { env: { ...env, PARASOL_URL: url } });
    return { token: service.asked[0]?.authorization, err: ran.err };
  };
  writeFileSync(join(folder, 'admin-token'), 'made-by-the-service\n');
  writeFileSync(join(folder, 'token'), 'from-a-file\n');

  it('comes from a file, or from the service on this machine', async () => {
    expect((await tokenOf({ PARASOL_TOKEN_FILE: join(folder, 'token') })).token).toBe('Bearer from-a-file');
    expect((await tokenOf({ PARASOL_DATA: folder })).token).toBe('Bearer made-by-the-service');
    expect((await tokenOf({ PARASOL_DATA: join(folder, 'none') })).token).toBeUndefined();
  });

  it('is refused if its file cannot be read', async () => {
    expect((await tokenOf({ PARASOL_TOKEN_FILE: join(folder, 'absent') })).err).toContain('cannot be read');
  });
});

describe('what is wired from outside', () => {
  const examination = {
    checks: [
      { name: 'management key', verdict: 'ok' as const, detail: 'authenticates as parasol' },
      {
        name: 'role levels',
        verdict: 'unknown' as const,
        detail: 'the key may not read the settings of a role',
      },
    ],
    samples: [{ title: 'First row of the role’s settings', text: '{\n  "moduleName": "Companies"\n}' }],
  };

  it('doctor examines what the service holds, or a tenant of a file', async () => {
    const asked: unknown[] = [];
    const doctor = (request: unknown) => {
      asked.push(request);
      return Promise.resolve(examination);
    };
    const ran = await run(['doctor', 'acme'], { doctor });
    expect(asked).toEqual([{ tenant: 'acme', input: null }]);
    expect(ran.out).toContain('  {\n    "moduleName": "Companies"\n  }');
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.code).toBe(EXIT.drift);

    const file = join(folder, 'doctor.yaml');
    writeFileSync(
      file,
      'tenants: [{ id: acme, name: A, umbrella: { console: msp }, connectwise: { site: https://a.example,' +
        ' companyId: a, clientId: 7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a } }]',
    );
    await run(['doctor', '-f', file, 'acme'], { doctor });
    expect(asked[1]).toMatchObject({ tenant: 'acme', input: { id: 'acme', mode: 'observe' } });
    expect((await run(['doctor', '-f', file, 'birch'], { doctor })).err).toContain('has no tenant birch');
  });

  it('simulate runs until it is interrupted, and closes', async () => {
    const told: unknown[] = [];
    const simulate = (options: object) => {
      told.push(options);
      return Promise.resolve({ close: () => Promise.resolve(void told.push('closed')) });
    };
    await run(['simulate', '--port', '0', '--scenario', 'key-dead', '--sync-every', '20s'], { simulate });
    expect(told).toEqual([
      expect.objectContaining({ portBase: 0, scenario: 'key-dead', quotas: true, syncEveryMs: 20_000 }),
      'closed',
    ]);
  });

  it.each([
    ['--scenario', 'chaos', 'Allowed choices are'],
    ['--port', '70000', 'a port from 0'],
    ['--sync-every', 'often', 'It must be a duration'],
  ])('simulate refuses %s %s, and says what it takes', async (option, value, reason) => {
    const simulate = () => Promise.reject(new Error('it was started'));
    const ran = await run(['simulate', option, value], { simulate });
    expect(ran.code).toBe(EXIT.refused);
    expect(ran.err).toContain(reason);
  });

  it('serve, migrate and demo are run, and their failures told', async () => {
    const failing = () => Promise.reject(new Error('the port 8080 is taken'));
    expect(await run(['serve'], { serve: failing })).toMatchObject({
      code: 1,
      err: 'the port 8080 is taken\n',
    });
    expect(await run(['migrate'], { migrate: () => Promise.resolve() })).toMatchObject({ code: 0, err: '' });
    expect(await run(['demo'], { demo: () => Promise.resolve(EXIT.error) })).toMatchObject({ code: 1 });
  });
});
