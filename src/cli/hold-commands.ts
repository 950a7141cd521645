import { InvalidArgumentError, Option, type Command } from 'commander';
import { parseDuration } from '../domain/duration.ts';
import type { Context } from './context.ts';

/** What a person decides of a tenant apart from its spec. */
export function addHolds(program: Command, context: Context): void {
  const as = () => new Option('--as <name>', 'who asks').default(context.io.user);
  program
    .command('pause')
    .description('change nothing of a tenant; it is observed as before')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--until <when>', 'a duration (2h) or a time (2026-12-01T06:00Z); absent: until resumed', moment)
    .addOption(as())
    .action(async (tenant: string, options: { reason: string; until?: string; as: string }) => {
      const { reason, until, as: by } = options;
      const answer = await context
        .client()
        .pause(tenant, { by, reason, ...(until === undefined ? {} : { until }) });
      context.show(
        answer,
        ({ command }) =>
          `${tenant} is paused${answer.until === null ? '' : ` until ${answer.until}`} (trigger ${answer.trigger}).\n` +
          `To end it: ${command} resume ${tenant} --reason …`,
      );
    });
  program
    .command('resume')
    .description('end the pause that a person set')
    .argument('<tenant>')
    .requiredOption('--reason <text>', 'why, for the record')
    .addOption(as())
    .action(async (tenant: string, options: { reason: string; as: string }) => {
      const { reason, as: by } = options;
      const answer = await context.client().resume(tenant, { by, reason });
      context.show(answer, () => `${tenant} goes on (trigger ${answer.trigger}).`);
    });
}

/** `2h`, or a time with its zone as ISO 8601. */
function moment(text: string): string {
  if (parseDuration(text) !== null) return text;
  const zoned = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})$/.test(text);
  if (!zoned || Number.isNaN(Date.parse(text))) {
    throw new InvalidArgumentError('It must be a duration such as 2h, or a time such as 2026-12-01T06:00Z.');
  }
  return new Date(text).toISOString();
}
