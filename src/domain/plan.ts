import type { HeldCredential } from './credential.ts';
import {
  activeKey,
  activeMember,
  compareAllowList,
  compareLevels,
  diff,
  findMember,
  telling,
  theRole,
  tooWeak,
  type Cell,
} from './drift.ts';
import {
  allowTableSetup,
  deleteKey,
  grantRoleLevels,
  installIntegrationKey,
  issueIntegrationKey,
  type HandoffContent,
  type HandoffKind,
  type Names,
} from './handoff.ts';
import { isFresh, type Facts, type MemberFact } from './observation.ts';
import { expectedMembers, sameIdentifier, slotOf, type TenantSpec } from './tenant.ts';
import type { Verdict } from './condition.ts';

/** Something outside that Parasol may write (rulings 8), and how it came to be Parasol's. */
export interface OwnedObject {
  kind: 'role' | 'member';
  name: string;
  externalId: number;
  how: 'created' | 'conforming' | 'adopted';
  since: string;
}

/** What would remove one or more drifts. The executor is `api`, or a person by hand-off. */
export type Action =
  | { kind: 'create-role'; name: string }
  | {
      kind: 'create-member';
      identifier: string;
      roleId: number;
      roleName: string;
      level: string;
      location: string | null;
    }
  | {
      kind: 'change-member';
      id: number;
      identifier: string;
      set: MemberSet;
    }
  | { kind: 'open-handoff'; handoff: HandoffKind; subject: string; content: HandoffContent };

export interface MemberSet {
  active?: boolean;
  roleId?: number;
  roleName?: string;
  level?: string;
  location?: string;
}

export interface Step {
  action: Action;
  /** `now`: the next repair does it; `later`: it waits for another step; `held`: something forbids it. */
  state: 'now' | 'later' | 'held';
  /** Why it waits or is held; one sentence for what it does, where it is `now`. */
  because: string;
  /** The drift paths that it would remove. */
  removes: string[];
}

/** What mode `repair` would do next, worked out in every mode. */
export interface Plan {
  steps: Step[];
}

/** All that a plan rests on: only facts of this observation lead to a step (design.md §3, level-triggered). */
export interface PlanningGround {
  spec: TenantSpec;
  facts: Facts;
  observedAt: string;
  credentials: HeldCredential[];
  owned: OwnedObject[];
  integrated: Verdict;
  deleting: boolean;
}

/**
 * The steps that would bring the tenant to its spec, in the order of onboarding (rulings 21):
 * role → levels → member → key → allow list → install. A step that rests on another waits for it.
 */
export function plan(ground: PlanningGround): Plan {
  if (ground.deleting) return { steps: [] };
  const steps = [
    ...roleSteps(ground),
    ...levelSteps(ground),
    ...memberSteps(ground),
    ...tableSetupSteps(ground),
    ...keySteps(ground),
    ...installSteps(ground),
  ];
  return { steps };
}

const names = ({ spec, credentials }: PlanningGround): Names => ({
  tenantId: spec.id,
  site: spec.connectwise.site,
  role: spec.connectwise.role.name,
  member: activeMember(spec, credentials),
  console: spec.umbrella.console,
});

const fresh = (ground: PlanningGround) =>
  diff(ground.spec, ground.facts, ground.credentials, ground.observedAt);

function roleSteps(ground: PlanningGround): Step[] {
  if (!fresh(ground).some(({ path, kind }) => path === 'role' && kind === 'missing')) return [];
  const { name } = ground.spec.connectwise.role;
  return [
    {
      action: { kind: 'create-role', name },
      state: 'now',
      because: `Creates the security role ${name}; all its levels start at None.`,
      removes: ['role'],
    },
  ];
}

/** The cells that differ; null where the levels were not read in this observation. */
function cells({ spec, facts, observedAt }: PlanningGround): Cell[] | null {
  const { roleLevels } = facts;
  const role = theRole(spec, facts);
  if (!role || !isFresh(facts.roles, observedAt)) return null;
  if (!isFresh(roleLevels, observedAt) || roleLevels.value.roleId !== role.id) return null;
  return compareLevels(spec.connectwise.role.levels, roleLevels.value.rows);
}

function levelSteps(ground: PlanningGround): Step[] {
  const differing = cells(ground);
  if (!differing || differing.length === 0) return [];
  const shown = differing.map(({ function: name, right, observed, desired }) => ({
    function: name,
    right,
    observed,
    desired,
  }));
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'grant-role-levels',
        subject: ground.spec.connectwise.role.name,
        content: grantRoleLevels(names(ground), shown),
      },
      state: 'now',
      because: 'Asks a person to set the levels.',
      removes: differing.map(({ path }) => path),
    },
  ];
}

function memberSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt, credentials, owned } = ground;
  if (!isFresh(facts.members, observedAt)) return [];
  const { members, role: wantedRole } = spec.connectwise;
  const identifier = activeMember(spec, credentials);
  const drifts = fresh(ground).filter(({ path }) => path.startsWith('members.'));
  const role = isFresh(facts.roles, observedAt) ? theRole(spec, facts) : null;
  const steps: Step[] = [];

  const ofActive = drifts.filter(
    ({ path }) => path === `members.${identifier}` || path.startsWith(`members.${identifier}.`),
  );
  const removes = ofActive.map(({ path }) => path);
  const member = findMember(facts.members.value.items, identifier);
  if (ofActive.some(({ kind }) => kind === 'missing')) {
    const weak = role ? cells(ground) : null;
    const waits = !role
      ? `waits for the role ${wantedRole.name}`
      : weak === null || weak.length > 0
        ? `waits for the levels of the role ${wantedRole.name}`
        : null;
    steps.push({
      action: {
        kind: 'create-member',
        identifier,
        roleId: role?.id ?? 0,
        roleName: wantedRole.name,
        level: members.level,
        location: members.location ?? null,
      },
      state: waits ? 'later' : 'now',
      because: waits ?? `Creates the API member ${identifier} with the role ${wantedRole.name}.`,
      removes,
    });
  } else if (member && ofActive.length > 0) {
    steps.push({ ...changeMember(ground, member, removes), removes });
  }

  for (const { path } of drifts.filter(({ kind }) => kind === 'excess')) {
    const idle = expectedMembers(spec).find((name) => path === `members.${name}.active`);
    const found = idle ? findMember(facts.members.value.items, idle) : null;
    if (!found) continue;
    const mine = isOwned(ground, found);
    const mayStop =
      mine &&
      (members.dedicated ||
        owned.some((o) => o.how === 'created' && sameIdentifier(o.name, found.identifier)));
    steps.push({
      action: { kind: 'change-member', id: found.id, identifier: found.identifier, set: { active: false } },
      state: 'held',
      because: mayStop
        ? 'an idle member is switched off by a rotation, after its key was seen dead (rulings 19)'
        : 'the spec does not declare it dedicated to Umbrella, so that it may hold keys of others',
      removes: [path],
    });
  }
  return steps;
}

function isOwned({ owned, spec }: PlanningGround, member: MemberFact): boolean {
  return (
    spec.connectwise.members.adopt ||
    owned.some((object) => object.kind === 'member' && object.externalId === member.id)
  );
}

function changeMember(ground: PlanningGround, member: MemberFact, removes: string[]): Step {
  const { spec, facts, observedAt } = ground;
  const { members, role: wantedRole } = spec.connectwise;
  const has = (field: string) => removes.some((path) => path.endsWith(`.${field}`));
  const role = isFresh(facts.roles, observedAt) ? theRole(spec, facts) : null;
  const set: MemberSet = {
    ...(has('active') ? { active: true } : {}),
    ...(has('role') && role ? { roleId: role.id, roleName: role.name } : {}),
    ...(has('level') ? { level: members.level } : {}),
    ...(has('location') && members.location !== undefined ? { location: members.location } : {}),
  };
  const action: Action = { kind: 'change-member', id: member.id, identifier: member.identifier, set };
  if (!isOwned(ground, member)) {
    return {
      action,
      state: 'held',
      because: `${member.identifier} was not made by Parasol and never seen as specified: say members.adopt: true to let Parasol repair it`,
      removes,
    };
  }
  if (has('role') && !role) {
    return { action, state: 'later', because: `waits for the role ${wantedRole.name}`, removes };
  }
  return {
    action,
    state: 'now',
    because: `Changes ${Object.keys(set).join(', ')} of ${member.identifier}.`,
    removes,
  };
}

function tableSetupSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt } = ground;
  const proof = telling(spec, facts);
  if (!proof?.value.allowList || !isFresh(proof, observedAt)) return [];
  const wanted = spec.connectwise.role.tableSetup;
  const differences = compareAllowList(wanted, proof.value.allowList);
  if (differences.length === 0) return [];
  const item = (path: string) => path.replace('role.tableSetup.', '');
  const of = (kind: string) => differences.filter((d) => d.kind === kind).map(({ path }) => item(path));
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'allow-table-setup',
        subject: spec.connectwise.role.name,
        content: allowTableSetup(names(ground), of('missing'), of('excess')),
      },
      state: 'now',
      because: 'Asks a person to set the allow list.',
      removes: differences.map(({ path }) => path),
    },
  ];
}

