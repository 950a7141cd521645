import { InvalidArgumentError, Option, type Command } from 'commander';
import { TENANT_SORTS } from '../domain/tenant-filter.ts';
import type { Context } from './context.ts';
import { fleetText, tenantsText } from './fleet-views.ts';
import { EXIT } from './io.ts';
import { choosing, labelOption, queryOf, type Selection } from './selection.ts';

/** Looking at many tenants at once. */
export function addFleet(program: Command, context: Context): void {
  choosing(program.command('get').description('tenants: all of them, or those that are meant'))
    .addOption(
      new Option('--sort <by>', 'ready: worst first; since: not ready for longest; next: due soonest')
        .choices(TENANT_SORTS)
        .default('id'),
    )
    .option('--limit <count>', 'so many at most', wholeNumber, Infinity)
    .action(async ({ sort, limit, ...selection }: GetOptions) => {
      const query = queryOf(selection);
      const { tenants, more } = await context.client().listTenants([...query, ['sort', sort]], limit);
      context.show(tenants, (sheet) => tenantsText(sheet, tenants, { all: query.length === 0, more }));
      context.io.exit(tenants.every(({ ready }) => ready === 'True') ? EXIT.ok : EXIT.drift);
    });
  program
    .command('fleet')
    .description('how the fleet is, in numbers: what to look at this morning')
    .addOption(labelOption())
    .action(async ({ label = [] }: { label?: string[] }) => {
      const fleet = await context.client().fleet(label);
      context.show(fleet, fleetText);
      context.io.exit(fleet.tenants.ready.True === fleet.tenants.total ? EXIT.ok : EXIT.drift);
    });
}

interface GetOptions extends Selection {
  sort: string;
  limit: number;
}

function wholeNumber(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('It must be a whole number above 0.');
}
