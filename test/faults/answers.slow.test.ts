import Table from 'cli-table3';
import type * as Undici from 'undici';
import { afterAll, describe, expect, test, vi } from 'vitest';
import type { ConditionType, Truth } from '../../src/domain/condition.ts';
import type { TenantSpec } from '../../src/domain/tenant.ts';
import { createVendors, type Timers } from '../../src/providers/index.ts';
import { LOOP_DEFAULTS } from '../../src/reconciler/loop.ts';
import type { Result, Snapshot } from '../../src/reconciler/ports.ts';
import { reconcile } from '../../src/reconciler/reconcile.ts';
import { scenarioSecrets } from '../../src/simulator/index.ts';
import { pairOf, specFor, TestClock } from '../providers/harness.ts';
import { contractsAvailable } from '../support/contracts.ts';
import { isWrite, lastAnswers, MEMBERS, RESTS_ON } from './invariants.ts';
import {
  Draw,
  KINDS,
  MANGLES,
  MOST_BYTES,
  plansFor,
  wordsOf,
  type Meaning,
  type Plan,
  type Words,
} from './mangle.ts';
import { CLAIMED, Memory, newTenant, type Given } from './memory.ts';
import { Recording, Replay, type Heard, type ReplayOptions, type Twist } from './replay.ts';
import type { Served } from './served.ts';
import { kindOf } from './stage.ts';

/**
 * Vendors whose answers are mangled: the ways in which bodies, statuses, headers and bytes may be wrong, alone and
 * many at a time, in looks at tenants of several kinds. Whatever comes: no look ends by a crash, nothing is written on
 * what was not understood, nothing turns True or False by it, no secret is told, and once the answers are right again
 * the tenant is where it would have been.
 */

vi.mock('undici', async (importOriginal) => {
  const undici = await importOriginal<typeof Undici>();
  const memory = await import('./replay.ts');
  return {
    ...undici,
    Pool: function PoolOrMemory(origin: string, options: Undici.Pool.Options) {
      return memory.MemoryPool.of(origin) ?? new undici.Pool(origin, options);
    },
  };
});

const ANSWERS = Number(process.env['FAULT_ANSWERS'] ?? 100_000);
const SEED = Number(process.env['FAULT_SEED'] ?? 1);

/** Looks that go on side by side, each with a replay of its own; the first one's has a wire. */
const LANES = 4;
/** Looks whose mangled answers are drawn at a time. */
const BATCH = 400;
/** Of so many looks one is looked at again, with right answers. */
const RECOVERED = 3;
const LONGEST_LOOK_MS = 20_000;
const PERIOD_MS = 15 * 60_000;
/** Characters of a condition's message, which people read. */
const LONGEST_MESSAGE = 10_000;
/** Calls of a look: a list has a hundred pages at most. */
const MOST_CALLS = 250;
/** Findings that are told in full. */
const TOLD = 40;

const LIMITS = { ...LOOP_DEFAULTS, repairsPerHour: 1_000_000, rotationsInFlight: 1_000_000 };
const SECRETS = scenarioSecrets('acme');
const { managementKey, integrationKey, umbrellaApiKey, umbrellaKeyAdmin } = SECRETS;
const INTEGRATION: Given = {
  purpose: 'integration',
  pair: pairOf(integrationKey.publicKey, integrationKey.privateKey),
  member: 'umbrella-a',
};
const OTHERS: readonly Given[] = [
  { purpose: 'management', pair: pairOf(managementKey.publicKey, managementKey.privateKey) },
  { purpose: 'umbrella-api', pair: pairOf(umbrellaApiKey.key, umbrellaApiKey.secret) },
  { purpose: 'umbrella-key-admin', pair: pairOf(umbrellaKeyAdmin.key, umbrellaKeyAdmin.secret) },
];
const ACTORS = {
  [managementKey.publicKey]: 'parasol',
  [integrationKey.publicKey]: 'umbrella-a',
  [umbrellaApiKey.key]: 'umbrella-api',
  [umbrellaKeyAdmin.key]: 'umbrella-key-admin',
};
/** What each of them keeps to itself. */
const HIDDEN: Readonly<Record<string, string>> = {
  parasol: managementKey.privateKey,
  'umbrella-a': integrationKey.privateKey,
  'umbrella-api': umbrellaApiKey.secret,
  'umbrella-key-admin': umbrellaKeyAdmin.secret,
};

