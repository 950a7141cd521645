import type { Action, MemberSet, Step } from './action.ts';
import { activeKey, activeMember, findMember, theRole } from './drift.ts';
import {
  differingCells,
  drivingRotation,
  freshDrift,
  isClean,
  isOwned,
  JUST_MADE,
  justMade,
  mayStop,
  type PlanningGround,
} from './ground.ts';
import { isFresh, type MemberFact } from './observation.ts';
import { expectedMembers, sameIdentifier } from './tenant.ts';

/** Steps that make, mend and switch API members (design.md §7). */

/** The active member as the spec wants it; what else is active, and should not be, is told. */
export function memberSteps(ground: PlanningGround): Step[] {
  const { spec, facts, observedAt, credentials } = ground;
  if (!isFresh(facts.members, observedAt)) return [];
  const steps = prepareMember(ground, activeMember(spec, credentials));
  for (const { path } of freshDrift(ground).filter(
    ({ path, kind }) => kind === 'excess' && path.startsWith('members.'),
  )) {
    const idle = expectedMembers(spec).find((name) => path === `members.${name}.active`);
    const found = idle ? findMember(facts.members.value.items, idle) : null;
    if (!found) continue;
    steps.push({
      action: switchOff(found),
      state: 'held',
      because: mayStop(ground, found)
        ? 'an idle member is switched off by a rotation, after its key was seen dead (rulings 19)'
        : MAY_HOLD_OTHERS,
      removes: [path],
    });
  }
  return steps;
}

export const MAY_HOLD_OTHERS =
  'the spec does not declare it dedicated to Umbrella, so that it may hold keys of others';

export const switchOff = ({ id, identifier }: MemberFact): Action => ({
  kind: 'change-member',
  id,
  identifier,
  set: { active: false },
});

/** Makes one of the tenant's members, or mends it where it differs; it waits for its role and that role's levels. */
export function prepareMember(ground: PlanningGround, identifier: string): Step[] {
  const { spec, facts, observedAt } = ground;
  if (!isFresh(facts.members, observedAt)) return [];
  const { members, role: wantedRole } = spec.connectwise;
  const role = isFresh(facts.roles, observedAt) ? theRole(spec, facts) : null;
  const drifts = freshDrift(ground).filter(
    ({ path, kind }) =>
      kind !== 'excess' &&
      (path === `members.${identifier}` || path.startsWith(`members.${identifier}.`)) &&
      !(path.endsWith('.active') && isCut(ground, identifier)),
  );
  const removes = drifts.map(({ path }) => path);
  const member = findMember(facts.members.value.items, identifier);
  if (member) {
    const revive = member.inactive && isServing(ground, identifier);
    return removes.length > 0 || revive ? [changeMember(ground, member, removes, revive)] : [];
  }
  if (!facts.members.value.controlSeen) return [];
  const weak = role ? differingCells(ground) : null;
  const waits = justMade(ground, 'member', identifier)
    ? JUST_MADE
    : !role
      ? `waits for the role ${wantedRole.name}`
      : weak === null || weak.length > 0
        ? `waits for the levels of the role ${wantedRole.name}`
        : null;
  return [
    {
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
    },
  ];
}

/** The member that a rotation makes the new key on. */
function isServing(ground: PlanningGround, identifier: string): boolean {
  const target = drivingRotation(ground)?.target;
  return target != null && sameIdentifier(target, identifier);
}

/** Switched off on purpose, before there is a new key (`cutNow`). */
function isCut(ground: PlanningGround, identifier: string): boolean {
  const rotation = drivingRotation(ground);
  const old = rotation?.cutNow ? rotation.old?.member : null;
  return old != null && sameIdentifier(old, identifier);
}

function changeMember(ground: PlanningGround, member: MemberFact, removes: string[], revive: boolean): Step {
  const { spec, facts, observedAt } = ground;
  const { members, role: wantedRole } = spec.connectwise;
  const has = (field: string) => removes.some((path) => path.endsWith(`.${field}`));
  const activate = has('active') || revive;
  const role = isFresh(facts.roles, observedAt) ? theRole(spec, facts) : null;
  const set: MemberSet = {
    ...(activate ? { active: true } : {}),
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
  if (activate && !mayRevive(ground, member)) {
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

/**
 * Reactivation revives a member's keys (domain.md §3): only where the key in use is its own, where the key that is
 * put back is, or where every key that it had was seen dead (rulings 18, 19).
 */
function mayRevive(ground: PlanningGround, member: MemberFact): boolean {
  const rotation = drivingRotation(ground);
  const keys = [activeKey(ground.credentials)?.member, rotation?.reversed ? rotation.target : null];
  return (
    keys.some((name) => name != null && sameIdentifier(name, member.identifier)) || isClean(ground, member)
  );
}
