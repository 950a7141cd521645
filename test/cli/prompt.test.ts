import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it, test } from 'vitest';
import type { Input } from '../../src/cli/io.ts';
import { BadSecretInput, readPair } from '../../src/cli/prompt.ts';

const LABELS = ['Public key', 'Private key'] as const;
const ASKED_BOTH = 'Public key (not shown): \nPrivate key (not shown): \n';

/** What a person typed, or a pipe gave, part by part; and what became of the terminal. */
async function read(parts: readonly (string | Buffer)[], terminal: boolean) {
  const raw: boolean[] = [];
  let shown = '';
  const stdin: Input = Object.assign(Readable.from(parts, { objectMode: false }), {
    isTTY: terminal,
    setRawMode: (on: boolean) => raw.push(on),
  });
  const stderr = { write: (text: string) => (shown += text) };
  try {
    return { pair: await readPair({ stdin, stderr }, LABELS), refused: null, shown, raw, stdin };
  } catch (error) {
    if (!(error instanceof BadSecretInput)) throw error;
    return { pair: null, refused: error.message, shown, raw, stdin };
  }
}

describe('on a terminal', () => {
  test.each<[string, string[]]>([
    ['key by key', 'pub\rpriv\r'.split('')],
    ['line by line', ['pub\r', 'priv\r']],
    ['both at once', ['pub\npriv\n']],
    ['both at once, copied on Windows', ['pub\r\npriv\r\n']],
    ['copied on Windows and cut between the characters of a line end', ['pub\r', '\npriv', '\r', '\n']],
    ['with blanks around', [' pub \r', '\tpriv\r']],
    ['with more after it', ['pub\rpriv\rmore']],
    ['with an erased letter', ['pux\u007fb\r', 'pri\u0008iv\r']],
    ['with more erased than there was', ['\u007f\u007fpub\r', 'x\u007f\u007f\u007fpriv\r']],
  ])('a pair is read that is given %s', async (_, parts) => {
    const { pair, shown, raw } = await read(parts, true);
    expect(pair).toEqual(['pub', 'priv']);
    expect(shown).toBe(ASKED_BOTH);
    expect(raw).toEqual([true, false]);
  });

  test.each<[string, string[], string]>([
    ['Ctrl-C at once', ['\u0003'], 'Given up. Nothing was sent.'],
    ['Ctrl-C in the second line', ['pub\r', 'pri\u0003'], 'Given up. Nothing was sent.'],
    ['Ctrl-D', ['pub\u0004'], 'Given up. Nothing was sent.'],
    ['the end of the input', ['pub\r', 'pri'], 'The input ended. Nothing was sent.'],
    ['no input at all', [], 'The input ended. Nothing was sent.'],
    ['an empty line', ['\r', 'priv\r'], 'Public key is empty. Nothing was sent.'],
    ['a line of blanks', ['pub\r', '  \r'], 'Private key is empty. Nothing was sent.'],
    [
      'a blank inside',
      ['pub lic\r', 'priv\r'],
      'Public key has a blank or a control character in it. Nothing was sent.',
    ],
    [
      'an arrow key',
      ['pub\r', 'pri\u001b[Dv\r'],
      'Private key has a blank or a control character in it. Nothing was sent.',
    ],
  ])('%s ends it without a pair, and gives the terminal back', async (_, parts, words) => {
    const { pair, refused, raw, stdin } = await read(parts, true);
    expect([pair, refused]).toEqual([null, words]);
    expect(raw).toEqual([true, false]);
    expect(stdin.isPaused()).toBe(true);
  });

  it('nothing that is typed is ever shown', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(fc.constant('SENTINEL'), fc.constantFrom('\r', '\n', '\u007f', 'x', ' ', '\u001b[A')),
        ),
        async (parts) => {
          const { shown, refused } = await read(parts, true);
          expect(ASKED_BOTH.startsWith(shown)).toBe(true);
          expect(refused ?? '').not.toContain('SENTINEL');
        },
      ),
    );
  });
});

describe('from standard input', () => {
  test.each<[string, (string | Buffer)[]]>([
    ['two lines', ['pub\npriv\n']],
    ['two lines of Windows', ['pub\r\npriv\r\n']],
    ['two lines, the last one not ended', ['pub\npriv']],
    ['two lines with blanks around and empty ones after', [' pub\t\npriv  \n\n\n']],
    ['two lines in parts', ['p', 'ub', '\n', 'priv\n']],
  ])('%s are a pair, and nobody is asked', async (_, parts) => {
    const { pair, shown, raw } = await read(parts, false);
    expect([pair, shown, raw]).toEqual([['pub', 'priv'], '', []]);
  });

  it('a letter of several bytes may be cut by the pipe', async () => {
    const [first, second] = [Buffer.from('pü\npriv\n').subarray(0, 2), Buffer.from('pü\npriv\n').subarray(2)];
    expect((await read([first, second], false)).pair).toEqual(['pü', 'priv']);
  });

  const must = (had: number) =>
    `Standard input must be two lines: Public key, then Private key. It had ${had}.`;
  test.each<[string, string[], string]>([
    ['nothing', [], must(0)],
    ['one line', ['SENTINEL\n'], must(1)],
    ['three lines', ['SENTINEL\nSENTINEL\nSENTINEL\n'], must(3)],
    ['an empty line before', ['\nSENTINEL\nSENTINEL\n'], must(3)],
    ['an empty first line', ['\nSENTINEL\n'], 'Public key is empty. Nothing was sent.'],
    [
      'a blank inside',
      ['SENTINEL SENTINEL\nx\n'],
      'Public key has a blank or a control character in it. Nothing was sent.',
    ],
    [
      'a file that is something else',
      Array.from({ length: 100 }, () => 'SENTINEL'.repeat(1_000)),
      'Standard input is longer than any pair of keys. Nothing was sent.',
    ],
  ])('%s is refused', async (_, parts, words) => {
    const { pair, refused, shown } = await read(parts, false);
    expect([pair, refused, shown]).toEqual([null, words, '']);
  });
});
