import { acceptedWords, unaccepted } from './acceptance.ts';
import type { Verdict } from './condition.ts';
import {
  activeKey,
  activeMember,
  compareAllowList,
  compareLevels,
  diff,
  findMember,
  levelEvidence,
  rolesNamed,
  telling,
  tooWeak,
  type Difference,
  type LevelEvidence,
} from './drift.ts';
import { toMs } from './duration.ts';
import { servingMembers } from './ground.ts';
import type { FactName } from './observation.ts';
import { describeFailure, weightOf, type Failure } from './outcome.ts';
import { expectedMembers, sameIdentifier } from './tenant.ts';
import { ago, lasting } from './told.ts';
import {
  ageOf,
  holding,
  met,
  metLately,
  no,
  pairInUse,
  standing,
  unknown,
  yes,
  type Look,
} from './verdict.ts';

/** What ConnectWise shows: the site, Parasol's own key, the role, its members and the integration key. */

/**
 * The one condition that flips at once (rulings 2). Whatever the site's own page shows, an answer to the
 * management key that is as new shows that ConnectWise is there, with this company.
 */
export function connectWiseReachable(look: Look): Verdict {
  const { spec, facts } = look;
  const { site, companyId } = spec.connectwise;
  const { site: fact, management } = facts;
  const failure = fact?.failure && weightOf(fact.failure.failure) > 0 ? fact.failure : null;
  const answer = standing(look, fact, { of: 'keys', what: site });
  if (!failure && !answer.verdict && answer.value.state === 'answers') {
    return yes('Answers', `${site} answers as ConnectWise for ${answer.value.companyName}, ${answer.seen}.`);
  }
  const own = standing(look, management, { of: 'keys', what: 'The management key' });
  const isNewest = (at: string) =>
    [fact?.at, failure?.at].every((other) => other === undefined || at >= other);
  if (own.value?.authenticates && !management?.failure && isNewest(own.at)) {
    return yes('Answers', `${site} answers Parasol's key of ${companyId}, ${own.seen}.`);
  }
  if (failure && ageOf(look, failure.at) <= look.horizons.keys) {
    const what = `${siteTrouble(failure.failure)}, ${ago(failure.at)}`;
    const since = fact?.at === undefined ? '' : ` It was last seen to answer ${ago(fact.at)}.`;
    return no(
      'Unreachable',
      `${site} does not answer as ConnectWise: ${what}.${since} Check connectwise.site, the network and ConnectWise's own status.`,
    );
  }
  if (answer.verdict) return answer.verdict;
  return answer.value.state === 'not-connectwise'
    ? no(
        'NotConnectWise',
        `${site} does not answer as ConnectWise (${answer.value.detail}; asked ${answer.seen}): check connectwise.site.`,
      )
    : no(
        'CompanyUnknown',
        `${site} knows no company ${companyId} (asked ${answer.seen}): check connectwise.companyId.`,
      );
}

/** A refusal of a call without credentials tells of no key. */
const siteTrouble = (failure: Failure): string =>
  failure.kind === 'Unavailable' ? describeFailure(failure) : failure.detail;

/** What the management key must be able to read, and how that is called. */
const MUST_READ = {
  members: 'API members',
  roles: 'security roles',
  roleLevels: 'role settings',
  writes: 'configurations',
} as const satisfies Partial<Record<FactName, string>>;

export function managementKeyValid(look: Look): Verdict {
  const { facts, spec } = look;
  const key = pairInUse(look, 'management');
  if (!key) {
    return no(
      'NoKey',
      `Parasol holds no management key: give it with \`parasol credential ${spec.id} management\`.`,
    );
  }
  const own = standing(look, facts.management, { of: 'settings', what: 'The management key', key });
  if (own.value && !own.value.authenticates) {
    return no(
      'Refused',
      `ConnectWise refuses the management key ${key.fingerprint} (${own.seen}): make a new one on its member and give it with \`parasol credential ${spec.id} management\`.`,
    );
  }
  const held = own.value ? own.value.missing : [];
  const read = Object.keys(MUST_READ) as (keyof typeof MUST_READ)[];
  const lacks = [
    // What only repairs need is not missed where nothing may be repaired.
    ...held.filter((right) => spec.mode === 'repair' || right.endsWith(' inquire')),
    ...(metLately(look, facts.management, 'Forbidden', { key, of: 'settings' })
      ? ['read its own security']
      : []),
    ...read
      .filter((name) => metLately(look, facts[name], 'Forbidden', { key, of: 'keys' }))
      .map((name) => `read ${MUST_READ[name]}`),
  ];
  const member = own.value?.member ?? 'its member';
  if (lacks.length > 0) {
    return no(
      'MissingRights',
      `The management key lacks rights: ${lacks.join(', ')}. Grant them to the role of ${member} in System > Security Roles.`,
    );
  }
  if (own.verdict) return own.verdict;
  // Not the role's settings: of a role that does not exist there are none.
  for (const name of ['members', 'roles', 'writes'] as const) {
    const what = `The management key's list of ${MUST_READ[name]}`;
    const { verdict } = standing<unknown>(look, facts[name], { of: 'settings', what, key });
    if (verdict) return unknown('RightsUnproved', `Authenticates as ${member}. ${verdict.message}`);
    const refused = met(facts[name], 'Forbidden', key);
    if (refused) {
      return unknown('RightsUnproved', `Authenticates as ${member}. ${what} was refused ${ago(refused)}.`);
    }
  }
  return yes('Valid', `Authenticates as ${member} and may read what it must, seen ${own.seen}.`);
}

