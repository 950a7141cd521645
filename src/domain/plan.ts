import { unaccepted } from './acceptance.ts';
import type { HeldCredential } from './credential.ts';
import { intentKey, type Action, type Plan, type Step } from './action.ts';
import { activeKey, compareAllowList, findMember, telling } from './drift.ts';
import {
  canOnlyBeAttested,
  differingCells,
  drivingRotation,
  freshDrift,
  isActiveAndSeen,
  JUST_MADE,
  justMade,
  mayStop,
  names,
  whyNewKey,
  type PlanningGround,
} from './ground.ts';
import {
  allowTableSetup,
  deleteKey,
  grantRoleLevels,
  installIntegrationKey,
  issueIntegrationKey,
} from './handoff.ts';
import { memberSteps, switchOff } from './member-steps.ts';
import { isFresh, onlyFresh } from './observation.ts';
import { rotationSteps } from './rotation-steps.ts';
import { renewalSteps } from './umbrella-renewal.ts';
import { expectedMembers, sameIdentifier } from './tenant.ts';
import { told } from './told.ts';

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
        ...rotationSteps(ground),
        ...deletionSteps(ground),
        ...renewalSteps(ground),
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
    // A deletion waits for the right: held steps are those that nobody waits for.
    const state = ground.deleting ? 'later' : 'held';
    return { ...step, state, because: `the management key's role lacks ${right}` };
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

function roleSteps(ground: PlanningGround): Step[] {
  if (!freshDrift(ground).some(({ path, kind }) => path === 'role' && kind === 'missing')) return [];
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
        action: switchOff(member),
        state: may ? 'now' : 'held',
        because: may
          ? `Switches ${member.identifier} off, since the tenant is being deleted.`
          : `${member.identifier} stays as it is: it is not Parasol's, or may hold keys of others`,
        removes: [],
      },
    ];
  });
}

function tableSetupSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt } = ground;
  const proof = telling(spec, onlyFresh(facts, observedAt), ground.credentials);
  if (!proof?.value.allowList) return [];
  const wanted = spec.connectwise.role.tableSetup;
  const differences = unaccepted(compareAllowList(wanted, proof.value.allowList), ground.accepted);
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

function keySteps(ground: PlanningGround): Step[] {
  const need = whyNewKey(ground);
  if (!need || drivingRotation(ground)) return [];
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
 * A key that Parasol promoted is to be put into Umbrella, until Umbrella was seen to use it; a silent Umbrella,
 * or one that writes as a stranger, is given the key in use again.
 */
function installSteps(ground: PlanningGround): Step[] {
  const { credentials, integrated, spec, memory } = ground;
  const key = activeKey(credentials);
  if (!key || whyNewKey(ground) || drivingRotation(ground)) return [];
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
          promoted
            ? 'A new key was proved, and Umbrella was not seen to use it yet.'
            : told(integrated.message, ground.now),
          !canOnlyBeAttested(spec, memory, ground.rotation),
        ),
      },
      state: 'now',
      because: `Asks a person to put the key into ${spec.umbrella.console.toUpperCase()} settings.`,
      removes: [],
    },
  ];
}

/** A pair that is not to be used and still works is to be deleted by a person (rulings 16, 23). */
function deletionSteps(ground: PlanningGround): Step[] {
  const { credentials, facts, observedAt } = ground;
  return credentials.flatMap((credential): Step[] => {
    const proof = facts.candidates[credential.id];
    if (!isToDelete(ground, credential)) return [];
    if (!isFresh(proof, observedAt) || !proof.value.authenticates) return [];
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
            credential.purpose === 'management'
              ? 'It was Parasol’s own, and another one does its work.'
              : `It was given for ${credential.member ?? 'this tenant'}, and Parasol does not use it.`,
          ),
        },
        state: 'now',
        because: 'Asks a person to delete a key that works and is not used.',
        removes: [],
      },
    ];
  });
}

/** Parasol's own key before the one in use goes only after that one was seen at work. */
function isToDelete({ credentials, facts, observedAt }: PlanningGround, held: HeldCredential): boolean {
  if (held.state === 'refused') return true;
  if (held.state !== 'superseded' || held.purpose !== 'management') return false;
  const inUse = credentials.find(({ purpose, state }) => purpose === 'management' && state === 'active');
  const { management } = facts;
  return (
    isFresh(management, observedAt) && management.value.authenticates && management.credentialId === inUse?.id
  );
}
