import { KEY_AGES, type FleetCount } from '../domain/fleet.ts';
import type { TenantSummary } from '../reconciler/commands.ts';
import { ago, heading, labelled, note, span, type Sheet } from './sheet.ts';
import { TRUTH_COLOURS } from './views.ts';
import type { Colour, Row } from './table.ts';

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

/** `parasol fleet` */
export function fleetText(sheet: Sheet, fleet: FleetCount): string {
  return [
    ...headPart(sheet, fleet),
    ...conditionsPart(sheet, fleet),
    ...driftPart(sheet, fleet),
    ...handoffsPart(sheet, fleet),
    ...rotationsPart(sheet, fleet),
    ...keysPart(sheet, fleet),
  ].join('\n');
}

function headPart(sheet: Sheet, fleet: FleetCount): string[] {
  const { paper, now } = sheet;
  const { tenants, modes, oldestEvidence, paused, braked, overdue, failing } = fleet;
  const { True: good, False: bad, Unknown: unknown } = tenants.ready;
  const capped = heldByCap(fleet);
  const unseen = tenants.unseen === 0 ? '' : ` (${tenants.unseen} never seen)`;
  const line = (label: string, count: number, words: string, colour: Colour) =>
    count === 0 ? [] : [labelled(paper, label, `${count} ${words}`.trim(), colour)];
  return [
    paper.paint('bold', `${tenants.total} tenants`),
    labelled(paper, 'Ready', String(good), good === tenants.total ? 'green' : null),
    ...line('Not ready', bad, '', 'red'),
    ...(unknown === 0 ? [] : [labelled(paper, 'Unknown', `${unknown}${unseen}`, 'yellow')]),
    labelled(paper, 'Modes', `${modes.repair} repair, ${modes.alert} alert, ${modes.observe} observe`),
    ...(oldestEvidence === null
      ? []
      : [labelled(paper, 'Evidence', `the oldest ${ago(oldestEvidence.at, now)}: ${oldestEvidence.tenant}`)]),
    ...line('Braked', braked - capped, 'held by the brake', 'yellow'),
    ...line('Capped', capped, 'wait: the fleet made as many repairs in this hour as it may', 'yellow'),
    ...line('Paused', paused, 'by spec or person', 'yellow'),
    ...line('Overdue', overdue, 'due, and not run', 'red'),
    ...line('Failing', failing, 'whose last run failed', 'red'),
  ];
}

/**
 * Of those that are told as braked, the ones that wait for the hour to be over: the brake needs somebody who looks and
 * releases it, they need nobody.
 */
const heldByCap = ({ conditions }: FleetCount): number =>
  conditions
    .filter(({ type, status, reason }) => type === 'Braked' && status === 'True' && reason === CAPPED)
    .reduce((sum, { count }) => sum + count, 0);
const CAPPED = 'RepairCapReached';

/** Those that are not as they should be, the most frequent first. */
function conditionsPart(sheet: Sheet, { conditions }: FleetCount): string[] {
  const wrong = conditions
    .filter(({ type, status }) => status !== (type === 'Braked' || type === 'Paused' ? 'False' : 'True'))
    .toSorted((a, b) => b.count - a.count);
  if (wrong.length === 0) return [];
  const rows = wrong.map(({ type, status, reason, count }): Row => [
    String(count),
    type,
    { text: status, colour: status === 'False' ? 'red' : 'yellow' },
    reason,
  ]);
  return [
    heading(sheet, 'Conditions'),
    sheet.paper.table(['TENANTS', 'CONDITION', 'STATUS', 'REASON'], rows),
  ];
}

function driftPart(sheet: Sheet, { drift }: FleetCount): string[] {
  if (drift.tenants === 0) return [];
  const rows = drift.paths.map(({ path, count }): Row => [String(count), path]);
  return [heading(sheet, `Drift of ${drift.tenants} tenants`), sheet.paper.table(['TENANTS', 'PATH'], rows)];
}

function handoffsPart(sheet: Sheet, { handoffs }: FleetCount): string[] {
  if (handoffs.length === 0) return [];
  const rows = handoffs.map(({ kind, overdue, today, week, later }): Row => [
    kind,
    { text: some(overdue), colour: 'red' },
    some(today),
    some(week),
    some(later),
  ]);
  return [
    heading(sheet, 'Hand-offs'),
    sheet.paper.table(['WHAT', 'OVERDUE', 'TODAY', '7 DAYS', 'LATER'], rows),
  ];
}

function rotationsPart(sheet: Sheet, { rotations }: FleetCount): string[] {
  const rows = [
    ...rotations.integration.map(({ phase, count }): Row => ['integration', phase, String(count)]),
    ...rotations.umbrella.map(({ phase, count }): Row => ['umbrella-api', phase, String(count)]),
  ];
  if (rows.length === 0) return [];
  return [heading(sheet, 'Rotations'), sheet.paper.table(['KEY', 'PHASE', 'COUNT'], rows)];
}

/** A line a purpose, a column a class of age. */
function keysPart(sheet: Sheet, { keys }: FleetCount): string[] {
  const classes = [...KEY_AGES, null];
  const rows = [...new Set(keys.map(({ purpose }) => purpose))].map((purpose): Row => {
    const own = keys.filter((one) => one.purpose === purpose);
    const past = own.reduce((sum, { pastMaxAge }) => sum + pastMaxAge, 0);
    const counts = classes.map((days) => some(own.find((one) => one.youngerThanDays === days)?.count ?? 0));
    return [purpose, ...counts, { text: some(past), colour: 'red' }];
  });
  if (rows.length === 0) return [];
  const titles = [...KEY_AGES.map((days) => `<${days}D`), 'OLDER', 'TOO OLD'];
  return [heading(sheet, 'Keys in use, by age'), sheet.paper.table(['PURPOSE', ...titles], rows)];
}

const some = (count: number): string => (count === 0 ? '' : String(count));
