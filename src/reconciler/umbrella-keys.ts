import { createHash } from 'node:crypto';
import type { Logger } from 'pino';
import { HIDDEN_TENANT } from '../domain/access.ts';
import { describeFailure, saysNothing, type Failure } from '../domain/outcome.ts';
import { whyHeld } from '../domain/ground.ts';
import type { Pause } from '../domain/pause.ts';
import type { KeyPair } from '../domain/secret.ts';
import { namesOf, wordsFor } from '../domain/shared-words.ts';
import { originFor, type TenantSpec } from '../domain/tenant.ts';
import {
  begin,
  dueByAge,
  heard,
  isOver,
  needsList,
  nextUmbrella,
  whyRotate,
  wishesOf,
  type KeyGround,
  type KeyWishes,
  type ListedKey,
  type UmbrellaAnswer,
  type UmbrellaRotation,
  type UmbrellaStep,
} from '../domain/umbrella-rotation.ts';
import { atMost, FAREWELL_MS } from './at-most.ts';
import { consoleIdentity } from './given-keys.ts';
import { createProver } from './umbrella-given.ts';
import type {
  CallContext,
  Clock,
  Ids,
  ListedApiKey,
  NewEvent,
  SealedFor,
  UmbrellaWrites,
  Vault,
  Vendors,
} from './ports.ts';
import type {
  KeyBounds,
  KeyChange,
  KeyClaim,
  KeyHolder,
  KeySnapshot,
  KeyRequest,
  StoredUmbrellaKey,
  SwitchedPair,
  UmbrellaKeys,
} from './umbrella-store.ts';

/**
 * Rotates Umbrella's API keys, each under a claim of its own: look → decide → one effect → record, step by step
 * (domain/umbrella-rotation.ts says what each step is).
 *
 *   look ─▶ intent committed ─▶ the last door ─▶ one write ─▶ sealed, recorded ─▶ look again
 */

export interface KeyDeps {
  keys: UmbrellaKeys;
  vault: Vault;
  vendors: Vendors;
  clock: Clock;
  ids: Ids;
  log: Logger;
}

export interface KeyLimits {
  leaseMs: number;
  /** Ms for the calls of one step; less than the lease. */
  callsMs: number;
  /** What one write may take: the claim must outlive it. */
  writeMs: number;
  /** The fleet's cap (rulings 12). */
  repairsPerHour: number;
}

/** Steps that one claim may take without a pause. */
const MOST_STEPS = 12;
const IDLE = { first: 60_000, most: 600_000, least: 5_000 } as const;
const AGAIN_AFTER_FAILURE_MS = 24 * 3_600_000;
const REFUSED_AGAIN_MS = 5 * 60_000;
/** KeyAdmin keys that are tried for one list. */
const MOST_ADMINS = 3;

/** Names an Umbrella key without its client id, which is half of a pair: the same for all who hold it. */
const keyIdentity = (origin: string, clientId: string): string =>
  createHash('sha256').update(`${origin}\0${clientId}`).digest('hex');

const BATCH = 500;

/** Finds out which key each pair in use is of; what cannot be opened is of none that anybody uses. */
export async function identifyPairs({ keys, vault, ids, log }: KeyDeps): Promise<void> {
  for (;;) {
    const pairs = await keys.unidentified(BATCH);
    const identified = await Promise.all(
      pairs.map(async ({ tenantId, credentialId, purpose, origin, sealed }) => {
        try {
          const pair = await vault.open(sealed, { tenantId, credentialId, purpose, origin });
          return { credentialId, identity: keyIdentity(origin, pair.publicHalf) };
        } catch (error) {
          log.error({ tenant: tenantId, error: (error as Error).message }, 'a pair cannot be opened');
          return { credentialId, identity: `unreadable ${credentialId}` };
        }
      }),
    );
    await keys.identify(identified);
    if (pairs.length < BATCH) break;
  }
  await keys.tidy(() => ids.next());
}

/**
 * Lets the keys rest of which nothing is to be done: nearly all of a fleet's, nearly always. The others stay due.
 */
