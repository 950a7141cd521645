import { Command, CommanderError } from 'commander';
import { addApply } from './apply-commands.ts';
import { addBrake } from './brake-commands.ts';
import { addCompletion } from './completion-commands.ts';
import { Context, Refused } from './context.ts';
import { addAdoption } from './adopt-commands.ts';
import { addDeletion } from './delete-commands.ts';
import { addFleet } from './fleet-commands.ts';
import { addExport } from './export-commands.ts';
import { addHandoffs } from './handoff-commands.ts';
import { addInit } from './init-commands.ts';
import { tellExitCodes } from './exit-codes.ts';
import { EXIT, type CliIo } from './io.ts';
import { addProcesses } from './process-commands.ts';
import { addReading } from './reading-commands.ts';
import { addHistory } from './history-commands.ts';
import { addHolds } from './hold-commands.ts';
import { addRotations } from './rotation-commands.ts';
import { addChanging, addDoctor } from './tenant-commands.ts';
import { addAuditLog } from './audit-commands.ts';
import { addTokens } from './token-commands.ts';
import { addVault } from './vault-commands.ts';

const HELP = `
Exit codes (what each command ends with is in its own --help):
  0  ready, or done
  1  something broke: no service, no permission
  2  not ready, or there is drift
  3  a hand-off waits for a person
  4  what was typed or given is refused; nothing was changed

Environment:
  PARASOL_URL    where the service is (http://127.0.0.1:8080)
  PARASOL_TOKEN  the token, or PARASOL_TOKEN_FILE, a file with it; absent: the
                 one that a service on this machine made, in PARASOL_DATA
                 (.parasol)
  PARASOL_REVEAL_TOKEN  for reveal instead of PARASOL_TOKEN, or
                 PARASOL_REVEAL_TOKEN_FILE
  NO_COLOR, FORCE_COLOR  no colours on a terminal; colours elsewhere too`;

/**
 * The command line. What a command found goes to `io.stdout`, what went wrong to `io.stderr`, how it ended to
 * `io.exit`; use `runProgram` to have failures told as well.
 */
export function buildProgram(io: CliIo): Command {
  const program = new Command('parasol')
    .description('Keeps Cisco Umbrella ↔ ConnectWise PSA integrations healthy.')
    .option('--json', 'the answer as JSON, for machines')
    .addHelpText('after', HELP)
    .configureHelp({
      // With `[options]` on each of them there is no room left for words.
      subcommandTerm: (command) => `${command.name()} ${argumentsOf(command)}`.trimEnd(),
    })
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      writeErr: (text) => io.stderr.write(text),
      // `runProgram` tells it, without what was typed.
      outputError: () => {},
      getOutHelpWidth: () => 80,
      getErrHelpWidth: () => 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .exitOverride();
  const context = new Context(io, program);
  addFleet(program, context);
  addReading(program, context);
  addChanging(program, context);
  addApply(program, context);
  addInit(program, context);
  addAdoption(program, context);
  addDeletion(program, context);
  addHandoffs(program, context);
  addHistory(program, context);
  addHolds(program, context);
  addRotations(program, context);
  addExport(program, context);
  addBrake(program, context);
  addDoctor(program, context);
  addTokens(program, context);
  addAuditLog(program, context);
  addVault(program, context);
  addProcesses(program, context);
  addCompletion(program, context);
  tellExitCodes(program);
  return program;
}

const argumentsOf = (command: Command): string =>
  command.registeredArguments
    .map((argument) => (argument.required ? `<${argument.name()}>` : `[${argument.name()}]`))
    .join(' ');

/** Runs one command line (`process.argv.slice(2)`); whatever goes wrong is told, and becomes an exit code. */
export async function runProgram(args: readonly string[], io: CliIo): Promise<void> {
  const program = buildProgram(io);
  try {
    await program.parseAsync(args, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) io.exit(new Context(io, program).tell(error));
    else if (error.exitCode === 0) io.exit(EXIT.ok);
    // Nothing was typed, and help was shown.
    else if (error.code === 'commander.help') io.exit(EXIT.refused);
    else io.exit(new Context(io, program).tell(mistyped(error)));
  }
}

/** Commander quotes what was typed, which may be a secret; it is told without values. */
function mistyped({ message }: CommanderError): Refused {
  const words = message
    .replace(/^error: /, '')
    .replace(/(but got \d+): .*$/s, '$1.')
    .replace(/(value|argument) '.*' is invalid/s, '$1 is invalid')
    .replace(/(unknown option '--?[^'=]*)=.*'/s, "$1'")
    // A short option takes its value without a blank.
    .replace(/(unknown option '-[^-'])[^']+'/, "$1'");
  return new Refused(/ for '(submit|credential)'/.test(words) ? `${words} ${NEVER_AN_ARGUMENT}` : words);
}

const NEVER_AN_ARGUMENT =
  'A secret is never an argument, which every user of this machine can read: it is asked for, or read from ' +
  'standard input.';
