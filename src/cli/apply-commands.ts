import { InvalidArgumentError, type Command } from 'commander';
import { parseSelector, type LabelSelector } from '../domain/labels.ts';
import { tenantsSchema } from '../domain/tenants-schema.ts';
import { appliedText, removalsText } from './apply-views.ts';
import { ServiceRefused, type AppliedSet, type ApplyRequest } from './client.ts';
import { Refused, type Context, type Problem } from './context.ts';
import { EXIT } from './io.ts';
import { readLine } from './prompt.ts';
import { readTenantSet, whole, type TenantSet } from './read-tenants.ts';

/** A fleet in files: what they would change, and making it so. */
export function addApply(program: Command, context: Context): void {
  fromFiles(program.command('apply').description('make tenants be as files say: all of them, or none'))
    .option('--dry-run', 'tell what would change, and change nothing')
    .option('--continue', 'tenants that are refused do not hinder the others')
    .option(
      '--confirm-prune <number>',
      'confirms that so many go, where there is no terminal to ask on',
      count,
    )
    .addHelpText('after', FILES_HELP + PRUNE_HELP)
    .action(async (options: ApplyOptions) => {
      const told = await applyFiles(context, options);
      const refused = told.refused.length + told.unread.length > 0;
      context.io.exit(refused ? EXIT.refused : EXIT.ok);
    });
  fromFiles(program.command('diff').description('what apply would change; ends with 2 if that is anything'))
    .addHelpText('after', FILES_HELP)
    .action(async (options: FileOptions) => {
      const { changes, removals } = await applyFiles(context, { ...options, dryRun: true });
      const same = changes.every(({ change }) => change === 'unchanged') && removals.length === 0;
      context.io.exit(same ? EXIT.ok : EXIT.drift);
    });
  program
    .command('schema')
    .description('the JSON Schema of tenants.yaml, for editors')
    .action(() => {
      context.io.stdout.write(`${JSON.stringify(tenantsSchema(), null, 2)}\n`);
    });
}

interface FileOptions {
  file: string[];
  recursive?: boolean;
  secrets: boolean;
  prune?: boolean;
  pruneLabel?: LabelSelector[];
}

interface ApplyOptions extends FileOptions {
  dryRun?: boolean;
  continue?: boolean;
  confirmPrune?: number;
}

const fromFiles = (command: Command): Command =>
  command
    .requiredOption('-f, --file <path>', 'a file, a folder or - for standard input; may be repeated', gather)
    .option('-R, --recursive', 'folders in folders too')
    .option('--no-secrets', 'look no key up: what is held stays held')
    .option('--prune', 'delete the tenants of --prune-label that are in no file')
    .option('--prune-label <key=value>', 'which tenants the files are all of; may be repeated', label);

const gather = (value: string, before: string[] = []): string[] => [...before, value];

function label(text: string, before: LabelSelector[] = []): LabelSelector[] {
  const selector = parseSelector(text);
  if (selector?.value) return [...before, selector];
  throw new InvalidArgumentError('It must be a label, such as team=north.');
}

