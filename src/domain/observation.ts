import { weightOf, type Failure } from './outcome.ts';
import { sameIdentifier, type Level } from './tenant.ts';

/**
 * What one reconcile read from the vendors, and what is remembered of it.
 * An observation is of one moment; facts are what still stands after it (rulings 2).
 */

/**
 * One read: its value or why there is none, when, and with what it was read (`management key`, …).
 * `credentialId` is the pair that it tells something of; null: of none. What one pair was answered says nothing
 * of the pair that took its place.
 */
export type Reading<T> = { at: string; source: string; credentialId: string | null } & (
  { ok: true; value: T } | { ok: false; failure: Failure }
);

/** A row of a role's settings or of a key's own security: ConnectWise's module and function, four levels. */
export interface LevelRow {
  /** `Companies/Configurations` */
  function: string;
  add: Level;
  edit: Level;
  delete: Level;
  inquire: Level;
}

/**
 * The rows that tell something. ConnectWise lists every function of a role, most of them None in every right,
 * which is what a function without a row is taken for; of a role that may nothing one row stays, so that it is
 * told from a list that came empty.
 */
export function tellingRows(rows: LevelRow[]): LevelRow[] {
  const times = new Map<string, number>();
  const name = (row: LevelRow) => row.function.toLowerCase();
  for (const row of rows) times.set(name(row), (times.get(name(row)) ?? 0) + 1);
  const telling = rows.filter(
    (row) =>
      times.get(name(row)) !== 1 ||
      [row.add, row.edit, row.delete, row.inquire].some((level) => level !== 'None'),
  );
  return telling.length > 0 ? telling : rows.slice(0, 1);
}

export type SiteFact =
  | { state: 'answers'; companyName: string; codebase: string }
  | { state: 'company-unknown' }
  | { state: 'not-connectwise'; detail: string };

/** What the management key may do; `member` is null where ConnectWise did not tell whose key it is. */
export type ManagementFact =
  { authenticates: true; member: string | null; missing: string[] } | { authenticates: false };

export interface RoleFact {
  id: number;
  name: string;
  inactive: boolean;
}

/** A list that shows a known control is complete enough to believe that what it lacks is absent (rulings 1). */
export interface Listed<T> {
  items: T[];
  controlSeen: boolean;
}

export interface Reference {
  id: number;
  name: string;
}

export interface MemberFact {
  id: number;
  identifier: string;
  name: string;
  inactive: boolean;
  role: Reference | null;
  level: Reference | null;
  location: Reference | null;
}

/** What a key pair showed when it was called with (rulings 16: proved with itself). */
export type KeyProof =
  | {
      authenticates: true;
      credentialId: string;
      fingerprint: string;
      /** Null where the rows did not carry a member. */
      member: string | null;
      levels: LevelRow[];
      /** The Table Setup allow list; null where it could not be read. */
      allowList: string[] | null;
      /**
       * What Umbrella needs to read and this key may not (domain.md §1), or what Parasol needs to read where it is
       * one of Parasol's own; for pairs that wait to be used. Absent: not asked, or not answered.
       */
      unreadable?: string[];
      /** Of Parasol's own keys: rights that it needs and this one has not (`ManagementFact.missing`). */
      missing?: string[];
    }
  | { authenticates: false; credentialId: string; fingerprint: string };

/** One configuration in ConnectWise that Umbrella may have written (domain.md §1). */
export interface ConfigurationFact {
  id: number;
  name: string;
  company: { id: number; identifier: string; name: string } | null;
  typeId: number | null;
  updatedBy: string | null;
  /** ISO 8601, UTC. */
  lastUpdated: string | null;
}

export interface WritesFact {
  /** The configuration type that Umbrella writes; null until it was learned (rulings 3). */
  type: Reference | null;
  configurations: ConfigurationFact[];
  /** True when every configuration of the type (or of the company, without a type) was seen. */
  complete: boolean;
}

export interface UmbrellaKeyFact {
  name: string;
  scopes: string[];
  /** ISO 8601; null: never expires. */
  expiresAt: string | null;
  /** When its secret was made: at its creation, or its last refresh. Null: not told. */
  issuedAt?: string | null;
}

/** What a token request showed. */
export interface UmbrellaAccessFact {
  accepted: boolean;
}

export interface CustomerFact {
  id: number;
  name: string;
}

/** Everything that can be read of one tenant; a key that is absent from an observation was not asked for. */
export interface FactValues {
  site: SiteFact;
  management: ManagementFact;
  members: Listed<MemberFact>;
  roles: Listed<RoleFact>;
  roleLevels: { roleId: number; rows: LevelRow[]; source: 'settings' | 'effective' };
  integrationKey: KeyProof;
  writes: WritesFact;
  umbrellaAccess: UmbrellaAccessFact;
  umbrellaKeyAdmin: UmbrellaAccessFact;
  /** Null: the KeyAdmin key lists no key of this client id. */
  umbrellaKey: UmbrellaKeyFact | null;
  /** The KeyAdmin key's own row; null: it does not list itself. */
  umbrellaAdminKey: UmbrellaKeyFact | null;
  customers: CustomerFact[];
}
export type FactName = keyof FactValues;