interface Scenario extends ReplayOptions {
  /** Its share of the looks. */
  weight: number;
  console: TenantSpec['umbrella']['console'];
  given: readonly Given[];
  /** Looks before the one whose answers are mangled. */
  looks: number;
}

const ALL_OURS = { members: { adopt: true, dedicated: true } };
const scenario = (fields: Partial<Scenario> & Pick<Scenario, 'trouble' | 'weight'>): Scenario => ({
  console: 'msp',
  given: [...OTHERS, INTEGRATION],
  looks: 0,
  seed: { customers: 3, lean: true, console: fields.console ?? 'msp' },
  ...fields,
});

const SCENARIOS: Readonly<Record<string, Scenario>> = {
  'a healthy tenant that is known': scenario({ trouble: 'healthy', weight: 6, looks: 2 }),
  'a healthy tenant at first sight': scenario({ trouble: 'healthy', weight: 3, console: 'mssp' }),
  'a healthy tenant with long lists': scenario({
    trouble: 'healthy',
    weight: 1,
    looks: 1,
    seed: { customers: 120 },
    refuseOrder: true,
  }),
  'a pair that is to be proved': scenario({
    trouble: 'healthy',
    weight: 2,
    given: [...OTHERS, { ...INTEGRATION, state: 'candidate' }],
  }),
  'a key that is dead': scenario({ trouble: 'key-dead', weight: 1 }),
  'a member that is to be switched on': scenario({ trouble: 'member-inactive', weight: 2 }),
  'a member that is to be given its role': scenario({ trouble: 'member-wrong-role', weight: 2 }),
  'a member that is to be made': scenario({ trouble: 'member-missing', weight: 2, given: OTHERS }),
  'a role that is to be made': scenario({ trouble: 'role-missing', weight: 1, given: OTHERS }),
};

/** Waits pass at once, and time with them; deadlines never do. */
class Waits implements Timers {
  readonly #clock: TestClock;
  constructor(clock: TestClock) {
    this.#clock = clock;
  }
  after(ms: number, callback: () => void): () => void {
    if (ms > 10_000) return () => undefined;
    const timer = setImmediate(() => {
      this.#clock.advance(ms);
      callback();
    });
    return () => clearImmediate(timer);
  }
}

interface Looked {
  result: Result | null;
  after: Snapshot;
  heard: readonly Heard[];
  crash: string | null;
}

/** A look at a tenant as it is stored, at that time. */
async function look(
  replay: Replay,
  before: Snapshot,
  given: readonly Given[],
  atMs: number,
): Promise<Looked> {
  const clock = new TestClock();
  clock.advance(atMs);
  const vendors = createVendors({
    clock,
    timers: new Waits(clock),
    retries: { times: 0, firstDelayMs: 0 },
    breaker: { failures: 1_000, openMs: 0 },
    maxResponseBytes: MOST_BYTES,
  });
  const memory = new Memory(before, given, vendors, clock);
  let crash: string | null = null;
  let timer: NodeJS.Timeout | undefined;
  try {
    const late = new Promise<never>((_, fail) => {
      timer = setTimeout(() => fail(new Error('it does not end')), LONGEST_LOOK_MS);
    });
    const run = reconcile(memory.deps, CLAIMED, LIMITS, new AbortController().signal);
    const { end } = await Promise.race([run, late]);
    if (end !== 'recorded') crash = `it ended as ${end}`;
  } catch (error) {
    crash = error instanceof Error ? (error.stack ?? error.message) : String(error);
  } finally {
    clearTimeout(timer);
    await vendors.close();
  }
  return { result: memory.result, after: memory.after(clock.now()), heard: replay.heard, crash };
}

/** What is compared: what conditions, plan and hand-offs say. */
function standing({ result }: Looked) {
  const { status } = result!;
  return {
    conditions: status!.conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
    plan: status!.plan.steps.map(({ action, state }) => `${state} ${JSON.stringify(action)}`),
    drift: status!.drift.map(({ path, observed, desired }) => `${path} ${observed} ${desired}`),
  };
}

type Truths = ReadonlyMap<ConditionType, Truth>;
const truthsOf = (conditions: readonly { type: ConditionType; status: Truth }[]): Truths =>
  new Map(conditions.map(({ type, status }) => [type, status]));

/** A scenario whose honest looks are known. */
interface Stage {
  name: string;
  scenario: Scenario;
  recording: Recording;
  before: Snapshot;
  honest: Looked;
  /** The honest look that changes nothing. */
  onlooker: Looked;
  /** The honest look after it. */
  next: Looked;
  /** Its questions, as `kindOf` has them. */
  questions: readonly string[];
  others: readonly Served[];
  words: Words;
}

