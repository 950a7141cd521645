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
  type Cell,
} from './drift.ts';
import { toMs } from './duration.ts';
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
import { isFresh, onlyFresh, type Facts, type MemberFact } from './observation.ts';
import { expectedMembers, sameIdentifier, slotOf, type TenantSpec } from './tenant.ts';
import type { IntegrationMemory, Verdict } from './condition.ts';

/** Something outside that Parasol may write (rulings 8), and how it came to be Parasol's. */
export interface OwnedObject {
  kind: 'role' | 'member';
  name: string;
  externalId: number;
  how: 'created' | 'conforming';
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
  now: Date;
  credentials: HeldCredential[];
  owned: OwnedObject[];
  /** Keys of intents of which it is not known yet what became (`intentKey`). */
  unsettled: string[];
  memory: IntegrationMemory;
  integrated: Verdict;
  deleting: boolean;
}

/** The part of the ground that pairs are judged on. */
export type Seen = Pick<PlanningGround, 'spec' | 'facts' | 'observedAt' | 'credentials'>;

/**
 * How long an absence says nothing after something was made, or may have been: ConnectWise's lists may be
 * older than its answers. Then a second of the same name would be made.
 */
export const SETTLE_MS = toMs('30s');

/**
 * How long a thing that ConnectWise said was made is waited for in its lists; only somebody who deleted it
 * within that time waits longer for it to be made again.
 */
export const SHOWS_WITHIN_MS = toMs('10m');

/** Names the effect of an action, so that it can be looked up outside after a crash; null: it has none there. */
export function intentKey(action: Action): string | null {
  switch (action.kind) {
    case 'create-role':
      return `role:${action.name}`;
    case 'create-member':
      return `member:${action.identifier}`;
    case 'change-member':
      return `member:${action.identifier}:change`;
    case 'open-handoff':
      return null;
  }
}

/** An action in words: `create the role Umbrella`. */
export function describeAction(action: Action): string {
  switch (action.kind) {
    case 'create-role':
      return `create the role ${action.name}`;
    case 'create-member':
      return `create the member ${action.identifier}`;
    case 'change-member':
      return `change ${Object.keys(action.set)
        .filter((name) => name !== 'roleName')
        .map((name) => name.replace(/Id$/, ''))
        .join(', ')} of the member ${action.identifier}`;
    case 'open-handoff':
      return `open the hand-off ${action.handoff} for ${action.subject}`;
  }
}

/**
 * The steps that would bring the tenant to its spec, in the order of onboarding (rulings 21):
 * role → levels → member → key → allow list → install. A step that rests on another waits for it.
 */
export function plan(ground: PlanningGround): Plan {
  const steps = ground.deleting
    ? leavingSteps(ground)
    : [
        ...roleSteps(ground),
        ...levelSteps(ground),
        ...memberSteps(ground),
        ...tableSetupSteps(ground),
        ...keySteps(ground),
        ...installSteps(ground),
        ...deletionSteps(ground),
      ];
  return { steps: steps.map((step) => heldBack(ground, step)) };
}

/** What stands in the way of every write: an attempt that is not settled, a right that lacks, our own branch. */
function heldBack(ground: PlanningGround, step: Step): Step {
  const key = intentKey(step.action);
  if (key === null || step.state !== 'now') return step;
  if (ground.unsettled.includes(key)) {
    return {
      ...step,
      state: 'later',
      because: 'the answer to an earlier attempt was lost: its effect is looked for first',
    };
  }
  const { action } = step;
  const management = ground.facts.management?.value;
  const right = NEEDED_RIGHTS[action.kind];
  if (right && management?.authenticates && management.missing.includes(right)) {
    return { ...step, state: 'held', because: `the management key's role lacks ${right}` };
  }
  const own = management?.authenticates ? management.member : null;
  if (action.kind === 'change-member' && own !== null && sameIdentifier(own, action.identifier)) {
    return { ...step, state: 'held', because: `${own} is the member whose key Parasol calls with` };
  }
  return step;
}

/** Names of `ManagementFact.missing`. */
const NEEDED_RIGHTS: Partial<Record<Action['kind'], string>> = {
  'create-role': 'System/Security Roles add',
  'create-member': 'System/Members add',
  'change-member': 'System/Members edit',
};

