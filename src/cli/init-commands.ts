import type { Command } from 'commander';
import type { Context } from './context.ts';
import { runInit } from './init/flow.ts';

/** The first tenant, by questions. */
export function addInit(program: Command, context: Context): void {
  program
    .command('init')
    .description('a first tenant, by questions: each answer is tried at once')
    .option('-f, --file <file>', 'the file of tenants that it is written to', 'tenants.yaml')
    .option('--umbrella <url>', 'where Umbrella’s API is, for a rehearsal with `simulate`')
    .addHelpText('after', INIT_HELP)
    .action(async (options: { file: string; umbrella?: string }) => {
      context.io.exit(await runInit(context, options));
    });
}

const INIT_HELP = `
It asks, tries each answer with both vendors (reads only; no service is needed
for that), writes the file with references to the keys, offers to apply it in
mode observe, tells what a technician has to click, and waits until that is
seen. Ctrl-C leaves at any moment: init goes on from there.
Ends with 0 when the tenant is ready, 2 when that is not known yet, 3 when a
person still has something to click.`;