const questionOf = ({ entry }: Pick<Heard, 'entry'>): string =>
  `${kindOf(entry)} ${entry.query['page'] ?? ''}`;

async function staged(
  name: string,
  scenario: Scenario,
  recording: Recording,
  replay: Replay,
): Promise<Stage> {
  const spec = specFor(replay.url, replay.url, {
    umbrella: { console: scenario.console },
    connectwise: ALL_OURS,
  });
  const at = (looks: number) => looks * PERIOD_MS;
  let before = newTenant(spec, scenario.given, new TestClock().now());
  replay.play(recording, ACTORS);
  for (let looks = 0; looks < scenario.looks; looks += 1) {
    before = (await look(replay, before, scenario.given, at(looks))).after;
  }
  replay.play(recording, ACTORS);
  const honest = await look(replay, before, scenario.given, at(scenario.looks));
  expect(honest.crash).toBeNull();
  replay.goOn();
  const next = await look(replay, honest.after, scenario.given, at(scenario.looks + 1));
  expect(next.crash).toBeNull();
  replay.play(recording, ACTORS);
  const observing = { ...before.tenant, spec: { ...spec, mode: 'observe' as const } };
  const onlooker = await look(replay, { ...before, tenant: observing }, scenario.given, at(scenario.looks));
  const others = honest.heard.map((one) => one.honest);
  return {
    name,
    scenario,
    recording,
    before,
    honest,
    onlooker,
    next,
    questions: [...new Set(honest.heard.map(questionOf))],
    others,
    words: wordsOf(others),
  };
}

/** Answers the look's questions as the plans want it. */
function twistOf(stage: Stage, plans: readonly Plan[]): Twist {
  const { questions, others, words } = stage;
  return ({ entry, nth }, honest) => {
    const question = questionOf({ entry });
    const first = questionOf({ entry: { ...entry, query: { ...entry.query, page: '1' } } });
    let served = honest;
    for (const plan of plans) {
      const asked = questions[plan.question % questions.length];
      // A list that says once that it goes on would end with the next page, as it should.
      const isIt = plan.kind === 'a link' ? asked === first : asked === question && !(plan.once && nth > 0);
      if (!isIt) continue;
      const secrets = [HIDDEN[entry.actor ?? ''] ?? 'nothing-secret'];
      served = MANGLES[plan.kind]!(served, new Draw(plan.seed + nth), { entry, others, secrets, words });
    }
    return served === honest ? null : served;
  };
}

interface Tally {
  looks: number;
  answers: number;
  meanings: Record<Meaning, number>;
  byQuestion: Map<string, number>;
  writes: number;
  recovered: number;
  longestMs: number;
  longestMessage: number;
}
const tally: Tally = {
  looks: 0,
  answers: 0,
  meanings: { kept: 0, changed: 0, refused: 0, lost: 0 },
  byQuestion: new Map(),
  writes: 0,
  recovered: 0,
  longestMs: 0,
  longestMessage: 0,
};
const count = (map: Map<string, number>, name: string) => map.set(name, (map.get(name) ?? 0) + 1);

interface Verdict {
  wrongs: string[];
  meanings: ReadonlySet<Meaning>;
  looked: Looked;
}

/** One look with such answers, and what it did that it may not do. */
async function tried(
  stage: Stage,
  replay: Replay,
  before: Snapshot,
  plans: readonly Plan[],
): Promise<Verdict> {
  const { scenario } = stage;
  replay.play(stage.recording, ACTORS, twistOf(stage, plans));
  const looked = await look(replay, before, scenario.given, scenario.looks * PERIOD_MS);
  const said = looked.heard;
  const meanings = new Set(said.map(({ meaning }) => meaning));
  const wrongs = [
    ...(looked.crash === null ? [] : [`it crashed: ${looked.crash}`]),
    ...(said.length <= MOST_CALLS ? [] : [`it called ${said.length} times`]),
    ...wrongWrites(stage, said, meanings),
    ...(looked.result === null ? [] : wrongResult(looked.result)),
    ...wrongTruths(before, stage, looked, meanings),
  ];
  return { wrongs, meanings, looked };
}

type Said = readonly Pick<Heard, 'entry' | 'meaning'>[];

