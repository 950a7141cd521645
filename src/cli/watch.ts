import { Option, type Command } from 'commander';
import { ServiceRefused, ServiceUnreachable } from './client.ts';
import { duration, type Context } from './context.ts';
import type { ExitCode } from './io.ts';
import type { Sheet } from './sheet.ts';

/** A look that may be taken again and again, until somebody leaves. */

export interface Look<T> {
  answer: T;
  text: (sheet: Sheet, answer: T) => string;
  /** How the command ends by it. */
  code: ExitCode;
}

/** The options of a look that may be repeated. */
export interface Watching {
  watch?: boolean;
  /** Ms between two looks. */
  every: number;
}

export const watched = (command: Command): Command =>
  command
    .option('--watch', 'look again and again, until Ctrl-C')
    .addOption(
      new Option('--every <duration>', 'how often --watch looks').argParser(duration).default(2_000, '2s'),
    );

/** Home, and clear what is below: nothing flickers, and nothing that was scrolled away is touched. */
const REDRAW = '\u001b[H\u001b[J';

/**
 * Shows one look; with `--watch` each one that differs from the one before, in place on a terminal, one after the
 * other elsewhere. A service that is away for a while is waited for. Ends as the last look did.
 */
export async function showOrWatch<T>(
  context: Context,
  { watch = false, every }: Watching,
  look: () => Promise<Look<T>>,
): Promise<void> {
  const { io } = context;
  const first = await look();
  const live = io.stdout.isTTY === true;
  if (!watch) {
    context.show(first.answer, first.text);
    return io.exit(first.code);
  }
  const left = io.interrupted().then(() => true);
  let last = first;
  let told = '';
  for (;;) {
    const now = JSON.stringify(last.answer);
    // On a terminal ages go on, though nothing else does.
    if (live || now !== told) {
      if (live) io.stdout.write(REDRAW);
      context.show(last.answer, last.text);
    }
    told = now;
    if (await Promise.race([left, io.sleep(every).then(() => false)])) return io.exit(last.code);
    try {
      last = await look();
    } catch (error) {
      const away =
        error instanceof ServiceUnreachable || (error instanceof ServiceRefused && error.isWeather);
      if (!away) throw error;
      context.note(context.errors.paragraph(error.message));
    }
  }
}
