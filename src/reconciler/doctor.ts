import { evaluate, type Condition, type IntegrationMemory } from '../domain/condition.ts';
import type { HeldCredential } from '../domain/credential.ts';
import { compareLevels, tooWeak, type Cell } from '../domain/drift.ts';
import { formatSpan, toMs } from '../domain/duration.ts';
import { noFacts, remember, type Facts, type LevelRow, type UmbrellaKeyFact } from '../domain/observation.ts';
import { describeFailure, type Outcome } from '../domain/outcome.ts';
import { originFor, type FunctionLevels, type Purpose, type TenantSpec } from '../domain/tenant.ts';
import { told } from '../domain/told.ts';
import type { Examination } from './commands.ts';
import { MANAGEMENT_RIGHTS, observe, UMBRELLA_SCOPES, type HeldKey, type Keys } from './observe.ts';
import type { CallContext, Clock, Sample, Vendors } from './ports.ts';

type Check = Examination['checks'][number];

export interface ExamineRequest {
  spec: TenantSpec;
  keys: Keys;
  credentials: HeldCredential[];
  /** What earlier runs saw and learned; absent: nothing, as for a tenant that is only in a file. */
  known?: { facts: Facts; memory: IntegrationMemory };
}

/** Time for all of an examination's calls: a person waits for it. */
const PATIENCE = '2m';
/** Conditions that speak of Parasol's own doing, of which an examination knows nothing. */
const NOT_EXAMINED = new Set<Condition['type']>(['RotationHealthy', 'Braked', 'Paused']);
const VERDICTS = { True: 'ok', False: 'failed', Unknown: 'unknown' } as const;

/**
 * Reads both vendors with the keys at hand and tells what is as it should be, what is not, and what the vendors
 * really answer (domain.md §6; rulings 28). Writes nothing anywhere.
 */
export async function examine(
  { vendors, clock }: { vendors: Vendors; clock: Clock },
  {
    spec,
    keys,
    credentials,
    known = { facts: noFacts(), memory: { type: null, bursts: [] } },
  }: ExamineRequest,
): Promise<Examination> {
  const context: CallContext = {
    tenantId: spec.id,
    deadline: new Date(clock.now().getTime() + toMs(PATIENCE)),
    signal: new AbortController().signal,
  };
  const { observation, memory } = await observe({
    spec,
    keys,
    known: known.facts,
    memory: known.memory,
    vendors,
    context,
    clock,
  });
  const facts = remember(known.facts, observation);
  const now = clock.now();
  const conditions = evaluate(
    {
      spec,
      facts,
      memory,
      credentials,
      now,
      capReached: false,
      brake: null,
      rotation: null,
      umbrellaRotation: null,
      handoffs: [],
      pause: null,
      accepted: [],
    },
    0,
    [],
  );
  const connectwise = vendors.connectwise(spec);
  const reached = conditions.some(({ type, status }) => type === 'ConnectWiseReachable' && status === 'True');
  const usable = (key: HeldKey | null, fact: keyof Pick<Facts, 'management' | 'integrationKey'>) =>
    key !== null && reached && facts[fact]?.value?.authenticates !== false ? key : null;
  const management = usable(keys.management, 'management');
  const integration = usable(keys.integration, 'integrationKey');
  const keyAdmin = facts.umbrellaKeyAdmin?.value?.accepted === true ? keys.umbrellaKeyAdmin : null;

  const checks: Check[] = conditions
    .filter(({ type }) => !NOT_EXAMINED.has(type))
    .map(({ type, status, message }) => ({
      name: type,
      verdict: VERDICTS[status],
      detail: told(message, now),
    }));
  checks.push(siteAndClientId(spec, facts), ...foreignOrigins(spec, credentials));
  if (management) {
    checks.push(managementLevels(await connectwise.reads(management.pair, context).mySecurity()));
  }
  const samples: Sample[] = [
    ...(management ? named('management key', await connectwise.samples(management.pair, context)) : []),
    ...(integration ? named('integration key', await connectwise.samples(integration.pair, context)) : []),
  ];
  if (keyAdmin) {
    const listed = await vendors.umbrella(spec).apiKeys(keyAdmin.pair, context);
    checks.push(...umbrellaKeys(spec, keys, listed, facts, clock.now()));
    if (listed.ok) samples.push(keyRows(listed.value));
  } else if (keys.umbrellaApi) {
    const detail = 'Only a KeyAdmin key shows the scopes of the Umbrella key: give umbrella.keyAdmin.';
    checks.push({ name: 'UmbrellaKeyScopes', verdict: 'unknown', detail });
  }
  return { checks, samples };
}

