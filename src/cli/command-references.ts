import { spawn } from 'node:child_process';

/** `${command:op read op://vault/item}`: a program of the person's own whose output is the value. */

/** The value, or what the program did instead, as `ended with 1: not signed in`. */
export type CommandOutput = { ok: true; value: string } | { ok: false; why: string };

export interface CommandWorld {
  env: Readonly<Record<string, string | undefined>>;
  /** Where it runs: paths in it start there. */
  folder: string;
  timeoutMs: number;
}

/**
 * The words of a command, split at blanks. Quotes keep blanks in a word, and a backslash, outside of single quotes,
 * keeps the sign after it; nothing else is special, since no shell reads it. Null: a quote is open at its end.
 *
 * ```ts
 * splitWords(`op read "op://My Vault/item"`); // ['op', 'read', 'op://My Vault/item']
 * ```
 */
export function splitWords(text: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = '';
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at]!;
    if (sign === '\\' && quote !== "'") {
      at += 1;
      if (at === text.length) return null;
      word = (word ?? '') + text[at]!;
    } else if (quote !== '') {
      if (sign === quote) quote = '';
      else word += sign;
    } else if (sign === '"' || sign === "'") {
      quote = sign;
      word ??= '';
    } else if (/\s/.test(sign)) {
      if (word !== null) words.push(word);
      word = null;
    } else word = (word ?? '') + sign;
  }
  if (quote !== '') return null;
  return word === null ? words : [...words, word];
}

/** Longer than any key; a program that gives more is not the one that was meant. */
const MOST_BYTES = 64 * 1024;

/** Runs a command, without a shell and without an input. Of its output nothing is told but the value. */
export async function runCommand(command: string, world: CommandWorld): Promise<CommandOutput> {
  const words = splitWords(command);
  if (words === null) return { ok: false, why: 'has a quote or a backslash too many' };
  const [program, ...args] = words;
  if (program === undefined || program === '') return { ok: false, why: 'has no name' };
  return new Promise((settle) => {
    const child = spawn(program, args, {
      cwd: world.folder,
      env: world.env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const out: Buffer[] = [];
    let words = '';
    let bytes = 0;
    let cut: string | null = null;
    const giveUp = (why: string) => {
      cut ??= why;
      child.kill('SIGKILL');
      // A program of the program may hold them open.
      child.stdout.destroy();
      child.stderr.destroy();
    };
    const timer = setTimeout(
      () => giveUp(`gave no answer within ${Math.round(world.timeoutMs / 1000)}s`),
      world.timeoutMs,
    );
    const end = (output: CommandOutput) => {
      clearTimeout(timer);
      settle(output);
    };
    child.stdout.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes > MOST_BYTES) giveUp('gave far more than a key');
      else out.push(part);
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => {
      words = (words + part).slice(-MOST_WORDS);
    });
    child.on('error', (error: NodeJS.ErrnoException) => end({ ok: false, why: cannotStart(error) }));
    child.on('close', (code, signal) => {
      const text = Buffer.concat(out).toString('utf8');
      if (cut !== null) end({ ok: false, why: cut });
      else if (code !== 0) {
        const how = code === null ? `was ended by ${signal}` : `ended with ${code}`;
        end({ ok: false, why: how + complaint(words, text) });
      } else end(valueOf(text));
    });
  });
}

const MOST_WORDS = 400;

function valueOf(text: string): CommandOutput {
  const value = text.replace(/\r?\n$/, '');
  return value === '' ? { ok: false, why: 'gave nothing' } : { ok: true, value };
}

/** What the program said beside its output, on one line, without its output. */
function complaint(words: string, output: string): string {
  let text = words.replaceAll(/\s+/g, ' ').trim();
  for (const line of output.split(/\s+/)) {
    if (line.length >= 4) text = text.replaceAll(line, '[secret]');
  }
  return text === '' ? '' : `: ${text}`;
}

function cannotStart({ code }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT') return 'is not there: no program of that name is on the PATH';
  return `cannot be started (${code === 'EACCES' ? 'no permission' : (code ?? 'error')})`;
}