export type Observation = { at: string } & {
  [Name in FactName]?: Reading<FactValues[Name]>;
} & {
  /** Proofs of pairs that are not (or no longer) in use, by credential id. */
  candidates: Record<string, Reading<KeyProof>>;
};

/**
 * The last value that was seen, and the heaviest failure since; either may be absent. Only a value unsays a
 * failure that said more than the next one: a right that lacked is not granted by a timeout (rulings 2).
 */
export interface Remembered<T> {
  value?: T;
  /** When the value was seen, ISO 8601. */
  at?: string;
  /** The observation in which it was seen (`Observation.at`). */
  observedAt?: string;
  source?: string;
  credentialId?: string | null;
  failure?: { failure: Failure; at: string; credentialId: string | null };
}

export type Facts = { [Name in FactName]?: Remembered<FactValues[Name]> } & {
  candidates: Record<string, Remembered<KeyProof>>;
};

export const noFacts = (): Facts => ({ candidates: {} });

/**
 * What is known after an observation: what was seen replaces what was known; what was not seen keeps its
 * value and its time, and says why it was not seen. What was not asked for is untouched. Candidates that
 * were not proved this time are forgotten: the credential is gone.
 */
export function remember(known: Facts, observation: Observation): Facts {
  const { at, candidates, ...readings } = observation;
  const facts = { ...known, candidates: {} } as Facts;
  for (const [name, reading] of Object.entries(readings) as [FactName, Reading<unknown>][]) {
    Object.assign(facts, { [name]: rememberOne<unknown>(known[name], reading, at) });
  }
  for (const [id, reading] of Object.entries(candidates)) {
    facts.candidates[id] = rememberOne(known.candidates[id], reading, at);
  }
  return facts;
}

/** A write of Parasol's to a member; `active` is null where it is not known any more what it was to be. */
export interface Switched {
  identifier: string;
  active: boolean | null;
  at: string;
}

/**
 * ConnectWise's lists may be older than its answers for as long as `settleMs`: one that does not show what was written
 * just now is not believed, or the refusal of a key whose member was just switched off would count as its death.
 */
export function believed(
  observation: Observation,
  switched: Switched[],
  { now, settleMs }: { now: Date; settleMs: number },
): Observation {
  const { members } = observation;
  if (!members?.ok) return observation;
  const older = switched.find(({ identifier, active, at }) => {
    const shown = members.value.items.find((one) => sameIdentifier(one.identifier, identifier));
    return (
      now.getTime() - Date.parse(at) < settleMs && shown?.inactive !== (active === null ? null : !active)
    );
  });
  if (!older) return observation;
  const detail = `${older.identifier} was changed just now, and the list may be older`;
  const { at, source, credentialId } = members;
  const failure: Failure = { kind: 'OutcomeUnknown', detail };
  return { ...observation, members: { ok: false, failure, at, source, credentialId } };
}

function rememberOne<T>(
  known: Remembered<T> | undefined,
  { at, source, credentialId, ...reading }: Reading<T>,
  observedAt: string,
): Remembered<T> {
  if (reading.ok) return { value: reading.value, at, observedAt, source, credentialId };
  const { failure: earlier, ...kept } = known ?? {};
  const stays =
    earlier?.credentialId === credentialId && weightOf(earlier.failure) > weightOf(reading.failure);
  if (stays) return { ...kept, failure: earlier };
  return { ...kept, failure: { failure: reading.failure, at, credentialId } };
}

/**
 * True where the fact was seen in that very observation: only such facts may lead to a write. Times are not
 * compared, since what another replica saw may be dated ahead of this one's clock.
 */
export function isFresh<T>(
  fact: Remembered<T> | undefined,
  observedAt: string,
): fact is Remembered<T> & { value: T; at: string } {
  return fact?.at !== undefined && fact.observedAt === observedAt && fact.failure === undefined;
}

/** The facts that were seen in the observation of that time, and nothing of what is older. */
export function onlyFresh({ candidates, ...named }: Facts, observedAt: string): Facts {
  const fresh = noFacts();
  for (const [name, fact] of Object.entries(named)) {
    if (isFresh<unknown>(fact, observedAt)) Object.assign(fresh, { [name]: fact });
  }
  for (const [id, proof] of Object.entries(candidates)) {
    if (isFresh(proof, observedAt)) fresh.candidates[id] = proof;
  }
  return fresh;
}