export async function letRest({ keys, clock }: KeyDeps): Promise<void> {
  for (;;) {
    const resting = await keys.resting(BATCH);
    const rest = resting.flatMap((snapshot) => {
      const found = rotationOf(snapshot, clock.now());
      return 'idleMs' in found ? [{ id: snapshot.key.id, inMs: found.idleMs }] : [];
    });
    if (rest.length > 0) await keys.postpone(rest);
    if (resting.length < BATCH || rest.length === 0) return;
  }
}

/** Works on one key until it waits for something. */
export async function rotateKey(
  deps: KeyDeps,
  claim: KeyClaim,
  limits: KeyLimits,
  signal: AbortSignal,
): Promise<void> {
  const { keys, clock } = deps;
  for (let steps = 0; steps < MOST_STEPS && !signal.aborted; steps += 1) {
    const snapshot = await keys.snapshot(claim);
    if (!snapshot) return;
    const found = rotationOf(snapshot, clock.now());
    if ('idleMs' in found) return keys.release(claim, found.idleMs);
    const now = clock.now();
    const context: CallContext = {
      tenantId: `umbrella-key:${claim.keyId}`,
      deadline: new Date(now.getTime() + limits.callsMs),
      signal,
      urgent: true,
    };
    const work: Work = { ...deps, claim, limits, context, snapshot, before: found.before };
    const went = await stepOf(work, found.rotation, found.answered);
    if (went === 'lost') return;
    if (went === 'paused') return;
  }
  await keys.release(claim, signal.aborted ? 0 : 1_000);
}

/** The rotation under way, or one that begins now; else how long nothing is to be done. */
function rotationOf(
  { key, holders }: Pick<KeySnapshot, 'key' | 'holders'>,
  now: Date,
):
  | { rotation: UmbrellaRotation; before: UmbrellaRotation | null; answered: KeyRequest | null }
  | { idleMs: number } {
  const { rotation, requested } = key;
  if (rotation && !isOver(rotation)) {
    const cause = requested?.cause === 'compromise' ? 'compromise' : rotation.cause;
    return { rotation: { ...rotation, cause }, before: rotation, answered: requested };
  }
  const users = usersOf(holders, key.identity);
  const [first] = users;
  if (!first) return { idleMs: IDLE.most };
  const old = { identity: key.identity, fingerprint: first.fingerprint };
  const number = key.rotations + 1;
  if (requested) {
    const began = begin(number, requested, old, now);
    return { rotation: began, before: null, answered: requested };
  }
  const failed = rotation?.phase === 'Failed' ? Date.parse(rotation.since) : -Infinity;
  const restsMs = failed + AGAIN_AFTER_FAILURE_MS - now.getTime();
  if (restsMs > 0) return { idleMs: Math.min(restsMs, IDLE.most) };
  const seen = newestSeen(users);
  if (!seen) return { idleMs: IDLE.first };
  const age = { id: key.id, knownSince: key.createdAt, issuedAt: seen.issuedAt ?? null };
  const wishes = wishesOf(users.map(({ spec }) => spec));
  const why = whyRotate({ ...age, expiresAt: seen.expiresAt }, wishes, now);
  if (why) return { rotation: begin(number, { ...why, by: null }, old, now), before: null, answered: null };
  return { idleMs: idleFor({ ...age, expiresAt: seen.expiresAt }, wishes, now) };
}

function idleFor(
  key: { id: string; knownSince: string; issuedAt: string | null; expiresAt: string | null },
  wishes: KeyWishes,
  now: Date,
): number {
  const due = [
    key.issuedAt === null ? Infinity : dueByAge({ ...key, issuedAt: key.issuedAt }, wishes).getTime(),
    key.expiresAt === null ? Infinity : Date.parse(key.expiresAt) - wishes.expiryWarningMs,
  ];
  return Math.max(IDLE.least, Math.min(IDLE.most, Math.min(...due) - now.getTime()));
}

const usersOf = (holders: KeyHolder[], identity: string | null | undefined): KeyHolder[] =>
  holders.filter(
    (held) => held.purpose === 'umbrella-api' && held.state === 'active' && held.identity === identity,
  );

const adminsOf = (holders: KeyHolder[], identity: string): KeyHolder[] =>
  holders.filter(
    (held) => held.purpose === 'umbrella-key-admin' && held.state === 'active' && held.identity === identity,
  );

