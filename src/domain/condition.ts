import type { HeldCredential } from './credential.ts';
import {
  activeKey,
  activeMember,
  compareAllowList,
  compareLevels,
  diff,
  findMember,
  rolesNamed,
  telling,
  tooWeak,
  type Cell,
  type Difference,
} from './drift.ts';
import { formatSpan, toMs } from './duration.ts';
import { allWrites, expectedWrites, provedCadence } from './evidence.ts';
import type { Facts, Reference, Remembered } from './observation.ts';
import { describeFailure } from './outcome.ts';
import { expectedMembers, periodMs, sameIdentifier, slotOf, type TenantSpec } from './tenant.ts';

export const CONDITION_TYPES = [
  'ConnectWiseReachable',
  'ManagementKeyValid',
  'RoleReady',
  'TableSetupReady',
  'MembersReady',
  'IntegrationKeyValid',
  'UmbrellaKeyValid',
  'UmbrellaIntegrated',
  'RotationHealthy',
  'Braked',
  'Paused',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];
export type Truth = 'True' | 'False' | 'Unknown';

export interface Condition {
  type: ConditionType;
  status: Truth;
  reason: string;
  message: string;
  observedGeneration: number;
  /** When `status` last changed, ISO 8601. */
  lastTransitionTime: string;
}

/** What a check says; times and generation are added where all are summed up. */
export type Verdict = Pick<Condition, 'status' | 'reason' | 'message'>;

/** All that the checks look at. */
export interface Circumstances {
  spec: TenantSpec;
  facts: Facts;
  memory: IntegrationMemory;
  credentials: HeldCredential[];
  now: Date;
  /** The fleet's cap held a repair of this tenant back (rulings 12). */
  capReached: boolean;
}

/** What was learned of a tenant's integration and outlives every run (rulings 3). */
export interface IntegrationMemory {
  /** The configuration type that Umbrella writes. */
  type: Reference | null;
  /** Times of distinct bursts of Umbrella's writes, oldest first, ISO 8601; at most 12. */
  bursts: string[];
  /** The integration key that Parasol promoted last, and how it was shown that Umbrella uses it. */
  install?: Install;
  /** What the facts and this memory speak of (`subjectOf`); another site or console is another subject. */
  subject?: string;
}

/** From the promotion on the key may be in Umbrella; only writes after it speak of it (rulings 3, 17). */
export interface Install {
  fingerprint: string;
  member: string | null;
  promotedAt: string;
  /** False: an earlier key of that member may write too, so that its writes do not tell the new one (rulings 17). */
  observable: boolean;
  /** `attested`: a person said so, nothing showed it. Null: not known yet. */
  adopted: { at: string; how: 'observed' | 'attested' } | null;
}

const yes = (reason: string, message: string): Verdict => ({ status: 'True', reason, message });
const no = (reason: string, message: string): Verdict => ({ status: 'False', reason, message });
const unknown = (reason: string, message: string): Verdict => ({ status: 'Unknown', reason, message });

/** How long a value holds after it was last seen, in periods of the tenant (rulings 2), and at the least. */
const HORIZONS = {
  keys: { periods: 4, atLeast: '5m' },
  settings: { periods: 8, atLeast: '15m' },
} as const;

function horizonMs({ spec, now }: Circumstances, of: keyof typeof HORIZONS): number {
  const { periods, atLeast } = HORIZONS[of];
  return Math.max(periods * periodMs(spec.every, now), toMs(atLeast));
}

/** The value that still holds, or why nothing can be said: with what was last seen, and its age. */
function standing<T>(
  at: Circumstances,
  fact: Remembered<T> | undefined,
  of: keyof typeof HORIZONS,
  what: string,
): { value: T; verdict?: never } | { verdict: Verdict; value?: never } {
  if (fact?.value === undefined || fact.at === undefined) {
    const why = fact?.failure ? describeFailure(fact.failure.failure) : 'it was not asked for yet';
    return { verdict: unknown('NotSeen', `${what} was never seen: ${why}.`) };
  }
  const age = at.now.getTime() - Date.parse(fact.at);
  if (age > horizonMs(at, of)) {
    const why = fact.failure ? ` Since then: ${describeFailure(fact.failure.failure)}.` : '';
    return { verdict: unknown('EvidenceTooOld', `${what} was last seen ${formatSpan(age)} ago.${why}`) };
  }
  return { value: fact.value };
}

