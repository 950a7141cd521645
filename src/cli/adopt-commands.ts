import type { Command } from 'commander';
import type { AdoptionView } from '../reconciler/commands.ts';
import type { Context } from './context.ts';
import { duration, waitForTrigger } from './context.ts';
import { EXIT } from './io.ts';
import { tenantOf } from './read-tenants.ts';
import { ago, heading, note, type Sheet } from './sheet.ts';
import type { Cell, Colour, Row } from './table.ts';
import { planText } from './views.ts';

/** Taking over an integration that is there already. */
export function addAdoption(program: Command, context: Context): void {
  const { io } = context;
  program
    .command('adopt')
    .description('what is there already, and what of it is taken over; writes to no vendor')
    .argument('<tenant>')
    .option('-f, --file <file>', 'before the service has it: the tenant as this file has it')
    .option('--timeout <duration>', 'how long to wait for a look at most', duration, 300_000)
    .addHelpText('after', ADOPT_HELP)
    .action(async (tenant: string, { file, timeout }: { file?: string; timeout: number }) => {
      const adoption =
        file === undefined
          ? await looked(context, tenant, timeout)
          : await io.adopt(await tenantOf(io, file, tenant));
      context.show(adoption, adoptionText);
      io.exit(adoption.verdict === 'taken-in' ? EXIT.ok : EXIT.drift);
    });
}

const ADOPT_HELP = `
A member is taken over by being seen once, by name, exactly as specified. What
differs stays as it is, unless the spec hands it over (members.adopt: true), and
is told with what mode repair would do. In mode repair the service looks, and
repairs, by itself: then this tells what it saw last.`;

/** A new look where none can write; in mode `repair`, what the last one saw. */
async function looked(context: Context, tenant: string, timeoutMs: number): Promise<AdoptionView> {
  const client = context.client();
  const known = await client.adoption(tenant);
  if (known.mode === 'repair') return known;
  const { trigger } = await client.reconcile(tenant, 'adoption');
  await waitForTrigger(context, tenant, trigger, timeoutMs);
  return client.adoption(tenant);
}

const STATES: Record<AdoptionView['found'][number]['state'], Colour> = {
  conforms: 'green',
  differs: 'red',
  absent: 'red',
  unseen: 'yellow',
};

const VERDICTS: Record<AdoptionView['verdict'], string> = {
  'taken-in':
    'It conforms, and is taken over. Nothing was written. Mode repair keeps it so: say mode: repair, and apply.',
  differs:
    'It differs from the spec. Nothing was written. Either change the spec, or let mode repair change what is there.',
  unseen: 'Not all of it could be seen yet. Nothing was written.',
};

const HOW = { created: 'made', conforming: 'taken over', declared: 'by the spec' } as const;

const whose = (ours: AdoptionView['found'][number]['ours'], now: Date): string =>
  ours === null ? 'no' : `${HOW[ours.how]}${ours.since === null ? '' : `, ${ago(ours.since, now)}`}`;

/** `parasol adopt TENANT` */
export function adoptionText(sheet: Sheet, adoption: AdoptionView): string {
  const { paper, now } = sheet;
  const { tenant, observedAt, verdict, found, differences, plan } = adoption;
  const seen = observedAt === null ? 'nothing was observed yet' : `seen ${ago(observedAt, now)}`;
  const foreign = found.some(({ what, state, ours }) => what === 'member' && state === 'differs' && !ours);
  return [
    paper.paint('bold', paper.paragraph(`Adoption of ${tenant}: ${seen}`)),
    '',
    paper.table(
      ['WHAT', 'NAME', 'IS', 'PARASOL’S'],
      found.flatMap(({ what, name, state, detail, ours }): Row[] => [
        [
          what,
          name,
          { text: state, colour: STATES[state] } satisfies Cell,
          what === 'member' ? whose(ours, now) : '',
        ],
        ...note(detail),
      ]),
    ),
    ...(differences.length === 0
      ? []
      : [
          heading(sheet, 'Differs'),
          paper.table(
            ['PATH', 'IS', 'SPECIFIED'],
            differences.map(({ path, observed, desired }) => [path, observed, desired]),
          ),
        ]),
    '',
    paper.paragraph(VERDICTS[verdict]),
    ...(foreign
      ? [
          paper.paragraph(
            'A member that is not Parasol’s is never written: members.adopt: true hands it over.',
          ),
        ]
      : []),
    ...(plan.steps.length === 0 ? [] : ['', planText(sheet, adoption)]),
  ].join('\n');
}
