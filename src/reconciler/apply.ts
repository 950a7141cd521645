import { inScope, type Caller, type Scope } from '../domain/access.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { changedPaths } from '../domain/spec-diff.ts';
import { automationOrigin, companyIdentity, type TenantInput, type TenantSpec } from '../domain/tenant.ts';
import { conflict, done, invalid, type Problem } from './answers.ts';
import type { Answer, ApplyChange, Refusal } from './commands.ts';
import { beingDeleted } from './deletions.ts';
import {
  activeOf,
  boundElsewhere,
  consoleIdentity,
  credentialCommand,
  expectedMember,
  isOtherKeyOfCompany,
  judgeBootstrap,
  KEY_WORDS,
  memberProblem,
  receivedEvent,
  seal,
  takeApart,
  type GivenPair,
} from './given-keys.ts';
import type { Desk, Ids, NewEvent, StoredTenant, TenantWrite, Vault } from './ports.ts';

/**
 * A set of tenants made to be as it says: all of them or none. Read what is there, decide purely, write what
 * differs in one transaction; where somebody was quicker, start again.
 */

export interface ApplyDeps {
  desk: Desk;
  vault: Vault;
  ids: Ids;
  /** Whose desk it is; absent: Parasol's. */
  caller?: Caller;
}

export interface ApplyOptions {
  dryRun: boolean;
  /** Where a field of the tenant at an index stands in what was given. */
  at: (index: number, path: string) => string;
  /** What else must hold of a tenant that is there (null: is not), or why not. */
  demand: (known: StoredTenant | null) => Refusal | null;
}

const ATTEMPTS = 5;

export async function applyTenants(
  deps: ApplyDeps,
  inputs: TenantInput[],
  options: ApplyOptions,
): Promise<Answer<ApplyChange[]>> {
  for (let left = ATTEMPTS; left > 0; left -= 1) {
    const answer = await tryToApply(deps, inputs, options);
    if (answer) return answer;
  }
  return conflict('These tenants are being changed by somebody else at the same time: try again.');
}

/** Null: something changed between the read and the write. */
async function tryToApply(
  deps: ApplyDeps,
  inputs: TenantInput[],
  { dryRun, at, demand }: ApplyOptions,
): Promise<Answer<ApplyChange[]> | null> {
  const { desk, vault } = deps;
  const stored = await desk.tenants(inputs.map(({ id }) => id));
  const known = new Map(stored.map((one) => [one.tenant.id, one]));
  for (const { id } of inputs) {
    const refusal = demand(known.get(id)?.tenant ?? null);
    if (refusal) return { ok: false, refusal };
  }
  const outside = outsideOf(deps.caller?.scope ?? null, inputs, known);
  if (outside.length > 0) return invalid(outside.map((one) => ({ ...one, path: at(one.index, one.path) })));
  const decided = inputs.map((input) => decide(vault, input, known.get(input.id) ?? null));
  const holders = await readHolders(desk, decided);
  const problems = [
    ...decided.flatMap(({ problems }, index) =>
      problems.map((one) => ({ ...one, path: at(index, one.path) })),
    ),
    ...clashes(decided, holders).map(({ index, path, message }) => ({ path: at(index, path), message })),
  ];
  if (problems.length > 0) return invalid(problems);

  const differing = decided.filter((one) => differs(one, holders));
  if (dryRun || differing.length === 0) return done(decided.map(changeOf));
  const applied = await desk.apply(await Promise.all(differing.map((one) => toWrite(deps, one))));
  if (applied.ok) return done(decided.map(changeOf));
  const { because, id } = applied.refusal;
  if (because === 'stale' || because === 'deleting' || applied.refusal.by === null) return null;
  const index = decided.findIndex(({ spec }) => spec.id === id);
  const one = decided[index]!;
  const what = because === 'company-taken' ? 'company' : 'console';
  return invalid([{ path: at(index, pathOf(one, what)), message: clashWords(what, id, applied.refusal.by) }]);
}

/**
 * Who is bound to tenants makes only those that it is bound to by name: whether another one is there already is
 * not for it to know. Nor does it take a tenant out of its own sight.
 */
function outsideOf(
  scope: Scope | null,
  inputs: TenantInput[],
  known: ReadonlyMap<string, unknown>,
): { index: number; path: string; message: string }[] {
  if (scope === null) return [];
  return inputs.flatMap(({ id, labels }, index) => {
    if (!known.has(id) && !scope.tenants.includes(id)) {
      return [{ index, path: 'id', message: 'is none of the tenants that this token is bound to' }];
    }
    if (inScope(scope, { id, labels })) return [];
    return [{ index, path: 'labels', message: 'would take it out of what this token is bound to' }];
  });
}

