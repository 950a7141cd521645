import { Option, type Command } from 'commander';
import type { BrakeView } from '../reconciler/commands.ts';
import { brakesText } from './brake-views.ts';
import type { Client } from './client.ts';
import { Refused, type Context } from './context.ts';
import { EXIT } from './io.ts';

/** The fleet's brake: what set it, whom it holds, and its release. */
export function addBrake(program: Command, context: Context): void {
  const { io } = context;
  const brake = program
    .command('brake')
    .description('the fleet’s stop: what set it, whom it holds, what came of a release')
    .addHelpText('after', '\nExit codes: 0 none is on, 2 one is.')
    .action(async () => {
      const brakes = await context.client().brakes();
      context.show(brakes, brakesText);
      io.exit(brakes.some(({ state }) => state === 'on') ? EXIT.drift : EXIT.ok);
    });
  brake
    .command('release')
    .description('let repairs go on: in one tenant first, then in all')
    .argument('<brake>', 'the id, or its last characters')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--tenant <tenant>', 'only this one, to see what comes of it')
    .option('--without-canary', 'for all, though nobody saw how one tenant took it')
    .addOption(new Option('--as <name>', 'who releases').default(io.user))
    .action((id: string, options: ReleaseOptions) => release(context, id, options));
}

interface ReleaseOptions {
  reason: string;
  as: string;
  tenant?: string;
  withoutCanary?: boolean;
}

async function release(context: Context, name: string, options: ReleaseOptions): Promise<void> {
  const { reason, as: by, tenant, withoutCanary = false } = options;
  if (tenant !== undefined && withoutCanary) {
    throw new Refused('--without-canary is for all tenants: --tenant names the canary.');
  }
  const client = context.client();
  const { id } = await brakeNamed(client, name);
  const asked = { by, reason, ...(tenant === undefined ? { withoutCanary } : { tenant }) };
  const answer = await client.releaseBrake(id, asked);
  context.show(answer, ({ command }) =>
    tenant === undefined
      ? `Released for all: ${answer.triggered.length} tenants run at once.\nNext: ${command} brake`
      : `${tenant} is released, and runs at once.\nNext: ${command} brake, which tells what came of it.`,
  );
}

async function brakeNamed(client: Client, name: string): Promise<BrakeView> {
  const [only, another] = (await client.brakes()).filter(({ id }) => name !== '' && id.endsWith(name));
  if (another !== undefined) throw new Refused(`More than one brake ends in ${name}: type more of the id.`);
  if (only === undefined) throw new Refused(`There is no brake ${name}.`);
  return only;
}
