import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { Handoff } from '../../src/domain/handoff.ts';
import { isOver, type Rotation } from '../../src/domain/rotation.ts';
import type { KeyPair } from '../../src/simulator/index.ts';
import {
  callsOf,
  canMeet,
  playHarmed,
  playMixtures,
  SEED,
  Tried,
  unharmed,
  type Call,
  type Case,
} from './harming.ts';
import { HARMS, type Harm } from './harms.ts';
import type { Unharmed } from './invariants.ts';
import { ROUND_MS, Stage, type Play, type Scenario, type Standing } from './stage.ts';

/**
 * Whole rotations, with a fault on each of their calls, and several at random. Besides what holds of every run: the key
 * that Umbrella holds works at every moment, no key that works is lost, none of which Umbrella lives is taken away, and
 * once the faults end the rotation ends as the unharmed one does.
 */

/** Members that a rotation may switch on and off. */
const ALL_OURS = { members: { adopt: true, dedicated: true } };
/** Passes with the second look, so that one look sees both keys work. */
const SHORT = { overlap: '20m' };

interface Rotating extends Scenario {
  /** The first round, from 1, whose calls are harmed: those before are as any look's, or as another rotation's. */
  harmedFrom: number;
  /** How the unharmed one ends. */
  ends: Pick<Standing, 'rotated' | 'umbrellaRotated' | 'keys'>;
}

const SCENARIOS: Readonly<Record<string, Rotating>> = {
  'a rotation that was asked for': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS, rotation: SHORT },
    rounds: 7,
    harmedFrom: 2,
    people: (play) => rotates(play, { installsLate: true }),
    ends: { rotated: 'Completed', umbrellaRotated: null, keys: ['umbrella-b active, in Umbrella'] },
    syncs: true,
  },
  'a key that is compromised': {
    trouble: 'healthy',
    console: 'mssp',
    spec: { mode: 'repair', connectwise: ALL_OURS, rotation: SHORT },
    rounds: 4,
    harmedFrom: 4,
    people: (play) => rotates(play, { compromised: true }),
    ends: {
      rotated: 'RetirementUnproved',
      umbrellaRotated: null,
      keys: ['umbrella-a superseded', 'umbrella-b active, in Umbrella'],
    },
    syncs: true,
    compromised: true,
  },
  'taken back before the reveal': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS, rotation: SHORT },
    rounds: 4,
    harmedFrom: 4,
    people: (play) => rotates(play, { takesBack: 'AwaitingInstall' }),
    ends: {
      rotated: 'RolledBack',
      umbrellaRotated: null,
      keys: ['umbrella-a active, in Umbrella', 'umbrella-b superseded'],
    },
    syncs: true,
  },
  'taken back after the adoption': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS, rotation: SHORT },
    rounds: 8,
    harmedFrom: 5,
    people: (play) => rotates(play, { takesBack: 'Overlap' }),
    ends: { rotated: 'RolledBack', umbrellaRotated: null, keys: ['umbrella-a active, in Umbrella'] },
    syncs: true,
  },
  'a key of Umbrella’s own': {
    trouble: 'healthy',
    console: 'msp',
    spec: { mode: 'repair', connectwise: ALL_OURS, rotation: SHORT },
    rounds: 4,
    harmedFrom: 2,
    people: rotatesUmbrellaKey,
    ends: { rotated: null, umbrellaRotated: 'Completed', keys: ['umbrella-a active, in Umbrella'] },
    syncs: true,
    umbrellaKeys: true,
  },
};

const BY = { by: 'ann', reason: 'a drill' };

/** How people rotate the integration key. */
interface Habits {
  compromised?: boolean;
  /** The phase in which they take it back. */
  takesBack?: 'AwaitingInstall' | 'Overlap';
  /** They say that the key is in Umbrella, and put it there a round later. */
  installsLate?: boolean;
}

/** They ask for one rotation, and do what is asked of them by what they see. */
async function rotates(play: Play, habits: Habits): Promise<void> {
  const { compromised = false, takesBack } = habits;
  const { stage, id } = play;
  const { rotation, status } = (await stage.store.desk.tenant(id))!;
  const live = rotation && !isOver(rotation) ? rotation : null;
  if (!live && !status?.memory.lastRotation) {
    const request = { ...BY, credential: 'integration' as const, compromised, cutNow: false };
    await stage.ask((commands) => commands.rotate(id, request));
  }
  const isDue = live !== null && live.phase === takesBack && !live.reversed && !live.undoing && !live.wish;
  if (isDue) {
    await stage.ask((commands) => commands.rollback(id, BY));
    return;
  }
  for (const handoff of await play.handoffs()) await does(play, handoff, live, habits);
}

