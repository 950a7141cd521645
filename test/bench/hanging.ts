import { ratiosOf, summarise, type Finding } from './measure.ts';
import type { Stage } from './stage.ts';

const REPETITIONS = 5;
const GOAL = 1.1;

/** What one tenant whose vendor never answers costs all the others: a sweep of them beside it, against one without it. */
export async function hangingBench(stage: Stage): Promise<Finding[]> {
  const { control, tenants } = stage;
  const hanging = tenants.at(-1)!;
  const beside: number[] = [];
  const alone: number[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    alone.push(await sweepOfOthers(stage, hanging));
    await stage.handled();
    await control.addFault({ when: { company: hanging }, effect: { kind: 'hangBefore' } });
    beside.push(await sweepOfOthers(stage, hanging));
    await control.clearFaults();
    await control.releaseHangs('drop');
    await stage.handled();
  }
  const ratio = ratiosOf(beside, alone);
  return [
    {
      measure: `sweep of ${tenants.length - 1} tenants beside one that hangs`,
      unit: 'ms',
      value: summarise(beside),
      baseline: { name: 'while that answers', value: summarise(alone) },
      ratio,
      goal: { text: `at most ${GOAL} ×`, met: ratio.median <= GOAL },
      note: '',
    },
  ];
}

async function sweepOfOthers(stage: Stage, but: string): Promise<number> {
  const begun = performance.now();
  await stage.trigger();
  await stage.handled(but);
  return performance.now() - begun;
}
