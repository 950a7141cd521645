import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { EXIT } from '../../src/cli/io.ts';
import { specFile } from '../../src/cli/spec-file.ts';
import { parseTenants } from '../../src/cli/tenants-file.ts';
import { tenantInputSchema, type TenantInput, type TenantSpec } from '../../src/domain/tenant.ts';
import type { KeyView, TenantView } from '../../src/reconciler/commands.ts';
import { anySpec } from '../domain/any-spec.ts';
import { specWith } from '../domain/fixtures.ts';
import {
  applied,
  connectwiseKey,
  input,
  leaving,
  openDesk,
  umbrellaKey,
  value,
} from '../reconciler/commands-fixtures.ts';
import { fakeService, run } from './harness.ts';

const heldKey = (purpose: KeyView['purpose'], change: Partial<KeyView> = {}): KeyView => ({
  purpose,
  slot: null,
  member: null,
  fingerprint: 'ffeeddcc00112233',
  state: 'active',
  createdAt: '2026-01-01T00:00:00.000Z',
  lastProvedAt: null,
  rotateBy: null,
  ...change,
});
const viewOf = (
  spec: TenantSpec,
  credentials: KeyView[] = [],
  change: Partial<TenantView> = {},
): TenantView => ({
  id: spec.id,
  generation: 1,
  createdAt: '2026-01-01T00:00:00.000Z',
  updatedAt: '2026-01-01T00:00:00.000Z',
  deleting: false,
  spec,
  credentials,
  ...change,
});

const SHORT = { full: false, references: false };

/** Reads a file where there is no variable, no file and no command: whatever is asked for is a problem. */
function read(text: string, env: Record<string, string> = {}): TenantInput[] {
  const file = parseTenants(text, {
    env,
    readFile: (path) => {
      throw new Error(`${path} was read`);
    },
  });
  if (!file.ok) throw new Error(file.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  return file.tenants;
}

describe('a spec that is written', () => {
  it('is read as the same spec, whatever it is, short or full, one or several in a file', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anySpec(), { minLength: 1, maxLength: 3, selector: ({ id }) => id }),
        fc.boolean(),
        (specs, full) => {
          // Two tenants of one file are two companies.
          const apart = specs.map((spec, index) => ({
            ...spec,
            connectwise: { ...spec.connectwise, companyId: `company-${index}` },
            umbrella: { ...spec.umbrella, organizationId: undefined },
          }));
          const text = specFile(
            apart.map((spec) => viewOf(spec)),
            { ...SHORT, full },
          );
          expect(read(text)).toEqual(apart.map((spec) => tenantInputSchema.parse(spec)));
        },
      ),
    );
  });

  it('runs nothing and reads nothing, though a text in it looks like a reference', () => {
    const spec = specWith({
      name: '${command:touch ran}',
      notify: { connectwiseTicket: { board: '${env:HOME}' } },
    });
    const text = specFile([viewOf(spec)], SHORT);
    expect(text).toContain('name: $${command:touch ran}');
    expect(read(text, { HOME: '/root' })[0]).toMatchObject({
      name: '${command:touch ran}',
      notify: { connectwiseTicket: { board: '${env:HOME}' } },
    });
  });

  it('is short, has what matters first, and tells the keys that are held by fingerprint', () => {
    const spec = specWith({
      id: '3com-uk',
      mode: 'repair',
      labels: { team: 'north' },
      rotation: { overlap: '4d' },
    });
    const keys = [
      heldKey('management'),
      heldKey('integration', { member: 'umbrella-a2', fingerprint: '00aa' }),
      heldKey('umbrella-api', { state: 'superseded', fingerprint: 'old' }),
    ];
    expect(specFile([viewOf(spec, keys)], SHORT))
      .toBe(`# Written by \`parasol export spec\`. Keys that are held stay held: applied as it is, it changes nothing.

tenants:
  - id: 3com-uk
    name: Acme MSP
    labels:
      team: north
    mode: repair
    connectwise:
      site: https://na.myconnectwise.net
      companyId: acme
      clientId: 7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a
      # held: ffeeddcc00112233
      # managementKey:
      #   publicKey: \${env:_3COM_UK_CW_PUBLIC}
      #   privateKey: \${env:_3COM_UK_CW_PRIVATE}
      # held: 00aa; umbrella-a2 took its slot later
      # integrationKey:
      #   member: umbrella-a2
      #   publicKey: \${env:_3COM_UK_INTEGRATION_PUBLIC}
      #   privateKey: \${env:_3COM_UK_INTEGRATION_PRIVATE}
    umbrella:
      console: msp
      apiKeyExpires: never
    rotation:
      overlap: 4d
`);
  });
});