const CHECKS: Record<ConditionType, (at: Circumstances) => Verdict> = {
  ConnectWiseReachable: reachable,
  ManagementKeyValid: managementKey,
  RoleReady: roleReady,
  TableSetupReady: tableSetupReady,
  MembersReady: membersReady,
  IntegrationKeyValid: integrationKey,
  UmbrellaKeyValid: umbrellaKey,
  UmbrellaIntegrated: umbrellaIntegrated,
  RotationHealthy: () => yes('NoRotation', 'No rotation is under way.'),
  Braked: ({ capReached }) =>
    capReached
      ? yes('RepairCapReached', 'The fleet made as many repairs in this hour as it may; this one waits.')
      : no('NotBraked', 'Nothing holds repairs back.'),
  Paused: ({ spec }) =>
    spec.paused
      ? yes('PausedBySpec', 'The spec says paused: Parasol observes and changes nothing.')
      : no('NotPaused', 'Not paused.'),
};

/** Every condition of the tenant now; a status that stays keeps the time at which it became so. */
export function evaluate(at: Circumstances, generation: number, before: Condition[]): Condition[] {
  const now = at.now.toISOString();
  return CONDITION_TYPES.map((type) => {
    const verdict = CHECKS[type](at);
    const earlier = before.find((condition) => condition.type === type);
    const lastTransitionTime =
      earlier && earlier.status === verdict.status ? earlier.lastTransitionTime : now;
    return { type, ...verdict, observedGeneration: generation, lastTransitionTime };
  });
}

const SUMMED: ConditionType[] = CONDITION_TYPES.filter((type) => type !== 'Braked' && type !== 'Paused');

/**
 * `Ready`, summed up (rulings 6): False if any condition is False; else Unknown if any that the spec needs
 * is Unknown; else True. `Braked` and `Paused` say why nothing is changed, not that something is wrong.
 */
export function ready(conditions: Condition[]): Truth {
  const summed = conditions.filter(({ type }) => SUMMED.includes(type));
  if (summed.some(({ status }) => status === 'False')) return 'False';
  const needed = summed.filter(({ reason }) => reason !== 'NothingMapped');
  return summed.length === SUMMED.length && needed.every(({ status }) => status === 'True')
    ? 'True'
    : 'Unknown';
}

function reachable({ spec, facts }: Circumstances): Verdict {
  const { site, companyId } = spec.connectwise;
  const fact = facts.site;
  if (fact?.failure) {
    return no('Unreachable', `${site} cannot be reached: ${describeFailure(fact.failure.failure)}.`);
  }
  switch (fact?.value?.state) {
    case undefined:
      return unknown('NotSeen', `${site} was not asked yet.`);
    case 'company-unknown':
      return no('CompanyUnknown', `${site} knows no company ${companyId}: check connectwise.companyId.`);
    case 'not-connectwise':
      return no(
        'NotConnectWise',
        `${site} does not answer as ConnectWise (${fact.value.detail}): check connectwise.site.`,
      );
    case 'answers':
      return yes('Answers', `${site} answers as ConnectWise for ${fact.value.companyName}.`);
  }
}

function managementKey(at: Circumstances): Verdict {
  const { facts, credentials, spec } = at;
  if (!credentials.some(({ purpose, state }) => purpose === 'management' && state === 'active')) {
    return no(
      'NoKey',
      `Parasol holds no management key: give it with \`parasol credential ${spec.id} management\`.`,
    );
  }
  const { value, verdict } = standing(at, facts.management, 'keys', 'The management key');
  if (verdict) return verdict;
  if (!value.authenticates) {
    return no(
      'Refused',
      'ConnectWise refuses the management key: make a new one on its member and submit it.',
    );
  }
  const forbidden = (['members', 'roles', 'writes'] as const).filter(
    (name) => facts[name]?.failure?.failure.kind === 'Forbidden',
  );
  const lacks = [...value.missing, ...forbidden.map((name) => `read ${name}`)];
  if (lacks.length > 0) {
    return no('MissingRights', `The management key's role lacks: ${lacks.join(', ')}.`);
  }
  return yes('Valid', `Authenticates${value.member ? ` as ${value.member}` : ''} and may read what it must.`);
}

