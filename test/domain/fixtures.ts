import fc from 'fast-check';
import type { Circumstances, IntegrationMemory } from '../../src/domain/condition.ts';
import type { HeldCredential } from '../../src/domain/credential.ts';
import type {
  ConfigurationFact,
  FactName,
  FactValues,
  Facts,
  KeyProof,
  LevelRow,
  MemberFact,
  Observation,
  Reading,
  Remembered,
  UmbrellaKeyFact,
} from '../../src/domain/observation.ts';
import type { Failure } from '../../src/domain/outcome.ts';
import type { Pause } from '../../src/domain/pause.ts';
import type { PlanningGround } from '../../src/domain/ground.ts';
import { PROCEDURE_ALLOW_LIST, PROCEDURE_LEVELS, tenantSpecSchema } from '../../src/domain/tenant.ts';
import type { Level, TenantSpec } from '../../src/domain/tenant.ts';

/** The clock stands still: every age in these tests is counted back from here. */
export const NOW = new Date('2026-03-10T12:00:00.000Z');

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

/** The ISO time so long before now. */
export const ago = (ms: number): string => new Date(NOW.getTime() - ms).toISOString();
export const at = NOW.toISOString();

type Part = Record<string, unknown>;

/** A tenant's spec with Cisco's procedure, except for the parts named. */
export function specWith(parts: { connectwise?: Part; umbrella?: Part } & Part = {}): TenantSpec {
  const { connectwise, umbrella, ...rest } = parts;
  return tenantSpecSchema.parse({
    id: 'acme',
    name: 'Acme MSP',
    ...rest,
    connectwise: {
      site: 'https://na.myconnectwise.net',
      companyId: 'acme',
      clientId: '7d2b5a0e-8d3c-4f0e-9a51-1f2e3d4c5b6a',
      ...connectwise,
    },
    umbrella: { console: 'msp', apiKeyExpires: 'never', ...umbrella },
  });
}

export const seen = <T>(value: T, when: string = at, credentialId: string | null = null): Remembered<T> => ({
  value,
  at: when,
  observedAt: when,
  source: 'management key',
  credentialId,
});

export const read = <T>(
  value: T,
  when: string = at,
  credentialId: string | null = null,
): Reading<T> & { ok: true } => ({
  ok: true,
  value,
  at: when,
  source: 'management key',
  credentialId,
});

export const unread = (failure: Failure, when: string = at, credentialId: string | null = null) =>
  ({ ok: false, failure, at: when, source: 'management key', credentialId }) as const;

/** What could not be read, and nothing that was known before. */
export const failing = (failure: Failure, when: string = at, credentialId: string | null = null) => ({
  failure: { failure, at: when, credentialId },
});

export const timeout: Failure = { kind: 'Unavailable', why: 'timeout', detail: 'no answer in 10s' };
export const forbidden: Failure = { kind: 'Forbidden', detail: 'Security' };

/** The rows that ConnectWise shows of a role with exactly the procedure's levels. */
export const exactRows = (): LevelRow[] => [
  ...Object.entries(PROCEDURE_LEVELS).map(([name, levels]) => ({ function: name, ...levels })),
  { function: 'Finance/Invoicing', add: 'None', edit: 'None', delete: 'None', inquire: 'None' },
];

/** Those rows with one cell set. */
export const rowsWith = (name: string, right: keyof LevelRow, level: Level): LevelRow[] =>
  exactRows().map((row) => (row.function === name ? { ...row, [right]: level } : row));

export const ROLE = { id: 63, name: 'Umbrella', inactive: false };
export const ADMIN_ROLE = { id: 1, name: 'Admin', inactive: false };

export const memberWith = (parts: Partial<MemberFact> = {}): MemberFact => ({
  id: 201,
  identifier: 'umbrella-a',
  name: 'Umbrella A',
  inactive: false,
  role: { id: ROLE.id, name: ROLE.name },
  level: { id: 1, name: 'Corporate (Level 1)' },
  location: { id: 2, name: 'Tampa Office' },
  ...parts,
});

export const PARASOL = memberWith({
  id: 200,
  identifier: 'parasol',
  role: { id: ADMIN_ROLE.id, name: ADMIN_ROLE.name },
});

