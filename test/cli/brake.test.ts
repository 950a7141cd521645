import { describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import type { BrakeView } from '../../src/reconciler/commands.ts';
import { fakeService, run, type Routes } from './harness.ts';

const AT = '2026-11-24T07:40:00.000Z';
const ID = '01996f7e-0000-7000-8000-00000000beef';
const on: BrakeView = {
  id: ID,
  state: 'on',
  signatures: ['role.levels.Companies/Configurations.edit missing', 'members.*.active different'],
  what: ['role.levels.Companies/Configurations.edit is missing', 'members.*.active is different'],
  setAt: AT,
  counted: 2_000,
  fleet: 10_000,
  held: Array.from({ length: 1_999 }, (_, index) => `northwind-managed-services-${index}`),
  canaries: [],
  released: null,
  endedAt: null,
};
const tried: BrakeView = {
  ...on,
  canaries: [
    {
      tenant: 'acme',
      at: AT,
      by: 'Jo',
      reason: 'looked at it with the vendor',
      conforms: true,
      run: {
        id: 'run-1',
        outcome: 'succeeded',
        summary: 'ready: True',
        actions: [{ action: 'change active of the member umbrella-a', outcome: 'done' }],
      },
    },
  ],
};
const released: BrakeView = {
  ...tried,
  state: 'released',
  held: [],
  released: { at: AT, by: 'Jo', reason: 'acme is well', withoutCanary: true },
};
const ended: BrakeView = { ...on, state: 'ended', held: [], endedAt: AT };

async function withBrakes(args: string[], brakes: BrakeView[], routes: Routes = {}) {
  await using service = await fakeService({
    'GET /brakes': () => ({ body: { items: brakes } }),
    [`POST /brakes/${ID}/release`]: () => ({
      status: 202,
      body: { triggered: [{ tenant: 'acme', trigger: 4 }] },
    }),
    ...routes,
  });
  const ran = await run(args, { env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' } });
  return { ...ran, posted: service.asked.filter(({ method }) => method === 'POST').map(({ body }) => body) };
}

const plain = (text: string) => text.replaceAll(/\s+/g, ' ');

describe('parasol brake', () => {
  test.each<[string, BrakeView[]]>([
    ['one that is on', [on]],
    ['one that was tried', [tried]],
    ['past ones', [released, ended]],
  ])('tells of %s within 80 columns', async (_, brakes) => {
    const { out, err } = await withBrakes(['brake'], brakes);
    expect(out.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
    expect(err).toBe('');
  });

  it('tells what set it, whom it holds, and what to do next', async () => {
    const { out, code } = await withBrakes(['brake'], [on]);
    const told = plain(out);
    expect(told).toContain('2000 of 10000 tenants came to differ so');
    expect(told).toContain('role.levels.Companies/Configurations.edit is missing');
    expect(told).toContain('northwind-managed-services-7 and 1991 more');
    expect(told).toContain('brake release 0000beef --tenant northwind-managed-services-0 --reason');
    expect(code).toBe(EXIT.drift);
  });

  it('tells what came of the first release, and that all may follow', async () => {
    const told = plain((await withBrakes(['brake'], [tried])).out);
    expect(told).toContain('acme, 20m ago by Jo (looked at it with the vendor): run succeeded;');
    expect(told).toContain('change active of the member umbrella-a: done; it conforms now');
    expect(told).toContain('brake release 0000beef --reason "…" for all');
  });

  it('tells who released it without a canary, and how one ended', async () => {
    const { out, code } = await withBrakes(['brake'], [released, ended]);
    expect(plain(out)).toContain('20m ago for all by Jo, without a canary: acme is well');
    expect(plain(out)).toContain('no tenant differs so any more');
    expect(code).toBe(EXIT.ok);
  });

  it('says that none is on', async () => {
    expect(await withBrakes(['brake'], [])).toMatchObject({ out: 'No brake is on.\n', code: EXIT.ok });
  });

  it('gives machines the answer as it came', async () => {
    const { out } = await withBrakes(['--json', 'brake'], [on]);
    expect(JSON.parse(out)).toEqual([on]);
  });
});

describe('parasol brake release', () => {
  test.each<[string, string[], object]>([
    ['one tenant', ['--tenant', 'acme'], { tenant: 'acme' }],
    ['all', [], { withoutCanary: false }],
    ['all without a canary', ['--without-canary'], { withoutCanary: true }],
  ])('asks for %s, by whom and why', async (_, options, body) => {
    const ran = await withBrakes(['brake', 'release', 'beef', '--reason', 'looked', ...options], [on]);
    expect(ran).toMatchObject({ err: '', code: EXIT.ok });
    expect(ran.posted).toEqual([{ by: 'jamie', reason: 'looked', ...body }]);
  });

  test.each<[string, string[]]>([
    ['no reason', ['beef']],
    ['no such brake', ['dead', '--reason', 'x']],
    ['a canary without a canary', ['beef', '--reason', 'x', '--tenant', 'acme', '--without-canary']],
  ])('asks for nothing with %s', async (_, options) => {
    const ran = await withBrakes(['brake', 'release', ...options], [on]);
    expect(ran.posted).toEqual([]);
    expect(ran.code).toBe(EXIT.refused);
    expect(ran.err).not.toBe('');
  });

  it('tells what the service refuses', async () => {
    const detail = 'Release one tenant first.';
    const ran = await withBrakes(['brake', 'release', 'beef', '--reason', 'x'], [on], {
      [`POST /brakes/${ID}/release`]: () => ({
        status: 409,
        body: { title: 'Conflict', status: 409, detail },
      }),
    });
    expect(ran.err).toContain(detail);
    expect(ran.code).not.toBe(EXIT.ok);
  });
});
