import type { Verdict } from './condition.ts';
import { toMs } from './duration.ts';
import type { Automation, HandoffKind } from './handoff.ts';
import { whyNoWrite } from './ground.ts';
import { isOver, type Rotation } from './rotation.ts';
import { ago, lasting } from './told.ts';
import { isOver as isUmbrellaOver } from './umbrella-rotation.ts';
import { ageOf, no, pairInUse, yes, type Look } from './verdict.ts';

/**
 * What is to be said of rotations: the integration key's first, then the Umbrella key's. One under way makes no
 * tenant unready (design.md §5).
 */
export function rotationHealthy(look: Look): Verdict {
  const integration = integrationHealthy(look);
  const { umbrellaRotation } = look;
  if (!umbrellaRotation || integration.status !== 'True') return integration;
  const { phase, number, stuck, held, evidence } = umbrellaRotation;
  const last = evidence.at(-1)?.what ?? '';
  if (stuck !== null) return no('UmbrellaRotationStuck', `The rotation of the Umbrella key: ${stuck}`);
  if (phase === 'Failed') {
    return no('UmbrellaRotationFailed', `Rotation ${number} of the Umbrella key failed. ${last}`);
  }
  if (isUmbrellaOver(umbrellaRotation)) return integration;
  const message = `The Umbrella key is being rotated (${phase}). ${held ?? last}`;
  return integration.reason === 'NoRotation'
    ? yes('UnderWay', message)
    : { ...integration, message: `${integration.message} ${message}` };
}

function integrationHealthy(look: Look): Verdict {
  const { rotation, memory, credentials } = look;
  const alive = credentials.find(
    ({ purpose, state, lastProvedAt }) =>
      purpose === 'integration' && state === 'refused' && lastProvedAt !== null,
  );
  if (alive) {
    return no(
      'RetiredKeyAlive',
      `The key ${alive.fingerprint} of ${alive.member} was taken out of use, and works: delete it in ConnectWise.`,
    );
  }
  if (rotation && !isOver(rotation)) return underWay(look, rotation);
  const ended = rotation ?? memory.lastRotation;
  if (ended?.phase === 'Failed') return no('RotationFailed', `The last rotation failed. ${ended.outcome}`);
  const late = overAge(look);
  if (late) return no('Overdue', late);
  return ended
    ? yes(ended.phase, `The last rotation ended ${ago(ended.endedAt!)}. ${ended.outcome}`)
    : yes('NoRotation', 'No rotation is under way.');
}

/** Nothing rotates it where nothing may be written. */
function overAge(look: Look): string | null {
  const { spec } = look;
  const key = pairInUse(look, 'integration');
  if (!key || ageOf(look, key.createdAt) <= toMs(spec.rotation.maxAge)) return null;
  return `The key ${key.fingerprint} is older than rotation.maxAge (${spec.rotation.maxAge}), and no rotation is under way.`;
}

/** How long a phase that waits for a person or for Umbrella may last; beyond it the rotation is stuck. */
function underWay(look: Look, rotation: Rotation): Verdict {
  const { spec } = look;
  const { phase, since, notices, old, fresh, target } = rotation;
  const of = `${phase} since ${lasting(since)}`;
  const told = (kind: string) => notices.findLast((notice) => notice.kind === kind)?.message;
  if (phase === 'AwaitingAdoption' && told('AdoptionOverdue')) {
    return no('AdoptionOverdue', told('AdoptionOverdue')!);
  }
  if (phase === 'RetiringOld' && told('OldKeyAlive')) return no('OldKeyAlive', told('OldKeyAlive')!);
  const held = whyNoWrite(look);
  if (held) {
    return no('Held', `${of}: ${held}. Nothing more is done, and the old key is not touched.`);
  }
  const patience = toMs(spec.handoffs.deadline);
  const waitsForPerson = phase === 'AwaitingKey' || phase === 'AwaitingInstall' || phase === 'RetiringOld';
  if (waitsForPerson && ageOf(look, since) > patience) {
    return no(
      'HandoffOverdue',
      `${of}: a person was asked, and has not done it within ${spec.handoffs.deadline}.`,
    );
  }
  const given = waitsForPerson ? failedAutomation(look) : null;
  if (given) {
    return yes('AutomationFailed', `${of}: the automation failed (${given.error}), and people have it now.`);
  }
  const lingers = phase === 'Overlap' ? told('OldKeyStillUsed') : undefined;
  const keys = `${old?.fingerprint ?? 'no key'} → ${fresh?.fingerprint ?? `a new key of ${target ?? 'a member'}`}`;
  return yes(lingers ? 'OldKeyStillUsed' : 'UnderWay', `${of}: ${keys}.${lingers ? ` ${lingers}` : ''}`);
}

/** Work of a rotation that went back to people and waits for them; null: none does. */
function failedAutomation({ handoffs }: Look): Automation | null {
  const given = handoffs.find(
    ({ kind, state, automation }) =>
      ROTATION_WORK.includes(kind) && automation?.state === 'failed' && state !== 'submitted',
  );
  return given?.automation ?? null;
}

const ROTATION_WORK: readonly HandoffKind[] = [
  'issue-integration-key',
  'install-integration-key',
  'delete-key',
];