/** What the tenants' own runs saw of the key in use, the newest of it. */
function newestSeen(users: KeyHolder[]) {
  const seen = users
    .map(({ seen, credentialId }) => (seen?.credentialId === credentialId ? seen : null))
    .filter((one) => one?.value && one.at !== undefined)
    .toSorted((a, b) => (b?.at ?? '').localeCompare(a?.at ?? ''));
  return seen[0]?.value ?? null;
}

/** All that one step works with. */
interface Work extends KeyDeps {
  claim: KeyClaim;
  limits: KeyLimits;
  context: CallContext;
  snapshot: KeySnapshot;
  /** The rotation as it was stored. */
  before: UmbrellaRotation | null;
}

/** A KeyAdmin key that lists, and the tenant whose it is. */
interface Operator {
  spec: TenantSpec;
  pause: Pause | null;
  pair: KeyPair;
}

type Went = 'on' | 'paused' | 'lost';

async function stepOf(work: Work, rotation: UmbrellaRotation, answered: KeyRequest | null): Promise<Went> {
  const { snapshot, clock } = work;
  const look = needsList(rotation) ? await readList(work, rotation) : null;
  const ground = groundOf(work, look);
  const step = nextUmbrella(rotation, ground);
  const settled = look?.listed ? settledBy(snapshot, look.listed, clock.now()) : [];
  return perform(work, step, look?.operator ?? null, { answered, intents: settled });
}

function groundOf({ snapshot, clock }: Work, look: Look | null): KeyGround {
  const { key, holders, unidentified } = snapshot;
  const identities = [key.rotation?.old.identity ?? key.identity, key.identity];
  const users = identities.flatMap((identity) => usersOf(holders, identity));
  const wishes = wishesOf(users.length > 0 ? users.map(({ spec }) => spec) : holders.map(({ spec }) => spec));
  return {
    now: clock.now(),
    nameFor: (number) => `parasol-${key.id.replaceAll('-', '').slice(-12)}-${number}`,
    listed: look?.listed ? { keys: look.listed } : { missing: look?.missing ?? 'not asked for' },
    usersOf: (identity) => usersOf(holders, identity).map(({ tenantId }) => tenantId),
    adminsOf: (identity) => adminsOf(holders, identity).map(({ tenantId }) => tenantId),
    unidentified,
    hindrance: hindranceOf(users),
    holdsSecret: key.sealed !== null,
    ...wishes,
  };
}

/** Every tenant that uses the key must let it be changed (rulings 13, 22). */
function hindranceOf(users: KeyHolder[]): string | null {
  for (const user of users) {
    const held = whyHeld(user);
    if (held === null) continue;
    const { tenantId } = user;
    return wordsFor(
      tenantId,
      `${tenantId} uses the key: ${held}.`,
      `${HIDDEN_TENANT} that uses the key may not be changed now.`,
    );
  }
  return null;
}

interface Look {
  listed: ListedKey[] | null;
  /** Why there is no list. */
  missing: string;
  operator: Operator | null;
}

/**
 * The list of API keys, by the first KeyAdmin key of these tenants that shows one of the rotation's keys, and
 * itself: a list that lacks both is of another organisation, or filtered (rulings 1).
 */
async function readList(work: Work, { old, fresh }: UmbrellaRotation): Promise<Look> {
  const { snapshot, vendors, context } = work;
  const admins = keyAdmins(snapshot);
  let look: Look = {
    listed: null,
    missing: 'No tenant that uses the key has a KeyAdmin key: give one with `parasol credential`.',
    operator: null,
  };
  for (const admin of admins) {
    const pair = await openHeld(work, admin);
    const read = await vendors.umbrella(admin.spec).apiKeys(pair, context);
    if (!read.ok) {
      const missing = `The KeyAdmin key of ${namesOf([admin.tenantId])} does not list API keys: ${describeFailure(read.failure)}.`;
      look = { ...look, missing: look.operator ? look.missing : missing };
      continue;
    }
    if (!read.value.some(({ clientId }) => clientId === pair.publicHalf)) {
      look = {
        ...look,
        missing: `The list of API keys does not show the KeyAdmin key of ${namesOf([admin.tenantId])}.`,
      };
      continue;
    }
    const listed = read.value.map((row) => listedKey(snapshot.key.origin, row));
    const operator = { spec: admin.spec, pause: admin.pause, pair };
    if (listed.some(({ identity }) => identity === old.identity || identity === fresh?.identity)) {
      return { listed, missing: '', operator };
    }
    if (!look.listed) look = { listed, missing: '', operator };
  }
  return look;
}

