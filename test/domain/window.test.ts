import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { isOpen, opensAt, parseWindow } from '../../src/domain/window.ts';

const at = (text: string) => new Date(text);
const MINUTE = 60_000;

describe('a window', () => {
  test.each<[string, number[]]>([
    ['Sat', [6]],
    ['Sun', [0]],
    ['Sat,Sun', [0, 6]],
    ['Sun,Sat', [0, 6]],
    ['Mon-Fri', [1, 2, 3, 4, 5]],
    ['Fri-Mon', [0, 1, 5, 6]],
    ['Sat-Sun', [0, 6]],
    ['Mon-Wed,Fri', [1, 2, 3, 5]],
    ['Tue-Tue', [2]],
    ['Mon,Mon', [1]],
    ['Mon-Sun', [0, 1, 2, 3, 4, 5, 6]],
  ])('%s opens on the days that are meant', (days, expected) => {
    expect(parseWindow(`${days} 02:00-06:30 Europe/Madrid`)).toEqual({
      days: expected,
      from: 120,
      to: 390,
      zone: 'Europe/Madrid',
    });
  });

  test.each([
    '',
    'Sat',
    'Sat 02:00-06:00',
    'Sat 02:00 Europe/Madrid',
    'Sat 2:00-6:00 Europe/Madrid',
    'Sat 24:00-06:00 Europe/Madrid',
    'Sat 02:60-06:00 Europe/Madrid',
    'Sat 02:00-06:00 Europe/Atlantis',
    'Sat 02:00-06:00 ',
    'sat 02:00-06:00 Europe/Madrid',
    'Saturday 02:00-06:00 Europe/Madrid',
    'Sat- 02:00-06:00 Europe/Madrid',
    'Sat, Sun 02:00-06:00 Europe/Madrid',
    ' Sat 02:00-06:00 Europe/Madrid',
    'Sat  02:00-06:00 Europe/Madrid',
    'Sat 02:00-06:00 Europe/Madrid or so',
    '02:00-06:00 Europe/Madrid',
  ])('is not %j', (text) => {
    expect(parseWindow(text)).toBeNull();
  });

  it('that a schema has let through and is none is a bug', () => {
    expect(() => isOpen('whenever', at('2026-03-14T00:00:00Z'))).toThrow(/not a window/);
  });
});

const MADRID = 'Sat 02:00-06:00 Europe/Madrid';
const NIGHTS = 'Fri,Sat 22:00-02:00 America/New_York';

describe('a window is open', () => {
  test.each<[string, string, string, boolean]>([
    ['not before it opens', MADRID, '2026-03-14T00:59:59.999Z', false],
    ['from its first moment on', MADRID, '2026-03-14T01:00:00Z', true],
    ['to just before its end', MADRID, '2026-03-14T04:59:59.999Z', true],
    ['not at its end', MADRID, '2026-03-14T05:00:00Z', false],
    ['not on another day', MADRID, '2026-03-15T03:00:00Z', false],
    ['by the summer’s clock in summer', MADRID, '2026-07-04T00:00:00Z', true],
    ['and not by the winter’s', MADRID, '2026-07-04T04:30:00Z', false],
    ['over midnight, on the day that is named', NIGHTS, '2026-01-17T03:00:00Z', true],
    ['over midnight, on the day after', NIGHTS, '2026-01-18T06:59:00Z', true],
    ['not over the midnight before', NIGHTS, '2026-01-16T05:30:00Z', false],
    ['not after the night', NIGHTS, '2026-01-18T07:00:00Z', false],
    ['over the end of the week', 'Sat 22:00-02:00 UTC', '2026-01-18T01:59:00Z', true],
    ['over the week’s end by a range of days', 'Sat-Mon 22:00-02:00 UTC', '2026-01-20T01:00:00Z', true],
    ['for a whole day, where both times are one', 'Wed 06:00-06:00 UTC', '2026-01-22T05:59:00Z', true],
    ['from that time', 'Wed 06:00-06:00 UTC', '2026-01-21T05:59:00Z', false],
    ['to midnight', 'Wed 22:00-00:00 UTC', '2026-01-21T23:59:00Z', true],
    ['and no longer', 'Wed 22:00-00:00 UTC', '2026-01-22T00:00:00Z', false],
  ])('%s', (_, window, now, expected) => {
    expect(isOpen(window, at(now))).toBe(expected);
  });

  // Europe/Madrid goes from 02:00 to 03:00 on 2026-03-29 at 01:00Z, and from 03:00 back to 02:00 on 2026-10-25 at 01:00Z.
  // America/New_York goes from 02:00 to 03:00 on 2026-03-08 at 07:00Z, and from 02:00 back to 01:00 on 2026-11-01 at 06:00Z.
  test.each<[string, string, string, boolean]>([
    ['before the hour that spring leaves out', 'Sun 01:00-02:30 Europe/Madrid', '2026-03-29T00:59:00Z', true],
    ['not after it, where it ends in it', 'Sun 01:00-02:30 Europe/Madrid', '2026-03-29T01:00:00Z', false],
    ['after it, where it begins in it', 'Sun 02:30-04:00 Europe/Madrid', '2026-03-29T01:00:00Z', true],
    ['to its end', 'Sun 02:30-04:00 Europe/Madrid', '2026-03-29T01:59:00Z', true],
    ['not at all, where it lies in it', 'Sun 02:10-02:50 America/New_York', '2026-03-08T07:20:00Z', false],
    [
      'for the first of two equal hours in autumn',
      'Sun 02:00-03:00 Europe/Madrid',
      '2026-10-25T00:30:00Z',
      true,
    ],
    ['and for the second', 'Sun 02:00-03:00 Europe/Madrid', '2026-10-25T01:30:00Z', true],
    ['and not after', 'Sun 02:00-03:00 Europe/Madrid', '2026-10-25T02:00:00Z', false],
    ['the first time, in New York', 'Sun 01:30-02:30 America/New_York', '2026-11-01T05:45:00Z', true],
    ['not between, in New York', 'Sun 01:30-02:30 America/New_York', '2026-11-01T06:15:00Z', false],
    ['the second time, in New York', 'Sun 01:30-02:30 America/New_York', '2026-11-01T06:30:00Z', true],
  ])('when the clocks change: %s', (_, window, now, expected) => {
    expect(isOpen(window, at(now))).toBe(expected);
  });
});

