import { once } from 'node:events';
import { ratiosOf, summarise, type Finding } from './measure.ts';
import { forkNode, processorMs } from './processes.ts';
import type { Stage } from './stage.ts';

const REPETITIONS = 7;
const LISTENERS = 500;
const GOAL = 1.1;
/** Each token may ask so often a minute; listeners come and go by the hundred here. */
const TOKENS = 20;
/** Of so many tenants one has an event in each sweep: a fleet in which something always happens. */
const ONE_OF = 20;

/** What the process of the listeners is told, and what it tells. */
export type ToListeners = { open: { url: string; tokens: string[]; count: number } } | 'close' | 'count';
export type FromListeners = { open: number } | { events: number };

/**
 * Sweeps of the fleet while nobody listens to its events and while 500 do, by turns; in both something happens
 * meanwhile, so that the listeners are told something. They have a process of their own.
 */
export async function streamBench(stage: Stage): Promise<Finding[]> {
  await using listeners = forkNode('test/bench/listeners.ts');
  const ask = async (message: ToListeners): Promise<FromListeners> => {
    listeners.process.send(message);
    const [answer] = (await once(listeners.process, 'message')) as [FromListeners];
    return answer;
  };
  const events = Math.ceil(stage.tenants.length / ONE_OF);
  const tokens = await Promise.all(
    Array.from({ length: TOKENS }, async (_, at) => {
      const body = { name: `bench-${at}`, role: 'viewer', tenants: [], labels: [], mayReveal: false };
      return (await stage.client.createToken(body, null)).token;
    }),
  );
  const alone: number[] = [];
  const heard: number[] = [];
  const spent = { alone: [] as number[], heard: [] as number[] };
  let told = 0;
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const before = await processorMs(stage.service.pid);
    alone.push(await eventfulSweep(stage, events));
    const between = await processorMs(stage.service.pid);
    await ask({ open: { url: stage.url, tokens, count: LISTENERS } });
    const opened = await processorMs(stage.service.pid);
    heard.push(await eventfulSweep(stage, events));
    const after = await processorMs(stage.service.pid);
    const answer = await ask('count');
    told += 'events' in answer ? answer.events : 0;
    await ask('close');
    spent.alone.push(between - before);
    spent.heard.push(after - opened);
  }
  const ratio = ratiosOf(heard, alone);
  const processor = (ms: number[]) => summarise(ms).median.toFixed(0);
  return [
    {
      measure: `sweep of ${stage.tenants.length} tenants while ${LISTENERS} follow its events`,
      unit: 'ms',
      value: summarise(heard),
      baseline: { name: 'nobody follows', value: summarise(alone) },
      ratio,
      goal: { text: `at most ${GOAL} × without them`, met: ratio.median <= GOAL },
      note:
        `${events} events a sweep, ${told} told in all; the service’s processor time: ` +
        `${processor(spent.alone)} ms alone, ${processor(spent.heard)} ms with listeners`,
    },
  ];
}

/** A sweep in the midst of which events are committed, one transaction each. */
async function eventfulSweep(stage: Stage, events: number): Promise<number> {
  const sweep = stage.sweep();
  for (let at = 0; at < events; at += 1) {
    await stage.pool.query(
      `insert into events (tenant_id, type, message) values ($1, 'Bench', 'something happened')
       returning pg_notify('parasol_change', tenant_id)`,
      [stage.tenants[(at * ONE_OF) % stage.tenants.length]],
    );
  }
  return sweep;
}
