import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  blockOf,
  BUDGET_KINDS as KINDS,
  closed,
  cut,
  HELD_MS,
  paceMs,
  QUOTAS,
  UNUSED,
  windowsOf,
  type Ask,
  type BudgetState,
} from '../../src/domain/budget.ts';

const START = Date.parse('2026-11-24T08:00:00Z');
const ALL = { connectwise: 1, umbrella: 1 };
const block: Ask = { least: 1, most: 1, urgent: false, turn: null };

/** The most calls that left within any window of that length. */
function mostWithin(left: number[], windowMs: number): number {
  const times = left.toSorted((a, b) => a - b);
  let most = 0;
  for (let first = 0, last = 0; last < times.length; last += 1) {
    while (times[last]! - times[first]! >= windowMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}

describe('a budget', () => {
  test('never lets more leave than each quota allows, whoever takes blocks and whenever within its life each call leaves', () => {
    const asking = fc.record({
      afterMs: fc.oneof(fc.nat(300), fc.nat(5_000), fc.nat(100_000)),
      most: fc.integer({ min: 1, max: 40 }),
      urgent: fc.boolean(),
      turn: fc.constantFrom(null, 0),
      // How long each call of the block is held, as a part of what it may be.
      held: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...KINDS),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.array(asking, { minLength: 20, maxLength: 300 }),
        (kind, share, asks) => {
          const windows = windowsOf(kind, { connectwise: share, umbrella: share });
          let state: BudgetState = UNUSED;
          let now = START;
          const left: number[] = [];
          for (const { afterMs, most, urgent, turn, held } of asks) {
            now += afterMs;
            const taken = cut(windows, state, now, { least: 1, most, urgent, turn });
            ({ state } = taken);
            for (let call = 0; call < taken.calls; call += 1) {
              left.push(now + held[call % held.length]! * HELD_MS);
            }
          }
          for (const { calls, windowMs } of QUOTAS[kind]) {
            expect(mostWithin(left, windowMs)).toBeLessThanOrEqual(Math.max(1, Math.floor(calls * share)));
          }
        },
      ),
    );
  });

  test.each(KINDS)('of %s supplies nearly all that the vendor allows', (kind) => {
    const windows = windowsOf(kind, ALL);
    let state = UNUSED;
    let left = 0;
    const forMs = 3 * 3_600_000;
    for (let now = START; now < START + forMs;) {
      const taken = cut(windows, state, now, { ...block, urgent: true, most: blockOf(windows) });
      ({ state } = taken);
      left += taken.calls;
      now = Math.max(now + 50, taken.at);
    }
    const allowed = Math.min(...QUOTAS[kind].map(({ calls, windowMs }) => (calls * forMs) / windowMs));
    expect(left / allowed).toBeGreaterThan(0.8);
    expect(left / allowed).toBeLessThanOrEqual(1.02);
  });

  test.each(KINDS)('of %s keeps its reserve for what is urgent', (kind) => {
    const windows = windowsOf(kind, ALL);
    const all = { least: 1, most: Infinity, turn: null };
    const ordinary = cut(windows, UNUSED, START, { ...all, urgent: false });
    const none = cut(windows, ordinary.state, START, { ...all, urgent: false });
    const urgent = cut(windows, none.state, START, { ...all, urgent: true });
    expect(none.calls).toBe(0);
    expect(urgent.calls).toBeGreaterThan(0);
    expect(ordinary.calls + urgent.calls).toBe(Math.min(...windows.map(({ calls }) => calls)));
  });

  test('tells when a call may leave, and lets it leave then and not before', () => {
    const asks = fc.array(fc.tuple(fc.nat(20_000), fc.integer({ min: 1, max: 20 })), { maxLength: 50 });
    fc.assert(
      fc.property(fc.constantFrom(...KINDS), asks, (kind, earlier) => {
        const windows = windowsOf(kind, ALL);
        let state = UNUSED;
        let now = START;
        for (const [afterMs, most] of earlier) {
          now += afterMs;
          ({ state } = cut(windows, state, now, { ...block, most }));
        }
        const asked = cut(windows, state, now, block);
        if (asked.calls > 0) return;
        expect(cut(windows, state, asked.at - 1, block).calls).toBe(0);
        expect(cut(windows, state, asked.at, block).calls).toBe(1);
      }),
    );
  });

  test('that the vendor closed lets nothing leave, however urgent, and a shorter wait does not open it', () => {
    const windows = windowsOf('connectwise', ALL);
    const shut = closed(closed(UNUSED, START + 30_000), START + 1_000);
    for (const urgent of [false, true]) {
      expect(cut(windows, shut, START, { ...block, urgent })).toMatchObject({ calls: 0, at: START + 30_000 });
      expect(cut(windows, shut, START + 30_000, { ...block, urgent }).calls).toBe(1);
    }
  });

  test('of which more is wanted than there ever is gives what there is', () => {
    const windows = windowsOf('umbrella-api-keys', ALL);
    expect(cut(windows, UNUSED, START, { ...block, least: 500, most: 500 }).calls).toBe(4);
  });
});

describe('the line of those who wait', () => {
  const windows = windowsOf('umbrella-token', ALL);
  const wants: Ask = { least: 1, most: 1, urgent: false, turn: 0 };

  test('gives each its own turn, in the order in which they came, and keeps it for who asks too soon', () => {
    let { state } = cut(windows, UNUSED, START, { ...wants, most: 100 });
    const turns = [1, 2, 3].map(() => {
      const asked = cut(windows, state, START, wants);
      ({ state } = asked);
      expect(asked.calls).toBe(0);
      return asked.at;
    });
    expect(turns).toEqual(turns.toSorted((a, b) => a - b));
    expect(turns[1]! - turns[0]!).toBeGreaterThanOrEqual(Math.floor(paceMs(windows)));
    const early = cut(windows, state, START + 1, { ...wants, turn: turns[0]! });
    expect(early).toMatchObject({ calls: 0, at: turns[0] });
    expect(early.state.queuedUntil).toBe(state.queuedUntil);
    // Who comes when the first one's turn has come still waits behind the third.
    expect(cut(windows, state, turns[0]!, wants)).toMatchObject({ calls: 0 });
    expect(cut(windows, state, turns[0]!, { ...wants, turn: turns[0]! }).calls).toBe(1);
  });

  test('lets all have the same, however much one of them wants', () => {
    // Every tenant is due a minute after its last run; one wants as much as nine others.
    const tenants = Array.from({ length: 40 }, (_, index) => ({
      calls: index === 0 ? 9 : 1,
      due: START,
      turn: 0,
      runs: 0,
    }));
    let state = UNUSED;
    for (let now = START; now < START + 3_600_000; now += 250) {
      for (const tenant of tenants) {
        if (tenant.due > now) continue;
        const { calls, turn } = tenant;
        const asked = cut(windows, state, now, { ...wants, least: calls, most: calls, turn });
        ({ state } = asked);
        if (asked.calls === 0) {
          tenant.due = tenant.turn = asked.at;
        } else {
          tenant.runs += 1;
          tenant.turn = 0;
          tenant.due = now + 60_000;
        }
      }
    }
    const runs = tenants.map((tenant) => tenant.runs);
    expect(Math.min(...runs) / Math.max(...runs)).toBeGreaterThan(0.75);
    const used = runs.reduce((total, count, index) => total + count * tenants[index]!.calls, 0);
    expect(used / (3_600_000 / paceMs(windows))).toBeGreaterThan(0.8);
  });
});
