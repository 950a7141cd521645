/** Real time, as a port: tests let a span pass by calling back themselves. */
export interface Timers {
  /** Calls back once after `ms`; answers how to call that off. */
  after(ms: number, callback: () => void): () => void;
}

export const systemTimers: Timers = {
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
