import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { TestProject } from 'vitest/node';
import { startTestServer } from './postgres.ts';

declare module 'vitest' {
  interface ProvidedContext {
    postgres: { url: string; template: string };
  }
}

/**
 * Once for the whole run: a server with one migrated template, which each test file clones (`createTestDatabase`), and the
 * program as it is built, since that is what people run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  await promisify(execFile)('npm', ['run', 'build'], { cwd: project.config.root });
  const server = await startTestServer();
  project.provide('postgres', { url: server.url, template: server.template });
  return () => server.stop();
}
