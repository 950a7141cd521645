import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { describeFailure, failed, ok, saysNothing, type Failure } from '../../src/domain/outcome.ts';
import { refusal, weather } from './fixtures.ts';

describe('a failure', () => {
  test.each<[string, boolean, Failure]>([
    ['a timeout', true, { kind: 'Unavailable', why: 'timeout', detail: '' }],
    ['a login page instead of JSON', true, { kind: 'Unavailable', why: 'not-json', detail: '' }],
    ['too many requests', true, { kind: 'RateLimited', retryAfterMs: 30_000, detail: '' }],
    ['a lost answer', true, { kind: 'OutcomeUnknown', detail: '' }],
    ['our own stop', true, { kind: 'Unavailable', why: 'cancelled', detail: '' }],
    ['our own last door', true, { kind: 'Barred', detail: '' }],
    ['a refused key', false, { kind: 'Unauthorized', detail: '' }],
    ['a right that lacks', false, { kind: 'Forbidden', detail: '' }],
    ['a thing that is not there', false, { kind: 'NotFound', detail: '' }],
    ['a refused request', false, { kind: 'Invalid', fields: [], detail: '' }],
  ])('%s says nothing of the thing asked for: %s', (_, expected, failure) => {
    expect(saysNothing(failure)).toBe(expected);
  });

  test.each<[string, Failure]>([
    ['rate limited, asked to wait 31s', { kind: 'RateLimited', retryAfterMs: 30_001, detail: '429' }],
    ['unavailable (dns): no such host', { kind: 'Unavailable', why: 'dns', detail: 'no such host' }],
    ['refused the key: Unauthorized', { kind: 'Unauthorized', detail: 'Unauthorized' }],
    ['key lacks the right: Security', { kind: 'Forbidden', detail: 'Security' }],
    ['not found: member 12', { kind: 'NotFound', detail: 'member 12' }],
    [
      'refused the request: name: too long; level: required',
      {
        kind: 'Invalid',
        fields: [
          { field: 'name', message: 'too long' },
          { field: 'level', message: 'required' },
        ],
        detail: 'InvalidObject',
      },
    ],
    ['refused the request: InvalidObject', { kind: 'Invalid', fields: [], detail: 'InvalidObject' }],
    ['answer lost, it may have been applied: reset', { kind: 'OutcomeUnknown', detail: 'reset' }],
  ])('is told as "%s"', (words, failure) => {
    expect(describeFailure(failure)).toBe(words);
  });

  it('is told in one line, whatever it is', () => {
    fc.assert(
      fc.property(fc.oneof(weather, refusal), (failure) => {
        const words = describeFailure(failure);
        expect(words).not.toBe('');
        expect(words).not.toContain('\n');
      }),
    );
  });
});

describe('an outcome', () => {
  it('is a value: what came, or why nothing did', () => {
    const failure: Failure = { kind: 'NotFound', detail: 'x' };
    expect(ok(7)).toEqual({ ok: true, value: 7 });
    expect(failed(failure)).toEqual({ ok: false, failure });
  });
});
