/** The vendors write instants without fractions of a second: `2026-01-31T18:04:26Z` (domain.md §4). */
export function wireTime(at: Date | number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
