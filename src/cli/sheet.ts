import { formatSpan } from '../domain/duration.ts';
import type { Colour, Paper, Row } from './table.ts';

/** What a screen is printed on: what it shows follows from an answer and the time alone. */
export interface Sheet {
  paper: Paper;
  now: Date;
  /** How the person calls this program: `parasol`, or `npm run parasol --`. */
  command: string;
}

export function ago(at: string | null, now: Date): string {
  if (at === null) return 'never';
  const ms = now.getTime() - Date.parse(at);
  return ms < 0 ? `in ${formatSpan(-ms)}` : `${formatSpan(ms)} ago`;
}

export const span = (at: string, now: Date): string => formatSpan(Math.abs(now.getTime() - Date.parse(at)));

export const leftUntil = (at: string, now: Date): string =>
  Date.parse(at) <= now.getTime() ? 'due now' : span(at, now);

/** The end of an id, by which people name a hand-off: its beginning is the time, the same for its neighbours. */
export const shortId = (id: string): string => id.slice(-8);

/** What stands under a row of a table. */
export const note = (text: string | null): Row[] => (text ? [{ note: text }] : []);

export const heading = (sheet: Sheet, text: string): string => `\n${sheet.paper.paint('bold', text)}`;

const LABEL_WIDTH = 10;

/** `  Mode      repair`; what is longer than a line goes on under itself. */
export function labelled(paper: Paper, label: string, text: string, colour: Colour | null = null): string {
  const first = `  ${label.padEnd(LABEL_WIDTH)}`;
  const words = paper.paragraph(text, first.length, '');
  return first + (colour === null ? words : paper.paint(colour, words));
}
