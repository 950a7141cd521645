import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';

export const ROOT = resolve(import.meta.dirname, '../..');

/** How long a child may take to say that it is ready, on a busy machine; a bound, not a measurement. */
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 30_000;

/** A process of its own, told to end by whoever started it. */
export interface Child extends AsyncDisposable {
  pid: number;
  process: ChildProcess;
  /** The first answer of `read` that is not null, over all that the child has written so far. */
  said<T>(what: string, read: (text: string) => T | null): Promise<T>;
}

export interface ChildOptions {
  env?: Readonly<Record<string, string>>;
  /** Flags of Node's own. */
  nodeFlags?: readonly string[];
}

/** What is not built yet is compiled as it is loaded. */
const loaderOf = (file: string): string[] => (file.endsWith('.ts') ? ['--import', 'tsx'] : []);

/** Starts a file of this repository in a process of its own. */
export function startNode(file: string, args: readonly string[], options: ChildOptions = {}): Child {
  const { nodeFlags = [] } = options;
  return watched(
    file,
    spawn(process.execPath, [...nodeFlags, ...loaderOf(file), join(ROOT, file), ...args], {
      cwd: ROOT,
      env: environment(options),
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  );
}

/** As `startNode`, and it can be talked with: `process.send`, `message`. */
export function forkNode(file: string): Child {
  return watched(
    file,
    fork(join(ROOT, file), [], {
      cwd: ROOT,
      env: environment({}),
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    }),
  );
}

/** The caller's own settings speak of a real installation. */
function environment({ env = {} }: ChildOptions): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(PARASOL_|DATABASE_URL|NODE_OPTIONS)/.test(name),
  );
  return { ...Object.fromEntries(own), ...env };
}

function watched(name: string, child: ChildProcess): Child {
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) throw new Error(`${name} cannot be started`);
  let text = '';
  const listeners = new Set<() => void>();
  const tell = () => {
    for (const listener of listeners) listener();
  };
  const keep = (stream: Readable) =>
    stream.setEncoding('utf8').on('data', (part: string) => {
      // Only the beginning is read, and the end where something failed.
      text = text.length > 1_000_000 ? text.slice(-500_000) + part : text + part;
      tell();
    });
  keep(stdout);
  keep(stderr);
  child.on('exit', tell);
  const running = () => child.exitCode === null && child.signalCode === null;

  return {
    pid,
    process: child,
    said: (what, read) =>
      new Promise((settle, fail) => {
        const end = () => {
          clearTimeout(timer);
          listeners.delete(look);
        };
        const look = () => {
          const found = read(text);
          if (found === null && running()) return;
          end();
          if (found === null) fail(new Error(`${name} ended before ${what}:\n${text.slice(-2_000)}`));
          else settle(found);
        };
        const timer = setTimeout(() => {
          end();
          fail(new Error(`${name} did not come to it: ${what}:\n${text.slice(-2_000)}`));
        }, READY_WITHIN_MS);
        listeners.add(look);
        look();
      }),
    async [Symbol.asyncDispose]() {
      if (!running()) return;
      const ended = once(child, 'exit');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      child.kill('SIGTERM');
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Resident memory of a process in MB, as the kernel counts it; null where there is no /proc. */
export async function residentMb(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kilobytes === undefined ? null : Number(kilobytes) / 1_024;
}

/** The kernel counts processor time in these; the same on every Linux that Node runs on. */
const TICK_MS = 10;

/** Processor time of a process so far, all its threads, in ms; 0 where there is no /proc. */
export async function processorMs(pid: number): Promise<number> {
  return (await statOf(pid))?.ms ?? 0;
}

/** As `processorMs`, of all children of one process that still run: a database server's connections. */
export async function childrensProcessorMs(parent: number): Promise<number> {
  const entries = await readdir('/proc').catch(() => []);
  const stats = await Promise.all(
    entries.filter((name) => /^\d+$/.test(name)).map((pid) => statOf(Number(pid))),
  );
  return stats.reduce((sum, stat) => (stat?.parent === parent ? sum + stat.ms : sum), 0);
}

export async function parentOf(pid: number): Promise<number> {
  return (await statOf(pid))?.parent ?? 0;
}

async function statOf(pid: number): Promise<{ parent: number; ms: number } | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  if (text === null) return null;
  // The name, in parentheses, may hold anything; what follows it are numbers.
  const fields = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [, parent = 0] = fields;
  return { parent, ms: ((fields[11] ?? 0) + (fields[12] ?? 0)) * TICK_MS };
}
