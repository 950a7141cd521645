import { inScope, type Caller, type Scope } from '../domain/access.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { changedValues, settingsOf } from '../domain/spec-diff.ts';
import { withoutDefaults } from '../domain/spec-defaults.ts';
import { automationOrigin, companyIdentity, type TenantInput, type TenantSpec } from '../domain/tenant.ts';
import { conflict, done, invalid, type Problem } from './answers.ts';
import type { Answer, Applied, ApplyChange, Difference, Prune, Refusal, RefusedTenant } from './commands.ts';
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
import { decidePruning, NO_PRUNING, unconfirmed, unprunable } from './prune.ts';
import type { Desk, Ids, NewEvent, StoredTenant, TenantWrite, Vault } from './ports.ts';

/**
 * A set of tenants made to be as it says: all of them or none, unless those that are in order are to go on without
 * the others. Read what is there, decide purely, write what differs in one transaction; where somebody was
 * quicker, start again.
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
  /** Tenants that are refused do not hinder the others. */
  keepGoing: boolean;
  /** What goes because the set does not have it; null: nothing. Does not go with `keepGoing`. */
  prune: Prune | null;
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
): Promise<Answer<Applied>> {
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
  { dryRun, keepGoing, prune, at, demand }: ApplyOptions,
): Promise<Answer<Applied> | null> {
  const { desk, vault } = deps;
  const stored = await desk.tenants(inputs.map(({ id }) => id));
  const known = new Map(stored.map((one) => [one.tenant.id, one]));
  for (const { id } of inputs) {
    const refusal = demand(known.get(id)?.tenant ?? null);
    if (refusal) return { ok: false, refusal };
  }
  const outside = outsideOf(deps.caller?.scope ?? null, inputs, known);
  const hidden = new Set(outside.map(({ index }) => index));
  const decided = inputs.flatMap((input, index) =>
    hidden.has(index) ? [] : [decide(vault, input, index, known.get(input.id) ?? null, prune)],
  );
  const holders = await readHolders(desk, decided);
  const { good, wrong: found } = sortOut(decided, holders, keepGoing);
  const wrong = [...outside, ...found];
  const pruning = prune ? await decidePruning(desk, inputs, prune) : NO_PRUNING;
  if ((wrong.length > 0 && !keepGoing) || pruning.problems.length > 0) {
    const placed = wrong.map(({ index, path, message }) => ({ path: at(index, path), message }));
    return invalid([...placed, ...pruning.problems]);
  }
  const otherThanConfirmed = prune && !dryRun ? unconfirmed(pruning, prune) : null;
  if (otherThanConfirmed) return { ok: false, refusal: otherThanConfirmed };

  const { removals, writes: deletions } = pruning;
  const refused = refusedTenants(inputs, wrong, at);
  const applied = done({ changes: good.map(changeOf), removals, refused });
  const differing = good.filter((one) => differs(one, holders));
  if (dryRun || differing.length + deletions.length === 0) return applied;
  const writes = await Promise.all(differing.map((one) => toWrite(deps, one)));
  const written = await desk.apply(writes, deletions);
  if (written.ok) return applied;
  const { because, id } = written.refusal;
  if (because === 'stale' || because === 'deleting' || written.refusal.by === null || keepGoing) return null;
  const one = good.find(({ spec }) => spec.id === id)!;
  const what = because === 'company-taken' ? 'company' : 'console';
  const message = clashWords(what, id, written.refusal.by);
  return invalid([{ path: at(one.index, pathOf(one, what)), message }]);
}

/** A problem of the tenant at an index of the set. */
interface Wrong extends Problem {
  index: number;
}

/**
 * The tenants with which nothing is wrong, and all that is. Where those are to go on without the others, what a
 * refused tenant would have made room for is wrong as well.
 */
