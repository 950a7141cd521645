import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { expect, test } from 'vitest';
import type { Handoff } from '../../src/domain/handoff.ts';
import type { StatusView } from '../../src/reconciler/commands.ts';
import { scenarioSecrets, seedScenario, type FaultEffect, type KeyPair } from '../../src/simulator/index.ts';
import {
  expectNothingLeft,
  folder,
  markedProcesses,
  reconciled,
  run,
  simulator,
  startProgram,
  startService,
  statusWhen,
  tenantOf,
  until,
  verdict,
  type Service,
} from './harness.ts';

expectNothingLeft();

const KEK = randomBytes(32);
const TOKEN = `sentinel-admin-token-${randomBytes(12).toString('hex')}`;
const REVEAL_TOKEN = `sentinel-reveal-token-${randomBytes(12).toString('hex')}`;

/** Goes every way that a secret could go, and is none: a search that does not find it, finds nothing. */
const CONTROL = `not-a-secret-${randomBytes(12).toString('hex')}`;

const sentinelPair = (name: string): KeyPair => ({
  publicKey: `SENTINEL${name}Public${randomBytes(8).toString('hex')}`,
  privateKey: `SENTINEL${name}Private${randomBytes(8).toString('hex')}`,
});

/** Forms in which a text may be written down. */
const forms = (text: string): string[] => {
  const base64 = Buffer.from(text).toString('base64');
  return [
    text,
    encodeURIComponent(text),
    base64,
    base64.replaceAll('=', ''),
    Buffer.from(text).toString('hex'),
  ];
};

interface Secret {
  name: string;
  forms: string[];
}

const secret = (name: string, text: string): Secret => ({ name, forms: forms(text) });

/** A pair as it is, and as it stands in the header that carries it (domain.md §4, §5). */
function pairSecrets(name: string, publicHalf: string, privateHalf: string, company: string): Secret[] {
  return [
    secret(`${name}, public half`, publicHalf),
    secret(`${name}, private half`, privateHalf),
    secret(`${name}, in ConnectWise's header`, `${company}+${publicHalf}:${privateHalf}`),
    secret(`${name}, in Umbrella's header`, `${publicHalf}:${privateHalf}`),
  ];
}

function secretsOf(companyId: string): Secret[] {
  const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(companyId);
  const of = (name: string, publicHalf: string, privateHalf: string) =>
    pairSecrets(`${companyId}: ${name}`, publicHalf, privateHalf, companyId);
  return [
    ...of('management key', managementKey.publicKey, managementKey.privateKey),
    ...of('integration key', integrationKey.publicKey, integrationKey.privateKey),
    ...of('Umbrella key', umbrellaApiKey.key, umbrellaApiKey.secret),
    ...of('KeyAdmin key', umbrellaKeyAdmin.key, umbrellaKeyAdmin.secret),
  ];
}

/** Where a text was looked for. */
interface Place {
  name: string;
  text: string;
}

const find = (secrets: readonly Secret[], places: readonly Place[]): string[] =>
  places.flatMap(({ name, text }) =>
    secrets
      .filter(({ forms }) => forms.some((form) => text.includes(form)))
      .map((one) => `${one.name} in ${name}`),
  );

/** Every GET of the API's own description, for every tenant and hand-off, and what it does not describe. */
async function everyAnswer(service: Service, tenants: readonly string[]): Promise<Place[]> {
  const described = JSON.parse((await service.get('/openapi.json')).text) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const { items } = JSON.parse((await service.get('/handoffs?live=false')).text) as { items: Handoff[] };
  const paths = Object.entries(described.paths)
    .filter(([, methods]) => 'get' in methods)
    .flatMap(([path]) => {
      if (!path.includes('{id}')) return [path];
      const ids = path.startsWith('/handoffs') ? items.map(({ id }) => id) : tenants;
      return ids.map((id) => path.replace('{id}', id));
    });
  const more = ['/openapi.json', '/docs', '/handoffs?live=false', '/tenants/zebra', '/nothing-here'];
  return Promise.all(
    [...paths, ...more].map(async (path) => ({ name: `GET ${path}`, text: (await service.get(path)).text })),
  );
}

