import { summarise, type Finding } from './measure.ts';
import { processorMs, residentMb } from './processes.ts';
import { setStage } from './stage.ts';

const TENANTS = 10_000;
const LATENCY_MS = 80;
const ROUNDS = 3;
const GOAL_MS = 60_000;
const GOAL_MB = 300;

/**
 * A large fleet whose vendors are as far away as they are, and count calls: each tenant is looked at once, by the
 * calendar. The baseline is what the waiting alone takes, the longest way through a look by as many as run at once.
 */
export async function farBench(say: (line: string) => void): Promise<Finding[]> {
  await using stack = new AsyncDisposableStack();
  const stage = await setStage(stack, { tenants: TENANTS, profile: null, quotas: true, say });
  const { service, control } = stage;
  await control.addFault({ effect: { kind: 'latency', ms: LATENCY_MS } });
  await control.clearJournal();
  const before = await processorMs(service.pid);
  const ms: number[] = [];
  const resident: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    ms.push(await stage.calendar());
    resident.push((await residentMb(service.pid)) ?? Number.NaN);
  }
  const spent = (await processorMs(service.pid)) - before;
  const { total } = await control.counts();
  const value = summarise(ms);
  const memory = summarise(resident);
  const what = `${TENANTS} tenants, vendors ${LATENCY_MS} ms away that count calls`;
  return [
    {
      measure: `a look at each of ${what}`,
      unit: 'ms',
      value,
      baseline: null,
      ratio: null,
      goal: { text: `at most ${GOAL_MS / 1_000} s`, met: value.median <= GOAL_MS },
      note:
        `${(total / (ROUNDS * TENANTS)).toFixed(2)} calls a tenant; ` +
        `processor time of a tenant: ${(spent / (ROUNDS * TENANTS)).toFixed(2)} ms`,
    },
    {
      measure: `resident memory of the service, ${TENANTS} tenants`,
      unit: 'MB',
      value: memory,
      baseline: null,
      ratio: null,
      goal: { text: `under ${GOAL_MB} MB`, met: memory.most < GOAL_MB },
      note: '',
    },
  ];
}
