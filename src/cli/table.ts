import { stripVTControlCharacters, styleText } from 'node:util';
import Table from 'cli-table3';
import type { Output } from './io.ts';

/** Text for people: cleaned, wrapped, in columns that fit the screen, coloured only on a terminal. */

export type Colour = 'green' | 'red' | 'yellow' | 'cyan' | 'dim' | 'bold';

export class Paper {
  readonly width: number;
  readonly #coloured: boolean;

  constructor(output: Output, env: Readonly<Record<string, string | undefined>>) {
    // 80 columns where nobody says: a pipe, a log, a mail.
    this.width = output.isTTY ? Math.min(Math.max(output.columns ?? 80, 60), 120) : 80;
    const { NO_COLOR: none, FORCE_COLOR: forced, TERM: terminal } = env;
    this.#coloured = forced
      ? forced !== '0' && forced !== 'false'
      : output.isTTY === true && !none && terminal !== 'dumb';
  }

  paint(colour: Colour, text: string): string {
    return this.#coloured && text !== '' ? styleText(colour, text, { validateStream: false }) : text;
  }

  /** A paragraph, each line after an indent. */
  paragraph(text: string, indent = 0, first = ' '.repeat(indent), width = this.width): string {
    return wrap(text, width - indent)
      .map((line, index) => `${index === 0 ? first : ' '.repeat(indent)}${line}`)
      .join('\n');
  }

  /** Columns without frames; the widest give way until all fit. A cell may hold line breaks. */
  table(head: string[], rows: Row[], indent = 0): string {
    const room = this.width - indent;
    const widths = fit(
      head.map((title, column) => Math.max(widthOf(title), ...rows.map((row) => naturalWidth(row, column)))),
      head.map((title) => Math.max(widthOf(title), NARROWEST)),
      room - GAP * (head.length - 1),
    );
    const table = new Table({
      chars: NO_FRAME,
      style: { 'padding-left': 0, 'padding-right': 0, head: [], border: [], compact: true },
      // The last one takes what is left, for the notes.
      colWidths: widths.map((width, column) => (column === widths.length - 1 ? room : width + GAP)),
    });
    table.push(head.map((title) => this.paint('dim', title)));
    for (const row of rows) {
      if ('note' in row) {
        table.push([
          { colSpan: head.length, content: this.paragraph(row.note, NOTE_INDENT, undefined, room) },
        ]);
      } else {
        table.push(row.map((cell, column) => this.#cell(cell, widths[column] ?? NARROWEST)));
      }
    }
    const margin = ' '.repeat(indent);
    return table
      .toString()
      .split('\n')
      .map((line) => (margin + line).trimEnd())
      .join('\n');
  }

  #cell(cell: Cell, width: number): string {
    const { text, colour } = typeof cell === 'string' ? { text: cell, colour: null } : cell;
    return text
      .split('\n')
      .flatMap((line) => wrap(line, width))
      .map((line) => (colour === null ? line : this.paint(colour, line)))
      .join('\n');
  }
}

export type Cell = string | { text: string; colour: Colour | null };
/** A row of cells, or a note on the row above, over all columns. */
export type Row = Cell[] | { note: string };

function naturalWidth(row: Row, column: number): number {
  if ('note' in row) return 0;
  const cell = row[column] ?? '';
  const text = typeof cell === 'string' ? cell : cell.text;
  return Math.max(...text.split('\n').map((line) => widthOf(clean(line))));
}

const GAP = 2;
const NARROWEST = 7;
const NOTE_INDENT = 2;
const NO_FRAME = Object.fromEntries(
  (
    'top top-mid top-left top-right bottom bottom-mid bottom-left bottom-right ' +
    'left left-mid mid mid-mid right right-mid middle'
  )
    .split(' ')
    .map((name) => [name, '']),
);

/** Takes from the widest column, one by one, until the sum fits; none gets under its least width. */
function fit(natural: number[], least: number[], room: number): number[] {
  const widths = [...natural];
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    let widest = -1;
    for (const [column, width] of widths.entries()) {
      if (width > (least[column] ?? 0) && width > (widths[widest] ?? 0)) widest = column;
    }
    const width = widths[widest];
    if (width === undefined) break;
    widths[widest] = width - 1;
    excess -= 1;
  }
  return widths;
}

/** Names come from vendors: what could steer a terminal is taken out. */
export function clean(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}]/gu, ' ');
}

/** Lines of at most `width` columns, broken between words, or inside one that is longer than a line. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of clean(text).split(/ +/)) {
    if (line !== '' && widthOf(line) + 1 + widthOf(word) <= width) {
      line += ` ${word}`;
      continue;
    }
    if (line !== '') lines.push(line);
    const pieces = breakWord(word, width);
    lines.push(...pieces.slice(0, -1));
    line = pieces.at(-1) ?? '';
  }
  return line === '' && lines.length > 0 ? lines : [...lines, line];
}

/** `role.levels.Companies/Configurations` breaks after a dot or a slash where one is near. */
function breakWord(word: string, width: number): string[] {
  const pieces: string[] = [];
  let piece = '';
  for (const { segment } of SEGMENTS.segment(word)) {
    if (widthOf(piece) + widthOf(segment) > width) {
      const at = Math.max(...['.', '/', '-', '_', ','].map((mark) => piece.lastIndexOf(mark))) + 1;
      const end = at > piece.length / 3 ? at : piece.length;
      pieces.push(piece.slice(0, end));
      piece = piece.slice(end);
    }
    piece += segment;
  }
  return [...pieces, piece];
}

const SEGMENTS = new Intl.Segmenter('en', { granularity: 'grapheme' });
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** Columns that a terminal needs for a text. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of SEGMENTS.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}
