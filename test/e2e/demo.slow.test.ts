import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SimulatorControl } from '../../src/simulator/index.ts';
import {
  endEverything,
  expectNothingLeft,
  folder,
  markedProcesses,
  run,
  startProcess,
  startProgram,
  until,
  type Folder,
  type Running,
} from './harness.ts';

expectNothingLeft();

/** Where the demo's vendors always listen; they may be somebody's on this machine just now. */
const VENDOR_PORTS = [9080, 9081, 9082, 9083];

async function listenOn(port: number): Promise<Server | null> {
  const server = createServer();
  server.listen(port, '127.0.0.1');
  const listens = await Promise.race([
    once(server, 'listening').then(() => true),
    once(server, 'error').then(() => false),
  ]);
  return listens ? server : null;
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

const isFree = async (port: number): Promise<boolean> => {
  const server = await listenOn(port);
  if (server !== null) await close(server);
  return server !== null;
};

async function freePort(): Promise<number> {
  const server = await listenOn(0);
  if (server === null) throw new Error('this machine has no free port');
  const { port } = server.address() as AddressInfo;
  await close(server);
  return port;
}

const vendorPortsAreFree = () =>
  until(
    `the ports ${VENDOR_PORTS.join(', ')} are free`,
    async () => (await Promise.all(VENDOR_PORTS.map(isFree))).every(Boolean),
    120_000,
  );

interface Demo extends AsyncDisposable {
  running: Running;
  temporary: string;
  url: string;
}

/** The demo in a process group of its own, whose temporary files lie in a folder of its own. */
async function startDemo(how: 'npm run demo' | 'parasol demo'): Promise<Demo> {
  await vendorPortsAreFree();
  const { path, [Symbol.asyncDispose]: remove } = await folder();
  const port = await freePort();
  const env = {
    PARASOL_PORT: String(port),
    TMPDIR: path,
    npm_config_update_notifier: 'false',
    // As a caller's own settings, which must not be the demo's.
    DATABASE_URL: 'postgres://nobody@127.0.0.1:9/nothing',
    PARASOL_KEK: 'nonsense',
  };
  const running =
    how === 'npm run demo'
      ? startProcess('npm', ['run', 'demo'], { env, group: true })
      : startProgram(['demo'], { env, group: true });
  return {
    running,
    temporary: path,
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      await running.kill();
      await endEverything();
      await remove();
    },
  };
}

const says = (running: Running, what: RegExp, withinMs = 60_000) =>
  until(
    `it says ${what}`,
    () => {
      if (!running.running()) throw new Error(`it ended: ${running.stdout()}${running.stderr()}`);
      return what.test(running.stdout());
    },
    withinMs,
  );

/** What runs, lies about or listens of a demo that has ended. */
async function leftOf({ temporary }: Demo): Promise<string[]> {
  const files = await readdir(temporary);
  const free = await Promise.all(VENDOR_PORTS.map(isFree));
  return [
    ...(await markedProcesses()).map(({ command }) => command),
    // Node's and npm's own caches lie beside it.
    ...files.filter((file) => file.startsWith('parasol-')),
    ...VENDOR_PORTS.filter((_, index) => !free[index]).map((port) => `port ${port}`),
  ];
}

test('two commands and a newcomer sees tenants in trouble, what to try, and how to be the technician', async () => {
  await using demo = await startDemo('npm run demo');
  const { running, url } = demo;
  await says(running, /acme .*True/);
  await says(running, /grove .*True/);
  await says(running, /harbor .*True/);
  const text = running.stdout();
  for (const tenant of ['birch', 'cedar', 'dune', 'ember', 'fjord', 'iris', 'juniper', 'kestrel', 'lagoon']) {
    expect(text).toMatch(new RegExp(`^${tenant} `, 'm'));
  }
  expect(text).toContain('npm run parasol -- status cedar');
  expect(text).toContain('http://127.0.0.1:9082');

  // What it says to try, tried.
  const [, file = ''] = /PARASOL_TOKEN_FILE=(\S+)/.exec(text) ?? [];
  expect(text).toContain(`PARASOL_URL=${url}`);
  const env = { PARASOL_URL: url, PARASOL_TOKEN_FILE: file };
  const [status, plan, handoffs] = await Promise.all([
    run(['status', 'cedar'], { env }),
    run(['plan', 'birch'], { env }),
    run(['handoffs', 'cedar'], { env }),
  ]);
  expect(status).toMatchObject({ code: 3, stderr: '' });
  expect(status.stdout).toContain('Companies/Configurations.edit');
  expect(plan.stdout).toContain('waits for');
  expect(handoffs.stdout).toContain('grant-role-levels');
  const page = await fetch('http://127.0.0.1:9082/');
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('Cedar Cloud Services');
  const [, revealFile = ''] = /PARASOL_REVEAL_TOKEN_FILE=(\S+)/.exec(text) ?? [];
  for (const secret of [file, revealFile]) {
    expect(running.stdout()).not.toContain((await readFile(secret, 'utf8')).trim());
  }

  // Ctrl-C: the terminal tells all of them.
  running.signal('SIGINT');
  await running.ended;
  expect(await leftOf(demo)).toEqual([]);
});

/** The phases of the rotation that the demo shows, and what its robot does, each in its order. */
const PHASES = [
  /A whole rotation of meadow, unattended: a robot/,
  /Pending +a rotation from end to end/,
  /PreparingMember +A new key for umbrella-b; [0-9a-f]{16} is to be/,
  /AwaitingKey +umbrella-b is active/,
  /Verifying +[0-9a-f]{16} was given/,
  /AwaitingInstall +The key [0-9a-f]{16}: it authenticates as umbrella-b/,
  /AwaitingAdoption +/,
  /Overlap +umbrella-b wrote /,
  /RetiringOld +The old key was not seen in use since/,
  /Completed +The old key was seen dead at/,
];
const ROBOT = [
  /robot +makes a key on umbrella-b/,
  /robot +puts the key [0-9a-f]{16} into Umbrella/,
  /robot +deletes the old key of umbrella-a/,
];

