import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { labelsSchema, parseSelector, selects } from '../../src/domain/labels.ts';

describe('labels', () => {
  test.each([
    ['none', {}],
    ['words', { team: 'north', tier: '1' }],
    ['inner signs', { 'example.com/cost_centre-2': 'a.b/c' }],
    ['words of 63 characters', { ['k'.repeat(63)]: 'v'.repeat(63) }],
    ['32 of them', Object.fromEntries(Array.from({ length: 32 }, (_, index) => [`k${index}`, 'v']))],
  ])('may be %s', (_, labels) => {
    expect(labelsSchema.parse(labels)).toEqual(labels);
  });

  test.each([
    ['capitals', { Team: 'north' }],
    ['blanks', { team: 'the north' }],
    ['an empty value', { team: '' }],
    ['an empty key', { '': 'north' }],
    ['an equals sign', { team: 'a=b' }],
    ['a sign at the edge', { 'team.': 'north' }],
    ['a line break', { team: 'north\n' }],
    ['a number', { tier: 1 }],
    ['words of 64 characters', { team: 'v'.repeat(64) }],
    ['33 of them', Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`k${index}`, 'v']))],
  ])('may not be %s', (_, labels) => {
    expect(labelsSchema.safeParse(labels).success).toBe(false);
  });
});

describe('a selector', () => {
  test.each([
    ['team=north', { key: 'team', value: 'north' }],
    ['team', { key: 'team', value: null }],
    ['', null],
    ['team=', null],
    ['=north', null],
    ['team=a=b', null],
    ['Team=north', null],
  ])('%j is %j', (text, selector) => {
    expect(parseSelector(text)).toEqual(selector);
  });

  test.each([
    [[], true],
    [['team=north'], true],
    [['team'], true],
    [['team=north', 'tier'], true],
    [['team=south'], false],
    [['team=north', 'tier=2'], false],
    [['constructor'], false],
    [['region'], false],
  ])('%j on a tenant of team north and tier 1: %j', (texts, selected) => {
    expect(
      selects(
        texts.map((text) => parseSelector(text)!),
        { team: 'north', tier: '1' },
      ),
    ).toBe(selected);
  });

  it('of every label that a tenant has selects it', () => {
    const word = fc.stringMatching(/^[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?$/);
    fc.assert(
      fc.property(fc.dictionary(word, word, { maxKeys: 32 }), (labels) => {
        const texts = Object.entries(labels).flatMap(([key, value]) => [key, `${key}=${value}`]);
        expect(
          selects(
            texts.map((text) => parseSelector(text)!),
            labels,
          ),
        ).toBe(true);
      }),
    );
  });
});
