import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import * as canned from './canned.ts';
import {
  install,
  revealed,
  rotatingStatus,
  rotations,
  umbrellaRotation,
  underWay,
} from './canned-rotations.ts';
import { fakeService, run, type Routes } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'parasol-cli-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const answer =
  (body: unknown, status = 200) =>
  () => ({ status, body });

const asked = { rotation: underWay.id, trigger: 5 };
const ROUTES: Routes = {
  'GET /tenants/acme/status': answer(rotatingStatus),
  'GET /tenants/acme/rotations': answer({ items: rotations }),
  'POST /tenants/acme/rotations': answer(asked, 202),
  'POST /tenants/acme/rollback': answer(asked, 202),
  'GET /handoffs': answer({ items: [install] }),
  [`GET /handoffs/${install.id}`]: answer(install),
  [`POST /handoffs/${install.id}/reveal`]: answer(revealed),
};

async function withService(args: string[], world: Parameters<typeof run>[1] = {}, routes: Routes = {}) {
  await using service = await fakeService({ ...ROUTES, ...routes });
  const env = { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token', ...world.env };
  const ran = await run(args, { ...world, env });
  return { ...ran, asked: service.asked, posted: service.asked.filter(({ method }) => method === 'POST') };
}

const tooWide = (text: string) => text.split('\n').filter((line) => widthOf(line) > 80);
const plain = (text: string) => text.replaceAll(/\s+/g, ' ');

describe('what people read of a rotation', () => {
  test.each([
    ['status', ['status', 'acme']],
    ['rotations', ['rotations', 'acme']],
    ['help of rotate', ['rotate', '--help']],
    ['help of reveal', ['reveal', '--help']],
  ])('%s fits 80 columns', async (_, args) => {
    const ran = await withService(args);
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.out).not.toContain('…');
    expect(ran).toMatchObject({ err: '', code: EXIT.ok });
  });

  it('status tells the phase, who asked and why, both keys, what it waits for, and until when', async () => {
    const { out } = await withService(['status', 'acme']);
    expect(out).toMatch(/\nRotation\n {2}Phase +AwaitingAdoption, for 3h\n/);
    expect(plain(out)).toContain('request, by ann: a drill');
    expect(plain(out)).toContain('3f9a0c1d22ab44ef (umbrella-a) → 77aa01bb23c4d5e6 (umbrella-b)');
    expect(out).toContain('Umbrella is to write as umbrella-b.');
    expect(out).toMatch(/Deadline +in 2d 21h/);
    expect(out).not.toContain('rolled back');
  });

  test.each([
    ['that is late', { deadline: '2026-11-24T07:00:00.000Z' }, /Deadline +passed 1h ago/],
    ['in its overlap', { phase: 'Overlap' as const }, /Until +in 2d 21h/],
    ['that is rolled back', { rollingBack: true }, /It is being rolled back\./],
    [
      'of a key that nobody gave',
      { old: { fingerprint: null, member: 'umbrella-a', deadSince: null } },
      /a key that was not given \(umbrella-a\)/,
    ],
    [
      'of a key that is dead',
      { old: { ...underWay.old!, deadSince: '2026-11-24T07:00:00.000Z' } },
      /\(umbrella-a, seen dead\)/,
    ],
    ['that has not begun', { old: null, new: null, member: null }, /no key → a new key\n/],
  ])('status of one %s says so', async (_, change, words) => {
    const status = { ...rotatingStatus, rotation: { ...underWay, ...change } };
    const { out } = await withService(['status', 'acme'], {}, { 'GET /tenants/acme/status': answer(status) });
    expect(out.replaceAll(/ \n +/g, ' ')).toMatch(words);
  });

  it('status has no word of it where none is under way', async () => {
    const quiet = { 'GET /tenants/acme/status': answer(canned.readyStatus) };
    expect((await withService(['status', 'acme'], {}, quiet)).out).not.toContain('Rotation');
  });

  it('status tells the rotation of the Umbrella key until it has ended', async () => {
    const told = async (rotation: Partial<typeof umbrellaRotation>) => {
      const status = { ...canned.readyStatus, umbrellaRotation: { ...umbrellaRotation, ...rotation } };
      return withService(['status', 'acme'], {}, { 'GET /tenants/acme/status': answer(status) });
    };
    const { out } = await told({});
    expect(tooWide(out)).toEqual([]);
    expect(out).toMatch(/Rotation of the Umbrella key\n {2}Phase +Resting, for 1h \(number 2\)\n/);
    expect(plain(out)).toContain('aa9a0c1d22ab44ef → bb9a0c1d22ab44ef Shared with 1 other tenant');
    expect(out).toMatch(/Stuck +The old key is still used/);
    expect((await told({ phase: 'Completed' })).out).not.toContain('Rotation of the Umbrella key');
  });

  it('rotations tells each with its end, what it waits for and what is worth an alert', async () => {
    const { out } = await withService(['rotations', 'acme']);
    expect(out).toMatch(
      /4h ago +request +AwaitingAdoption +3f9a0c1d22ab44ef +under way\n +→ 77aa01bb23c4d5e6/,
    );
    expect(out).toMatch(/compromise +RetirementUnproved +not given +53d 4h ago/);
    expect(out).toMatch(/first +Failed +none/);
    expect(plain(out)).toContain('umbrella-a → umbrella-b; asked for by ann: a drill');
    expect(plain(out)).toContain('begun by Parasol');
    expect(plain(out)).toContain('1h ago: Umbrella was not seen to use the new key');
    expect(out).toContain('was not seen dead.');
    expect(out).toContain('3 in all, one under way.');
  });

  it('there is nothing to tell before the first one', async () => {
    const none = { 'GET /tenants/acme/rotations': answer({ items: [] }) };
    expect((await withService(['rotations', 'acme'], {}, none)).out).toBe('No rotation yet.\n');
  });

  it('a hand-off tells to whom its pair was shown', async () => {
    const shown = {
      [`GET /handoffs/${install.id}`]: answer({
        ...revealed.handoff,
        revealedAt: '2026-11-24T07:00:00.000Z',
      }),
    };
    const { out } = await withService(['handoffs', 'show', install.id], {}, shown);
    expect(out).toMatch(/Shown +the pair, to jamie, 1h ago/);
  });

  test.each([
    [['rotations', 'acme'], rotations],
    [['rotate', 'acme', '--reason', 'x'], asked],
    [['rollback', 'acme', '--reason', 'x'], asked],
  ])('machines get the answer of %s as it came', async (args, body) => {
    expect(JSON.parse((await withService([...args, '--json'])).out)).toEqual(body);
  });
});

