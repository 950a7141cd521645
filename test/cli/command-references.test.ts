import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import { runCommand, splitWords } from '../../src/cli/command-references.ts';

describe('the words of a command', () => {
  test.each([
    ['op read op://it/key', ['op', 'read', 'op://it/key']],
    ['  a   b  ', ['a', 'b']],
    ['op read "op://My Vault/key"', ['op', 'read', 'op://My Vault/key']],
    [`sh -c 'echo "$A" | tr a b'`, ['sh', '-c', 'echo "$A" | tr a b']],
    [String.raw`a\ b "c\"d" 'e\f'`, ['a b', 'c"d', String.raw`e\f`]],
    [`a""b ''`, ['ab', '']],
    ['', []],
    ['a "b', null],
    ["a 'b", null],
    ['a \\', null],
  ])('of %j are %j', (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });

  it('may be any words, each in quotes', () => {
    fc.assert(
      fc.property(fc.array(fc.string()), (words) => {
        const quoted = words.map((word) => `"${word.replaceAll(/["\\]/g, String.raw`\$&`)}"`);
        expect(splitWords(quoted.join(' '))).toEqual(words);
      }),
    );
  });
});

it('a command that gives no answer in time is cut off, and so is what it has started', async () => {
  const world = { env: { PATH: process.env['PATH'] }, folder: '.', timeoutMs: 100 };
  // The second holds the output open when the first is gone.
  const output = await runCommand('sh -c "sleep 30 & sleep 30"', world);
  expect(output).toEqual({ ok: false, why: 'gave no answer within 0s' });
});