/** Every row of every table as text, and every statement that the server remembers. */
async function everyRow(pool: pg.Pool): Promise<Place[]> {
  const { rows: tables } = await pool.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
      where schemaname not in ('pg_catalog', 'information_schema')
      union all select 'pg_stat_activity'`,
  );
  expect(tables.map(({ name }) => name)).toEqual(
    expect.arrayContaining(['public.credentials', 'public.events', 'public.runs', 'public.intents']),
  );
  return Promise.all(
    tables.map(async ({ name }) => {
      const { rows } = await pool.query<{ row: string }>(`select t::text as row from ${name} t`);
      return { name: `the table ${name}`, text: rows.map(({ row }) => row).join('\n') };
    }),
  );
}

/** Every file under the service's folder, the server's log and its files on disk among them. */
async function everyFile(data: string): Promise<Place[]> {
  const entries = await readdir(data, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  // The server's own password lies there, for its service alone.
  const searched = files.filter((file) => !file.endsWith('parasol.password'));
  return Promise.all(
    searched.map(async (file) => ({
      name: file.slice(data.length + 1),
      // The server moves its files about while it runs.
      text: await readFile(file, 'latin1').catch(() => ''),
    })),
  );
}

const commandLine = async (pid: number): Promise<Place> => ({
  name: `the command line of ${pid}`,
  text: (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' '),
});

/** The environment of every process that the service started: what it was given itself is not handed on. */
async function environments(service: number): Promise<Place[]> {
  const started = await markedProcesses();
  // A compiler is none of what is installed: it is there where the program runs from its sources.
  const children = started.filter(({ pid, command }) => pid !== service && !command.includes('esbuild'));
  return Promise.all(
    children.map(async ({ pid, command }) => ({
      name: `the environment of ${command}`,
      text: await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => ''),
    })),
  );
}

/** What a proxy that shows requests makes of a call's header. */
const echoOf = (publicHalf: string, privateHalf: string, company: string): string => {
  const credentials = `${company}${publicHalf}:${privateHalf}`;
  return [
    Buffer.from(credentials).toString('base64'),
    encodeURIComponent(credentials),
    credentials,
    privateHalf,
  ].join(' ');
};

/** Vendors that echo what was sent to them, and everything else that goes wrong. */
const TROUBLES: readonly ((echo: string) => FaultEffect)[] = [
  (echo) => ({
    kind: 'status',
    status: 400,
    body: { code: 'Bad', message: echo, errors: [{ code: echo, message: echo, field: echo }] },
  }),
  (echo) => ({ kind: 'status', status: 403, body: { code: 'Security', message: echo } }),
  (echo) => ({ kind: 'status', status: 200, body: [{ description: echo, [echo]: echo }] }),
  (echo) => ({ kind: 'status', status: 401, body: { code: 'Unauthorized', message: echo } }),
  (echo) => ({ kind: 'status', status: 404, body: { code: 'NotFound', message: echo } }),
  (echo) => ({ kind: 'status', status: 500, body: echo }),
  (echo) => ({ kind: 'html', status: 502, html: `<html>${echo}</html>` }),
  (echo) => ({ kind: 'text', status: 200, text: echo }),
  (echo) => ({ kind: 'redirect', location: `https://elsewhere.example/?${encodeURIComponent(echo)}` }),
  () => ({ kind: 'rateLimit', retryAfterSeconds: 0 }),
  () => ({ kind: 'resetAfter' }),
  () => ({ kind: 'truncate' }),
];

/**
 * Replaces the key of `elm` by a new one from the request to the old one's end; every answer but the one that
 * shows the pair becomes a place, and that one is returned.
 */