describe('an installation that moves to git', () => {
  let desk: Awaited<ReturnType<typeof openDesk>>;
  beforeAll(async () => {
    desk = await openDesk();
  });
  afterAll(() => desk.close());
  const exported = async (team: string) =>
    (await desk.commands.specs({ labels: [{ key: 'team', value: team }], after: null, limit: 200 })).items;
  const changes = async (tenants: TenantInput[]) =>
    value(await desk.commands.apply(tenants, { dryRun: true })).changes;
  const UNCHANGED = { change: 'unchanged', differences: [], warnings: [] };

  test('applies what it exported and nothing changes, whatever the specs', async () => {
    let fleets = 0;
    const fleet = fc.array(anySpec(), { minLength: 4, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fleet, fc.boolean(), async (specs, full) => {
        fleets += 1;
        const team = `fleet-${fleets}`;
        const set = specs.map((spec, index) => {
          const id = `${team}-${index}`;
          const connectwise = { ...spec.connectwise, companyId: id };
          const umbrella = { ...spec.umbrella, organizationId: undefined };
          return tenantInputSchema.parse({
            ...spec,
            id,
            labels: { ...spec.labels, team },
            connectwise,
            umbrella,
          });
        });
        await applied(desk.commands, ...set);
        const told = await changes(read(specFile(await exported(team), { ...SHORT, full })));
        expect(told.map(({ id, change, differences }) => ({ id, change, differences }))).toEqual(
          set
            .map(({ id }) => ({ id, change: 'unchanged', differences: [] }))
            .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
        );
      }),
      { numRuns: 12 },
    );
  });

  test('keeps every key, though nobody has them any more; or names those that somebody has', async () => {
    const secret = `whsec_${'B'.repeat(32)}`;
    await applied(
      desk.commands,
      input('keyed', {
        labels: { team: 'keyed' },
        connectwise: {
          managementKey: connectwiseKey('m'),
          integrationKey: { member: 'umbrella-a', ...connectwiseKey('i') },
        },
        umbrella: { apiKey: umbrellaKey('u'), keyAdmin: umbrellaKey('ka') },
        handoffs: { 'delete-key': { webhook: 'https://rpa.example/' }, secret },
      }),
    );
    const views = await exported('keyed');
    const fingerprints = views[0]!.credentials.map(({ fingerprint }) => fingerprint);
    expect(fingerprints).toHaveLength(5);
    const text = specFile(views, SHORT);
    for (const fingerprint of fingerprints) expect(text).toContain(`# held: ${fingerprint}`);
    expect(await changes(read(text))).toMatchObject([UNCHANGED]);

    const live = specFile(views, { ...SHORT, references: true });
    expect(() => read(live)).toThrow('needs the environment variable KEYED_CW_PUBLIC, which is not set');
    const env = {
      KEYED_CW_PUBLIC: 'm-public',
      KEYED_CW_PRIVATE: 'm-private',
      KEYED_INTEGRATION_PUBLIC: 'i-public',
      KEYED_INTEGRATION_PRIVATE: 'i-private',
      KEYED_UMBRELLA_KEY: 'u-public',
      KEYED_UMBRELLA_SECRET: 'u-private',
      KEYED_UMBRELLA_ADMIN_KEY: 'ka-public',
      KEYED_UMBRELLA_ADMIN_SECRET: 'ka-private',
      KEYED_AUTOMATION_SECRET: secret,
    };
    expect(await changes(read(live, env))).toMatchObject([UNCHANGED]);
    for (const value of Object.values(env)) expect(text + live).not.toContain(value);
  });

  test('is exported with a deletion under way left out', async () => {
    await applied(
      desk.commands,
      input('leaving', { labels: { team: 'l' } }),
      input('staying', { labels: { team: 'l' } }),
    );
    value(await desk.commands.deleteTenant('leaving', leaving()));
    const items = await exported('l');
    const ran = await parasol(['export', 'spec', '--label', 'team=l'], items);
    expect(ran.err).toBe('leaving is being deleted: it is left out.\n');
    expect(await changes(read(ran.out))).toMatchObject([{ id: 'staying', ...UNCHANGED }]);
  });
});

