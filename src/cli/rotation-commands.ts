import { Option, type Command } from 'commander';
import { isLive } from '../domain/handoff.ts';
import type { RotationPhase } from '../domain/rotation.ts';
import type { RotationRequest, StatusView } from '../reconciler/commands.ts';
import { forMany, many, meansMany, type BulkOptions } from './bulk.ts';
import { revealClientFor, type Revealed } from './client.ts';
import { codeOfStatus, duration, handoffNamed, Refused, waitUntil, type Context } from './context.ts';
import { readLine } from './prompt.ts';
import { rotationsText } from './rotation-views.ts';
import { shortId } from './sheet.ts';
import { statusText } from './views.ts';

/** Rotations of the integration key: asked for, taken back, told, and the one way in which a pair is shown. */
export function addRotations(program: Command, context: Context): void {
  const { io } = context;
  const as = (what: string) => new Option('--as <name>', what).default(io.user);
  forMany(
    program
      .command('rotate')
      .description('replace a key with overlap: the old one goes last; of a tenant, or of many')
      .argument('[tenant]'),
  )
    .addOption(
      new Option('--credential <purpose>', 'which key; an Umbrella key for all who share it')
        .choices(['integration', 'umbrella-api'])
        .default('integration'),
    )
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as('who asks'))
    .option('--compromised', 'the key is in wrong hands: no window and no overlap is waited for')
    .option('--cut-now', 'with --compromised: the old key goes before there is a new one, an outage')
    .option('--yes-cut <tenant>', 'confirms --cut-now where there is no terminal to ask on')
    .option('--wait', 'wait until it needs a person or Umbrella, then show the status')
    .option('--timeout <duration>', 'how long to wait at most', duration, 300_000)
    .action((tenant: string | undefined, options: RotateOptions) =>
      meansMany(tenant, options) || tenant === undefined
        ? rotateMany(context, options)
        : rotate(context, tenant, options),
    );
  program
    .command('rollback')
    .description('take the rotation under way back, at any phase')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as('who asks'))
    .action(async (tenant: string, options: { reason: string; as: string }) => {
      const { reason, as: by } = options;
      const answer = await context.client().rollback(tenant, { by, reason });
      context.show(
        answer,
        ({ command }) =>
          `The rotation of ${tenant} is taken back (trigger ${answer.trigger}).\nNext: ${command} status ${tenant}`,
      );
    });
  program
    .command('rotations')
    .description('every rotation of a tenant, newest first')
    .argument('<tenant>')
    .action(async (tenant: string) => context.show(await context.client().rotations(tenant), rotationsText));
  program
    .command('reveal')
    .description('show the pair that a hand-off puts into Umbrella, once, to who claimed it')
    .argument('<handoff>', 'the id, or its last characters')
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as('who claimed the hand-off'))
    .addHelpText('after', REVEAL_HELP)
    .action((id: string, options: { reason: string; as: string }) => reveal(context, id, options));
}

interface RotateOptions extends BulkOptions {
  credential: RotationRequest['credential'];
  reason: string;
  as: string;
  compromised?: boolean;
  cutNow?: boolean;
  yesCut?: string;
  wait?: boolean;
  timeout: number;
}

/** Of integration keys only, and in peace: what cannot wait is said of each tenant by itself. */
async function rotateMany(context: Context, options: RotateOptions): Promise<void> {
  const { credential, compromised, cutNow, yesCut, wait, reason, as: by } = options;
  if (credential !== 'integration' || compromised || cutNow || yesCut !== undefined || wait) {
    throw new Refused(
      'Of many tenants only the integration key is rotated, with overlap, and nothing is waited for: ' +
        'the rest is said of one tenant.',
    );
  }
  return many(context, 'rotations', { reason, by }, options);
}