function describeCells(cells: Difference[]): string {
  const shown = cells
    .slice(0, 4)
    .map(
      ({ path, desired, observed }) =>
        `${path.replace(/^role\.\w+\./, '')} is ${observed}, wanted ${desired}`,
    );
  return shown.join('; ') + (cells.length > 4 ? `; and ${cells.length - 4} more` : '');
}

function roleReady(at: Circumstances): Verdict {
  const { spec, facts } = at;
  const { name, levels } = spec.connectwise.role;
  const { value: roles, verdict } = standing(at, facts.roles, 'settings', 'The list of roles');
  if (verdict) {
    const proof = standing(at, facts.integrationKey, 'keys', 'The integration key');
    if (!proof.value?.authenticates || !proof.value.member || !slotOf(spec, proof.value.member))
      return verdict;
    return levelVerdict(
      compareLevels(levels, proof.value.levels),
      'read with the integration key, as its effective levels',
    );
  }
  const named = rolesNamed(spec, roles.items);
  if (named.length === 0) {
    return roles.controlSeen
      ? no('RoleMissing', `There is no role ${name}.`)
      : unknown('AbsenceNotBelieved', `No role ${name} in a list that lacks the management key's own role.`);
  }
  const active = named.filter(({ inactive }) => !inactive);
  if (active.length === 0) return no('RoleInactive', `The role ${name} is inactive.`);
  if (active.length > 1) {
    return no('RoleAmbiguous', `${active.length} roles are named ${name}: rename or delete all but one.`);
  }
  const settings = standing(at, facts.roleLevels, 'settings', `The levels of role ${name}`);
  if (settings.verdict) return settings.verdict;
  if (settings.value.roleId !== active[0]!.id) {
    return unknown('NotSeen', `The levels of role ${name} were not read yet.`);
  }
  return levelVerdict(compareLevels(levels, settings.value.rows), 'read from the role');
}

function levelVerdict(cells: Cell[], source: string): Verdict {
  if (cells.length === 0) return yes('LevelsExact', `Every level is as specified (${source}).`);
  const weak = cells.filter(tooWeak);
  const reason =
    weak.length === 0 ? 'LevelsExcess' : weak.length === cells.length ? 'LevelsMissing' : 'LevelsDiffer';
  return no(reason, `${describeCells(cells)} (${source}).`);
}

function tableSetupReady(at: Circumstances): Verdict {
  const { spec, facts, credentials } = at;
  const proof = telling(spec, facts, credentials);
  if (!proof) {
    return activeKey(credentials)
      ? unknown(
          'NotReadable',
          'Only a working key of the expected member shows the allow list, and there is none.',
        )
      : unknown(
          'NoIntegrationKey',
          'Only the integration key shows the allow list, and Parasol was not given it.',
        );
  }
  const { value, verdict } = standing(at, proof, 'settings', 'The allow list');
  if (verdict) return verdict;
  if (!value.allowList) return unknown('NotReadable', 'The integration key could not read its allow list.');
  const differences = compareAllowList(spec.connectwise.role.tableSetup, value.allowList);
  if (differences.length === 0) return yes('AllowListExact', 'Table Setup allows exactly what is specified.');
  const reason = differences.some(({ kind }) => kind === 'missing') ? 'ItemsMissing' : 'ItemsExcess';
  return no(reason, `Table Setup / customize: ${describeCells(differences)}.`);
}