function wrongWrites({ honest }: Stage, said: Said, meanings: ReadonlySet<Meaning>): string[] {
  const entries = said.map(({ entry }) => entry);
  const writes = entries.filter(isWrite);
  const wordsOfWrite = (entry: Heard['entry']) =>
    `${entry.method} ${entry.path} ${JSON.stringify(entry.requestBody)}`;
  const usual = new Set(
    honest.heard
      .map(({ entry }) => entry)
      .filter(isWrite)
      .map(wordsOfWrite),
  );
  const twice = writes.map(wordsOfWrite).filter((write, at, all) => all.indexOf(write) !== at);
  const lost = new Set(said.filter(({ meaning }) => meaning === 'lost').map(({ entry }) => entry.seq));
  return [
    ...twice.map((write) => `sent twice: ${write}`),
    ...(meanings.has('changed')
      ? []
      : writes
          .filter((write) => !usual.has(wordsOfWrite(write)))
          .map((write) => `wrote ${wordsOfWrite(write)}`)),
    ...writes.flatMap((write) => {
      const rests = RESTS_ON[kindOf(write)] ?? [];
      // A redirect is no answer; where it was followed, there is another.
      const before = entries.filter(
        ({ seq, method, status }) => seq < write.seq && method === 'GET' && !isRedirect(status),
      );
      // The search for a model member is no list of the look.
      const asked = lastAnswers(before.filter((entry) => kindOf(entry) !== MEMBERS || entry.query['fields']));
      return rests.flatMap((kind) => {
        const answers = asked.filter((entry) => kindOf(entry) === kind);
        if (answers.length === 0) return [`${kindOf(write)} left without ${kind}`];
        return answers.some(({ seq }) => lost.has(seq))
          ? [`${kindOf(write)} left, though ${kind} was not understood`]
          : [];
      });
    }),
  ];
}

const isRedirect = (status: number | null): boolean => status !== null && status >= 300 && status < 400;

/** What is recorded is as it may be kept, and tells no secret. */
function wrongResult(result: Result): string[] {
  const text = JSON.stringify(result);
  const { inMs } = result.next;
  const longest = Math.max(0, ...(result.status?.conditions ?? []).map(({ message }) => message.length));
  tally.longestMessage = Math.max(tally.longestMessage, longest);
  return [
    ...Object.values(HIDDEN)
      .filter((secret) => text.includes(secret))
      .map(() => 'it tells a secret'),
    ...(longest <= LONGEST_MESSAGE ? [] : [`it has a message of ${longest} characters`]),
    ...(Number.isFinite(inMs) && inMs >= 0 && inMs <= 24 * 3_600_000
      ? []
      : [`it is due again in ${inMs} ms`]),
    ...Object.values(result.provedAt)
      .filter((at) => Number.isNaN(Date.parse(at)))
      .map((at) => `a pair was proved at ${at}`),
  ];
}

/** What was not understood turns nothing True or False; what was said in another way changes nothing. */
function wrongTruths(
  before: Snapshot,
  { honest, onlooker }: Stage,
  { result }: Looked,
  meanings: ReadonlySet<Meaning>,
): string[] {
  if (!result?.status || meanings.has('changed')) return [];
  const earlier = truthsOf(before.status?.conditions ?? []);
  const usual = truthsOf(honest.result!.status!.conditions);
  const unrepaired = truthsOf(onlooker.result!.status!.conditions);
  return result.status.conditions.flatMap(({ type, status, reason, message }) => {
    const may: (Truth | undefined)[] = [usual.get(type)];
    if (meanings.has('lost') || meanings.has('refused'))
      may.push('Unknown', earlier.get(type), unrepaired.get(type));
    // A refusal is the vendor's word; a site that answers with a page is not ConnectWise.
    if (meanings.has('refused') || type === 'ConnectWiseReachable') may.push('False');
    return may.includes(status) ? [] : [`${type} turned ${status} (${reason}): ${message.slice(0, 200)}`];
  });
}

/** Once the answers are right again, the tenant is where it would have been. */
async function recovery({ scenario, next }: Stage, replay: Replay, { after }: Looked): Promise<string[]> {
  replay.goOn();
  const again = await look(replay, after, scenario.given, (scenario.looks + 1) * PERIOD_MS);
  tally.recovered += 1;
  if (again.crash !== null) return [`the look after it crashed: ${again.crash}`];
  const [found, wanted] = [standing(again), standing(next)];
  return (['conditions', 'plan', 'drift'] as const).flatMap((part) =>
    found[part].join('\n') === wanted[part].join('\n')
      ? []
      : [`afterwards ${part} are ${found[part].join(', ')}; they would be ${wanted[part].join(', ')}`],
  );
}

