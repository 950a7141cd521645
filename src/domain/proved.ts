import type { HeldCredential } from './credential.ts';
import type { Facts, Remembered } from './observation.ts';
import type { Purpose } from './tenant.ts';

/** When a pair in use was last seen to work, by the facts: ISO 8601, or null where they do not tell. */
export function seenToWork(
  { id, purpose, state }: Pick<HeldCredential, 'id' | 'purpose' | 'state'>,
  facts: Facts,
): string | null {
  if (state !== 'active') return null;
  const told = TOLD[purpose](facts);
  return told?.works && told.credentialId === id ? (told.at ?? null) : null;
}

interface Told {
  at: string | undefined;
  credentialId: string | null | undefined;
  works: boolean;
}

const TOLD: Record<Purpose, (facts: Facts) => Told | null> = {
  management: ({ management }) => told(management, (value) => value.authenticates),
  integration: ({ integrationKey }) => told(integrationKey, (value) => value.authenticates),
  'umbrella-api': ({ umbrellaAccess }) => told(umbrellaAccess, (value) => value.accepted),
  'umbrella-key-admin': ({ umbrellaKeyAdmin }) => told(umbrellaKeyAdmin, (value) => value.accepted),
  // It signs, and nothing tells whether the signature was found good.
  automation: () => null,
};

function told<T>(fact: Remembered<T> | undefined, works: (value: T) => boolean): Told | null {
  if (fact?.value === undefined) return null;
  return { at: fact.at, credentialId: fact.credentialId, works: works(fact.value) };
}
