import { activeKey } from '../domain/drift.ts';
import { isLive, type Handoff } from '../domain/handoff.ts';
import type { KeyPair } from '../domain/secret.ts';
import { isOver, overlaps, requested, type Rotation, type Wish } from '../domain/rotation.ts';
import { whyHeld } from '../domain/ground.ts';
import { conflict, done, invalid, noHandoff, noTenant, wayFree } from './answers.ts';
import type { Answer, Commands, RotationRequest } from './commands.ts';
import type { Clock, Desk, Ids, NewEvent, TenantRecord, Vault } from './ports.ts';

/** What people ask of rotations, and the one way in which a pair is shown to one (rulings 17, 18, 25). */

interface RotationDeps {
  desk: Desk;
  vault: Vault;
  clock: Clock;
  ids: Ids;
}

/**
 * Asks for a rotation of the integration key. One that is under way goes on, unless the key is compromised: then
 * that one hurries. One that is being rolled back is led forward again.
 */
export async function rotate(
  { desk, clock, ids }: RotationDeps,
  id: string,
  request: RotationRequest,
): ReturnType<Commands['rotate']> {
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const { tenant, rotation } = record;
  const held = whyHeld(tenant);
  if (held) return conflict(`${id} cannot be rotated: ${held}. ${wayFree(tenant)}`);
  const { by, reason, compromised, cutNow } = request;
  if (cutNow && !compromised) {
    return invalid([{ path: 'cutNow', message: 'goes with a compromised key only: it is an outage' }]);
  }
  if (cutNow && tenant.spec.connectwise.members.strategy === 'same-member') {
    const message = 'one member has both keys, so that nothing can be cut before there is a new one';
    return invalid([{ path: 'cutNow', message }]);
  }
  if (rotation && !isOver(rotation)) {
    if (!compromised && rotation.reversed) {
      const stuck = whyNotBack(rotation);
      return stuck
        ? conflict(`It is being rolled back, and cannot be led forward again: ${stuck}.`)
        : wish(desk, clock, id, { kind: 'forward', by, reason });
    }
    if (!compromised || rotation.cause === 'compromise') return underWay(id, rotation);
    if (cutNow) {
      const message = 'a rotation is under way: it hurries without an outage; ask without cutNow';
      return invalid([{ path: 'cutNow', message }]);
    }
    return wish(desk, clock, id, { kind: 'compromise', by, reason });
  }
  const { rotation: asked, event } = newRotation({ clock, ids }, id, request);
  const added = await desk.requestRotation(asked, [event], `rotation asked for by ${by}`);
  if (added.ok) return done({ rotation: asked.id, trigger: added.trigger });
  return added.because === 'not-found' ? noTenant(id) : underWay(id, added.rotation);
}

/** A rotation that waits to begin, and the event that tells who asked for it. */
export function newRotation(
  { clock, ids }: { clock: Clock; ids: Ids },
  tenantId: string,
  { by, reason, compromised, cutNow }: Omit<RotationRequest, 'credential'>,
): { rotation: Rotation; event: NewEvent } {
  const rotation = requested({
    id: ids.next(),
    tenantId,
    cause: compromised ? 'compromise' : 'request',
    by,
    reason,
    cutNow,
    at: clock.now().toISOString(),
  });
  const what = compromised ? 'The integration key is compromised' : 'A rotation was asked for';
  const event: NewEvent = {
    type: 'RotationRequested',
    message: `${what}, by ${by}: ${reason}${cutNow ? '. The old key is cut first: an outage' : ''}`,
    data: { rotation: rotation.id, by, reason, compromised, cutNow },
  };
  return { rotation, event };
}

const underWay = (id: string, { id: rotation, phase }: Rotation) =>
  conflict(`A rotation of ${id} is under way (${rotation}, ${phase}): wait for it, or roll it back.`);

/**
 * Takes a rotation back, at any phase: at once before the new key could be in Umbrella, afterwards by the same way
 * backwards (rulings 18).
 */
export async function rollback(
  { desk, clock }: RotationDeps,
  id: string,
  { by, reason }: { by: string; reason: string },
): ReturnType<Commands['rollback']> {
  const record = await desk.tenant(id);
  if (!record) return noTenant(id);
  const { tenant, rotation } = record;
  if (!rotation) {
    return conflict(`No rotation of ${id} is under way. What has ended is not undone: rotate again.`);
  }
  if (rotation.reversed || rotation.undoing) {
    return conflict('It is being rolled back already. To lead it forward again, rotate.');
  }
  const held = whyHeld(tenant);
  if (held) return conflict(`${id} cannot be rolled back now: ${held}. Both keys stay as they are.`);
  const stuck = whyNotBack(rotation);
  if (stuck) return conflict(`It cannot be rolled back: ${stuck}. Rotate again once it has ended.`);
  return wish(desk, clock, id, { kind: 'rollback', by, reason });
}