/** What is to become of one tenant of the set, before anything is written. */
interface Decided {
  spec: TenantSpec;
  known: StoredTenant | null;
  /** Paths of the spec, then of pairs, that are not as they are stored. */
  changed: { spec: string[]; pairs: string[] };
  company: string;
  /** As in `TenantWrite`. */
  console: string | null | undefined;
  /** Pairs that come into use. */
  accepted: GivenPair[];
  warnings: string[];
  /** Pairs that were ignored though nobody wants them back. */
  ignored: NewEvent[];
  problems: Problem[];
}

type Known = Awaited<ReturnType<Desk['tenants']>>[number] | null;

function decide(vault: Vault, input: TenantInput, known: Known): Decided {
  const { spec, pairs } = takeApart(input);
  const held = known?.credentials ?? [];
  const accepted: GivenPair[] = [];
  const inUse: GivenPair[] = [];
  const warnings = unusedSettings(spec);
  const ignored: NewEvent[] = [];
  for (const given of pairs) {
    const { purpose, member } = given;
    const fingerprint = vault.fingerprint(given.pair);
    const verdict = judgeBootstrap(spec, held, { purpose, fingerprint });
    if (verdict.becomes !== 'ignored') {
      inUse.push(given);
      if (verdict.becomes === 'active') accepted.push(given);
      continue;
    }
    const what = `The ${KEY_WORDS[purpose]} ${fingerprint} of the input is ignored: ${verdict.because}.`;
    warnings.push(`${what} To replace the one in use: ${credentialCommand(spec, purpose, member)}.`);
    if (verdict.told) {
      ignored.push({ type: 'CredentialIgnored', message: what, data: { purpose, fingerprint } });
    }
  }
  for (const { purpose, origin, member } of boundElsewhere(spec, held)) {
    if (accepted.some((given) => given.purpose === purpose)) continue;
    warnings.push(
      `The ${KEY_WORDS[purpose]} was given for ${origin} and is not sent anywhere else: ` +
        `give it again with ${credentialCommand(spec, purpose, member)}.`,
    );
  }
  if (automationOrigin(spec) !== null && !hasSecret(spec, held, accepted)) {
    warnings.push(
      `handoffs names a webhook, and no secret to sign with: people do its work until one is given, as ` +
        `handoffs.secret or with ${credentialCommand(spec, 'automation', null)}.`,
    );
  }
  return {
    spec,
    known: known?.tenant ?? null,
    changed: {
      spec: known ? changedPaths(known.tenant.spec, spec) : [],
      pairs: accepted.map(({ path }) => path),
    },
    company: companyIdentity(spec),
    console: consoleOf(spec, known?.tenant.spec ?? null, inUse),
    accepted: accepted.map((given) => ({
      ...given,
      member: given.member && expectedMember(spec, given.member),
    })),
    warnings,
    ignored,
    problems: problemsOf(vault, spec, known, pairs),
  };
}

const hasSecret = (spec: TenantSpec, held: HeldCredential[], accepted: GivenPair[]): boolean =>
  accepted.some(({ purpose }) => purpose === 'automation') ||
  activeOf(held, 'automation')?.origin === automationOrigin(spec);

function problemsOf(vault: Vault, spec: TenantSpec, known: Known, pairs: GivenPair[]): Problem[] {
  const problems: Problem[] = [];
  if (known?.tenant.deleting) {
    problems.push({ path: 'id', message: `${beingDeleted(spec.id)} Or give it again once it is gone` });
  }
  const named = pairs.map((given) => ({ ...given, fingerprint: vault.fingerprint(given.pair) }));
  const inUse = (known?.credentials ?? []).filter(({ state }) => state === 'active');
  for (const { purpose, path, member, fingerprint } of named) {
    if (member !== null && expectedMember(spec, member) === null) {
      problems.push({ path: `${path}.member`, message: memberProblem(spec) });
    }
    if (purpose === 'integration' && isOtherKeyOfCompany([...named, ...inUse], purpose, fingerprint)) {
      problems.push({ path, message: 'is the management key: Umbrella needs a key of a member of its own' });
    }
  }
  return problems;
}

/** Undefined: whatever is stored still holds. */
function consoleOf(
  spec: TenantSpec,
  before: TenantSpec | null,
  inUse: GivenPair[],
): string | null | undefined {
  const key = inUse.find(({ purpose }) => purpose === 'umbrella-api');
  const told = consoleIdentity(spec, key?.pair.publicHalf ?? null);
  if (told !== undefined) return told;
  const byTheSameKey =
    before !== null &&
    before.umbrella.url === spec.umbrella.url &&
    before.umbrella.organizationId === undefined;
  return byTheSameKey ? undefined : null;
}

