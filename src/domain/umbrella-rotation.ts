import { formatSpan, toMs } from './duration.ts';
import { namesOf, toldTo, wordsFor } from './shared-words.ts';
import { spreadOf, type TenantSpec } from './tenant.ts';

/**
 * Replaces an Umbrella API key through KeyAdmin, without a person; once for all tenants that share it (rulings 22).
 *
 *   Pending ─▶ Creating ─▶ Verifying ─▶ Switching ─▶ Resting ─▶ Deleting ─▶ Completed
 *                │  ▲          │            │           ▲           │
 *   secret lost: │  │          │            │           └───────────┘ the old key is used again
 *   found by     └──┘          │            │
 *   name, removed              ▼            ▼
 *                └────────▶ Abandoning ◀────┘  the new key is removed ─▶ Failed, Cancelled
 *
 * `next` says the one thing to do now, from what was read outside and what is stored; `heard` says what its answer
 * means. Nothing rests on memory: each phase is entered again from Umbrella's own list. A live key is never
 * refreshed, since that would kill the pair that tenants use.
 */

export const UMBRELLA_PHASES = [
  'Pending',
  'Creating',
  'Verifying',
  'Switching',
  'Resting',
  'Deleting',
  'Abandoning',
  'Completed',
  'Failed',
  'Cancelled',
] as const;
export type UmbrellaPhase = (typeof UMBRELLA_PHASES)[number];

export const UMBRELLA_CAUSES = ['age', 'expiry', 'person', 'compromise'] as const;
export type UmbrellaCause = (typeof UMBRELLA_CAUSES)[number];

/** One rotation of one key. Times are ISO 8601; `identity` names a key without telling its client id. */
export interface UmbrellaRotation {
  number: number;
  cause: UmbrellaCause;
  /** Why, in one sentence. */
  why: string;
  /** Who asked; null: Parasol itself. */
  by: string | null;
  /** The tenant of which it was asked; null: nobody asked. */
  askedOf: string | null;
  phase: UmbrellaPhase;
  startedAt: string;
  /** When the phase was entered. */
  since: string;
  old: { identity: string; fingerprint: string; apiKeyId: string | null; name: string | null };
  /** The key that takes its place; null until its name was committed. */
  fresh: {
    name: string;
    /** When one of that name was first about to be made: an older one of the name is somebody else's. */
    intendedAt: string;
    apiKeyId: string | null;
    identity: string | null;
    fingerprint: string | null;
    /** Since when its name is refused as taken, while the list shows no such key. */
    takenSince?: string;
  } | null;
  /** Times that one was sent for. */
  attempts: number;
  /** Tenants in whose name the new key was called with, and worked. */
  provedFor: string[];
  /** Tenants that were switched. */
  tenants: string[];
  switchedAt: string | null;
  /** When Umbrella says that the old key was last used, and since when (by our clock) it says so. */
  lastUse: { told: string; unmovedSince: string } | null;
  /** Why it does not go on; null: it does. */
  held: string | null;
  /** It is held, and a person should look: what to do. */
  stuck: string | null;
  /** In `Abandoning`: how it ends, and why. */
  ending: { as: 'Failed' | 'Cancelled'; because: string } | null;
  /** What was done and seen, for an auditor. */
  evidence: { at: string; what: string }[];
}

/** A row of Umbrella's list of API keys. */
export interface ListedKey {
  apiKeyId: string;
  name: string;
  identity: string;
  scopes: string[];
  allowedIPs: string[];
  expiresAt: string | null;
  createdAt: string | null;
  issuedAt: string | null;
  lastUsedAt: string | null;
}

