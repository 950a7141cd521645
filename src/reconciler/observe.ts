import type { IntegrationMemory } from '../domain/condition.ts';
import { findMember, rolesNamed } from '../domain/drift.ts';
import { toMs } from '../domain/duration.ts';
import { expectedWrites, learn } from '../domain/evidence.ts';
import {
  tellingRows,
  type Facts,
  type KeyProof,
  type LevelRow,
  type Listed,
  type ManagementFact,
  type MemberFact,
  type Observation,
  type Reading,
  type RoleFact,
  type SiteFact,
  type UmbrellaAccessFact,
  type UmbrellaKeyFact,
  type WritesFact,
} from '../domain/observation.ts';
import { oncePer } from '../domain/once.ts';
import { failed, ok, saysNothing, type Failure, type Outcome } from '../domain/outcome.ts';
import { NO_PART, type Part } from '../domain/part.ts';
import type { KeyPair } from '../domain/secret.ts';
import {
  expectedMembers,
  sameIdentifier,
  type Level,
  type Right,
  type TenantSpec,
} from '../domain/tenant.ts';
import type {
  CallContext,
  Clock,
  ConnectWise,
  ConnectWiseReads,
  ListedApiKey,
  Umbrella,
  Vendors,
} from './ports.ts';

/**
 * The rights that Parasol's own ConnectWise key needs (rulings 28). `add` and `edit` are for repairs; a row
 * that ConnectWise does not show under this name is not called missing, since names vary (domain.md §6).
 */
export const MANAGEMENT_RIGHTS: Readonly<Record<string, readonly Right[]>> = {
  'System/Security Roles': ['add', 'inquire'],
  'System/Members': ['add', 'edit', 'inquire'],
  'System/My Company': ['inquire'],
  'System/Table Setup': ['inquire'],
  'Companies/Configurations': ['inquire'],
  'Companies/Company Maintenance': ['inquire'],
};

/**
 * The scopes that Parasol's two Umbrella keys need (rulings 28), by the names of the published contract: one
 * lists customers; the other sees, makes and deletes API keys, and refreshes none (rulings 22).
 */
export const UMBRELLA_SCOPES: Readonly<Record<'umbrella-api' | 'umbrella-key-admin', readonly string[]>> = {
  'umbrella-api': ['admin.customers:read'],
  'umbrella-key-admin': ['admin.apikeys:read', 'admin.apikeys:create', 'admin.apikeys:delete'],
};

/** More configurations than this are not read in one look; coverage then says that it is incomplete. */
const MAX_CONFIGURATIONS = 5_000;
/** How many of the newest configurations are searched for our members' writes before a type is known. */
const NEWEST = 200;
/** Types whose name speaks of Umbrella that are looked through; each costs a call, and one is usual. */
const MOST_TYPES = 5;

/** A pair that may be called with, and the credential that it is. */
export interface HeldKey {
  credentialId: string;
  fingerprint: string;
  pair: KeyPair;
  /** It waits to be used, so that everything that Umbrella will do with it is tried (rulings 16). */
  whole?: boolean;
  /** The member that it was given for: whether that is active decides what a refusal tells (domain.md §3). */
  member?: string | null;
}

export interface Keys {
  management: HeldKey | null;
  integration: HeldKey | null;
  umbrellaApi: HeldKey | null;
  umbrellaKeyAdmin: HeldKey | null;
  /** Pairs that are proved but not in use. */
  candidates: HeldKey[];
  /** Parasol's own keys that are not in use: the next one, and those before. */
  successors: HeldKey[];
}

export interface ObserveInput {
  spec: TenantSpec;
  keys: Keys;
  known: Facts;
  memory: IntegrationMemory;
  vendors: Vendors;
  context: CallContext;
  clock: Clock;
  /** What a brief look leaves out; facts of it stand as they are known. Default: nothing. */
  leaves?: ReadonlySet<Part>;
}