export const alive = (parts: Partial<KeyProof & { authenticates: true }> = {}): KeyProof => ({
  authenticates: true,
  credentialId: 'key-1',
  fingerprint: 'fp-1',
  member: 'umbrella-a',
  levels: exactRows(),
  allowList: [...PROCEDURE_ALLOW_LIST],
  unreadable: [],
  ...parts,
});

export const dead = (credentialId = 'key-1'): KeyProof => ({
  authenticates: false,
  credentialId,
  fingerprint: 'fp-1',
});

export const credential = (parts: Partial<HeldCredential> = {}): HeldCredential => ({
  id: 'key-1',
  purpose: 'integration',
  state: 'active',
  fingerprint: 'fp-1',
  member: 'umbrella-a',
  origin: 'https://na.myconnectwise.net',
  createdAt: ago(10 * DAY),
  lastProvedAt: null,
  handoffId: null,
  ...parts,
});

export const candidateWith = (parts: Partial<HeldCredential> = {}): HeldCredential =>
  credential({ id: 'key-2', fingerprint: 'fp-2', state: 'candidate', createdAt: ago(MINUTE), ...parts });

const MANAGEMENT = credential({ id: 'key-m', purpose: 'management', member: null });
export const UMBRELLA_API = credential({ id: 'key-u', purpose: 'umbrella-api', member: null });
export const KEY_ADMIN = credential({ id: 'key-k', purpose: 'umbrella-key-admin', member: null });

/** Every pair that a tenant with declared expiry needs. */
export const held = (): HeldCredential[] => [MANAGEMENT, credential(), UMBRELLA_API];
/** The same without the integration key, which was never given. */
export const heldButIntegration = (): HeldCredential[] => [MANAGEMENT, UMBRELLA_API];

export const TYPE = { id: 17, name: 'Umbrella' };

export const configuration = (parts: Partial<ConfigurationFact> = {}): ConfigurationFact => ({
  id: 1,
  name: 'Umbrella: Contoso',
  company: { id: 11, identifier: 'contoso', name: 'Contoso' },
  typeId: TYPE.id,
  updatedBy: 'umbrella-a',
  lastUpdated: ago(3 * HOUR),
  ...parts,
});

/** One configuration for each write: by whom, and how long ago. */
export const writesOf = (...writes: [by: string, age: number][]): FactValues['writes'] => ({
  type: TYPE,
  configurations: writes.map(([updatedBy, age], index) =>
    configuration({ id: index + 1, updatedBy, lastUpdated: ago(age) }),
  ),
  complete: true,
});

/** What a healthy tenant shows. */
export const healthyValues = (): FactValues => ({
  site: { state: 'answers', companyName: 'Acme MSP', codebase: 'v2025_1/' },
  management: { authenticates: true, member: 'parasol', missing: [] },
  members: { items: [PARASOL, memberWith()], controlSeen: true },
  roles: { items: [ADMIN_ROLE, ROLE], controlSeen: true },
  roleLevels: { roleId: ROLE.id, rows: exactRows(), source: 'settings' },
  integrationKey: alive(),
  writes: writesOf(['umbrella-a', 3 * HOUR]),
  umbrellaAccess: { accepted: true },
  umbrellaKeyAdmin: { accepted: true },
  umbrellaKey: { name: 'parasol', scopes: [], expiresAt: null },
  umbrellaAdminKey: { name: 'admin', scopes: [], expiresAt: null },
  customers: [{ id: 1, name: 'Contoso' }],
});
export const FACT_NAMES = Object.keys(healthyValues()) as FactName[];

/** The pair of `held()` that each fact tells something of; the others tell of none. */
const TELLS_OF: Partial<Record<FactName, string>> = {
  management: 'key-m',
  members: 'key-m',
  roles: 'key-m',
  roleLevels: 'key-m',
  writes: 'key-m',
  integrationKey: 'key-1',
  umbrellaAccess: 'key-u',
  customers: 'key-u',
  umbrellaKey: 'key-u',
  umbrellaAdminKey: 'key-k',
  umbrellaKeyAdmin: 'key-k',
};