/** One of each KeyAdmin key that the tenants of this row hold for its origin. */
function keyAdmins({ key, holders }: KeySnapshot): KeyHolder[] {
  const admins = holders.filter(
    ({ purpose, state, origin, spec }) =>
      purpose === 'umbrella-key-admin' &&
      state === 'active' &&
      origin === key.origin &&
      origin === originFor(spec, purpose),
  );
  const writable = admins.toSorted(
    (a, b) => Number(hindranceOf([a]) !== null) - Number(hindranceOf([b]) !== null),
  );
  const isFirst = ({ fingerprint }: KeyHolder, index: number) =>
    writable.findIndex((other) => other.fingerprint === fingerprint) === index;
  return writable.filter(isFirst).slice(0, MOST_ADMINS);
}

const listedKey = (origin: string, row: ListedApiKey): ListedKey => ({
  apiKeyId: row.id,
  name: row.name,
  identity: keyIdentity(origin, row.clientId),
  scopes: row.scopes,
  allowedIPs: row.allowedIPs,
  expiresAt: row.expiresAt,
  createdAt: row.createdAt,
  issuedAt: row.issuedAt ?? null,
  lastUsedAt: row.lastUsedAt,
});

const openHeld = ({ vault }: Work, held: KeyHolder): Promise<KeyPair> => {
  const { tenantId, credentialId, purpose, origin } = held;
  return vault.open(held.sealed, { tenantId, credentialId, purpose, origin });
};

/** What the new pair is bound to while it is nobody's yet: no tenant's slug has a colon. */
const boundToRow = ({ id, origin }: StoredUmbrellaKey): SealedFor => ({
  tenantId: `umbrella-key:${id}`,
  credentialId: id,
  purpose: 'umbrella-api',
  origin,
});

const intentOf = (keyId: string, what: 'make' | 'remove', name: string): string =>
  `umbrella-key:${keyId}:${what}:${name}`;

/** So long after an intent an absence says that nothing came of it. */
const SETTLE_MS = 60_000;

/** What became of earlier attempts, by the list. */
function settledBy({ key, intents }: KeySnapshot, listed: ListedKey[], now: Date): KeyChange['intents'] {
  return intents.flatMap(({ id, key: name, openedAt }): KeyChange['intents'] => {
    const made = listed.some((row) => name === intentOf(key.id, 'make', row.name));
    const stands = listed.some((row) => name === intentOf(key.id, 'remove', row.apiKeyId));
    const removed = name.startsWith(intentOf(key.id, 'remove', '')) && !stands;
    if (made || removed) return [{ id, outcome: 'applied', note: 'found by looking' }];
    const absent = now.getTime() - Date.parse(openedAt) >= SETTLE_MS;
    return absent ? [{ id, outcome: 'not-applied', note: 'looked for, and not there' }] : [];
  });
}

type Left = Pick<KeyChange, 'answered' | 'intents'>;

/** Does the one thing and records what came of it. */
async function perform(work: Work, step: UmbrellaStep, operator: Operator | null, left: Left): Promise<Went> {
  const { rotation } = step;
  switch (step.do) {
    case 'wait':
      return record(work, { rotation, inMs: step.inMs }, left);
    case 'end':
      return record(work, { rotation, inMs: IDLE.first }, left);
    case 'make':
      return make(work, step, operator, left);
    case 'remove':
      return remove(work, step, operator, left);
    case 'prove':
      return hear(work, rotation, await prove(work, step.tenants), left);
    case 'switch':
      return switchTenants(work, step, left);
    case 'see-dead':
      return hear(work, rotation, await seeDead(work, rotation), left);
  }
}

