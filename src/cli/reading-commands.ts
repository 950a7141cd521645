import type { Command } from 'commander';
import type { PlanView } from '../reconciler/commands.ts';
import { codeOfStatus, type Context } from './context.ts';
import { EXIT, type ExitCode } from './io.ts';
import { showOrWatch, watched, type Watching } from './watch.ts';
import { credentialsText, customersText, planText, statusText } from './views.ts';

/** Looking at tenants. */
export function addReading(program: Command, context: Context): void {
  watched(program.command('status'))
    .description('how a tenant is: conditions, drift, keys, evidence, hand-offs')
    .argument('<tenant>')
    .action((tenant: string, watching: Watching) =>
      showOrWatch(context, watching, async () => {
        const answer = await context.client().status(tenant);
        return { answer, text: statusText, code: codeOfStatus(answer) };
      }),
    );
  program
    .command('plan')
    .description('what would be done next, and what waits for what')
    .argument('<tenant>')
    .action(async (tenant: string) => {
      const plan = await context.client().plan(tenant);
      context.show(plan, planText);
      context.io.exit(codeOfPlan(plan));
    });
  program
    .command('credentials')
    .description('every key pair that was ever held, by fingerprint')
    .argument('<tenant>')
    .action(async (tenant: string) => {
      context.show(await context.client().credentials(tenant), credentialsText);
    });
  program
    .command('customers')
    .description('each Umbrella customer and the configuration it was matched to')
    .argument('<tenant>')
    .action(async (tenant: string) => {
      context.show(await context.client().customers(tenant), customersText);
    });
}

function codeOfPlan({ mode, observedAt, plan }: PlanView): ExitCode {
  if (plan.steps.length === 0) return observedAt === null ? EXIT.drift : EXIT.ok;
  const person = plan.steps.some(({ action, state }) => action.kind === 'open-handoff' && state === 'now');
  return person && mode === 'repair' ? EXIT.person : EXIT.drift;
}
