import { describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import type { AcceptanceView } from '../../src/reconciler/commands.ts';
import * as canned from './canned.ts';
import { fakeService, run, type Routes } from './harness.ts';

const answer =
  (body: unknown, status = 200) =>
  () => ({ status, body });

const paused = {
  ...canned.status,
  paused: true,
  pause: {
    by: 'jo',
    reason: 'ConnectWise moves this company to another cloud, and tells nobody how long that takes',
    since: '2026-11-24T07:30:00.000Z',
    until: '2026-11-24T10:00:00.000Z',
  },
};
const PATH = 'role.levels.Companies/Configurations.delete';
const inForce: AcceptanceView = {
  id: 'a2',
  path: PATH,
  kind: 'excess',
  desired: 'None',
  observed: 'All',
  by: 'jo',
  reason: 'the service board deletes configurations of devices that were returned to their owner',
  acceptedAt: '2026-11-24T07:30:00.000Z',
  expiresAt: '2026-12-24T08:00:00.000Z',
  state: 'in-force',
  endedAt: null,
  because: null,
};
const ended: AcceptanceView = {
  ...inForce,
  id: 'a1',
  path: 'members.umbrella-a.location',
  state: 'void',
  endedAt: '2026-11-24T07:40:00.000Z',
  because: 'members.umbrella-a.location as Tampa, accepted by jo, is void: it no longer differs.',
};
const ROUTES: Routes = {
  'GET /tenants/acme/status': answer(paused),
  'POST /tenants/acme/pause': answer({ trigger: 5, until: '2026-11-24T10:00:00.000Z' }, 202),
  'POST /tenants/acme/accept': answer({ trigger: 7, until: '2026-12-24T08:00:00.000Z' }, 202),
  'POST /tenants/acme/accept/withdraw': answer({ trigger: 8 }, 202),
  'GET /tenants/acme/acceptances': answer({ items: [inForce, ended] }),
  'POST /tenants/acme/resume': answer({ trigger: 6 }, 202),
};

async function withService(args: string[], routes: Routes = {}) {
  await using service = await fakeService({ ...ROUTES, ...routes });
  const ran = await run(args, { env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' } });
  return { ...ran, posted: service.asked.filter(({ method }) => method === 'POST') };
}

const tooWide = (text: string) => text.split('\n').filter((line) => widthOf(line) > 80);

describe('a pause', () => {
  test.each([
    [['--until', '2h'], { until: '2h' }],
    [['--until', '2026-12-01T06:00Z'], { until: '2026-12-01T06:00:00.000Z' }],
    [['--until', '2026-12-01T06:00:00+02:00'], { until: '2026-12-01T04:00:00.000Z' }],
    [[], {}],
  ])('with %j is asked for', async (args, until) => {
    const ran = await withService(['pause', 'acme', '--reason', 'a freeze', '--as', 'jo', ...args]);
    expect(ran).toMatchObject({ err: '', code: EXIT.ok });
    expect(ran.posted.map(({ body }) => body)).toEqual([{ by: 'jo', reason: 'a freeze', ...until }]);
    expect(ran.out).toContain('acme is paused until 2026-11-24T10:00:00.000Z');
  });

  test.each([
    [['pause', 'acme'], '--reason'],
    [['resume', 'acme'], '--reason'],
    [['pause', 'acme', '--reason', 'x', '--until', 'tomorrow'], '--until'],
    [['pause', 'acme', '--reason', 'x', '--until', '2026-12-01T06:00'], '--until'],
    [['pause', 'acme', '--reason', 'x', '--until', '2026-13-01T06:00Z'], '--until'],
  ])('as %j is refused, and nothing is sent', async (args, words) => {
    const ran = await withService(args);
    expect(ran.code).toBe(EXIT.refused);
    expect(ran.err).toContain(words);
    expect(ran.posted).toEqual([]);
  });

  it('is ended', async () => {
    const ran = await withService(['resume', 'acme', '--reason', 'thawed', '--as', 'jo']);
    expect(ran.posted.map(({ body }) => body)).toEqual([{ by: 'jo', reason: 'thawed' }]);
    expect(ran.out).toBe('acme goes on (trigger 6).\n');
  });

  it('is told by the status: who, since when, how long, why', async () => {
    const ran = await withService(['status', 'acme']);
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.out.replaceAll(/\s+/g, ' ')).toContain(
      'Paused by jo 30m ago, for 2h more: ConnectWise moves this company to another cloud',
    );
  });

  test.each(['pause', 'resume', 'accept'])('help of %s fits 80 columns', async (command) => {
    const ran = await withService([command, '--help']);
    expect(tooWide(ran.out)).toEqual([]);
  });
});

describe('an acceptance', () => {
  const why = ['--reason', 'needed', '--as', 'jo'];

  it('is asked for with what, why and for how long', async () => {
    const ran = await withService(['accept', 'acme', PATH, '--for', '30d', '--observed', 'All', ...why]);
    expect(ran).toMatchObject({ err: '', code: EXIT.ok });
    expect(ran.posted.map(({ body }) => body)).toEqual([
      { path: PATH, by: 'jo', reason: 'needed', expires: '30d', observed: 'All' },
    ]);
    expect(ran.out).toContain(`${PATH} is accepted until 2026-12-24T08:00:00.000Z`);
  });

  it('is withdrawn', async () => {
    const ran = await withService(['accept', 'acme', PATH, '--withdraw', ...why]);
    expect(ran.posted.map(({ path, body }) => [path, body])).toEqual([
      ['/tenants/acme/accept/withdraw', { path: PATH, by: 'jo', reason: 'needed' }],
    ]);
    expect(ran.out).toContain(`${PATH} is drift again`);
  });

  it('is told, and with --all those that have ended', async () => {
    const live = await withService(['accept', 'acme', '--list']);
    expect(live.out).toContain('in-force');
    expect(live.out).not.toContain('void');
    const all = await withService(['accept', 'acme', '--list', '--all']);
    expect(all.out.replaceAll(/\s+/g, ' ')).toContain('is void: it no longer differs');
    expect(tooWide(live.out + all.out)).toEqual([]);
  });

  test.each([
    [['accept', 'acme', PATH, '--for', '30d'], '--reason'],
    [['accept', 'acme', PATH, ...why], '--for'],
    [['accept', 'acme', ...why, '--for', '30d'], 'which drift'],
    [['accept', 'acme', PATH, '--list'], '--list'],
    [['accept', 'acme', PATH, '--withdraw', '--for', '30d', ...why], '--withdraw'],
    [['accept', 'acme', PATH, '--all', '--for', '30d', ...why], '--all'],
    [['accept', 'acme', PATH, '--for', 'ever', ...why], '--for'],
  ])('as %j is refused, and nothing is sent', async (args, words) => {
    const ran = await withService(args);
    expect(ran.code).toBe(EXIT.refused);
    expect(ran.err).toContain(words);
    expect(ran.posted).toEqual([]);
  });

  it('is told by the status, beside its drift; a tenant that is ready by it is ready', async () => {
    const accepted = { by: 'jo', reason: 'the board needs it', until: '2026-12-24T08:00:00.000Z' };
    const [drift] = canned.status.drift;
    const status = {
      ...canned.status,
      ready: 'True',
      observedGeneration: canned.status.generation,
      handoffs: [],
      drift: [{ ...drift, action: 'none:accepted', accepted }],
    };
    const ran = await withService(['status', 'acme'], { 'GET /tenants/acme/status': answer(status) });
    expect(ran.code).toBe(EXIT.ok);
    expect(tooWide(ran.out)).toEqual([]);
    expect(ran.out.replaceAll(/\s+/g, ' ')).toContain('accepted by jo for 30d more: the board needs it');
  });
});
