import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { isLive } from '../domain/handoff.ts';
import { PURPOSES, type Purpose, type TenantInput } from '../domain/tenant.ts';
import type { PlanView, RekeyProgress } from '../reconciler/commands.ts';
import { ServiceRefused, type PairBody } from './client.ts';
import {
  codeOfStatus,
  Context,
  duration,
  handoffNamed,
  Refused,
  waitForTrigger,
  waitsForPerson,
} from './context.ts';
import { EXIT, type CliIo, type ExitCode } from './io.ts';
import { readPair, readSecret } from './prompt.ts';
import { addRotations } from './rotation-commands.ts';
import { shortId } from './sheet.ts';
import { loadTenantsFile, type TenantsFile } from './tenants-file.ts';
import {
  applyText,
  credentialsText,
  customersText,
  examinationText,
  handoffsText,
  handoffText,
  planText,
  rekeyText,
  statusText,
  tenantsText,
  vaultText,
} from './views.ts';

const HELP = `
Exit codes:
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
                 PARASOL_REVEAL_TOKEN_FILE`;

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
  addReading(program, context);
  addChanging(program, context);
  addHandoffs(program, context);
  addRotations(program, context);
  addDoctor(program, context);
  addVault(program, context);
  addProcesses(program, context);
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

function codeOfPlan({ mode, observedAt, plan }: PlanView): ExitCode {
  if (plan.steps.length === 0) return observedAt === null ? EXIT.drift : EXIT.ok;
  const person = plan.steps.some(({ action, state }) => action.kind === 'open-handoff' && state === 'now');
  return person && mode === 'repair' ? EXIT.person : EXIT.drift;
}

