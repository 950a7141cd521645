import type { Command } from 'commander';

/**
 * How each command ends, by its own help. 1 (something broke: no service, no permission, a bug) and 4 (what was typed
 * or given is refused; nothing was changed) are every command's, and are told once in the program's help.
 */
const CODES: Readonly<Record<string, readonly string[]>> = {
  get: ['0  every tenant that is listed is ready', '2  one is not'],
  fleet: ['0  every tenant is ready', '2  one is not'],
  status: [
    '0  ready, of this spec, and without drift',
    '2  not ready, or there is drift',
    '3  a hand-off waits for a person',
  ],
  plan: ['0  nothing to do', '2  something is', '3  in mode repair, a person has to do some of it'],
  reconcile: ['0  it was asked for; with --wait: as status', '2, 3  with --wait: as status'],
  rotate: ['0  it was asked for; with --wait: as status', '2, 3  with --wait: as status'],
  diff: ['0  apply would change nothing', '2  it would change something'],
  handoffs: ['0  none waits for a person', '3  one does'],
  doctor: ['0  everything that was examined is well', '2  something is not, or could not be seen'],
  adopt: ['0  it conforms, and is taken over', '2  it differs, or could not be seen'],
};

/** Adds to each command's help how it ends. */
export function tellExitCodes(program: Command): void {
  for (const command of program.commands) {
    const codes = CODES[command.name()];
    if (codes) command.addHelpText('after', `\nEnds with:\n${codes.map((line) => `  ${line}`).join('\n')}`);
  }
}
