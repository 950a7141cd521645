import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';
import { SimulatorControl } from '../../src/simulator/index.ts';
import { runSimulator } from '../../src/simulator/main.ts';

const ROOT = resolve(import.meta.dirname, '../..');

test('as a process of its own it says where it listens, and ends cleanly on SIGTERM', async () => {
  const args = ['dist/main.js', 'simulate', '--port', '0', '--sync-every', '1h'];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    lines.push(line);
    if (line.startsWith('Every console')) break;
  }
  const controlUrl = /http:\S+/.exec(lines[2] ?? '')?.[0] ?? '';
  expect(await new SimulatorControl(controlUrl).listCompanies()).toHaveLength(13);
  expect(lines.at(-1)).toBe('Every console syncs each 3600 s.');
  child.kill('SIGTERM');
  expect(await ended).toEqual([0, null]);
});

test('in the same process it can be seeded with one trouble, or with nothing', async () => {
  const lines: string[] = [];
  const print = (line: string) => lines.push(line);
  const one = await runSimulator({ portBase: 0, scenario: 'key-dead', print });
  const none = await runSimulator({ portBase: 0, scenario: 'empty', print });
  expect([one.world.listCompanies().length, none.world.listCompanies().length]).toEqual([1, 0]);
  expect(lines).toHaveLength(8);
  await Promise.all([one.close(), none.close()]);
});
