import { InvalidArgumentError, Option, type Command } from 'commander';
import { duration, type Context } from './context.ts';

/** What runs until it is told to end. */
export function addProcesses(program: Command, context: Context): void {
  const { io } = context;
  program
    .command('serve')
    .description('run the service')
    .action(() => io.serve());
  program
    .command('migrate')
    .description('bring the database to this version, and end')
    .action(() => io.migrate());
  program
    .command('simulate')
    .description('both vendors, simulated, to rehearse with')
    .option('--port <port>', 'ConnectWise listens here, Umbrella one above, the page two above', port, 9080)
    .option('--host <host>', 'where to listen', '127.0.0.1')
    .addOption(new Option('--scenario <name>', 'what is wrong').choices(io.scenarios).default('demo'))
    .option('--sync-every <duration>', 'every console syncs this often; absent: by hand', duration)
    .option('--no-quotas', 'without the vendors’ limits')
    .action(
      async (options: {
        port: number;
        host: string;
        scenario: string;
        syncEvery?: number;
        quotas: boolean;
      }) => {
        const simulator = await io.simulate({
          portBase: options.port,
          host: options.host,
          scenario: options.scenario,
          quotas: options.quotas,
          ...(options.syncEvery === undefined ? {} : { syncEveryMs: options.syncEvery }),
          print: (line) => io.stdout.write(`${line}\n`),
        });
        await io.interrupted();
        await simulator.close();
      },
    );
  program
    .command('demo')
    .description('the service with both vendors simulated and a dozen tenants in trouble')
    .action(async () => io.exit(await io.demo()));
}

function port(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_533) return number;
  throw new InvalidArgumentError('It must be a port from 0 (any) to 65533.');
}