async function rotate(
  service: Service,
  vendors: Awaited<ReturnType<typeof simulator>>,
  pair: KeyPair,
  places: Place[],
): Promise<string> {
  const { world } = vendors;
  const members = { adopt: true, dedicated: true };
  const elm = tenantOf(vendors, 'elm', { every: '1s', members, rotation: { overlap: '1s' } });
  await service.client.apply([elm], false);
  await statusWhen(service, 'elm', 'ready', ({ ready }) => ready === 'True');
  const by = { by: 'ann', reason: `a drill ${CONTROL}` };
  const say = async (path: string, body: unknown) => {
    const { status, text } = await service.call('POST', path, body);
    expect(status).toBeLessThan(300);
    places.push({ name: `POST ${path}`, text });
  };
  const asked = async (kind: Handoff['kind']) => {
    const isAsked = ({ handoffs }: StatusView) => handoffs.some((handoff) => handoff.kind === kind);
    const { handoffs } = await statusWhen(service, 'elm', kind, isAsked);
    return handoffs.find((handoff) => handoff.kind === kind)!.id;
  };

  await say('/tenants/elm/rotations', by);
  const issue = await asked('issue-integration-key');
  world.makeKey('elm', 'umbrella-b', 'Umbrella, by Parasol', pair);
  await say(`/handoffs/${issue}/submit`, { by: 'ann', ...pair });
  const install = await asked('install-integration-key');
  await say(`/handoffs/${install}/claim`, { by: 'ann' });
  // The administrator may not read it.
  const refused = await service.call('POST', `/handoffs/${install}/reveal`, by);
  expect(refused.status).toBe(403);
  places.push({ name: 'a refused reveal', text: refused.text });
  const reveal = () =>
    fetch(`${service.url}/handoffs/${install}/reveal`, {
      method: 'POST',
      headers: { authorization: `Bearer ${REVEAL_TOKEN}`, 'content-type': 'application/json' },
      body: JSON.stringify(by),
    });
  const answer = await reveal();
  expect(answer.status).toBe(200);
  const shown = await answer.text();
  const again = await reveal();
  expect(again.status).toBe(409);
  places.push({ name: 'a second reveal', text: await again.text() });
  world.installKey('elm', pair);
  await say(`/handoffs/${install}/submit`, { by: 'ann' });

  const umbrellaWrites = () => {
    world.changeFigures('elm');
    return world.runSync('elm').outcome === 'succeeded';
  };
  await until('the deletion of the old key is asked for', async () => {
    const { handoffs } = await service.client.status('elm');
    return umbrellaWrites() && handoffs.some(({ kind }) => kind === 'delete-key');
  });
  world.deleteKey('elm', scenarioSecrets('elm').integrationKey.publicKey);
  await until('the rotation has ended', async () => {
    const { text } = await service.get('/tenants/elm/rotations');
    places.push({ name: 'GET /tenants/elm/rotations', text });
    return umbrellaWrites() && text.includes('"phase":"Completed"') && text.includes('"outcome":"');
  });
  return shown;
}

