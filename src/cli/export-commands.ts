import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidArgumentError, type Command } from 'commander';
import { parseSelector } from '../domain/labels.ts';
import type { TenantView } from '../reconciler/commands.ts';
import { Refused, type Context } from './context.ts';
import { specFile, specGroup, type SpecFileOptions } from './spec-file.ts';

/** What Parasol knows, taken out of it: evidence for an auditor, and specs for files in git. */
export function addExport(program: Command, context: Context): void {
  const { io } = context;
  const evidence = program
    .command('export')
    .description('the evidence of every rotation, for an auditor: JSON, or a page to print')
    .argument('<tenant>')
    .option('--html <file>', 'write it as a page to this file')
    .action(async (tenant: string, { html }: { html?: string }) => {
      // Whoever exports without a file wants the whole of it, as a machine does.
      if (html === undefined)
        io.stdout.write(`${JSON.stringify(await context.client().audit(tenant), null, 2)}\n`);
      else await savePage(context, tenant, html);
    });
  evidence
    .command('spec')
    .description('tenants as the service has them, as a file that apply reads')
    .argument('[tenants...]', 'their ids; absent: all')
    .option('--label <key=value>', 'only those with this label; may be repeated', label)
    .option('-o, --output <folder>', 'a file for each, in this folder')
    .option('--overwrite', 'with -o: also files that are there already')
    .option('--full', 'with every setting that is as it is by default')
    .option('--references', 'with references for the keys that are held, as settings')
    .addHelpText('after', SPEC_HELP)
    .action((ids: string[], options: SpecOptions) => exportSpecs(context, ids, options));
}

const SPEC_HELP = `
Applied as it is, what it writes changes nothing: keys that are held stay held,
so that nobody needs to have them. Their references are comments, beside the
fingerprint that is held; with --references they are settings, for a service
that holds none yet, and the variables that they name have to be set.`;

async function savePage(context: Context, tenant: string, file: string): Promise<void> {
  const page = await context.client().auditPage(tenant);
  write(file, page, 0o600);
  context.show({ tenant, file }, () => `Written to ${file}: open it in a browser, and print it from there.`);
}

interface SpecOptions extends Partial<SpecFileOptions> {
  label?: string[];
  output?: string;
  overwrite?: boolean;
}

async function exportSpecs(context: Context, ids: string[], options: SpecOptions): Promise<void> {
  const { label: labels = [], output, overwrite = false, full = false, references = false } = options;
  if (ids.length > 0 && labels.length > 0) {
    throw new Refused('Name tenants or a label, not both.');
  }
  if (overwrite && output === undefined) throw new Refused('--overwrite goes with -o.');
  const client = context.client();
  const found =
    ids.length > 0 ? await Promise.all(ids.map((id) => client.tenant(id))) : await client.specs(labels);
  const staying = found.filter(({ deleting }) => !deleting);
  for (const { id } of found.filter(({ deleting }) => deleting)) {
    context.note(`${id} is being deleted: it is left out.`);
  }
  if (staying.length === 0) throw new Refused('There is no such tenant: nothing was written.');
  const how = { full, references };
  if (output !== undefined) return writeFiles(context, staying, how, { folder: output, overwrite });
  context.show({ tenants: staying.map((tenant) => specGroup(tenant, how)) }, () =>
    specFile(staying, how).trimEnd(),
  );
}

/** All of them or, where a person's own file is in the way, none. */
function writeFiles(
  context: Context,
  tenants: TenantView[],
  how: SpecFileOptions,
  { folder, overwrite }: { folder: string; overwrite: boolean },
): void {
  const files = tenants.map((tenant) => ({ path: join(folder, `${tenant.id}.yaml`), tenant }));
  const there = files.filter(({ path }) => existsSync(path));
  if (there.length > 0 && !overwrite) {
    throw new Refused(
      'Nothing was written, since files are in the way. With --overwrite they are replaced, comments included.',
      there.map(({ path }) => ({ path, message: 'is there already' })),
    );
  }
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw unwritable(folder, error);
  }
  for (const { path, tenant } of files) write(path, specFile([tenant], how), 0o644);
  const paths = files.map(({ path }) => path);
  const count = paths.length === 1 ? '1 file' : `${paths.length} files`;
  context.show({ files: paths }, ({ command }) => `${count} written.\nNext: ${command} diff -f ${folder}`);
}

function write(path: string, text: string, mode: number): void {
  try {
    writeFileSync(path, text, { mode });
  } catch (error) {
    throw unwritable(path, error);
  }
}

function unwritable(path: string, error: unknown): Refused {
  const { code } = error as NodeJS.ErrnoException;
  return new Refused(`${path} cannot be written${code === undefined ? '' : ` (${code})`}.`);
}

function label(text: string, before: string[] = []): string[] {
  if (parseSelector(text)) return [...before, text];
  throw new InvalidArgumentError('It must be a label, such as team=north, or the key of one.');
}