function sortOut(
  decided: Decided[],
  holders: Holders,
  keepGoing: boolean,
): { good: Decided[]; wrong: Wrong[] } {
  const own = decided.flatMap(({ index, problems }) => problems.map((one) => ({ index, ...one })));
  if (!keepGoing) {
    const wrong = [...own, ...clashes(decided, holders)];
    return { good: wrong.length === 0 ? decided : [], wrong };
  }
  const wrong: Wrong[] = own;
  let good = decided.filter(({ problems }) => problems.length === 0);
  for (;;) {
    const found = clashes(good, holders);
    if (found.length === 0) return { good, wrong };
    wrong.push(...found);
    const bad = new Set(found.map(({ index }) => index));
    good = good.filter(({ index }) => !bad.has(index));
  }
}

function refusedTenants(inputs: TenantInput[], wrong: Wrong[], at: ApplyOptions['at']): RefusedTenant[] {
  const byTenant = Map.groupBy(wrong, ({ index }) => index);
  return inputs.flatMap(({ id }, index) => {
    const problems = byTenant.get(index);
    if (!problems) return [];
    return [{ id, problems: problems.map(({ path, message }) => ({ path: at(index, path), message })) }];
  });
}

/**
 * Who is bound to tenants makes only those that it is bound to by name: whether another one is there already is
 * not for it to know. Nor does it take a tenant out of its own sight.
 */
function outsideOf(scope: Scope | null, inputs: TenantInput[], known: ReadonlyMap<string, unknown>): Wrong[] {
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
  /** Its place in the set. */
  index: number;
  spec: TenantSpec;
  known: StoredTenant | null;
  /** What of the spec, then of pairs, is not as it is stored; of a new tenant, what is not by default. */
  changed: { spec: Difference[]; pairs: Difference[] };
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

function decide(vault: Vault, input: TenantInput, index: number, known: Known, prune: Prune | null): Decided {
  const { spec, pairs } = takeApart(input);
  const unpruned = unprunable(input, prune);
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
    index,
    spec,
    known: known?.tenant ?? null,
    changed: {
      spec: specDifferences(known?.tenant.spec ?? null, spec),
      pairs: accepted.map(({ purpose, path, pair }) => ({
        path,
        kind: 'key',
        before: activeOf(held, purpose)?.fingerprint ?? null,
        after: vault.fingerprint(pair),
      })),
    },
    company: companyIdentity(spec),
    console: consoleOf(spec, known?.tenant.spec ?? null, inUse),
    accepted: accepted.map((given) => ({
      ...given,
      member: given.member && expectedMember(spec, given.member),
    })),
    warnings,
    ignored,
    problems: [
      ...problemsOf(vault, spec, known, pairs),
      ...(unpruned === null ? [] : [{ path: 'labels', message: unpruned }]),
    ],
  };
}

function specDifferences(before: TenantSpec | null, after: TenantSpec): Difference[] {
  if (before === null) {
    const { id: _id, ...given } = withoutDefaults(after);
    return settingsOf(given).map(({ path, value }) => ({
      path,
      kind: 'setting',
      before: null,
      after: value,
    }));
  }
  return changedValues(before, after).map((one) => ({
    path: one.path,
    kind: 'setting',
    before: one.before ?? null,
    after: one.after ?? null,
  }));
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
function clashes(decided: Decided[], holders: Holders): Wrong[] {
  const inSet = new Map(decided.map((one) => [one.spec.id, one]));
  const taken: Holders = { company: new Map(), console: new Map() };
  const ids = new Set<string>();
  const found: Wrong[] = [];
  for (const one of decided) {
    const { index } = one;
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
  const differences = [...changed.spec, ...changed.pairs];
  return {
    id: spec.id,
    change: known ? (differences.length > 0 ? 'updated' : 'unchanged') : 'created',
    generation: generationOf(one),
    differences,
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
  const paths = known ? changed.spec.map(({ path }) => path) : [];
  const data = { generation: generationOf(one), paths, warnings };
  if (!known) return [{ type: 'TenantCreated', message: 'Generation 1.', data }];
  if (paths.length === 0) return [];
  const message = `Generation ${data.generation}: ${paths.join(', ')}.`;
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
