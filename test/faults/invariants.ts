import type { ConditionType } from '../../src/domain/condition.ts';
import type { FactName, Facts } from '../../src/domain/observation.ts';
import type { JournalEntry } from '../../src/simulator/index.ts';
import { kindOf, NEW_UMBRELLA_KEY, type Play, type Run, type Standing } from './stage.ts';

/** What holds of a run whatever its vendors did, read off the simulator's journal and state and the database. */

const SECURITY = 'GET /system/mySecurity as parasol';
export const MEMBERS = 'GET /system/apiMembers as parasol';
const MEMBER = 'GET /system/apiMembers/{id} as parasol';
const ROLES = 'GET /system/securityroles as parasol';
const LEVELS = 'GET /system/securityRoles/{parentId}/settings as parasol';
const UMBRELLA_KEYS = 'GET /admin/v2/apiKeys as umbrella-key-admin';

/** What a write rests on: whose key it is, the lists with their controls, and what is changed. */
export const RESTS_ON: Readonly<Record<string, readonly string[]>> = {
  'POST /system/securityroles as parasol': [SECURITY, MEMBERS, ROLES],
  'POST /system/apiMembers as parasol': [SECURITY, MEMBERS, ROLES, LEVELS],
  'PATCH /system/apiMembers/{id} as parasol': [SECURITY, MEMBERS, MEMBER],
  'POST /admin/v2/apiKeys as umbrella-key-admin': [UMBRELLA_KEYS],
  'DELETE /admin/v2/apiKeys/{apiKeyId} as umbrella-key-admin': [UMBRELLA_KEYS],
};

/** The facts that a condition is made of. What a key shows of a role counts for the member whose key it is. */
const EVIDENCE: Readonly<Partial<Record<ConditionType, readonly FactName[]>>> = {
  ConnectWiseReachable: ['site', 'management'],
  ManagementKeyValid: ['management', 'members', 'roles', 'writes'],
  RoleReady: ['roles', 'roleLevels', 'integrationKey', 'members'],
  TableSetupReady: ['integrationKey', 'members', 'roles'],
  MembersReady: ['members', 'roles'],
  IntegrationKeyValid: ['integrationKey'],
  UmbrellaKeyValid: ['umbrellaAccess', 'umbrellaKeyAdmin', 'umbrellaKey', 'customers'],
  UmbrellaIntegrated: ['writes', 'customers'],
};

/** What a read alone shows. */
const SHOWS: Readonly<Record<string, readonly FactName[]>> = {
  [SECURITY]: ['management'],
  [MEMBERS]: ['members'],
  [ROLES]: ['roles'],
  [LEVELS]: ['roleLevels'],
  'GET /company/configurations as parasol': ['writes'],
  'GET /admin/v2/managed/customers as umbrella-api': ['customers'],
  'GET /admin/v2/providers/customers as umbrella-api': ['customers'],
  [`GET /admin/v2/managed/customers as ${NEW_UMBRELLA_KEY}`]: ['customers'],
  [UMBRELLA_KEYS]: ['umbrellaKey', 'umbrellaAdminKey'],
};

/** The vendors' own limits (domain.md §4, §5): calls within any so many milliseconds. */
const LIMITS: Readonly<Record<string, readonly (readonly [calls: number, ms: number])[]>> = {
  connectwise: [[1_000, 60_000]],
  '/auth/v2/token': [[20, 60_000]],
  '/admin/v2/apiKeys': [
    [5, 1_000],
    [14, 60_000],
    [350, 30 * 60_000],
  ],
  '/admin/v2/managed/customers': [
    [30, 1_000],
    [70, 60_000],
    [1_000, 30 * 60_000],
  ],
};

/** Strands in which a look reads ConnectWise with Parasol's own key; one more for each pair that it proves. */
const STRANDS = 2;