describe('rotate', () => {
  it('asks in the name of who types, and does not wait', async () => {
    const ran = await withService(['rotate', 'acme', '--reason', 'a drill']);
    expect(ran.asked).toMatchObject([
      {
        path: '/tenants/acme/rotations',
        body: {
          credential: 'integration',
          by: 'jamie',
          reason: 'a drill',
          compromised: false,
          cutNow: false,
        },
      },
    ]);
    expect(ran.out).toContain('Next: parasol status acme');
    expect(ran.code).toBe(EXIT.ok);
  });

  it('says that the key is compromised, in another name', async () => {
    const ran = await withService(['rotate', 'acme', '--reason', 'leaked', '--compromised', '--as', 'zoe']);
    expect(ran.posted[0]?.body).toMatchObject({
      by: 'zoe',
      reason: 'leaked',
      compromised: true,
      cutNow: false,
    });
  });

  it('waits until a person or Umbrella is needed, and ends with 3 where it is a person', async () => {
    const at = (phase: string, handled: number, handoffs: unknown[] = []) => ({
      ...rotatingStatus,
      rotation: { ...underWay, phase },
      trigger: { requested: 5, handled },
      handoffs,
    });
    const wanted = { id: install.id, kind: 'issue-integration-key', subject: 'umbrella-b', state: 'open' };
    const handoff = { ...canned.status.handoffs[0], ...wanted };
    const seen = [
      at('Pending', 4),
      at('Pending', 5),
      at('PreparingMember', 5),
      at('AwaitingKey', 5, [handoff]),
    ];
    const ran = await withService(
      ['rotate', 'acme', '--reason', 'a drill', '--wait'],
      {},
      { 'GET /tenants/acme/status': () => ({ body: seen.shift() }) },
    );
    expect(seen).toEqual([]);
    expect(ran.err).toBe('Waiting for acme (its rotation).\n');
    expect(ran.out).toContain('AwaitingKey');
    expect(ran.code).toBe(EXIT.person);
  });

  test.each([
    ['the role needs a person first', [{ kind: 'grant-role-levels', state: 'open' }], EXIT.person],
    [
      'what a person did for the role is looked at',
      [{ kind: 'grant-role-levels', state: 'submitted' }],
      EXIT.error,
    ],
    ['another hand-off has nothing to do with it', [{ kind: 'delete-key', state: 'open' }], EXIT.error],
  ])('where %s', async (_, handoffs, code) => {
    const status = {
      ...rotatingStatus,
      rotation: { ...underWay, phase: 'PreparingMember' },
      trigger: { requested: 5, handled: 5 },
      handoffs: handoffs.map((one) => ({ ...canned.status.handoffs[0], ...one })),
    };
    const ran = await withService(
      ['rotate', 'acme', '--reason', 'a drill', '--wait', '--timeout', '10s'],
      {},
      { 'GET /tenants/acme/status': answer(status) },
    );
    expect(ran.code).toBe(code);
    const late = ran.err.includes('has not come to a rest in 10s. The rotation goes on.');
    expect(late).toBe(code === EXIT.error);
  });

  it('ends with 0 once the one that it asked for has ended', async () => {
    const over = { ...canned.readyStatus, trigger: { requested: 5, handled: 5 } };
    const ran = await withService(
      ['rotate', 'acme', '--reason', 'a drill', '--wait'],
      {},
      { 'GET /tenants/acme/status': answer(over) },
    );
    expect(ran.code).toBe(EXIT.ok);
  });

  const umbrella = ['rotate', 'acme', '--credential', 'umbrella-api', '--reason', 'a drill'];

  it('asks for the Umbrella key too', async () => {
    const ran = await withService(umbrella);
    expect(ran.posted[0]?.body).toMatchObject({ credential: 'umbrella-api' });
    expect(ran.code).toBe(EXIT.ok);
  });

  test.each([
    [
      'a cut of the Umbrella key',
      [...umbrella, '--compromised', '--cut-now'],
      '--cut-now goes with the integration',
    ],
    ['waiting where nobody is waited for', [...umbrella, '--wait'], '--wait goes with the integration'],
    [
      'a key that is not rotated',
      ['rotate', 'acme', '--credential', 'management', '--reason', 'x'],
      'is invalid',
    ],
  ])('refuses %s', async (_, args, words) => {
    const ran = await withService(args);
    expect(plain(ran.err)).toContain(words);
    expect(ran.asked).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
  });

  it('tells what the service refuses', async () => {
    const detail = 'acme cannot be rotated: mode observe writes nothing.';
    const refused = { 'POST /tenants/acme/rotations': answer({ title: 'Conflict', detail }, 409) };
    const ran = await withService(['rotate', 'acme', '--reason', 'x'], {}, refused);
    expect(ran.err).toContain(detail);
    expect(ran.code).toBe(EXIT.refused);
  });
});

