import type { Command } from 'commander';
import type { RekeyProgress } from '../reconciler/commands.ts';
import type { Context } from './context.ts';
import { EXIT } from './io.ts';
import { rekeyText, vaultText } from './views.ts';

/** The keys that seal every credential. */
export function addVault(program: Command, context: Context): void {
  const { io } = context;
  const status = async () => context.show(await io.vault(), vaultText);
  const vault = program
    .command('vault')
    .description('the keys that seal every credential: their age, and what is sealed under each')
    .action(status);
  vault.command('status').description('the same').action(status);
  vault
    .command('rekey')
    .description('seal everything under another key; every service must be stopped')
    .option('--new-kek-file <path>', 'the new key; absent: PARASOL_NEW_KEK, or one that is made')
    .addHelpText('after', REKEY_HELP)
    .action(async ({ newKekFile }: { newKekFile?: string }) => {
      const report = await io.rekey(newKekFile ?? null, rekeyProgress(context));
      context.show(report, rekeyText);
      io.exit(report.damaged.length === 0 ? EXIT.ok : EXIT.error);
    });
}

const REKEY_HELP = `
The key in use is read as the service reads it: PARASOL_KEK, or the file "kek"
in PARASOL_DATA. In that file's place comes a new one, and the old one is kept
beside it. It may be cut off at any moment: run it again to finish it.`;

/** A line every tenth of the way: few enough for a log, and a terminal shows it in place. */
function rekeyProgress(context: Context): (at: RekeyProgress) => void {
  const { io } = context;
  const words = { seal: 'Sealed anew', check: 'Checked' };
  const live = io.stderr.isTTY === true;
  let told = '';
  return ({ step, done, total }) => {
    const line = `${words[step]}: ${done} of ${total}`;
    const tenth = `${step} ${total === 0 ? 10 : Math.floor((10 * done) / total)}`;
    if (live) io.stderr.write(`\r\u001b[K${line}${done >= total ? '\n' : ''}`);
    else if (tenth !== told) context.note(line);
    told = tenth;
  };
}