const hear = (
  work: Work,
  rotation: UmbrellaRotation,
  answer: UmbrellaAnswer,
  left: Left,
  change: Pick<KeyChange, 'sealed'> = {},
): Promise<Went> => record(work, heard(rotation, answer, work.clock.now()), left, change);

async function record(
  work: Work,
  { rotation, inMs }: { rotation: UmbrellaRotation; inMs: number },
  left: Left,
  change: Pick<KeyChange, 'sealed'> = {},
): Promise<Went> {
  const { keys, claim, limits, log } = work;
  const dead =
    rotation.phase === 'Completed'
      ? { identity: rotation.old.identity, because: 'Umbrella lists it no more, and refuses it' }
      : null;
  const whole: KeyChange = {
    rotation,
    ...left,
    ...change,
    events: told(work, rotation),
    ...(dead ? { dead } : {}),
  };
  const pauses = inMs > 0 || isOver(rotation);
  const kept = await keys.record(claim, whole, pauses ? { inMs } : { keepMs: limits.leaseMs });
  if (!kept) {
    log.warn({ key: claim.keyId }, 'the claim on an Umbrella key was lost; nothing was recorded');
    return 'lost';
  }
  return pauses ? 'paused' : 'on';
}

/** What the tenants of the key are told: each phase that was entered, and what a person must look at. */
function told({ before, snapshot }: Work, rotation: UmbrellaRotation): KeyChange['events'] {
  const { number, phase, why, stuck, old, fresh, evidence } = rotation;
  const users = [rotation.old.identity, rotation.fresh?.identity].flatMap((identity) =>
    usersOf(snapshot.holders, identity).map(({ tenantId }) => tenantId),
  );
  const tenants = [...new Set([...users, ...rotation.tenants])];
  const data = { number, phase, old: old.fingerprint, fresh: fresh?.fingerprint ?? null };
  const events: NewEvent[] = [];
  if (phase !== before?.phase) {
    const last = evidence.at(-1)?.what ?? why;
    events.push({
      type: isOver(rotation) ? `UmbrellaRotation${phase}` : 'UmbrellaRotation',
      message: `Rotation ${number} of the Umbrella API key is ${phase}: ${last}`,
      data: isOver(rotation) ? { ...data, rotation } : data,
    });
  }
  if (stuck !== null && stuck !== before?.stuck) {
    const message = `Rotation ${number} of the Umbrella API key does not go on: ${stuck}`;
    events.push({ type: 'UmbrellaRotationStuck', message, data });
  }
  return { tenants, events, wake: isOver(rotation) || (stuck !== null && stuck !== before?.stuck) };
}

const NO_OPERATOR = 'No KeyAdmin key could be used.';

async function make(
  work: Work,
  { rotation, key }: UmbrellaStep & { do: 'make' },
  operator: Operator | null,
  left: Left,
): Promise<Went> {
  const { claim, vault, snapshot } = work;
  const bounds: KeyBounds = { allowedBy: allowedBy(rotation), unused: [] };
  const opened = await open(work, rotation, operator, bounds, {
    key: intentOf(claim.keyId, 'make', key.name),
    action: `make the Umbrella API key ${key.name}`,
    of: 'make',
    pass: { name: key.name, deletable: new Set() },
  });
  if (opened === 'lost') return 'lost';
  if ('of' in opened) return hear(work, rotation, opened, left);
  const outcome = await opened.writes.createApiKey(key);
  const settles = (outcome: 'applied' | 'not-applied' | 'unknown', note: string): Left => ({
    ...left,
    intents: [...left.intents, { id: opened.intentId, outcome, note }],
  });
  if (!outcome.ok) {
    const { kind } = outcome.failure;
    const note = describeFailure(outcome.failure);
    const settled = settles(kind === 'OutcomeUnknown' ? 'unknown' : 'not-applied', note);
    return hear(work, rotation, refusalOf('make', outcome.failure), settled);
  }
  const { value: made } = outcome;
  if (!made.made) {
    const because = `Umbrella has a key ${key.name} already, which the list does not show yet.`;
    const settled = settles('not-applied', 'the name is taken');
    return hear(work, rotation, { of: 'make', answer: 'name-taken', because }, settled);
  }
  // Sealed before anything else: it is shown this once (design.md §3.3).
  const sealed = await vault.seal(made.pair, boundToRow(snapshot.key));
  const answered: UmbrellaAnswer = {
    of: 'make',
    answer: 'made',
    apiKeyId: made.id,
    identity: keyIdentity(snapshot.key.origin, made.pair.publicHalf),
    fingerprint: vault.fingerprint(made.pair),
  };
  return hear(work, rotation, answered, settles('applied', 'answered'), { sealed });
}

