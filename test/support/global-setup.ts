import type { TestProject } from 'vitest/node';
import { startTestServer } from './postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: { url: string; template: string };
  }
}

/** One server and one migrated template for the whole run; each test file clones it (`createTestDatabase`). */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const server = await startTestServer();
  project.provide('postgres', { url: server.url, template: server.template });
  return () => server.stop();
}