function whyNotBack({ installable, turned, old }: Rotation): string | null {
  if (!installable && !turned) return null;
  if (!old) return 'there was no key before it';
  if (old.deadSince) return `the key before it was seen dead at ${old.deadSince}`;
  return old.credentialId ? null : 'Parasol was never given the key before it, so that it cannot be put back';
}

const ASKED: Record<Wish['kind'], string> = {
  rollback: 'rolls the rotation back',
  forward: 'takes the rollback back',
  compromise: 'says that the key is compromised',
};

async function wish(
  desk: Desk,
  clock: Clock,
  id: string,
  asked: Pick<Wish, 'kind' | 'by' | 'reason'>,
): Promise<Answer<{ rotation: string; trigger: number }>> {
  const { kind, by, reason } = asked;
  const event: NewEvent = {
    type: kind === 'rollback' ? 'RollbackRequested' : 'RotationRequested',
    message: `${by} ${ASKED[kind]}: ${reason}`,
    data: { by, reason, kind },
  };
  const wished = await desk.wishOfRotation(
    id,
    { ...asked, at: clock.now().toISOString() },
    [event],
    `${kind} asked for by ${by}`,
  );
  if (wished.ok) return done({ rotation: wished.rotation, trigger: wished.trigger });
  if (wished.because === 'not-found') return noTenant(id);
  return conflict(`No rotation of ${id} is under way.`);
}

/**
 * Shows the pair of an install hand-off, once, to the person who claimed it. That it was shown is committed first:
 * from then on the key may be in Umbrella.
 */
export async function reveal(
  { desk, vault, clock }: RotationDeps,
  id: string,
  { by, reason }: { by: string; reason: string },
): Promise<Answer<{ handoff: Handoff; fingerprint: string; member: string | null; pair: KeyPair }>> {
  const handoff = await desk.handoff(id);
  if (!handoff) return noHandoff(id);
  if (handoff.kind !== 'install-integration-key') {
    return conflict('Only the pair of an install hand-off is ever shown.');
  }
  if (!isLive(handoff)) return conflict(`This hand-off was ${handoff.state}: nothing is to be shown.`);
  if (Date.parse(handoff.deadline) < clock.now().getTime()) {
    return conflict(
      `The deadline of this hand-off was ${handoff.deadline}: the pair is no longer shown. Rotate again.`,
    );
  }
  const event: NewEvent = {
    type: 'SecretRevealed',
    message: `The pair ${handoff.subject} was shown to ${by}: ${reason}`,
    data: { handoff: id, fingerprint: handoff.subject, by, reason },
  };
  const revealed = await desk.reveal(id, { by, reason }, [event], `pair shown to ${by}`);
  if (!revealed.ok) {
    switch (revealed.because) {
      case 'not-found':
        return noHandoff(id);
      case 'not-claimed':
        return conflict(`Claim this hand-off first, as ${by}: the pair is shown to who does the work.`);
      case 'shown':
        return conflict(
          `The pair was shown to ${revealed.to} at ${revealed.at}, and is shown once. Make a new key: rotate again.`,
        );
      case 'not-held':
        return conflict('Parasol does not hold that pair any more.');
    }
  }
  const { credential, sealed } = revealed;
  const { id: credentialId, purpose, origin, fingerprint, member } = credential;
  const pair = await vault.open(sealed, { tenantId: handoff.tenantId, credentialId, purpose, origin });
  return done({ handoff: revealed.handoff, fingerprint, member, pair });
}

/** Why a pair that is given besides is not taken while a rotation replaces a key that works; null: it is. */
export function whyNotBeside({ rotation, credentials }: TenantRecord, member: string | null): string | null {
  if (!rotation || isOver(rotation) || rotation.phase === 'Pending' || !overlaps(rotation)) return null;
  if (member !== null && member === rotation.target) return null;
  const key = activeKey(credentials);
  return `A rotation of ${key?.fingerprint ?? 'the integration key'} is under way (${rotation.phase}): give a pair of ${rotation.target} to its hand-off, or roll it back.`;
}
