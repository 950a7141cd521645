import { hash } from 'node:crypto';
import { frozen } from '../../domain/frozen.ts';

/**
 * The longest name or other text that is taken from a row, in characters: what is read is kept and told in full. The
 * vendors' own limits are lower (300 at most).
 */
export const LONGEST_TEXT = 1_000;

/** Smaller answers are read sooner than they are recognised. */
const WORTH_BYTES = 4_096;
/** As many as ten thousand tenants have; the oldest go first. */
const MOST_ANSWERS = 30_000;
/** Of all values that differ, as JSON writes them. */
const MOST_CHARACTERS = 8_000_000;

interface Shared {
  name: string;
  value: unknown;
  characters: number;
  /** Answers that were understood as this. */
  answers: number;
}

/**
 * What large answers were understood as, by the hash of their bytes: a role's rows come the same every time, and
 * are parsed and checked only when they come otherwise. Equal values are kept once, since the roles of a fleet
 * are much alike, and frozen, since all who ask share them.
 */
export class Understood {
  readonly #answers = new Map<string, { reader: object; shared: Shared }>();
  readonly #values = new Map<string, Shared>();
  #characters = 0;

  /** Names an answer's bytes; null: they are not worth remembering. */
  nameOf(bytes: Uint8Array): string | null {
    return bytes.length < WORTH_BYTES ? null : hash('sha256', bytes, 'base64');
  }

  /** Whether these bytes were understood before. */
  has(name: string): boolean {
    return this.#answers.has(name);
  }

  /** What that reader understood them as, if it was the last one that did. */
  get(name: string, reader: object): unknown {
    const answer = this.#answers.get(name);
    return answer?.reader === reader ? answer.shared.value : undefined;
  }

  /** Remembers the value, frozen, and answers the one that is kept for all that are equal to it. */
  keep<T extends object>(name: string, reader: object, value: T): T {
    const json = JSON.stringify(value);
    const content = hash('sha256', json, 'base64');
    let shared = this.#values.get(content);
    if (shared === undefined) {
      shared = { name: content, value: frozen(value), characters: json.length, answers: 0 };
      this.#values.set(content, shared);
      this.#characters += json.length;
    }
    shared.answers += 1;
    this.#forget(name);
    this.#answers.set(name, { reader, shared });
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= MOST_ANSWERS && this.#characters <= MOST_CHARACTERS) break;
      this.#forget(oldest);
    }
    return shared.value as T;
  }

  #forget(name: string): void {
    const answer = this.#answers.get(name);
    if (answer === undefined) return;
    this.#answers.delete(name);
    const { shared } = answer;
    shared.answers -= 1;
    if (shared.answers > 0) return;
    this.#values.delete(shared.name);
    this.#characters -= shared.characters;
  }
}
