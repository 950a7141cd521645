import type { Command } from 'commander';
import { clientFor } from './client.ts';
import { completionScript, SHELLS, type Shell } from './completion.ts';
import type { Context } from './context.ts';

/** What a shell needs to complete commands, options and the ids of tenants. */
export function addCompletion(program: Command, context: Context): void {
  const { io } = context;
  const completion = program
    .command('completion')
    .description('a script that makes a shell complete commands, options and tenants')
    .addArgument(program.createArgument('<shell>').choices(SHELLS))
    .addHelpText('after', HELP)
    .action((shell: Shell) => {
      io.stdout.write(completionScript(program, shell));
    });
  completion.command('tenants', { hidden: true }).argument('[prefix]').action(tenantsFor);

  /** Silent whatever goes wrong: somebody is in the middle of typing. */
  async function tenantsFor(prefix = ''): Promise<void> {
    try {
      const query: [string, string][] = prefix === '' ? [] : [['q', prefix]];
      const { tenants } = await clientFor(io.env, { answerWithinMs: PATIENCE_MS }).listTenants(query, MOST);
      const ids = tenants.map(({ id }) => id).filter((id) => id.startsWith(prefix));
      io.stdout.write(ids.map((id) => `${id}\n`).join(''));
    } catch {
      // Nothing is completed.
    }
  }
}

/** Nobody waits longer for a key that was pressed. */
const PATIENCE_MS = 1_000;
/** Far more than anybody reads; a prefix makes them fewer. */
const MOST = 200;

const HELP = `
  bash  source <(parasol completion bash)         in ~/.bashrc
  zsh   source <(parasol completion zsh)          in ~/.zshrc
  fish  parasol completion fish | source          in ~/.config/fish/config.fish
The ids come from the service that PARASOL_URL names, if it answers in a second.`;
