import type { CliIo } from './io.ts';
import { wrap } from './table.ts';

/**
 * One line that says what is waited for: rewritten in place on a terminal; elsewhere, where it would fill a log, a
 * line only when the words change.
 */
export class Progress {
  readonly #io: Pick<CliIo, 'stderr'>;
  readonly #live: boolean;
  #told = '';

  constructor(io: Pick<CliIo, 'stderr'>) {
    this.#io = io;
    this.#live = io.stderr.isTTY === true;
  }

  /** `waitedMs` is shown on a terminal alone. */
  say(words: string, waitedMs: number): void {
    if (!this.#live) {
      if (words !== this.#told) this.#io.stderr.write(`${words}.\n`);
      this.#told = words;
      return;
    }
    const seconds = ` ${Math.round(waitedMs / 1000)}s`;
    const room = (this.#io.stderr.columns ?? 80) - seconds.length - 1;
    this.#io.stderr.write(`\r\u001b[K${wrap(words, room)[0] ?? ''}${seconds}`);
    this.#told = words;
  }

  /** Takes the line away, before anything else is written. */
  end(): void {
    if (this.#live && this.#told !== '') this.#io.stderr.write('\r\u001b[K');
  }
}
