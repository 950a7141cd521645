import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';
import type pg from 'pg';

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

export async function describeMachine(pool: pg.Pool): Promise<Machine> {
  const { rows } = await pool.query<{ server_version: string }>('show server_version');
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cpus: availableParallelism(),
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
    postgres: rows[0]?.server_version ?? 'unknown',
  };
}

export const machineText = ({ cpu, cpus, load, memoryGb, platform, node, postgres }: Machine): string =>
  `${cpus} × ${cpu}, ${memoryGb} GB, ${platform}, Node ${node}, PostgreSQL ${postgres}; load before: ${load}`;