describe('rotate --cut-now', () => {
  const cut = ['rotate', 'acme', '--reason', 'leaked', '--compromised', '--cut-now'];

  test.each([
    [
      'without --compromised',
      ['rotate', 'acme', '--reason', 'x', '--cut-now'],
      {},
      'goes with --compromised only',
    ],
    ['without a terminal or a confirmation', cut, {}, 'Confirm it with --yes-cut acme.'],
    ['confirmed for another tenant', [...cut, '--yes-cut', 'birch'], {}, 'That is not acme'],
    ['confirmed by habit', cut, { terminal: true, input: 'y\r' }, 'That is not acme'],
    ['confirmed by nothing', cut, { terminal: true, input: '' }, 'That is not acme'],
    [
      'not asked for, yet confirmed',
      ['rotate', 'acme', '--reason', 'x', '--yes-cut', 'acme'],
      {},
      '--yes-cut confirms --cut-now',
    ],
  ])('%s is refused, and nothing is sent', async (_, args, world, words) => {
    const ran = await withService(args, world);
    expect(plain(ran.err)).toContain(words);
    expect(ran.asked).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
  });

  test.each([
    ['by typing the tenant’s id', cut, { terminal: true, input: ['ac', 'me\n'] }],
    ['without a terminal', [...cut, '--yes-cut', 'acme'], {}],
  ])('states the outage, and is sent once confirmed %s', async (_, args, world) => {
    const ran = await withService(args, world);
    expect(plain(ran.err)).toContain('nothing is synchronised and no ticket is opened.');
    expect(ran.posted[0]?.body).toMatchObject({
      by: 'jamie',
      reason: 'leaked',
      compromised: true,
      cutNow: true,
    });
    expect(ran.code).toBe(EXIT.ok);
  });
});

describe('rollback', () => {
  it('asks, and says where to look', async () => {
    const ran = await withService(['rollback', 'acme', '--reason', 'it went wrong']);
    expect(ran.asked).toMatchObject([
      { path: '/tenants/acme/rollback', body: { by: 'jamie', reason: 'it went wrong' } },
    ]);
    expect(ran.out).toContain('Next: parasol status acme');
  });
});

describe('a reason', () => {
  test.each([['rotate'], ['rollback'], ['reveal']])('%s has to have one', async (command) => {
    const ran = await withService([command, 'acme']);
    expect(ran.err).toContain('--reason');
    expect(ran.asked).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
  });
});