interface Clash {
  index: number;
  path: string;
  message: string;
}

/** Ids of the stored tenants that speak for what this set wants; one at most for each company and console. */
type Holders = Record<Identity, Map<string, string>>;
type Identity = 'company' | 'console';

async function readHolders(desk: Desk, decided: Decided[]): Promise<Holders> {
  const found = await desk.holders({
    companies: decided.map(({ company }) => company),
    consoles: decided.flatMap(({ console }) => console ?? []),
  });
  return {
    company: new Map(found.map(({ id, company }) => [company, id])),
    console: new Map(found.flatMap(({ id, console }) => (console === null ? [] : [[console, id]]))),
  };
}

/** One id, one company and one console is one tenant (rulings 26), in the set and beside what is stored. */
function clashes(decided: Decided[], holders: Holders): Clash[] {
  const inSet = new Map(decided.map((one) => [one.spec.id, one]));
  const taken: Holders = { company: new Map(), console: new Map() };
  const ids = new Set<string>();
  const found: Clash[] = [];
  for (const [index, one] of decided.entries()) {
    const { id } = one.spec;
    if (ids.has(id)) found.push({ index, path: 'id', message: `${id} stands twice in this set` });
    ids.add(id);
    for (const what of ['company', 'console'] as const) {
      const wanted = one[what];
      if (!wanted) continue;
      const holder = holders[what].get(wanted);
      // A holder that is in the set itself says there what it wants.
      const stays = holder !== undefined && inSet.get(holder)?.[what] === undefined;
      const other = taken[what].get(wanted) ?? (stays ? holder : undefined);
      if (other === undefined) taken[what].set(wanted, id);
      else if (other !== id) {
        found.push({ index, path: pathOf(one, what), message: clashWords(what, id, other) });
      }
    }
  }
  return found;
}

function pathOf({ spec }: Decided, what: Identity): string {
  if (what === 'company') return 'connectwise.companyId';
  return spec.umbrella.organizationId === undefined ? 'umbrella.apiKey.key' : 'umbrella.organizationId';
}

export const clashWords = (what: Identity, id: string, other: string): string =>
  what === 'company'
    ? `${id} and ${other} are the same ConnectWise company: one company is one tenant`
    : `${id} and ${other} are the same Umbrella console: one console is one tenant`;

function differs(one: Decided, holders: Holders): boolean {
  const { known, changed, console, ignored } = one;
  if (!known || changed.spec.length > 0 || changed.pairs.length > 0 || ignored.length > 0) return true;
  return typeof console === 'string' && holders.console.get(console) !== known.id;
}

const generationOf = ({ known, changed }: Decided): number =>
  known ? known.generation + (changed.spec.length > 0 ? 1 : 0) : 1;

function changeOf(one: Decided): ApplyChange {
  const { spec, known, changed, warnings } = one;
  const paths = [...changed.spec, ...changed.pairs];
  return {
    id: spec.id,
    change: known ? (paths.length > 0 ? 'updated' : 'unchanged') : 'created',
    generation: generationOf(one),
    paths: known ? paths : [],
    warnings,
  };
}

async function toWrite(deps: ApplyDeps, one: Decided): Promise<TenantWrite> {
  const { spec, known, console, accepted, ignored } = one;
  const credentials = await Promise.all(
    accepted.map((given) => seal(deps, spec, given, { state: 'active', handoffId: null })),
  );
  return {
    id: spec.id,
    expected: known?.generation ?? null,
    spec,
    ...(console === undefined ? {} : { consoleIdentity: console }),
    credentials,
    events: [...specEvents(one), ...credentials.map(receivedEvent), ...ignored],
    cause: known ? 'spec changed' : 'tenant created',
  };
}

function specEvents(one: Decided): NewEvent[] {
  const { known, changed, warnings } = one;
  const data = { generation: generationOf(one), paths: changed.spec, warnings };
  if (!known) return [{ type: 'TenantCreated', message: 'Generation 1.', data }];
  if (changed.spec.length === 0) return [];
  const message = `Generation ${data.generation}: ${changed.spec.join(', ')}.`;
  return [{ type: 'SpecChanged', message, data }];
}

/** Settings that belong to what Parasol does not do yet: kept, and said. */
function unusedSettings(spec: TenantSpec): string[] {
  const { notify, mode } = spec;
  const unused = [
    notify.webhook !== undefined && 'notify.webhook',
    notify.connectwiseTicket !== undefined && 'notify.connectwiseTicket',
  ].filter((path) => path !== false);
  return [
    ...unused.map((path) => `${path} is kept, and nothing uses it yet.`),
    ...(mode === 'alert' ? ['Mode alert tells nobody yet: it does what mode observe does.'] : []),
  ];
}
