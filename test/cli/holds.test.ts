import { describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
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
const ROUTES: Routes = {
  'GET /tenants/acme/status': answer(paused),
  'POST /tenants/acme/pause': answer({ trigger: 5, until: '2026-11-24T10:00:00.000Z' }, 202),
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

  test.each(['pause', 'resume'])('help of %s fits 80 columns', async (command) => {
    const ran = await withService([command, '--help']);
    expect(tooWide(ran.out)).toEqual([]);
  });
});
