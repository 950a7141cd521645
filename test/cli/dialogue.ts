import { PassThrough } from 'node:stream';
import type { CliIo, Input } from '../../src/cli/io.ts';
import { run, type Ran } from './harness.ts';

/** A question, by words in it, and what is typed; null: the terminal is closed. */
export type Turn = readonly [question: string, typed: string | null];

/**
 * A person at a terminal who answers each question when it is asked. What they were asked and did not expect is
 * told; what they expected and were not asked is in `left`.
 */
export async function converse(
  args: readonly string[],
  turns: readonly Turn[],
  world: Partial<CliIo> = {},
): Promise<Ran & { left: Turn[]; raw: boolean[] }> {
  const left = [...turns];
  const raw: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (on: boolean) => void raw.push(on),
  }) as unknown as PassThrough & Input;
  let shown = '';
  let open = '';
  const hear = (text: string) => {
    shown += text;
    open += text;
    if (!open.endsWith(': ')) return;
    const asked = open;
    open = '';
    const [turn] = left;
    if (!turn || !asked.includes(turn[0])) {
      stdin.destroy(new Error(`asked, and not expected: ${asked.slice(-300)}`));
      return;
    }
    left.shift();
    setImmediate(() => (turn[1] === null ? stdin.end() : stdin.write(`${turn[1]}\r`)));
  };
  const ran = await run(args, {
    ...world,
    stdin,
    stderr: { write: hear, isTTY: false },
  });
  return { ...ran, err: shown, left, raw };
}
