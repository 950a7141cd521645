import { createHash } from 'node:crypto';
import type { ApplyChange, Difference, Removal } from '../reconciler/commands.ts';
import type { Told } from './apply-commands.ts';
import { placeOf } from './context.ts';
import type { Sheet } from './sheet.ts';
import { clean, widthOf, type Colour, type Paper } from './table.ts';

/** What a set of tenants changes, field by field, as text for people. Pure. */

const MARKS = { created: '+', updated: '~', unchanged: ' ' } as const;
const COLOURS: Record<ApplyChange['change'], Colour> = {
  created: 'green',
  updated: 'yellow',
  unchanged: 'dim',
};

/** `parasol apply`, `parasol diff` */
export function appliedText(sheet: Sheet, told: Told): string {
  const { dryRun, changes, removals, refused, unread } = told;
  const { paper } = sheet;
  const warnings = changes.flatMap(({ id, warnings }) => warnings.map((warning) => `${id}: ${warning}`));
  return [
    ...changes.filter(({ change }) => change !== 'unchanged').map((change) => changeText(paper, change)),
    ...(removals.length === 0 ? [] : [removalsText(paper, removals)]),
    ...warnings.map((warning) => paper.paint('yellow', paper.paragraph(`Note: ${warning}`))),
    ...refused.map(({ id, problems }) => problemsText(sheet, `${id} was refused:`, problems)),
    ...(unread.length === 0 ? [] : [problemsText(sheet, 'Not read:', unread)]),
    countsText(told),
    ...(dryRun ? ['Dry run: nothing was changed.'] : []),
  ].join('\n');
}

function changeText(paper: Paper, { id, change, generation, differences }: ApplyChange): string {
  const head = `${MARKS[change]} ${id}: ${change}, generation ${generation}`;
  return [
    paper.paint(COLOURS[change], head),
    ...differences.map((difference) => differenceText(paper, difference)),
  ].join('\n');
}

/** On one line where there is room, else each side on lines of its own. */
function differenceText(paper: Paper, difference: Difference): string {
  const { path, before, after } = difference;
  const [was, is] = sidesOf(difference);
  const line = `    ${clean(path)}: ${was === null ? '' : `${was} → `}${is}`;
  if (widthOf(line) <= paper.width) {
    const old = was === null ? '' : `${paper.paint('red', was)} → `;
    return `    ${clean(path)}: ${old}${paper.paint('green', is)}`;
  }
  const side = (colour: Colour, mark: string, text: string) =>
    paper.paint(colour, paper.paragraph(text, 8, `      ${mark} `));
  return [
    paper.paragraph(`${path}:`, 4),
    ...(before === null || was === null ? [] : [side('red', '-', was)]),
    ...(after === null ? [] : [side('green', '+', is)]),
  ].join('\n');
}

function sidesOf({ kind, before, after }: Difference): [string | null, string] {
  if (kind === 'key') return [before === null ? null : words(before), `new key pair ${words(after)}`];
  return [before === null ? null : words(before), after === null ? 'by default' : words(after)];
}

/** A value as people write it. */
function words(value: unknown): string {
  if (typeof value !== 'string') return clean(JSON.stringify(value));
  const lines = value.trimEnd().split('\n').length;
  if (lines === 1) return clean(value);
  // A certificate: nobody compares those by eye.
  return `${lines} lines, SHA-256 ${createHash('sha256').update(value).digest('hex').slice(0, 12)}…`;
}

function problemsText({ paper }: Sheet, title: string, problems: Told['unread']): string {
  return [
    paper.paint('red', title),
    ...problems.flatMap((problem) => [
      paper.paragraph([placeOf(problem), problem.path].filter(Boolean).join(': '), 2),
      paper.paragraph(problem.message, 6),
    ]),
  ].join('\n');
}

/** Each tenant that goes, and what becomes of its members. */
export const removalsText = (paper: Paper, removals: readonly Removal[]): string =>
  removals
    .map(({ id, name, onDelete }) => {
      const members = onDelete === 'orphan' ? 'left as they are' : 'switched off';
      return paper.paint(
        'red',
        paper.paragraph(`${id} (${name}): goes; its members are ${members} (onDelete: ${onDelete})`, 2, '- '),
      );
    })
    .join('\n');

function countsText({ changes, removals, refused }: Told): string {
  const kinds = (['created', 'updated', 'unchanged'] as const).map((kind): [number, string] => [
    changes.filter(({ change }) => change === kind).length,
    kind,
  ]);
  const counts: [number, string][] = [...kinds, [removals.length, 'deleted'], [refused.length, 'refused']];
  return counts
    .filter(([count]) => count > 0)
    .map(([count, kind]) => `${count} ${kind}`)
    .join(', ')
    .concat('.');
}
