import { defineConfig } from 'vitest/config';

/**
 * `fast` is what `npm test` runs: everything but the suites that need minutes. `slow` (kill tests, soak)
 * is added by `npm run test:all`. A file says which one it is by its name: `*.slow.test.ts`.
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
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'slow',
          include: ['test/**/*.slow.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