/** What one pass knows before it does something. */
export interface KeyGround {
  now: Date;
  /** What the rotation's new key is called; the same for every attempt. */
  nameFor: (number: number) => string;
  /** The list, if it was read now and shows the KeyAdmin key itself (rulings 1); else why not. */
  listed: { keys: ListedKey[] } | { missing: string };
  /** Tenants whose pair in use is of that key, by its identity; as API key, and as KeyAdmin key. */
  usersOf: (identity: string) => string[];
  adminsOf: (identity: string) => string[];
  /** A pair that somebody uses was not identified yet, so that `usersOf` may lack somebody. */
  unidentified: boolean;
  /** Why no write may leave now: a tenant's mode, a pause, a deletion. Null: none of it. */
  hindrance: string | null;
  /** The new pair lies sealed with the rotation. */
  holdsSecret: boolean;
  /** How long the old key must be unused, and how long after the switch that is waited for without a word. */
  restMs: number;
  restWithinMs: number;
  /** A new key that is to expire does so no sooner than that: else it would be rotated at once. */
  leastLifetimeMs: number;
}

/** The one thing to do now. Each carries the rotation as it is to be stored before that. */
export type UmbrellaStep = { rotation: UmbrellaRotation } & (
  | { do: 'wait'; inMs: number }
  | { do: 'make'; key: NewKey }
  | { do: 'remove'; apiKeyId: string; name: string }
  | { do: 'prove'; tenants: string[] }
  | { do: 'switch'; tenants: string[] }
  | { do: 'see-dead' }
  | { do: 'end' }
);

interface NewKey {
  name: string;
  description: string;
  scopes: string[];
  allowedIPs: string[];
  expiresAt: string | null;
}

/** What became of a step. `because` is for people. */
export type UmbrellaAnswer =
  | { of: 'make'; answer: 'made'; apiKeyId: string; identity: string; fingerprint: string }
  | { of: 'make' | 'remove'; answer: 'name-taken' | 'done' | 'unknown'; because: string }
  /** Nothing was sent, or nothing was done; tried again after that time. */
  | { of: 'make' | 'remove'; answer: 'not-now'; because: string; inMs: number }
  /** Umbrella refuses it for good. */
  | { of: 'make' | 'remove'; answer: 'refused'; because: string }
  | { of: 'prove'; answer: Record<string, 'works' | 'as-before' | 'refused' | 'unsaid'>; because: string }
  | { of: 'switch'; answer: 'switched'; tenants: string[] }
  | { of: 'switch'; answer: 'changed' }
  /** No tenant holds the new pair any more. */
  | { of: 'switch'; answer: 'no-pair'; tenants: string[] }
  | { of: 'see-dead'; answer: 'refused' | 'accepted' | 'unsaid' | 'no-pair'; because: string };

const SOON_MS = toMs('5s');
const POLL_MS = toMs('1m');
const SLOW_POLL_MS = toMs('15m');
/** A vendor's clock may differ by so much from ours. */
const CLOCK_TOLERANCE_MS = toMs('5m');
/** A name that is taken by what the list does not show is looked for again after that time. */
const LOOK_AGAIN_MS = toMs('30s');
/** Lists may be older than answers: so long one may lack what was made. */
const HIDDEN_MS = toMs('10m');
/** A new key may not work at once. */
const PROVE_WITHIN_MS = toMs('15m');
const DIES_WITHIN_MS = toMs('15m');
const MOST_ATTEMPTS = 6;
/** Token requests are few a minute (domain.md §5). */
const PROOFS_A_PASS = 5;
const MOST_EVIDENCE = 100;

export const isOver = ({ phase }: Pick<UmbrellaRotation, 'phase'>): boolean =>
  phase === 'Completed' || phase === 'Failed' || phase === 'Cancelled';

/** Phases that rest on Umbrella's list; the others spare its budget. */
export const needsList = ({ phase }: UmbrellaRotation): boolean =>
  phase !== 'Verifying' && phase !== 'Switching' && phase !== 'Completed';

export function begin(
  number: number,
  {
    cause,
    why,
    by,
    tenant = null,
  }: Pick<UmbrellaRotation, 'cause' | 'why' | 'by'> & { tenant?: string | null },
  old: { identity: string; fingerprint: string },
  now: Date,
): UmbrellaRotation {
  const at = now.toISOString();
  const told = tenant === null ? why : wordsFor(tenant, why, 'A tenant that shares the key asked for it.');
  return {
    number,
    cause,
    why: told,
    by,
    askedOf: tenant,
    phase: 'Pending',
    startedAt: at,
    since: at,
    old: { ...old, apiKeyId: null, name: null },
    fresh: null,
    attempts: 0,
    provedFor: [],
    tenants: [],
    switchedAt: null,
    lastUse: null,
    held: null,
    stuck: null,
    ending: null,
    evidence: [{ at, what: told }],
  };
}

