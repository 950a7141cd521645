import type { BudgetKind } from './budget.ts';
import { formatSpan } from './duration.ts';

/** A tenant that is due and waits for its turn of a vendor's budget, or did so before its last run. */
export interface Waiting {
  /** What is short. */
  kind: BudgetKind;
  /** When it was due, ISO 8601. */
  since: string;
  /** Its turn, ISO 8601. */
  until: string;
  /** The vendor asked everybody to wait; else others who share the budget come first. */
  closed: boolean;
  /** Milliseconds from one look to the next as it comes out by that; null: about as the spec wants. */
  everyMs: number | null;
  /** It had its turn. */
  served: boolean;
  /** Looks since then that came about when the spec wants them. */
  calm: number;
}

/** So many show that there is enough again: one may have been lucky. */
const CALM = 3;

/** What lets a wait through unsaid: every shared thing makes one wait for moments. */
const UNSAID_MS = 60_000;
const UNSAID_PART = 0.1;

/** How long it is from look to look, where waiting since then until then makes that longer than the spec wants. */
function stretched(periodMs: number, sinceMs: number, untilMs: number): number | null {
  const waits = untilMs - sinceMs;
  return waits > Math.max(UNSAID_MS, periodMs * UNSAID_PART) ? periodMs + waits : null;
}

/** What a tenant waits for that was told to wait until then, in ms since the epoch, for the first time at `sinceMs`. */
export function waitFor(
  { kind, closed }: Pick<Waiting, 'kind' | 'closed'>,
  sinceMs: number,
  untilMs: number,
  periodMs: number,
  before: Waiting | null,
): Waiting {
  const everyMs = closed ? null : stretched(periodMs, sinceMs, untilMs);
  return {
    kind,
    since: new Date(sinceMs).toISOString(),
    until: new Date(untilMs).toISOString(),
    closed,
    // A short wait does not end what was told of longer ones.
    everyMs: everyMs ?? before?.everyMs ?? null,
    served: false,
    calm: everyMs === null ? (before?.calm ?? 0) : 0,
  };
}

/** What is left of a wait after a look; `kept`: it was told that looks come less often, and they do no more. */
export function afterLook(
  { served, calm, ...waiting }: Waiting,
  periodMs: number,
): { waiting: Waiting | null; kept: boolean } {
  if (waiting.everyMs === null) return { waiting: null, kept: false };
  const { since, until, closed } = waiting;
  const wasCalm = served || closed || stretched(periodMs, Date.parse(since), Date.parse(until)) === null;
  const looks = wasCalm ? calm + 1 : 0;
  if (looks >= CALM) return { waiting: null, kept: true };
  return { waiting: { ...waiting, served: true, calm: looks }, kept: false };
}

/** `what` is short, in words. */
const NAMES: Readonly<Record<BudgetKind, string>> = {
  connectwise: 'calls to its ConnectWise company',
  'umbrella-token': 'tokens of its Umbrella key',
  'umbrella-api-keys': 'lists of API keys by its Umbrella key',
  'umbrella-customers': 'lists of customers by its Umbrella key',
};

/** What is short, and what that means for the tenant. */
export function waitingInWords({ kind, closed, everyMs }: Waiting, periodMs: number): string {
  if (closed) return `The vendor asked for a pause in ${NAMES[kind]}.`;
  const short = `More ${NAMES[kind]} are wanted than the vendor allows`;
  if (everyMs === null) return `${short}; others come first.`;
  return `${short}: instead of every ${formatSpan(periodMs)} it is looked at about every ${formatSpan(everyMs)}.`;
}
