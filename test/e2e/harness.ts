import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { afterAll } from 'vitest';
import { Client } from '../../src/cli/client.ts';
import type { TenantInput } from '../../src/domain/tenant.ts';
import type { StatusView } from '../../src/reconciler/commands.ts';
import { scenarioSecrets, startSimulator, type Simulator } from '../../src/simulator/index.ts';
import { createTestDatabase, type TestDatabase } from '../support/postgres.ts';

/**
 * The real program in processes of its own, against a real database and the simulated vendors. Everything that a
 * test starts is `await using`, so that it ends with the test, however that ends; `expectNothingLeft` fails a
 * file that leaves a process behind.
 */

export const ROOT = resolve(import.meta.dirname, '../..');
const PROGRAM = [join(ROOT, 'dist/main.js')];

/** Stands in the environment of every process that a file starts, and so of those that they start. */
const MARK = `E2E_MARK=${randomUUID()}`;

/** What a child needs of this machine; the caller's own settings speak of a real installation. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'TZ'];

const children = new Set<ChildProcess>();

interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A process that runs, and what it has said so far. */
export interface Running extends AsyncDisposable {
  pid: number;
  stdout(): string;
  stderr(): string;
  stdin: Writable;
  running(): boolean;
  /** Settles when it has ended and all that it said was read. */
  ended: Promise<Ended>;
  signal(name: NodeJS.Signals): void;
  /** Ends it as a power cut would, and waits until it is gone. */
  kill(): Promise<void>;
}

export interface ProcessOptions {
  env?: Readonly<Record<string, string>>;
  /** In a process group of its own, which can be signalled as a terminal does it. */
  group?: boolean;
}

/** Starts this program with such arguments: `serve`, `apply -f …`. */
export const startProgram = (args: readonly string[], options: ProcessOptions = {}): Running =>
  startProcess(process.execPath, [...PROGRAM, ...args], options);

