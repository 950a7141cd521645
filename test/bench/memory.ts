import { slopeOf, summarise, type Finding } from './measure.ts';
import { residentMb } from './processes.ts';
import type { Stage } from './stage.ts';

const SWEEPS = 10;
const GOAL_MB = 300;
/** Of the median, from sweep to sweep: less is what a heap breathes. */
const FLAT = 0.01;

/** The service's memory over sweeps of the whole fleet: how much, and whether it grows. */
export async function memoryBench(stage: Stage): Promise<Finding[]> {
  const first = await residentMb(stage.service.pid);
  if (first === null) throw new Error('resident memory is read from /proc, which this machine does not have');
  const resident: number[] = [];
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    await stage.sweep();
    resident.push((await residentMb(stage.service.pid)) ?? Number.NaN);
  }
  const value = summarise(resident);
  const slope = slopeOf(resident);
  const measured = `${stage.tenants.length} tenants, ${SWEEPS} sweeps`;
  return [
    {
      measure: `resident memory of the service, ${measured}`,
      unit: 'MB',
      value,
      baseline: { name: 'before the first of them', value: summarise([first]) },
      ratio: summarise([value.median / first]),
      goal: { text: `under ${GOAL_MB} MB`, met: value.most < GOAL_MB },
      note: `after each sweep: ${resident.map((mb) => mb.toFixed(0)).join(', ')} MB`,
    },
    {
      measure: 'growth of it from sweep to sweep',
      unit: 'MB',
      value: summarise([slope]),
      baseline: { name: 'its median', value },
      ratio: summarise([slope / value.median]),
      goal: { text: `flat: under ${FLAT * 100} % a sweep`, met: slope < FLAT * value.median },
      note: 'the slope of a line through all of them, by least squares',
    },
  ];
}