/** Whether Parasol made it so lately that a list may not show it yet. */
function justMade({ owned, now }: PlanningGround, kind: OwnedObject['kind'], name: string): boolean {
  return owned.some(
    (object) =>
      object.kind === kind &&
      object.how === 'created' &&
      sameIdentifier(object.name, name) &&
      now.getTime() - Date.parse(object.since) < SHOWS_WITHIN_MS,
  );
}

const JUST_MADE = 'was made just now: the list does not show it yet';

/** The tenant's own names, as click paths need them. */
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
  const waits = justMade(ground, 'role', name);
  return [
    {
      action: { kind: 'create-role', name },
      state: waits ? 'later' : 'now',
      because: waits ? JUST_MADE : `Creates the security role ${name}; all its levels start at None.`,
      removes: ['role'],
    },
  ];
}

/**
 * The cells of the role that differ; null where the levels were not read in this observation, or came empty:
 * ConnectWise lists every function of a role (rulings 1).
 */
export function differingCells({ spec, facts, observedAt }: PlanningGround): Cell[] | null {
  const { roleLevels } = facts;
  const role = theRole(spec, facts);
  if (!role || !isFresh(facts.roles, observedAt)) return null;
  if (!isFresh(roleLevels, observedAt) || roleLevels.value.roleId !== role.id) return null;
  if (roleLevels.value.rows.length === 0) return null;
  return compareLevels(spec.connectwise.role.levels, roleLevels.value.rows);
}

function levelSteps(ground: PlanningGround): Step[] {
  const differing = differingCells(ground);
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
  const { spec, facts, observedAt, credentials } = ground;
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
    const weak = role ? differingCells(ground) : null;
    const waits = justMade(ground, 'member', identifier)
      ? JUST_MADE
      : !role
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
    steps.push({
      action: { kind: 'change-member', id: found.id, identifier: found.identifier, set: { active: false } },
      state: 'held',
      because: mayStop(ground, found)
        ? 'an idle member is switched off by a rotation, after its key was seen dead (rulings 19)'
        : 'the spec does not declare it dedicated to Umbrella, so that it may hold keys of others',
      removes: [path],
    });
  }
  return steps;
}

/** A member is Parasol's to write: made by it, seen conforming once, or handed over by the spec (rulings 8). */
export function isOwned({ owned, spec }: PlanningGround, member: MemberFact): boolean {
  const expected = expectedMembers(spec).some((identifier) => sameIdentifier(identifier, member.identifier));
  const known = owned.some(({ kind, externalId }) => kind === 'member' && externalId === member.id);
  return expected && (spec.connectwise.members.adopt || known);
}

/** A member may be switched off where nothing but Umbrella uses it: declared so, or made by Parasol (rulings 9). */
function mayStop(ground: PlanningGround, member: MemberFact): boolean {
  const { owned, spec } = ground;
  const made = owned.some(
    ({ kind, how, externalId }) => kind === 'member' && how === 'created' && externalId === member.id,
  );
  return isOwned(ground, member) && (spec.connectwise.members.dedicated || made);
}

/** Before a tenant is forgotten: its own members are switched off, where its policy says so (design.md §7). */
function leavingSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt } = ground;
  if (spec.onDelete !== 'deactivate-members' || !isFresh(facts.members, observedAt)) return [];
  const { items } = facts.members.value;
  return expectedMembers(spec).flatMap((identifier): Step[] => {
    const member = findMember(items, identifier);
    if (!member || member.inactive) return [];
    const may = mayStop(ground, member);
    return [
      {
        action: {
          kind: 'change-member',
          id: member.id,
          identifier: member.identifier,
          set: { active: false },
        },
        state: may ? 'now' : 'held',
        because: may
          ? `Switches ${member.identifier} off, since the tenant is being deleted.`
          : `${member.identifier} stays as it is: it is not Parasol's, or may hold keys of others`,
        removes: [],
      },
    ];
  });
}

