import type { FaultEffect } from '../../src/simulator/index.ts';

/** What may go wrong with a call, and what is to be believed of it. */
export interface Harm {
  effect: FaultEffect;
  /** Nothing was said of what was asked: it unsays nothing, and turns nothing False but the site. */
  weather: boolean;
  /** Seconds that the vendor asked to wait. */
  wait?: number;
  /** The call's own time runs out. */
  slow?: true;
  /** The company's codebase changes while the call is on its way. */
  moves?: true;
  /** Only what changes something can be harmed so. */
  onlyWrites?: true;
}

/** Longer than the quarter of an hour after which everybody is looked at again. */
const WAIT_SECONDS = 20 * 60;
/** Real milliseconds, in which the deadline of a call passes; a write is waited for, to come late. */
const LATE_MS = 1_500;
const NEVER_MS = 60_000;
/** Bytes of an answer that are read where one meets an answer without end; and what is more than that. */
export const SMALL_BYTES = 512 * 1024;
const LARGE_MEGABYTES = 0.75;

const status = (code: number, more: { headers?: Record<string, string>; applied?: boolean } = {}) =>
  ({ kind: 'status', status: code, body: { code: 'Error', message: 'no' }, ...more }) as const;

const refusals = Object.fromEntries(
  [400, 401, 403, 404, 409].map((code) => [`${code}`, { effect: status(code), weather: false }]),
);
const HALF = '[{"id": 1, "identifier": "umbrel';

/** Every fault of the simulator that says something else than what is. */
export const HARMS: Readonly<Record<string, Harm>> = {
  ...refusals,
  '429': { effect: { kind: 'rateLimit' }, weather: true },
  '429 with Retry-After': {
    effect: { kind: 'rateLimit', retryAfterSeconds: WAIT_SECONDS },
    weather: true,
    wait: WAIT_SECONDS,
  },
  '500': { effect: status(500), weather: true },
  '502': { effect: status(502), weather: true },
  '503': { effect: status(503), weather: true },
  '503 with Retry-After': {
    effect: status(503, { headers: { 'Retry-After': `${WAIT_SECONDS}` } }),
    weather: true,
    wait: WAIT_SECONDS,
  },
  'HTML with 200': { effect: { kind: 'html', status: 200 }, weather: true },
  'HTML with 403': { effect: { kind: 'html', status: 403 }, weather: true },
  'HTML with 502': { effect: { kind: 'html', status: 502 }, weather: true },
  'text with 200': { effect: { kind: 'text', status: 200 }, weather: true },
  'text with 404': { effect: { kind: 'text', status: 404, text: 'Cannot route' }, weather: false },
  'half of JSON': { effect: { kind: 'status', status: 200, body: HALF }, weather: true },
  'an answer that breaks off': { effect: { kind: 'truncate' }, weather: true },
  'an answer that breaks off at once': { effect: { kind: 'truncate', bytes: 0 }, weather: true },
  'an answer without end': { effect: { kind: 'oversize', megabytes: LARGE_MEGABYTES }, weather: true },
  'a redirect elsewhere': {
    effect: { kind: 'redirect', location: 'https://elsewhere.example/login' },
    weather: true,
  },
  'a reset before': { effect: { kind: 'resetBefore' }, weather: true },
  'a reset after': { effect: { kind: 'resetAfter' }, weather: true },
  'latency beyond the deadline': { effect: { kind: 'latency', ms: NEVER_MS }, weather: true, slow: true },
  'a slow drip': { effect: { kind: 'slowDrip', bytes: 1, ms: NEVER_MS }, weather: true, slow: true },
  'a hang before': { effect: { kind: 'hangBefore' }, weather: true, slow: true },
  'a hang after': { effect: { kind: 'hangAfter' }, weather: true, slow: true },
  'another codebase': { effect: { kind: 'hangBefore' }, weather: true, moves: true },
  // As lists lag behind what was made, by seconds (domain.md §4).
  'stale reads after it': { effect: { kind: 'staleReads', ms: 25_000 }, weather: true, onlyWrites: true },
  'done, and 500': { effect: status(500, { applied: true }), weather: true, onlyWrites: true },
  'done, and HTML with 502': {
    effect: { kind: 'html', status: 502, applied: true },
    weather: true,
    onlyWrites: true,
  },
  'done, and text with 200': {
    effect: { kind: 'text', status: 200, applied: true },
    weather: true,
    onlyWrites: true,
  },
  'done, and a redirect': {
    effect: { kind: 'redirect', location: '/login', applied: true },
    weather: true,
    onlyWrites: true,
  },
  'done, and an answer without end': {
    effect: { kind: 'oversize', megabytes: LARGE_MEGABYTES, applied: true },
    weather: true,
    onlyWrites: true,
  },
};

/** What a call meets. What reads something late is nobody's business; a write that comes late is. */
export const effectOn = ({ effect }: Harm, isWrite: boolean): FaultEffect =>
  effect.kind === 'latency' && isWrite ? { ...effect, ms: LATE_MS } : effect;