async function remove(
  work: Work,
  { rotation, apiKeyId, name }: UmbrellaStep & { do: 'remove' },
  operator: Operator | null,
  left: Left,
): Promise<Went> {
  const { claim } = work;
  const { old, fresh } = rotation;
  const doomed = apiKeyId === old.apiKeyId ? old.identity : fresh?.identity;
  const bounds: KeyBounds = { allowedBy: allowedBy(rotation), unused: doomed ? [doomed] : [] };
  const opened = await open(work, rotation, operator, bounds, {
    key: intentOf(claim.keyId, 'remove', apiKeyId),
    action: `delete the Umbrella API key ${name}`,
    of: 'remove',
    pass: { name: null, deletable: new Set([apiKeyId]) },
  });
  if (opened === 'lost') return 'lost';
  if ('of' in opened) return hear(work, rotation, opened, left);
  const outcome = await opened.writes.deleteApiKey(apiKeyId);
  const gone = outcome.ok || outcome.failure.kind === 'NotFound';
  const answer: UmbrellaAnswer = gone
    ? { of: 'remove', answer: 'done', because: `${name} was deleted.` }
    : refusalOf('remove', outcome.failure);
  const lost = !outcome.ok && outcome.failure.kind === 'OutcomeUnknown';
  return hear(work, rotation, answer, {
    ...left,
    intents: [
      ...left.intents,
      {
        id: opened.intentId,
        outcome: gone ? 'applied' : lost ? 'unknown' : 'not-applied',
        note: outcome.ok ? 'answered' : describeFailure(outcome.failure),
      },
    ],
  });
}

const allowedBy = ({ old, fresh }: UmbrellaRotation): string[] =>
  [old.identity, fresh?.identity ?? null].filter((identity) => identity !== null);

type NotSent = Extract<UmbrellaAnswer, { of: 'make' | 'remove' }>;

/** Commits the intent and opens the way to the last door; or says why nothing may be sent now. */
async function open(
  { keys, claim, limits, context, vendors, ids }: Work,
  rotation: UmbrellaRotation,
  operator: Operator | null,
  bounds: KeyBounds,
  write: {
    key: string;
    action: string;
    of: 'make' | 'remove';
    pass: { name: string | null; deletable: ReadonlySet<string> };
  },
): Promise<{ writes: UmbrellaWrites; intentId: string } | NotSent | 'lost'> {
  const notNow = (because: string, inMs: number): NotSent => ({
    of: write.of,
    answer: 'not-now',
    because,
    inMs,
  });
  if (!operator) return notNow(NO_OPERATOR, IDLE.first);
  const { key, action } = write;
  const intent = { id: ids.next(), key, action };
  const verdict = await keys.openIntent(claim, rotation, intent, {
    ...bounds,
    perHour: limits.repairsPerHour,
  });
  switch (verdict) {
    case 'claim-lost':
      return 'lost';
    case 'not-allowed':
      return notNow('A tenant that uses the key does not allow it now.', IDLE.first);
    case 'cap':
      return notNow('The fleet made as many changes in this hour as it may.', REFUSED_AGAIN_MS);
    case 'granted':
      return {
        intentId: intent.id,
        writes: vendors.umbrella(operator.spec).writes(operator.pair, context, {
          ...write.pass,
          pause: operator.pause,
          confirm: () => keys.confirm(claim, limits.writeMs, bounds),
        }),
      };
  }
}

