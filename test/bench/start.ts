import { once } from 'node:events';
import { summarise, type Finding } from './measure.ts';
import type { Stage } from './stage.ts';

const REPETITIONS = 7;
const GOAL_MS = 1_500;

/** From the start of a service on a database with a fleet to when it is ready, beside another that works. */
export async function startBench(stage: Stage): Promise<Finding[]> {
  const ms: number[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const begun = performance.now();
    const { service, url } = await stage.another();
    while (!(await fetch(`${url}/readyz`)).ok);
    ms.push(performance.now() - begun);
    const ended = once(service.process, 'exit');
    service.process.kill('SIGTERM');
    await ended;
  }
  const value = summarise(ms);
  return [
    {
      measure: `start to ready, a database of ${stage.tenants.length} tenants`,
      unit: 'ms',
      value,
      baseline: null,
      ratio: null,
      goal: { text: `median under ${GOAL_MS} ms`, met: value.median < GOAL_MS },
      note: `${REPETITIONS} times`,
    },
  ];
}
