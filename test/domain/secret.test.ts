import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { pino } from 'pino';
import { describe, expect, it, test } from 'vitest';
import { Secret, type KeyPair } from '../../src/domain/secret.ts';

const VALUE = 'correct-horse-battery-staple';

/** Everything that a line of pino would hold. */
function logged(value: unknown): string {
  const lines: string[] = [];
  pino({}, { write: (line: string) => lines.push(line) }).info({ value }, 'given');
  return lines.join('');
}

const WAYS: [string, (value: unknown) => string][] = [
  ['String()', String],
  ['a template', (value) => `said: ${value as string}`],
  ['concatenation', (value) => 'x' + (value as string)],
  ['join', (value) => ['x', value].join()],
  ['JSON', (value) => JSON.stringify({ value, list: [value] })],
  ['inspect', (value) => inspect(value)],
  ['inspect of what is around it', (value) => inspect({ pair: { value } })],
  [
    'inspect with everything shown',
    (value) => inspect(value, { showHidden: true, depth: null, getters: true }),
  ],
  ['inspect without custom ways', (value) => inspect({ value }, { customInspect: false, showHidden: true })],
  ['format %s', (value) => format('%s', value)],
  ['format %o', (value) => format('%o', value)],
  ['format %O', (value) => format('%O', value)],
  ['format %j', (value) => format('%j', value)],
  ['format without a place for it', (value) => format('given', value)],
  ['the cause of an error', (value) => inspect(new Error('failed', { cause: value }))],
  ['the message of an error', (value) => new Error(`failed: ${value as string}`).stack ?? ''],
  ['a property of an error', (value) => inspect(Object.assign(new Error('failed'), { value }))],
  ['a log line', logged],
  ['own keys', (value) => Reflect.ownKeys(value as object).join()],
  ['entries', (value) => JSON.stringify(Object.entries(value as object))],
  ['a spread copy', (value) => inspect({ ...(value as object) }, { showHidden: true })],
  ['a structured clone', (value) => inspect(structuredClone(value), { showHidden: true })],
  ['an assertion’s view', (value) => inspect(Object.getOwnPropertyDescriptors(value as object))],
];

describe('a secret', () => {
  it('is given out by reveal, as it is', () => {
    fc.assert(fc.property(fc.string(), (value) => new Secret(value).reveal() === value));
  });

  test.each(WAYS)('is not told by %s', (_, told) => {
    expect(told(new Secret(VALUE))).not.toContain(VALUE);
  });

  test.each(WAYS.slice(0, 8))('is named instead by %s', (_, told) => {
    expect(told(new Secret(VALUE))).toContain('[secret]');
  });

  it('is not told by what compares or converts it', () => {
    const secret = new Secret(VALUE);
    expect(Number(secret)).toBeNaN();
    expect(String(Object(secret))).toBe('[secret]');
    expect(secret as unknown as string).not.toBe(VALUE);
  });

  it('is not told by the pair that it is half of', () => {
    const pair: KeyPair = { publicHalf: 'public', privateHalf: new Secret(VALUE) };
    for (const [, told] of WAYS.slice(4, 18)) expect(told(pair)).not.toContain(VALUE);
    expect(inspect(pair)).toBe("{ publicHalf: 'public', privateHalf: [secret] }");
  });
});