function count(text: string): number {
  if (/^\d{1,6}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It must be a number of tenants.');
}

const FILES_HELP = `
Of a folder every *.yaml and *.yml is read, but none that begins with a dot.
A secret is a reference, as the whole value:
  \${env:NAME}       an environment variable
  \${file:PATH}      a file; a relative path starts at the file of tenants
  \${command:WORDS}  what a command prints: \${command:op read "op://it/acme/key"}
Commands run with --dry-run and with diff too, since only the keys themselves
tell whether they are new; with --no-secrets nothing is run. No shell reads
them: quotes keep blanks together, and sh -c "..." is what needs a shell.`;

/** What was told, with what could not be read of the files; that is empty unless the rest goes on. */
export interface Told extends Omit<AppliedSet, 'refused'> {
  refused: { id: string; problems: Problem[] }[];
  unread: Problem[];
}

const PRUNE_HELP = `
With --prune, each tenant that would go is named with its onDelete, and their
number has to be typed. Each of the files must carry the label itself. One that
cannot go, such as in the middle of a rotation, holds everything up.`;

async function applyFiles(context: Context, options: ApplyOptions): Promise<Told> {
  const { file: paths, recursive = false, secrets, dryRun = false } = options;
  const prune = pruneOf(context, options);
  const set = await readTenantSet(context.io, { paths, recursive, withoutSecrets: !secrets });
  if (options.continue !== true || set.tenants.length === 0) whole(set);
  const request = {
    ...(options.continue === true ? { continue: true } : {}),
    ...(prune === null ? {} : { prune: dryRun ? prune : await confirmed(context, set, prune, options) }),
  };
  const applied = await apply(context, set, dryRun, request);
  const told = {
    ...applied,
    refused: applied.refused.map(({ id, problems }) => ({ id, problems: placed(set, problems) })),
    unread: set.problems,
  };
  context.show(told, appliedText);
  return told;
}

type Prune = NonNullable<ApplyRequest['prune']>;

function pruneOf({ io }: Context, options: ApplyOptions): Prune | null {
  const { prune = false, pruneLabel: selectors = [], confirmPrune } = options;
  if (!prune) {
    if (selectors.length === 0 && confirmPrune === undefined) return null;
    throw new Refused('--prune-label and --confirm-prune go with --prune.');
  }
  if (selectors.length === 0) {
    throw new Refused(
      '--prune needs --prune-label key=value: only tenants that carry it may go. Without one, every tenant would go that is in no file.',
    );
  }
  if (options.continue === true) {
    throw new Refused('--prune does not go with --continue: it is all or nothing.');
  }
  const labels = Object.fromEntries(selectors.map(({ key, value }) => [key, value ?? '']));
  if (Object.keys(labels).length < selectors.length) {
    throw new Refused('--prune-label names two values of one label: no tenant carries both.');
  }
  return { labels, by: io.user };
}

/** Names each tenant that would go, then has their number typed: no habit answers that question. */
async function confirmed(
  context: Context,
  set: TenantSet,
  prune: Prune,
  { confirmPrune }: ApplyOptions,
): Promise<Prune> {
  const { io } = context;
  const { removals } = await apply(context, set, true, { prune });
  const found = removals.length;
  if (found > 0) context.note(removalsText(context.errors, removals));
  if (confirmPrune !== undefined && confirmPrune !== found) {
    throw new Refused(`${confirmPrune} were confirmed, and ${found} would go: nothing was applied.`);
  }
  if (found === 0 || confirmPrune !== undefined) return { ...prune, count: found };
  if (!io.stdin.isTTY) throw new Refused(`Confirm it with --confirm-prune ${found}. Nothing was applied.`);
  const typed = await readLine(io, `Type ${found} to delete ${found === 1 ? 'it' : 'them'}: `);
  if (typed !== String(found)) throw new Refused(`That is not ${found}: nothing was applied.`);
  return { ...prune, count: found };
}

/** What the service refuses is told with its place in the files, and without their secrets. */
async function apply(
  context: Context,
  set: TenantSet,
  dryRun: boolean,
  request: ApplyRequest,
): Promise<AppliedSet> {
  try {
    return await context.client().apply(set.tenants, dryRun, request);
  } catch (error) {
    if (!(error instanceof ServiceRefused) || !error.isInput) throw error;
    throw new Refused(`${set.name}: ${set.conceal(error.message)}`, placed(set, error.problems));
  }
}

function placed(set: TenantSet, problems: readonly { path: string; message: string }[]): Problem[] {
  return problems.map(({ path, message }) => {
    const [, index, inner = ''] = /^tenants\.(\d+)(?:\.(.*))?$/.exec(path) ?? [];
    const place = index === undefined ? {} : set.locate(Number(index), inner);
    return { ...place, path, message: set.conceal(message) };
  });
}