/** Facts of a healthy tenant seen at one time, except for the values named; `undefined` takes one away. */
export function factsWith(
  parts: { [Name in FactName]?: FactValues[Name] | undefined } = {},
  when: string = at,
): Facts {
  const facts: Facts = { candidates: {} };
  for (const [name, value] of Object.entries({ ...healthyValues(), ...parts })) {
    if (value !== undefined)
      Object.assign(facts, { [name]: seen(value, when, TELLS_OF[name as FactName] ?? null) });
  }
  return facts;
}

export const noMemory = (): IntegrationMemory => ({ type: TYPE, bursts: [] });
/** A tenant that was seen to write once a day. */
export const dailyMemory = (): IntegrationMemory => ({
  type: TYPE,
  bursts: [5, 4, 3, 2].map((days) => ago(days * DAY)),
});

export const circumstances = (parts: Partial<Circumstances> = {}): Circumstances => ({
  spec: specWith(),
  facts: factsWith(),
  memory: noMemory(),
  credentials: held(),
  now: NOW,
  capReached: false,
  brake: null,
  rotation: null,
  umbrellaRotation: null,
  handoffs: [],
  pause: null,
  accepted: [],
  ...parts,
});

/** A person's pause with so much of it left; null: it has no end. */
export const pauseFor = (leftMs: number | null): Pause => ({
  by: 'Jo',
  reason: 'a freeze',
  since: ago(HOUR),
  until: leftMs === null ? null : ago(-leftMs),
  leftMs,
});

export const groundWith = (parts: Partial<PlanningGround> = {}): PlanningGround => ({
  spec: specWith(),
  facts: factsWith(),
  observedAt: at,
  now: NOW,
  credentials: held(),
  owned: [],
  unsettled: [],
  memory: noMemory(),
  integrated: { status: 'True', reason: 'Writing', message: 'umbrella-a wrote 3h ago.' },
  deleting: false,
  pause: null,
  brake: null,
  accepted: [],
  rotation: null,
  committed: true,
  overdueDeletions: [],
  ...parts,
});

/** A reading of every fact, and of every candidate that is known, that ends alike. */
export function observationOf(facts: Facts, failures: (name: string) => Failure, when: string): Observation {
  const observation: Observation = { at: when, candidates: {} };
  for (const name of FACT_NAMES) {
    Object.assign(observation, { [name]: unread(failures(name), when, TELLS_OF[name] ?? null) });
  }
  for (const id of Object.keys(facts.candidates)) observation.candidates[id] = unread(failures(id), when, id);
  return observation;
}

/* Arbitraries ------------------------------------------------------------------------------------------ */

/** Failures that say nothing of the thing asked for. */
export const weather: fc.Arbitrary<Failure> = fc.oneof(
  fc
    .constantFrom('timeout' as const, 'connection' as const, 'server-error' as const, 'not-json' as const)
    .map((why): Failure => ({ kind: 'Unavailable', why, detail: 'bad night' })),
  fc.nat(120_000).map((retryAfterMs): Failure => ({ kind: 'RateLimited', retryAfterMs, detail: '429' })),
  fc.constant<Failure>({ kind: 'OutcomeUnknown', detail: 'answer lost' }),
);

/** Answers that do say something, though they bring no value. */
export const refusal: fc.Arbitrary<Failure> = fc.constantFrom<Failure>(
  { kind: 'Unauthorized', detail: 'Unauthorized' },
  { kind: 'Forbidden', detail: 'Security' },
  { kind: 'NotFound', detail: 'NotFound' },
  { kind: 'Invalid', fields: [], detail: 'InvalidObject' },
);

const level: fc.Arbitrary<Level> = fc.constantFrom('None', 'My', 'All');
export const functionLevels = fc.record({ add: level, edit: level, delete: level, inquire: level });

const rows: fc.Arbitrary<LevelRow[]> = fc.oneof(
  fc.constant(exactRows()),
  fc.constant(rowsWith('Companies/Configurations', 'edit', 'None')),
  fc.constant(rowsWith('Finance/Invoicing', 'inquire', 'All')),
  fc.constant<LevelRow[]>([]),
);
const memberName = fc.constantFrom('umbrella-a', 'umbrella-b', 'UMBRELLA-A', 'somebody');
const allowList = fc.constantFrom<(string[] | null)[]>(
  [...PROCEDURE_ALLOW_LIST],
  PROCEDURE_ALLOW_LIST.slice(1),
  [...PROCEDURE_ALLOW_LIST, 'Finance / Tax'],
  null,
);

