import { isOver } from '../domain/umbrella-rotation.ts';
import type { RotationRecordView, RotationView, UmbrellaRotationView } from '../reconciler/commands.ts';
import { ago, heading, labelled, note, span, type Sheet } from './sheet.ts';
import type { Cell, Colour, Row } from './table.ts';

/** The rotation in `parasol status TENANT`; nothing where none is under way. */
export function rotationPart(sheet: Sheet, rotation: RotationView | null): string[] {
  if (rotation === null) return [];
  const { paper, now } = sheet;
  const { phase, since, cause, by, reason, deadline, next, rollingBack } = rotation;
  return [
    heading(sheet, 'Rotation'),
    labelled(paper, 'Phase', `${phase}, for ${span(since, now)}`, 'cyan'),
    ...(rollingBack ? [labelled(paper, '', 'It is being rolled back.', 'yellow')] : []),
    labelled(
      paper,
      'Cause',
      [cause, by && `by ${by}`].filter(Boolean).join(', ') + (reason ? `: ${reason}` : ''),
    ),
    labelled(paper, 'Keys', `${oldKey(rotation)} → ${newKey(rotation)}`),
    labelled(paper, 'Next', next),
    ...(deadline === null ? [] : [deadlineLine(sheet, phase, deadline)]),
  ];
}

/** The rotation of the Umbrella key in `parasol status TENANT`; nothing where it has ended. */
export function umbrellaRotationPart(sheet: Sheet, rotation: UmbrellaRotationView | null): string[] {
  if (rotation === null || isOver(rotation)) return [];
  const { paper, now } = sheet;
  const { number, phase, since, cause, by, why, others, held, stuck, evidence } = rotation;
  const last = evidence.at(-1);
  return [
    heading(sheet, 'Rotation of the Umbrella key'),
    labelled(paper, 'Phase', `${phase}, for ${span(since, now)} (number ${number})`, 'cyan'),
    labelled(paper, 'Cause', `${[cause, by && `by ${by}`].filter(Boolean).join(', ')}: ${why}`),
    labelled(paper, 'Keys', `${rotation.old} → ${rotation.new ?? 'a new key'}`),
    ...(others === 0
      ? []
      : [labelled(paper, 'Shared', `with ${others} other ${others === 1 ? 'tenant' : 'tenants'}`)]),
    ...(last === undefined ? [] : [labelled(paper, 'Seen', `${ago(last.at, now)}: ${last.what}`)]),
    ...(held === null ? [] : [labelled(paper, 'Held', held, 'yellow')]),
    ...(stuck === null ? [] : [labelled(paper, 'Stuck', stuck, 'red')]),
  ];
}

/** The end of an overlap is no deadline that anybody could miss. */
function deadlineLine({ paper, now }: Sheet, phase: RotationView['phase'], deadline: string): string {
  if (phase === 'Overlap') return labelled(paper, 'Until', ago(deadline, now));
  const late = Date.parse(deadline) <= now.getTime();
  return labelled(paper, 'Deadline', `${late ? 'passed ' : ''}${ago(deadline, now)}`, late ? 'red' : null);
}

type Keys = Pick<RotationView, 'old' | 'new' | 'member'>;

function oldKey({ old }: Keys): string {
  if (old === null) return 'no key';
  const dead = old.deadSince === null ? '' : ', seen dead';
  return `${old.fingerprint ?? 'a key that was not given'} (${old.member ?? 'no member known'}${dead})`;
}

function newKey({ new: fresh, member }: Keys): string {
  if (fresh === null) return member === null ? 'a new key' : `a new key of ${member}`;
  return `${fresh.fingerprint ?? 'a new key'} (${fresh.member ?? member ?? 'no member known'})`;
}

/** `parasol rotations TENANT` */
export function rotationsText(sheet: Sheet, rotations: readonly RotationRecordView[]): string {
  if (rotations.length === 0) return 'No rotation yet.';
  const { paper, now } = sheet;
  const live = rotations.filter(({ endedAt }) => endedAt === null).length;
  return [
    paper.table(
      ['WHEN', 'CAUSE', 'PHASE', 'OLD → NEW', 'ENDED'],
      rotations.flatMap((rotation): Row[] => {
        const { requestedAt, cause, phase, endedAt, outcome, next } = rotation;
        return [
          [
            ago(requestedAt, now),
            cause,
            { text: phase, colour: COLOURS[phase] ?? 'cyan' },
            fingerprints(rotation),
            endedAt === null ? 'under way' : ago(endedAt, now),
          ],
          ...note(asker(rotation)),
          ...note(outcome ?? next),
          ...rotation.notices.flatMap(({ at, message }) => note(`${span(at, now)} ago: ${message}`)),
        ];
      }),
    ),
    `\n${rotations.length} in all, ${live === 0 ? 'none' : 'one'} under way.`,
  ].join('\n');
}

const COLOURS: Partial<Record<RotationRecordView['phase'], Colour>> = {
  Completed: 'green',
  RolledBack: 'yellow',
  RetirementUnproved: 'yellow',
  Failed: 'red',
};

/** One under the other: side by side they would take half of the screen. */
const fingerprints = ({ old, new: fresh }: Keys): Cell =>
  `${old === null ? 'none' : (old.fingerprint ?? 'not given')}\n→ ${fresh?.fingerprint ?? 'none yet'}`;

function asker({ by, reason, old, member, rollingBack }: RotationRecordView): string {
  const who = by === null ? 'begun by Parasol' : `asked for by ${by}`;
  const members = member === null ? [] : [`${old?.member ?? 'no member'} → ${member}`];
  const back = rollingBack ? ['rolled back'] : [];
  return [...members, `${who}${reason === null ? '' : `: ${reason}`}`, ...back].join('; ');
}