/** The rotation as one of the tenants that share the key is told of it: others have no name there. */
export function asToldTo(tenant: string, rotation: UmbrellaRotation): UmbrellaRotation {
  const { why, by, askedOf, provedFor, tenants, held, stuck, ending, evidence } = rotation;
  const told = (words: string) => toldTo(tenant, words);
  const own = (tenants: string[]) => tenants.filter((one) => one === tenant);
  return {
    ...rotation,
    why: told(why),
    by: askedOf === tenant ? by : null,
    askedOf: askedOf === tenant ? askedOf : null,
    provedFor: own(provedFor),
    tenants: own(tenants),
    held: held && told(held),
    stuck: stuck && told(stuck),
    ending: ending && { ...ending, because: told(ending.because) },
    evidence: evidence.map(({ at, what }) => ({ at, what: told(what) })),
  };
}

/** The one thing to do now. */
export function nextUmbrella(stored: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const rotation: UmbrellaRotation = { ...stored, held: null, stuck: null };
  switch (rotation.phase) {
    case 'Pending':
      return pending(rotation, ground);
    case 'Creating':
      return creating(rotation, ground);
    case 'Verifying':
      return verifying(rotation, ground);
    case 'Switching':
      return switching(rotation, ground);
    case 'Resting':
      return resting(rotation, ground);
    case 'Deleting':
      return deleting(rotation, ground);
    case 'Abandoning':
      return abandoning(rotation, ground);
    case 'Completed':
    case 'Failed':
    case 'Cancelled':
      return { rotation, do: 'end' };
  }
}

const enter = (
  rotation: UmbrellaRotation,
  phase: UmbrellaPhase,
  now: Date,
  what: string,
  change: Partial<UmbrellaRotation> = {},
): UmbrellaRotation => noted({ ...rotation, ...change, phase, since: now.toISOString() }, now, what);

function noted(rotation: UmbrellaRotation, now: Date, what: string): UmbrellaRotation {
  const last = rotation.evidence.at(-1)?.what;
  if (last === what) return rotation;
  const evidence = [...rotation.evidence, { at: now.toISOString(), what }].slice(-MOST_EVIDENCE);
  return { ...rotation, evidence };
}

const wait = (rotation: UmbrellaRotation, inMs: number, held: string | null = null): UmbrellaStep => ({
  rotation: { ...rotation, held },
  do: 'wait',
  inMs,
});

const stuck = (rotation: UmbrellaRotation, what: string): UmbrellaStep => ({
  rotation: { ...rotation, held: what, stuck: what },
  do: 'wait',
  inMs: SLOW_POLL_MS,
});

const ageOf = (at: string, now: Date): number => now.getTime() - Date.parse(at);

function pending(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, listed, hindrance, nameFor } = ground;
  const { old } = rotation;
  if (ground.usersOf(old.identity).length === 0) {
    return ended(rotation, 'Cancelled', now, 'No tenant uses the key any more.');
  }
  if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
  const admins = ground.adminsOf(old.identity);
  if (admins.length > 0) {
    return stuck(
      rotation,
      `The key is also the KeyAdmin key of ${namesOf(admins)}: give a KeyAdmin key of its own there.`,
    );
  }
  if ('missing' in listed) return wait(rotation, POLL_MS, listed.missing);
  const row = listed.keys.find(({ identity }) => identity === old.identity);
  if (!row) {
    return ended(
      rotation,
      'Failed',
      now,
      `The KeyAdmin key does not list the key ${old.fingerprint}: give a KeyAdmin key of the same organisation, or a new API key.`,
    );
  }
  const name = nameFor(rotation.number);
  const named = {
    ...rotation,
    old: { ...old, apiKeyId: row.apiKeyId, name: row.name },
    fresh: {
      name,
      intendedAt: now.toISOString(),
      apiKeyId: null,
      identity: null,
      fingerprint: null,
    },
  };
  return creating(
    enter(named, 'Creating', now, `The key ${name} is to take the place of ${row.name}.`),
    ground,
  );
}

