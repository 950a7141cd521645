import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { callsOf, canMeet, playHarmed, playMixtures, SEED, Tried, unharmed } from './harming.ts';
import { HARMS } from './harms.ts';
import type { Unharmed } from './invariants.ts';
import { Stage, type Play, type Scenario } from './stage.ts';

/**
 * Every fault of the simulator, alone on every call of every scenario; then many at random. Whatever happens: no
 * write rests on what was not understood, nothing is made twice, modes and waits and budgets hold, green has new
 * evidence, and once the faults end the tenant is where the unharmed one is.
 */

const ALL_OURS = { members: { adopt: true, dedicated: true } };

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a healthy look': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', onDelete: 'deactivate-members', connectwise: ALL_OURS },
    // Two whole looks, then two brief ones.
    rounds: 4,
    syncs: true,
  },
  'a role and a member are made': {
    trouble: 'role-missing',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS },
    rounds: 2,
    people: grantLevels,
  },
  'a member is made': {
    trouble: 'member-missing',
    console: 'mssp',
    spec: { mode: 'repair', connectwise: ALL_OURS },
    rounds: 1,
  },
  'a member is switched on': {
    trouble: 'member-inactive',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS },
    rounds: 1,
    syncs: true,
  },
  'a member is given its role': {
    trouble: 'member-wrong-role',
    console: 'mssp',
    spec: { mode: 'repair', connectwise: ALL_OURS },
    rounds: 1,
    syncs: true,
  },
  'mode observe, a role is missing': {
    trouble: 'role-missing',
    console: 'mssp',
    spec: { mode: 'observe', connectwise: ALL_OURS },
    rounds: 1,
  },
  'mode alert, a member has another role': {
    trouble: 'member-wrong-role',
    console: 'msp',
    spec: { mode: 'alert', connectwise: ALL_OURS },
    rounds: 1,
  },
};

let stage: Stage;
const tried = new Tried();

beforeAll(async () => {
  console.log(`FAULT_SEED=${SEED}`);
  stage = await Stage.open(SEED);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  console.log(tried.toString());
});

async function grantLevels(play: Play): Promise<void> {
  const { world } = play.stage;
  const asked = await play.handoffs();
  if (asked.some(({ kind }) => kind === 'grant-role-levels')) world.setProcedureLevels(play.id, 'Umbrella');
}

describe.each(Object.entries(SCENARIOS))('%s', (scenarioName, scenario) => {
  let known: Unharmed;
  beforeAll(async () => {
    known = await unharmed(stage, scenario);
  });

  test.each(Object.entries(HARMS))('%s on each of its calls', async (harmName, harm) => {
    const cases = callsOf(known)
      .filter((call) => canMeet(call, harm))
      .map((call) => ({ call, harm, name: call.name }));
    const tally = tried.of(scenarioName, harmName);
    expect(await playHarmed(stage, scenario, known, cases, () => tally)).toEqual([]);
  });

  test('what FAULT_SEED draws of them, several at a time', async () => {
    const tally = tried.of(scenarioName, 'mixtures');
    expect(await playMixtures(stage, scenario, known, MIXTURES, tally)).toEqual([]);
    expect(tally.hits).toBeGreaterThan(MIXTURES.mixtures);
  });
});

const MIXTURES = { mixtures: 20, of: 6 };