test('a whole rotation is played before one’s eyes in two minutes, and the next one is one’s own', async () => {
  await using demo = await startDemo('parasol demo');
  const { running, url } = demo;
  await says(running, /and was\s+refused \d+ times/, 120_000);
  const text = running.stdout();
  const lines = text.split('\n');
  for (const story of [PHASES, ROBOT]) {
    const places = story.map((line) => lines.findIndex((one) => line.test(one)));
    expect(places).not.toContain(-1);
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  }
  expect(text.replaceAll(/\s+/g, ' ')).toMatch(/synchronised \d+ times meanwhile, and was refused 0 times/);

  // What it says to try, tried.
  const [, file = ''] = /PARASOL_TOKEN_FILE=(\S+)/.exec(text) ?? [];
  const [, revealFile = ''] = /PARASOL_REVEAL_TOKEN_FILE=(\S+)/.exec(text) ?? [];
  const env = { PARASOL_URL: url, PARASOL_TOKEN_FILE: file, PARASOL_REVEAL_TOKEN_FILE: revealFile };
  const told = await run(['rotations', 'meadow'], { env });
  expect(told).toMatchObject({ code: 0, stderr: '' });
  expect(told.stdout).toMatch(/request +Completed/);
  const page = join(demo.temporary, 'meadow.html');
  expect(await run(['export', 'meadow', '--html', page], { env })).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(page, 'utf8')).toMatch(
    /Completed at <time[^]*ConnectWise refused it while its member was active/,
  );
  const mine = await run(['rotate', 'acme', '--reason', 'a drill', '--as', 'ann', '--wait'], { env });
  expect(mine.code).toBe(3);
  expect(mine.stdout).toMatch(/Phase +AwaitingKey/);

  // Here one is the technician oneself.
  const control = new SimulatorControl('http://127.0.0.1:9082');
  const pair = await control.makeKey('acme', 'umbrella-b');
  const handoff = async (kind: string): Promise<string> => {
    const found = await until(`the hand-off ${kind}`, async () => {
      const { stdout } = await run(['handoffs', 'acme', '--json'], { env });
      return (JSON.parse(stdout) as { id: string; kind: string }[]).find((one) => one.kind === kind);
    });
    return found.id;
  };
  const input = `${pair.publicKey}\n${pair.privateKey}\n`;
  const issue = await handoff('issue-integration-key');
  expect(await run(['submit', issue, '--as', 'ann'], { env, input })).toMatchObject({ code: 0 });
  const install = await handoff('install-integration-key');
  const ask = ['reveal', install, '--as', 'ann', '--reason', 'the window is closed'];
  expect(await run(ask, { env })).toMatchObject({ code: 4, stdout: '' });
  expect(await run(['handoffs', 'claim', install, '--as', 'ann'], { env })).toMatchObject({ code: 0 });
  expect(await run(ask, { env })).toMatchObject({ code: 0, stdout: input });
  expect((await run(ask, { env })).stderr).toContain('is shown once');
  const show = await run(['handoffs', 'show', install], { env });
  expect(show.stdout).toMatch(/Shown +the pair, to ann/);
  const back = await run(['rollback', 'acme', '--reason', 'enough', '--as', 'ann'], { env });
  expect(back).toMatchObject({ code: 0, stderr: '' });
  await until('the status tells it', async () =>
    /It is being rolled back/.test((await run(['status', 'acme'], { env })).stdout),
  );
  running.signal('SIGINT');
  await running.ended;
});

test.each([
  ['as soon as it starts', /Starting/],
  ['when its table is shown', /acme .*True/],
] as const)('a signal to it alone, %s, ends all of it', async (_, moment) => {
  await using demo = await startDemo('parasol demo');
  const { running } = demo;
  await says(running, moment);
  process.kill(running.pid, 'SIGINT');
  expect(await running.ended).toEqual({ code: 0, signal: null });
  expect(await leftOf(demo)).toEqual([]);
});

test('an impatient second Ctrl-C does not leave half of it', async () => {
  await using demo = await startDemo('parasol demo');
  const { running } = demo;
  await says(running, /acme .*True/);
  running.signal('SIGINT');
  await says(running, /Ending/);
  running.signal('SIGINT');
  running.signal('SIGINT');
  await running.ended;
  expect(await leftOf(demo)).toEqual([]);
});

test('a part of it that ends by itself ends all of it, and is told', async () => {
  await using demo = await startDemo('parasol demo');
  const { running } = demo;
  await says(running, /acme .*True/);
  const service = (await markedProcesses()).find(({ command }) => command.endsWith('main.js serve'));
  expect(service).toBeDefined();
  process.kill(service?.pid ?? 0, 'SIGKILL');
  expect(await running.ended).toMatchObject({ code: 1 });
  expect(running.stdout()).toContain('The service ended by itself');
  expect(await leftOf(demo)).toEqual([]);
});

test('a port that is in use is told, and nothing is started', async () => {
  await using temporary: Folder = await folder();
  await vendorPortsAreFree();
  const taken = await listenOn(9081);
  try {
    const ran = await run(['demo'], {
      env: { TMPDIR: temporary.path, PARASOL_PORT: String(await freePort()) },
    });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/Port 9081 is in use/);
    expect((await readdir(temporary.path)).filter((file) => file.startsWith('parasol-'))).toEqual([]);
  } finally {
    if (taken !== null) await close(taken);
  }
});
