import { execFileSync } from 'node:child_process';
import { constants, openSync, readSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { symbols } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import { createLog, type LogOptions } from '../src/log.ts';

/** A log that writes nothing any more, and closes its pipe, once the test has ended. */
function logTo(to: number, options: Partial<LogOptions> = {}) {
  const log = createLog({ level: 'info', to, ...options });
  const lines = (log as unknown as Record<symbol, { destroy(): void }>)[symbols.streamSym]!;
  onTestFinished(() => lines.destroy());
  return log;
}

/** A pipe whose reader may stand still. */
async function pipe(): Promise<{ fd: number; read: () => string }> {
  const folder = await mkdtemp(join(tmpdir(), 'parasol-log-'));
  const path = join(folder, 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => rm(folder, { recursive: true }));
  let text = '';
  const read = () => {
    const part = Buffer.alloc(65_536);
    try {
      text += part.toString('utf8', 0, readSync(fd, part));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
    }
    return text;
  };
  return { fd, read };
}

const numbers = (text: string): number[] =>
  [...text.matchAll(/"number":(\d+),/g)].map(([, number]) => Number(number));

test('whoever stands still loses lines, and is told how many once it reads again', async () => {
  const { fd, read } = await pipe();
  const log = logTo(fd, { mostBytes: 100_000 });
  const written = 5_000;
  for (let number = 0; number < written; number += 1) {
    log.info({ number }, 'a line that is long enough to fill a pipe soon');
    if (number % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await vi.waitFor(() => expect(read()).toContain('lines of this log were dropped'), {
    timeout: 30_000,
    interval: 5,
  });
  const { lines } = JSON.parse(/\{[^\n]*lines of this log[^\n]*/.exec(read())![0]) as { lines: number };
  expect(lines).toBeGreaterThan(0);
  expect(numbers(read())).toHaveLength(written - lines);
});

test('a warning leaves at once, and takes along what was gathered', async () => {
  const { fd, read } = await pipe();
  const log = logTo(fd);
  log.info({ number: 1 }, 'gathered');
  log.debug({ number: 2 }, 'not asked for');
  log.warn({ number: 3 }, 'at once');
  await vi.waitFor(() => expect(numbers(read())).toEqual([1, 3]), { timeout: 30_000 });
});