function creating(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, listed, hindrance } = ground;
  const { old, fresh } = rotation;
  if (!fresh) return wait({ ...rotation, phase: 'Pending' }, 0);
  if (ground.usersOf(old.identity).length === 0) {
    return abandon(rotation, ground, 'Cancelled', 'No tenant uses the old key any more.');
  }
  if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
  if ('missing' in listed) return wait(rotation, POLL_MS, listed.missing);
  const mine = listed.keys.find(({ name }) => name === fresh.name);
  if (mine) {
    if (isOurs(rotation, mine, ground)) {
      const { takenSince: _, ...seen } = fresh;
      const what = `${fresh.name} is there and its secret is not: it is made again.`;
      const lost = noted({ ...rotation, fresh: seen }, now, what);
      return { rotation: lost, do: 'remove', apiKeyId: mine.apiKeyId, name: mine.name };
    }
    return creating(renamed(rotation, ground), ground);
  }
  if (rotation.attempts >= MOST_ATTEMPTS) {
    return abandon(rotation, ground, 'Failed', `${MOST_ATTEMPTS} attempts brought no key with its secret.`);
  }
  const row = listed.keys.find(({ identity }) => identity === old.identity);
  if (!row) return abandon(rotation, ground, 'Failed', 'The old key is no longer listed.');
  return {
    rotation: { ...rotation, attempts: rotation.attempts + 1 },
    do: 'make',
    key: {
      name: fresh.name,
      description: `By Parasol, in place of ${row.name}`.slice(0, 256),
      scopes: row.scopes,
      allowedIPs: row.allowedIPs,
      expiresAt: expiryLike(row, ground),
    },
  };
}

/**
 * A key of our name is ours if it was made after its intent was committed; one that is older, or that somebody
 * uses, was made before a database was restored, or by somebody else.
 */
function isOurs({ fresh }: UmbrellaRotation, row: ListedKey, { usersOf, adminsOf }: KeyGround): boolean {
  if (!fresh || row.createdAt === null) return false;
  const since = Date.parse(fresh.intendedAt) - CLOCK_TOLERANCE_MS;
  const unused = usersOf(row.identity).length === 0 && adminsOf(row.identity).length === 0;
  return unused && Date.parse(row.createdAt) >= since;
}

/** Somebody else has the name: the next number is tried. */
function renamed(rotation: UmbrellaRotation, { now, nameFor }: KeyGround): UmbrellaRotation {
  const number = rotation.number + 1;
  const name = nameFor(number);
  const fresh = { name, intendedAt: now.toISOString(), apiKeyId: null, identity: null, fingerprint: null };
  const what = `${rotation.fresh?.name} is the name of another key, which stays: ${name} is taken.`;
  return noted({ ...rotation, number, fresh }, now, what);
}

/** The new key lives as long as the old one was to live; never so short that it would be rotated at once. */
function expiryLike({ expiresAt, issuedAt }: ListedKey, { now, leastLifetimeMs }: KeyGround): string | null {
  if (expiresAt === null) return null;
  const lifetime = issuedAt === null ? 0 : Date.parse(expiresAt) - Date.parse(issuedAt);
  return new Date(now.getTime() + Math.max(lifetime, leastLifetimeMs)).toISOString();
}

function verifying(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, hindrance, holdsSecret } = ground;
  const users = ground.usersOf(rotation.old.identity);
  if (users.length === 0) {
    return abandon(rotation, ground, 'Cancelled', 'No tenant uses the old key any more.');
  }
  if (!holdsSecret) {
    return wait(enter(rotation, 'Creating', now, 'The secret of the new key is not here.'), 0);
  }
  if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
  const unproved = users.filter((tenant) => !rotation.provedFor.includes(tenant));
  if (unproved.length > 0) return { rotation, do: 'prove', tenants: unproved.slice(0, PROOFS_A_PASS) };
  return switching(enter(rotation, 'Switching', now, 'The new key works for every tenant.'), ground);
}

