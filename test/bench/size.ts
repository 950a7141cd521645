import { ratiosOf, summarise, type Finding } from './measure.ts';
import { childrensProcessorMs, processorMs } from './processes.ts';
import { setStage, type Stage } from './stage.ts';

const SMALL = 500;
const LARGE = 10_000;
const REPETITIONS = 3;
const GOAL = 1.2;

/** What a tenant costs in a sweep of a large fleet, against a sweep of a small one; each has a database of its own. */
export async function sizeBench(say: (line: string) => void): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  const small = await setStage(stack, { tenants: SMALL, profile: null, say });
  const large = await setStage(stack, { tenants: LARGE, profile: null, say });
  const costs: Record<'small' | 'large', Cost[]> = { small: [], large: [] };
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    // For about as long, since what comes by the clock belongs to both.
    costs.small.push(await costOf(small, LARGE / SMALL));
    costs.large.push(await costOf(large, 1));
  }
  const each = (of: Cost[], part: keyof Cost) => of.map((cost) => cost[part]);
  const ratio = ratiosOf(each(costs.large, 'ms'), each(costs.small, 'ms'));
  const processor = (of: Cost[]) =>
    `service ${summarise(each(of, 'service')).median.toFixed(2)} ms, PostgreSQL ${summarise(each(of, 'database')).median.toFixed(2)} ms`;
  return [
    {
      measure: `a tenant in a sweep of ${LARGE}`,
      unit: 'ms',
      value: summarise(each(costs.large, 'ms')),
      baseline: { name: `in a sweep of ${SMALL}`, value: summarise(each(costs.small, 'ms')) },
      ratio,
      goal: { text: `at most ${GOAL} × of ${SMALL}`, met: ratio.median <= GOAL },
      note: `processor time of a tenant: of ${SMALL} ${processor(costs.small)}; of ${LARGE} ${processor(costs.large)}`,
    },
  ];
}

/** Of one tenant, in milliseconds. */
interface Cost {
  ms: number;
  service: number;
  database: number;
}

async function costOf(stage: Stage, sweeps: number): Promise<Cost> {
  const { service, postgresPid, tenants } = stage;
  const before = {
    service: await processorMs(service.pid),
    database: await childrensProcessorMs(postgresPid),
  };
  let ms = 0;
  for (let times = 0; times < sweeps; times += 1) ms += await stage.sweep();
  const runs = sweeps * tenants.length;
  return {
    ms: ms / runs,
    service: ((await processorMs(service.pid)) - before.service) / runs,
    database: ((await childrensProcessorMs(postgresPid)) - before.database) / runs,
  };
}
