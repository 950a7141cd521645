import Table from 'cli-table3';
import fc from 'fast-check';
import { expect } from 'vitest';
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
  NEW_UMBRELLA_KEY,
  type Play,
  type Scenario,
  type Stage,
  type Standing,
  type Where,
} from './stage.ts';

/** How calls of a scenario are harmed, each in a play of its own, and what is to be seen once the faults end. */

/** Given by FAULT_SEED, so that what was found is found again. */
export const SEED = Number(process.env['FAULT_SEED'] ?? 1);

/** Tenants that run side by side. */
const ABREAST = 24;

/** Looks after the faults ended, within which the tenant is where the unharmed one is. */
const RECOVERS_WITHIN = 8;

/** How a scenario goes when nothing goes wrong. */
export async function unharmed(stage: Stage, scenario: Scenario): Promise<Unharmed> {
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

/** A call of a scenario, by which a fault finds it again. */
export interface Call {
  name: string;
  where: Where;
  writes: boolean;
  /** When it came in. */
  at: string;
}

/** Each call once: which of its kind it is. */
export function callsOf({ calls }: Unharmed): Call[] {
  const times = new Map<string, number>();
  const count = (what: string): number => {
    const nth = (times.get(what) ?? 0) + 1;
    times.set(what, nth);
    return nth;
  };
  return calls.map((entry) => {
    const { vendor, method, operation, actor, at } = entry;
    const [nth, ofAll] = [count(kindOf(entry)), count(`${vendor} ${method} ${operation}`)];
    // Whoever calls with a key that is gone is nobody, and a key that is yet to be made has no name before.
    const known = actor !== null && actor !== NEW_UMBRELLA_KEY;
    const where = { vendor, method, operation: operation!, ...(known ? { nth, actor } : { nth: ofAll }) };
    return { name: `${kindOf(entry)}, the ${nth}.`, where, writes: isWrite(entry), at };
  });
}

/** Whether such a call can meet it at all. */
export const canMeet = ({ where, writes }: Call, { onlyWrites, moves }: Harm): boolean =>
  (writes || !onlyWrites) && (where.vendor === 'connectwise' || !moves);

/** A call, and what it meets. */
export interface Case {
  call: Call;
  harm: Harm;
  /** Told of what is found. */
  name: string;
}

/**
 * Plays each of them; answers what was found that may not be. Where a codebase changes, it does so for all that are held:
 * such cases come without others.
 */
export async function playHarmed(
  stage: Stage,
  scenario: Scenario,
  known: Unharmed,
  cases: readonly Case[],
  tallyOf: (harm: Harm) => Tally,
): Promise<string[]> {
  const found: string[] = [];
  for (let from = 0; from < cases.length; from += ABREAST) {
    const some = cases.slice(from, from + ABREAST);
    const harmed: [Play, Harm][] = [];
    for (const { call, harm } of some) {
      const play = await stage.play(scenario, optionsFor(harm));
      play.harm(call.where, effectOn(harm, call.writes));
      harmed.push([play, harm]);
    }
    const plays = harmed.map(([play]) => play);
    for (let rounds = 0; rounds < scenario.rounds; rounds += 1) {
      await whileHarmed(stage, harmed, stage.round(plays));
    }
    for (const [at, play] of plays.entries()) {
      const hits = play.calls.filter(isHarmed).length;
      if (hits !== 1) play.wrong(`the fault hit ${hits} times: ${JSON.stringify(some[at]!.call.where)}`);
    }
    stage.world.clearFaults();
    await recover(stage, plays, known);
    for (const [at, [play, harm]] of harmed.entries()) {
      const wrongs = await wrongsOf(play, known, harm, tallyOf(harm));
      found.push(...wrongs.map((wrong) => `${some[at]!.name} ${wrong}`));
    }
    await stage.end(plays);
  }
  return found;
}

/** Plays so many mixtures of at most so many kinds of weather, as FAULT_SEED draws them; answers what was found. */
export async function playMixtures(
  stage: Stage,
  scenario: Scenario,
  known: Unharmed,
  { mixtures, of }: { mixtures: number; of: number },
  tally: Tally,
): Promise<string[]> {
  const random = fc.sample(
    fc.array(fc.tuple(fc.constantFrom(...WEATHER), fc.nat(), fc.integer({ min: 1, max: 3 })), {
      minLength: 2,
      maxLength: of,
    }),
    { numRuns: mixtures, seed: SEED },
  );
  const calls = callsOf(known);
  const plays: Play[] = [];
  for (const mixture of random) {
    const play = await stage.play(scenario);
    for (const [name, at, times] of mixture) {
      const harm = HARMS[name]!;
      const harmed = calls.filter((call) => canMeet(call, harm));
      if (harmed.length === 0) continue;
      const { where, writes } = harmed[at % harmed.length]!;
      play.harm({ ...where, times }, effectOn(harm, writes));
    }
    plays.push(play);
  }
  for (let rounds = 0; rounds < scenario.rounds + 2; rounds += 1) await stage.round(plays);
  stage.world.clearFaults();
  await recover(stage, plays, known);
  const found: string[] = [];
  for (const [at, play] of plays.entries()) {
    const wrongs = await wrongsOf(play, known, { weather: true }, tally);
    const names = random[at]!.map(([name]) => name).join(' + ');
    found.push(...wrongs.map((wrong) => `${names}: ${wrong}`));
  }
  await stage.end(plays);
  return found;
}

/** Those that need no deadline of the test's to pass, and after which nothing is to be waited for. */
const WEATHER = Object.entries(HARMS)
  .filter(([, { weather, slow, moves, wait }]) => weather && !slow && !moves && !wait)
  .map(([name]) => name);

function optionsFor({ effect }: Harm): { maxResponseBytes?: number } {
  return effect.kind === 'oversize' ? { maxResponseBytes: SMALL_BYTES } : {};
}

const moment = () => new Promise((resolve) => setTimeout(resolve, 2));

/** Deadlines pass, and what is held is let go as the fault wants it, while the plays run. */
async function whileHarmed(
  stage: Stage,
  harmed: readonly (readonly [Play, Harm])[],
  work: Promise<void>,
): Promise<void> {
  const { faults } = stage.world;
  const slow = new Set(
    harmed.flatMap(([play, harm]) => (harm.slow && !play.calls.some(isHarmed) ? [play] : [])),
  );
  const ended = work.then(() => true);
  const goesOn = () => Promise.race([ended, moment().then(() => false)]).then((isOver) => !isOver);
  while (slow.size > 0 && (await goesOn())) {
    for (const play of slow) if (play.passDeadline()) slow.delete(play);
  }
  if (harmed.some(([, harm]) => harm.moves)) {
    while (await goesOn()) {
      for (const { company } of faults.heldCalls()) stage.world.changeCodebase(company!, `${company}/`);
      faults.releaseHangs('answer');
    }
  }
  await ended;
  faults.releaseHangs('drop');
  // What comes late has come before anybody looks again.
  while (harmed.some(([play]) => isLate(play))) await moment();
}

/** A write whose sender gave up, and that did not come yet. */
const isLate = ({ stage, id }: Play): boolean =>
  stage.world.journal
    .query({ company: id, writes: true })
    .some(({ fault, status }) => fault === 'latency' && status === null);

/** Until each is where the unharmed one is; what is not by then is wrong. */
async function recover(stage: Stage, plays: readonly Play[], { standing }: Unharmed): Promise<void> {
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

/** What was tried, as a table of how often each fault hit in each scenario. */
export class Tried {
  readonly #told = new Map<string, Map<string, Tally>>();

  of(scenario: string, harm: string): Tally {
    const tallies = this.#told.get(harm) ?? new Map<string, Tally>();
    this.#told.set(harm, tallies);
    const tally = tallies.get(scenario) ?? newTally();
    tallies.set(scenario, tally);
    return tally;
  }

  toString(): string {
    const tallies = [...this.#told.values()];
    const scenarios = [...new Set(tallies.flatMap((one) => [...one.keys()]))];
    const table = new Table({
      head: ['fault', ...scenarios],
      style: { head: [], border: [] },
      wordWrap: true,
    });
    for (const [harm, own] of this.#told) {
      table.push([harm, ...scenarios.map((scenario) => own.get(scenario)?.hits ?? '–')]);
    }
    const total = newTally();
    for (const tally of tallies.flatMap((one) => [...one.values()])) {
      for (const key of Object.keys(total) as (keyof Tally)[]) total[key] += tally[key];
    }
    return `${table.toString()}\nhits by fault and scenario; in all ${JSON.stringify(total)}; FAULT_SEED=${SEED}`;
  }
}
