import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { namesOf, toldTo, wordsFor } from '../../src/domain/shared-words.ts';

describe('what is told of things that several tenants share', () => {
  it.each([
    ['acme', 'The new key works for acme, 2 other tenants.'],
    ['birch', 'The new key works for another tenant, birch, another tenant.'],
    ['nobody', 'The new key works for 3 other tenants.'],
  ])('tells %s of itself by name, and of how many others', (tenant, words) => {
    expect(toldTo(tenant, `The new key works for ${namesOf(['acme', 'birch', 'cedar'])}.`)).toBe(words);
  });

  it('has words that are for one tenant alone, whatever a person wrote into them', () => {
    const word = fc.stringMatching(/^[a-z‹¦›: ]{0,20}$/);
    fc.assert(
      fc.property(word, word, (reason, around) => {
        const told = `${around.replaceAll(/[‹¦›]/g, '')}${wordsFor('acme', `SECRET ${reason}`, 'held')}`;
        expect(toldTo('birch', told)).not.toContain('SECRET');
        expect(toldTo('acme', told)).toContain('SECRET');
        expect(toldTo('birch', told)).not.toMatch(/[‹¦›]/);
      }),
    );
  });

  it('leaves other words as they are', () => {
    expect(toldTo('acme', 'No tenant uses the key any more.')).toBe('No tenant uses the key any more.');
  });
});
