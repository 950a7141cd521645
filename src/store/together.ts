import { setImmediate as immediate } from 'node:timers/promises';

/**
 * Gathers calls into statements of many: whoever comes while a statement is under way goes with the next one, so
 * that a lone call waits for nothing and a crowd shares round trips and commits.
 *
 * `answer` is given at most `most` items and gives their results in the same order.
 */
export function together<T, R>(answer: (items: T[]) => Promise<R[]>, most: number): (item: T) => Promise<R> {
  interface Waiting {
    item: T;
    settle: (result: R) => void;
    fail: (error: unknown) => void;
  }
  let waiting: Waiting[] = [];
  let busy = false;

  async function run(): Promise<void> {
    while (waiting.length > 0) {
      // Whoever else calls in this turn of the event loop goes along.
      await immediate();
      const some = waiting.slice(0, most);
      waiting = waiting.slice(most);
      try {
        const results = await answer(some.map(({ item }) => item));
        for (const [index, { settle }] of some.entries()) settle(results[index]!);
      } catch (error) {
        for (const { fail } of some) fail(error);
      }
    }
    busy = false;
  }

  return (item) =>
    new Promise((settle, fail) => {
      waiting.push({ item, settle, fail });
      if (busy) return;
      busy = true;
      void run();
    });
}
