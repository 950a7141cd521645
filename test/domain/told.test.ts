import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { evaluate } from '../../src/domain/condition.ts';
import { ageless, ago, lasting, remaining, told } from '../../src/domain/told.ts';
import { circumstances, circumstancesOf, DAY, HOUR, MINUTE, NOW } from './fixtures.ts';

const before = (ms: number): string => new Date(NOW.getTime() - ms).toISOString();

describe('a message that is kept', () => {
  it.each([
    ['it was just now', `seen ${ago(before(0))}.`, 'seen just now.'],
    ['it was less than a minute ago', ago(before(MINUTE - 1)), 'just now'],
    ['it was a minute ago', ago(before(MINUTE)), '1m ago'],
    [
      'it was some hours ago',
      `umbrella-a last wrote ${ago(before(3 * HOUR + 12 * MINUTE))};`,
      'umbrella-a last wrote 3h 12m ago;',
    ],
    ['it is dated ahead of this clock', ago(before(-MINUTE)), 'just now'],
    ['it lasts', `held for ${lasting(before(10 * DAY))}.`, 'held for 10d.'],
    ['it is still to come', `expires in ${remaining(before(-2 * DAY))}`, 'expires in 2d'],
    ['a day was written for it', remaining('2026-03-12'), '1d 12h'],
    ['it speaks of several times', `${ago(before(HOUR))}, ${lasting(before(DAY))}`, '1h ago, 1d'],
    ['it speaks of none', 'No rotation is under way.', 'No rotation is under way.'],
    ['a vendor wrote what looks like one and is none', '{ago 9:9} {for ever}', '{ago 9:9} {for ever}'],
  ])('tells an age where %s', (_, kept, words) => {
    expect(told(kept, NOW)).toBe(words);
  });

  it('tells another age as time goes by', () => {
    const kept = `held for ${lasting(before(HOUR))}`;
    expect(told(kept, new Date(NOW.getTime() + 2 * HOUR))).toBe('held for 3h');
  });
});

describe('the messages of conditions', () => {
  it('stay the same while nothing but time goes by, as long as none of them turns', () => {
    const given = circumstances();
    const later = { ...given, now: new Date(NOW.getTime() + 5 * MINUTE) };
    const messages = (at: typeof given) => evaluate(at, 1, []).map(({ message }) => message);
    expect(messages(later)).toEqual(messages(given));
  });

  it('are the same without their ages whenever they are told, and differ where they say something else', () => {
    const kept = `umbrella-a last wrote ${ago(before(HOUR))}; held for ${lasting(before(DAY))}, 3 of 41.`;
    const at = (ms: number) => ageless(told(kept, new Date(NOW.getTime() + ms)));
    expect(at(0)).toBe('umbrella-a last wrote …; held for …, 3 of 41.');
    for (const ms of [1, MINUTE, HOUR + 90_000, 40 * DAY]) expect(at(ms)).toBe(at(0));
    expect(ageless(told(kept.replace('41', '42'), NOW))).not.toBe(at(0));
  });

  it('hold no age that is not told, whatever is known', () => {
    fc.assert(
      fc.property(circumstancesOf(), (given) => {
        for (const { message } of evaluate(given, 1, [])) {
          expect(message).not.toMatch(/\d ago|just now/);
          expect(told(message, given.now)).not.toMatch(/[{}]/);
        }
      }),
    );
  });
});