/** A write that was not answered as it should be. */
function refusalOf(of: 'make' | 'remove', failure: Failure): NotSent {
  const because = describeFailure(failure);
  switch (failure.kind) {
    case 'OutcomeUnknown':
      return { of, answer: 'unknown', because };
    case 'RateLimited':
      return { of, answer: 'not-now', because, inMs: Math.max(1_000, failure.retryAfterMs) };
    case 'Unavailable':
    case 'Barred':
      return { of, answer: 'not-now', because, inMs: IDLE.first };
    case 'Unauthorized':
      return { of, answer: 'not-now', because, inMs: REFUSED_AGAIN_MS };
    case 'Forbidden':
    case 'NotFound':
    case 'Invalid':
      return { of, answer: 'refused', because: `Umbrella ${because}` };
  }
}

/**
 * Calls with the new pair as itself, then as each tenant would. Where it is refused as a tenant, the old pair shows
 * whether that is new.
 */
async function prove(work: Work, tenants: string[]): Promise<UmbrellaAnswer> {
  const { snapshot, vault, vendors, context } = work;
  const { key, holders } = snapshot;
  const users = usersOf(holders, key.identity).filter(({ tenantId }) => tenants.includes(tenantId));
  const of = 'prove';
  const [first] = users;
  if (!first || key.sealed === null) return { of, answer: {}, because: '' };
  const pair = await vault.open(key.sealed, boundToRow(key));
  const asItself = await vendors
    .umbrella(first.spec)
    .authenticate(pair, context, { anew: true, asOwn: true });
  if (!asItself.ok) {
    const said = saysNothing(asItself.failure) ? 'unsaid' : 'refused';
    const answer = Object.fromEntries(tenants.map((tenant) => [tenant, said] as const));
    return { of, answer, because: describeFailure(asItself.failure) };
  }
  const answer: Record<string, 'works' | 'as-before' | 'refused' | 'unsaid'> = {};
  let because = '';
  for (const user of users) {
    const umbrella = vendors.umbrella(user.spec);
    const customers = await umbrella.customers(pair, context);
    if (customers.ok) {
      answer[user.tenantId] = 'works';
      continue;
    }
    because = describeFailure(customers.failure);
    if (saysNothing(customers.failure)) {
      answer[user.tenantId] = 'unsaid';
      continue;
    }
    const before = await umbrella.customers(await openHeld(work, user), context);
    const same = !before.ok && before.failure.kind === customers.failure.kind;
    answer[user.tenantId] =
      before.ok || !saysNothing(before.failure) ? (same ? 'as-before' : 'refused') : 'unsaid';
  }
  return { of, answer, because };
}

/** In one transaction, for all who use the old key; each pair is sealed anew for its tenant. */
async function switchTenants(
  work: Work,
  { rotation, tenants }: UmbrellaStep & { do: 'switch' },
  left: Left,
): Promise<Went> {
  const { keys, claim, snapshot, clock } = work;
  const fresh = rotation.fresh?.identity ?? '';
  const pair = await freshPair(work, fresh);
  if (!pair) return hear(work, rotation, { of: 'switch', answer: 'no-pair', tenants }, left);
  const pairs = await Promise.all(
    usersOf(snapshot.holders, rotation.old.identity).map((user) => replacement(work, user, pair)),
  );
  const { rotation: after } = heard(rotation, { of: 'switch', answer: 'switched', tenants }, clock.now());
  const change: KeyChange = { rotation: after, ...left, events: told(work, after) };
  const identities = { old: rotation.old.identity, fresh };
  switch (await keys.switchTo(claim, change, pairs, identities)) {
    case 'switched':
      return 'on';
    case 'changed':
      return hear(work, rotation, { of: 'switch', answer: 'changed' }, left);
    case 'claim-lost':
      return 'lost';
  }
}

/** The new pair: of the row until it is in use, then of whoever uses it. */
async function freshPair(work: Work, identity: string): Promise<KeyPair | null> {
  const { snapshot, vault } = work;
  const { key, holders } = snapshot;
  if (key.sealed !== null) return vault.open(key.sealed, boundToRow(key));
  const [user] = usersOf(holders, identity);
  return user ? openHeld(work, user) : null;
}