function addReading(program: Command, context: Context): void {
  program
    .command('get')
    .description('all tenants')
    .action(async () => {
      const tenants = await context.client().tenants();
      context.show(tenants, tenantsText);
      context.io.exit(tenants.every(({ ready }) => ready === 'True') ? EXIT.ok : EXIT.drift);
    });
  program
    .command('status')
    .description('how a tenant is: conditions, drift, keys, evidence, hand-offs')
    .argument('<tenant>')
    .action(async (tenant: string) => {
      const status = await context.client().status(tenant);
      context.show(status, statusText);
      context.io.exit(codeOfStatus(status));
    });
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

function addChanging(program: Command, context: Context): void {
  program
    .command('reconcile')
    .description('observe a tenant now, and repair what may be repaired')
    .argument('<tenant>')
    .option('--reason <text>', 'why, for the record')
    .option('--wait', 'wait until it was done, then show the status')
    .option('--timeout <duration>', 'how long to wait at most', duration, 300_000)
    .action(async (tenant: string, options: { reason?: string; wait?: boolean; timeout: number }) => {
      const answer = await context.client().reconcile(tenant, options.reason ?? null);
      if (options.wait !== true) {
        context.show(answer, () => `${tenant} will be reconciled (trigger ${answer.trigger}).`);
        return;
      }
      const status = await waitForTrigger(context, tenant, answer.trigger, options.timeout);
      context.show(status, statusText);
      context.io.exit(codeOfStatus(status));
    });
  program
    .command('apply')
    .description('make the tenants be as a file says: all of them, or none')
    .requiredOption('-f, --file <file>', 'tenants.yaml')
    .option('--dry-run', 'check, and tell what would change')
    .action(async (options: { file: string; dryRun?: boolean }) => {
      const dryRun = options.dryRun === true;
      const file = readTenants(options.file, context.io);
      const changes = await applyFile(context, file, options.file, dryRun);
      context.show(changes, (sheet) => applyText(sheet, changes, dryRun));
    });
  program
    .command('credential')
    .description('replace a credential; the pair is asked for, or two lines of standard input')
    .argument('<tenant>')
    .addArgument(program.createArgument('<purpose>').choices(PURPOSES))
    .option('--member <identifier>', 'the API member that an integration key is of')
    .action(async (tenant: string, purpose: Purpose, { member }: { member?: string }) => {
      if ((purpose === 'integration') !== (member !== undefined)) {
        throw new Refused('--member goes with an integration key, and with no other credential.');
      }
      const pair = await credentialOf(context.io, purpose);
      const answer = await context
        .client()
        .replaceCredential(tenant, purpose, { ...pair, ...(member === undefined ? {} : { member }) });
      context.show(
        answer,
        () =>
          `Received, and sealed as ${answer.fingerprint}. ` +
          (purpose === 'automation'
            ? 'It signs from now on; the one before it signs beside it for 24 hours.'
            : `It is proved next (trigger ${answer.trigger}).`),
      );
    });
}

async function credentialOf(io: CliIo, purpose: Purpose): Promise<PairBody | { secret: string }> {
  if (purpose === 'automation') return { secret: await readSecret(io, 'Secret (whsec_…)') };
  const umbrella = purpose === 'umbrella-api' || purpose === 'umbrella-key-admin';
  const [first, second] = await readPair(io, umbrella ? UMBRELLA_LABELS : CONNECTWISE_LABELS);
  return umbrella ? { key: first, secret: second } : { publicKey: first, privateKey: second };
}

const CONNECTWISE_LABELS = ['Public key', 'Private key'] as const;
const UMBRELLA_LABELS = ['Key', 'Secret'] as const;

type GoodFile = Extract<TenantsFile, { ok: true }>;

function readTenants(path: string, io: CliIo): GoodFile {
  let file: TenantsFile;
  try {
    file = loadTenantsFile(path, io.env);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Refused(`${path} cannot be read${code === undefined ? '' : ` (${code})`}.`);
  }
  if (file.ok) return file;
  const count = file.problems.length;
  throw new Refused(
    `${path} has ${count} problem${count === 1 ? '' : 's'}; nothing was applied.`,
    file.problems,
  );
}

/** What the service refuses is told with its place in the file, and without the file's secrets. */
async function applyFile(context: Context, file: GoodFile, path: string, dryRun: boolean) {
  try {
    return await context.client().apply(file.tenants, dryRun);
  } catch (error) {
    if (!(error instanceof ServiceRefused) || !error.isInput) throw error;
    throw new Refused(
      `${path}: ${file.conceal(error.message)}`,
      error.problems.map(({ path, message }) => ({
        ...file.locate(path),
        path,
        message: file.conceal(message),
      })),
    );
  }
}

function addHandoffs(program: Command, context: Context): void {
  const { io } = context;
  const as = () => new Option('--as <name>', 'who does the work').default(io.user);
  const handoffs = program
    .command('handoffs')
    .description('work that waits for a person')
    .argument('[tenant]')
    .option('--all', 'closed and withdrawn ones too')
    .action(async (tenant: string | undefined, { all }: { all?: boolean }) => {
      const found = await context.client().handoffs({ tenant, live: all !== true });
      context.show(found, handoffsText);
      io.exit(waitsForPerson(found) ? EXIT.person : EXIT.ok);
    });
  handoffs
    .command('show')
    .description('what is to be done, click by click')
    .argument('<id>', 'the id, or its last characters')
    .action(async (id: string) => context.show(await handoffNamed(context.client(), id), handoffText));
  handoffs
    .command('claim')
    .description('take a hand-off, so that nobody does it twice')
    .argument('<id>', 'the id, or its last characters')
    .addOption(as())
    .action(async (id: string, options: { as: string }) => {
      const handoff = await handoffNamed(context.client(), id);
      context.show(await context.client().claim(handoff.id, options.as), handoffText);
    });
  handoffs
    .command('release')
    .description('give a claimed hand-off back')
    .argument('<id>', 'the id, or its last characters')
    .addOption(as())
    .action(async (id: string, options: { as: string }) => {
      const handoff = await handoffNamed(context.client(), id);
      const released = await context.client().release(handoff.id, options.as);
      context.show(released, () => `${released.content.title}: ${released.state} again.`);
    });
  program
    .command('submit')
    .description('say that a hand-off’s work was done; a key pair is asked for, or read from stdin')
    .argument('<handoff>', 'the id, or its last characters')
    .option('--attest', 'no evidence can show this work: you vouch for it, and it is recorded as that')
    .addOption(as())
    .action((id: string, options: { attest?: boolean; as: string }) => submit(context, id, options));
}

async function submit(
  context: Context,
  id: string,
  options: { attest?: boolean; as: string },
): Promise<void> {
  const handoff = await handoffNamed(context.client(), id);
  if (!isLive(handoff)) {
    throw new Refused(`Hand-off ${shortId(handoff.id)} is ${handoff.state}: nothing is to be submitted.`);
  }
  const attest = options.attest === true;
  const { input } = handoff.content;
  const submission = { by: options.as, ...(attest ? { attest } : {}) };
  if (input !== undefined && !attest) {
    const { purpose, member } = input;
    context.note(`${handoff.content.title}\nThe ${purpose} pair${member === null ? '' : ` of ${member}`}:`);
    const labels = purpose === 'umbrella-api' ? UMBRELLA_LABELS : CONNECTWISE_LABELS;
    const [publicKey, privateKey] = await readPair(context.io, labels);
    Object.assign(submission, { publicKey, privateKey });
  }
  const answer = await context.client().submit(handoff.id, submission);
  const { command } = context.sheet;
  context.show(
    answer,
    () =>
      `Received: ${answer.handoff.state}${answer.handoff.attested ? ', attested' : ''}. ` +
      `Parasol now looks for the evidence.\nNext: ${command} status ${answer.handoff.tenantId}`,
  );
}

function addDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('examine a tenant with its real keys; reads only')
    .argument('<tenant>')
    .option('-f, --file <file>', 'the tenant as this file has it, with the keys that it names')
    .action(async (tenant: string, options: { file?: string }) => {
      const input = options.file === undefined ? null : tenantOf(context, options.file, tenant);
      const examination = await context.io.doctor({ tenant, input });
      context.show(examination, examinationText);
      const healthy = examination.checks.every(({ verdict }) => verdict === 'ok');
      context.io.exit(healthy ? EXIT.ok : EXIT.drift);
    });
}

function tenantOf(context: Context, path: string, id: string): TenantInput {
  const { tenants } = readTenants(path, context.io);
  const tenant = tenants.find((one) => one.id === id);
  if (tenant !== undefined) return tenant;
  throw new Refused(`${path} has no tenant ${id}; it has ${tenants.map((one) => one.id).join(', ')}.`);
}

function addVault(program: Command, context: Context): void {
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

function port(text: string): number {
  const number = Number(text);
  if (Number.isInteger(number) && number >= 0 && number <= 65_533) return number;
  throw new InvalidArgumentError('It must be a port from 0 (any) to 65533.');
}

function addProcesses(program: Command, context: Context): void {
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
