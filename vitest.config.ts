import { defineConfig } from 'vitest/config';

/**
 * `fast` is what `npm test` runs: everything but the suites that need minutes. `slow` (kill tests, soak)
 * is added by `npm run test:all`. A file says which one it is by its name: `*.slow.test.ts`.
 *
 * The files of `fast` share the modules of their worker, since to load them anew for each is a third of the work.
 * That asks two things: no module keeps more than a cache, and what a helper opens ends with the test
 * (`onTestFinished`), since a hook at the top of a helper is only there for the first file that imports it.
 */
export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'fast',
          include: ['test/**/*.test.ts'],
          exclude: ['test/**/*.slow.test.ts'],
          isolate: false,
          // Vitest's own choice is one less than there are processors, which of two leaves one to wait for the database.
          maxWorkers: '100%',
          // A bound for what hangs, not for what is slow: on a busy machine a test takes several times as long.
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['test/**/*.slow.test.ts'],
          // After the others, and not as many at once: each starts several processes of its own.
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