/** The plans of a look that alone do what was found. */
async function fewest(
  stage: Stage,
  replay: Replay,
  before: Snapshot,
  plans: readonly Plan[],
): Promise<readonly Plan[]> {
  let left = plans;
  for (const plan of plans) {
    const without = left.filter((one) => one !== plan);
    if (without.length > 0 && (await tried(stage, replay, before, without)).wrongs.length > 0) left = without;
  }
  return left;
}

const wordsOfPlans = ({ questions }: Stage, plans: readonly Plan[]): string =>
  plans
    .map(
      ({ kind, question, once, seed }) =>
        `${kind} (${seed}) ${once ? 'once' : 'always'} to ${questions[question % questions.length]}`,
    )
    .join(' + ');

afterAll(() => console.log(summary()));

const absent = contractsAvailable ? '' : ' (the contracts are not here: only recorded answers are mangled)';

describe(`mangled answers${absent}`, () => {
  const total = Object.values(SCENARIOS).reduce((sum, { weight }) => sum + weight, 0);

  test.each(Object.entries(SCENARIOS))('%s', async (name, scenario) => {
    const wanted = Math.ceil((ANSWERS * scenario.weight) / total);
    const replays = await Promise.all(Array.from({ length: LANES }, (_, lane) => Replay.open(lane === 0)));
    const findings: string[] = [];
    const broken = (error: unknown) => findings.push(`nobody heard of ${String(error)}`);
    process.on('unhandledRejection', broken);
    // The tenant of each lane has another origin, and so another past.
    const stages: Stage[] = [];
    const recording = await Recording.open(scenario);
    for (const replay of replays) stages.push(await staged(name, scenario, recording, replay));
    recording.learning = false;
    const mangled = { answers: 0 };
    for (let batch = 0; mangled.answers < wanted; batch += 1) {
      const plans = plansFor(BATCH, SEED + 1_000 * batch + name.length);
      let at = 0;
      const lane = async (stage: Stage, replay: Replay) => {
        while (at < plans.length && mangled.answers < wanted) {
          const mine = plans[at]!;
          const index = at;
          at += 1;
          const began = performance.now();
          const { wrongs, meanings, looked } = await tried(stage, replay, stage.before, mine);
          tally.longestMs = Math.max(tally.longestMs, performance.now() - began);
          mangled.answers += noted(looked);
          const is = index % RECOVERED === 0 && !meanings.has('changed') && !meanings.has('refused');
          const later = wrongs.length === 0 && is ? await recovery(stage, replay, looked) : [];
          if (wrongs.length + later.length === 0) continue;
          const few =
            wrongs.length > 0 && findings.length < TOLD
              ? await fewest(stage, replay, stage.before, mine)
              : mine;
          findings.push(`${wordsOfPlans(stage, few)}: ${[...wrongs, ...later].join('; ')}`);
        }
      };
      await Promise.all(stages.map((stage, index) => lane(stage, replays[index]!)));
    }
    process.off('unhandledRejection', broken);
    await recording[Symbol.asyncDispose]();
    await Promise.all(replays.map((replay) => replay[Symbol.asyncDispose]()));
    expect(findings.slice(0, TOLD)).toEqual([]);
  });
});

/** Counts what was tried; answers how many answers were mangled. */
function noted({ heard }: Looked): number {
  const mangled = heard.filter((one) => one.mangled !== null);
  tally.looks += 1;
  tally.answers += mangled.length;
  tally.writes += heard.filter(({ entry }) => isWrite(entry)).length;
  for (const { entry, meaning } of mangled) {
    tally.meanings[meaning] += 1;
    count(tally.byQuestion, kindOf(entry));
  }
  return mangled.length;
}

function summary(): string {
  const table = new Table({ head: ['mangled answers to', 'times'], style: { head: [], border: [] } });
  for (const row of tally.byQuestion) table.push(row);
  const { looks, answers, meanings, writes, recovered, longestMs, longestMessage } = tally;
  return [
    table.toString(),
    `${answers} mangled answers of ${KINDS.length} kinds in ${looks} looks, ${recovered} of which were looked at again;`,
    `${JSON.stringify(meanings)}; ${writes} writes left; the longest look took ${Math.round(longestMs)} ms,`,
    `the longest message has ${longestMessage} characters; FAULT_ANSWERS=${ANSWERS} FAULT_SEED=${SEED}`,
  ].join('\n');
}