async function rotate(context: Context, tenant: string, options: RotateOptions): Promise<void> {
  const { credential, reason, as: by, compromised = false, cutNow = false, timeout } = options;
  if (cutNow && !compromised) throw new Refused('--cut-now goes with --compromised only: it is an outage.');
  if (options.yesCut !== undefined && !cutNow)
    throw new Refused('--yes-cut confirms --cut-now, and nothing else.');
  if (credential !== 'integration' && (cutNow || options.wait === true)) {
    const which = cutNow ? '--cut-now' : '--wait';
    throw new Refused(
      `${which} goes with the integration key: the rotation of an Umbrella key needs nobody.`,
    );
  }
  if (cutNow) await confirmCut(context, tenant, options.yesCut);
  const answer = await context.client().rotate(tenant, { credential, by, reason, compromised, cutNow });
  if (options.wait !== true) {
    context.show(
      answer,
      ({ command }) =>
        `A rotation of ${tenant} is asked for (trigger ${answer.trigger}).\nNext: ${command} status ${tenant}`,
    );
    return;
  }
  const { io } = context;
  const waits = { what: 'its rotation', timeoutMs: timeout, late: late(timeout) };
  const status = await waitUntil(context, tenant, waits, (status) => rests(status, answer));
  context.show(status, statusText);
  io.exit(codeOfStatus(status));
}

const late = (timeoutMs: number): string =>
  `has not come to a rest in ${Math.round(timeoutMs / 1000)}s. The rotation goes on.`;

/** These go on by themselves, unless a person is needed for the role first. */
const MOVING: readonly RotationPhase[] = ['Pending', 'PreparingMember'];
const OF_THE_ROLE = ['grant-role-levels', 'allow-table-setup'];

function rests(
  { rotation, trigger, handoffs }: StatusView,
  asked: { rotation: string; trigger: number },
): boolean {
  if (trigger.handled < asked.trigger) return false;
  if (rotation?.id !== asked.rotation || !MOVING.includes(rotation.phase)) return true;
  return handoffs.some(({ kind, state }) => OF_THE_ROLE.includes(kind) && state !== 'submitted');
}

/** An outage is confirmed by typing the tenant's id: no habit answers that question. */
async function confirmCut(context: Context, tenant: string, given: string | undefined): Promise<void> {
  const { io } = context;
  const outage =
    `The key that Umbrella holds for ${tenant} is cut before there is another. From then until a person has put ` +
    'a new key into Umbrella, nothing is synchronised and no ticket is opened.';
  if (given === undefined && !io.stdin.isTTY) {
    throw new Refused(`${outage} Confirm it with --yes-cut ${tenant}.`);
  }
  context.note(context.errors.paragraph(outage));
  const typed = given ?? (await readLine(io, `Type ${tenant} to confirm the outage: `));
  if (typed !== tenant)
    throw new Refused(`That is not ${tenant}: nothing was cut, and nothing was asked for.`);
}

const REVEAL_HELP = `
The token is PARASOL_REVEAL_TOKEN, or PARASOL_REVEAL_TOKEN_FILE, a file with it:
no other token may read a key. Two lines go to standard output, the public key
and the private key; everything else goes to standard error.`;

async function reveal(context: Context, id: string, options: { reason: string; as: string }): Promise<void> {
  const { reason, as: by } = options;
  const client = revealClientFor(context.io.env, { sleep: (ms) => context.io.sleep(ms) });
  const handoff = await handoffNamed(client, id);
  if (!isLive(handoff)) {
    throw new Refused(`Hand-off ${shortId(handoff.id)} is ${handoff.state}: nothing is to be shown.`);
  }
  const shown: Revealed = await client.reveal(handoff.id, { by, reason });
  context.note(context.errors.paragraph(revealWarning(shown, by)));
  context.show(shown, (_, { publicKey, privateKey }) => `${publicKey}\n${privateKey}`);
}

const revealWarning = ({ fingerprint, member }: Revealed, by: string): string =>
  `The pair ${fingerprint} of ${member ?? 'an unknown member'} is shown once, and it is recorded that ${by} saw it. From ` +
  'now on it counts as being in Umbrella. Paste the public key, then the private key; keep no copy, and clear this ' +
  'screen.';
