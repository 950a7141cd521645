import type { CliIo } from './io.ts';

/** How each vendor calls the two halves of a pair. */
export const CONNECTWISE_LABELS = ['Public key', 'Private key'] as const;
export const UMBRELLA_LABELS = ['Key', 'Secret'] as const;

/** What was given for a secret cannot be used; nothing was sent. */
export class BadSecretInput extends Error {}

/** The person left, or the input ended. */
export class GivenUp extends BadSecretInput {}

/**
 * Two secret lines: asked for without echo on a terminal, else the two lines of standard input. They are never
 * arguments, which every user of the machine could read.
 */
export async function readPair(
  io: Pick<CliIo, 'stdin' | 'stderr'>,
  labels: readonly [string, string],
): Promise<[string, string]> {
  const [first = '', second = ''] = await readSecrets(io, labels);
  return [first, second];
}

/** Likewise one line. */
export async function readSecret(io: Pick<CliIo, 'stdin' | 'stderr'>, label: string): Promise<string> {
  const [only = ''] = await readSecrets(io, [label]);
  return only;
}

async function readSecrets(
  io: Pick<CliIo, 'stdin' | 'stderr'>,
  labels: readonly string[],
): Promise<string[]> {
  const values = io.stdin.isTTY ? await ask(io, labels) : await linesOf(io.stdin, labels);
  for (const [index, value] of values.entries()) {
    const label = labels[index];
    if (value === '') throw new BadSecretInput(`${label} is empty. Nothing was sent.`);
    if (/[\s\p{Cc}]/u.test(value))
      throw new BadSecretInput(`${label} has a blank or a control character in it. Nothing was sent.`);
  }
  return values;
}

/** One line as it is typed on a terminal, shown; what is pasted after it is dropped. Nothing, where it ends. */
export async function readLine(io: Pick<CliIo, 'stdin' | 'stderr'>, question: string): Promise<string> {
  return (await lineTyped(io, question)) ?? '';
}

/** Likewise, for a row of questions: who ends the input gives all of them up. */
export async function typedLine(io: Pick<CliIo, 'stdin' | 'stderr'>, question: string): Promise<string> {
  const line = await lineTyped(io, question);
  if (line === null) throw new GivenUp('The input ended. What was answered so far is kept.');
  return line;
}

/** Null: the input ended before a line did. */
async function lineTyped(io: Pick<CliIo, 'stdin' | 'stderr'>, question: string): Promise<string | null> {
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
  const [line = '', ...rest] = text.split(/[\r\n]/);
  return rest.length === 0 && line === '' ? null : line.trim();
}

const MOST_INPUT = 64 * 1024;

async function linesOf(stdin: CliIo['stdin'], labels: readonly string[]): Promise<string[]> {
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
  if (lines.length !== labels.length) {
    const wanted = labels.length === 1 ? 'one line' : 'two lines';
    throw new BadSecretInput(
      `Standard input must be ${wanted}: ${labels.join(', then ')}. It had ${lines.length}.`,
    );
  }
  return lines;
}

/** Reads keys one by one, since a line editor would show them. Pasting both lines at once works too. */
async function ask(
  { stdin, stderr }: Pick<CliIo, 'stdin' | 'stderr'>,
  labels: readonly string[],
): Promise<string[]> {
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
        if (key === '\u0003' || key === '\u0004') throw new GivenUp('Given up. Nothing was sent.');
        if (key === '\u007f' || key === '\b') line = line.slice(0, -1);
        else if (key === '\r' || key === '\n') {
          answers.push(line.trim());
          line = '';
          stderr.write('\n');
          if (answers.length === labels.length) return answers;
          stderr.write(`${labels[answers.length]} (not shown): `);
        } else line += key;
      }
    }
    throw new GivenUp('The input ended. Nothing was sent.');
  } finally {
    stdin.setRawMode?.(false);
    stdin.pause();
  }
}
