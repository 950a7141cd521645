import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { openSync, readFileSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TenantSummary } from '../reconciler/commands.ts';
import { Client } from './client.ts';
import { WatchedRotation, type DailySync, type StoryLine } from './demo-rotation.ts';
import { EXIT, type ExitCode, type Output } from './io.ts';
import { Paper } from './table.ts';
import { parseTenants } from './tenants-file.ts';
import type { Sheet } from './sheet.ts';
import { tenantsText } from './fleet-views.ts';

export interface DemoOptions {
  /** How this program is started again: the executable and what comes before `serve`. */
  command: readonly string[];
  tenantsFile: string;
  /** Values of the variables that the file refers to. */
  secrets: Readonly<Record<string, string>>;
  /** Umbrella's daily sync; `controlUrl` is where the simulator takes what is asked of it. */
  umbrella(controlUrl: string): DailySync;
  /** A token that nobody can guess. */
  newToken(): string;
  stdout: Output;
  env: Readonly<Record<string, string | undefined>>;
  now(): Date;
  sleep: (ms: number) => Promise<void>;
  /** Settles when the process is asked to end. */
  interrupted: () => Promise<void>;
  /** Ends a database server that a killed service left behind in this folder. */
  stopDatabase(data: string): Promise<void>;
}

const SIMULATOR_PORT = 9080;
const TECHNICIAN = `http://127.0.0.1:${SIMULATOR_PORT + 2}`;
const STOP_WITHIN_MS = 25_000;
const START_WITHIN_MS = 60_000;
const SYNC_EVERY = '20s';
/** The tenant whose key is rotated, with nobody there. */
const ROTATED = 'meadow';

/**
 * Both vendors simulated and the service, each a process of its own, over the tenants of
 * `examples/tenants.yaml`; a table of them, and one whole rotation, until it is told to end. Leaves nothing running and nothing behind.
 */
export async function runDemo(options: DemoOptions): Promise<ExitCode> {
  const port = Number(options.env['PARASOL_PORT'] ?? 8080);
  const taken = await takenPort([0, 1, 2, 3].map((offset) => SIMULATOR_PORT + offset).concat(port));
  if (taken !== null) {
    options.stdout.write(
      `Port ${taken} is in use. The demo needs 9080 to 9083 for the vendors and a robot, and ${port} for the service (PARASOL_PORT).\n`,
    );
    return EXIT.error;
  }
  const data = await mkdtemp(join(tmpdir(), 'parasol-demo-'));
  // Where root runs it, PostgreSQL has an account of its own that must get to its folder; the files are closed.
  await chmod(data, 0o711);
  const log = join(data, 'service.log');
  const children: Child[] = [];
  const start = (name: string, parameters: string[], env: NodeJS.ProcessEnv, output: string) => {
    const child = startChild(name, options, parameters, env, output);
    children.push(child);
    return child;
  };
  let ending = false;
  const asked = options.interrupted().then(() => {
    ending = true;
    void ignoreSignals(options);
    return null;
  });
  try {
    start(
      'simulator',
      ['simulate', '--port', String(SIMULATOR_PORT), '--scenario', 'demo', '--sync-every', SYNC_EVERY],
      {},
      join(data, 'simulator.log'),
    );
    const revealTokenFile = join(data, 'reveal-token');
    await writeFile(revealTokenFile, options.newToken(), { mode: 0o600 });
    start(
      'service',
      ['serve'],
      { PARASOL_DATA: data, PARASOL_PORT: String(port), PARASOL_REVEAL_TOKEN_FILE: revealTokenFile },
      log,
    );
    options.stdout.write('Starting PostgreSQL, both vendors and the service …\n');
    const ended = Promise.race(children.map(({ ended }) => ended));
    const died = ended.then((name) => (ending ? null : name));
    const url = `http://127.0.0.1:${port}`;
    const tokenFile = join(data, 'admin-token');
    const running = play(options, { url, tokenFile, revealTokenFile, log }, () => ending);
    const failed = await Promise.race([running, asked, died]);
    if (failed === null) return EXIT.ok;
    const words = (await readFile(log, 'utf8').catch(() => '')).trim().split('\n').slice(-5).join('\n');
    options.stdout.write(`\nThe ${failed} ended by itself:\n${words}\n`);
    return EXIT.error;
  } finally {
    ending = true;
    options.stdout.write('\nEnding …\n');
    await Promise.all(children.map(stopChild));
    await options.stopDatabase(data);
    await rm(data, { recursive: true, force: true });
  }
}

interface Child {
  process: ChildProcess;
  /** Its name, once it has ended. */
  ended: Promise<string>;
}

function startChild(
  name: string,
  { command, env }: DemoOptions,
  parameters: string[],
  extra: NodeJS.ProcessEnv,
  output: string,
): Child {
  const [executable = process.execPath, ...before] = command;
  const file = openSync(output, 'w', 0o600);
  // The caller's own settings speak of a real installation.
  const own = Object.entries(env).filter(([key]) => !/^(PARASOL_|DATABASE_URL)/.test(key));
  const child = spawn(executable, [...before, ...parameters], {
    stdio: ['ignore', file, file],
    env: { ...Object.fromEntries(own), ...extra },
  });
  return { process: child, ended: once(child, 'exit').then(() => name) };
}

