import type { z } from 'zod';
import type { Context } from '../context.ts';
import { readPair, typedLine } from '../prompt.ts';

/** Questions to a person at a terminal. What cannot be an answer is told, and asked again. */
export class Asker {
  readonly #context: Context;

  constructor(context: Context) {
    this.#context = context;
  }

  /** Words between the questions. */
  say(text: string, indent = 0): void {
    const { errors } = this.#context;
    this.#context.note(errors.paragraph(text, indent));
  }

  title(text: string): void {
    const { errors } = this.#context;
    this.#context.note(`\n${errors.paint('bold', text)}`);
  }

  good(text: string): void {
    this.#mark('green', '✓', text);
  }

  bad(text: string): void {
    this.#mark('red', '✗', text);
  }

  warn(text: string): void {
    this.#mark('yellow', '!', text);
  }

  #mark(colour: 'green' | 'red' | 'yellow', sign: string, text: string): void {
    const { errors } = this.#context;
    this.#context.note(errors.paint(colour, errors.paragraph(text, 4, `  ${sign} `)));
  }

  /** A line that the schema takes; an empty one is the suggestion, where there is one. */
  async line<T>(question: string, schema: z.ZodType<T>, suggestion: string | null = null): Promise<T> {
    for (;;) {
      const shown = suggestion === null ? '' : ` [${suggestion}]`;
      const typed = (await typedLine(this.#context.io, `${question}${shown}: `)) || (suggestion ?? '');
      const read = schema.safeParse(typed);
      if (read.success) return read.data;
      this.bad(read.error.issues[0]?.message ?? 'That cannot be used.');
    }
  }

  /** One of some words; its beginning is enough. */
  async choice<const T extends string>(question: string, choices: readonly T[], suggestion: T): Promise<T> {
    for (;;) {
      const typed = await typedLine(
        this.#context.io,
        `${question} (${choices.join(', ')}) [${suggestion}]: `,
      );
      const chosen =
        typed === '' ? [suggestion] : choices.filter((one) => one.startsWith(typed.toLowerCase()));
      if (chosen.length === 1) return chosen[0]!;
      const exact = choices.find((one) => one === typed.toLowerCase());
      if (exact !== undefined) return exact;
      this.bad(`Type one of: ${choices.join(', ')}.`);
    }
  }

  async yes(question: string, suggestion: boolean): Promise<boolean> {
    return (await this.choice(question, ['yes', 'no'], suggestion ? 'yes' : 'no')) === 'yes';
  }

  pair(labels: readonly [string, string]): Promise<[string, string]> {
    return readPair(this.#context.io, labels);
  }
}
