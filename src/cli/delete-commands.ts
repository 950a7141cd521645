import { Option, type Command } from 'commander';
import type { StatusView, TenantView } from '../reconciler/commands.ts';
import { ServiceRefused, type Client } from './client.ts';
import { duration, Refused, type Context } from './context.ts';
import { EXIT } from './io.ts';
import { Progress } from './progress.ts';
import { readLine } from './prompt.ts';

/** The end of a tenant, and the way back from it. */
export function addDeletion(program: Command, context: Context): void {
  const { io } = context;
  const as = () => new Option('--as <name>', 'who asks').default(io.user);
  program
    .command('delete')
    .description('end a tenant as its onDelete says; final once it was seen')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--force', 'though a rotation is in flight: nobody retires either of its keys')
    .option('--unseen', 'for one that waits already: final with the next run, though no vendor answers')
    .option('--yes <tenant>', 'confirms it where there is no terminal to ask on')
    .option('--wait', 'wait until it is gone')
    .option('--timeout <duration>', 'how long to wait at most', duration, 300_000)
    .addOption(as())
    .addHelpText('after', DELETE_HELP)
    .action((tenant: string, options: DeleteOptions) => remove(context, tenant, options));
  program
    .command('undelete')
    .description('take a deletion back that still waits')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as())
    .action(async (tenant: string, { reason, as: by }: { reason: string; as: string }) => {
      const answer = await context.client().undelete(tenant, { by, reason });
      context.show(
        answer,
        ({ command }) => `${tenant} stays (trigger ${answer.trigger}).\nNext: ${command} status ${tenant}`,
      );
    });
}

const DELETE_HELP = `
It is gone once Parasol has looked at ConnectWise a last time; while ConnectWise
does not answer, or a member is not yet seen switched off, \`status\` says what it
waits for, and \`undelete\` takes it back. Its events and its audit stay.
With --wait: 0 when it is gone, 2 when it still waits.`;

interface DeleteOptions {
  reason: string;
  as: string;
  force?: boolean;
  unseen?: boolean;
  yes?: string;
  wait?: boolean;
  timeout: number;
}

async function remove(context: Context, tenant: string, options: DeleteOptions): Promise<void> {
  const { reason, as: by, force = false, unseen = false, yes, timeout } = options;
  const client = context.client();
  const [view, status] = await Promise.all([client.tenant(tenant), client.status(tenant)]);
  await confirm(context, consequences(view, status, { force, unseen }), tenant, yes);
  const answer = await client.remove(tenant, { by, reason, force, unseen });
  if (options.wait === true) return await waitGone(context, client, tenant, timeout);
  context.show(
    answer,
    ({ command }) =>
      `${tenant} goes once it was seen a last time (trigger ${answer.trigger}).\nNext: ${command} status ${tenant}`,
  );
}

/** What will be, in words, before anybody confirms it. */
function consequences(
  { spec }: TenantView,
  { deleting, rotation }: StatusView,
  { force, unseen }: { force: boolean; unseen: boolean },
): string {
  const members =
    spec.onDelete === 'orphan'
      ? 'Its members in ConnectWise stay as they are (onDelete: orphan), so that the key that Umbrella holds goes on working.'
      : 'Its members in ConnectWise that are Parasol’s to switch off are switched off (onDelete: deactivate-members), and Umbrella with them.';
  return [
    `${spec.id} (${spec.name}) is to be deleted. ${members}`,
    'Every key pair that Parasol holds of it is destroyed.',
    ...(force && rotation
      ? [`Its rotation (${rotation.phase}) goes no further: nobody retires either key.`]
      : []),
    ...(unseen && deleting ? [`It waits for ${deleting.waitsFor}: that is not waited for any more.`] : []),
  ].join(' ');
}

/** What cannot be taken back is confirmed by typing the tenant's id: no habit answers that question. */
async function confirm(
  context: Context,
  words: string,
  tenant: string,
  given: string | undefined,
): Promise<void> {
  const { io } = context;
  if (given === undefined && !io.stdin.isTTY) throw new Refused(`${words} Confirm it with --yes ${tenant}.`);
  context.note(context.errors.paragraph(words));
  const typed = given ?? (await readLine(io, `Type ${tenant} to delete it: `));
  if (typed !== tenant) throw new Refused(`That is not ${tenant}: nothing was deleted.`);
}

const POLL_MS = 1_000;

async function waitGone(context: Context, client: Client, tenant: string, timeoutMs: number): Promise<void> {
  const { io } = context;
  const progress = new Progress(io);
  const start = io.now().getTime();
  for (;;) {
    const status = await client.status(tenant).catch(goneOrWeather);
    const waited = io.now().getTime() - start;
    if (status === 'gone') {
      progress.end();
      return context.show({ tenant, gone: true }, () => `${tenant} is gone.`);
    }
    const takenBack = status !== null && status.deleting === null;
    const waitsFor = status?.deleting?.waitsFor ?? null;
    progress.say(`${tenant} goes: it waits for ${waitsFor ?? 'the service'}`, waited);
    if (takenBack || waited >= timeoutMs) {
      progress.end();
      context.show({ tenant, gone: false, waitsFor }, ({ command, paper }) =>
        takenBack
          ? `${tenant} stays: its deletion was taken back.`
          : paper.paragraph(`${tenant} is still there: it waits for ${waitsFor ?? 'the service'}.`) +
            `\nNext: ${command} status ${tenant}`,
      );
      return io.exit(EXIT.drift);
    }
    await io.sleep(POLL_MS);
  }
}

function goneOrWeather(error: unknown): 'gone' | null {
  if (error instanceof ServiceRefused && error.status === 404) return 'gone';
  if (error instanceof ServiceRefused && error.isWeather) return null;
  throw error;
}
