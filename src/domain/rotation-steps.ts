import { intentKey, type Step } from './action.ts';
import { activeMember, findMember } from './drift.ts';
import { canOnlyBeAttested, drivingRotation, mayStop, names, type PlanningGround } from './ground.ts';
import { deleteKey, deleteUnknownKeys, installIntegrationKey, issueIntegrationKey } from './handoff.ts';
import { MAY_HOLD_OTHERS, prepareMember, switchOff } from './member-steps.ts';
import { isFresh } from './observation.ts';
import type { Rotation } from './rotation.ts';
import { sameIdentifier } from './tenant.ts';

/** What a rotation does in each of its phases; nothing of it before its phase is committed. */
export function rotationSteps(ground: PlanningGround): Step[] {
  const rotation = drivingRotation(ground);
  if (!rotation) return [];
  return stepsOf(ground, rotation).map((step): Step => {
    const writes = intentKey(step.action) !== null && step.state === 'now';
    return writes && !ground.committed
      ? { ...step, state: 'later', because: `${step.because} The rotation's phase is recorded first.` }
      : step;
  });
}

function stepsOf(ground: PlanningGround, rotation: Rotation): Step[] {
  const { target, phase } = rotation;
  if (target === null) return [];
  if (rotation.undoing) return off(ground, target, 'The rotation is taken back.');
  const member = beside(ground, target) ? prepareMember(ground, target) : [];
  const cut =
    rotation.cutNow && !rotation.adopted && rotation.old?.member && !isShared(rotation)
      ? off(ground, rotation.old.member, 'It was asked to be cut at once.')
      : [];
  switch (phase) {
    case 'PreparingMember':
      return [
        ...cut,
        ...member,
        ...issue(ground, rotation, target, `waits for the role and the member ${target}`),
      ];
    case 'AwaitingKey':
      return [...cut, ...member, ...issue(ground, rotation, target, null)];
    case 'Verifying':
      return [...cut, ...member];
    case 'AwaitingInstall':
    case 'AwaitingAdoption':
      return [...cut, ...member, ...install(ground, rotation, target)];
    case 'RetiringOld':
      return retire(ground, rotation);
    default:
      return [];
  }
}

/** The member in use is prepared whether or not there is a rotation. */
const beside = ({ spec, credentials }: PlanningGround, target: string): boolean =>
  !sameIdentifier(target, activeMember(spec, credentials));

/** What a rollback puts back is there already. */
function issue(
  ground: PlanningGround,
  { reason, cause, reversed }: Rotation,
  target: string,
  waits: string | null,
): Step[] {
  if (reversed) return [];
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'issue-integration-key',
        subject: target,
        content: issueIntegrationKey({ ...names(ground), member: target }, reason ?? WHY[cause]),
      },
      state: waits === null ? 'now' : 'later',
      because: waits ?? 'Asks a person for a key.',
      removes: cause === 'invalid' ? ['integrationKey', 'integrationKey.member'] : [],
    },
  ];
}

const WHY: Record<Rotation['cause'], string> = {
  first: 'This tenant has no integration key yet.',
  invalid: 'The key in use does not serve.',
  age: 'The key in use is to be replaced by age.',
  given: 'Another pair was given.',
  request: 'A rotation was asked for.',
  compromise: 'The key in use is compromised.',
};

function install(ground: PlanningGround, rotation: Rotation, target: string): Step[] {
  const { spec, memory } = ground;
  const fingerprint = rotation.fresh?.fingerprint;
  if (!fingerprint) return [];
  const why = rotation.reversed
    ? 'The rotation is rolled back: the key before it is to be used again.'
    : 'A new key was proved, and Umbrella was not seen to use it yet.';
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'install-integration-key',
        subject: fingerprint,
        content: installIntegrationKey(
          { ...names(ground), member: target },
          fingerprint,
          why,
          !canOnlyBeAttested(spec, memory, rotation),
        ),
      },
      state: 'now',
      because: `Asks a person to put the key into ${spec.umbrella.console.toUpperCase()} settings.`,
      removes: [],
    },
  ];
}

/**
 * The old key is deleted by a person, and seen dead, while its member is active; then the member goes off
 * (rulings 19). Where that cannot be waited for, the member goes off, and the death stays unproved.
 */
function retire(ground: PlanningGround, rotation: Rotation): Step[] {
  const { old, cause } = rotation;
  if (!old?.member) return [];
  const why = old.deadSince ? 'Its key was seen dead.' : 'Its key is out of use.';
  if (old.deadSince) return isShared(rotation) ? [] : off(ground, old.member, why);
  const member = findMember(ground.facts.members?.value?.items ?? [], old.member);
  const stops = member !== null && mayStop(ground, member) && !isShared(rotation);
  // Whether the old key is used again is seen by what Umbrella writes, and by nothing else.
  const unseen = cause !== 'compromise' && !isFresh(ground.facts.writes, ground.observedAt);
  const place = { ...names(ground), member: old.member };
  const asks = (subject: string, content: ReturnType<typeof deleteKey>): Step => ({
    action: { kind: 'open-handoff', handoff: 'delete-key', subject, content },
    state: 'now',
    because: 'Asks a person to delete the key that was replaced.',
    removes: [],
  });
  if (!old.fingerprint)
    return stops
      ? unseen
        ? []
        : off(ground, old.member, why)
      : [asks(old.member, deleteUnknownKeys(place))];
  const deletion = asks(
    old.fingerprint,
    deleteKey(place, old.fingerprint, 'Another key took its place, and Umbrella uses that one.'),
  );
  if (!stops) return [deletion];
  if (member.inactive) return isAlive(ground, old.credentialId) ? [deletion] : [];
  const waited = cause === 'compromise' || ground.overdueDeletions.includes(old.fingerprint);
  return waited && !unseen ? [...off(ground, old.member, why), deletion] : [deletion];
}

/** Both keys are of one member, which the new one needs. */
const isShared = ({ old, target }: Rotation): boolean =>
  old?.member != null && target !== null && sameIdentifier(old.member, target);

function isAlive({ facts, observedAt }: PlanningGround, credentialId: string | null): boolean {
  const proof = credentialId === null ? undefined : facts.candidates[credentialId];
  return isFresh(proof, observedAt) && proof.value.authenticates;
}

function off(ground: PlanningGround, identifier: string, why: string): Step[] {
  const { facts, observedAt } = ground;
  if (!isFresh(facts.members, observedAt)) return [];
  const member = findMember(facts.members.value.items, identifier);
  if (!member || member.inactive) return [];
  const may = mayStop(ground, member);
  return [
    {
      action: switchOff(member),
      state: may ? 'now' : 'held',
      because: may ? `Switches ${member.identifier} off. ${why}` : `${member.identifier}: ${MAY_HOLD_OTHERS}`,
      removes: [],
    },
  ];
}
