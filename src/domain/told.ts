import { formatSpan, toMs } from './duration.ts';

/**
 * Ages in messages that are kept. Such a message holds the time, and is told with the age that this has when
 * somebody reads it: so it stays true as it grows older, and stays the same while nothing but time goes by.
 *
 *   kept: umbrella-a last wrote {ago 2026-11-26T03:17:50.000Z}     told: umbrella-a last wrote 3h 12m ago
 */

/** Told as `just now`, or `3h 12m ago`. */
export const ago = (at: string): string => `{ago ${at}}`;

/** Told as `3h 12m`: how long it has been since then. */
export const lasting = (since: string): string => `{for ${since}}`;

/** Told as `3h 12m`: how long it is until then. */
export const remaining = (until: string): string => `{in ${until}}`;

const AGE = /\{(ago|for|in) ([\d:.TZ+-]+)\}/g;

const TOLD = /just now|\b\d+(?:ms|[smhd])(?: \d+[smh])?(?: ago)?\b/g;

/** A told message without its ages: the same as long as nothing but time goes by. */
export const ageless = (message: string): string => message.replace(TOLD, '…');

/** A message as it is read at that time. */
export const told = (message: string, now: Date): string =>
  message.replace(AGE, (kept: string, as: 'ago' | 'for' | 'in', at: string) => {
    const age = now.getTime() - Date.parse(at);
    if (Number.isNaN(age)) return kept;
    if (as === 'ago') return age < toMs('1m') ? 'just now' : `${formatSpan(age)} ago`;
    return formatSpan(as === 'for' ? age : -age);
  });