/** Reads both vendors at once; what one cannot answer leaves the other's facts standing. */
export async function observe(
  input: ObserveInput,
): Promise<{ observation: Observation; memory: IntegrationMemory }> {
  const at = input.clock.now().toISOString();
  const look = { ...input, reading: readerAt(at) };
  const { leaves = NO_PART, spec, vendors } = input;
  const ofConnectWise = leaves.has('settings') ? glanceAtConnectWise : observeConnectWise;
  const [connectwise, umbrella] = await Promise.all([
    ofConnectWise(look, vendors.connectwise(spec)),
    leaves.has('umbrella') ? {} : observeUmbrella(look, vendors.umbrella(spec)),
  ]);
  const observation: Observation = { at, ...connectwise.readings, ...umbrella };
  return { observation, memory: connectwise.memory };
}

/**
 * Turns an outcome into a reading: its value, when it was seen, with what, and of which pair it tells. All of one
 * look are dated alike, from its beginning, so that none is younger than it was: a look that shows what the last
 * one showed then differs from it by one time.
 */
function readerAt(at: string) {
  return <T>(outcome: Outcome<T>, source: string, key: HeldKey | null): Reading<T> => {
    const read = { at, source, credentialId: key?.credentialId ?? null };
    return outcome.ok
      ? { ok: true, value: outcome.value, ...read }
      : { ok: false, failure: outcome.failure, ...read };
  };
}

/** What is looked at, and how its readings are made. */
type Looking = ObserveInput & { reading: ReturnType<typeof readerAt> };

const MANAGEMENT = 'management key';

async function observeConnectWise(
  input: Looking,
  connectwise: ConnectWise,
): Promise<{ readings: Omit<Observation, 'at'>; memory: IntegrationMemory }> {
  const { spec, keys, context, clock, memory, reading } = input;
  const management = keys.management ? connectwise.reads(keys.management.pair, context) : null;

  const security = management ? await management.mySecurity() : null;
  const site = await observeSite(input, connectwise, security);
  const siteAnswers = site?.ok === true && site.value.state === 'answers';
  const proofs = {
    integration: keys.integration ? proveKey(connectwise, keys.integration, context, siteAnswers) : null,
    candidates: keys.candidates.map((key) => proveKey(connectwise, key, context, siteAnswers)),
    successors: keys.successors.map((key) => proveSuccessor(input, connectwise, key, siteAnswers)),
  };

  const readings: Omit<Observation, 'at'> = { candidates: {} };
  if (site) readings.site = site;
  let learned = memory;
  if (management && security) {
    readings.management = reading(
      await judgeManagement(management, security, siteAnswers),
      MANAGEMENT,
      keys.management,
    );
    if (security.ok) {
      const own = security.value.member;
      const [settings, writes] = await Promise.all([
        observeSettings(spec, management, own, membersOf(keys.candidates)),
        observeWrites(spec, management, memory, clock.now()),
      ]);
      readings.members = reading(settings.members, MANAGEMENT, keys.management);
      if (settings.roles) readings.roles = reading(settings.roles, MANAGEMENT, keys.management);
      if (settings.roleLevels)
        readings.roleLevels = reading(settings.roleLevels, MANAGEMENT, keys.management);
      readings.writes = reading(writes, MANAGEMENT, keys.management);
      if (writes.ok) learned = learn(spec, memory, writes.value, clock.now());
    }
  }
  if (proofs.integration)
    readings.integrationKey = reading(await proofs.integration, 'integration key', keys.integration);
  for (const [index, key] of keys.candidates.entries()) {
    const proof = await proofs.candidates[index]!;
    readings.candidates[key.credentialId] = reading(proof, 'candidate key', key);
  }
  for (const [index, key] of keys.successors.entries()) {
    const proof = await proofs.successors[index]!;
    readings.candidates[key.credentialId] = reading(proof, 'management key', key);
  }
  return { readings, memory: learned };
}