function membersReady(at: Circumstances): Verdict {
  const { spec, facts, credentials } = at;
  const { value: members, verdict } = standing(at, facts.members, 'settings', 'The list of API members');
  if (verdict) return verdict;
  const active = activeMember(spec, credentials);
  if (!findMember(members.items, active) && !members.controlSeen) {
    return unknown(
      'AbsenceNotBelieved',
      `No member ${active} in a list that lacks the management key's own member.`,
    );
  }
  const differences = diff(spec, { members: facts.members!, candidates: {} }, credentials);
  if (differences.length === 0)
    return yes('AsSpecified', `${active} is active with role, level and location as specified.`);
  const reason = differences.some(({ kind }) => kind === 'missing')
    ? 'MemberMissing'
    : differences.every(({ kind }) => kind === 'excess')
      ? 'IdleMemberActive'
      : differences.some(({ path }) => path.endsWith('.active'))
        ? 'MemberInactive'
        : 'MemberDiffers';
  const words = differences.map(
    ({ path, desired, observed }) => `${path.replace('members.', '')} is ${observed}, wanted ${desired}`,
  );
  return no(reason, `${words.join('; ')}.`);
}

function integrationKey(at: Circumstances): Verdict {
  const { spec, facts, credentials, now } = at;
  const key = activeKey(credentials);
  if (!key) return unknown('NotGiven', 'Parasol was not given the integration key.');
  if (facts.integrationKey?.value && facts.integrationKey.value.credentialId !== key.id) {
    return unknown('NotSeen', `The key ${key.fingerprint} was not proved yet.`);
  }
  const { value: proof, verdict } = standing(at, facts.integrationKey, 'keys', 'The integration key');
  if (verdict) return verdict;
  if (!proof.authenticates) return no('Refused', `ConnectWise refuses the key ${key.fingerprint}.`);
  if (!proof.member) return unknown('MemberNotTold', 'ConnectWise did not tell whose key it is.');
  const expected = key.member ?? activeMember(spec, credentials);
  if (!slotOf(spec, proof.member) || !sameIdentifier(proof.member, expected)) {
    return no('WrongMember', `The key ${key.fingerprint} belongs to ${proof.member}, expected ${expected}.`);
  }
  const cells = compareLevels(spec.connectwise.role.levels, proof.levels);
  if (cells.some(tooWeak)) return no('TooWeak', `Effective levels: ${describeCells(cells.filter(tooWeak))}.`);
  if (cells.length > 0) return no('TooStrong', `Effective levels: ${describeCells(cells)}.`);
  const age = now.getTime() - Date.parse(key.createdAt);
  if (age > toMs(spec.rotation.maxAge)) {
    return no(
      'TooOld',
      `The key ${key.fingerprint} is ${formatSpan(age)} old; ${spec.rotation.maxAge} are allowed.`,
    );
  }
  return yes(
    'Valid',
    `${key.fingerprint} authenticates as ${proof.member} with exactly the levels specified.`,
  );
}

function umbrellaKey(at: Circumstances): Verdict {
  const { spec, facts, credentials, now } = at;
  const holds = (purpose: HeldCredential['purpose']) =>
    credentials.some((credential) => credential.purpose === purpose && credential.state === 'active');
  if (!holds('umbrella-api')) {
    return no(
      'NoKey',
      `Parasol holds no Umbrella key: give it with \`parasol credential ${spec.id} umbrella-api\`.`,
    );
  }
  const access = standing(at, facts.umbrellaAccess, 'keys', 'The Umbrella key');
  if (access.verdict) return access.verdict;
  if (!access.value.accepted) return no('Refused', 'Umbrella refuses the API key.');
  if (facts.customers?.failure?.failure.kind === 'Forbidden') {
    return no('MissingScope', 'The Umbrella key may not list customers: give it the scope for it.');
  }
  const customers = standing(at, facts.customers, 'keys', 'The list of customers');
  if (customers.verdict) return customers.verdict;
  const expiry = umbrellaKeyExpiry(at, holds('umbrella-key-admin'));
  if ('verdict' in expiry) return expiry.verdict;
  if (expiry.at === null) return yes('Valid', 'Gets a token, lists customers and never expires.');
  const left = Date.parse(expiry.at) - now.getTime();
  if (left <= 0) return no('Expired', `The Umbrella key expired on ${expiry.at}.`);
  if (left <= toMs(spec.umbrella.expiryWarning)) {
    return no(
      'Expiring',
      `The Umbrella key expires in ${formatSpan(left)}: make a new one in Umbrella and give it with \`parasol credential ${spec.id} umbrella-api\`.`,
    );
  }
  return yes('Valid', `Gets a token, lists customers and expires in ${formatSpan(left)}.`);
}

