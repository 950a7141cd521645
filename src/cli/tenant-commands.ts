import type { Command } from 'commander';
import { forMany, many, meansMany, type BulkOptions } from './bulk.ts';
import { PURPOSES, type Purpose } from '../domain/tenant.ts';
import type { PairBody } from './client.ts';
import { codeOfStatus, duration, Refused, waitForTrigger, type Context } from './context.ts';
import { EXIT, type CliIo } from './io.ts';
import { CONNECTWISE_LABELS, readPair, readSecret, UMBRELLA_LABELS } from './prompt.ts';
import { tenantOf } from './read-tenants.ts';
import { examinationText, statusText } from './views.ts';

/** Saying how tenants should be, and having them looked at. */
export function addChanging(program: Command, context: Context): void {
  forMany(
    program
      .command('reconcile')
      .description('observe a tenant now, or many, and repair what may be repaired')
      .argument('[tenant]'),
  )
    .option('--yes', 'of many: without being asked')
    .option('--reason <text>', 'why, for the record; of many it must be given')
    .option('--wait', 'wait until it was done, then show the status')
    .option('--timeout <duration>', 'how long to wait at most', duration, 300_000)
    .action((tenant: string | undefined, options: ReconcileOptions) => reconcile(context, tenant, options));
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

interface ReconcileOptions extends BulkOptions {
  reason?: string;
  wait?: boolean;
  timeout: number;
}

async function reconcile(
  context: Context,
  tenant: string | undefined,
  options: ReconcileOptions,
): Promise<void> {
  const { reason, wait = false, timeout } = options;
  if (meansMany(tenant, options) || tenant === undefined) {
    if (reason === undefined) throw new Refused('Of many tenants say why: --reason.');
    if (wait) throw new Refused('--wait goes with one tenant.');
    return many(context, 'reconcile', { reason }, options);
  }
  const answer = await context.client().reconcile(tenant, reason ?? null);
  if (!wait) {
    context.show(answer, () => `${tenant} will be reconciled (trigger ${answer.trigger}).`);
    return;
  }
  const status = await waitForTrigger(context, tenant, answer.trigger, timeout);
  context.show(status, statusText);
  context.io.exit(codeOfStatus(status));
}

async function credentialOf(io: CliIo, purpose: Purpose): Promise<PairBody | { secret: string }> {
  if (purpose === 'automation') return { secret: await readSecret(io, 'Secret (whsec_…)') };
  const umbrella = purpose === 'umbrella-api' || purpose === 'umbrella-key-admin';
  const [first, second] = await readPair(io, umbrella ? UMBRELLA_LABELS : CONNECTWISE_LABELS);
  return umbrella ? { key: first, secret: second } : { publicKey: first, privateKey: second };
}

/** Examining a tenant before, or while, the service has it. */
export function addDoctor(program: Command, context: Context): void {
  program
    .command('doctor')
    .description('examine a tenant with its real keys; reads only')
    .argument('<tenant>')
    .option('-f, --file <file>', 'the tenant as this file has it, with the keys that it names')
    .action(async (tenant: string, options: { file?: string }) => {
      const input = options.file === undefined ? null : await tenantOf(context.io, options.file, tenant);
      const examination = await context.io.doctor({ tenant, input });
      context.show(examination, examinationText);
      const healthy = examination.checks.every(({ verdict }) => verdict === 'ok');
      context.io.exit(healthy ? EXIT.ok : EXIT.drift);
    });
}