async function replacement(
  { vault, ids }: Work,
  { tenantId, spec, credentialId: replaces, origin }: KeyHolder,
  pair: KeyPair,
): Promise<SwitchedPair> {
  const credentialId = ids.next();
  const purpose = 'umbrella-api';
  const sealed = await vault.seal(pair, { tenantId, credentialId, purpose, origin });
  const console =
    spec.umbrella.organizationId === undefined ? consoleIdentity(spec, pair.publicHalf) : undefined;
  return {
    tenantId,
    replaces,
    credential: {
      id: credentialId,
      purpose,
      state: 'active',
      fingerprint: vault.fingerprint(pair),
      member: null,
      origin,
      sealed,
      handoffId: null,
    },
    ...(console === undefined ? {} : { consoleIdentity: console }),
  };
}

/** Asks for a token with the old pair, whatever token is kept. */
async function seeDead(work: Work, { old }: UmbrellaRotation): Promise<UmbrellaAnswer> {
  const { snapshot, vendors, context } = work;
  const of = 'see-dead';
  const held = snapshot.holders.find(
    ({ purpose, state, identity }) =>
      purpose === 'umbrella-api' && state === 'superseded' && identity === old.identity,
  );
  if (!held) return { of, answer: 'no-pair', because: '' };
  const pair = await openHeld(work, held);
  const token = await vendors.umbrella(held.spec).authenticate(pair, context, { anew: true, asOwn: true });
  if (token.ok) return { of, answer: 'accepted', because: '' };
  const because = describeFailure(token.failure);
  return { of, answer: saysNothing(token.failure) ? 'unsaid' : 'refused', because };
}

// ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────

export interface KeyLoopOptions extends KeyLimits {
  owner: string;
  pollMs: number;
}

export const KEY_LOOP_DEFAULTS = {
  leaseMs: 90_000,
  callsMs: 60_000,
  writeMs: 20_000,
  pollMs: 5_000,
} as const;

export interface KeyLoop {
  start(): Promise<void>;
  /** Begins nothing until `resume`; the key under way keeps its claim, which the database fences. */
  suspend(): void;
  resume(): void;
  /** Takes no more keys; waits for the one under way, then stops its calls. */
  drain(deadlineMs: number): Promise<void>;
}

/** Takes due keys one after the other; any number of replicas share them. */
export function createKeyLoop(
  deps: KeyDeps & { onTrigger: (listener: () => void) => Promise<() => Promise<void>> },
  options: KeyLoopOptions,
): KeyLoop {
  const { keys, log } = deps;
  let stopping = false;
  let suspended = false;
  let abort = new AbortController();
  let turn: Promise<void> | null = null;
  let timer: NodeJS.Timeout | undefined;
  let unlisten: () => Promise<void> = async () => {};
  const proveGiven = createProver(deps, options);

  function wake(): void {
    if (stopping || suspended || turn) return;
    clearTimeout(timer);
    turn = work().finally(() => {
      turn = null;
    });
  }

  async function work(): Promise<void> {
    let waitMs: number = options.pollMs;
    try {
      await proveGiven(abort.signal);
      await identifyPairs(deps);
      await letRest(deps);
      for (;;) {
        const claim = stopping || suspended ? null : await keys.take(options.owner, options.leaseMs);
        if (!claim) break;
        abort = new AbortController();
        await rotateKey(deps, claim, options, abort.signal);
      }
      waitMs = Math.min(waitMs, (await keys.nextDueInMs()) ?? waitMs);
    } catch (error) {
      // The claim runs out, and the key is due again then.
      log.error(
        { error: error instanceof Error ? error.message : String(error) },
        'a key’s rotation broke off',
      );
    }
    if (!stopping) timer = setTimeout(wake, Math.max(50, waitMs));
  }

  return {
    async start() {
      unlisten = await deps.onTrigger(wake);
      wake();
    },
    suspend() {
      suspended = true;
    },
    resume() {
      suspended = false;
      wake();
    },
    async drain(deadlineMs) {
      stopping = true;
      clearTimeout(timer);
      await atMost(FAREWELL_MS, unlisten());
      const late = setTimeout(() => abort.abort(new Error('the service is stopping')), deadlineMs);
      await atMost(deadlineMs + FAREWELL_MS, turn);
      clearTimeout(late);
    },
  };
}
