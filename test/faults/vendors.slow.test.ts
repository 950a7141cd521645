import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import Table from 'cli-table3';
import { effectOn, HARMS, SMALL_BYTES, type Harm } from './harms.ts';
import {
  isHarmed,
  isWrite,
  newTally,
  unharmedOf,
  wrongsOf,
  type Tally,
  type Unharmed,
} from './invariants.ts';
import {
  kindOf,
  Stage,
  type Play,
  type PlayOptions,
  type Scenario,
  type Standing,
  type Where,
} from './stage.ts';

/**
 * Every fault of the simulator, alone on every call of every scenario; then many at random. Whatever happens: no
 * write rests on what was not understood, nothing is made twice, modes and waits and budgets hold, green has new
 * evidence, and once the faults end the tenant is where the unharmed one is.
 */

/** Given by FAULT_SEED, so that what was found is found again. */
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

const ALL_OURS = { members: { adopt: true, dedicated: true } };

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a healthy look': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', onDelete: 'deactivate-members', connectwise: ALL_OURS },
    // Two whole looks, then two brief ones.
    rounds: 4,
    people: umbrellaSyncs,
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
    people: umbrellaSyncs,
  },
  'a member is given its role': {
    trouble: 'member-wrong-role',
    console: 'mssp',
    spec: { mode: 'repair', connectwise: ALL_OURS },
    rounds: 1,
    people: umbrellaSyncs,
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

/** Tenants that run side by side. */
const ABREAST = 24;

/** Looks after the faults ended, within which the tenant is where the unharmed one is. */
const RECOVERS_WITHIN = 8;

let stage: Stage;
const told: { scenario: string; harm: string; tally: Tally }[] = [];

beforeAll(async () => {
  console.log(`FAULT_SEED=${SEED}`);
  stage = await Stage.open(SEED);
});
afterAll(async () => {
  await stage[Symbol.asyncDispose]();
  console.log(summary());
});

/** Umbrella's daily work, with something to write. */
async function umbrellaSyncs({ stage: { world }, id }: Play): Promise<void> {
  world.changeFigures(id);
  world.runSync(id);
}

async function grantLevels(play: Play): Promise<void> {
  const { world } = play.stage;
  const asked = await play.handoffs();
  if (asked.some(({ kind }) => kind === 'grant-role-levels')) world.setProcedureLevels(play.id, 'Umbrella');
}

/** How a scenario goes when nothing goes wrong. */
async function unharmed(scenario: Scenario): Promise<Unharmed> {
  const play = await stage.play(scenario);
  const onlooker = await stage.play({ ...scenario, spec: { ...scenario.spec, mode: 'observe' } });
  await stage.look([onlooker]);
  for (let rounds = 0; rounds < scenario.rounds; rounds += 1) await stage.round([play]);
  const known = await unharmedOf(play, onlooker);
  // One more look finds what the last one found: it rests.
  await stage.round([play]);
  expect(await play.standing()).toEqual(known.standing);
  expect(await wrongsOf(play, known, { weather: true }, newTally())).toEqual([]);
  await stage.end([play, onlooker]);
  return known;
}

interface Harmed {
  name: string;
  where: Where;
  writes: boolean;
}

/** Each call once: which of its kind it is. */
function callsToHarm({ calls }: Unharmed, { onlyWrites, moves }: Harm): Harmed[] {
  const times = new Map<string, number>();
  return calls.flatMap((entry) => {
    const kind = kindOf(entry);
    const nth = (times.get(kind) ?? 0) + 1;
    times.set(kind, nth);
    const { vendor, method, operation, actor } = entry;
    if (onlyWrites && !isWrite(entry)) return [];
    if (moves && vendor !== 'connectwise') return [];
    const where = { vendor, method, operation: operation!, nth, ...(actor === null ? {} : { actor }) };
    return [{ name: `${kind}, the ${nth}.`, where, writes: isWrite(entry) }];
  });
}

function optionsFor({ effect }: Harm): PlayOptions {
  return effect.kind === 'oversize' ? { maxResponseBytes: SMALL_BYTES } : {};
}

const moment = () => new Promise((resolve) => setTimeout(resolve, 2));

/** Deadlines pass, and what is held is let go as the fault wants it, while the plays run. */
async function whileHarmed(harm: Harm, plays: readonly Play[], work: Promise<void>): Promise<void> {
  const { faults } = stage.world;
  const ended = work.then(() => true);
  const isOver = () => Promise.race([ended, moment().then(() => false)]);
  while ((harm.moves || harm.slow) && !(await isOver())) {
    if (harm.slow) for (const play of plays) play.passDeadline();
    if (harm.moves) {
      for (const { company } of faults.heldCalls()) stage.world.changeCodebase(company!, `${company}/`);
      faults.releaseHangs('answer');
    }
  }
  await ended;
  faults.releaseHangs('drop');
  // What comes late has come before anybody looks again.
  while (plays.some(isLate)) await moment();
}

/** A write whose sender gave up, and that did not come yet. */
const isLate = (play: Play): boolean =>
  play.callsSince(0).some((entry) => entry.fault === 'latency' && entry.status === null && isWrite(entry));

/** Until each is where the unharmed one is; what is not by then is wrong. */
async function recover(plays: readonly Play[], { standing }: Unharmed): Promise<void> {
  const { rotated, ...others } = standing;
  // Where nothing was to be rotated, a refusal may have begun a rotation that ended by itself.
  const parts = Object.keys(rotated === null ? others : standing) as (keyof Standing)[];
  let left = [...plays];
  for (let looks = 0; looks < RECOVERS_WITHIN && left.length > 0; looks += 1) {
    await stage.round(left);
    const there = await Promise.all(
      left.map(async (play) => {
        const found = await play.standing();
        return parts.every((part) => same(found[part], standing[part]));
      }),
    );
    left = left.filter((_, at) => !there[at]);
  }
  for (const play of left) {
    const found = await play.standing();
    for (const part of parts.filter((one) => !same(found[one], standing[one]))) {
      play.wrong(`${part} is ${JSON.stringify(found[part])}, not ${JSON.stringify(standing[part])}`);
    }
  }
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

describe.each(Object.entries(SCENARIOS))('%s', (scenarioName, scenario) => {
  let known: Unharmed;
  beforeAll(async () => {
    known = await unharmed(scenario);
  });

  test.each(Object.entries(HARMS))('%s on each of its calls', async (harmName, harm) => {
    const tally = newTally();
    const found: string[] = [];
    const calls = callsToHarm(known, harm);
    for (let from = 0; from < calls.length; from += ABREAST) {
      const some = calls.slice(from, from + ABREAST);
      const plays: Play[] = [];
      for (const { where, writes } of some) {
        const play = await stage.play(scenario, optionsFor(harm));
        play.harm(where, effectOn(harm, writes));
        plays.push(play);
      }
      for (let rounds = 0; rounds < scenario.rounds; rounds += 1) {
        await whileHarmed(harm, plays, stage.round(plays));
      }
      for (const [at, play] of plays.entries()) {
        const hits = play.calls.filter(isHarmed).length;
        if (hits !== 1) play.wrong(`the fault hit ${hits} times: ${JSON.stringify(some[at]!.where)}`);
      }
      stage.world.clearFaults();
      await recover(plays, known);
      for (const [at, play] of plays.entries()) {
        const wrongs = await wrongsOf(play, known, harm, tally);
        found.push(...wrongs.map((wrong) => `${some[at]!.name} ${wrong}`));
      }
      await stage.end(plays);
    }
    told.push({ scenario: scenarioName, harm: harmName, tally });
    expect(found).toEqual([]);
  });

  test('what FAULT_SEED draws of them, several at a time', async () => {
    const random = fc.sample(
      fc.array(fc.tuple(fc.constantFrom(...WEATHER), fc.nat(), fc.integer({ min: 1, max: 3 })), {
        minLength: 2,
        maxLength: 6,
      }),
      { numRuns: MIXTURES, seed: SEED },
    );
    const tally = newTally();
    const plays: Play[] = [];
    for (const mixture of random) {
      const play = await stage.play(scenario);
      for (const [harm, call, times] of mixture) {
        const harmed = callsToHarm(known, harm);
        if (harmed.length === 0) continue;
        const { where, writes } = harmed[call % harmed.length]!;
        play.harm({ ...where, times }, effectOn(harm, writes));
      }
      plays.push(play);
    }
    for (let rounds = 0; rounds < scenario.rounds + 2; rounds += 1) await stage.round(plays);
    expect(plays.reduce((hits, play) => hits + play.calls.filter(isHarmed).length, 0)).toBeGreaterThan(
      MIXTURES,
    );
    stage.world.clearFaults();
    await recover(plays, known);
    const found: string[] = [];
    for (const [at, play] of plays.entries()) {
      const wrongs = await wrongsOf(play, known, { weather: true }, tally);
      const names = random[at]!.map(([harm]) => NAMES.get(harm)).join(' + ');
      found.push(...wrongs.map((wrong) => `${names}: ${wrong}`));
    }
    await stage.end(plays);
    told.push({ scenario: scenarioName, harm: 'mixtures', tally });
    expect(found).toEqual([]);
  });
});

/** Those that need no deadline of the test's to pass, and after which nothing is to be waited for. */
const WEATHER = Object.values(HARMS).filter(
  ({ weather, slow, moves, wait }) => weather && !slow && !moves && !wait,
);
const NAMES = new Map(Object.entries(HARMS).map(([name, harm]) => [harm, name]));
const MIXTURES = 20;

function summary(): string {
  const scenarios = [...new Set(told.map(({ scenario }) => scenario))];
  const table = new Table({ head: ['fault', ...scenarios], style: { head: [], border: [] }, wordWrap: true });
  for (const harm of new Set(told.map((one) => one.harm))) {
    const cells = scenarios.map(
      (scenario) => told.find((one) => one.harm === harm && one.scenario === scenario)?.tally.hits ?? '–',
    );
    table.push([harm, ...cells]);
  }
  const total = newTally();
  for (const { tally } of told) {
    for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += tally[key];
  }
  return `${table.toString()}\nhits by fault and scenario; in all ${JSON.stringify(total)}; FAULT_SEED=${SEED}`;
}