/**
 * While nothing is wrong: the members, whose list shows besides that the site answers Parasol's key, and the key that
 * Umbrella holds. What is refused here is judged by a whole look.
 */
async function glanceAtConnectWise(
  { spec, keys, known, context, memory, reading }: Looking,
  connectwise: ConnectWise,
): Promise<{ readings: Omit<Observation, 'at'>; memory: IntegrationMemory }> {
  const readings: Omit<Observation, 'at'> = { candidates: {} };
  const site = known.site?.value;
  const own = known.management?.value?.authenticates === true ? known.management.value.member : null;
  const list = async () => {
    if (!keys.management) return;
    const { listed } = await listMembers(spec, connectwise.reads(keys.management.pair, context), own);
    readings.members = reading(listed, MANAGEMENT, keys.management);
    if (listed.ok && site?.state === 'answers') readings.site = reading(ok(site), MANAGEMENT, null);
  };
  const prove = async () => {
    if (!keys.integration) return;
    const proof = await proveKey(connectwise, keys.integration, context, false);
    readings.integrationKey = reading(proof, 'integration key', keys.integration);
  };
  await Promise.all([list(), prove()]);
  return { readings, memory };
}

/**
 * Whether the site is ConnectWise with this company. Any understood answer to the management key shows it;
 * else a second, independent call without credentials decides (domain.md §4). Undefined: nothing new.
 */
async function observeSite(
  { context, reading, known }: Looking,
  connectwise: ConnectWise,
  security: Outcome<unknown> | null,
): Promise<Reading<SiteFact> | undefined> {
  const earlier = known.site?.value;
  if (security?.ok && earlier?.state === 'answers') return reading(ok(earlier), MANAGEMENT, null);
  if (security && !security.ok && security.failure.kind === 'RateLimited') return undefined;
  const info = await connectwise.companyInfo(context);
  const source = 'companyinfo';
  if (info.ok) {
    return reading<SiteFact>(
      ok(info.value ? { state: 'answers', ...info.value } : { state: 'company-unknown' }),
      source,
      null,
    );
  }
  if (info.failure.kind === 'Unavailable' && info.failure.why === 'not-json') {
    return reading<SiteFact>(ok({ state: 'not-connectwise', detail: info.failure.detail }), source, null);
  }
  return reading<SiteFact>(info, source, null);
}

/** A refusal counts only beside an answer of the site that shows that it was the key (domain.md §4). */
async function judgeManagement(
  reads: ConnectWiseReads,
  security: Outcome<{ member: string | null; levels: LevelRow[] }>,
  siteAnswers: boolean,
): Promise<Outcome<ManagementFact>> {
  if (security.ok) {
    const { member, levels } = security.value;
    return ok({ authenticates: true, member, missing: missingRights(levels) });
  }
  const refused = await isRefused(reads, security.failure, siteAnswers);
  return refused.ok ? ok({ authenticates: false }) : refused;
}

/** As long as a role stays as it was, its rows come as the very same list. */
const telling = oncePer(tellingRows);

const missingRights = oncePer((rows: LevelRow[]) => {
  const allows = (level: Level) => level === 'All';
  return Object.entries(MANAGEMENT_RIGHTS).flatMap(([name, rights]) => {
    const row = rows.find((candidate) => candidate.function.toLowerCase() === name.toLowerCase());
    return row ? rights.filter((right) => !allows(row[right])).map((right) => `${name} ${right}`) : [];
  });
});

interface Settings {
  members: Outcome<Listed<MemberFact>>;
  roles?: Outcome<Listed<RoleFact>>;
  roleLevels?: Outcome<{ roleId: number; rows: LevelRow[]; source: 'settings' }>;
}

const membersOf = (keys: HeldKey[]): string[] => keys.flatMap(({ member }) => member ?? []);

