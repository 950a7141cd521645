import { Pool } from 'undici';
import type { BareCall, BareTenant } from './calls.ts';

/**
 * The baseline of a sweep, in a process of its own: nothing but undici making the calls that it is given, as
 * many tenants at once as the service, over as many connections, each answer read and parsed as JSON.
 */

export interface Load {
  connectwiseUrl: string;
  umbrellaUrl: string;
  concurrency: number;
  tenants: readonly BareTenant[];
}

/** What it is told, and what it answers. */
export type ToBareLoop = { load: Load } | 'sweep';
export type FromBareLoop = 'loaded' | { ms: number };

/** As many as the service opens to one origin. */
const CONNECTIONS = 64;

let pools: Record<BareCall['vendor'], Pool> | null = null;
let load: Load | null = null;

process.on('message', (message: ToBareLoop) => {
  if (message === 'sweep') {
    void sweep().then((ms) => process.send?.({ ms } satisfies FromBareLoop));
    return;
  }
  load = message.load;
  const options = { connections: CONNECTIONS, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 };
  pools = {
    connectwise: new Pool(load.connectwiseUrl, options),
    umbrella: new Pool(load.umbrellaUrl, options),
  };
  process.send?.('loaded' satisfies FromBareLoop);
});
process.once('disconnect', () => process.exit());

async function sweep(): Promise<number> {
  if (load === null) throw new Error('a sweep of nothing');
  const { tenants, concurrency } = load;
  const started = performance.now();
  let next = 0;
  const worker = async () => {
    for (let tenant = tenants[next++]; tenant !== undefined; tenant = tenants[next++]) {
      for (const call of tenant) await make(call);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
  return performance.now() - started;
}

async function make({ vendor, method, path, headers }: BareCall): Promise<void> {
  if (pools === null) throw new Error('no pools');
  const answer = await pools[vendor].request({ method, path, headers });
  await answer.body.json();
  if (answer.statusCode !== 200) throw new Error(`${method} ${path} answered ${answer.statusCode}`);
}
