import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { formatSpan, parseDuration, toMs } from '../../src/domain/duration.ts';

describe('a duration', () => {
  test.each([
    ['250ms', 250],
    ['5s', 5_000],
    ['15m', 900_000],
    ['36h', 129_600_000],
    ['90d', 7_776_000_000],
    ['2w', 1_209_600_000],
    ['0s', 0],
    ['007s', 7_000],
    ['999999999w', 604_799_999_395_200_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
    expect(toMs(text)).toBe(ms);
  });

  test.each([
    '',
    '5',
    's',
    '5 s',
    ' 5s',
    '5s ',
    '5s\n',
    '-5s',
    '+5s',
    '1.5h',
    '1e3s',
    '5S',
    'P1D',
    '1h30m',
    '5y',
    '1234567890s',
  ])('%j is none', (text) => {
    expect(parseDuration(text)).toBeNull();
    expect(() => toMs(text)).toThrow('not a duration');
  });
});

describe('a span, as people read it', () => {
  test.each([
    [-1, '0ms'],
    [0, '0ms'],
    [0.4, '0ms'],
    [999, '999ms'],
    [1_000, '1s'],
    [1_999, '1s'],
    [59_999, '59s'],
    [60_000, '1m'],
    [61_000, '1m 1s'],
    [3_599_999, '59m 59s'],
    [3_600_000, '1h'],
    [3_601_000, '1h'],
    [3_660_000, '1h 1m'],
    [86_399_999, '23h 59m'],
    [86_400_000, '1d'],
    [86_460_000, '1d'],
    [90_061_000, '1d 1h'],
    [86_400_000 * 400, '400d'],
  ])('of %d ms is %s', (ms, text) => {
    expect(formatSpan(ms)).toBe(text);
  });

  it('has one or two neighbouring units, and is short of the truth by less than the smaller', () => {
    const units = ['d', 'h', 'm', 's'];
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 10_000_000_000 }), (ms) => {
        const parts = formatSpan(ms).split(' ');
        const of = (part: string) => units.indexOf(part.at(-1)!);
        expect(parts.length).toBeLessThanOrEqual(2);
        expect(parts.map(of)).toEqual([of(parts[0]!), of(parts[0]!) + 1].slice(0, parts.length));
        const short = ms - parts.reduce((sum, part) => sum + toMs(part), 0);
        const finest = units[Math.min(of(parts[0]!) + 1, 3)]!;
        expect(short).toBeGreaterThanOrEqual(0);
        expect(short).toBeLessThan(toMs(`1${finest}`));
      }),
    );
  });
});
