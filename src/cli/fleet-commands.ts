import { InvalidArgumentError, Option, type Command } from 'commander';
import { TENANT_SORTS } from '../domain/tenant-filter.ts';
import type { Context } from './context.ts';
import { fleetText, tenantsText } from './fleet-views.ts';
import { EXIT } from './io.ts';
import { showOrWatch, watched, type Watching } from './watch.ts';
import { choosing, labelOption, queryOf, type Selection } from './selection.ts';

/** Looking at many tenants at once. */
export function addFleet(program: Command, context: Context): void {
  choosing(watched(program.command('get')).description('tenants: all of them, or those that are meant'))
    .addOption(
      new Option('--sort <by>', 'ready: worst first; since: not ready for longest; next: due soonest')
        .choices(TENANT_SORTS)
        .default('id'),
    )
    .addOption(
      new Option('--limit <count>', 'so many at most').argParser(wholeNumber).default(Infinity, 'all'),
    )
    .action(({ sort, limit, watch = false, every, ...selection }: GetOptions) => {
      const query = queryOf(selection);
      return showOrWatch(context, { watch, every }, async () => {
        const { tenants, more } = await context.client().listTenants([...query, ['sort', sort]], limit);
        return {
          answer: tenants,
          text: (sheet) => tenantsText(sheet, tenants, { all: query.length === 0, more }),
          code: tenants.every(({ ready }) => ready === 'True') ? EXIT.ok : EXIT.drift,
        };
      });
    });
  watched(program.command('fleet'))
    .description('how the fleet is, in numbers: what to look at this morning')
    .addOption(labelOption())
    .action(({ label = [], ...watching }: Watching & { label?: string[] }) =>
      showOrWatch(context, watching, async () => {
        const answer = await context.client().fleet(label);
        const { ready, total } = answer.tenants;
        return { answer, text: fleetText, code: ready.True === total ? EXIT.ok : EXIT.drift };
      }),
    );
}

interface GetOptions extends Selection, Watching {
  sort: string;
  limit: number;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