const proofOf = (id: fc.Arbitrary<string>): fc.Arbitrary<KeyProof> =>
  fc.oneof(
    fc
      .record({ id, member: fc.option(memberName), rows, allowList })
      .map(({ id, member, rows, allowList }) => alive({ credentialId: id, member, levels: rows, allowList })),
    id.map((credentialId) => dead(credentialId)),
  );

/** The one as often as all the others together, so that what is drawn is as often nearly well as quite wrong. */
const mostly = <T>(usual: fc.Arbitrary<T>, others: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight: 3, arbitrary: usual }, { weight: 2, arbitrary: others });

/** Ages on both sides of every horizon of a tenant that is looked at each 15 minutes. */
export const age = mostly(
  fc.constant(0),
  fc.constantFrom(MINUTE, 30 * MINUTE, 70 * MINUTE, 3 * HOUR, 30 * HOUR, 3 * DAY, 40 * DAY),
);

const role = fc.record({
  id: fc.constantFrom(63, 64),
  name: fc.constantFrom('Umbrella', 'UMBRELLA', 'Other'),
  inactive: fc.boolean(),
});
const member: fc.Arbitrary<MemberFact> = fc
  .record({
    identifier: memberName,
    inactive: fc.boolean(),
    role: fc.constantFrom(null, { id: 63, name: 'Umbrella' }, { id: 9, name: 'Other' }),
    level: fc.constantFrom(null, { id: 1, name: 'Corporate (Level 1)' }, { id: 2, name: 'Branch' }),
  })
  .map((parts) => memberWith({ ...parts, id: parts.identifier === 'umbrella-b' ? 202 : 201 }));
const configurationFact = fc
  .record({
    id: fc.nat(5),
    updatedBy: fc.option(fc.constantFrom('umbrella-a', 'umbrella-b', 'jdoe', 'acme-api')),
    lastUpdated: fc.option(age.map(ago)),
    typeId: fc.constantFrom(TYPE.id, 4, null),
  })
  .map(configuration);

const keyFact: fc.Arbitrary<UmbrellaKeyFact | null> = fc.option(
  fc
    .option(fc.constantFrom(ago(-90 * DAY), ago(-2 * DAY), ago(DAY)))
    .map((expiresAt) => ({ name: 'parasol', scopes: [], expiresAt })),
);

const values: { [Name in FactName]: fc.Arbitrary<FactValues[Name]> } = {
  site: fc.constantFrom<FactValues['site']>(
    { state: 'answers', companyName: 'Acme MSP', codebase: 'v2025_1/' },
    { state: 'company-unknown' },
    { state: 'not-connectwise', detail: 'HTML' },
  ),
  management: fc.constantFrom<FactValues['management']>(
    { authenticates: true, member: 'parasol', missing: [] },
    { authenticates: true, member: null, missing: ['System/API Members.edit'] },
    { authenticates: false },
  ),
  members: fc.record({ items: fc.array(member, { maxLength: 2 }), controlSeen: fc.boolean() }),
  roles: fc.record({ items: fc.array(role, { maxLength: 2 }), controlSeen: fc.boolean() }),
  roleLevels: fc.record({
    roleId: fc.constantFrom(63, 64),
    rows,
    source: fc.constantFrom('settings', 'effective'),
  }),
  integrationKey: proofOf(fc.constantFrom('key-1', 'key-0')),
  writes: fc.record({
    type: fc.constantFrom(TYPE, null),
    configurations: fc.array(configurationFact, { maxLength: 4 }),
    complete: fc.boolean(),
  }),
  umbrellaAccess: fc.record({ accepted: fc.boolean() }),
  umbrellaKeyAdmin: fc.record({ accepted: fc.boolean() }),
  umbrellaKey: keyFact,
  umbrellaAdminKey: keyFact,
  customers: fc.constantFrom([], [{ id: 1, name: 'Contoso' }]),
};

