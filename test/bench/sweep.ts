import { once } from 'node:events';
import type { FromBareLoop, ToBareLoop } from './bare-loop.ts';
import { callsOfSweep } from './calls.ts';
import { ratiosOf, summarise, type Finding } from './measure.ts';
import { childrensProcessorMs, forkNode, processorMs, type Child } from './processes.ts';
import { CONCURRENCY } from './service.ts';
import type { Stage } from './stage.ts';

const REPETITIONS = 5;
const GOAL = 2;

/**
 * A sweep: every tenant triggered at once, until the last run is recorded; against a bare loop that makes the
 * very same calls. Service, loop and simulator have a process each, and service and loop take turns.
 */
export async function sweepBench(stage: Stage): Promise<Finding[]> {
  const tenants = await callsOfSweep(stage);
  const calls = tenants.reduce((sum, { length }) => sum + length, 0);
  const { connectwiseUrl, umbrellaUrl } = stage;
  const load = { connectwiseUrl, umbrellaUrl, concurrency: CONCURRENCY, tenants };
  await using loop = forkNode('test/bench/bare-loop.ts');
  await ask(loop, { load });
  await using script = forkNode('test/bench/script.ts');
  await ask(script, { load });
  // Connections, and code that is compiled when it is hot.
  await bareSweep(loop);

  const service: number[] = [];
  const bare: number[] = [];
  const spent: Record<'loop' | 'service' | 'database', number[]> = { loop: [], service: [], database: [] };
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const before = await spentSoFar(stage, loop);
    bare.push(await bareSweep(loop));
    const between = await spentSoFar(stage, loop);
    service.push(await stage.sweep());
    const after = await spentSoFar(stage, loop);
    spent.loop.push(between.loop - before.loop);
    spent.service.push(after.service - between.service);
    spent.database.push(after.database - between.database);
  }
  const scripted = await bareSweep(script);
  const value = summarise(service);
  const ratio = ratiosOf(service, bare);
  const each = (ms: readonly number[]) => (summarise(ms).median / tenants.length).toFixed(2);
  return [
    {
      measure: `sweep of ${tenants.length} tenants`,
      unit: 'ms',
      value,
      baseline: { name: 'bare undici loop', value: summarise(bare) },
      ratio,
      goal: { text: `at most ${GOAL} × the bare loop`, met: ratio.median <= GOAL },
      note:
        `${calls} calls, ${CONCURRENCY} tenants at once, ${((tenants.length / value.median) * 1_000).toFixed(0)} tenants a second; ` +
        `processor time of a tenant, which a busy machine disturbs less: bare loop ${each(spent.loop)} ms, ` +
        `service ${each(spent.service)} ms, PostgreSQL ${each(spent.database)} ms`,
    },
    {
      measure: `the same sweep, against what people have instead`,
      unit: 'ms',
      value,
      baseline: {
        name: 'a script on connectwise-rest, one after the other, once',
        value: summarise([scripted]),
      },
      ratio: ratiosOf(
        service,
        service.map(() => scripted),
      ),
      goal: null,
      note: '',
    },
  ];
}

async function spentSoFar({ service, postgresPid }: Stage, loop: Child) {
  return {
    loop: await processorMs(loop.pid),
    service: await processorMs(service.pid),
    database: await childrensProcessorMs(postgresPid),
  };
}

async function bareSweep(loop: Child): Promise<number> {
  const answer = await ask(loop, 'sweep');
  if (answer === 'loaded') throw new Error('the bare loop answered another question');
  return answer.ms;
}

async function ask({ process: loop }: Child, message: ToBareLoop): Promise<FromBareLoop> {
  const over = new AbortController();
  const end = () => over.abort(new Error('the bare loop ended'));
  loop.once('exit', end);
  loop.send(message);
  const [answer] = (await once(loop, 'message', { signal: over.signal })) as [FromBareLoop];
  loop.off('exit', end);
  return answer;
}
