import { Option, type Command } from 'commander';
import { isLive } from '../domain/handoff.ts';
import { handoffNamed, Refused, waitsForPerson, type Context } from './context.ts';
import { EXIT } from './io.ts';
import { CONNECTWISE_LABELS, readPair, UMBRELLA_LABELS } from './prompt.ts';
import { shortId } from './sheet.ts';
import { showOrWatch, watched, type Watching } from './watch.ts';
import { handoffsText, handoffText } from './views.ts';

/** Work that no API can do. */
export function addHandoffs(program: Command, context: Context): void {
  const { io } = context;
  const as = () => new Option('--as <name>', 'who does the work').default(io.user);
  const handoffs = watched(program.command('handoffs'))
    .description('work that waits for a person')
    .argument('[tenant]')
    .option('--all', 'closed and withdrawn ones too')
    .action((tenant: string | undefined, { all, ...watching }: Watching & { all?: boolean }) =>
      showOrWatch(context, watching, async () => {
        const answer = await context.client().handoffs({ tenant, live: all !== true });
        return { answer, text: handoffsText, code: waitsForPerson(answer) ? EXIT.person : EXIT.ok };
      }),
    );
  handoffs
    .command('show')
    .description('what is to be done, click by click')
    .argument('<id>', 'the id, or its last characters')
    .action(async (id: string) => context.show(await handoffNamed(context.client(), id), handoffText));
  handoffs
    .command('claim')
    .description('take a hand-off, so that nobody does it twice')
    .argument('<id>', 'the id, or its last characters')
    .addOption(as())
    .action(async (id: string, options: { as: string }) => {
      const handoff = await handoffNamed(context.client(), id);
      context.show(await context.client().claim(handoff.id, options.as), handoffText);
    });
  handoffs
    .command('release')
    .description('give a claimed hand-off back')
    .argument('<id>', 'the id, or its last characters')
    .addOption(as())
    .action(async (id: string, options: { as: string }) => {
      const handoff = await handoffNamed(context.client(), id);
      const released = await context.client().release(handoff.id, options.as);
      context.show(released, () => `${released.content.title}: ${released.state} again.`);
    });
  program
    .command('submit')
    .description('say that a hand-off’s work was done; a key pair is asked for, or read from stdin')
    .argument('<handoff>', 'the id, or its last characters')
    .option('--attest', 'no evidence can show this work: you vouch for it, and it is recorded as that')
    .addOption(as())
    .action((id: string, options: { attest?: boolean; as: string }) => submit(context, id, options));
}

async function submit(
  context: Context,
  id: string,
  options: { attest?: boolean; as: string },
): Promise<void> {
  const handoff = await handoffNamed(context.client(), id);
  if (!isLive(handoff)) {
    throw new Refused(`Hand-off ${shortId(handoff.id)} is ${handoff.state}: nothing is to be submitted.`);
  }
  const attest = options.attest === true;
  const { input } = handoff.content;
  const submission = { by: options.as, ...(attest ? { attest } : {}) };
  if (input !== undefined && !attest) {
    const { purpose, member } = input;
    context.note(`${handoff.content.title}\nThe ${purpose} pair${member === null ? '' : ` of ${member}`}:`);
    const labels = purpose === 'umbrella-api' ? UMBRELLA_LABELS : CONNECTWISE_LABELS;
    const [publicKey, privateKey] = await readPair(context.io, labels);
    Object.assign(submission, { publicKey, privateKey });
  }
  const answer = await context.client().submit(handoff.id, submission);
  const { command } = context.sheet;
  context.show(
    answer,
    () =>
      `Received: ${answer.handoff.state}${answer.handoff.attested ? ', attested' : ''}. ` +
      `Parasol now looks for the evidence.\nNext: ${command} status ${answer.handoff.tenantId}`,
  );
}
