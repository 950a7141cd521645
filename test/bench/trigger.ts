import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Pool } from 'undici';
import { summarise, type Finding } from './measure.ts';
import { ORDINARY, type Stage } from './stage.ts';

const REPETITIONS = 50;
const GOAL_MS = 20;
/** Long enough that the service has gone back to waiting. */
const IDLE_MS = 60;

/**
 * From `POST /tenants/:id/reconcile` at an idle service to the first call that a vendor sees, by the journal's
 * time; against the least that such a way needs: a bare process that commits a notice, hears it on another
 * connection, and makes one call.
 */
export async function triggerBench(stage: Stage): Promise<Finding[]> {
  await using bare = await bareWay(stage);
  const service: number[] = [];
  const least: number[] = [];
  for (let repetition = 0; repetition < REPETITIONS; repetition += 1) {
    least.push(await untilSeen(stage, () => bare.run()));
    service.push(await untilSeen(stage, () => stage.reconcile(ORDINARY.id)));
  }
  const value = summarise(service);
  const baseline = summarise(least);
  return [
    {
      measure: 'trigger to first vendor call',
      unit: 'ms',
      value,
      baseline: { name: 'commit, notice and one call, bare', value: baseline },
      ratio: summarise([value.median / baseline.median]),
      goal: { text: `median at most ${GOAL_MS} ms`, met: value.median <= GOAL_MS },
      note: 'times of the journal are whole milliseconds',
    },
  ];
}

/** Milliseconds from the beginning of something to the first call that a vendor sees of it. */
async function untilSeen(stage: Stage, something: () => Promise<void>): Promise<number> {
  await pause(IDLE_MS);
  await stage.control.clearJournal();
  const begun = performance.timeOrigin + performance.now();
  await something();
  // Looked for afterwards: whoever asks all the time is in the way of what is measured.
  const [first] = await stage.control.journal();
  if (first === undefined) throw new Error('no call was made');
  return Math.max(0, Date.parse(first.at) - begun);
}

async function bareWay({ databaseUrl, connectwiseUrl, pool }: Stage) {
  const listener = new pg.Client({ connectionString: databaseUrl });
  await listener.connect();
  await listener.query('listen bench');
  const vendor = new Pool(connectwiseUrl);
  return {
    async run(): Promise<void> {
      const heard = once(listener, 'notification');
      // A row of one's own to commit, as a trigger has one.
      await pool.query(`select pg_notify('bench', '') from (select txid_current()) as written`);
      await heard;
      const { body } = await vendor.request({ method: 'GET', path: `/login/companyinfo/${ORDINARY.id}` });
      await body.dump();
    },
    async [Symbol.asyncDispose]() {
      await vendor.close();
      await listener.end();
    },
  };
}
