import { type Command } from 'commander';
import type { AuditRecord, Page } from '../reconciler/commands.ts';
import { duration, type Context } from './context.ts';
import { ago, shortId, type Sheet } from './sheet.ts';
import type { Row } from './table.ts';

/** Who changed what. */
export function addAuditLog(program: Command, context: Context): void {
  program
    .command('audit')
    .description('who changed what, newest first')
    .argument('[tenant]')
    .option('--actor <name>', 'only by this token')
    .option('--action <action>', 'only this, such as tenant.replace, or refused')
    .option('--since <duration>', 'only so far back, such as 24h', duration)
    .option('--limit <number>', 'so many entries', '50')
    .option('--before <id>', 'entries before this one: the next page')
    .action(async (tenant: string | undefined, options: AuditOptions) => {
      const { actor, action, since, limit, before } = options;
      const from =
        since === undefined ? undefined : new Date(context.io.now().getTime() - since).toISOString();
      const asked = Object.entries({ tenant, actor, action, since: from, limit, before });
      const query = Object.fromEntries(
        asked.flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const])),
      );
      context.show(await context.client().auditLog(query), auditText);
    });
}

interface AuditOptions {
  actor?: string;
  action?: string;
  since?: number;
  limit: string;
  before?: string;
}

function auditText({ paper, now, command }: Sheet, { items, next }: Page<AuditRecord>): string {
  if (items.length === 0) return 'Nothing was changed.';
  const rows = items.flatMap((entry): Row[] => {
    const { at, actor, address, action, tenantId, subject } = entry;
    const about = subject === null || subject.length < 20 ? subject : shortId(subject);
    const who = address === null ? actor : `${actor} (${address})`;
    const note = detailOf(entry);
    return [[ago(at, now), who, action, tenantId ?? '', about ?? ''], ...(note === '' ? [] : [{ note }])];
  });
  const table = paper.table(['WHEN', 'WHO', 'WHAT', 'TENANT', 'ABOUT'], rows);
  return next === null ? table : `${table}\n\nMore: ${command} audit --before ${next}`;
}

/** Why, and what it was before and after. */
function detailOf({ reason, before, after }: AuditRecord): string {
  const sides = [before, after].map((side) => (side === null ? '' : JSON.stringify(side)));
  const change = sides.filter((side) => side !== '').join(' → ');
  const short = change.length > 300 ? `${change.slice(0, 300)}…` : change;
  return [reason, short].filter(Boolean).join(': ');
}