/** How often each rule had something to look at, so that none is kept by nothing's happening. */
export interface Tally {
  plays: number;
  runs: number;
  hits: number;
  writes: number;
  turnedTrue: number;
  waits: number;
}
export const newTally = (): Tally => ({ plays: 0, runs: 0, hits: 0, writes: 0, turnedTrue: 0, waits: 0 });

/** What was done to a play. */
export interface Done {
  weather: boolean;
  /** Seconds that the vendor asked to wait in each harmed answer. */
  wait?: number;
}

/** What a play did that it may not do, up to now. */
export async function wrongsOf(play: Play, unharmed: Unharmed, done: Done, tally: Tally): Promise<string[]> {
  const { calls, runs } = play;
  tally.plays += 1;
  tally.runs += runs.length;
  tally.hits += calls.filter(isHarmed).length;
  tally.writes += calls.filter(isWrite).length;
  const asked = done.weather ? await play.askedFor() : [];
  return [
    ...play.wrongs,
    ...(done.weather ? play.gaveUp.map((why) => `weather ended a rotation: ${why}`) : []),
    ...asked.filter((what) => !unharmed.asked.has(what)).map((what) => `weather asks people for ${what}`),
    ...runs.flatMap((run) => [
      ...writesOnHarm(run),
      ...trueWithoutEvidence(run, tally),
      ...(done.weather ? [...seenOfHarm(run), ...falseByWeather(run, unharmed)] : []),
    ]),
    ...madeTwice(play, calls),
    ...(await lostKeys(play)),
    ...writesAgainstMode(play, calls),
    ...runs.flatMap((run) => insideOfWaits(run.calls, calls, done.wait, tally)),
    ...overTheLimits(calls),
  ];
}

/** What the unharmed run of a scenario was like. */
export interface Unharmed {
  calls: JournalEntry[];
  standing: Standing;
  /** `RoleReady False`, at whatever time. */
  ever: ReadonlySet<string>;
  /** What people were asked for, at whatever time. */
  asked: ReadonlySet<string>;
}

/** `before`: a play that only looked at what was found. */
export async function unharmedOf(play: Play, before: Play): Promise<Unharmed> {
  const standing = await play.standing();
  const asked = new Set(await play.askedFor());
  const ever = new Set(
    [...before.runs, ...play.runs].flatMap(({ result }) =>
      (result?.status?.conditions ?? []).map(({ type, status }) => `${type} ${status}`),
    ),
  );
  return { calls: play.calls, standing, ever, asked };
}

export const isHarmed = ({ fault }: JournalEntry): boolean => fault !== null;
export const isWrite = ({ method, operation }: JournalEntry): boolean =>
  method !== 'GET' && operation !== '/auth/v2/token';

/** One thing that is asked; a codebase in its path is no part of it. */
const questionOf = (entry: JournalEntry): string => {
  const id = entry.operation?.endsWith('{id}') === true ? entry.path.split('/').at(-1) : '';
  return `${kindOf(entry)} ${id} ${JSON.stringify(entry.query)}`;
};

/** The last answer to each question. */
export const lastAnswers = (calls: readonly JournalEntry[]): JournalEntry[] => [
  ...new Map(calls.map((entry) => [questionOf(entry), entry])).values(),
];

/** No write is decided on an answer that was not understood. */
function writesOnHarm({ calls }: Run): string[] {
  return calls.filter(isWrite).flatMap((write) => {
    const rests = RESTS_ON[kindOf(write)];
    if (rests === undefined) return [`nobody knows what ${kindOf(write)} rests on`];
    const before = lastAnswers(calls.filter(({ seq, method }) => seq < write.seq && method === 'GET'));
    const lacking = rests.filter((kind) => !before.some((entry) => kindOf(entry) === kind));
    return [
      ...lacking.map((kind) => `${kindOf(write)} left without ${kind}`),
      ...before
        .filter((entry) => rests.includes(kindOf(entry)) && isHarmed(entry))
        .map((entry) => `${kindOf(write)} left, though ${kindOf(entry)} met ${entry.fault}`),
    ];
  });
}