/** The spec's members, with the management key's own as the control of the list (rulings 1). */
async function listMembers(
  spec: TenantSpec,
  reads: ConnectWiseReads,
  own: string | null,
  more: string[] = [],
): Promise<{ listed: Outcome<Listed<MemberFact>>; control: MemberFact | null }> {
  const named = [...expectedMembers(spec), ...(own ? [own] : []), ...more];
  const different = named.filter((name, at) => named.findIndex((one) => sameIdentifier(one, name)) === at);
  const members = await reads.membersByIdentifier(different);
  if (!members.ok) return { listed: members, control: null };
  const control = own ? findMember(members.value, own) : null;
  return { listed: ok({ items: members.value, controlSeen: control !== null }), control };
}

/**
 * Members first: the management key's own row is the control of both lists (rulings 1). `more`: members that are
 * none of the slots' any more, and whose keys are called with.
 */
async function observeSettings(
  spec: TenantSpec,
  reads: ConnectWiseReads,
  own: string | null,
  more: string[] = [],
): Promise<Settings> {
  const { listed, control } = await listMembers(spec, reads, own, more);
  const settings: Settings = { members: listed };
  const controlRole = control?.role?.id;
  const roles = await reads.roles(spec.connectwise.role.name, controlRole === undefined ? [] : [controlRole]);
  if (!roles.ok) return { ...settings, roles };
  settings.roles = ok({
    items: roles.value,
    controlSeen: controlRole !== undefined && roles.value.some(({ id }) => id === controlRole),
  });
  const active = rolesNamed(spec, roles.value).filter(({ inactive }) => !inactive);
  if (active.length !== 1) return settings;
  const roleId = active[0]!.id;
  const rows = await reads.roleLevels(roleId);
  settings.roleLevels = rows.ok ? ok({ roleId, rows: telling(rows.value), source: 'settings' }) : rows;
  return settings;
}

/**
 * What a pair shows of itself by its first call. A refusal tells of it only beside an answer of the site and a second
 * refusal of another call, and weather tells nothing: then `ended`.
 */
async function ownSecurity(
  reads: ConnectWiseReads,
  { credentialId, fingerprint }: HeldKey,
  siteAnswers: boolean,
) {
  const security = await reads.mySecurity();
  if (!security.ok) {
    const refused = await isRefused(reads, security.failure, siteAnswers);
    const ended: Outcome<KeyProof> = refused.ok
      ? ok({ authenticates: false, credentialId, fingerprint })
      : refused;
    return { ended };
  }
  const { member, levels } = security.value;
  const proof = { authenticates: true as const, credentialId, fingerprint, member, levels: telling(levels) };
  return { proof, levels };
}

/**
 * Ok where a pair is refused for good: by two independent calls (domain.md §4), since one that passes would have people
 * make a key that nobody needs. Else what ended the look at it.
 */
async function isRefused(
  reads: ConnectWiseReads,
  failure: Failure,
  siteAnswers: boolean,
): Promise<Outcome<null>> {
  if (failure.kind !== 'Unauthorized' || !siteAnswers) return failed(failure);
  const again = await reads.tableSetup();
  // A key whose member is off answers 401 or 403, and what is not found may be a refusal too (domain.md §3, §4).
  if (!again.ok) return saysNothing(again.failure) ? again : ok(null);
  const detail = `${failure.detail}, and another call was let in with the same key`;
  return failed({ kind: 'Unavailable', why: 'server-error', detail });
}

/** Calls with a pair to see what it is: whose, with which levels and allow list (rulings 16). */
async function proveKey(
  connectwise: ConnectWise,
  key: HeldKey,
  context: CallContext,
  siteAnswers: boolean,
): Promise<Outcome<KeyProof>> {
  const reads = connectwise.reads(key.pair, context);
  const own = await ownSecurity(reads, key, siteAnswers);
  if ('ended' in own) return own.ended;
  const allowList = await reads.tableSetup();
  if (!allowList.ok && saysNothing(allowList.failure)) return allowList;
  const unreadable = key.whole ? await reads.unreadable() : null;
  return ok({
    ...own.proof,
    allowList: allowList.ok ? allowList.value : null,
    ...(unreadable?.ok ? { unreadable: unreadable.value } : {}),
  });
}

