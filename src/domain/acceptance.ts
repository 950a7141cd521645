import type { Difference, Drift } from './drift.ts';
import { toMs } from './duration.ts';

/**
 * A difference that a person accepted, as it was observed: of that path, that kind and that observed value, and of
 * nothing else. As long as it is in force that difference is repaired by nobody and makes no condition False.
 */
export interface Acceptance {
  id: string;
  path: string;
  kind: Drift['kind'];
  /** What was wanted then, for whoever reads it later. */
  desired: string;
  observed: string;
  /** What the facts spoke of (`subjectOf`); of another company, console or role it says nothing. */
  subject: string;
  by: string;
  reason: string;
  /** ISO 8601, as all times here. */
  acceptedAt: string;
  expiresAt: string;
  /** When it was told that it is about to expire; null: it was not yet. */
  announcedAt: string | null;
}

/** What a run does to an acceptance, in words for the event. */
export interface AcceptanceChange {
  id: string;
  change: 'announce' | 'expire' | 'void';
  message: string;
}

/** A person may accept something for at most this time, then looks at it again. */
export const LONGEST_MS = toMs('365d');
const WARNING_MS = toMs('7d');

/** Those that are in force at a moment, for these facts. */
export const inForce = (
  acceptances: readonly Acceptance[],
  subject: string | undefined,
  now: Date,
): Acceptance[] =>
  acceptances.filter((one) => one.subject === subject && Date.parse(one.expiresAt) > now.getTime());

/** The one that accepts this difference; null: none does. */
export function acceptanceOf(
  accepted: readonly Acceptance[],
  { path, kind, observed }: Difference,
): Acceptance | null {
  return accepted.find((one) => one.path === path && one.kind === kind && one.observed === observed) ?? null;
}

/** What is left of differences once the accepted ones are taken out. */
export const unaccepted = <T extends Difference>(
  differences: readonly T[],
  accepted: readonly Acceptance[],
): T[] => differences.filter((difference) => acceptanceOf(accepted, difference) === null);

/** `Accepted: members.umbrella-a.level is Region, wanted Corporate (by Jo until 2026-12-01T…: they moved).` */
export function acceptedWords(differences: readonly Difference[], accepted: readonly Acceptance[]): string {
  const told = differences.flatMap((difference) => {
    const by = acceptanceOf(accepted, difference);
    const { path, observed, desired } = difference;
    return by
      ? [`${path} is ${observed}, wanted ${desired} (by ${by.by} until ${by.expiresAt}: ${by.reason})`]
      : [];
  });
  return told.length === 0 ? '' : `Accepted: ${told.join('; ')}.`;
}

/**
 * Why that difference may not be accepted; null: it may. A tenant is not well while its key or what its key rests on
 * does not work, whoever says so.
 */
export function whyNotAcceptable({ path, kind }: Pick<Difference, 'path' | 'kind'>): string | null {
  if (path === 'integrationKey' || path.startsWith('integrationKey.')) {
    return 'a key that does not work, or is another member’s, is replaced: rotate it';
  }
  if (path === 'role' || path === 'role.active') {
    return 'without one active role of that name nothing works, and nothing of it can be seen';
  }
  if (!path.startsWith('members.')) return null;
  if (kind === 'missing') return 'without its member the integration has no key';
  return path.endsWith('.active') && kind === 'different' ? 'an inactive member’s keys do not work' : null;
}

/** What of an observation bears on an acceptance. */
export interface AcceptanceSight {
  differences: readonly Difference[];
  /** Whether this very observation showed how it is with a path. */
  wasSeen: (path: string) => boolean;
  subject: string | undefined;
  now: Date;
}

/**
 * What becomes of the acceptances: one whose difference was seen to be another, or gone, is void; one whose time is
 * up ends; one that will soon is announced, once. What was not seen changes nothing.
 */
export function reviewAcceptances(
  acceptances: readonly Acceptance[],
  { differences, wasSeen, subject, now }: AcceptanceSight,
): AcceptanceChange[] {
  return acceptances.flatMap((one): AcceptanceChange[] => {
    const { id, path, observed, by, expiresAt } = one;
    const what = `${path} as ${observed}, accepted by ${by}`;
    if (Date.parse(expiresAt) <= now.getTime()) {
      return [{ id, change: 'expire', message: `${what}, is drift again: its time was up at ${expiresAt}.` }];
    }
    if (one.subject !== subject) {
      const message = `${what}, is void: the spec speaks of another company, console, role or member now.`;
      return [{ id, change: 'void', message }];
    }
    if (wasSeen(path) && !differences.some((difference) => acceptanceOf([one], difference))) {
      const now = differences.find((difference) => difference.path === path);
      const is = now ? `it is ${now.observed} now, wanted ${now.desired}` : 'it no longer differs';
      return [{ id, change: 'void', message: `${what}, is void: ${is}.` }];
    }
    return one.announcedAt === null && announceAt(one) <= now.getTime()
      ? [
          {
            id,
            change: 'announce',
            message: `${what}, is drift again from ${expiresAt} on: look at it before.`,
          },
        ]
      : [];
  });
}

/** Seven days before its end, or a tenth of its time where that is less. */
function announceAt({ acceptedAt, expiresAt }: Acceptance): number {
  const end = Date.parse(expiresAt);
  return end - Math.min(WARNING_MS, (end - Date.parse(acceptedAt)) / 10);
}

/** When the next of them has something to tell, ISO 8601; null: none ever has. */
export function acceptancesWakeAt(acceptances: readonly Acceptance[], now: Date): string | null {
  const times = acceptances
    .flatMap((one) => [announceAt(one), Date.parse(one.expiresAt)])
    .filter((at) => at > now.getTime());
  return times.length === 0 ? null : new Date(Math.min(...times)).toISOString();
}