/** What turns True has evidence that is no older than its turning. */
function trueWithoutEvidence({ at, before, result, calls }: Run, tally: Tally): string[] {
  if (!result?.status) return [];
  const { conditions, facts } = result.status;
  return conditions.flatMap(({ type, status, reason, lastTransitionTime }) => {
    const names = EVIDENCE[type];
    const turned = status === 'True' && before.find((one) => one.type === type)?.status !== 'True';
    if (!names || !turned) return [];
    tally.turnedTrue += 1;
    if (lastTransitionTime < at.toISOString()) return [`${type} turned True at ${lastTransitionTime}`];
    const newest = names.map((name) => facts[name]?.at ?? '').reduce((a, b) => (a > b ? a : b));
    const seen = newest >= at.toISOString() && calls.length > 0;
    return seen
      ? []
      : [`${type} turned True (${reason}) by what was seen at ${newest}, not at ${lastTransitionTime}`];
  });
}

/** A read that went wrong each time shows nothing, and dates nothing anew. */
function seenOfHarm({ at, result, calls }: Run): string[] {
  if (!result?.status) return [];
  const { facts } = result.status;
  // The search for a model member is no list of the look.
  const looks = calls.filter((entry) => kindOf(entry) !== MEMBERS || entry.query['fields'] !== undefined);
  // Who is asked about grows within a run, so that one fact may come by several questions.
  const clean = new Set(looks.filter((entry) => !isHarmed(entry)).map(kindOf));
  return lastAnswers(looks)
    .filter((entry) => !clean.has(kindOf(entry)))
    .flatMap((entry) =>
      shownBy(entry, facts)
        .filter(({ seenAt }) => seenAt !== undefined && seenAt >= at.toISOString())
        .map(({ what }) => `${what} was seen by ${kindOf(entry)}, which met ${entry.fault}`),
    );
}

/** What such a call alone shows, and when it was seen last. */
function shownBy(entry: JournalEntry, facts: Facts): { what: string; seenAt: string | undefined }[] {
  const named = (SHOWS[kindOf(entry)] ?? []).map((name) => ({ what: name, seenAt: facts[name]?.at }));
  if (entry.operation !== '/system/mySecurity') return named;
  // Which pair is in use changes with a rotation, whose it is does not.
  const pairs = [facts.integrationKey, ...Object.values(facts.candidates)].filter(
    (fact) => fact?.value?.authenticates === true && fact.value.member === entry.actor,
  );
  return [...named, ...pairs.map((fact) => ({ what: `a key of ${entry.actor}`, seenAt: fact?.at }))];
}

function falseByWeather({ result }: Run, { ever }: Unharmed): string[] {
  return (result?.status?.conditions ?? [])
    .filter(({ type, status }) => status === 'False' && type !== 'ConnectWiseReachable')
    .filter(({ type, status }) => !ever.has(`${type} ${status}`))
    .map(({ type, reason, message }) => `weather turned ${type} False (${reason}): ${message}`);
}

const nameOf = ({ requestBody }: JournalEntry): string => {
  const { identifier, name } = Object(requestBody) as { identifier?: string; name?: string };
  return identifier ?? name ?? '?';
};

/** Nothing is made twice, nor asked for once it was made. */
function madeTwice({ stage, id, spec }: Play, calls: JournalEntry[]): string[] {
  const { roles, members } = stage.world.viewCompany(id);
  const names = [
    ...roles.filter(({ name }) => name === spec.connectwise.role.name).map(({ name }) => `role ${name}`),
    ...members.map(({ identifier }) => `member ${identifier.toLowerCase()}`),
  ];
  const made = new Set<string>();
  const again = calls
    .filter(({ method, vendor }) => method === 'POST' && vendor === 'connectwise')
    .flatMap((entry) => {
      const what = `${entry.operation} ${nameOf(entry)}`;
      const found = made.has(what) ? [`${what} was asked for again, after it was made`] : [];
      if (entry.applied) made.add(what);
      return found;
    });
  return [
    ...names.filter((name, at) => names.indexOf(name) !== at).map((name) => `there are two: ${name}`),
    ...again,
  ];
}

