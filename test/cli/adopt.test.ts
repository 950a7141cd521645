import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { widthOf } from '../../src/cli/table.ts';
import type { AdoptionView } from '../../src/reconciler/commands.ts';
import * as canned from './canned.ts';
import { fakeService, run } from './harness.ts';

const folder = mkdtempSync(join(tmpdir(), 'parasol-adopt-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const differs: AdoptionView = {
  ...canned.plan,
  tenant: 'acme',
  mode: 'observe',
  verdict: 'differs',
  found: [
    { what: 'role', name: 'Umbrella', state: 'conforms', detail: 'Security role 63, active.', ours: null },
    { what: 'levels', name: 'Umbrella', state: 'differs', detail: '1 cell differs.', ours: null },
    {
      what: 'member',
      name: 'umbrella-a',
      state: 'differs',
      detail: 'Inactive, role Umbrella, Corporate (Level 1).',
      ours: null,
    },
  ],
  differences: [
    { path: 'role.levels.Companies/Configurations.edit', kind: 'missing', desired: 'All', observed: 'None' },
  ],
};
const takenIn: AdoptionView = {
  ...differs,
  verdict: 'taken-in',
  found: [
    {
      what: 'member',
      name: 'umbrella-a',
      state: 'conforms',
      detail: 'Active, role Umbrella, Corporate (Level 1).',
      ours: { how: 'conforming', since: '2026-11-24T07:59:00.000Z' },
    },
  ],
  differences: [],
  plan: { steps: [] },
};

async function withService(first: AdoptionView, then: AdoptionView, args = ['adopt', 'acme']) {
  let looks = 0;
  await using service = await fakeService({
    'GET /tenants/acme/adoption': () => ({ body: looks === 0 ? first : then }),
    'POST /tenants/acme/reconcile': () => {
      looks += 1;
      return { body: { trigger: canned.readyStatus.trigger.handled } };
    },
    'GET /tenants/acme/status': () => ({ body: canned.readyStatus }),
  });
  const ran = await run(args, { env: { PARASOL_URL: service.url, PARASOL_TOKEN: 'the-token' } });
  return { ...ran, sent: service.asked.filter(({ method }) => method !== 'GET') };
}

describe('adopt', () => {
  it('looks anew where no look can write, and tells that it is taken over', async () => {
    const ran = await withService({ ...differs, observedAt: null }, takenIn);
    expect(ran.sent.map(({ path, body }) => [path, body])).toEqual([
      ['/tenants/acme/reconcile', { reason: 'adoption' }],
    ]);
    expect(ran.out).toMatch(/umbrella-a +conforms +taken over, 1m ago/);
    expect(ran.out).toContain('It conforms, and is taken over. Nothing was written.');
    expect(ran.code).toBe(EXIT.ok);
  });

  it('shows what differs cell by cell, whose the member is, and the plan, in 80 columns', async () => {
    const ran = await withService(differs, differs);
    const words = ran.out.replaceAll(/\s+/g, ' ');
    expect(words).toContain('role.levels.Companies/Configurations.edit None All');
    expect(words).toContain('members.adopt: true hands it over');
    expect(words).toContain('Mode observe: nothing of this is done.');
    expect(ran.out.split('\n').filter((line) => widthOf(line) > 80)).toEqual([]);
    expect(ran.code).toBe(EXIT.drift);
  });

  it('asks for no run in mode repair, which could write', async () => {
    const ran = await withService({ ...differs, mode: 'repair' }, takenIn);
    expect(ran.sent).toEqual([]);
    expect(ran.code).toBe(EXIT.drift);
  });

  test.each([
    ['acme', EXIT.ok, ''],
    ['birch', EXIT.refused, 'has no tenant birch'],
  ])('of a file looks by itself, without a service: %s', async (tenant, code, words) => {
    const file = join(folder, 'tenants.yaml');
    writeFileSync(
      file,
      'tenants:\n  - id: acme\n    name: Acme\n    connectwise: { site: https://na.myconnectwise.net, companyId: acme, ' +
        'clientId: 0a3e1f64-0000-4000-8000-000000000001 }\n    umbrella: { console: msp }\n',
    );
    const asked: string[] = [];
    const ran = await run(['adopt', tenant, '-f', file], {
      adopt: ({ id }) => {
        asked.push(id);
        return Promise.resolve(takenIn);
      },
    });
    expect(ran.err).toContain(words);
    expect(ran.code).toBe(code);
    expect(asked).toEqual(code === EXIT.ok ? ['acme'] : []);
  });
});
