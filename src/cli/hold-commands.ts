import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseDuration } from '../domain/duration.ts';
import type { AcceptanceView } from '../reconciler/commands.ts';
import { Refused, type Context } from './context.ts';
import { note, span, type Sheet } from './sheet.ts';
import type { Row } from './table.ts';

/** What a person decides of a tenant apart from its spec. */
export function addHolds(program: Command, context: Context): void {
  const as = () => new Option('--as <name>', 'who asks').default(context.io.user);
  program
    .command('pause')
    .description('change nothing of a tenant; it is observed as before')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--until <when>', 'a duration (2h) or a time (2026-12-01T06:00Z); absent: until resumed', moment)
    .addOption(as())
    .action(async (tenant: string, options: { reason: string; until?: string; as: string }) => {
      const { reason, until, as: by } = options;
      const answer = await context
        .client()
        .pause(tenant, { by, reason, ...(until === undefined ? {} : { until }) });
      context.show(
        answer,
        ({ command }) =>
          `${tenant} is paused${answer.until === null ? '' : ` until ${answer.until}`} (trigger ${answer.trigger}).\n` +
          `To end it: ${command} resume ${tenant} --reason …`,
      );
    });
  program
    .command('resume')
    .description('end the pause that a person set')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as())
    .action(async (tenant: string, options: { reason: string; as: string }) => {
      const { reason, as: by } = options;
      const answer = await context.client().resume(tenant, { by, reason });
      context.show(answer, () => `${tenant} goes on (trigger ${answer.trigger}).`);
    });
  program
    .command('accept')
    .description('take one drift as it is, for a time; or tell what is accepted')
    .argument('<tenant>')
    .argument('[path]', 'the drift, as the status tells it')
    .option('--for <when>', 'for how long (30d), or until when; at most 365d', moment)
    .option('--reason <text>', 'why, for the record')
    .option('--observed <value>', 'only if it still is that')
    .option('--withdraw', 'accept it no longer')
    .option('--list', 'tell what is accepted; with --all what no longer is, too')
    .option('--all', 'with --list')
    .addOption(as())
    .action((tenant: string, path: string | undefined, options: AcceptOptions) =>
      accept(context, tenant, path, options),
    );
}

interface AcceptOptions {
  for?: string;
  reason?: string;
  observed?: string;
  withdraw?: boolean;
  list?: boolean;
  all?: boolean;
  as: string;
}

async function accept(
  context: Context,
  tenant: string,
  path: string | undefined,
  options: AcceptOptions,
): Promise<void> {
  const { for: expires, reason, observed, withdraw = false, list = false, all = false, as: by } = options;
  const client = context.client();
  if (list) {
    if (path !== undefined || withdraw || expires !== undefined || reason !== undefined) {
      throw new Refused('--list goes with --all, and with nothing else.');
    }
    const acceptances = await client.acceptances(tenant);
    const shown = all ? acceptances : acceptances.filter(({ state }) => state === 'in-force');
    context.show(shown, acceptancesText);
    return;
  }
  if (path === undefined) {
    throw new Refused(`Say which drift: the path that status ${tenant} tells. Or ask with --list.`);
  }
  if (reason === undefined) throw new Refused('--reason is needed: why, for the record.');
  if (all) throw new Refused('--all goes with --list.');
  if (withdraw) {
    if (expires !== undefined || observed !== undefined) {
      throw new Refused('--withdraw goes with --reason, and with no time or value.');
    }
    const answer = await client.withdrawAcceptance(tenant, { path, by, reason });
    context.show(answer, () => `${path} is drift again (trigger ${answer.trigger}).`);
    return;
  }
  if (expires === undefined) throw new Refused('--for is needed: nothing is accepted for ever.');
  const answer = await client.accept(tenant, {
    path,
    by,
    reason,
    expires,
    ...(observed === undefined ? {} : { observed }),
  });
  context.show(
    answer,
    ({ command }) =>
      `${path} is accepted until ${answer.until} (trigger ${answer.trigger}).\nNext: ${command} status ${tenant}`,
  );
}

/** `parasol accept TENANT --list` */
function acceptancesText(sheet: Sheet, acceptances: readonly AcceptanceView[]): string {
  if (acceptances.length === 0) return 'Nothing is accepted.';
  return sheet.paper.table(
    ['PATH', 'DESIRED', 'OBSERVED', 'STATE', 'UNTIL'],
    acceptances.flatMap(({ path, desired, observed, state, expiresAt, by, reason, because }): Row[] => [
      [path, desired, observed, state, state === 'in-force' ? `${span(expiresAt, sheet.now)} more` : ''],
      ...note(`by ${by}: ${reason}`),
      ...note(because),
    ]),
  );
}

/** `2h`, or a time with its zone as ISO 8601. */
function moment(text: string): string {
  if (parseDuration(text) !== null) return text;
  const zoned = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  if (!zoned || Number.isNaN(Date.parse(text))) {
    throw new InvalidArgumentError('It must be a duration such as 2h, or a time such as 2026-12-01T06:00Z.');
  }
  return new Date(text).toISOString();
}