function umbrellaKeyExpiry(
  at: Circumstances,
  hasKeyAdmin: boolean,
): { at: string | null } | { verdict: Verdict } {
  const { spec, facts } = at;
  const declared = spec.umbrella.apiKeyExpires;
  if (!hasKeyAdmin) {
    if (declared !== undefined) return { at: declared === 'never' ? null : declared };
    return {
      verdict: unknown(
        'ExpiryNotVisible',
        'Only a KeyAdmin key shows when the key expires: give umbrella.keyAdmin, or declare umbrella.apiKeyExpires.',
      ),
    };
  }
  if (facts.umbrellaKeyAdmin?.value?.accepted === false) {
    return { verdict: no('KeyAdminRefused', 'Umbrella refuses the KeyAdmin key.') };
  }
  const key = standing(at, facts.umbrellaKey, 'keys', "The Umbrella key's expiry");
  if (key.verdict) return { verdict: key.verdict };
  if (key.value === null) {
    return { verdict: unknown('KeyNotListed', 'The KeyAdmin key does not list the API key in use.') };
  }
  return { at: key.value.expiresAt };
}

function umbrellaIntegrated(at: Circumstances): Verdict {
  const { spec, facts, memory, now } = at;
  const writes = facts.writes?.value;
  const seen = writes ? expectedWrites(spec, writes) : [];
  const newest = seen[0];
  const staleAfter = toMs(spec.integration.staleAfter);
  const ageOf = (iso: string) => now.getTime() - Date.parse(iso);
  if (newest && ageOf(newest.at) <= staleAfter) {
    return yes('Writing', `${newest.by} wrote ${formatSpan(ageOf(newest.at))} ago; ${coverage(at)}.`);
  }
  if (spec.integration.nothingMapped) {
    return unknown('NothingMapped', 'Declared: no customer is mapped, so that nothing is to be seen.');
  }
  const look = standing(at, facts.writes, 'keys', 'The configurations that Umbrella writes');
  if (look.verdict) return look.verdict;
  const strangers = allWrites(look.value).filter(
    (write) => memory.type !== null && ageOf(write.at) <= staleAfter && (!newest || write.at > newest.at),
  );
  const stranger = strangers.find(({ by }) => strangers.filter((write) => write.by === by).length >= 2);
  if (stranger) {
    return no(
      'WrongMember',
      `${stranger.by} wrote Umbrella's configurations ${formatSpan(ageOf(stranger.at))} ago, not ${expectedMembers(spec).join(' or ')}.`,
    );
  }
  if (!newest) {
    return unknown('NeverSeen', `No write by ${expectedMembers(spec).join(' or ')} was ever seen.`);
  }
  const cadence = provedCadence(memory.bursts);
  const words = `${newest.by} last wrote ${formatSpan(ageOf(newest.at))} ago`;
  if (cadence === null) {
    return unknown('CadenceUnproved', `${words}; how often it writes is not known yet.`);
  }
  if (ageOf(newest.at) <= cadence * 1.5) {
    return yes('Writing', `${words}, within its usual ${formatSpan(cadence)}; ${coverage(at)}.`);
  }
  return no('Silent', `${words}; it used to write at least every ${formatSpan(cadence)}.`);
}

function coverage({ spec, facts }: Circumstances): string {
  const configurations = facts.writes?.value ? expectedWrites(spec, facts.writes.value).length : 0;
  const customers = facts.customers?.value?.length;
  return `${configurations} configurations${customers === undefined ? '' : ` for ${customers} customers`}`;
}
