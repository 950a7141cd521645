import type { BrakeView } from '../reconciler/commands.ts';
import { ago, heading, labelled, shortId, type Sheet } from './sheet.ts';
import type { Colour } from './table.ts';

const COLOURS: Record<BrakeView['state'], Colour | null> = { on: 'red', released: 'yellow', ended: null };

/** Tenants that one line names. */
const NAMED = 8;

/** `parasol brake` */
export function brakesText(sheet: Sheet, brakes: readonly BrakeView[]): string {
  const on = brakes.filter(({ state }) => state === 'on').length;
  const first = on === 0 ? 'No brake is on.' : `${on} on: nothing is changed in the tenants that are held.`;
  return [first, ...brakes.map((brake) => brakeText(sheet, brake))].join('\n');
}

function brakeText(sheet: Sheet, brake: BrakeView): string {
  const { paper, now, command } = sheet;
  const { id, state, what, setAt, counted, fleet, held, canaries, released, endedAt } = brake;
  const line = (label: string, text: string, colour: Colour | null = null) =>
    labelled(paper, label, text, colour);
  return [
    heading(sheet, `Brake ${shortId(id)}`),
    line('State', state, COLOURS[state]),
    ...what.map((words, index) => line(index === 0 ? 'What' : '', words)),
    line('Set', `${ago(setAt, now)}: ${counted} of ${fleet} tenants came to differ so`),
    ...(held.length > 0 ? [line('Holds', someOf(held))] : []),
    ...canaries.map((canary, index) => line(index === 0 ? 'First' : '', firstText(sheet, canary))),
    ...(released === null
      ? []
      : [
          line(
            'Released',
            `${ago(released.at, now)} for all by ${released.by}${released.withoutCanary ? ', without a canary' : ''}: ${released.reason}`,
          ),
        ]),
    ...(endedAt === null || released !== null
      ? []
      : [line('Ended', `${ago(endedAt, now)}: no tenant differs so any more`)]),
    ...(state === 'on' ? [line('Next', nextOf(command, brake))] : []),
  ].join('\n');
}

const someOf = (tenants: string[]): string =>
  tenants.length > NAMED
    ? `${tenants.slice(0, NAMED).join(', ')} and ${tenants.length - NAMED} more`
    : tenants.join(', ');

function firstText({ now }: Sheet, canary: BrakeView['canaries'][number]): string {
  const { tenant, at, by, reason, conforms, run } = canary;
  const came =
    run === null
      ? 'its run has not ended yet'
      : [`run ${run.outcome}`, ...run.actions.map(({ action, outcome }) => `${action}: ${outcome}`)].join(
          '; ',
        );
  return `${tenant}, ${ago(at, now)} by ${by} (${reason}): ${came}; it ${conforms ? 'conforms now' : 'still differs'}`;
}

function nextOf(command: string, { id, canaries, held }: BrakeView): string {
  const release = `${command} brake release ${shortId(id)}`;
  if (canaries.some(({ run }) => run?.outcome === 'succeeded')) return `${release} --reason "…" for all`;
  return `${release} --tenant ${held[0] ?? 'TENANT'} --reason "…"`;
}