async function does(
  play: Play,
  { id: handoff, kind, subject, state }: Handoff,
  rotation: Rotation | null,
  { takesBack, installsLate = false }: Habits,
): Promise<void> {
  const { stage, id } = play;
  const { world } = stage;
  const isSaid = state === 'submitted';
  const submit = (pair: KeyPair | null) =>
    stage.ask((commands) =>
      commands.submitHandoff(handoff, {
        by: BY.by,
        attest: false,
        pair: pair && { publicHalf: pair.publicKey, privateHalf: new Secret(pair.privateKey) },
      }),
    );
  switch (kind) {
    case 'issue-integration-key': {
      if (isSaid) return;
      const pair = world.makeKey(id, subject, 'Umbrella, by Parasol');
      play.made.set(play.fingerprintOf(pair), pair);
      await submit(pair);
      return;
    }
    case 'install-integration-key': {
      // What is taken back before it was shown is shown to nobody.
      if (takesBack === 'AwaitingInstall') return;
      if (!isSaid) {
        await stage.ask((commands) => commands.claimHandoff(handoff, BY.by));
        const { pair } = await stage.ask((commands) => commands.reveal(handoff, BY));
        const shown = { publicKey: pair.publicHalf, privateKey: pair.privateHalf.reveal() };
        if (play.fingerprintOf(shown) !== subject) play.wrong(`another pair was shown for ${subject}`);
        await submit(null);
      }
      if (isSaid === installsLate) world.installKey(id, play.made.get(subject)!);
      return;
    }
    case 'delete-key': {
      const pair = play.made.get(subject);
      if (!pair) return play.wrong(`a pair that nobody made is to be deleted: ${subject}`);
      // A compromised key goes with its member; whoever deletes it comes too late to be waited for.
      if (rotation?.cause === 'compromise' || isSaid) return;
      if (world.company(id).keys.has(pair.publicKey)) world.deleteKey(id, pair.publicKey);
      await submit(null);
      return;
    }
    default:
      play.wrong(`people are asked for ${kind}`);
  }
}

/** They ask for a rotation of the API key that Parasol calls Umbrella with, and again where it is told that it failed. */
async function rotatesUmbrellaKey(play: Play): Promise<void> {
  const { stage, id } = play;
  const { umbrellaRotation } = (await stage.store.reconciles.snapshot(id))!;
  if (umbrellaRotation && umbrellaRotation.phase !== 'Failed') return;
  if (umbrellaRotation) play.gaveUp.push(umbrellaRotation.evidence.at(-1)!.what);
  const request = { ...BY, credential: 'umbrella-api' as const, compromised: false, cutNow: false };
  await stage.ask((commands) => commands.rotate(id, request));
}

/** Faults that tell alike. Of those that something waits for, none comes with others. */
const CLASSES: Readonly<Record<string, (harm: Harm) => boolean>> = {
  'a refusal': ({ weather }) => !weather,
  'an answer that says nothing': ({ weather, slow, moves, wait, onlyWrites }) =>
    weather && !slow && !moves && wait === undefined && !onlyWrites,
  'a wish to wait': ({ wait }) => wait !== undefined,
  'no answer in time': ({ slow }) => slow === true,
  'another codebase': ({ moves }) => moves === true,
  'a lost answer': ({ onlyWrites }) => onlyWrites === true,
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

describe.each(Object.entries(SCENARIOS))('%s', (scenarioName, scenario) => {
  let known: Unharmed;
  let cases: Case[];
  beforeAll(async () => {
    known = await unharmed(stage, scenario);
    const from = Date.parse(known.calls[0]!.at) + (scenario.harmedFrom - 1) * ROUND_MS;
    const calls = callsOf(known).filter(({ at }) => Date.parse(at) >= from);
    cases = calls.flatMap((call, index) =>
      faultsOn(call, index).map((harm) => ({ call, harm: HARMS[harm]!, name: `${harm} on ${call.name}` })),
    );
  });

  test('unharmed, ends as it should', () => {
    expect(known.standing).toMatchObject(scenario.ends);
  });

  test.each(Object.entries(CLASSES))('%s', async (_, isOfClass) => {
    const some = cases.filter(({ harm }) => isOfClass(harm));
    const found = await playHarmed(stage, scenario, known, some, (harm) =>
      tried.of(scenarioName, NAMES.get(harm)!),
    );
    expect(found).toEqual([]);
  });

  test('what FAULT_SEED draws of them, several at a time', async () => {
    const tally = tried.of(scenarioName, 'mixtures');
    expect(await playMixtures(stage, scenario, known, MIXTURES, tally)).toEqual([]);
    expect(tally.hits).toBeGreaterThan(MIXTURES.mixtures);
  });
});

const NAMES = new Map(Object.entries(HARMS).map(([name, harm]) => [harm, name]));
const MIXTURES = { mixtures: 24, of: 10 };

/**
 * What changes something meets every fault, and what a pair shows of itself meets those that may be taken for its death.
 * Besides, each call of a look meets one: which class turns from call to call, which of the class from turn to turn, and
 * both with FAULT_SEED.
 */
function faultsOn(call: Call, index: number): string[] {
  const met = Object.entries(HARMS).filter(([, harm]) => canMeet(call, harm));
  if (call.writes) return met.map(([name]) => name);
  const classes = Object.values(CLASSES)
    .map((isOfClass) => met.filter(([, harm]) => isOfClass(harm)))
    .filter(({ length }) => length > 0);
  const turn = index + SEED;
  const some = classes[turn % classes.length]!;
  const [name] = some[Math.floor(turn / classes.length) % some.length]!;
  const { operation, actor } = call.where;
  const shows = operation === '/system/mySecurity' && actor !== 'parasol';
  return [...new Set([name, ...(shows ? DEATHS : [])])];
}

const DEATHS = ['401', '404'];