async function stopChild({ process: child, ended }: Child): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  const tooLong = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
  await ended;
  clearTimeout(tooLong);
}

/** What has begun to end is brought to its end: an impatient second Ctrl-C must not leave half of it. */
async function ignoreSignals({ interrupted }: DemoOptions): Promise<never> {
  for (;;) await interrupted();
}

interface Place {
  url: string;
  tokenFile: string;
  revealTokenFile: string;
  log: string;
}

/** Applies the tenants, then shows them until `ends`. */
async function play(options: DemoOptions, place: Place, ends: () => boolean): Promise<null> {
  const client = await connect(options, place, ends);
  if (client === null) return null;
  const text = readFileSync(options.tenantsFile, 'utf8');
  const file = parseTenants(text, { env: options.secrets, readFile: (path) => readFileSync(path, 'utf8') });
  if (!file.ok) throw new Error(file.problems.map(({ path, message }) => `${path}: ${message}`).join('\n'));
  await client.apply(file.tenants, false);
  const paper = new Paper(options.stdout, options.env);
  const sheet = (): Sheet => ({ paper, now: options.now(), command: 'npm run parasol --' });
  const rotation = new WatchedRotation(ROTATED, client, options.umbrella(TECHNICIAN), () => options.now());
  const story: StoryLine[] = [];
  let shown = '';
  while (!ends()) {
    const tenants = await client.tenants().catch(() => null);
    // The service may be busy just now: the next look goes on.
    const news = await rotation.look().catch(() => []);
    story.push(...news);
    if (tenants !== null) shown = draw(options.stdout, sheet(), tenants, [story, hints(place)], shown);
    if (options.stdout.isTTY !== true) options.stdout.write(storyText(paper, news));
    await options.sleep(1_000);
  }
  return null;
}

async function connect(options: DemoOptions, place: Place, ends: () => boolean): Promise<Client | null> {
  for (const started = options.now().getTime(); !ends(); await options.sleep(200)) {
    const token = await readFile(place.tokenFile, 'utf8').catch(() => null);
    if (token !== null) {
      const client = new Client(place.url, token.trim());
      if (
        await client.tenants().then(
          () => true,
          () => false,
        )
      ) {
        return client;
      }
    }
    if (options.now().getTime() - started > START_WITHIN_MS) {
      throw new Error(`The service did not start; its log is ${place.log}.`);
    }
  }
  return null;
}

const MARK_WIDTH = 24;

const storyText = (paper: Paper, story: readonly StoryLine[]): string =>
  story.map(({ mark, words }) => `${paper.paragraph(words, MARK_WIDTH, mark.padEnd(MARK_WIDTH))}\n`).join('');

/** Of a rotation the last lines: with the table and the hints above them a screen is full. */
const STORY_LINES = 8;

/** On a terminal the table stays in its place; elsewhere it is printed again where it says something new. */
function draw(
  out: Output,
  sheet: Sheet,
  tenants: TenantSummary[],
  [story, hints]: [StoryLine[], string],
  before: string,
): string {
  const news = tenants.map(({ id, ready, waitsFor }) => `${id} ${ready} ${waitsFor}`).join('\n');
  const table = tenantsText(sheet, tenants);
  if (out.isTTY === true) {
    out.write(`\u001b[H\u001b[J${table}\n${hints}\n${storyText(sheet.paper, story.slice(-STORY_LINES))}`);
  } else if (news !== before) out.write(`${table}\n${hints}\n`);
  return news;
}

const hints = ({ url, tokenFile, revealTokenFile, log }: Place): string =>
  [
    '',
    'Try, in another terminal:',
    `  export PARASOL_URL=${url} PARASOL_TOKEN_FILE=${tokenFile}`,
    `  export PARASOL_REVEAL_TOKEN_FILE=${revealTokenFile}`,
    '  npm run parasol -- status cedar       what is wrong, and what is done about it',
    '  npm run parasol -- plan birch         what would be done next',
    '  npm run parasol -- handoffs           what waits for a person',
    `Be that person: open ${TECHNICIAN}, choose a company, and do what the`,
    'hand-off says: set the levels and the allow list, make a key, put it into',
    `Umbrella. Its daily sync runs every ${SYNC_EVERY} here. The API describes itself at`,
    `${url}/docs; the service writes ${log}.`,
    '',
    `Rotate a key yourself, once the rotation of ${ROTATED} that is played here has ended:`,
    `  npm run parasol -- rotate ${ROTATED} --reason "a drill" --wait`,
    '  npm run parasol -- handoffs           make the key, submit it, put it into Umbrella',
    `  npm run parasol -- rollback ${ROTATED} --reason "a drill"      at any phase`,
    `  npm run parasol -- rotations ${ROTATED}   what happened to each`,
    `  npm run parasol -- export ${ROTATED} --html ${ROTATED}.html   for an auditor`,
    'Ctrl-C ends all of it.',
    '',
  ].join('\n');

async function takenPort(ports: readonly number[]): Promise<number | null> {
  for (const port of ports) {
    const socket = createConnection({ port, host: '127.0.0.1' });
    const connected = await Promise.race([
      once(socket, 'connect').then(
        () => true,
        () => false,
      ),
      once(socket, 'error').then(() => false),
    ]);
    socket.destroy();
    if (connected) return port;
  }
  return null;
}
