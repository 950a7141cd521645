import { readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { TenantInput } from '../domain/tenant.ts';
import { runCommand, type CommandOutput } from './command-references.ts';
import { Refused, type Problem } from './context.ts';
import type { CliIo } from './io.ts';
import {
  commandsOf,
  parseTenants,
  type FilePosition,
  type ReferenceSources,
  type TenantsFile,
} from './tenants-file.ts';

/** Files of tenants, folders of them and standard input: read as one set, and all that is wrong told at once. */

/** What of the world reading needs. */
export type ReadingWorld = Pick<CliIo, 'env' | 'stdin' | 'stderr'>;

export interface ReadOptions {
  /** Files, folders, or `-` for standard input. */
  paths: readonly string[];
  /** Folders in folders too. */
  recursive?: boolean;
  /** Leaves every key pair out, and looks none of them up. */
  withoutSecrets?: boolean;
}

export interface TenantSet {
  /** Those with which nothing is wrong, in the order of the files. */
  tenants: TenantInput[];
  problems: Problem[];
  /** How many files there are. */
  files: number;
  /** What the set is called in a sentence. */
  name: string;
  /** Where a setting of the tenant at an index of `tenants` stands. */
  locate(index: number, path: string): FilePosition & { file: string };
  /** The text with every secret of the files taken out of it. */
  conceal(text: string): string;
}

const STDIN = '-';

/** Reads all of it; a command that a reference names runs once, whatever is wrong elsewhere. */
export async function readTenantSet(io: ReadingWorld, options: ReadOptions): Promise<TenantSet> {
  const found = filesOf(options);
  const problems: Problem[] = [...found.problems];
  const read: { name: string; file: TenantsFile }[] = [];
  const outputs = new Map<string, CommandOutput>();
  for (const path of found.files) {
    const name = path === STDIN ? 'standard input' : path;
    try {
      const text = path === STDIN ? await textOf(io.stdin) : readFileSync(path, 'utf8');
      const folder = path === STDIN ? '.' : dirname(resolve(path));
      read.push({ name, file: await readText(io, text, folder, options, outputs) });
    } catch (error) {
      problems.push(unreadable(name, error));
    }
  }
  const places: { name: string; file: TenantsFile; index: number }[] = [];
  const tenants: TenantInput[] = [];
  for (const one of read) {
    if (!one.file.ok) problems.push(...one.file.problems.map((problem) => ({ ...problem, file: one.name })));
    const sound = one.file.ok ? one.file.tenants.map((tenant, index) => ({ tenant, index })) : one.file.sound;
    for (const { tenant, index } of sound) {
      tenants.push(tenant);
      places.push({ ...one, index });
    }
  }
  return {
    tenants,
    problems,
    files: found.files.length,
    name: found.files.length === 1 ? (read[0]?.name ?? found.files[0]!) : `${found.files.length} files`,
    locate(index, path) {
      const { name, file, index: place } = places[index]!;
      return { file: name, ...(file.locate(`tenants.${place}.${path}`) ?? { line: 1, column: 1 }) };
    },
    conceal: (text) => read.reduce((words, { file }) => file.conceal(words), text),
  };
}

/** Refuses a set with which anything is wrong. */
export function whole(set: TenantSet): TenantSet {
  const count = set.problems.length;
  if (count === 0) return set;
  throw new Refused(
    `${set.name} ${set.files > 1 ? 'have' : 'has'} ${count} problem${count === 1 ? '' : 's'}; nothing was applied.`,
    set.problems,
  );
}

/** One tenant of a file. */
export async function tenantOf(io: ReadingWorld, path: string, id: string): Promise<TenantInput> {
  const { tenants } = whole(await readTenantSet(io, { paths: [path] }));
  const tenant = tenants.find((one) => one.id === id);
  if (tenant !== undefined) return tenant;
  throw new Refused(`${path} has no tenant ${id}; it has ${tenants.map((one) => one.id).join(', ')}.`);
}

/** Each file once, in the order given; those of a folder by name. */
function filesOf({ paths, recursive = false }: ReadOptions): { files: string[]; problems: Problem[] } {
  const files = new Map<string, string>();
  const problems: Problem[] = [];
  for (const path of paths) {
    try {
      if (path === STDIN) files.set(STDIN, STDIN);
      else if (!statSync(path).isDirectory()) files.set(realpathSync(path), path);
      else {
        const inside = filesIn(path, recursive);
        if (inside.length === 0) problems.push({ file: path, path: '', message: NO_FILE });
        for (const file of inside) files.set(realpathSync(file), file);
      }
    } catch (error) {
      problems.push(unreadable(path, error));
    }
  }
  return { files: [...files.values()], problems };
}

const NO_FILE = 'is a folder without a file of tenants (*.yaml, *.yml)';

/** What begins with a dot is an editor's or a tool's own. */
function filesIn(folder: string, recursive: boolean): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .toSorted()
    .flatMap((name) => {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) return recursive ? filesIn(path, recursive) : [];
      return /\.ya?ml$/.test(name) ? [path] : [];
    });
}

function unreadable(path: string, error: unknown): Problem {
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) throw error;
  const why = { ENOENT: 'there is none', EACCES: 'no permission' }[code] ?? code;
  return { file: path, path: '', message: `cannot be read (${why})` };
}

async function textOf(stdin: ReadingWorld['stdin']): Promise<string> {
  let text = '';
  stdin.setEncoding('utf8');
  for await (const part of stdin) text += String(part);
  return text;
}

/** How long a command may take: signing in to a vault by hand included. */
const COMMAND_TIMEOUT_MS = 60_000;
const COMMANDS_AT_ONCE = 8;

async function readText(
  io: ReadingWorld,
  text: string,
  folder: string,
  { withoutSecrets = false }: ReadOptions,
  outputs: Map<string, CommandOutput>,
): Promise<TenantsFile> {
  const sources: ReferenceSources = {
    env: io.env,
    readFile: (name) => readFileSync(resolve(folder, name), 'utf8'),
    withoutSecrets,
  };
  // A large file is read once only where it names no command.
  if (withoutSecrets || !text.includes('${command:')) return parseTenants(text, sources);
  const keyOf = (command: string) => `${folder}\0${command}`;
  const commands = commandsOf(text, sources).filter((command) => !outputs.has(keyOf(command)));
  if (commands.length > 0) {
    io.stderr.write(
      `Running ${commands.length === 1 ? 'a command' : `${commands.length} commands`} for values.\n`,
    );
  }
  const waiting = commands.values();
  const work = async () => {
    for (const command of waiting) {
      const world = { env: io.env, folder, timeoutMs: COMMAND_TIMEOUT_MS };
      outputs.set(keyOf(command), await runCommand(command, world));
    }
  };
  await Promise.all(Array.from({ length: COMMANDS_AT_ONCE }, work));
  return parseTenants(text, { ...sources, output: (command) => outputs.get(keyOf(command))! });
}