/** A value seen some time ago, or a failure, or a value and a failure since, or nothing at all. */
const remembered = <T>(
  value: fc.Arbitrary<T>,
  { ages = age, tellsOf = null }: { ages?: fc.Arbitrary<number>; tellsOf?: string | null } = {},
) =>
  fc
    .record({
      value: fc.option(value, { nil: undefined, freq: 6 }),
      age: ages,
      failure: mostly<Failure | undefined>(fc.constant(undefined), fc.oneof(weather, refusal)),
    })
    .map(({ value, age, failure }): Remembered<T> => ({
      ...(value === undefined ? {} : seen(value, ago(age), tellsOf)),
      ...(failure === undefined ? {} : failing(failure, at, tellsOf)),
    }));

/** Whatever could be known of a tenant, from all well to all wrong. */
export const factsOf = (ages: fc.Arbitrary<number> = age): fc.Arbitrary<Facts> => {
  const healthy = healthyValues();
  const drawn = (name: FactName): fc.Arbitrary<unknown> => {
    const tellsOf = TELLS_OF[name] ?? null;
    const well = ages.map((ms) => seen<unknown>(healthy[name], ago(ms), tellsOf));
    return mostly(well, remembered<unknown>(values[name], { ages, tellsOf }));
  };
  const named = Object.fromEntries(FACT_NAMES.map((name) => [name, drawn(name)]));
  const candidate = remembered(proofOf(fc.constant('key-2')), { ages, tellsOf: 'key-2' });
  return fc
    .tuple(fc.record(named), fc.option(candidate, { nil: undefined }))
    .map(([known, proof]) => ({ ...known, candidates: proof ? { 'key-2': proof } : {} }));
};

export const credentialsOf: fc.Arbitrary<HeldCredential[]> = fc
  .record({
    integration: mostly(
      fc.constant('given'),
      fc.constantFrom('none', 'issued', 'old', 'of b', 'of a stranger'),
    ),
    candidate: fc.constantFrom('none', 'of a', 'of b'),
    others: mostly<HeldCredential[]>(
      fc.constant([MANAGEMENT, UMBRELLA_API]),
      fc.subarray([MANAGEMENT, UMBRELLA_API, KEY_ADMIN]),
    ),
  })
  .map(({ integration, candidate, others }) => [
    ...others,
    ...(integration === 'none' ? [] : [credential(INTEGRATION_KEYS[integration])]),
    ...(candidate === 'none'
      ? []
      : [candidateWith({ member: candidate === 'of a' ? 'umbrella-a' : 'umbrella-b' })]),
  ]);

const INTEGRATION_KEYS: Record<string, Partial<HeldCredential>> = {
  given: {},
  issued: { handoffId: 'handoff-1' },
  old: { createdAt: ago(200 * DAY) },
  'of b': { member: 'umbrella-b' },
  'of a stranger': { member: 'somebody' },
};

export const memoryOf: fc.Arbitrary<IntegrationMemory> = fc.record({
  type: fc.constantFrom(TYPE, null),
  bursts: fc.constantFrom([], dailyMemory().bursts, [ago(3 * DAY), ago(2 * DAY)]),
});

export const specOf: fc.Arbitrary<TenantSpec> = fc.constantFrom(
  specWith(),
  specWith({ every: '0 6 * * *' }),
  specWith({ integration: { nothingMapped: true } }),
  specWith({
    connectwise: { members: { adopt: true, dedicated: true } },
    onDelete: 'deactivate-members',
  }),
  specWith({ umbrella: { apiKeyExpires: undefined } }),
);

export const circumstancesOf = (ages: fc.Arbitrary<number> = age): fc.Arbitrary<Circumstances> =>
  fc.record({
    spec: specOf,
    facts: factsOf(ages),
    memory: memoryOf,
    credentials: credentialsOf,
    now: fc.constant(NOW),
    capReached: fc.boolean(),
    brake: fc.constant(null),
    rotation: fc.constant(null),
    umbrellaRotation: fc.constant(null),
    handoffs: fc.constant([]),
    pause: fc.constant(null),
    accepted: fc.constant([]),
  });