describe('a window opens', () => {
  test.each<[string, string, string, string]>([
    ['now, where it is open', MADRID, '2026-03-14T03:21:09.007Z', '2026-03-14T03:21:09.007Z'],
    ['this week', MADRID, '2026-03-10T12:00:00Z', '2026-03-14T01:00:00.000Z'],
    ['within the minute', MADRID, '2026-03-14T00:59:30.500Z', '2026-03-14T01:00:00.000Z'],
    ['next week, once it has closed', MADRID, '2026-03-14T05:00:00Z', '2026-03-21T01:00:00.000Z'],
    ['by the summer’s clock after the change', MADRID, '2026-03-28T05:00:00Z', '2026-04-04T00:00:00.000Z'],
    ['tonight', NIGHTS, '2026-01-16T12:00:00Z', '2026-01-17T03:00:00.000Z'],
    [
      'when spring’s hour is over, where it would begin in it',
      'Sun 02:30-04:00 Europe/Madrid',
      '2026-03-29T00:00:00Z',
      '2026-03-29T01:00:00.000Z',
    ],
    [
      'a week later, where spring leaves it out',
      'Sun 02:10-02:50 America/New_York',
      '2026-03-08T06:00:00Z',
      '2026-03-15T06:10:00.000Z',
    ],
    [
      'at the first of two equal hours in autumn',
      'Sun 02:00-03:00 Europe/Madrid',
      '2026-10-24T22:00:00Z',
      '2026-10-25T00:00:00.000Z',
    ],
    [
      'again at the second',
      'Sun 01:30-02:00 America/New_York',
      '2026-11-01T06:10:00Z',
      '2026-11-01T06:30:00.000Z',
    ],
    [
      'again when autumn turns the clock back into it',
      'Sun 01:00-01:20 America/New_York',
      '2026-11-01T05:45:00Z',
      '2026-11-01T06:00:00.000Z',
    ],
    [
      'at the end of a night’s hour that is left out',
      'Sat 23:30-00:30 Africa/Cairo',
      '2026-04-23T20:00:00Z',
      '2026-04-25T20:30:00.000Z',
    ],
  ])('%s', (_, window, now, expected) => {
    expect(opensAt(window, at(now)).toISOString()).toBe(expected);
  });
});

describe('whatever the window and the moment', () => {
  const clock = fc
    .tuple(fc.nat(23), fc.constantFrom(0, 10, 30, 59))
    .map(([hour, minute]) => `${String(hour).padStart(2, '0')}:${String(minute).padStart(2, '0')}`);
  const days = fc.constantFrom('Sun', 'Sat', 'Mon-Fri', 'Fri-Mon', 'Sat,Sun', 'Wed');
  const zone = fc.constantFrom(
    'Europe/Madrid',
    'America/New_York',
    'UTC',
    'Asia/Kolkata',
    'Australia/Lord_Howe',
    'Africa/Cairo',
    'Pacific/Chatham',
  );
  const window = fc
    .tuple(days, clock, clock, zone)
    .map(([on, from, to, where]) => `${on} ${from}-${to} ${where}`);
  const near = (text: string) =>
    fc.integer({ min: -36 * 60, max: 36 * 60 }).map((minutes) => at(text).getTime() + minutes * MINUTE);
  const moment = fc
    .oneof(
      fc.integer({ min: Date.parse('2026-01-01'), max: Date.parse('2027-12-31') }),
      near('2026-03-29T01:00:00Z'),
      near('2026-10-25T01:00:00Z'),
      near('2026-03-08T07:00:00Z'),
      near('2026-11-01T06:00:00Z'),
      near('2026-04-04T15:00:00Z'),
    )
    .map((ms) => new Date(ms));

  it('is open when it opens, never before, and within a fortnight', () => {
    fc.assert(
      fc.property(window, moment, fc.double({ min: 0, max: 1, noNaN: true }), (text, now, part) => {
        const opens = opensAt(text, now);
        expect(isOpen(text, opens)).toBe(true);
        expect(opens.getTime()).toBeGreaterThanOrEqual(now.getTime());
        const waits = opens.getTime() - now.getTime();
        expect(waits).toBeLessThanOrEqual(14 * 24 * 60 * MINUTE);
        if (waits === 0) return;
        expect(isOpen(text, new Date(opens.getTime() - 1))).toBe(false);
        expect(isOpen(text, new Date(now.getTime() + Math.floor(waits * part * 0.999)))).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });
});
