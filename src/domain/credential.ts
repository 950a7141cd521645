import type { Purpose } from './tenant.ts';

/**
 * A key pair that Parasol holds, sealed. `candidate`: received, not yet proved; `proved`: proved with itself,
 * and Umbrella is to be given it; `active`: in use; `superseded`: another took its place; `refused`: unusable
 * and alive, so that a person is asked to delete it; `dead`: refused by the vendor (rulings 16).
 */
export const CREDENTIAL_STATES = ['candidate', 'proved', 'active', 'superseded', 'refused', 'dead'] as const;
export type CredentialState = (typeof CREDENTIAL_STATES)[number];

export interface HeldCredential {
  id: string;
  purpose: Purpose;
  state: CredentialState;
  fingerprint: string;
  /** The API member that it was given for; null for the other purposes. */
  member: string | null;
  origin: string;
  createdAt: string;
  lastProvedAt: string | null;
  /** The hand-off that it was submitted to. */
  handoffId: string | null;
}
