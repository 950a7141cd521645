import type { Step } from './action.ts';
import type { HeldCredential } from './credential.ts';
import { formatSpan, toMs } from './duration.ts';
import type { PlanningGround } from './ground.ts';
import { renewUmbrellaKey } from './handoff.ts';
import { isFresh } from './observation.ts';

/** A new Umbrella key where no KeyAdmin key can make it: a person does, and Parasol proves the pair. */

export const umbrellaKeyInUse = ({
  credentials,
}: Pick<PlanningGround, 'credentials'>): HeldCredential | null =>
  credentials.find(({ purpose, state }) => purpose === 'umbrella-api' && state === 'active') ?? null;

/**
 * Why a person must make a new Umbrella key; null where none is needed, KeyAdmin makes it, or nothing can be said.
 * A key that is dead is listed by no KeyAdmin key, whose it was to copy.
 */
export function whyRenew(ground: PlanningGround): string | null {
  const { spec, facts, credentials, observedAt, now } = ground;
  const key = umbrellaKeyInUse(ground);
  if (!key) return null;
  const access = facts.umbrellaAccess;
  const seen = isFresh(access, observedAt) && access.credentialId === key.id;
  if (seen && !access.value.accepted) return `Umbrella refuses the key ${key.fingerprint}.`;
  const admin = credentials.some(
    ({ purpose, state }) => purpose === 'umbrella-key-admin' && state === 'active',
  );
  if (admin) return null;
  const { apiKeyExpires, expiryWarning } = spec.umbrella;
  if (apiKeyExpires !== undefined && apiKeyExpires !== 'never') {
    const leftMs = Date.parse(apiKeyExpires) - now.getTime();
    if (leftMs <= toMs(expiryWarning)) {
      return `The Umbrella key ${key.fingerprint} expires on ${apiKeyExpires}, as declared.`;
    }
  }
  const ageMs = now.getTime() - Date.parse(key.createdAt);
  return ageMs > toMs(spec.rotation.maxAge)
    ? `The Umbrella key ${key.fingerprint} is held for ${formatSpan(ageMs)}; rotation.maxAge is ${spec.rotation.maxAge}.`
    : null;
}

/** True where the key in use was seen to work now. */
export function umbrellaKeyWorks({ facts, credentials, observedAt }: PlanningGround): boolean {
  const key = umbrellaKeyInUse({ credentials });
  const access = facts.umbrellaAccess;
  return isFresh(access, observedAt) && access.credentialId === key?.id && access.value.accepted;
}

export function renewalSteps(ground: PlanningGround): Step[] {
  const why = whyRenew(ground);
  const key = umbrellaKeyInUse(ground);
  if (why === null || !key) return [];
  const given = ground.credentials.find(
    ({ purpose, state }) => purpose === 'umbrella-api' && state === 'candidate',
  );
  return [
    {
      action: {
        kind: 'open-handoff',
        handoff: 'renew-umbrella-key',
        subject: key.fingerprint,
        content: renewUmbrellaKey(key.fingerprint, why),
      },
      state: given ? 'later' : 'now',
      because: given
        ? `the key ${given.fingerprint} was given, and is to be proved`
        : 'Asks a person for a new Umbrella key.',
      removes: [],
    },
  ];
}
