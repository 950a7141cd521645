import type { Command } from 'commander';
import { tenantsSchema } from '../domain/tenants-schema.ts';
import { appliedText } from './apply-views.ts';
import { ServiceRefused, type AppliedSet, type ApplyRequest } from './client.ts';
import { Refused, type Context, type Problem } from './context.ts';
import { EXIT } from './io.ts';
import { readTenantSet, whole, type TenantSet } from './read-tenants.ts';

/** A fleet in files: what they would change, and making it so. */
export function addApply(program: Command, context: Context): void {
  fromFiles(program.command('apply').description('make tenants be as files say: all of them, or none'))
    .option('--dry-run', 'tell what would change, and change nothing')
    .option('--continue', 'tenants that are refused do not hinder the others')
    .addHelpText('after', FILES_HELP)
    .action(async (options: ApplyOptions) => {
      const applied = await applyFiles(
        context,
        options,
        options.dryRun === true,
        options.continue === true ? { continue: true } : {},
      );
      const refused = applied.refused.length + applied.unread.length > 0;
      context.io.exit(refused ? EXIT.refused : EXIT.ok);
    });
  fromFiles(program.command('diff').description('what apply would change; ends with 2 if that is anything'))
    .addHelpText('after', FILES_HELP)
    .action(async (options: FileOptions) => {
      const { changes } = await applyFiles(context, options, true);
      context.io.exit(changes.every(({ change }) => change === 'unchanged') ? EXIT.ok : EXIT.drift);
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
}

interface ApplyOptions extends FileOptions {
  dryRun?: boolean;
  continue?: boolean;
}

const fromFiles = (command: Command): Command =>
  command
    .requiredOption('-f, --file <path>', 'a file, a folder or - for standard input; may be repeated', gather)
    .option('-R, --recursive', 'folders in folders too')
    .option('--no-secrets', 'look no key up: what is held stays held');

const gather = (value: string, before: string[] = []): string[] => [...before, value];

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

async function applyFiles(
  context: Context,
  options: FileOptions,
  dryRun: boolean,
  request: ApplyRequest = {},
): Promise<Told> {
  const { file: paths, recursive = false, secrets } = options;
  const set = await readTenantSet(context.io, { paths, recursive, withoutSecrets: !secrets });
  if (request.continue !== true || set.tenants.length === 0) whole(set);
  const applied = await apply(context, set, dryRun, request);
  const told = {
    ...applied,
    refused: applied.refused.map(({ id, problems }) => ({ id, problems: placed(set, problems) })),
    unread: set.problems,
  };
  context.show(told, appliedText);
  return told;
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
