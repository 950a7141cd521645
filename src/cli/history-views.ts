import { formatSpan } from '../domain/duration.ts';
import type { EventView, RunDetail, RunView } from '../reconciler/commands.ts';
import { ago, heading, labelled, note, shortId, type Sheet } from './sheet.ts';
import { clean, type Cell, type Colour, widthOf } from './table.ts';

/** `2026-11-24 08:00:00`: of the zone that logs have, UTC. */
const clockTime = (at: string): string => at.slice(0, 19).replace('T', ' ');

/** Types that tell of trouble, and those that tell of its end. */
const colourOf = (type: string): Colour =>
  /Fail|Overdue|Refused|Stuck|BrakeSet/.test(type)
    ? 'red'
    : /Drift|Opened|Late/.test(type)
      ? 'yellow'
      : 'cyan';

export function eventText({ paper }: Sheet, { at, tenant, type, message }: EventView): string {
  const who = clean(tenant ?? 'the fleet');
  const plain = `${clockTime(at)}  ${who}  ${clean(type)}`;
  const head =
    widthOf(plain) > paper.width
      ? paper.paragraph(plain, 2, '')
      : `${paper.paint('dim', clockTime(at))}  ${who}  ${paper.paint(colourOf(type), clean(type))}`;
  return `${head}\n${paper.paragraph(message, 2)}`;
}

/** What `event: gap` says. */
export const gapText = (gap: { message?: unknown }): string =>
  typeof gap.message === 'string' ? gap.message : 'Some events are no longer kept.';

const OUTCOME: Record<string, Colour> = { succeeded: 'green', degraded: 'yellow', failed: 'red' };
const outcomeCell = (outcome: string): Cell => ({ text: outcome, colour: OUTCOME[outcome] ?? null });

const tookMs = ({ startedAt, finishedAt }: Pick<RunView, 'startedAt' | 'finishedAt'>): string =>
  formatSpan(Date.parse(finishedAt) - Date.parse(startedAt));

export function runsText({ paper, now }: Sheet, runs: RunView[]): string {
  if (runs.length === 0) return 'No run is kept.';
  return paper.table(
    ['Run', 'Started', 'Took', 'Outcome', 'Calls', 'Trigger'],
    runs.flatMap((run) => [
      [
        shortId(run.id),
        ago(run.startedAt, now),
        tookMs(run),
        outcomeCell(run.outcome),
        run.writes === 0 ? String(run.reads) : `${run.reads} + ${run.writes} writes`,
        run.trigger,
      ],
      ...note(run.summary),
    ]),
  );
}

export function runText(sheet: Sheet, run: RunDetail): string {
  const { paper, now } = sheet;
  const { calls, saw, actions } = run;
  return [
    labelled(paper, 'Run', run.id),
    labelled(
      paper,
      'Started',
      `${clockTime(run.startedAt)} (${ago(run.startedAt, now)}), took ${tookMs(run)}`,
    ),
    labelled(paper, 'Trigger', run.trigger),
    labelled(paper, 'Outcome', `${run.outcome}: ${run.summary}`, OUTCOME[run.outcome] ?? null),
    heading(sheet, `Calls: ${run.reads} reads, ${run.writes} writes`),
    calls === null
      ? paper.paragraph('It saw nothing new and wrote nothing, so that only the numbers are kept.', 2)
      : Object.entries(calls)
          .toSorted(([a], [b]) => (a < b ? -1 : 1))
          .map(([kind, count]) => paper.paragraph(`${count} × ${kind}`, 2))
          .join('\n'),
    heading(sheet, 'Did'),
    ...(actions.length === 0
      ? ['  nothing']
      : actions.map(({ action, outcome }) => paper.paragraph(`${action}: ${outcome}`, 2))),
    ...sawPart(sheet, run.id, saw),
  ].join('\n');
}

function sawPart(sheet: Sheet, id: string, saw: RunDetail['saw']): string[] {
  const { paper } = sheet;
  if (saw === null) return [heading(sheet, 'Saw'), '  what is no longer kept'];
  const same = saw.since === id ? '' : `, as run ${shortId(saw.since)} before it`;
  return [
    heading(sheet, `Saw${same}`),
    paper.table(
      ['Condition', 'Status', 'Reason'],
      saw.conditions.map(({ type, status, reason }) => [type, status, reason]),
      2,
    ),
    ...(saw.drift.length === 0
      ? []
      : [
          '',
          paper.table(
            ['Drift', 'Wanted', 'Seen'],
            saw.drift.map(({ path, desired, observed }) => [path, desired, observed]),
            2,
          ),
        ]),
  ];
}