/** What nobody accepted of these differences; the others in words, to stand alone or behind more. */
function sorted<T extends Difference>(
  { accepted }: Look,
  differences: readonly T[],
): { open: T[]; accepted: string; also: string } {
  const words = acceptedWords(differences, accepted);
  return { open: unaccepted(differences, accepted), accepted: words, also: words && ` ${words}` };
}

function describeDifferences(differences: Difference[]): string {
  const shown = differences
    .slice(0, 4)
    .map(
      ({ path, desired, observed }) =>
        `${path.replace(/^(?:role\.\w+|members)\./, '')} is ${observed}, wanted ${desired}`,
    );
  return shown.join('; ') + (differences.length > 4 ? `; and ${differences.length - 4} more` : '');
}

export function roleReady(look: Look): Verdict {
  const { spec, facts, credentials } = look;
  const { name } = spec.connectwise.role;
  const list = standing(look, facts.roles, { of: 'settings', what: 'The list of roles' });
  const where = 'System > Security Roles';
  if (list.value) {
    const named = rolesNamed(spec, list.value.items);
    const active = named.filter(({ inactive }) => !inactive);
    if (named.length === 0) {
      return list.value.controlSeen
        ? no(
            'RoleMissing',
            `There is no role ${name} (seen ${list.seen}): make it in ${where}, or let mode repair make it.`,
          )
        : unknown(
            'AbsenceNotBelieved',
            `No role ${name} in a list that lacks the management key's own role (seen ${list.seen}): let the management key read all roles.`,
          );
    }
    if (active.length === 0) {
      return no('RoleInactive', `The role ${name} is inactive (seen ${list.seen}): activate it in ${where}.`);
    }
    if (active.length > 1) {
      return no(
        'RoleAmbiguous',
        `${active.length} roles are named ${name} (seen ${list.seen}): rename or delete all but one in ${where}.`,
      );
    }
  }
  const evidence = levelEvidence(spec, holding(look), credentials);
  if (evidence && (list.value || evidence.source === 'effective')) return levelVerdict(look, evidence);
  if (list.verdict) return list.verdict;
  const what = `The settings of the role ${name}`;
  const settings = standing(look, facts.roleLevels, { of: 'settings', what });
  return (
    settings.verdict ??
    unknown('NotSeen', `${what} were not read yet, or came empty: let the management key read all of them.`)
  );
}

function levelVerdict(look: Look, { cells, at, source }: LevelEvidence): Verdict {
  const { name } = look.spec.connectwise.role;
  const how =
    source === 'settings'
      ? `read from the role, ${ago(at)}`
      : `read with its key, as effective levels, ${ago(at)}: the role's settings were not readable`;
  if (cells.length === 0) return yes('LevelsExact', `Every level of ${name} is as specified (${how}).`);
  const { open, accepted, also } = sorted(look, cells);
  if (open.length === 0)
    return yes('Accepted', `Other levels of ${name} are as specified (${how}). ${accepted}`);
  const weak = open.filter(tooWeak);
  const reason =
    weak.length === 0 ? 'LevelsExcess' : weak.length === open.length ? 'LevelsMissing' : 'LevelsDiffer';
  return no(
    reason,
    `${describeDifferences(open)} (${how}). Set them in System > Security Roles > ${name}: no API edits levels.${also}`,
  );
}

export function tableSetupReady(look: Look): Verdict {
  const { spec, facts, credentials } = look;
  const { name } = spec.connectwise.role;
  const proof = telling(spec, holding(look), credentials) ?? telling(spec, facts, credentials);
  if (!proof) {
    const key = activeKey(credentials);
    return key
      ? unknown(
          'NotReadable',
          `Only a working key of ${activeMember(spec, credentials)} with the role ${name} shows the allow list, and ${key.fingerprint} was not seen to be one: see IntegrationKeyValid and MembersReady.`,
        )
      : unknown(
          'NoIntegrationKey',
          'Only the integration key shows the allow list, and Parasol was not given it: the first rotation brings it in.',
        );
  }
  const read = standing(look, proof, { of: 'settings', what: 'The allow list' });
  if (read.verdict) return read.verdict;
  const { value, seen } = read;
  if (!value.allowList) {
    return unknown(
      'NotReadable',
      `The key ${value.fingerprint} of ${value.member} could not read its allow list (${seen}): it needs System/Table Setup inquire.`,
    );
  }
  const differences = compareAllowList(spec.connectwise.role.tableSetup, value.allowList);
  const how = `read with ${value.fingerprint}, ${seen}`;
  if (differences.length === 0) {
    return yes('AllowListExact', `Table Setup allows exactly what is specified (${how}).`);
  }
  const { open, accepted, also } = sorted(look, differences);
  if (open.length === 0)
    return yes('Accepted', `Else Table Setup allows what is specified (${how}). ${accepted}`);
  return no(
    open.some(({ kind }) => kind === 'missing') ? 'ItemsMissing' : 'ItemsExcess',
    `${describeDifferences(open)} (${how}). Set it in System > Security Roles > ${name} > System > Table Setup > customize: no API edits it.${also}`,
  );
}

