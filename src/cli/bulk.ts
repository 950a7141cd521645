import type { Command } from 'commander';
import type { BulkAnswer } from '../reconciler/commands.ts';
import type { BulkBody } from './client.ts';
import { Refused, type Context } from './context.ts';
import { readLine } from './prompt.ts';
import { choosing, selectorOf, type Selection } from './selection.ts';
import type { Sheet } from './sheet.ts';
import type { Row } from './table.ts';

/** A command for many tenants: they are named first, and done once somebody agreed to exactly these. */

export interface BulkOptions extends Selection {
  all?: boolean;
  dryRun?: boolean;
  confirm?: string;
  yes?: boolean;
}

/** The options that make a command for one tenant one for many. */
export const forMany = (command: Command): Command =>
  choosing(command)
    .option('--all', 'every tenant')
    .option('--dry-run', 'name every tenant that is meant, and change nothing')
    .option('--confirm <token>', 'the token of a dry run: exactly its tenants, without being asked');

/** Whether many are meant; says what is wrong where one and many are. */
export function meansMany(tenant: string | undefined, options: BulkOptions): boolean {
  const { all = false, dryRun = false, confirm, yes = false } = options;
  const some = Object.keys(selectorOf(options, all)).length > 0;
  if (tenant !== undefined && (some || dryRun || confirm !== undefined || yes)) {
    throw new Refused('Name one tenant, or choose many by options: not both.');
  }
  if (tenant === undefined && !some) {
    throw new Refused('Name a tenant, or choose some by options such as --label team=north, or say --all.');
  }
  return some;
}

export async function many(
  context: Context,
  path: 'reconcile' | 'rotations',
  asked: Pick<BulkBody, 'reason' | 'by'>,
  options: BulkOptions,
): Promise<void> {
  const { all = false, dryRun = false, confirm, yes = false } = options;
  const client = context.client();
  const body = { selector: selectorOf(options, all), ...asked };
  if (confirm !== undefined) {
    return tellDone(context, path, await client.many(path, { ...body, confirmation: confirm }));
  }
  const look = await client.many(path, { ...body, dryRun: true });
  if (dryRun || look.confirmation === null) {
    return context.show(look, (sheet) => lookText(sheet, look));
  }
  const count = look.tenants.filter(({ refused }) => refused === null).length;
  if (!yes) await agree(context, look, count);
  return tellDone(context, path, await client.many(path, { ...body, confirmation: look.confirmation.token }));
}

/** The number is typed: no habit answers that question. */
async function agree(context: Context, look: BulkAnswer, count: number): Promise<void> {
  const { io } = context;
  if (!io.stdin.isTTY) {
    throw new Refused(
      `${count} tenants are meant, and there is no terminal to ask on: look with --dry-run, then give its token with --confirm.`,
    );
  }
  context.note(lookText({ ...context.sheet, paper: context.errors }, look));
  const typed = await readLine(io, `Type ${count} to go on with these ${count} tenants: `);
  if (typed !== String(count)) throw new Refused(`That is not ${count}: nothing was asked for.`);
}

function tellDone(context: Context, path: 'reconcile' | 'rotations', answer: BulkAnswer): void {
  const count = answer.tenants.filter(({ trigger }) => trigger !== null).length;
  const what = path === 'reconcile' ? 'will be reconciled' : 'will have their integration keys rotated';
  context.show(answer, () => `${count} tenants ${what}.`);
}

/** Who is meant, and of whom it would be refused. */
function lookText({ paper }: Sheet, { tenants, confirmation }: BulkAnswer): string {
  if (tenants.length === 0) return 'No tenant is meant by that.';
  const refused = tenants.filter((one) => one.refused !== null);
  return [
    paper.table(
      ['TENANT', 'NAME', ''],
      tenants.map(({ id, name, refused }): Row => [
        id,
        name,
        refused === null ? '' : { text: `refused: ${refused}`, colour: 'yellow' },
      ]),
    ),
    '',
    paper.paragraph(
      `${tenants.length - refused.length} of ${tenants.length} are meant` +
        (refused.length === 0 ? '.' : `; of ${refused.length} it would be refused.`),
    ),
    ...(confirmation === null
      ? []
      : [
          'To go on with exactly these, within 10 minutes, say the same with',
          `  --confirm ${confirmation.token}`,
        ]),
  ].join('\n');
}