const named = (key: string, samples: Sample[]): Sample[] =>
  samples.map(({ title, text }) => ({ title: `${key}: ${title}`, text }));

/** What a person may have mistaken, and what no answer would say plainly. */
function siteAndClientId(spec: TenantSpec, facts: Facts): Check {
  const { site, clientId } = spec.connectwise;
  const { hostname, protocol } = new URL(site);
  const says = (verdict: Check['verdict'], detail: string): Check => ({
    name: 'SiteAndClientId',
    verdict,
    detail,
  });
  if (new Set(clientId.replaceAll('-', '')).size === 1) {
    return says('failed', `${clientId} is nobody's client id: get yours from developer.connectwise.com.`);
  }
  if (/^api-.*\.myconnectwise\.net$/.test(hostname)) {
    const login = site.replace('//api-', '//');
    return says('failed', `Give the address at which you log in, ${login}: Parasol finds the API's itself.`);
  }
  const answers = facts.site?.value?.state === 'answers' ? facts.site.value : null;
  if (facts.management?.value?.authenticates === false && answers) {
    return says(
      'unknown',
      'ConnectWise refuses a wrong client id like a wrong key: check connectwise.clientId too.',
    );
  }
  if (!answers) return says('unknown', 'The site did not tell its codebase.');
  const onCloud = hostname.endsWith('.myconnectwise.net');
  if (protocol === 'https:' && onCloud === (answers.codebase === 'v4_6_release/')) {
    const where = onCloud ? "a cloud host of ConnectWise's" : 'a server of your own';
    return says('warning', `${hostname} is ${where}, and answers with the codebase ${answers.codebase}.`);
  }
  return says('ok', `${hostname} answers with the codebase ${answers.codebase}.`);
}

/** A credential that was given for another address is not sent to this one (rulings 11). */
function foreignOrigins(spec: TenantSpec, credentials: HeldCredential[]): Check[] {
  return credentials
    .filter(({ state, purpose, origin }) => state === 'active' && origin !== originFor(spec, purpose))
    .map(({ purpose, origin }) => ({
      name: 'CredentialOrigin',
      verdict: 'failed',
      detail: `The ${purpose} key was given for ${origin} and is never sent to ${originFor(spec, purpose)}: give it again.`,
    }));
}

/** The management key's effective levels against exactly those that Parasol needs (rulings 28). */
function managementLevels(security: Outcome<{ levels: LevelRow[] }>): Check {
  const name = 'ManagementKeyLevels';
  if (!security.ok) return { name, verdict: 'unknown', detail: `${describeFailure(security.failure)}.` };
  const { levels } = security.value;
  const cells = compareLevels(managementRole(), levels);
  const shown = (cell: Cell) =>
    levels.some((row) => row.function.toLowerCase() === cell.function.toLowerCase());
  const lacks = cells.filter((cell) => tooWeak(cell) && shown(cell));
  const unseen = cells.filter((cell) => tooWeak(cell) && !shown(cell));
  const excess = cells.filter((cell) => !tooWeak(cell));
  const told = [
    ...saying('it lacks', lacks.map(wanted)),
    ...saying('not shown under this name', [...new Set(unseen.map((cell) => cell.function))]),
    ...saying('more than it needs', excess.map(has)),
  ];
  if (told.length === 0) return { name, verdict: 'ok', detail: 'Exactly the levels that Parasol needs.' };
  const verdict = lacks.length > 0 ? 'failed' : unseen.length > 0 ? 'unknown' : 'warning';
  return { name, verdict, detail: `${told.join('; ')}.` };
}

/** `MANAGEMENT_RIGHTS` as a role's levels. */
function managementRole(): Record<string, FunctionLevels> {
  return Object.fromEntries(
    Object.entries(MANAGEMENT_RIGHTS).map(([name, rights]) => {
      const level = (right: keyof FunctionLevels) => (rights.includes(right) ? 'All' : 'None');
      return [
        name,
        { add: level('add'), edit: level('edit'), delete: level('delete'), inquire: level('inquire') },
      ];
    }),
  );
}