export function membersReady(look: Look): Verdict {
  const { spec, facts, credentials } = look;
  const list = standing(look, facts.members, { of: 'settings', what: 'The list of API members' });
  if (list.verdict) return list.verdict;
  const differences = diff(spec, { members: facts.members!, candidates: {} }, credentials, {
    serving: servingMembers(look),
  });
  const { open, accepted, also } = sorted(look, differences);
  if (open.length > 0) return membersDiffer(open, list.seen, also);
  const { items, controlSeen } = list.value;
  const unseen = expectedMembers(spec).filter((identifier) => !findMember(items, identifier));
  if (unseen.length > 0 && !controlSeen) {
    return unknown(
      'AbsenceNotBelieved',
      `No ${unseen.join(', no ')} in a list that lacks the management key's own member (seen ${list.seen}): let the management key read all API members.`,
    );
  }
  const member = activeMember(spec, credentials);
  return accepted === ''
    ? yes('AsSpecified', `${member} is active with role, level and location as specified, seen ${list.seen}.`)
    : yes('Accepted', `${member} is active, and else as specified, seen ${list.seen}. ${accepted}`);
}

function membersDiffer(differences: Difference[], seen: string, also: string): Verdict {
  const some = (test: (difference: Difference) => boolean) => differences.some(test);
  const reason = some(({ kind }) => kind === 'missing')
    ? 'MemberMissing'
    : !some(({ kind }) => kind === 'different')
      ? 'IdleMemberActive'
      : some(({ path, kind }) => kind === 'different' && path.endsWith('.active'))
        ? 'MemberInactive'
        : 'MemberDiffers';
  return no(
    reason,
    `${describeDifferences(differences)} (seen ${seen}). Set it in System > Members > API Members, or see what \`parasol plan\` would do.${also}`,
  );
}

export function integrationKeyValid(look: Look): Verdict {
  const { spec, facts, credentials } = look;
  const key = activeKey(credentials);
  if (!key) {
    return unknown(
      'NotGiven',
      'Parasol was not given the integration key: the first rotation brings it in, or give the one in use as connectwise.integrationKey.',
    );
  }
  const proof = standing(look, facts.integrationKey, { of: 'keys', what: 'The integration key', key });
  if (proof.verdict) return proof.verdict;
  const { value, seen } = proof;
  const expected = activeMember(spec, credentials);
  const anew = `make a new key on ${expected} and give it with \`parasol credential ${spec.id} integration --member ${expected}\``;
  if (!value.authenticates) {
    const inactive = findMember(facts.members?.value?.items ?? [], expected)?.inactive;
    const todo = inactive ? `its member ${expected} is inactive, so activate that first` : anew;
    return no('Refused', `ConnectWise refuses the key ${key.fingerprint} (${seen}): ${todo}.`);
  }
  if (value.member === null) {
    return unknown('MemberNotTold', `ConnectWise did not tell whose key ${key.fingerprint} is (${seen}).`);
  }
  if (!sameIdentifier(value.member, expected)) {
    return no(
      'WrongMember',
      `The key ${key.fingerprint} belongs to ${value.member}, not to ${expected} (${seen}): ${anew}.`,
    );
  }
  if (value.levels.length === 0) {
    return unknown(
      'LevelsNotTold',
      `ConnectWise did not tell the levels of the key ${key.fingerprint} (${seen}).`,
    );
  }
  const cells = compareLevels(spec.connectwise.role.levels, value.levels);
  const { open, accepted, also } = sorted(look, cells);
  if (open.length > 0) {
    const weak = open.filter(tooWeak);
    return no(
      weak.length > 0 ? 'TooWeak' : 'TooStrong',
      `Effective levels of ${value.member}: ${describeDifferences(weak.length > 0 ? weak : open)} (${seen}). Give it the role ${spec.connectwise.role.name} with exact levels.${also}`,
    );
  }
  const age = ageOf(look, key.createdAt);
  if (age > toMs(spec.rotation.maxAge)) {
    return no(
      'TooOld',
      `Parasol has held the key ${key.fingerprint} for ${lasting(key.createdAt)}; rotation.maxAge allows ${spec.rotation.maxAge}: ${anew}.`,
    );
  }
  const whose = `${key.fingerprint} authenticates as ${value.member}`;
  const since = `seen ${seen}; held for ${lasting(key.createdAt)}.`;
  return accepted === ''
    ? yes('Valid', `${whose} with exactly the levels specified, ${since}`)
    : yes('Accepted', `${whose} and else with the levels specified, ${since} ${accepted}`);
}