/** Nothing more is to be done for a tenant that is being deleted; seen, not assumed. */
export function hasLeft(ground: PlanningGround): boolean {
  const { spec, facts, observedAt } = ground;
  if (!ground.deleting) return false;
  if (spec.onDelete === 'orphan') return true;
  return isFresh(facts.members, observedAt) && !plan(ground).steps.some(({ state }) => state !== 'held');
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
  if (has('active') && !mayRevive(ground, member)) {
    return {
      action,
      state: 'held',
      because: `switching ${member.identifier} on may revive keys that Parasol never held: give its key as integrationKey, or name other identifiers`,
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

/** Reactivation revives a member's keys (domain.md §3): only where those are Parasol's own (rulings 19). */
function mayRevive({ credentials, owned }: PlanningGround, member: MemberFact): boolean {
  const key = activeKey(credentials)?.member;
  return (
    (key !== undefined && key !== null && sameIdentifier(key, member.identifier)) ||
    owned.some(
      ({ kind, how, externalId }) => kind === 'member' && how === 'created' && externalId === member.id,
    )
  );
}

function tableSetupSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt } = ground;
  const proof = telling(spec, onlyFresh(facts, observedAt), ground.credentials);
  if (!proof?.value.allowList) return [];
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
export function whyNewKey(ground: PlanningGround): { why: string; removes: string[] } | null {
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
export function isActiveAndSeen(
  { spec, facts, observedAt, credentials }: Seen,
  identifier = activeMember(spec, credentials),
): boolean {
  if (!isFresh(facts.members, observedAt)) return false;
  return findMember(facts.members.value.items, identifier)?.inactive === false;
}

function keySteps(ground: PlanningGround): Step[] {
  const need = whyNewKey(ground);
  if (!need) return [];
  const open = names(ground);
  const given = ground.credentials.find(
    ({ purpose, state }) => purpose === 'integration' && state === 'candidate',
  );
  const cells = differingCells(ground);
  const ready = (cells === null || cells.length === 0) && isActiveAndSeen(ground);
  const waits = given
    ? `the key ${given.fingerprint} was given, and is to be proved`
    : ready
      ? null
      : `waits for the role and the member ${open.member}`;
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'issue-integration-key',
        subject: open.member,
        content: issueIntegrationKey(open, need.why),
      },
      state: waits ? 'later' : 'now',
      because: waits ?? 'Asks a person for a key.',
      removes: need.removes,
    },
  ];
}

/**
 * Where no write of Umbrella's can tell that it uses the key in use, a person's word is all there is; it is
 * named as that (rulings 17).
 */
export function canOnlyBeAttested(spec: TenantSpec, memory: IntegrationMemory): boolean {
  const pending = memory.install?.adopted === null;
  return spec.integration.nothingMapped || (pending && memory.install?.observable === false);
}

/**
 * A key that Parasol promoted is to be put into Umbrella, until Umbrella was seen to use it; a silent Umbrella,
 * or one that writes as a stranger, is given the key in use again.
 */
function installSteps(ground: PlanningGround): Step[] {
  const { credentials, integrated, spec, memory } = ground;
  const key = activeKey(credentials);
  if (!key || whyNewKey(ground)) return [];
  const silent = integrated.reason === 'Silent' || integrated.reason === 'WrongMember';
  const promoted = memory.install?.fingerprint === key.fingerprint && memory.install.adopted === null;
  if (!silent && !promoted) return [];
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
          promoted ? 'A new key was proved, and Umbrella was not seen to use it yet.' : integrated.message,
          !canOnlyBeAttested(spec, memory),
        ),
      },
      state: 'now',
      because: `Asks a person to put the key into ${spec.umbrella.console.toUpperCase()} settings.`,
      removes: [],
    },
  ];
}

/** A pair that was refused and still works is to be deleted by a person (rulings 16). */
function deletionSteps(ground: PlanningGround): Step[] {
  const { credentials, facts, observedAt } = ground;
  return credentials.flatMap((credential): Step[] => {
    const proof = facts.candidates[credential.id];
    if (credential.state !== 'refused' || !isFresh(proof, observedAt) || !proof.value.authenticates)
      return [];
    const member = proof.value.member ?? credential.member ?? names(ground).member;
    return [
      {
        action: {
          kind: 'open-handoff',
          handoff: 'delete-key',
          subject: credential.fingerprint,
          content: deleteKey(
            { ...names(ground), member },
            credential.fingerprint,
            `It was given for ${credential.member ?? 'this tenant'}, and Parasol does not use it.`,
          ),
        },
        state: 'now',
        because: 'Asks a person to delete a key that works and is not used.',
        removes: [],
      },
    ];
  });
}