export function startProcess(
  executable: string,
  args: readonly string[],
  { env = {}, group = false }: ProcessOptions = {},
): Running {
  const inherited = INHERITED.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  const [markName = '', mark = ''] = MARK.split('=');
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(executable, args, {
    cwd: ROOT,
    env: { ...Object.fromEntries(inherited), [markName]: mark, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
    detached: group,
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${executable} cannot be started`);
  children.add(child);
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => (said[name] += text));
  }
  // Nobody reads any more what is typed into a process that has ended.
  child.stdin.on('error', () => undefined);
  const ended = once(child, 'close').then(([code, signal]): Ended => {
    children.delete(child);
    return { code: code as number | null, signal: signal as NodeJS.Signals | null };
  });
  const running = () => child.exitCode === null && child.signalCode === null;
  const kill = async () => {
    if (running()) child.kill('SIGKILL');
    // What it started may hold its pipes open: it is gone when it has exited.
    if (running()) await once(child, 'exit');
  };
  return {
    pid,
    stdin: child.stdin,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    running,
    ended,
    signal: (name) => void (group ? process.kill(-pid, name) : child.kill(name)),
    kill,
    [Symbol.asyncDispose]: kill,
  };
}

export interface Ran extends Ended {
  stdout: string;
  stderr: string;
}

/** Runs one command to its end; `input` is what stands on its standard input. */
export async function run(
  args: readonly string[],
  { input, ...options }: ProcessOptions & { input?: string } = {},
): Promise<Ran> {
  await using command = startProgram(args, options);
  command.stdin.end(input ?? '');
  const ended = await command.ended;
  return { ...ended, stdout: command.stdout(), stderr: command.stderr() };
}

/** One line of the service's log. */
type LogLine = Record<string, unknown> & { msg?: string };

export interface Service extends Running {
  url: string;
  token: string;
  client: Client;
  lines(): LogLine[];
  /** A GET with the administrator's token; the body as it came. */
  get(path: string): Promise<{ status: number; text: string }>;
  call(method: string, path: string, body?: unknown): Promise<{ status: number; text: string }>;
  /** What the command line needs to find it. */
  cli: Readonly<Record<string, string>>;
  /** Asks it to end, and waits until it has. */
  stop(): Promise<Ended>;
}

export interface ServiceOptions extends ProcessOptions {
  /** Null: the embedded server, in `data`. */
  databaseUrl: string | null;
  data: string;
  /** Absent: the one of this file. Null: none is given. */
  kek?: string | null;
  /** Absent: the one of this file. Null: the service makes one. */
  token?: string | null;
}

export const KEK = randomBytes(32).toString('base64');
const TOKEN = randomBytes(32).toString('hex');

/** How long a service may take to listen on a busy machine; a bound, not a measurement. */
const START_WITHIN_MS = 60_000;

/** Starts a service and waits until it listens; fails with what it said if it ends instead. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const running = launchService(options);
  try {
    return await listening(running, options);
  } catch (error) {
    await running.kill();
    throw error;
  }
}

/** Starts a service and does not wait. */
export function launchService(options: ServiceOptions): Running {
  const { databaseUrl, data, kek = KEK, token = TOKEN, env = {}, ...rest } = options;
  return startProgram(['serve'], {
    ...rest,
    env: {
      PARASOL_PORT: '0',
      PARASOL_DATA: data,
      // As for the simulator: tests run many reconciles in one minute.
      PARASOL_CONNECTWISE_SHARE: '1000',
      PARASOL_UMBRELLA_SHARE: '1000',
      ...(databaseUrl === null ? {} : { DATABASE_URL: databaseUrl }),
      ...(kek === null ? {} : { PARASOL_KEK: kek }),
      ...(token === null ? {} : { PARASOL_ADMIN_TOKEN: token }),
      ...env,
    },
  });
}

/** Waits until a launched service listens. */
async function listening(running: Running, options: ServiceOptions): Promise<Service> {
  const lines = () => linesOf(running.stdout());
  const url = await until(
    'the service listens',
    () => {
      const line = lines().find(({ msg }) => msg === 'listening');
      if (line === undefined && !running.running()) {
        throw new Error(`the service ended: ${running.stderr()}${running.stdout()}`);
      }
      return typeof line?.['url'] === 'string' ? line['url'] : null;
    },
    START_WITHIN_MS,
  );
  const token =
    options.token === null
      ? (await readFile(join(options.data, 'admin-token'), 'utf8')).trim()
      : (options.token ?? TOKEN);
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(url + path, {
      method,
      headers: {
        // Events without this would follow, and never end.
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(20_000),
    });
    return { status: response.status, text: await response.text() };
  };
  return {
    ...running,
    url,
    token,
    client: new Client(url, token),
    lines,
    call,
    get: (path) => call('GET', path),
    cli: { PARASOL_URL: url, PARASOL_TOKEN: token },
    async stop() {
      running.signal('SIGTERM');
      return running.ended;
    },
    [Symbol.asyncDispose]: () => running.kill(),
  };
}

/** The whole lines of a log, parsed; one that is no JSON is a defect, and throws. */
function linesOf(text: string): LogLine[] {
  return text
    .split('\n')
    .slice(0, -1)
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogLine);
}

/**
 * Looks again until there is something to see, and returns it; false, null and undefined are nothing. What
 * happens in other processes can only be looked at, so this is the one place that waits by the clock.
 */
export async function until<T>(
  what: string,
  look: () => Promise<T | false | null | undefined> | T | false | null | undefined,
  withinMs = 30_000,
): Promise<T> {
  const end = performance.now() + withinMs;
  for (;;) {
    const seen = await look();
    if (seen !== false && seen !== null && seen !== undefined) return seen;
    if (performance.now() > end) throw new Error(`not seen within ${withinMs / 1_000} s: ${what}`);
    await pause(25);
  }
}

/** The status of a tenant as soon as it is as asked; tells the last one where it never is. */
export async function statusWhen(
  { client }: Pick<Service, 'client'>,
  tenant: string,
  what: string,
  asked: (status: StatusView) => boolean,
  withinMs?: number,
): Promise<StatusView> {
  let last: StatusView | null = null;
  const look = async () => {
    last = await client.status(tenant);
    return asked(last) ? last : null;
  };
  return until(`${tenant}: ${what}`, look, withinMs).catch((error: Error) => {
    throw new Error(`${error.message}; the last status was ${JSON.stringify(last, null, 1)}`);
  });
}

/** A run that began after everything that was asked for has ended. */
export const isSettled = ({ trigger, observedGeneration, generation }: StatusView): boolean =>
  trigger.handled >= trigger.requested && observedGeneration === generation;

/** `False LevelsMissing` of a status' condition. */
export function verdict({ conditions }: StatusView, type: string): string {
  const found = conditions.find((condition) => condition.type === type);
  return found === undefined ? 'none' : `${found.status} ${found.reason}`;
}

/** Asks for a reconcile and waits until one that began after that has ended. */
export async function reconciled(service: Pick<Service, 'client'>, tenant: string): Promise<StatusView> {
  const { trigger } = await service.client.reconcile(tenant, 'test');
  return statusWhen(service, tenant, 'reconciled', ({ trigger: { handled } }) => handled >= trigger);
}

/** A database of its own, and a way to look into it. */
export interface Database extends AsyncDisposable {
  url: string;
  query<Row extends pg.QueryResultRow>(statement: string, parameters?: unknown[]): Promise<Row[]>;
  pool: pg.Pool;
}

export async function database(create: () => Promise<TestDatabase> = createTestDatabase): Promise<Database> {
  const created = await create();
  const { url } = created;
  const pool = new pg.Pool({ connectionString: url, max: 4, application_name: 'test' });
  // Dropping a database ends the connections that a killed test left open.
  pool.on('error', () => undefined);
  return {
    url,
    pool,
    async query<Row extends pg.QueryResultRow>(statement: string, parameters: unknown[] = []) {
      return (await pool.query<Row>(statement, parameters)).rows;
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
      await created.drop();
    },
  };
}

export interface Folder extends AsyncDisposable {
  path: string;
}

/** A folder for `PARASOL_DATA`. */
export async function folder(): Promise<Folder> {
  const path = await mkdtemp(join(tmpdir(), 'parasol-e2e-'));
  // Where root runs the tests, PostgreSQL's own account must pass.
  await chmod(path, 0o711);
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Both vendors, in this process. */
export async function simulator(): Promise<Simulator & AsyncDisposable> {
  // Tests run many reconciles in one minute.
  const started = await startSimulator({ quotas: false });
  return { ...started, [Symbol.asyncDispose]: () => started.close() };
}

/** What is asked of a tenant beside the company that it is. */
export interface Wishes {
  mode?: TenantInput['mode'];
  every?: string;
  onDelete?: TenantInput['onDelete'];
  members?: Record<string, unknown>;
  rotation?: Record<string, unknown>;
  handoffs?: Record<string, unknown>;
  /** Whether the integration key is given. Default true. */
  withKey?: boolean;
}

/** A seeded company as a tenant, with the credentials that the simulator derives from its id. */
export function tenantOf(
  { connectwiseUrl, umbrellaUrl }: Pick<Simulator, 'connectwiseUrl' | 'umbrellaUrl'>,
  companyId: string,
  {
    mode = 'repair',
    every = '1h',
    onDelete = 'orphan',
    members = {},
    rotation = {},
    handoffs = {},
    withKey = true,
  }: Wishes = {},
): TenantInput {
  const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = scenarioSecrets(companyId);
  // As a person gives it: defaults are filled in by the service.
  const given = {
    id: companyId,
    name: companyId,
    mode,
    every,
    onDelete,
    rotation,
    handoffs,
    connectwise: {
      site: connectwiseUrl,
      companyId,
      clientId: '0d1f5a52-3f0e-4d0c-9c43-5a7c1e0f2b68',
      managementKey,
      members,
      ...(withKey ? { integrationKey: { member: 'umbrella-a', ...integrationKey } } : {}),
    },
    umbrella: { console: 'msp', url: umbrellaUrl, keyAdmin: umbrellaKeyAdmin, apiKey: umbrellaApiKey },
  };
  return given as unknown as TenantInput;
}

/**
 * Call once in a file. Whatever its tests started must have ended when they have: what is still there, or was
 * started by something that is, is ended and fails the file.
 */
export function expectNothingLeft(): void {
  afterAll(async () => {
    const ownStill = children.size;
    const isOver = async () => (await markedProcesses()).length === 0;
    // What was told to end may need a moment for it.
    await until('everything has ended', isOver, 5_000).catch(() => null);
    const left = await endEverything();
    if (left.length + ownStill > 0) throw new Error(`left running: ${left.join('; ') || ownStill}`);
  });
}

/** Ends whatever a file has started, and what that has started in turn; tells what it was. */
export async function endEverything(): Promise<string[]> {
  const left = await markedProcesses();
  for (const { pid } of left) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
  return left.map(({ pid, command }) => `${pid} ${command}`);
}

/** Processes that this file started, and what they started: by their environment, which is inherited. */
export async function markedProcesses(): Promise<{ pid: number; command: string }[]> {
  if (process.platform !== 'linux') return [];
  const found: { pid: number; command: string }[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const environment = await readFile(`/proc/${entry}/environ`, 'utf8').catch(() => '');
    if (!environment.split('\0').includes(MARK)) continue;
    const command = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '');
    // A zombie has no command line: it has ended.
    if (command !== '') found.push({ pid: Number(entry), command: command.replaceAll('\0', ' ').trim() });
  }
  return found;
}

/** Processes that work in a folder: a database server has its own as its working folder. */
export async function processesIn(path: string): Promise<number[]> {
  const found: number[] = [];
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const place = await readlink(`/proc/${entry}/cwd`).catch(() => '');
    if (place === path || place.startsWith(`${path}/`)) found.push(Number(entry));
  }
  return found;
}
