import type { CliIo } from './io.ts';

/** What was given for a secret cannot be used; nothing was sent. */
export class BadSecretInput extends Error {}

/**
 * Two secret lines: asked for without echo on a terminal, else the two lines of standard input. They are never
 * arguments, which every user of the machine could read.
 */
export async function readPair(
  io: Pick<CliIo, 'stdin' | 'stderr'>,
  labels: readonly [string, string],
): Promise<[string, string]> {
  const [first, second] = io.stdin.isTTY ? await ask(io, labels) : await twoLines(io.stdin, labels);
  for (const [value, label] of [
    [first, labels[0]],
    [second, labels[1]],
  ] as const) {
    if (value === '') throw new BadSecretInput(`${label} is empty. Nothing was sent.`);
    if (/[\s\p{Cc}]/u.test(value))
      throw new BadSecretInput(`${label} has a blank or a control character in it. Nothing was sent.`);
  }
  return [first, second];
}

/** One line as it is typed on a terminal, shown; what is pasted after it is dropped. */
export async function readLine(io: Pick<CliIo, 'stdin' | 'stderr'>, question: string): Promise<string> {
  const { stdin, stderr } = io;
  stderr.write(question);
  stdin.setEncoding('utf8');
  let text = '';
  try {
    for await (const part of stdin.iterator({ destroyOnReturn: false })) {
      text += String(part);
      if (/[\r\n]/.test(text) || text.length > MOST_INPUT) break;
    }
  } finally {
    stdin.pause();
  }
  return (text.split(/[\r\n]/)[0] ?? '').trim();
}

const MOST_INPUT = 64 * 1024;

async function twoLines(stdin: CliIo['stdin'], labels: readonly [string, string]): Promise<[string, string]> {
  let text = '';
  stdin.setEncoding('utf8');
  for await (const part of stdin) {
    text += String(part);
    if (text.length > MOST_INPUT) {
      throw new BadSecretInput('Standard input is longer than any pair of keys. Nothing was sent.');
    }
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  const [first, second] = lines;
  if (lines.length !== 2 || first === undefined || second === undefined) {
    throw new BadSecretInput(
      `Standard input must be two lines: ${labels[0]}, then ${labels[1]}. It had ${lines.length}.`,
    );
  }
  return [first, second];
}

/** Reads keys one by one, since a line editor would show them. Pasting both lines at once works too. */
async function ask(
  { stdin, stderr }: Pick<CliIo, 'stdin' | 'stderr'>,
  labels: readonly [string, string],
): Promise<[string, string]> {
  const answers: string[] = [];
  let line = '';
  let before = '';
  stdin.setEncoding('utf8');
  stdin.setRawMode?.(true);
  stderr.write(`${labels[0]} (not shown): `);
  try {
    // The terminal must still be there to be set back.
    for await (const part of stdin.iterator({ destroyOnReturn: false })) {
      for (const key of String(part)) {
        const endsTwice = before === '\r' && key === '\n';
        before = key;
        if (endsTwice) continue;
        if (key === '\u0003' || key === '\u0004') throw new BadSecretInput('Given up. Nothing was sent.');
        if (key === '\u007f' || key === '\b') line = line.slice(0, -1);
        else if (key === '\r' || key === '\n') {
          answers.push(line.trim());
          line = '';
          stderr.write('\n');
          const [first, second] = answers;
          if (first !== undefined && second !== undefined) return [first, second];
          stderr.write(`${labels[1]} (not shown): `);
        } else line += key;
      }
    }
    throw new BadSecretInput('The input ended. Nothing was sent.');
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
  }
}
