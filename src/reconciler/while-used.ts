export interface WhileUsed {
  /** Resolves once it runs; who has come in must leave. Throws if it cannot be started: then nobody has come in. */
  enter(): Promise<void>;
  leave(): void;
}

/** Runs something as long as anybody uses it; `start` returns what stops it. */
export function whileUsed(
  start: () => Promise<() => Promise<void>>,
  onError: (error: Error) => void,
): WhileUsed {
  let users = 0;
  let running: Promise<() => Promise<void>> | null = null;
  const leave = () => {
    users -= 1;
    if (users > 0) return;
    running?.then((stop) => stop()).catch(onError);
    running = null;
  };
  return {
    async enter() {
      users += 1;
      running ??= start();
      try {
        await running;
      } catch (error) {
        running = null;
        leave();
        throw error;
      }
    },
    leave,
  };
}