function switching(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const users = ground.usersOf(rotation.old.identity);
  const proved = users.every((tenant) => rotation.provedFor.includes(tenant));
  if (users.length === 0 || !ground.holdsSecret || !proved) {
    return verifying({ ...rotation, phase: 'Verifying' }, ground);
  }
  if (ground.hindrance !== null) return wait(rotation, POLL_MS, ground.hindrance);
  if (ground.unidentified) return wait(rotation, SOON_MS, 'A pair that is in use was not looked at yet.');
  return { rotation, do: 'switch', tenants: users };
}

function resting(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, listed, hindrance, restMs, restWithinMs } = ground;
  const { old, switchedAt } = rotation;
  if (ground.usersOf(old.identity).length > 0) {
    // A tenant that came with the old pair after the others were switched.
    if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
    return { rotation, do: 'switch', tenants: ground.usersOf(old.identity) };
  }
  if ('missing' in listed) return wait(rotation, POLL_MS, listed.missing);
  const unseen = withoutFresh(rotation, ground);
  if (unseen) return unseen;
  const row = listed.keys.find(({ identity }) => identity === old.identity);
  if (!row) return deleting(enter(rotation, 'Deleting', now, 'The old key is no longer listed.'), ground);

  const told = row.lastUsedAt;
  const overdue = ageOf(switchedAt ?? rotation.since, now) > restMs + restWithinMs;
  if (told === null) {
    const what = `Umbrella does not tell when the key ${old.name} was last used, so that it is not deleted: delete it in Admin > API Keys once nobody uses it.`;
    return rotation.cause === 'compromise'
      ? deleting(
          enter(rotation, 'Deleting', now, 'The key is compromised: its use is not waited for.'),
          ground,
        )
      : overdue
        ? stuck(rotation, what)
        : wait(rotation, pollFor(restMs), 'Umbrella does not tell when the old key was last used.');
  }
  const lastUse =
    rotation.lastUse?.told === told ? rotation.lastUse : { told, unmovedSince: now.toISOString() };
  const looked = { ...rotation, lastUse };
  if (rotation.cause === 'compromise') {
    return deleting(
      enter(looked, 'Deleting', now, 'The key is compromised: its use is not waited for.'),
      ground,
    );
  }
  const restedMs = ageOf(lastUse.unmovedSince, now);
  if (restedMs >= restMs) {
    const what = `The old key was last used at ${told}, and not in the ${formatSpan(restedMs)} since it is watched.`;
    return deleting(enter(looked, 'Deleting', now, what), ground);
  }
  if (overdue) {
    return stuck(
      looked,
      `The old key ${old.name} is still used by somebody, last at ${told}: find who holds it (Admin > API Keys > ${old.name}) and give them another. It is deleted once it was unused for ${formatSpan(restMs)}.`,
    );
  }
  const what = `The old key must be unused for ${formatSpan(restMs)}; it was last used at ${told}.`;
  return wait(looked, Math.min(pollFor(restMs), Math.max(restMs - restedMs, 1)), what);
}

/** Never more than once a minute, but for a rehearsal whose whole rest is shorter than some minutes. */
const pollFor = (restMs: number): number => Math.min(POLL_MS, Math.max(SOON_MS, restMs));