async function parasol(args: string[], items: TenantView[]) {
  const [first, ...others] = items;
  await using service = await fakeService({
    'GET /fleet/specs': ({ path }) => ({
      body: path.includes('after=') ? { items: others, next: null } : { items: [first], next: first!.id },
    }),
    ...Object.fromEntries(items.map((view) => [`GET /tenants/${view.id}`, () => ({ body: view })])),
  });
  return { ...(await run(args, { env: { PARASOL_URL: service.url } })), asked: service.asked };
}

describe('export spec', () => {
  const folder = mkdtempSync(join(tmpdir(), 'parasol-export-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const one = viewOf(specWith({ id: 'one' }));
  const two = viewOf(specWith({ id: 'two', connectwise: { companyId: 'two' } }));

  it('writes all tenants, all pages of them, or those of labels, or those named', async () => {
    const all = await parasol(['export', 'spec'], [one, two]);
    expect(read(all.out).map(({ id }) => id)).toEqual(['one', 'two']);
    expect(all.code).toBe(EXIT.ok);
    const labelled = await parasol(
      ['export', 'spec', '--label', 'team=north', '--label', 'tier'],
      [one, two],
    );
    expect(labelled.asked[0]!.path).toBe('/fleet/specs?limit=200&label=team%3Dnorth&label=tier');
    expect(read((await parasol(['export', 'spec', 'two'], [one, two])).out).map(({ id }) => id)).toEqual([
      'two',
    ]);
  });

  it('gives machines the same, which is a file as well', async () => {
    const { out } = await parasol(['export', 'spec', '--json', '--full'], [one, two]);
    expect(JSON.parse(out)).toMatchObject({ tenants: [{ id: 'one', every: '15m' }, { id: 'two' }] });
    expect(read(out)).toEqual([one, two].map(({ spec }) => tenantInputSchema.parse(spec)));
  });

  it('writes a file each into a folder, and never over one that is there, unless told to', async () => {
    const into = join(folder, 'fleet');
    const written = await parasol(['export', 'spec', '-o', into], [one, two]);
    expect(written.out).toContain(`2 files written.\nNext: parasol diff -f ${into}`);
    expect(readdirSync(into)).toEqual(['one.yaml', 'two.yaml']);
    expect(read(readFileSync(join(into, 'two.yaml'), 'utf8'))[0]?.id).toBe('two');
    rmSync(join(into, 'one.yaml'));
    writeFileSync(join(into, 'two.yaml'), '# mine\n');
    const refused = await parasol(['export', 'spec', '-o', into], [one, two]);
    expect([refused.code, refused.err]).toEqual([EXIT.refused, expect.stringContaining('two.yaml')]);
    expect(existsSync(join(into, 'one.yaml'))).toBe(false);
    expect(readFileSync(join(into, 'two.yaml'), 'utf8')).toBe('# mine\n');
    const forced = await parasol(['export', 'spec', '-o', into, '--overwrite'], [one, two]);
    expect([forced.code, readdirSync(into)]).toEqual([EXIT.ok, ['one.yaml', 'two.yaml']]);
  });

  test.each([
    ['both tenants and a label', ['one', '--label', 'a=b'], 'not both'],
    ['a label that is none', ['--label', 'A'], 'It must be a label'],
    ['a tenant that is not there', ['three'], 'There is nothing at /tenants/three'],
    ['a folder that is a file', ['-o', import.meta.filename], 'cannot be written'],
    ['--overwrite alone', ['--overwrite'], 'goes with -o'],
  ])('refuses %s', async (_, args, words) => {
    const ran = await parasol(['export', 'spec', ...args], [one, two]);
    expect(ran.err.replaceAll(/\s+/g, ' ')).toContain(words);
    expect([ran.out, ran.code]).toEqual(['', EXIT.refused]);
  });
});
