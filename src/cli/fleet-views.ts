import type { TenantSummary } from '../reconciler/commands.ts';
import { ago, note, span, type Sheet } from './sheet.ts';
import { TRUTH_COLOURS } from './views.ts';
import type { Row } from './table.ts';

/** `parasol get`; `all`: every tenant was asked for, `more`: there are others that were not. */
export function tenantsText(
  sheet: Sheet,
  tenants: readonly TenantSummary[],
  { all, more } = { all: true, more: false },
): string {
  const { paper, now, command } = sheet;
  if (tenants.length === 0) {
    return all ? `No tenant yet. Give some: ${command} apply -f tenants.yaml` : 'No tenant is meant by that.';
  }
  const ready = tenants.filter((tenant) => tenant.ready === 'True').length;
  return [
    paper.table(
      ['TENANT', 'NAME', 'MODE', 'READY', 'FOR', 'SEEN'],
      tenants.flatMap((tenant): Row[] => [
        [
          tenant.id,
          tenant.name,
          tenant.paused ? `${tenant.mode}, paused` : tenant.mode,
          { text: tenant.ready, colour: TRUTH_COLOURS[tenant.ready] },
          tenant.unreadySince === null ? '' : span(tenant.unreadySince, now),
          ago(tenant.observedAt, now),
        ],
        ...note(tenant.waitsFor && `waits: ${tenant.waitsFor}`),
      ]),
    ),
    `\n${ready} of ${tenants.length} ready.${more ? ' There are more: --limit shows them.' : ''}`,
  ].join('\n');
}
