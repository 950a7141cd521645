/**
 * What may be asked of a vendor, and when. A budget is what the vendor counts together: a ConnectWise company, or
 * one family of operations of an Umbrella key. Whoever shares it takes calls from it in blocks.
 *
 * The vendors count over windows that slide; here calls are counted in slots of time, over as many slots as such a
 * window can touch, whenever in their life the calls of a block leave. So it is never more than the vendor allows,
 * and nearly all of it.
 */

export const BUDGET_KINDS = [
  'connectwise',
  'umbrella-token',
  'umbrella-api-keys',
  'umbrella-customers',
] as const;
export type BudgetKind = (typeof BUDGET_KINDS)[number];

/** `scope` names it for all who share it; it holds no secret. */
export interface Budget {
  scope: string;
  kind: BudgetKind;
}

/** At most `calls` within any `windowMs`. */
export interface Quota {
  calls: number;
  windowMs: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

/** What the vendors let one company or key do (domain.md §4, §5). */
export const QUOTAS: Readonly<Record<BudgetKind, readonly Quota[]>> = {
  connectwise: [{ calls: 1_000, windowMs: MINUTE }],
  'umbrella-token': [{ calls: 20, windowMs: MINUTE }],
  'umbrella-api-keys': [
    { calls: 5, windowMs: SECOND },
    { calls: 14, windowMs: MINUTE },
    { calls: 350, windowMs: 30 * MINUTE },
  ],
  'umbrella-customers': [
    { calls: 30, windowMs: SECOND },
    { calls: 70, windowMs: MINUTE },
    { calls: 1_000, windowMs: 30 * MINUTE },
  ],
};

/** Which part of the quotas is ours: the MSP's other integrations call the same company. Above 1: more was granted. */
export interface Shares {
  connectwise: number;
  umbrella: number;
}

export const DEFAULT_SHARES: Shares = { connectwise: 0.5, umbrella: 1 };

/** Milliseconds that a block of calls may be held; what is left of it then is lost. */
export const HELD_MS = 5 * SECOND;
/** By how much one call may be longer on its way to the vendor than another, in milliseconds. */
const SPREAD_MS = 2 * SECOND;
const SHORTEST_SLOT_MS = SECOND;
const SLOTS_OF_WINDOW = 30;
/** Kept for calls that must not wait: rotations and keys that are compromised. */
const RESERVE = 0.15;
/** The part of the narrowest window that one block takes. */
const BLOCK = 1 / 50;

/** A quota as it is counted: `calls` within `slots` slots, of which `reserve` are for urgent ones. */
export interface Window {
  calls: number;
  reserve: number;
  slotMs: number;
  slots: number;
}

/** The windows of a kind of budget, of which ours is that share. */
export function windowsOf(kind: BudgetKind, shares: Shares): readonly Window[] {
  const share = kind === 'connectwise' ? shares.connectwise : shares.umbrella;
  return QUOTAS[kind].map(({ calls, windowMs }) => {
    const ours = Math.max(1, Math.floor(calls * share));
    const slotMs = Math.max(SHORTEST_SLOT_MS, windowMs / SLOTS_OF_WINDOW);
    return {
      calls: ours,
      reserve: Math.min(ours - 1, Math.ceil(ours * RESERVE)),
      slotMs,
      slots: Math.ceil((windowMs + HELD_MS + SPREAD_MS) / slotMs) + 1,
    };
  });
}

/** The calls of a block, where nobody says how many are needed. */
export const blockOf = (windows: readonly Window[]): number =>
  Math.max(1, Math.floor(Math.min(...windows.map(({ calls }) => calls)) * BLOCK));

/** Milliseconds after which one more call is supplied, day in, day out, to whoever may not use the reserve. */
export const paceMs = (windows: readonly Window[]): number =>
  Math.max(...windows.map(({ calls, reserve, slotMs, slots }) => (slots * slotMs) / (calls - reserve)));

/** Calls that were taken in a slot; slots are numbered since the epoch. */
type Taken = readonly [slot: number, calls: number];

/** What is known of a budget. Moments are milliseconds since the epoch, by the clock that all who share it follow. */
export interface BudgetState {
  /** Of each window in the order of `windowsOf`, the oldest slot first. */
  taken: readonly (readonly Taken[])[];
  /** The vendor asked everybody to wait until then. */
  closedUntil: number;
  /** Who asks now waits behind those who wait until then. */
  queuedUntil: number;
}

export const UNUSED: BudgetState = { taken: [], closedUntil: 0, queuedUntil: 0 };

/** What somebody wants of one budget. */
export interface Ask {
  /** At least so many calls, and no more than `most`. */
  least: number;
  most: number;
  /** May use the reserve, and waits behind nobody. */
  urgent: boolean;
  /**
   * Waits in line where there are not enough; `turn` is until when it was told to wait before, 0: it was not. Null:
   * work under way, which waits behind nobody.
   */
  turn: number | null;
}

/** `calls` were taken, or, where they are 0, none before `at`. */
export interface Cut {
  calls: number;
  at: number;
  state: BudgetState;
}

/** Cuts a block of calls out of a budget. */
export function cut(windows: readonly Window[], before: BudgetState, now: number, ask: Ask): Cut {
  const counted = windows.map((window, at) => within(window, before.taken[at] ?? [], now));
  const open = windows.map((window) => window.calls - (ask.urgent ? 0 : window.reserve));
  // Who wants more than there ever is gets what there is.
  const least = Math.min(ask.least, ...open);
  const free = Math.min(...open.map((calls, at) => calls - sum(counted[at]!)));
  const at = Math.max(
    now,
    before.closedUntil,
    ...windows.map((window, index) => roomAt(window, counted[index]!, open[index]! - least)),
  );
  const state = { ...before, taken: counted };
  const waited = ask.turn !== null && ask.turn > 0 && ask.turn <= now;
  const inLine = ask.turn !== null && !ask.urgent && !waited && before.queuedUntil > now;
  if (at <= now && !inLine) {
    const calls = Math.min(ask.most, free);
    const taken = windows.map((window, index) =>
      plus(counted[index]!, Math.floor(now / window.slotMs), calls),
    );
    return { calls, at: now, state: { ...state, taken } };
  }
  if (ask.turn === null || ask.urgent) return { calls: 0, at, state };
  // Who asks before it is its turn keeps its place.
  if (ask.turn > now) return { calls: 0, at: Math.max(at, ask.turn), state };
  const turn = waited ? at : Math.max(at, before.queuedUntil);
  const queuedUntil = Math.max(before.queuedUntil, Math.ceil(turn + least * paceMs(windows)));
  return { calls: 0, at: turn, state: { ...state, queuedUntil } };
}

/** What is wanted of one budget. */
export interface Want extends Budget {
  /** Null: a block, of as many calls as are usual, at least one. */
  calls: number | null;
}

/** Wanted of several budgets, each of which is named once: all of it is given, or nothing. */
export interface Asked {
  wants: readonly Want[];
  urgent: Ask['urgent'];
  turn: Ask['turn'];
}

/**
 * Of each want in its order how many calls there are, which may be held for `HELD_MS`; or what lets wait longest, and
 * for how long. `turn`: to be told when it is asked again. `closed`: its vendor asked for that.
 */
export type Given =
  | { given: true; calls: number[] }
  | ({ given: false; waitMs: number; turn: number; closed: boolean } & Budget);

/** Cuts out of several budgets what is wanted of each, or nothing of any; `states` become what they are after it. */
export function give(
  { wants, urgent, turn }: Asked,
  states: Map<string, BudgetState>,
  windowsFor: (kind: BudgetKind) => readonly Window[],
  now: number,
): Given {
  const cuts = wants.map(({ scope, kind, calls }) => {
    const windows = windowsFor(kind);
    const ask: Ask = { least: calls ?? 1, most: calls ?? blockOf(windows), urgent, turn };
    return { scope, kind, ...cut(windows, states.get(scope) ?? UNUSED, now, ask) };
  });
  const lacking = cuts.filter(({ calls }) => calls === 0);
  // Where one is short, nothing is taken of the others; what is short has its line.
  for (const { scope, state } of lacking.length > 0 ? lacking : cuts) states.set(scope, state);
  if (lacking.length === 0) return { given: true, calls: cuts.map(({ calls }) => calls) };
  const { scope, kind, at, state } = lacking.reduce((last, one) => (one.at > last.at ? one : last));
  const closed = state.closedUntil > now;
  return { given: false, scope, kind, waitMs: Math.ceil(at - now), turn: Math.ceil(at), closed };
}

/** The windows of each kind, reckoned once. */
export function windowsBy(shares: Shares): (kind: BudgetKind) => readonly Window[] {
  const windows = Object.fromEntries(BUDGET_KINDS.map((kind) => [kind, windowsOf(kind, shares)])) as Record<
    BudgetKind,
    readonly Window[]
  >;
  return (kind) => windows[kind];
}

/** The budget after its vendor asked to wait until then; an earlier, longer wait stays. */
export const closed = (state: BudgetState, until: number): BudgetState => ({
  ...state,
  closedUntil: Math.max(state.closedUntil, until),
});

/** What was taken in the slots that count now. */
function within({ slotMs, slots }: Window, taken: readonly Taken[], now: number): Taken[] {
  const first = Math.floor(now / slotMs) - slots + 1;
  return taken.filter(([slot]) => slot >= first);
}

const sum = (taken: readonly Taken[]): number => taken.reduce((total, [, calls]) => total + calls, 0);

/** When so few calls count that no more than `most` do; 0: they do now. */
function roomAt({ slotMs, slots }: Window, counted: readonly Taken[], most: number): number {
  let left = sum(counted);
  for (const [slot, calls] of counted) {
    if (left <= most) break;
    left -= calls;
    if (left <= most) return (slot + slots) * slotMs;
  }
  return 0;
}

function plus(taken: readonly Taken[], slot: number, calls: number): Taken[] {
  const last = taken.at(-1);
  // A clock that went back counts in the newest slot that there is.
  if (last !== undefined && last[0] >= slot) return [...taken.slice(0, -1), [last[0], last[1] + calls]];
  return [...taken, [slot, calls]];
}
