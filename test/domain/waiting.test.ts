import { describe, expect, test } from 'vitest';
import { afterLook, waitFor, waitingInWords, type Waiting } from '../../src/domain/waiting.ts';

const START = Date.parse('2026-11-24T08:00:00Z');
const PERIOD = 15 * 60_000;
const SHORT = { kind: 'umbrella-customers', closed: false } as const;

/** A wait of so many minutes. */
const waitOf = (minutes: number, before: Waiting | null = null, closed = false) =>
  waitFor({ ...SHORT, closed }, START, START + minutes * 60_000, PERIOD, before);

describe('a wait for a vendor’s budget', () => {
  test.each<[string, number, boolean, string | null]>([
    ['of moments is not worth a word', 1, false, null],
    ['of a tenth of the period is not either', 1.5, false, null],
    ['that is longer tells how often the tenant is looked at by it', 7.5, false, '22m 30s'],
    ['that the vendor asked for says nothing of how often', 60, true, null],
  ])('%s', (_, minutes, closed, every) => {
    const waiting = waitOf(minutes, null, closed);
    const told = waitingInWords(waiting, PERIOD);
    expect(waiting.everyMs === null ? null : told.split('about every ')[1]).toBe(every && `${every}.`);
    expect(told).toMatch(closed ? /^The vendor asked for a pause/ : /^More lists of customers/);
  });

  test('is forgotten by the look after it, if it was not worth a word', () => {
    expect(afterLook(waitOf(1), PERIOD)).toEqual({ waiting: null, kept: false });
  });

  test('that was told ends with the third look that comes in time, and is told once until then', () => {
    let waiting: Waiting | null = waitOf(10);
    const looks: (number | null)[] = [];
    for (let look = 0; waiting !== null; look += 1) {
      const after = afterLook(waiting, PERIOD);
      looks.push(after.waiting?.calm ?? null);
      expect(after.kept).toBe(after.waiting === null);
      // One of them waits for moments, which changes nothing.
      waiting = look === 1 && after.waiting ? waitOf(1, after.waiting) : after.waiting;
      expect(waiting?.everyMs ?? 25 * 60_000).toBe(25 * 60_000);
    }
    expect(looks).toEqual([0, 1, 2, null]);
  });

  test('that is long again begins anew', () => {
    const once = afterLook(afterLook(waitOf(10), PERIOD).waiting!, PERIOD).waiting!;
    expect(once.calm).toBe(1);
    expect(afterLook(waitOf(5, once), PERIOD).waiting).toMatchObject({ calm: 0, everyMs: 20 * 60_000 });
  });
});