/** Why a new key is needed; null where the key in use serves, or where nothing can be said. */
function whyNewKey(ground: PlanningGround): { why: string; removes: string[] } | null {
  const { spec, facts, credentials, integrated, observedAt } = ground;
  const key = activeKey(credentials);
  if (!key) {
    // A tenant that Umbrella already writes for gets its key with the first rotation (rulings 6).
    return integrated.reason === 'NeverSeen' || integrated.reason === 'NothingMapped'
      ? { why: 'This tenant has no integration key yet.', removes: [] }
      : null;
  }
  const proof = facts.integrationKey;
  if (!isFresh(proof, observedAt) || proof.value.credentialId !== key.id) return null;
  if (!proof.value.authenticates) {
    return isActiveAndSeen(ground)
      ? { why: `ConnectWise refuses the key ${key.fingerprint}.`, removes: ['integrationKey'] }
      : null;
  }
  const { member } = proof.value;
  if (member && !slotOf(spec, member)) {
    return {
      why: `The key ${key.fingerprint} belongs to ${member}, not to this integration's member.`,
      removes: ['integrationKey.member'],
    };
  }
  return null;
}

/** An inactive member's key answers 401 though it was not deleted (domain.md §3): the member comes first. */
function isActiveAndSeen({ spec, facts, observedAt, credentials }: PlanningGround): boolean {
  if (!isFresh(facts.members, observedAt)) return false;
  return findMember(facts.members.value.items, activeMember(spec, credentials))?.inactive === false;
}

function keySteps(ground: PlanningGround): Step[] {
  const need = whyNewKey(ground);
  if (!need) return [];
  const open = names(ground);
  if (ground.credentials.some(({ purpose, state }) => purpose === 'integration' && state === 'candidate')) {
    return [];
  }
  const ready = (cells(ground)?.length === 0 || cells(ground) === null) && isActiveAndSeen(ground);
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'issue-integration-key',
        subject: open.member,
        content: issueIntegrationKey(open, need.why),
      },
      state: ready ? 'now' : 'later',
      because: ready ? 'Asks a person for a key.' : `waits for the role and the member ${open.member}`,
      removes: need.removes,
    },
  ];
}

function installSteps(ground: PlanningGround): Step[] {
  const { credentials, integrated, spec } = ground;
  const key = activeKey(credentials);
  if (!key || whyNewKey(ground)) return [];
  const silent = integrated.reason === 'Silent' || integrated.reason === 'WrongMember';
  const newlyIssued = key.handoffId !== null && integrated.status !== 'True';
  if (!silent && !newlyIssued) return [];
  const open = names(ground);
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'install-integration-key',
        subject: key.fingerprint,
        content: installIntegrationKey(
          { ...open, member: key.member ?? open.member },
          key.fingerprint,
          newlyIssued && !silent ? 'A new key was proved.' : integrated.message,
        ),
      },
      state: 'now',
      because: `Asks a person to put the key into ${spec.umbrella.console.toUpperCase()} settings.`,
      removes: [],
    },
  ];
}

/** What a candidate's proof means (rulings 16): promote it, keep it and prove again, or refuse it. */
export type CandidateVerdict =
  { verdict: 'promote' | 'keep'; because: string } | { verdict: 'refuse'; alive: boolean; because: string };

/**
 * Judges a candidate by what it showed of itself. Weather never refuses a pair; a dead one or another
 * member's is refused, and one that is alive and refused is to be deleted by a person.
 */
export function judgeCandidate(ground: PlanningGround, candidate: HeldCredential): CandidateVerdict {
  const { spec, facts, observedAt } = ground;
  const proof = facts.candidates[candidate.id];
  if (!isFresh(proof, observedAt)) return { verdict: 'keep', because: 'it could not be proved yet' };
  if (!proof.value.authenticates) {
    return isActiveAndSeen(ground)
      ? { verdict: 'refuse', alive: false, because: 'ConnectWise refuses it' }
      : { verdict: 'keep', because: 'its member is not active, so that a refusal says nothing' };
  }
  const { member, levels, allowList } = proof.value;
  if (!member) return { verdict: 'keep', because: 'ConnectWise did not tell whose key it is' };
  if (!sameIdentifier(member, candidate.member ?? activeMember(spec, ground.credentials))) {
    return { verdict: 'refuse', alive: true, because: `it belongs to ${member}` };
  }
  const differing = compareLevels(spec.connectwise.role.levels, levels);
  if (differing.length > 0) {
    const word = differing.some(tooWeak) ? 'too weak' : 'too strong';
    return { verdict: 'keep', because: `its levels are ${word}: the role is to be mended first` };
  }
  if (!allowList || compareAllowList(spec.connectwise.role.tableSetup, allowList).length > 0) {
    return { verdict: 'keep', because: 'the allow list is not as specified yet' };
  }
  return { verdict: 'promote', because: `it authenticates as ${member} with exactly the levels specified` };
}

/** The hand-off for a pair that is alive and that nobody may use. */
export function deletion(
  ground: PlanningGround,
  credential: HeldCredential,
  member: string,
  why: string,
): Step {
  return {
    action: {
      kind: 'open-handoff',
      handoff: 'delete-key',
      subject: credential.fingerprint,
      content: deleteKey({ ...names(ground), member }, credential.fingerprint, why),
    },
    state: 'now',
    because: 'Asks a person to delete a key that works and is not used.',
    removes: [],
  };
}