/** The old key must not go where the list does not show the new one. Null: it does. */
function withoutFresh(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep | null {
  const { listed, usersOf, now } = ground;
  const { fresh, tenants, switchedAt } = rotation;
  if ('missing' in listed || !fresh?.identity) return null;
  if (listed.keys.some(({ identity }) => identity === fresh.identity)) return null;
  // Everybody was given yet another key since: whether the one between is there does not matter.
  if (usersOf(fresh.identity).length === 0) return null;
  if (ageOf(switchedAt ?? rotation.since, now) < HIDDEN_MS) {
    return wait(rotation, POLL_MS, `The list does not show the new key ${fresh.name} yet.`);
  }
  return stuck(
    rotation,
    `The new key ${fresh.name} of ${namesOf(tenants)} is no longer listed: give a new Umbrella API key; the old one is not deleted.`,
  );
}

function deleting(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, listed, hindrance, unidentified } = ground;
  const { old } = rotation;
  if (ground.usersOf(old.identity).length > 0) {
    return resting(enter(rotation, 'Resting', now, 'A tenant uses the old key again.'), ground);
  }
  const admins = ground.adminsOf(old.identity);
  if (admins.length > 0) {
    return stuck(
      rotation,
      `The old key is the KeyAdmin key of ${namesOf(admins)}: give a KeyAdmin key of its own there.`,
    );
  }
  if (unidentified) return wait(rotation, SOON_MS, 'A pair that is in use was not looked at yet.');
  if ('missing' in listed) return wait(rotation, POLL_MS, listed.missing);
  const unseen = withoutFresh(rotation, ground);
  if (unseen) return unseen;
  const row = listed.keys.find(({ identity }) => identity === old.identity);
  if (!row) return { rotation, do: 'see-dead' };
  const moved = rotation.lastUse !== null && row.lastUsedAt !== rotation.lastUse.told;
  if (moved && rotation.cause !== 'compromise') {
    return resting(enter(rotation, 'Resting', now, 'The old key was used again.'), ground);
  }
  if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
  return { rotation, do: 'remove', apiKeyId: row.apiKeyId, name: row.name };
}

/** Gives up before the switch: the new key goes, the old one stays in use. */
function abandon(
  rotation: UmbrellaRotation,
  ground: KeyGround,
  as: 'Failed' | 'Cancelled',
  because: string,
): UmbrellaStep {
  const { now } = ground;
  return wait(enter(rotation, 'Abandoning', now, because, { ending: { as, because } }), 0);
}

function abandoning(rotation: UmbrellaRotation, ground: KeyGround): UmbrellaStep {
  const { now, listed, hindrance } = ground;
  const { fresh, ending } = rotation;
  const { as, because } = ending ?? { as: 'Failed' as const, because: 'It was given up.' };
  if (!fresh) return ended(rotation, as, now, because);
  if ('missing' in listed) return wait(rotation, POLL_MS, listed.missing);
  const mine = listed.keys.find(
    ({ name, identity }) => name === fresh.name || (fresh.identity !== null && identity === fresh.identity),
  );
  if (!mine || !isOurs(rotation, mine, ground)) {
    // What was sent last may have been done, and the list be older than that.
    const settles = (rotation.attempts > 0 ? HIDDEN_MS : 0) - ageOf(rotation.since, now);
    return settles > 0
      ? wait(rotation, settles, 'The list may be older than what was sent.')
      : ended(rotation, as, now, because);
  }
  if (hindrance !== null) return wait(rotation, POLL_MS, hindrance);
  return { rotation, do: 'remove', apiKeyId: mine.apiKeyId, name: mine.name };
}

const ended = (
  rotation: UmbrellaRotation,
  phase: 'Completed' | 'Failed' | 'Cancelled',
  now: Date,
  what: string,
): UmbrellaStep => ({ rotation: enter(rotation, phase, now, what), do: 'end' });

/** What an answer means, and when to go on. */
export function heard(
  rotation: UmbrellaRotation,
  answer: UmbrellaAnswer,
  now: Date,
): { rotation: UmbrellaRotation; inMs: number } {
  switch (answer.of) {
    case 'make':
    case 'remove':
      return heardOfWrite(rotation, answer, now);
    case 'prove':
      return heardOfProof(rotation, answer, now);
    case 'switch':
      if (answer.answer === 'changed') return { rotation, inMs: 0 };
      return answer.answer === 'switched'
        ? switched(rotation, answer.tenants, now)
        : strayed(rotation, answer.tenants);
    case 'see-dead':
      return heardOfDeath(rotation, answer, now);
  }
}

