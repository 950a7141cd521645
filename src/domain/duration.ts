/** Durations as people write them in specs: `90d`, `36h`, `15m`, `5s`, `250ms`. Pure. */

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;
type Unit = keyof typeof UNITS;

/** How one is written. */
export const DURATION = /^(\d{1,9})(ms|s|m|h|d|w)$/;

/** Milliseconds of a duration, or `null` if the text is none. `toMs('36h')` is 129,600,000. */
export function parseDuration(text: string): number | null {
  const match = DURATION.exec(text);
  if (!match) return null;
  return Number(match[1]) * UNITS[match[2] as Unit];
}

/** Milliseconds of a duration that a schema has already checked; throws on anything else (a bug, not input). */
export function toMs(duration: string): number {
  const ms = parseDuration(duration);
  if (ms === null) throw new Error(`not a duration: ${duration}`);
  return ms;
}

/** A span for people, in at most two units: `3d 4h`, `12m`, `5s`. Negative spans count as zero. */
export function formatSpan(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))}ms`;
  const parts: string[] = [];
  let rest = Math.floor(ms / 1_000) * 1_000;
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const count = Math.floor(rest / UNITS[unit]);
    if (count > 0) parts.push(`${count}${unit}`);
    rest -= count * UNITS[unit];
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break;
  }
  return parts.join(' ');
}