/** Calls with another of Parasol's own keys; one that is to take over does what Parasol does with its key (rulings 23). */
async function proveSuccessor(
  { spec, context, memory, clock }: ObserveInput,
  connectwise: ConnectWise,
  key: HeldKey,
  siteAnswers: boolean,
): Promise<Outcome<KeyProof>> {
  const reads = connectwise.reads(key.pair, context);
  const own = await ownSecurity(reads, key, siteAnswers);
  if ('ended' in own) return own.ended;
  const proof = { ...own.proof, allowList: null, missing: missingRights(own.levels) };
  if (!key.whole) return ok(proof);
  const settings = await observeSettings(spec, reads, proof.member);
  const outcomes: [string, Outcome<unknown> | undefined][] = [
    ['API members', settings.members],
    ['security roles', settings.roles],
    ['role settings', settings.roleLevels],
    ['configurations', await observeWrites(spec, reads, memory, clock.now())],
  ];
  const weather = outcomes.find(([, outcome]) => outcome && !outcome.ok && saysNothing(outcome.failure));
  if (weather) return ok(proof);
  return ok({
    ...proof,
    unreadable: outcomes.flatMap(([what, outcome]) => (outcome && !outcome.ok ? [what] : [])),
  });
}

/**
 * The configurations of the type that Umbrella writes. A type that was learned is looked for anew once our
 * members' writes on it are stale: Umbrella that is connected again makes another (rulings 3).
 */
async function observeWrites(
  spec: TenantSpec,
  reads: ConnectWiseReads,
  memory: IntegrationMemory,
  now: Date,
): Promise<Outcome<WritesFact>> {
  const { configurationType, staleAfter } = spec.integration;
  if (configurationType !== '*') {
    const types = await reads.configurationTypes(configurationType);
    if (!types.ok) return types;
    const type = types.value.find(({ name }) => sameIdentifier(name, configurationType));
    return type ? ofType(reads, type) : ok({ type: null, configurations: [], complete: true });
  }
  if (!memory.type) return searchWrites(spec, reads);
  const known = await ofType(reads, memory.type);
  const last = known.ok ? expectedWrites(spec, known.value)[0]?.at : undefined;
  if (!known.ok || (last && now.getTime() - Date.parse(last) <= toMs(staleAfter))) return known;
  const found = await searchWrites(spec, reads);
  const newer = found.ok && found.value.type ? expectedWrites(spec, found.value)[0]?.at : undefined;
  return newer && newer > (last ?? '') ? found : known;
}

/**
 * Without a known type the newest configurations are searched for writes by our members, then a type whose name
 * speaks of Umbrella.
 */
async function searchWrites(spec: TenantSpec, reads: ConnectWiseReads): Promise<Outcome<WritesFact>> {
  const newest = await reads.configurations({ typeId: null, limit: NEWEST });
  if (!newest.ok) return newest;
  const unfiltered: WritesFact = {
    type: null,
    configurations: newest.value.rows,
    complete: newest.value.complete,
  };
  const mine = newest.value.rows.find(
    ({ id, typeId }) =>
      typeId !== null &&
      expectedWrites(spec, {
        ...unfiltered,
        configurations: newest.value.rows.filter((row) => row.id === id),
      }).length > 0,
  );
  const types = await reads.configurationTypes('Umbrella');
  if (!types.ok) return mine ? types : ok(unfiltered);
  const candidates = mine
    ? [types.value.find(({ id }) => id === mine.typeId) ?? { id: mine.typeId!, name: `type ${mine.typeId}` }]
    : types.value.slice(0, MOST_TYPES);
  for (const type of candidates) {
    const writes = await ofType(reads, type);
    if (!writes.ok) return writes;
    if (expectedWrites(spec, writes.value).length > 0) return writes;
  }
  return ok(unfiltered);
}