/** A key that works is one that Parasol holds, since neither vendor shows one twice. */
async function lostKeys(play: Play): Promise<string[]> {
  const held = await play.held();
  const live = play.keys.filter(({ isLive, fingerprint }) => isLive && play.made.has(fingerprint));
  return [
    ...live
      .filter(({ fingerprint }) => held.get(fingerprint)?.isHeld !== true)
      .map(({ member, fingerprint }) => `the key ${fingerprint} of ${member} works, and is not held`),
    ...play.umbrellaKeys
      .filter((fingerprint) => held.get(fingerprint)?.isHeld !== true)
      .map((fingerprint) => `the Umbrella key ${fingerprint} works, and is not held`),
  ];
}

function writesAgainstMode({ spec }: Play, calls: JournalEntry[]): string[] {
  return spec.mode === 'repair'
    ? []
    : calls.filter(isWrite).map((entry) => `${kindOf(entry)} left in mode ${spec.mode}`);
}

/** What a vendor counts together. */
const budgetOf = ({ vendor, operation, path, actor }: JournalEntry): string => {
  if (vendor === 'connectwise') return 'connectwise';
  const family = Object.keys(LIMITS).find((start) => (operation ?? path).startsWith(start));
  return `${family ?? '/admin/v2/managed/customers'} of ${actor}`;
};

/** Nobody calls while a vendor asked to wait; only what had left before the answer came arrives after it. */
function insideOfWaits(
  ofRun: JournalEntry[],
  calls: JournalEntry[],
  wait: number | undefined,
  tally: Tally,
): string[] {
  if (wait === undefined) return [];
  const pairs = new Set(ofRun.filter(isProof).map(({ keyFingerprint }) => keyFingerprint)).size;
  return ofRun.filter(isHarmed).flatMap((asked) => {
    tally.waits += 1;
    const from = Date.parse(asked.at);
    const inside = calls.filter(
      (entry) =>
        entry.seq > asked.seq &&
        budgetOf(entry) === budgetOf(asked) &&
        Date.parse(entry.at) < from + wait * 1_000,
    );
    const onTheirWay = inside.filter(({ at }) => Date.parse(at) === from);
    // So many others may be on their way when one is answered.
    const may = asked.vendor === 'connectwise' ? STRANDS + pairs - 1 : 0;
    const later = inside.filter(({ at }) => Date.parse(at) > from);
    return [
      ...later.map(
        (entry) => `${kindOf(entry)} left at ${entry.at}, ${wait} s were to be waited from ${asked.at}`,
      ),
      ...(onTheirWay.length > may
        ? [`after ${kindOf(asked)} was asked to wait there left ${onTheirWay.map(kindOf).join(', ')}`]
        : []),
    ];
  });
}

const isProof = ({ operation, actor }: JournalEntry): boolean =>
  operation === '/system/mySecurity' && actor !== 'parasol';

function overTheLimits(calls: JournalEntry[]): string[] {
  const refused = calls
    .filter((entry) => entry.status === 429 && !isHarmed(entry))
    .map((entry) => `${kindOf(entry)} was one more than the vendor allows`);
  const over = Object.entries(Object.groupBy(calls, budgetOf)).flatMap(([budget, some = []]) => {
    const limits = LIMITS[budget.split(' ')[0]!] ?? [];
    const times = some.map(({ at }) => Date.parse(at));
    return limits.flatMap(([most, ms]) =>
      times.some((time, at) => at >= most && time - times[at - most]! < ms)
        ? [`more than ${most} calls of ${budget} within ${ms} ms`]
        : [],
    );
  });
  return [...refused, ...over];
}