test('no secret is anywhere but in the vault, through an onboarding and a bad day', async () => {
  await using data = await folder();
  await using vendors = await simulator();
  const { world } = vendors;
  const ACME = ['acme', 'birch', 'cedar', 'elm'];
  seedScenario(world, 'acme', 'role-missing');
  seedScenario(world, 'birch', 'healthy');
  seedScenario(world, 'cedar', 'key-dead');
  seedScenario(world, 'elm', 'healthy', { customers: 1 });
  const given = sentinelPair('Given');
  const stranger = sentinelPair('Stranger');
  const mistyped = sentinelPair('Mistyped');
  const rotated = sentinelPair('Rotated');
  await using service = await startService({
    databaseUrl: null,
    data: data.path,
    kek: KEK.toString('base64'),
    token: TOKEN,
    env: { PARASOL_LOG_LEVEL: 'trace', PARASOL_REVEAL_TOKEN: REVEAL_TOKEN },
  });
  const places: Place[] = [await commandLine(service.pid)];
  const password = (await readFile(join(data.path, 'postgres/cluster/parasol.password'), 'utf8')).trim();
  const [, , , port = ''] = (
    await readFile(join(data.path, 'postgres/cluster/postmaster.pid'), 'utf8')
  ).split('\n');
  const url = `postgres://parasol:${password}@127.0.0.1:${port}/parasol`;
  const secrets: Secret[] = [
    ...ACME.flatMap(secretsOf),
    ...[given, stranger, mistyped, rotated].flatMap((pair) =>
      pairSecrets(pair.publicKey, pair.publicKey, pair.privateKey, 'acme'),
    ),
    secret('the administrator’s token', TOKEN),
    secret('the token that reveals', REVEAL_TOKEN),
    {
      name: 'the key-encryption key',
      forms: [
        ...forms(KEK.toString('base64')),
        KEK.toString('base64url'),
        KEK.toString('hex'),
        KEK.toString('latin1'),
      ],
    },
    secret('the database’s password', password),
  ];

  // ── an onboarding, from no role to ready
  await service.client.apply(
    [
      tenantOf(vendors, 'acme', { withKey: false }),
      tenantOf(vendors, 'birch'),
      tenantOf(vendors, 'cedar', { mode: 'observe' }),
    ],
    false,
  );
  await statusWhen(
    service,
    'acme',
    'the role is there',
    (s) => verdict(s, 'RoleReady') === 'False LevelsMissing',
  );
  world.setProcedureLevels('acme', 'Umbrella');
  world.setAllowList('acme', 'Umbrella');
  await service.client.reconcile('acme', CONTROL);
  const asked = await statusWhen(service, 'acme', 'a key is asked for', ({ handoffs }) =>
    handoffs.some(({ kind }) => kind === 'issue-integration-key'),
  );
  const [issue] = asked.handoffs;
  const handoff = issue?.id ?? '';
  // A key of another member first, which is refused, and asked to be deleted.
  world.makeKey('acme', 'helpdesk-bot', 'not this one', stranger);
  const submit = async (pair: KeyPair) => {
    await using command = startProgram(['submit', handoff, '--as', 'ann'], { env: service.cli });
    places.push(await commandLine(command.pid));
    command.stdin.end(`${pair.publicKey}\n${pair.privateKey}\n`);
    await command.ended;
    places.push({ name: 'submit', text: command.stdout() + command.stderr() });
  };
  await submit(stranger);
  await statusWhen(service, 'acme', 'the stranger’s key is to be deleted', ({ handoffs }) =>
    handoffs.some(({ kind }) => kind === 'delete-key'),
  );
  world.makeKey('acme', 'umbrella-a', 'Umbrella, by Parasol', given);
  await submit(given);
  await statusWhen(
    service,
    'acme',
    'the key is in use',
    (s) => verdict(s, 'IntegrationKeyValid') === 'True Valid',
  );
  world.deleteKey('acme', stranger.publicKey);
  await submit({ ...given, privateKey: mistyped.privateKey });

  // ── a whole rotation, in which a pair is made, given, shown once and used
  const shown = await rotate(service, vendors, rotated, places);
  expect(find(secrets, [{ name: 'what was shown', text: shown }])).toEqual([
    `${rotated.publicKey}, public half in what was shown`,
    `${rotated.publicKey}, private half in what was shown`,
  ]);
  places.push(...(await environments(service.pid)), ...(await everyAnswer(service, ['elm'])));

  // ── a bad day: vendors that echo what was sent to them, and everything else that goes wrong
  const { managementKey, umbrellaApiKey } = scenarioSecrets('birch');
  const echoes = [
    {
      when: { company: 'birch', actor: 'parasol' },
      echo: echoOf(managementKey.publicKey, managementKey.privateKey, 'birch+'),
    },
    {
      when: { company: 'birch', actor: umbrellaApiKey.key },
      echo: echoOf(umbrellaApiKey.key, umbrellaApiKey.secret, ''),
    },
  ] as const;
  const spoil = (trouble: (echo: string) => FaultEffect) =>
    echoes.map(({ when, echo }) => world.addFault({ when, effect: trouble(echo) }));
  for (const trouble of TROUBLES) {
    const faults = spoil(trouble);
    await reconciled(service, 'birch');
    places.push(...(await everyAnswer(service, ['birch'])));
    for (const fault of faults) world.faults.remove(fault);
  }
  // The doctor shows what vendors answer, so that what they echo matters most there.
  for (const trouble of TROUBLES.slice(0, 4)) {
    const faults = spoil(trouble);
    const doctor = await run(['doctor', 'birch'], {
      env: { DATABASE_URL: url, PARASOL_KEK: KEK.toString('base64'), PARASOL_LOG_LEVEL: 'trace' },
    });
    places.push({ name: 'doctor', text: doctor.stdout + doctor.stderr });
    for (const fault of faults) world.faults.remove(fault);
  }

  // ── people who type secrets where none belong
  const pairBody = { publicKey: mistyped.publicKey, privateKey: mistyped.privateKey };
  const calls: [string, string, unknown][] = [
    ['PUT', '/tenants/birch/credentials/integration', { ...pairBody, member: 'nobody' }],
    [
      'PUT',
      '/tenants/birch/credentials/integration',
      { ...pairBody, member: 'umbrella-a', [mistyped.privateKey]: 1 },
    ],
    [
      'PUT',
      '/tenants/birch/credentials/management',
      { ...pairBody, privateKey: { text: mistyped.privateKey } },
    ],
    ['POST', `/handoffs/${handoff}/submit`, { by: 'ann', ...pairBody }],
    ['POST', '/tenants', { id: mistyped.privateKey, connectwise: { managementKey: pairBody } }],
    ['POST', '/fleet/apply', { tenants: [{ ...tenantOf(vendors, 'birch'), name: 7 }] }],
    ['PUT', '/tenants/birch', { ...tenantOf(vendors, 'birch'), mode: mistyped.privateKey }],
  ];
  for (const [method, path, body] of calls) {
    const { status, text } = await service.call(method, path, body);
    expect([400, 409, 422]).toContain(status);
    places.push({ name: `${method} ${path}`, text });
  }
  const raw = async (body: string, token: string) => {
    const response = await fetch(`${service.url}/tenants`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body,
    });
    places.push({ name: 'POST /tenants', text: await response.text() });
  };
  await raw(`{ "privateKey": "${mistyped.privateKey}"`, TOKEN);
  await raw('{}', mistyped.privateKey);
  await service.get(`/tenants?after=${mistyped.privateKey}`);
  const argument = await run(['submit', handoff, mistyped.privateKey], { env: service.cli });
  expect(argument.code).toBe(4);
  places.push({ name: 'submit with an argument', text: argument.stdout + argument.stderr });
  // An ordinary reconcile that says why, which goes wherever words may go.
  await service.client.reconcile('birch', CONTROL);
  await statusWhen(
    service,
    'birch',
    'it was done',
    ({ lastRun }) => lastRun?.trigger.endsWith(CONTROL) ?? false,
  );

  // ── the search
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  try {
    places.push(
      ...(await everyAnswer(service, ACME)),
      ...(await everyRow(pool)),
      ...(await everyFile(data.path)),
    );
  } finally {
    await pool.end();
  }
  expect(await service.stop()).toMatchObject({ code: 0 });
  const log = { name: 'the service’s log', text: service.stdout() + service.stderr() };
  places.push(log);
  expect([...new Set(find(secrets, places))]).toEqual([]);

  // It would have found one: the control went through the log, the API, a table and the disk.
  const found = find([secret('control', CONTROL)], places).join('\n');
  for (const place of [
    'the service’s log',
    'GET /tenants/birch/runs',
    'the table public.runs',
    'postgres/',
  ]) {
    expect(found).toContain(`control in ${place}`);
  }
  const seen = (name: string) =>
    places
      .filter((place) => place.name === name)
      .map(({ text }) => text)
      .join();
  expect(seen('GET /metrics')).toContain('parasol_');
  expect(seen(`the command line of ${service.pid}`)).toContain('dist/main.js serve');
  expect(seen('doctor')).toContain('birch');
  // Of the rotation: its words went everywhere, and its children and their environments were looked at.
  expect(found).toContain('control in GET /tenants/elm/events');
  expect(found).toContain('control in the table public.rotations');
  const server = places.find(({ name }) => /^the environment of .*postgres/.test(name));
  expect(server?.text).toContain('PATH=');
  expect(service.lines().some(({ level }) => Number(level) <= 20)).toBe(true);
});