describe('reveal', () => {
  const env = { PARASOL_REVEAL_TOKEN: 'the-reveal-token' };
  const args = ['reveal', '01bb99d5', '--reason', 'the window is closed'];

  it('prints the pair and nothing else on standard output, and warns beside it', async () => {
    const ran = await withService(args, { env });
    expect(ran.out).toBe('sentinel-public\nsentinel-private\n');
    expect(ran.err).not.toContain('sentinel');
    expect(plain(ran.err)).toContain('is shown once, and it is recorded that jamie saw it');
    expect(tooWide(ran.err)).toEqual([]);
    expect(ran.posted).toMatchObject([
      { path: `/handoffs/${install.id}/reveal`, body: { by: 'jamie', reason: 'the window is closed' } },
    ]);
    expect(ran.code).toBe(EXIT.ok);
  });

  it('uses its own token alone, from the environment or from a file', async () => {
    const file = join(folder, 'reveal-token');
    writeFileSync(file, 'from-a-file\n');
    const first = await withService(args, { env });
    expect(new Set(first.asked.map(({ authorization }) => authorization))).toEqual(
      new Set(['Bearer the-reveal-token']),
    );
    const second = await withService(args, { env: { PARASOL_REVEAL_TOKEN_FILE: file } });
    expect(second.posted[0]?.authorization).toBe('Bearer from-a-file');
  });

  it('is refused without one, whatever other token there is', async () => {
    const ran = await withService(args);
    expect(ran.err).toContain('PARASOL_REVEAL_TOKEN');
    expect(ran.asked).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
  });

  it('gives machines the pair with what it is of', async () => {
    const ran = await withService([...args, '--json'], { env });
    expect(JSON.parse(ran.out)).toEqual(revealed);
    expect(ran.err).not.toContain('sentinel');
  });

  test.each([
    [
      'that was not claimed',
      { status: 409, body: { detail: 'Claim this hand-off first, as jamie.' } },
      'Claim this hand-off first',
      EXIT.refused,
    ],
    [
      'with a token that may not',
      { status: 403, body: { detail: 'It lacks the permission secrets:reveal.' } },
      'lacks the permission',
      EXIT.error,
    ],
  ])('of a hand-off %s shows nothing', async (_, reply, words, code) => {
    const ran = await withService(args, { env }, { [`POST /handoffs/${install.id}/reveal`]: () => reply });
    expect(ran.err).toContain(words);
    expect(ran.out).toBe('');
    expect(ran.code).toBe(code);
  });

  it('of a closed hand-off is refused', async () => {
    const closed = { 'GET /handoffs': answer({ items: [{ ...install, state: 'closed' }] }) };
    const ran = await withService(args, { env }, closed);
    expect(ran.err).toContain('is closed: nothing is to be shown');
    expect(ran.posted).toEqual([]);
  });
});

describe('export', () => {
  const audit = { tenant: 'acme', rotations };
  const page = '<!doctype html>\n<title>Keys of acme</title>';
  const routes: Routes = {
    'GET /tenants/acme/export': ({ path }) => ({ body: path.includes('format=html') ? page : audit }),
  };

  test.each([[[]], [['--json']]])('prints the whole of it as JSON, with %s', async (more) => {
    const ran = await withService(['export', 'acme', ...more], {}, routes);
    expect(JSON.parse(ran.out)).toEqual(audit);
    expect(ran).toMatchObject({ err: '', code: EXIT.ok });
  });

  it('writes the page to a file that its owner alone may read', async () => {
    const file = join(folder, 'acme.html');
    const ran = await withService(['export', 'acme', '--html', file], {}, routes);
    expect(readFileSync(file, 'utf8')).toBe(page);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(plain(ran.out)).toContain('open it in a browser');
    expect(ran.code).toBe(EXIT.ok);
    const told = await withService(['export', 'acme', '--html', file, '--json'], {}, routes);
    expect(JSON.parse(told.out)).toEqual({ tenant: 'acme', file });
  });

  it('says that the file cannot be written', async () => {
    const ran = await withService(['export', 'acme', '--html', join(folder, 'no', 'such.html')], {}, routes);
    expect(plain(ran.err)).toContain('cannot be written (ENOENT)');
    expect(ran.code).toBe(EXIT.refused);
  });

  test.each([
    [
      'the service does not know',
      { status: 404, body: { detail: 'There is no tenant acme.' } },
      'There is no tenant acme.',
      EXIT.refused,
    ],
    ['is answered by something else', { status: 200, body: '<html>' }, 'not as Parasol does', EXIT.error],
  ])('of a tenant that %s writes no file', async (_, reply, words, code) => {
    const file = join(folder, 'none.html');
    const ran = await withService(
      ['export', 'acme', '--html', file],
      {},
      { 'GET /tenants/acme/export': () => reply },
    );
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(code);
    expect(() => statSync(file)).toThrow('ENOENT');
  });
});
