import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import { summarise, type Finding } from './measure.ts';
import type { Stage } from './stage.ts';

const REPETITIONS = 8;
const GOAL_MS = 2_000;
const LOOK_EVERY_MS = 5;
/** Tenants that a replica runs as it is killed, at the least. */
const UNDER_WAY = 8;

/**
 * A second service is killed (`kill -9`) in the middle of a sweep; until the first one has claimed all that it ran.
 * Against the lease, which is what ends a claim where nobody sees that its owner is gone.
 */
export async function takeoverBench(stage: Stage): Promise<Finding[]> {
  const ms: number[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    const { service: victim } = await stage.another();
    await stage.trigger();
    while ((await claimsOf(stage, victim.pid)) < UNDER_WAY) await pause(LOOK_EVERY_MS);
    const ended = once(victim.process, 'exit');
    victim.process.kill('SIGKILL');
    await ended;
    const killed = performance.now();
    if ((await claimsOf(stage, victim.pid)) === 0) throw new Error('it had nothing under way');
    while ((await claimsOf(stage, victim.pid)) > 0) await pause(LOOK_EVERY_MS);
    ms.push(performance.now() - killed);
    await stage.handled();
  }
  const value = summarise(ms);
  const baseline = summarise([LOOP_DEFAULTS.leaseMs]);
  return [
    {
      measure: 'takeover of what a killed replica ran',
      unit: 'ms',
      value,
      baseline: { name: 'its lease', value: baseline },
      ratio: summarise([value.median / baseline.median]),
      goal: { text: `median at most ${GOAL_MS} ms`, met: value.median <= GOAL_MS },
      note: `${REPETITIONS} times, each with at least ${UNDER_WAY} tenants under way`,
    },
  ];
}

/** Tenants that a process runs: a claim's owner is `host:pid:random@session`. */
async function claimsOf({ pool }: Stage, pid: number): Promise<number> {
  const { rows } = await pool.query<{ count: number }>(
    'select count(*)::int as count from tenants where claim_owner like $1',
    [`%:${pid}:%`],
  );
  return rows[0]?.count ?? 0;
}