const wanted = ({ function: name, right, desired }: Cell) => `${name} ${right} ${desired}`;
const has = ({ function: name, right, observed }: Cell) => `${name} ${right} ${observed}`;

const MOST_TOLD = 12;
function saying(words: string, things: string[]): string[] {
  if (things.length === 0) return [];
  const rest = things.length > MOST_TOLD ? ` and ${things.length - MOST_TOLD} more` : '';
  return [`${words}: ${things.slice(0, MOST_TOLD).join(', ')}${rest}`];
}

type ListedKey = UmbrellaKeyFact & { clientId: string; lastUsedAt: string | null };

/** The scopes of both Umbrella keys, and how long the KeyAdmin key itself lives (rulings 22, 28). */
function umbrellaKeys(
  spec: TenantSpec,
  keys: Keys,
  listed: Outcome<ListedKey[]>,
  facts: Facts,
  now: Date,
): Check[] {
  const of = (key: HeldKey | null) =>
    key && listed.ok ? listed.value.find(({ clientId }) => clientId === key.pair.publicHalf) : undefined;
  const unlisted = listed.ok ? 'It is not among the keys that are listed.' : describeFailure(listed.failure);
  const scopes = (name: string, purpose: UmbrellaPurpose, key: HeldKey | null): Check[] => {
    const row = of(key);
    if (!key) return [];
    return [row ? scopeCheck(name, purpose, row, facts) : { name, verdict: 'unknown', detail: unlisted }];
  };
  const own = of(keys.umbrellaKeyAdmin);
  return [
    ...scopes('UmbrellaKeyScopes', 'umbrella-api', keys.umbrellaApi),
    ...scopes('KeyAdminKeyScopes', 'umbrella-key-admin', keys.umbrellaKeyAdmin),
    own
      ? keyAdminExpiry(spec, own, now)
      : { name: 'KeyAdminKeyExpiry', verdict: 'unknown', detail: unlisted },
  ];
}

type UmbrellaPurpose = Extract<Purpose, keyof typeof UMBRELLA_SCOPES>;

function scopeCheck(name: string, purpose: UmbrellaPurpose, row: ListedKey, facts: Facts): Check {
  const needed = UMBRELLA_SCOPES[purpose];
  const lacks = needed.filter((scope) => !row.scopes.includes(scope));
  const excess = row.scopes.filter((scope) => !needed.includes(scope));
  // What works is not lacking, whatever the scope is called there (domain.md §6).
  const works = purpose === 'umbrella-api' && facts.customers !== undefined && !facts.customers.failure;
  const told = [...saying('it lacks', lacks), ...saying('more than it needs', excess)];
  if (told.length === 0) {
    return { name, verdict: 'ok', detail: `Exactly the scopes that Parasol needs: ${needed.join(', ')}.` };
  }
  const verdict = lacks.length > 0 && !works ? 'failed' : 'warning';
  return {
    name,
    verdict,
    detail: `${told.join('; ')}${lacks.length > 0 && works ? ', though it works' : ''}.`,
  };
}

function keyAdminExpiry(spec: TenantSpec, { expiresAt }: ListedKey, now: Date): Check {
  const name = 'KeyAdminKeyExpiry';
  if (expiresAt === null) return { name, verdict: 'ok', detail: 'The KeyAdmin key never expires.' };
  const left = Date.parse(expiresAt) - now.getTime();
  const detail = `The KeyAdmin key expires in ${formatSpan(left)}, and cannot make a successor of itself then.`;
  return { name, verdict: left <= toMs(spec.umbrella.expiryWarning) ? 'warning' : 'ok', detail };
}

const KEYS_SHOWN = 5;

function keyRows(keys: ListedKey[]): Sample {
  const rows = keys
    .slice(0, KEYS_SHOWN)
    .map(({ name, scopes, expiresAt, lastUsedAt }) => ({ name, scopes, expiresAt, lastUsedAt }));
  const rest = keys.length > KEYS_SHOWN ? `\n… and ${keys.length - KEYS_SHOWN} more` : '';
  return {
    title: 'KeyAdmin key: API keys',
    text: `${keys.length} keys\n${JSON.stringify(rows, null, 2)}${rest}`,
  };
}