function heardOfWrite(
  rotation: UmbrellaRotation,
  answer: Extract<UmbrellaAnswer, { of: 'make' | 'remove' }>,
  now: Date,
): { rotation: UmbrellaRotation; inMs: number } {
  const { fresh } = rotation;
  switch (answer.answer) {
    case 'made': {
      const { apiKeyId, identity, fingerprint } = answer;
      const made = fresh && { ...fresh, apiKeyId, identity, fingerprint };
      const what = `${fresh?.name} was made and sealed: ${fingerprint}.`;
      return { rotation: enter(rotation, 'Verifying', now, what, { fresh: made, provedFor: [] }), inMs: 0 };
    }
    case 'name-taken': {
      const looked = noted(rotation, now, answer.because);
      const takenSince = fresh?.takenSince ?? now.toISOString();
      if (!fresh || ageOf(takenSince, now) <= HIDDEN_MS) {
        const marked = fresh && { ...fresh, takenSince };
        return { rotation: { ...looked, fresh: marked, held: answer.because }, inMs: LOOK_AGAIN_MS };
      }
      const what = `${fresh.name} is taken by a key that the list does not show: look for it in Admin > API Keys.`;
      return {
        rotation: enter(looked, 'Abandoning', now, what, { ending: { as: 'Failed', because: what } }),
        inMs: 0,
      };
    }
    case 'done':
      return { rotation: noted(rotation, now, answer.because), inMs: 0 };
    case 'unknown':
      // What was asked for last may still be on its way: it is looked for, never sent again unseen.
      return {
        rotation: { ...noted(rotation, now, answer.because), held: answer.because },
        inMs: SOON_MS,
      };
    case 'not-now':
      return { rotation: { ...rotation, held: answer.because }, inMs: answer.inMs };
    case 'refused': {
      const what = answer.because;
      if (rotation.phase === 'Creating') {
        return {
          rotation: enter(rotation, 'Abandoning', now, what, { ending: { as: 'Failed', because: what } }),
          inMs: 0,
        };
      }
      const words = `${what}: delete the key in Admin > API Keys.`;
      return { rotation: { ...noted(rotation, now, what), held: words, stuck: words }, inMs: SLOW_POLL_MS };
    }
  }
}

function heardOfProof(
  rotation: UmbrellaRotation,
  { answer, because }: Extract<UmbrellaAnswer, { of: 'prove' }>,
  now: Date,
): { rotation: UmbrellaRotation; inMs: number } {
  const tenants = Object.keys(answer);
  const works = tenants.filter((tenant) => answer[tenant] === 'works');
  const asBefore = tenants.filter((tenant) => answer[tenant] === 'as-before');
  const refused = tenants.filter((tenant) => answer[tenant] === 'refused');
  let proved: UmbrellaRotation = { ...rotation, provedFor: [...rotation.provedFor, ...works, ...asBefore] };
  if (works.length > 0) {
    proved = noted(proved, now, `The new key got a token and listed customers for ${namesOf(works)}.`);
  }
  if (asBefore.length > 0) {
    const whom = namesOf(asBefore);
    proved = noted(proved, now, `For ${whom} the new key was answered as the old one is: ${because}.`);
  }
  if (works.length + asBefore.length === tenants.length) return { rotation: proved, inMs: 0 };
  const unproved = tenants.filter((tenant) => !proved.provedFor.includes(tenant));
  const held = `The new key did not work yet for ${namesOf(unproved)}: ${because}.`;
  if (refused.length > 0 && ageOf(rotation.since, now) > PROVE_WITHIN_MS) {
    const what = `The new key never worked for ${namesOf(refused)}: ${because}.`;
    return {
      rotation: enter(proved, 'Abandoning', now, what, { ending: { as: 'Failed', because: what } }),
      inMs: 0,
    };
  }
  return { rotation: { ...proved, held }, inMs: refused.length > 0 ? SOON_MS * 2 : POLL_MS };
}

function switched(
  rotation: UmbrellaRotation,
  tenants: string[],
  now: Date,
): { rotation: UmbrellaRotation; inMs: number } {
  const all = [...new Set([...rotation.tenants, ...tenants])];
  const what = `The new key is in use for ${namesOf(tenants)}.`;
  const at = now.toISOString();
  const change = { tenants: all, switchedAt: rotation.switchedAt ?? at, lastUse: null };
  return { rotation: enter(rotation, 'Resting', now, what, change), inMs: 0 };
}