async function ofType(
  reads: ConnectWiseReads,
  type: { id: number; name: string },
): Promise<Outcome<WritesFact>> {
  const found = await reads.configurations({ typeId: type.id, limit: MAX_CONFIGURATIONS });
  if (!found.ok) return found;
  return ok({ type, configurations: found.value.rows, complete: found.value.complete });
}

type UmbrellaFact = 'umbrellaAccess' | 'umbrellaKeyAdmin' | 'umbrellaKey' | 'umbrellaAdminKey' | 'customers';

async function observeUmbrella(
  { keys, context, reading }: Looking,
  umbrella: Umbrella,
): Promise<Pick<Observation, UmbrellaFact>> {
  const readings: Pick<Observation, UmbrellaFact> = {};
  const api = async () => {
    if (!keys.umbrellaApi) return;
    const { pair } = keys.umbrellaApi;
    const { access, answer } = await used(umbrella, pair, context, () => umbrella.customers(pair, context));
    readings.umbrellaAccess = reading(access, 'Umbrella key', keys.umbrellaApi);
    if (answer) readings.customers = reading(answer, 'Umbrella key', keys.umbrellaApi);
  };
  const admin = async () => {
    if (!keys.umbrellaKeyAdmin) return;
    const { pair } = keys.umbrellaKeyAdmin;
    const { access, answer } = await used(
      umbrella,
      pair,
      context,
      () => umbrella.apiKeys(pair, context),
      true,
    );
    readings.umbrellaKeyAdmin = reading(access, 'KeyAdmin key', keys.umbrellaKeyAdmin);
    if (!answer) return;
    const row = (ofClient: string | undefined): Outcome<UmbrellaKeyFact | null> =>
      answer.ok ? ok(keyFact(answer.value.find(({ clientId }) => clientId === ofClient))) : answer;
    readings.umbrellaKey = reading(row(keys.umbrellaApi?.pair.publicHalf), 'KeyAdmin key', keys.umbrellaApi);
    readings.umbrellaAdminKey = reading(row(pair.publicHalf), 'KeyAdmin key', keys.umbrellaKeyAdmin);
  };
  await Promise.all([api(), admin()]);
  return readings;
}

/**
 * A call with a key's token, and what both show of the key. The token may be an hour old, so that having one
 * shows something only where Umbrella answered a call with it; where that is refused, the key is asked anew.
 */
async function used<T>(
  umbrella: Umbrella,
  pair: KeyPair,
  context: CallContext,
  call: () => Promise<Outcome<T>>,
  asOwn = false,
): Promise<{ access: Outcome<UmbrellaAccessFact>; answer: Outcome<T> | null }> {
  const asked = async (): Promise<Outcome<UmbrellaAccessFact>> => {
    const token = await umbrella.authenticate(pair, context, { asOwn });
    if (token.ok) return ok({ accepted: true });
    return token.failure.kind === 'Unauthorized' ? ok({ accepted: false }) : token;
  };
  const access = await asked();
  if (!access.ok || !access.value.accepted) return { access, answer: null };
  const answer = await call();
  if (answer.ok) return { access, answer };
  if (answer.failure.kind !== 'Unauthorized') {
    return { access: saysNothing(answer.failure) ? answer : access, answer };
  }
  const again = await asked();
  return { access: again, answer: again.ok && !again.value.accepted ? null : answer };
}

/** What is remembered of a row: neither half of its pair, nor when it was used last, which each look changes. */
function keyFact(key: ListedApiKey | undefined): UmbrellaKeyFact | null {
  if (!key) return null;
  const { name, scopes, expiresAt, issuedAt } = key;
  return { name, scopes, expiresAt, issuedAt: issuedAt ?? null };
}