/** A tenant came with the old pair, and all others were given yet another one meanwhile. */
function strayed(
  rotation: UmbrellaRotation,
  tenants: string[],
): { rotation: UmbrellaRotation; inMs: number } {
  const words = `${namesOf(tenants)} came with the old key, which is to be deleted: give a new Umbrella API key there.`;
  return { rotation: { ...rotation, held: words, stuck: words }, inMs: POLL_MS };
}

function heardOfDeath(
  rotation: UmbrellaRotation,
  { answer, because }: Extract<UmbrellaAnswer, { of: 'see-dead' }>,
  now: Date,
): { rotation: UmbrellaRotation; inMs: number } {
  switch (answer) {
    case 'refused':
      return {
        rotation: enter(rotation, 'Completed', now, 'The old key is listed no more, and is refused.'),
        inMs: 0,
      };
    case 'no-pair': {
      const what = 'The old key is listed no more; no pair of it is left to call with.';
      return { rotation: enter(rotation, 'Completed', now, what), inMs: 0 };
    }
    case 'accepted': {
      const held = 'The old key is listed no more, and still gets a token.';
      const late = ageOf(rotation.since, now) > DIES_WITHIN_MS;
      const what = `${held} That is not as it should be: ask Cisco's support.`;
      return { rotation: { ...rotation, held, stuck: late ? what : null }, inMs: POLL_MS };
    }
    case 'unsaid':
      return { rotation: { ...rotation, held: because }, inMs: POLL_MS };
  }
}

// ── when to rotate ───────────────────────────────────────────────────────────────────────────────────────

/** What the tenants of one key want of it, taken together. */
export interface KeyWishes {
  maxAgeMs: number;
  expiryWarningMs: number;
  restMs: number;
  restWithinMs: number;
  leastLifetimeMs: number;
}

/** The strictest of all tenants that share the key. */
export function wishesOf(specs: Pick<TenantSpec, 'rotation' | 'umbrella'>[]): KeyWishes {
  const most = (of: (spec: (typeof specs)[number]) => string) =>
    Math.max(0, ...specs.map((spec) => toMs(of(spec))));
  const expiryWarningMs = most(({ umbrella }) => umbrella.expiryWarning);
  return {
    maxAgeMs: Math.min(...specs.map(({ rotation }) => toMs(rotation.maxAge))),
    expiryWarningMs,
    restMs: most(({ rotation }) => rotation.overlap),
    restWithinMs: most(({ rotation }) => rotation.adoptionDeadline),
    leastLifetimeMs: 3 * expiryWarningMs,
  };
}

/** The part of its greatest age by which a key may be rotated before it, so that a fleet of one day is spread. */
const SPREAD = 0.1;

/** When its age alone makes a key due; also keys that were too old when Parasol first met them are spread. */
export function dueByAge(
  key: { id: string; issuedAt: string; knownSince: string },
  { maxAgeMs }: Pick<KeyWishes, 'maxAgeMs'>,
): Date {
  const early = spreadOf(key.id) * SPREAD * maxAgeMs;
  const old = Date.parse(key.issuedAt) + maxAgeMs - early;
  return new Date(Math.max(old, Date.parse(key.knownSince) + early));
}

/** Why a key is to be rotated now without anybody asking; null: it is not. */
export function whyRotate(
  key: { id: string; issuedAt: string | null; expiresAt: string | null; knownSince: string },
  wishes: KeyWishes,
  now: Date,
): { cause: UmbrellaCause; why: string } | null {
  const { expiresAt, issuedAt } = key;
  if (expiresAt !== null) {
    const leftMs = Date.parse(expiresAt) - now.getTime();
    if (leftMs <= wishes.expiryWarningMs) {
      return { cause: 'expiry', why: `The key expires on ${expiresAt}.` };
    }
  }
  if (issuedAt === null || now < dueByAge({ ...key, issuedAt }, wishes)) return null;
  const age = formatSpan(now.getTime() - Date.parse(issuedAt));
  return { cause: 'age', why: `The key is ${age} old; it may become ${formatSpan(wishes.maxAgeMs)}.` };
}
